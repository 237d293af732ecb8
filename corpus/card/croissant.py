"""The card as Croissant 1.1 JSON-LD, https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html

Its RAI properties follow https://docs.mlcommons.org/croissant/docs/croissant-rai-spec.html and say
only what the corpus knows of itself. Paths are relative to the card's folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from corpus.card.words import COLUMNS, LIMITS, TABLE_WORDS, describe_splits
from corpus.store.manifest import Draft, TableFile
from corpus.store.schemas import FEATURES_PREFIX, TABLES, features_spec
from corpus.store.statistics import Statistics

_ROOT = "../../.."
# The name that mlcroissant reads; application/vnd.apache.parquet, the registered one, it does not.
_PARQUET = "application/x-parquet"
# Tables that are described column by column; the others are files only.
_RECORD_SETS = ("samples", "labels", "groups", "splits", "verdicts", "failures")

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "citeAs": "cr:citeAs",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    "description": {"@container": "@language"},
    "key": "cr:key",
    "md5": "cr:md5",
    **{
        name: f"cr:{name}"
        for name in (
            "arrayShape", "column", "containedIn", "equivalentProperty", "extract", "field",
            "fileProperty", "fileObject", "fileSet", "format", "includes", "isArray",
            "isLiveDataset", "jsonPath", "parentField", "path", "recordSet", "references", "regex",
            "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform",
        )
    },
}  # fmt: skip


def croissant(manifest: Draft, stats: Statistics) -> dict[str, Any]:
    """The JSON-LD of a snapshot: its files with their sha256, and the columns of its tables."""
    tables = manifest.get("tables", {})
    digest = manifest.get("content_digest", "")
    published = str(manifest.get("created_at", ""))[:10]
    counts = stats["counts"]
    title = f"Malware corpus, snapshot {manifest['id']}"
    distribution: list[dict[str, Any]] = []
    for table, entry in sorted(tables.items()):
        distribution += _files(table, entry["files"])
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [
            "http://mlcommons.org/croissant/1.1",
            "http://mlcommons.org/croissant/RAI/1.0",
        ],
        "name": title,
        "description": f"{counts['samples']} executables with labels, groups, splits and feature "
        f"vectors. {describe_splits(manifest)}",
        "url": "index.html",
        "version": f"{manifest.get('sequence', 1)}.0.0",
        **({"datePublished": published} if published else {}),
        "license": "Every sample remains under its own author's license; the corpus grants none. "
        "For research and the training of detectors within the team that collected it.",
        "creator": {"@type": "sc:Organization", "name": "The team that runs this corpus"},
        "keywords": ["malware", "executables", "static analysis", *manifest.get("feature_sets", {})],
        "citeAs": f"@misc{{corpus_{manifest.get('sequence', 1)}, title={{{title}}}, "
        f"year={{{published[:4]}}}, note={{content digest {digest}}}}}",
        "isLiveDataset": False,
        "rai:dataCollection": "Executables were found by content, not by name, in the sources that "
        "the team configured, and inside archives in these. Their sha256 is checked where a "
        "manifest states it.",
        "rai:dataCollectionType": ["Secondary data analysis"],
        "rai:dataCollectionMissingData": f"{sum(counts['failures'].values())} samples without a "
        f"vector are rows of the table failures; {sum(counts['rejects'].values())} files, and rows of "
        "manifests and verdict files, that were refused are in the table rejects, with their reasons.",
        "rai:dataAnnotationProtocol": [
            "Labels are resolved from verdicts (manifests, multi-engine scan reports) by the label "
            "policy in the manifest; all verdicts and all earlier labels are kept."
        ],
        "rai:machineAnnotationTools": [
            "Anti-virus engines, as far as verdicts come from scan reports"
        ],
        "rai:dataUseCases": ["Training and evaluating classifiers of executables"],
        "rai:dataLimitations": list(LIMITS),
        "rai:personalSensitiveInformation": [
            "Executables and their paths may hold names of people or machines; nothing was removed."
        ],
        "distribution": distribution,
        "recordSet": [
            record_set
            for table, entry in sorted(tables.items())
            if entry["files"] and (record_set := _record_set(table, manifest))
        ],
    }  # fmt: skip


def _files(table: str, files: list[TableFile]) -> list[dict[str, Any]]:
    objects = [
        {
            "@type": "cr:FileObject",
            "@id": file["key"],
            "name": file["key"].rsplit("/", 1)[-1],
            "description": f"{file['rows']} rows of {table}",
            "contentUrl": f"{_ROOT}/{file['key']}",
            "contentSize": f"{file['size']} B",
            "encodingFormat": _PARQUET,
            "sha256": file["sha256"],
        }
        for file in files
    ]
    if len(objects) < 2:
        return objects
    whole = {
        "@type": "cr:FileSet",
        "@id": table,
        "name": table,
        "description": f"All files of the table {table} in this snapshot",
        "containedIn": [{"@id": file["@id"]} for file in objects],
        "encodingFormat": _PARQUET,
        "includes": "*.parquet",
    }
    return [*objects, whole]


def _record_set(table: str, manifest: Draft) -> dict[str, Any] | None:
    if table.startswith(FEATURES_PREFIX):
        name = table.removeprefix(FEATURES_PREFIX)
        spec = features_spec(name, manifest["feature_sets"][name])
        words = f"Vectors of the feature set {name}, {manifest['feature_sets'][name]} dimensions"
    elif table in _RECORD_SETS:
        spec, words = TABLES[table], TABLE_WORDS[table]
    else:
        return None
    note = (
        f" Of rows with the same {', '.join(spec.key)}, the one with the highest sequence counts."
        if spec.key
        else ""
    )
    files = manifest["tables"][table]["files"]
    # mlcroissant can read the rows of one Parquet file, but not yet those of a set of them.
    source = (
        {"fileObject": {"@id": files[0]["key"]}} if len(files) == 1 else {"fileSet": {"@id": table}}
    )
    return {
        "@type": "cr:RecordSet",
        "@id": f"{table}-rows",
        "name": f"{table}-rows",
        "description": f"{words}.{note}",
        "key": [{"@id": f"{table}-rows/{name}"} for name in (*spec.key, "sequence")],
        "field": [_field(table, field, source) for field in spec.schema],
    }


def _field(table: str, field: pa.Field, source: Mapping[str, Any]) -> dict[str, Any]:
    kind = field.type
    shape: dict[str, Any] = {}
    if pa.types.is_fixed_size_list(kind):
        shape = {"isArray": True, "arrayShape": str(kind.list_size)}
        kind = kind.value_type
    elif pa.types.is_list(kind):
        shape = {"isArray": True, "arrayShape": "-1"}
        kind = kind.value_type
    return {
        "@type": "cr:Field",
        "@id": f"{table}-rows/{field.name}",
        "name": field.name,
        "description": COLUMNS.get(f"{table}.{field.name}") or COLUMNS[field.name],
        "dataType": _data_type(kind),
        **shape,
        "source": {**source, "extract": {"column": field.name}},
    }


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        return "sc:DateTime"
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    return {
        pa.int32(): "cr:Int32", pa.int64(): "cr:Int64",
        pa.float32(): "cr:Float32", pa.float64(): "cr:Float64",
    }.get(kind, "sc:Text")  # fmt: skip
