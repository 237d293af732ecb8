"""Packaging metadata; the settings of tools are in pyproject.toml."""

import sys
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
# A build by pyproject.toml does not have it there.
sys.path.insert(0, str(HERE))

from corpus.contract.version import code_of  # noqa: E402

setup(
    name="corpus-airflow",
    version=code_of(HERE).version,
    description="Keeps a malware-ML team's training corpus up to date, on Airflow",
    license="Apache-2.0",
    python_requires=">=3.11",
    # `corpus` alone, for who reads snapshots. A release and a checkout have `operators` beside it as files.
    packages=find_packages(include=["corpus", "corpus.*"]),
    package_data={"corpus": ["py.typed", "**/templates/*"]},
    entry_points={"console_scripts": ["corpus = corpus.cli:main"]},
    # Nothing is required, since images install what their lock names; this is what reading snapshots takes.
    extras_require={
        "snapshots": [
            "backports-zstd",
            "click",
            "fsspec",
            "numpy",
            "polars",
            "pyarrow",
            "pydantic",
            "pydantic-settings",
            "s3fs",
        ]
    },
)
