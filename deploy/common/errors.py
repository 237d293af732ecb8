"""The errors of all of deploy, on one tree: what a person is told, and the status a command ends with.

DeployError                      1
├── BadInputError                2    what was typed, a setting, or a file that a person wrote
├── DamagedError                 3    files are not those that were built
├── UnavailableError            75    what is needed does not answer; nothing was changed, and it may work later
│   ├── AnswerError             75    Airflow's API answered with an HTTP error
│   └── ProgramMissingError     75    a program is not installed
├── ProgramError                 1    a program ended with an error
├── HostError                    1    the host command cannot do what was asked
│   └── UnrecordedError          1    a release is current, and the history does not say so
├── BuildError                   1    an image or a package cannot be built
│   ├── NoClientError            1    no docker client here can build images
│   ├── ToolsMissingError        1    programs or packages that a build needs are not installed
│   ├── BadSourceError           1    the checkout does not say what to build
│   ├── BadPackageError          1    a file is not a package of ours, or another build of a published version
│   └── BadKeyError              1    a file does not hold a key to sign with
├── LocalError                   1    Airflow on this machine cannot do what was asked
│   ├── ClusterError             1    ... the cluster
│   ├── StartError               1    ... the embedded one did not come up
│   ├── DagNotParsedError        1    Airflow does not have a DAG
│   └── InputError               1    the input that was asked for does not fit what the work folder holds
├── HealthError                  1    deploy.container.health: a part of the cluster does not do its work
└── InitError                    1    deploy.container.init: the init job cannot go on

The errors of the two container packages are below them in their own modules.
"""

from __future__ import annotations

from pathlib import Path


class DeployError(Exception):
    """The message is shown to a person as it is; `status` is the exit status of the command."""

    status = 1


class BadInputError(DeployError):
    status = 2


class DamagedError(DeployError):
    status = 3


class UnavailableError(DeployError):
    # EX_TEMPFAIL of sysexits.h.
    status = 75


class AnswerError(UnavailableError):
    """Airflow's API answered with an HTTP error; `code` is the HTTP status."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class ProgramMissingError(UnavailableError):
    pass


class ProgramError(DeployError):
    """A program ended with an error.

    `ended` is the exit status of the program, and `log` the file with its output, if it has one.
    """

    def __init__(self, message: str, ended: int, log: Path | None = None) -> None:
        super().__init__(message)
        self.ended = ended
        self.log = log


class HostError(DeployError):
    pass


class UnrecordedError(HostError):
    pass


class BuildError(DeployError):
    pass


class NoClientError(BuildError):
    pass


class ToolsMissingError(BuildError):
    pass


class BadSourceError(BuildError):
    pass


class BadPackageError(BuildError):
    pass


class BadKeyError(BuildError):
    pass


class LocalError(DeployError):
    pass


class ClusterError(LocalError):
    pass


class StartError(LocalError):
    pass


class DagNotParsedError(LocalError):
    pass


class InputError(LocalError):
    pass


class HealthError(DeployError):
    pass


class InitError(DeployError):
    pass
