"""Say what of this machine, this shell and the settings would get in the way of a start: `make doctor`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from deploy.common.doctor import report
from deploy.common.doctor.finding import OK, WRONG, Finding, examine
from deploy.local.doctor.plans import PLANS, Start


def parser() -> argparse.ArgumentParser:
    parsed = argparse.ArgumentParser(prog="python -m deploy.local.doctor", description=__doc__)
    parsed.add_argument("--for", dest="what", choices=PLANS, default="embedded", help="[embedded]")
    parsed.add_argument("--work", type=Path, default=Path(".work"), help="work folder [.work]")
    parsed.add_argument("--venv", type=Path, default=Path(".venv"), help="of Python [.venv]")
    parsed.add_argument("--samples", help="samples that the start is given")
    parsed.add_argument("--verdicts", help="verdicts that the start is given")
    parsed.add_argument("--port", type=int, help="port that the cluster is given")
    parsed.add_argument("--json", action="store_true", help="print JSON instead of text")
    parsed.add_argument("--quiet", action="store_true", help="print only what is not ok")
    return parsed


def main() -> int:
    """Make the checks and print what they found; 0, or 3 if something is wrong."""
    wanted = parser().parse_args()
    start = Start(
        work=wanted.work.absolute(),
        venv=wanted.venv.absolute(),
        shell=dict(os.environ),
        samples=wanted.samples or None,
        verdicts=wanted.verdicts or None,
        port=wanted.port,
    )
    findings = examine(PLANS[wanted.what](start))
    if wanted.json:
        print(report.as_json(findings))
    elif wanted.quiet:
        _tell(findings)
    else:
        print("\n".join([*report.table(findings), "", report.summary(findings)]))
    return report.status(findings)


def _tell(findings: list[Finding]) -> None:
    """Before a start: nothing if all is well."""
    for line in report.table([one for one in findings if one.status != OK]):
        print(line, file=sys.stderr)
    if any(one.status == WRONG for one in findings):
        print(
            "So nothing is started. `make doctor` looks at all; SKIP_DOCTOR=1 starts all the same.",
            file=sys.stderr,
        )


if __name__ == "__main__":
    sys.exit(main())
