"""What a release is made of: built from nothing but the sources, whole, and with a list of what others made of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import strands_session_log
from support.manual import MANUAL, manual
from support.vendor import BILL, bill

ROOT = Path(__file__).parents[2]
PACKAGES = ("src/strands_session_log/", "consumers/strands_session_log_consumers/")
BUILD = """
import sys
from hatchling import build
build.build_wheel(sys.argv[1])
"""


def sources() -> list[str]:
    """What is in the repository, or would be: what git ignores is not."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git repository")
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def sent_to_docker(name: str) -> bool:
    """Whether `docker build` sends a file: what the last line of .dockerignore says that fits it, or its folder."""
    is_sent = True
    for line in (ROOT / ".dockerignore").read_text().split():
        if any(fnmatch(str(path), line.removeprefix("!")) for path in (Path(name), *Path(name).parents)):
            is_sent = line.startswith("!")
    return is_sent


def built(place: Path, umask: int, modified: int) -> Path:
    """The wheel as an image builds it, of files with times and permissions of their own; `make dist` has the sdist."""
    for name in filter(sent_to_docker, sources()):
        copy = place / "source" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy)
        copy.chmod((0o777 if os.access(ROOT / name, os.X_OK) else 0o666) & ~umask)
        os.utime(copy, (modified, modified))
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1767225600"}
    command = [sys.executable, "-c", BUILD, str(place)]
    subprocess.run(command, cwd=place / "source", env=environment, check=True, capture_output=True)
    (wheel,) = place.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("first"), 0o022, 1_700_000_000)


def test_two_builds_of_the_same_sources_are_the_same_to_the_byte(wheel: Path, tmp_path: Path) -> None:
    again = built(tmp_path, 0o077, 1_600_000_000)
    assert (again.name, again.read_bytes()) == (wheel.name, wheel.read_bytes())


def test_the_wheel_has_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    packed = zipfile.ZipFile(wheel).namelist()
    about = f"strands_session_log-{strands_session_log.__version__}"
    assert {name for name in packed if not name.startswith(about)} == {
        name.partition("/")[2] for name in sources() if name.startswith(PACKAGES)
    }
    assert f"{about}.dist-info/sboms/{BILL.name}" in packed


def test_the_wheel_has_a_command_that_runs_under_both_its_names_and_its_manual(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    (about,) = tmp_path.glob("*.dist-info")
    (manual_page,) = tmp_path.glob("*.data/data/share/man/man1/session-log.1")
    assert manual_page.read_text() == MANUAL.read_text()
    commands = [line for line in (about / "entry_points.txt").read_text().splitlines() if line.endswith("cli:main")]
    assert commands == [f"{name} = strands_session_log.cli:main" for name in ("session-log", "strands-session-log")]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    where = "import strands_session_log.cli as cli, sys; sys.argv[1:] = ['--version']; print(cli.__file__); cli.main()"
    done = subprocess.run([sys.executable, "-c", where], env=environment, capture_output=True, text=True, check=False)
    file, version = done.stdout.splitlines()
    assert Path(file).is_relative_to(tmp_path)
    assert version == f"session-log {strands_session_log.__version__}"


def test_the_manual_says_what_the_commands_say() -> None:
    assert MANUAL.read_text() == manual(), "run make man"


def test_the_bill_of_the_scripts_of_others_is_what_vendor_toml_names() -> None:
    assert BILL.read_text() == bill(), "run make vendor"


def test_the_bill_of_the_scripts_of_others_is_valid_cyclonedx() -> None:
    assert json.loads(BILL.read_text())["components"]
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(BILL.read_text()) is None
