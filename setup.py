"""Packaging metadata; the settings of tools are in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    name="corpus-airflow",
    version="0.1.0",
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
