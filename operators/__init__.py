"""The services of the corpus as Airflow operators; the one place that knows both."""

from operators.base import CorpusOperator
from operators.collect import CollectSamplesOperator
from operators.extract import ExtractFeaturesOperator
from operators.group import GroupSamplesOperator
from operators.import_verdicts import ImportVerdictsOperator
from operators.ingest import IngestSamplesOperator
from operators.label import ResolveLabelsOperator
from operators.publish import SNAPSHOTS, PublishSnapshotOperator
from operators.split import SplitSamplesOperator
from operators.validate import ValidateUpdateOperator

__all__ = [
    "SNAPSHOTS",
    "CollectSamplesOperator",
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
