"""Files for operators, by the programs that read them: `make test-deploy`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs" / "deploy"
COMPOSE = ROOT / "dashboards" / "compose.yaml"
TOKEN = "SESSION_LOG_VIEWER_TOKEN"
pytestmark = pytest.mark.deploy


def manifests() -> dict[str, dict[str, Any]]:
    found = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    return {f"{one['kind']} {one['metadata']['name']}": one for one in found}


@pytest.mark.parametrize("name", manifests())
def test_a_manifest_is_what_the_schema_of_kubernetes_allows(name: str) -> None:
    validate = pytest.importorskip("kubernetes_validate")
    newest = validate.latest_version()
    assert newest.startswith(validate.validate(manifests()[name], newest, strict=True))
    broken = {**manifests()[name], "spec": {"unknown": 1}}
    with pytest.raises(validate.ValidationError):
        validate.validate(broken, newest, strict=True)


def test_units_are_what_systemd_reads(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    here = str(Path(sys.executable).with_name("session-log"))
    for unit in [*DEPLOY.glob("*.service"), *DEPLOY.glob("*.timer")]:
        text = unit.read_text()
        (tmp_path / unit.name).write_text(text.replace("/opt/session-log/bin/session-log", here))
    units = sorted(map(str, tmp_path.iterdir()))
    command = ["systemd-analyze", "verify", "--man=no", *units]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if "session-log" in line]
    assert (done.returncode, said) == (0, []), done.stderr
    assert len(units) == 3


def compose(tmp_path: Path) -> tuple[list[str], Path]:
    """The client there is, and the file as it reads it: those of old know no name of a project."""
    for client in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(client[0]):
            said = subprocess.run([*client, "version"], capture_output=True, text=True, check=False)
            if said.returncode == 0:
                services = yaml.safe_load(COMPOSE.read_text())
                if "version 1." in said.stdout:
                    services = {"version": "3.8", **{key: one for key, one in services.items() if key != "name"}}
                file = tmp_path / COMPOSE.name
                file.write_text(json.dumps(services))
                return client, file
    pytest.skip("no client of compose here")


def test_compose_reads_its_file_and_asks_for_the_token(tmp_path: Path) -> None:
    client, file = compose(tmp_path)
    command = [*client, "--file", str(file), "--project-directory", str(COMPOSE.parent), "config"]
    path = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    without = subprocess.run(command, env=path, capture_output=True, text=True, check=False)
    assert without.returncode != 0
    assert "set it to a secret" in without.stderr
    told = {**path, TOKEN: "a-secret-of-some-length"}
    done = subprocess.run(command, env=told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) == set(yaml.safe_load(COMPOSE.read_text())["services"])
