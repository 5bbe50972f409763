"""Copies this virtual environment, its interpreter, and every library they load into a directory, to be an image.

No shell and no installer come along. Usage: VENV/bin/python .ci/gather.py DIRECTORY
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

_INSTALLERS = ("pip", "pip-*", "pip3*", "setuptools", "setuptools-*", "ensurepip")
_LEFT_OUT = (*_INSTALLERS, "idlelib", "lib2to3", "test", "tkinter", "config-3*")
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_FILES = {
    "etc/passwd": "session-log:x:10001:10001::/tmp:/nonexistent\n",
    "etc/group": "session-log:x:10001:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
    "etc/ld.so.conf": "/usr/local/lib\n",
}


def main(image: Path) -> None:
    """Fill the directory; `/session-log` in it is the command."""
    venv, library = Path(sys.prefix), Path(sysconfig.get_path("stdlib"))
    _copy(venv, image, *_LEFT_OUT)
    # The interpreter's own packages are pip's.
    _copy(library, image, *_LEFT_OUT, "site-packages")
    for link in (venv / "bin").glob("python*"):
        _follow(link, image)
    for loaded in _loaded_by([Path(sys.executable).resolve(), *venv.rglob("*.so*"), *library.rglob("*.so*")]):
        _put(loaded, image)
    if _CERTIFICATES.exists():
        _put(_CERTIFICATES, image)
    for name, text in _FILES.items():
        (image / name).parent.mkdir(parents=True, exist_ok=True)
        (image / name).write_text(text)
    (image / "tmp").mkdir(exist_ok=True)
    (image / "tmp").chmod(0o1777)
    (image / "session-log").symlink_to(venv / "bin" / "session-log")
    subprocess.run(["/sbin/ldconfig", "-r", image], check=True)


def _copy(tree: Path, image: Path, *left_out: str) -> None:
    shutil.copytree(tree, _place(tree, image), symlinks=True, ignore=shutil.ignore_patterns(*left_out))


def _follow(link: Path, image: Path) -> None:
    """A file, and every link on the way to it."""
    while link.is_symlink():
        place = _place(link, image)
        if not place.is_symlink():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(link.readlink())
        link = link.parent / link.readlink()
    _put(link, image)


def _loaded_by(files: list[Path]) -> Iterator[Path]:
    told = subprocess.run(["ldd", *files], capture_output=True, text=True, check=False).stdout
    paths = {Path(path) for path in re.findall(r"(/\S+) \(0x", told)}
    yield from paths
    # Older C libraries load at need what finds hosts.
    for folder in {path.parent for path in paths if path.name == "libc.so.6"}:
        yield from folder.glob("libnss_*.so.2")
        yield from folder.glob("libresolv.so.2")


def _put(path: Path, image: Path) -> None:
    place = _place(path, image)
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, place)


def _place(path: Path, image: Path) -> Path:
    return image / path.relative_to("/")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
