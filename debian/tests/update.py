"""Runs the master DAG of the bundle once, and checks what it published; for the test `update`."""

import os

from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

manager = DagBundlesManager()
manager.sync_bundles_to_db()
(bundle,) = manager.get_all_dag_bundles()
bundle.initialize()
version = bundle.get_current_version().version
bag = DagBag(bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
assert not bag.import_errors, bag.import_errors
dag = bag.dags["corpus_update"]
# DAG.test() of Airflow 3.3 stumbles over the alerts of a serialized DAG; a scheduler does not.
dag.deadline = []
sync_bag_to_db(bag, bundle.name, version)

run = dag.test(run_conf={})
states = {ti.task_id: ti.state for ti in run.get_task_instances()}
assert run.state == "success", states
assert states["publish"] == "success", states

import corpus  # noqa: E402 - from the release, which the bundle has brought
from corpus.store.object_store import Store  # noqa: E402
from corpus.store.snapshots import Snapshot  # noqa: E402

assert corpus.__file__.startswith(f"{bundle.releases}/{version}/"), corpus.__file__
counts = Snapshot.open(Store(os.environ["CORPUS_STORE__ROOT"])).manifest["counts"]
assert counts["samples"] == 4, counts
assert counts["labels"]["malicious"] == 2, counts
print(f"Release {version} published a snapshot of {counts['samples']} samples.")
