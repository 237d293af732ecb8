"""Commands that look at what was published: snapshots, verify, diff, export."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import click

from corpus.cli.output import echo_report, json_option, report_lines
from corpus.cli.session import Session
from corpus.contract.splits import SPLITS
from corpus.errors import BadInputError, DamagedError, one_line


@click.group(short_help="List snapshots, or show one.")
def snapshots() -> None:
    """List snapshots, or show one."""


def _entry(manifest: Mapping[str, Any]) -> dict[str, Any]:
    names = ("id", "sequence", "parent", "created_at", "note", "content_digest", "counts")
    return {name: manifest.get(name) for name in names}


@snapshots.command("list", params=[json_option()])
@click.pass_obj
def list_(session: Session, as_json: bool) -> None:
    """List all snapshots, the newest first."""
    from corpus.store.snapshots import Snapshot

    store = session.context.store
    found = [_entry(snapshot.manifest) for snapshot in reversed(Snapshot.every(store))]
    if not found:
        store.require_root()
    session.write_result("ok", found)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    if not found:
        click.echo(f"No snapshot yet in {store.url}.")
    for entry in found:
        labels = ", ".join(f"{n} {label}" for label, n in entry["counts"].get("labels", {}).items())
        note = f"  {entry['note']}" if entry["note"] else ""
        click.echo(
            one_line(f"{entry['id']}  {entry['counts']['samples']} samples ({labels}){note}")
        )


@snapshots.command("show", params=[json_option()])
@click.argument("snapshot", default="latest")
@click.pass_obj
def show(session: Session, snapshot: str, as_json: bool) -> None:
    """Show one snapshot's manifest; SNAPSHOT is an id or `latest`."""
    from corpus.store.snapshots import Snapshot

    manifest = Snapshot.open(session.context.store, snapshot).manifest
    session.write_result("ok", manifest)
    if as_json:
        click.echo(json.dumps(manifest, indent=2))
        return
    brief = {k: v for k, v in manifest.items() if k not in ("tables", "content_state", "files")}
    brief["tables"] = {name: len(entry["files"]) for name, entry in manifest["tables"].items()}
    click.echo("\n".join(report_lines(brief)))


@click.command(short_help="Re-hash everything of a snapshot.", params=[json_option()])
@click.argument("snapshot", default="latest")
@click.option("--blobs/--no-blobs", default=True, help="Also read every sample.  [default: yes]")
@click.pass_obj
def verify(session: Session, snapshot: str, blobs: bool, as_json: bool) -> None:
    """Re-hash everything of a snapshot: data files, vectors, labels, card and samples.

    Exit status 7, and a line for each finding, if a single bit is not what it was.
    """
    from corpus.snapshots.verify import verify as verify_snapshot

    context = session.context
    report = verify_snapshot(context.store, snapshot, blobs=blobs, progress=context.progress)
    content = report.model_dump(mode="json")
    session.write_result("ok" if report.ok else "error", content)
    echo_report(content, as_json)
    if not report.ok:
        raise DamagedError(
            f"snapshot {report.snapshot} is damaged: {len(report.findings)} finding(s).",
            hint="Restore the named files from a backup, or publish again from the sources.",
        )


@click.command(short_help="Compare two snapshots.", params=[json_option()])
@click.argument("a")
@click.argument("b", default="latest")
@click.pass_obj
def diff(session: Session, a: str, b: str, as_json: bool) -> None:
    """Compare two snapshots: added, removed, relabelled, moved, regrouped and re-extracted samples."""
    from corpus.snapshots.diff import diff as diff_snapshots

    content = diff_snapshots(session.context.store, a, b).model_dump(mode="json", by_alias=True)
    session.write_result("ok", content)
    echo_report(content, as_json)


@click.command(short_help="Write a snapshot as Parquet or NumPy.", params=[json_option()])
@click.argument("snapshot", default="latest")
@click.option(
    "--format", "kind", type=click.Choice(["parquet", "npz"]), default="parquet", show_default=True
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File to write."
)
@click.option(
    "--split",
    type=click.Choice(SPLITS),
    help="Only this split.",
)
@click.option(
    "--feature-set",
    metavar="NAME",
    help="Feature set of the vectors; needed if the snapshot has several.",
)
@click.option("--force", is_flag=True, help="Overwrite the file.")
@click.pass_obj
def export(
    session: Session,
    snapshot: str,
    kind: Literal["parquet", "npz"],
    out: Path,
    split: str | None,
    feature_set: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write a snapshot's samples, labels, splits and vectors to one file.

    NPZ holds X float32 [n, dim], y (1 malicious, 0 benign, -1 unknown), sha256, label, split, group_id.
    """
    if out == Path("-"):
        raise BadInputError("goes to a file, not to standard output.", field="--out")
    from corpus.snapshots.export import export as export_snapshot

    report = export_snapshot(
        session.context.store,
        snapshot,
        out,
        kind=kind,
        split=split,
        feature_set=feature_set,
        force=force,
    )
    content = report.model_dump(mode="json")
    session.write_result("ok", content)
    echo_report(content, as_json)
