"""Workers on cores of their own, and Karton beside them, on small but real executables."""

from __future__ import annotations

import hashlib
import os
import runpy
import shutil
from argparse import Namespace
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[3] / "bench"
SETS = ["basic-v1"]

pytestmark = [
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="two workers need two cores"),
    pytest.mark.skipif(not shutil.which("taskset"), reason="taskset is not installed"),
]


@pytest.fixture(autouse=True)
def _as_a_script_has_it(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    # Set again by the benches; put back after the test.
    monkeypatch.setenv("CORPUS_CONFIG", os.devnull)
    monkeypatch.setenv("CORPUS_PLACES__ROOTS", "[]")


@pytest.fixture
def files(tmp_path):
    def made(count):
        from common.executables import write_variants

        write_variants(tmp_path / "files", count, seed=1)
        return tmp_path / "files"

    return made


def update_of(files, folder):
    from common.pinned import PinnedUpdate

    return PinnedUpdate(folder, files, SETS, workers=2, runner="process")


def test_two_workers_share_the_shards_and_can_do_them_again(files, tmp_path):
    from common import pinned

    cores = pinned.cores(2)
    update = update_of(files(500), tmp_path / "update")
    shards = update.collect(cores[0])
    assert len(shards) == 2
    update.each("ingest", shards, cores)
    for _ in range(2):
        tasks = update.each("extract", shards, cores)
        assert sorted(task.shard for task in tasks) == shards
        assert {task.core for task in tasks} == set(cores)
        assert update.opened().read("features-basic-v1", ["sha256"]).num_rows == 500
        update.forget_vectors(SETS)
        assert not update.opened().parts("features-basic-v1")


def test_a_service_that_fails_ends_the_bench_with_its_words(files, tmp_path):
    from common import pinned

    cores = pinned.cores(2)
    update = update_of(files(2), tmp_path / "update")
    update.collect(cores[0])
    with pytest.raises(SystemExit, match="has no shard 'shard-9999'"):
        update.each("ingest", ["shard-9999"], cores)


def test_as_the_shards_are_cut_two_workers_can_do_so_much():
    limit = script("worker_scaling").limit
    assert limit([3.0, 3.0]) == 2
    assert limit([3.0, 1.0, 2.0, 6.0]) == 12 / 9


def test_karton_does_the_same_work(files, tmp_path):
    from common import karton_stack, pinned

    site = karton_stack.installed()
    if not site.is_dir():
        pytest.skip("Karton is not installed here: bench/karton.py brings it")
    bench = script("karton")
    folder, cores = files(4), pinned.cores(2)
    _, ours = bench.ours(
        tmp_path / "ours", folder, Namespace(feature_sets=SETS, cores=cores, runner="process")
    )
    with karton_stack.KartonStack(site, tmp_path / "karton", cores, SETS, blobs=True) as stack:
        processes = stack.processes()
        run = stack.run(sorted(folder.iterdir()))
        blobs = sorted(tmp_path.glob("karton/corpus/blobs/**/*.zst"))
        assert [blob.stem for blob in blobs] == sorted(
            hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()
        )
    bench.require_equal(ours, run)
    assert all(not Path(f"/proc/{pid}").exists() for pid in processes)
    run.rows[0]["vectors_sha256"] = "0" * 64
    with pytest.raises(SystemExit, match="1 files differ"):
        bench.require_equal(ours, run)


def script(name):
    return Namespace(**runpy.run_path(str(BENCH / f"{name}.py"), run_name=name))
