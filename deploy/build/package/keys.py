"""The key that a repository and a release are signed with, in a GnuPG home of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from deploy.build.package.programs import output
from deploy.common import atomic
from deploy.common.errors import BadKeyError
from deploy.common.shell import run

OWNER = "corpus-airflow repository"


class Keys:
    """GnuPG's home below a folder, never the user's. A context manager: its agent ends with it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._chosen = home / "chosen"

    def __enter__(self) -> Keys:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The agent listens in its home, and a socket's path may have 107 bytes.
        self._short = tempfile.TemporaryDirectory(prefix="gnupg-")
        link = Path(self._short.name, "home")
        link.symlink_to(self.home.resolve())
        self.environment: Mapping[str, str] = {"GNUPGHOME": str(link)}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._gpgconf("--kill", "gpg-agent")
        self._short.cleanup()

    @property
    def chosen(self) -> str:
        """The fingerprint of the key that signs."""
        return self._chosen.read_text().strip()

    def choose(self, file: Path | None = None) -> None:
        """Sign with the secret key in a file; without one with that of last time, or with a new one.

        Raises `BadKeyError` if the file holds not exactly one secret key.
        """
        if file is None:
            if not self._chosen.is_file():
                self._gpg(
                    "--passphrase", "", "--quick-generate-key", OWNER, "ed25519", "sign", "never"
                )
                self._note(self._gpg("--with-colons", "--list-secret-keys"))
            return
        if not file.is_file():
            raise BadKeyError(
                f"KEY={file} is no file: export a key by `gpg --armor --export-secret-keys ID`."
            )
        self._note(
            self._gpg("--with-colons", "--import-options", "show-only", "--import", str(file)), file
        )
        self._gpg("--import", str(file))

    def exported(self) -> str:
        """The public key, as signed-by takes it."""
        return self._gpg("--armor", "--export", self.chosen)

    def sign(self, file: Path) -> Path:
        """A detached signature beside a file."""
        signature = file.with_name(f"{file.name}.asc")
        with atomic.replacing(signature) as new:
            chosen = ("-u", self.chosen, "--output", str(new))
            self._gpg("--armor", *chosen, "--detach-sign", str(file))
        return signature

    def _note(self, listing: str, file: Path | None = None) -> None:
        lines = [line.split(":") for line in listing.splitlines()]
        primary = [lines[n + 1][9] for n, line in enumerate(lines) if line[0] == "sec"]
        if len(primary) != 1:
            raise BadKeyError(
                f"{file or self.home} holds {len(primary)} secret keys, and one signs a repository: export that one by "
                "`gpg --armor --export-secret-keys ID`."
            )
        self._chosen.write_text(f"{primary[0]}\n")

    def _gpg(self, *words: str) -> str:
        return output("gpg", "--batch", "--quiet", "--no-tty", *words, environment=self.environment)

    def _gpgconf(self, *words: str) -> None:
        run(["gpgconf", "--homedir", self.environment["GNUPGHOME"], *words])
