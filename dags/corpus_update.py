"""The master DAG: one run is one update of the corpus, and publishes one snapshot."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import (
    DAG,
    AsyncCallback,
    CronTriggerTimetable,
    DeadlineAlert,
    Param,
    TriggerRule,
)

from corpus import features
from operators import (
    DEFAULT_ARGS,
    CollectSamplesOperator,
    ExtractFeaturesOperator,
    GroupSamplesOperator,
    ImportVerdictsOperator,
    IngestSamplesOperator,
    PublishSnapshotOperator,
    ResolveLabelsOperator,
    SplitSamplesOperator,
    ValidateUpdateOperator,
)
from operators.scheduling.deadlines import RunQueued

LATE_AFTER_HOURS = 12

TRIAGE = """
### Corpus update

This DAG takes in what is new in the sources and the verdicts, and publishes it as an immutable snapshot.
Readers see nothing before `publish`: if a task fails, the last snapshot stays as it was.
Every task may be cleared and run again at any time; it does not add anything twice.

The DAG runs every day at midnight UTC, unless it is paused. The first unpause waits for the next midnight.
After a pause or an outage at most one overdue run comes, for the last midnight; its note says for which.

If the tasks of a run are *skipped* from some point on, the run found nothing new there: that is a success.
If a run *failed* and no task of it began, it was refused: its note says why, and what to do.
To take the files of certain days, trigger a run with a first and a last day; there are no backfills.

| task | fails when | what to do |
|---|---|---|
| `collect` | a source cannot be read, or a manifest is malformed: the log names file, row and field | correct the file or the address, then clear the task |
| `ingest` | the store cannot be written (disk full, network). Bad files do not make it fail: they are rejects with a reason | repair the storage, then clear the failed shard |
| `import_verdicts` | a verdict file is malformed: the log names file, row and field | correct the file, then clear the task |
| `label` | a setting of the label policy cannot be used | correct it, then clear the task |
| `extract` | the store cannot be written. A file that crashes, hangs or is a bomb does not make it fail: it is a row of `failures` | repair the storage, then clear the failed shard |
| `group`, `split` | the store cannot be read or written | repair the storage, then clear the task |
| `validate` | a gate *blocks*: the log names the gate, its number and its threshold | look at what is staged. If it is right, raise the threshold in the settings and clear the task; if not, leave it: the next run takes the same files again |
| `publish` | another update was published since this one began (*ConflictError*) | trigger a new run, which finds what is still new |
| any | *DamagedError*: stored bytes differ from those that were written | `corpus verify latest` names the files; restore them from a backup |

