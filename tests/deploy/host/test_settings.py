"""host.toml: what is wrong in it is named, and what the package ships says the defaults."""

from __future__ import annotations

import re
import tomllib
from dataclasses import asdict
from pathlib import Path

import pytest

from deploy.common.errors import BadInputError
from deploy.host.settings import Settings
from tests.deploy.host.conftest import Host

pytestmark = pytest.mark.fast

REPO = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[releases]\nkep = 3", "There is no setting releases.kep; did you mean releases.kept?"),
        ("[release]\nkept = 3", "There is no setting release; did you mean releases?"),
        ("[logs]\nxyz = 3", "There is no setting logs.xyz; there are folder, days, max_gb."),
        ("kept = 3", "There is no setting kept"),
        ("releases = 3", r"releases is to be a table: write \[releases\]"),
        ("[releases]\nkept = '3'", "releases.kept is to be a whole number, and is '3'"),
        ("[releases]\nkept = 0", "releases.kept is to be 1 to 1000000000, and is 0"),
        ("[releases]\nkept = true", "releases.kept is to be a whole number, and is True"),
        ("[logs]\ndays = 1.5", "logs.days is to be a whole number, and is 1.5"),
        ("[logs]\nmax_gb = -1", "logs.max_gb is to be 0 to 1000000000, and is -1"),
        ("[logs]\nmax_gb = nan", "logs.max_gb is to be 0 to 1000000000, and is nan"),
        ("[logs]\nmax_gb = inf", "logs.max_gb is to be 0 to 1000000000, and is inf"),
        (f"[logs]\ndays = {2**70}", f"logs.days is to be 0 to 36500, and is {2**70}"),
        ("[images]\ncheck_s = 90000", "images.check_s is to be 0 to 86400"),
        ("[logs]\nfolder = 'logs'", "logs.folder is to be an absolute path, and is 'logs'"),
        ("[reaper]\nenabled = 1", "reaper.enabled is to be true or false, and is 1"),
        ("[images]\nairflow = 3", "images.airflow is to be a string, and is 3"),
        ("[releases", "is no TOML"),
    ],
)
def test_a_mistake_is_named_with_its_file(tmp_path: Path, text: str, told: str):
    file = tmp_path / "host.toml"
    file.write_text(text)
    with pytest.raises(BadInputError, match=told) as caught:
        Settings.load(file)
    assert str(file) in str(caught.value)


def test_a_file_that_was_named_must_be_there(tmp_path: Path):
    with pytest.raises(BadInputError, match="There is no file of settings"):
        Settings.load(tmp_path / "host.toml")


def test_numbers_and_paths_are_read(tmp_path: Path):
    file = tmp_path / "host.toml"
    file.write_text("[logs]\nfolder = '/srv/logs'\nmax_gb = 5\n")
    logs = Settings.load(file).logs
    assert (logs.folder, logs.max_gb, logs.days) == (Path("/srv/logs"), 5.0, 90)


def test_the_shipped_file_has_every_setting_with_its_default():
    text = (REPO / "debian" / "host.toml").read_text()
    assert tomllib.loads(text).keys() == asdict(Settings()).keys()
    assert Settings.of(tomllib.loads(text)) == Settings()
    shown = re.sub(r"(?m)^#([a-z_]+ = )", r"\1", text)
    found = Settings.of(tomllib.loads(shown))
    assert found == Settings()
    assert {name: set(table) for name, table in tomllib.loads(shown).items()} == {
        name: set(table) for name, table in asdict(found).items()
    }


def test_a_mistake_ends_the_command_in_a_line(host: Host, capsys: pytest.CaptureFixture[str]):
    host.set("releases", kep=3)
    assert host("status") == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert "did you mean releases.kept?" in told[0]


def test_every_setting_is_in_the_manual_page_with_its_default():
    page = (REPO / "debian" / "corpus-airflow.8").read_text().replace("\\-", "-")
    for name, table in asdict(Settings()).items():
        for key, default in table.items():
            shown = {"": "empty", "0.0": "0", "True": "true"}.get(str(default), str(default))
            assert re.search(rf'(?m)^\.BR {name}\.{key} " \(("? ?)?{re.escape(shown)}', page), key
