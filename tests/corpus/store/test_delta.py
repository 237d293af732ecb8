from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.snapshots.dataset import open_snapshot
from corpus.snapshots.verify import verify
from corpus.store import delta
from corpus.store.object_store import Store, WrittenFile
from corpus.store.schemas import features_spec
from tests.support.building import build, build_two

SPEC = features_spec("tiny-v1", 4)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "corpus")


def part(store: Store, name: str, rows: int = 3) -> WrittenFile:
    content = [
        {"sha256": f"{name}{n}", "vector": [float(n)] * 4, "vector_sha256": "v", "raw": "{}",
         "update_id": name, "sequence": 1}
        for n in range(rows)
    ]  # fmt: skip
    return store.write_table(
        f"in/{name}.parquet", pa.Table.from_pylist(content, schema=SPEC.schema)
    )


def append(store: Store, update_id: str, *files: WrittenFile) -> int:
    return delta.append(store, SPEC.name, SPEC.schema, files, update_id)


def names(store: Store) -> list[str]:
    rows = delta.open_table(store, SPEC.name).to_pyarrow_table(columns=["sha256"])
    return sorted(rows["sha256"].to_pylist())


def test_one_commit_an_update(store: Store) -> None:
    assert append(store, "u1", part(store, "a"), part(store, "b")) == 1
    assert append(store, "u2", part(store, "c")) == 2
    assert names(store) == ["a0", "a1", "a2", "b0", "b1", "b2", "c0", "c1", "c2"]
    assert store.list("tables/features-tiny-v1/u") == []
    found = [key for key in store.list("tables/features-tiny-v1") if key.endswith(".parquet")]
    assert [key.rsplit("/", 1)[-1] for key in found] == [
        "u1-0.parquet",
        "u1-1.parquet",
        "u2-0.parquet",
    ]


def test_done_again_it_adds_nothing(store: Store) -> None:
    file = part(store, "a")
    version = append(store, "u1", file)
    append(store, "u2", part(store, "b"))
    assert append(store, "u1", file) == version
    assert names(store) == ["a0", "a1", "a2", "b0", "b1", "b2"]


def test_a_file_left_by_a_killed_try_is_no_obstacle(store: Store) -> None:
    file = part(store, "a")
    store.copy(file.key, "tables/features-tiny-v1/u1-0.parquet")
    append(store, "u1", file)
    assert names(store) == ["a0", "a1", "a2"]


def test_commits_say_whose_they_are(store: Store) -> None:
    delta.append(store, SPEC.name, SPEC.schema, [part(store, "a")], "u1", "uuid")
    commit = delta.open_table(store, SPEC.name).history(1)[0]
    assert (commit["corpus.update"], commit["run_uuid"]) == ("u1", "uuid")


def test_vectors_stay_fixed_size_in_the_file(store: Store) -> None:
    append(store, "u1", part(store, "a"))
    schema = pq.read_schema(store.full("tables/features-tiny-v1/u1-0.parquet"))
    assert schema.field("vector").type.list_size == 4
    rows = delta.open_table(store, SPEC.name).to_pyarrow_table()
    assert rows["vector"].to_pylist()[1] == [1.0] * 4


def test_updates_at_the_same_time_all_survive(store: Store) -> None:
    files = {f"u{n}": part(store, f"p{n}-", rows=2) for n in range(8)}
    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(lambda u: append(store, u, files[u]), files))
    assert len(set(versions)) == 8
    assert names(store) == sorted(f"p{n}-{row}" for n in range(8) for row in range(2))


def test_one_update_at_the_same_time_is_one_commit(store: Store) -> None:
    file = part(store, "a")
    append(store, "u0", part(store, "b"))
    with ThreadPoolExecutor(4) as pool:
        versions = set(pool.map(lambda _: append(store, "u1", file), range(4)))
    assert len(versions) == 1
    assert names(store) == ["a0", "a1", "a2", "b0", "b1", "b2"]


def test_snapshots_do_without_delta(tmp_path: Path) -> None:
    """Compaction and vacuum of every table, to the last old file, harm no snapshot."""
    made = build_two(tmp_path)
    before = open_snapshot("one", root=tmp_path).to_arrow()
    for table in {key.split("/")[1] for key in made.store.list("tables")}:
        opened = delta.open_table(made.store, table)
        rows = opened.to_pyarrow_table(columns=["update_id"]).num_rows
        opened.optimize.compact()
        removed = opened.vacuum(0, enforce_retention_duration=False, dry_run=False)
        assert len(removed) > 0 or table == "failures"
        assert opened.to_pyarrow_table(columns=["update_id"]).num_rows == rows
    assert not [
        key for key in made.store.list("tables") if "/one-" in key and "failures" not in key
    ]
    for snapshot in ("one", "two"):
        assert verify(made.store, snapshot).findings == []
    assert open_snapshot("one", root=tmp_path).to_arrow().equals(before)
    build(made, "three", range(30, 34))
    assert verify(made.store).findings == []
    samples = delta.open_table(made.store, "samples").to_pyarrow_table(columns=["sha256"])
    assert samples.num_rows == 34


def test_s3_options_come_from_the_store() -> None:
    store = Store(
        "s3://bucket/x", {"key": "k", "secret": "s", "endpoint_url": "http://localhost:1"}
    )
    options = delta.storage_options(store)
    assert options["AWS_ACCESS_KEY_ID"] == "k"
    assert options["AWS_SECRET_ACCESS_KEY"] == "s"
    assert options["AWS_ENDPOINT_URL"] == "http://localhost:1"
    assert options["AWS_ALLOW_HTTP"] == "true"
    nested = Store("s3://bucket/x", {"client_kwargs": {"region_name": "eu-west-3"}})
    assert delta.storage_options(nested)["AWS_REGION"] == "eu-west-3"
    assert "AWS_ALLOW_HTTP" not in delta.storage_options(nested)


def test_a_folder_needs_no_options(store: Store) -> None:
    assert delta.storage_options(store) == {}
