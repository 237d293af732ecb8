"""What keeps a package from being made.

PackageError
    BadSource       the checkout does not say what to build
    ToolsMissing    programs or packages that a build needs are not installed
    BadPackage      a file is no package of ours, or another build of a version that was published
    BadKey          a file holds no key to sign with
    ProgramFailed   one of Debian's programs ended with an error

Programs that end with an error raise `deploy.build.images.errors.Failed`; a version that cannot be told or read
raises what `corpus.contract.version` does.
"""

from __future__ import annotations


class PackageError(Exception):
    """Base of this package's errors: a message that says what to do."""


class BadSource(PackageError):
    pass


class ToolsMissing(PackageError):
    pass


class BadPackage(PackageError):
    pass


class BadKey(PackageError):
    pass


class ProgramFailed(PackageError):
    pass