After a passing fault (disk full, network down, out of memory) a task is tried again after 1, 2, 4 minutes.
The run's `run_uuid` is on every log line, and in the manifest of its snapshot.
"""

with DAG(
    "corpus_update",
    description="Bring the corpus up to date, and publish a snapshot of it.",
    doc_md=TRIAGE,
    # Zero: the first unpause does not run the DAG for the past midnight. Airflow's default, False, does
    # so for the first tenth of the day. A start date would make zero void.
    schedule=CronTriggerTimetable("0 0 * * *", timezone="UTC", run_immediately=timedelta(0)),
    # After a pause or an outage only the last midnight is caught up.
    catchup=False,
    # A second update would find at publish that its parent is outdated, and end in a conflict.
    max_active_runs=1,
    # All but backfills: one would take what is new today, once for each day that is asked for.
    allowed_run_types=[
        "scheduled",
        "manual",
        "operator_triggered",
        "asset_triggered",
        "asset_materialization",
    ],
    tags=["corpus", "snapshot"],
    deadline=DeadlineAlert(
        reference=RunQueued(),
        interval=timedelta(hours=LATE_AFTER_HOURS),
        callback=AsyncCallback(
            "operators.scheduling.alerts.update_is_late", {"hours": LATE_AFTER_HOURS}
        ),
    ),
    # "null" among the types: the form marks a field without it as required.
    params={
        "sources": Param(
            [],
            type=["null", "array"],
            items={"type": "string", "minLength": 1, "pattern": r"^\S(.*\S)?$"},
            title="Sources",
            description="Folders, files or URLs to take samples from, one a line. "
            "Empty: those of the settings.",
            section="What to take",
        ),
        "since": Param(
            None,
            type=["null", "string"],
            format="date",
            title="First day",
            description="Take files first seen on this day or later. If that is not known, the last "
            "change of the file counts.",
            section="What to take",
        ),
        "until": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Last day",
            description="Take files first seen on this day or earlier. If that is not known, the last "
            "change of the file counts.",
            section="What to take",
        ),
        "file_types": Param(
            [],
            type=["null", "array"],
            items={"type": "string", "enum": ["pe", "elf"]},
            examples=["pe", "elf"],
            values_display={"pe": "Windows (PE)", "elf": "Linux (ELF)"},
            title="File types",
            description="Types of executables to take. Empty: all.",
            section="What to take",
        ),
        "limit": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            maximum=1_000_000_000,
            title="At most so many files",
            description="Take at most this many new files; the next run takes the rest. 0: none, "
            "for a run that only catches up on known samples. Empty: all.",
            section="What to take",
        ),
        "rescan": Param(
            False,
            type=["null", "boolean"],
            title="Read known files again",
            description="Also read files that a previous update has seen and that are unchanged.",
            section="What to take",
        ),
        "feature_sets": Param(
            [],
            type=["null", "array"],
            items={"type": "string", "enum": features.names()},
            examples=features.names(),
            title="Feature sets",
            description="Feature sets to extract, of new samples and of those caught up on. "
            "Empty: those of the settings.",
            section="Features and labels",
        ),
        "re_extract": Param(
            False,
            type=["null", "boolean"],
            title="Catch up on known samples",
            description="Re-extract: also extract known samples that lack a vector of one of these "
            "feature sets. The vectors that they have stay as they are.",
            section="Features and labels",
        ),
        "malicious_threshold": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            maximum=100,
            title="Detections to call it malicious",
            description="A VirusTotal report with this many detections or more says malicious. "
            "Empty: as in the settings (EMBER2024 and the default: 5).",
            section="Features and labels",
        ),
        "min_report_age_days": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            maximum=3650,
            title="Days before a report counts",
            description="A report made sooner than this after the file was first seen does not count. "
            "Empty: as in the settings (default: 0).",
            section="Features and labels",
        ),
        "mode": Param(
            "publish",
            type="string",
            enum=["publish", "stage", "dry-run"],
            values_display={
                "publish": "Publish a snapshot",
                "stage": "Stage only: prepare and judge the update, and keep it unpublished",
                "dry-run": "Dry run: do all the work, say what would be published, publish nothing",
            },
            title="How far to go",
            description="A staged update can be published later with the DAG corpus_publish; "
            "the log of `validate` shows its id, as --update=...",
            section="Publishing",
        ),
        "note": Param(
            None,
            type=["null", "string"],
            maxLength=500,
            title="Note",
            description="Why this update is made. The manifest and the data card keep it.",
            section="Publishing",
        ),
    },
    default_args={
        **DEFAULT_ARGS,
        # Skipped means that a task found nothing new; later tasks may still have work.
        "trigger_rule": TriggerRule.NONE_FAILED,
        "settings": {
            "features.sets": "{{ params.feature_sets | tojson }}",
            "verdicts.malicious_threshold": "{{ params.malicious_threshold }}",
            "labels.min_report_age_days": "{{ params.min_report_age_days }}",
        },
    },
):
    collect = CollectSamplesOperator(
        task_id="collect",
        sources="{{ params.sources | tojson }}",
        since="{{ params.since }}",
        until="{{ params.until }}",
        limit="{{ params.limit }}",
        rescan="{{ params.rescan }}",
        re_extract="{{ params.re_extract }}",
    )
    ingest = IngestSamplesOperator.partial(
        task_id="ingest",
        file_types="{{ params.file_types | tojson }}",
        map_index_template="{{ task.shards }}",
    ).expand(shards=collect.output)
    import_verdicts = ImportVerdictsOperator(task_id="import_verdicts")
    label = ResolveLabelsOperator(task_id="label")
    extract = ExtractFeaturesOperator.partial(
        task_id="extract", map_index_template="{{ task.shards }}"
    ).expand(shards=collect.output)
    group = GroupSamplesOperator(task_id="group")
    split = SplitSamplesOperator(task_id="split")
    validate = ValidateUpdateOperator(task_id="validate")
    publish = PublishSnapshotOperator(
        task_id="publish",
        note="{{ params.note }}",
        mode="{{ params.mode }}",
    )

    collect >> ingest >> extract >> group >> split >> validate >> publish
    [import_verdicts, ingest] >> label >> split
