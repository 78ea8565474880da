"""Where a module's file comes from: the standard library, symbench, a released distribution, or anybody."""

from __future__ import annotations

import base64
import csv
import functools
import hashlib
import os
import re
import stat
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Origin = Literal["standard", "ours", "released", "foreign"]

PACKAGE = Path(__file__).resolve().parents[2]
SITES = ("site-packages", "dist-packages")
"""Folders that distributions are installed in."""
STANDARD = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib"))
OF_THE_INSTALLATION = re.compile(r"^\.\.|\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json)$|\.pyc$")
"""Files of a distribution that differ from one environment to the next: scripts name their interpreter."""


def origin_of(file: Path) -> Origin:
    """Whose code a file is: symbench's, a release's, the standard library's, or anybody's (``foreign``).

    A file below ``site-packages`` that no distribution lists is anybody's: somebody has put it there by hand.
    """
    # site-packages lies within the standard library's folder on most systems: it has to be asked about first.
    if file.is_relative_to(PACKAGE):
        return "ours"
    if any(part in SITES for part in file.parts):
        return "foreign" if distribution_of(file) is None else "released"
    return "standard" if any(file.is_relative_to(folder) for folder in STANDARD) else "foreign"


@dataclass(frozen=True)
class Distribution:
    """An installed distribution, by its ``.dist-info`` folder.

    Attributes:
        info: the folder.
        files: SHA-256 in base64, as in ``RECORD``, of every file that has one, by its path below ``site-packages``.
    """

    info: Path
    files: dict[str, str]

    @property
    def site(self) -> Path:
        """The ``site-packages`` folder that it is installed in."""
        return self.info.parent

    @property
    def name(self) -> str:
        """Its name, such as ``torch``."""
        return self.info.name.rpartition(".")[0].rpartition("-")[0]

    @property
    def version(self) -> str:
        """Its version, such as ``2.14.1``."""
        return self.info.name.rpartition(".")[0].rpartition("-")[2]

    def document(self) -> dict[str, Any]:
        """Its version, the digest of its list of files, and the files that are not what the list says."""
        # The version alone is not enough: builds of one version differ, as torch's for CPU and CUDA do.
        lines = sorted(f"{path} {sha256}" for path, sha256 in self.files.items())
        document: dict[str, Any] = {"version": self.version}
        document["files"] = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        edited = self.edited()
        return {**document, "edited": edited} if edited else document

    def edited(self) -> dict[str, str]:
        """Those of its files that this process has loaded and that were edited in place, with their SHA-256.

        A file that is older than the list, by the time that no tool can set, is as it was installed. Others are read:
        a copied environment has younger files, which are most likely the same.
        """
        settled, edited = (self.info / "RECORD").stat().st_ctime_ns, {}
        for path in _loaded_files(self.site, tuple(sys.path), tuple(sys.modules)):
            expected = self.files.get(path)
            written = None if expected is None else _written(f"{self.site}/{path}")
            if written is None or written <= settled:
                continue
            sha256 = hashlib.sha256((self.site / path).read_bytes()).digest()
            if base64.urlsafe_b64encode(sha256).decode().rstrip("=") != expected:
                edited[path] = sha256.hex()
        return dict(sorted(edited.items()))


def distribution_of(file: Path) -> Distribution | None:
    """The installed distribution that lists a file; None where none does, as for what is installed to be edited."""
    sites = [folder for folder in file.parents if folder.name in SITES]
    if not sites:
        return None
    path = file.relative_to(sites[0]).as_posix()
    candidates = map(_distribution, _by_top(sites[0]).get(path.partition("/")[0], []))
    return next((distribution for distribution in candidates if path in distribution.files), None)


def installed(top: str) -> Distribution | None:
    """The distribution of a loaded top-level package; None where it is no installed one."""
    file = file_of(sys.modules.get(top))
    return None if file is None else distribution_of(file)


def file_of(module: object) -> Path | None:
    """The file that a loaded module was made from; None where there is none, as for namespaces and lazy ones."""
    name = _named(module)
    return Path(name).resolve() if name is not None and Path(name).is_absolute() else None


def made_from(files: Iterable[Path]) -> set[str]:
    """The names of the loaded modules that were made from one of these files, by whatever path."""
    # by what the system tells files by: to resolve the paths of thousands of modules takes a third of a second
    numbers = {_number(str(file)) for file in files} - {None}
    return {name for name, module in list(sys.modules.items()) if _number(_named(module)) in numbers}


def _named(module: object) -> str | None:
    """The path that a module says it was made from."""
    # vars() and not getattr: a module with a ``__getattr__`` of its own answers what it likes, or imports something.
    name = vars(module).get("__file__") if hasattr(module, "__dict__") else None
    return name if isinstance(name, str) else None


def _number(file: str | None) -> tuple[int, int] | None:
    """By what the system tells a file from others, whatever paths lead to it; None where there is none."""
    if file is None or not os.path.isabs(file):  # noqa: PTH117
        return None
    try:
        status = os.stat(file)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


@functools.cache
def _by_top(site: Path) -> dict[str, list[Path]]:
    """The ``.dist-info`` folders of every first part of a path below ``site-packages``."""
    # Only where paths begin is wanted, of some 100,000 lines: a RECORD is parsed once somebody asks for its files.
    folders: dict[str, list[Path]] = {}
    for record in sorted(site.glob("*.dist-info/RECORD")):
        text = record.read_text(encoding="utf-8", errors="replace")
        for top in sorted(set(re.findall(r"^([^/,\n]+)", text, re.MULTILINE))):
            folders.setdefault(top, []).append(record.parent)
    return folders


@functools.cache
def _distribution(info: Path) -> Distribution:
    """A distribution as its ``RECORD`` lists it."""
    files = {}
    with (info / "RECORD").open(encoding="utf-8", errors="replace", newline="") as lines:
        for row in csv.reader(lines):
            if len(row) == 3 and row[1].startswith("sha256=") and not OF_THE_INSTALLATION.search(row[0]):
                files[row[0]] = row[1].removeprefix("sha256=")
    return Distribution(info, files)


def _written(file: str) -> int | None:
    """When a file was last written or moved into its place, in nanoseconds; None where there is none."""
    # by names and not by paths: thousands of them are asked for, for every model
    try:
        status = os.stat(file)  # noqa: PTH116
    except OSError:
        return None
    return max(status.st_ctime_ns, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


@functools.lru_cache(maxsize=2)
def _loaded_files(site: Path, path: tuple[str, ...], modules: tuple[str, ...]) -> list[str]:
    """The files below ``site-packages`` that loaded modules say they were made from, relative to it."""
    # resolving thousands of files takes longer than looking at them: only the folders on the path are resolved
    prefixes = (f"{site}/", *(f"{folder}/" for folder in path if folder and Path(folder).resolve() == site))
    files: dict[str, None] = {}
    for module in map(sys.modules.get, modules):
        file = _named(module)
        if file is not None and file.startswith(prefixes):
            below = next(file.removeprefix(prefix) for prefix in prefixes if file.startswith(prefix))
            files[below] = None
    return list(files)
