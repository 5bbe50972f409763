"""Scripts of others that the viewer serves: `make vendor` fetches what vendor.toml names, with npm, and checks it.

To take a new version, name it there with the integrity that `npm view NAME@VERSION dist.integrity` prints, and run it:
it tells the digests that differ.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

VIEWER = Path(__file__).parents[2] / "consumers" / "strands_session_log_consumers" / "viewer"
VENDORED = VIEWER / "static" / "vendor"
BILL = VIEWER / "vendor.cdx.json"


class VendoredPackage(NamedTuple):
    """A package of npm, of which some files are served.

    Attributes:
        name: As npm has it.
        version: Likewise.
        license: By its SPDX identifier.
        integrity: Of the whole package, as npm tells it.
        files: What is taken of it, with the SHA-256 of each.
    """

    name: str
    version: str
    license: str
    integrity: str
    files: dict[str, str]

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return VENDORED / f"{self.name.replace('/', '-').lstrip('@')}-{self.version}"


def packages() -> list[VendoredPackage]:
    """What vendor.toml names."""
    toml: Any = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    return [VendoredPackage(**one) for one in toml.loads((VIEWER / "vendor.toml").read_text())["package"]]


def bill() -> str:
    """What vendor.toml names as a CycloneDX SBOM, which the wheel carries."""
    made = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "components": [_component(package) for package in packages()],
    }
    return json.dumps(made, indent=2) + "\n"


def _component(package: VendoredPackage) -> dict[str, Any]:
    sha512 = base64.b64decode(package.integrity.removeprefix("sha512-")).hex()
    url = f"pkg:npm/{package.name.replace('@', '%40')}@{package.version}"
    return {
        "type": "library",
        "bom-ref": url,
        "name": package.name,
        "version": package.version,
        "hashes": [{"alg": "SHA-512", "content": sha512}],
        "licenses": [{"license": {"id": package.license}}],
        "purl": url,
    }


def digest(content: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def integrity(content: bytes) -> str:
    """As npm tells it."""
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


def unpack(package: VendoredPackage, archive: Path) -> None:
    """Put the files of a package where they are served.

    Raises:
        SystemExit: When something is not what vendor.toml says.
    """
    if integrity(archive.read_bytes()) != package.integrity:
        sys.exit(f"{archive.name} is not what vendor.toml names: it is {integrity(archive.read_bytes())}")
    shutil.rmtree(package.folder, ignore_errors=True)
    package.folder.mkdir(parents=True)
    with tarfile.open(archive) as packed:
        for name, expected in package.files.items():
            member = packed.extractfile(f"package/{name}")
            content = member.read() if member else b""
            if digest(content) != expected:
                sys.exit(f"{name} of {archive.name} is not what vendor.toml names: it is {digest(content)}")
            (package.folder / Path(name).name).write_bytes(content)


def fetch(package: VendoredPackage) -> None:
    """Fetch a package from npm."""
    with TemporaryDirectory() as directory:
        named = f"{package.name}@{package.version}"
        subprocess.run(["npm", "pack", "--silent", named], cwd=directory, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(directory).iterdir()
        unpack(package, archive)


if __name__ == "__main__":
    for one in packages():
        fetch(one)
    BILL.write_text(bill())
