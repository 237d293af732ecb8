"""The services of the corpus as Airflow operators; the one place that knows both."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from operators.base import DEFAULT_ARGS, CorpusOperator
    from operators.collect import CollectSamplesOperator
    from operators.container import ContainerOperator
    from operators.extract import ExtractFeaturesOperator
    from operators.group import GroupSamplesOperator
    from operators.import_verdicts import ImportVerdictsOperator
    from operators.ingest import IngestSamplesOperator
    from operators.label import ResolveLabelsOperator
    from operators.publish import SNAPSHOTS, PublishSnapshotOperator
    from operators.split import SplitSamplesOperator
    from operators.validate import ValidateUpdateOperator

__all__ = [
    "DEFAULT_ARGS",
    "SNAPSHOTS",
    "CollectSamplesOperator",
    "ContainerOperator",
    "CorpusOperator",
    "ExtractFeaturesOperator",
    "GroupSamplesOperator",
    "ImportVerdictsOperator",
    "IngestSamplesOperator",
    "PublishSnapshotOperator",
    "ResolveLabelsOperator",
    "SplitSamplesOperator",
    "ValidateUpdateOperator",
]

_MODULES = {
    "DEFAULT_ARGS": "base",
    "SNAPSHOTS": "publish",
    "CollectSamplesOperator": "collect",
    "ContainerOperator": "container",
    "CorpusOperator": "base",
    "ExtractFeaturesOperator": "extract",
    "GroupSamplesOperator": "group",
    "ImportVerdictsOperator": "import_verdicts",
    "IngestSamplesOperator": "ingest",
    "PublishSnapshotOperator": "publish",
    "ResolveLabelsOperator": "label",
    "SplitSamplesOperator": "split",
    "ValidateUpdateOperator": "validate",
}


def __getattr__(name: str) -> Any:
    # On first use: the reaper, which is started from this package, does without Airflow (2 s, 80 MB).
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
