"""Takes damaged packages out of the virtual environment it runs in: `mend.py [--without NAME+LOCAL]…`.

An installer goes by names and versions: what is there by name it leaves alone, whole or not. A package is damaged when a
file that its RECORD lists is missing or has other bytes, or when it has no RECORD, because its installer was killed.
`--without torch+cpu` also takes out a package of that build, which an installer would take for the one asked for.

Prints one JSON object: the packages that it took out. Ends with 3 where it takes out nothing, because the installer
itself is damaged. Standard library only.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Iterator, NamedTuple

INSTALLER = "pip"
INSTALLER_DAMAGED = 3


class Entry(NamedTuple):
    """A line of a RECORD; empty texts where it tells nothing (compiled files, the RECORD itself)."""

    path: Path
    digest: str
    size: str


class Package(NamedTuple):
    name: str
    version: str
    info: Path
    entries: tuple[Entry, ...] | None
    """None: no RECORD."""


def site_folders() -> list[Path]:
    return sorted({Path(sysconfig.get_path(key)).resolve() for key in ("purelib", "platlib")})


def packages(site: Path) -> Iterator[Package]:
    for info in sorted(site.glob("*.dist-info")):
        name, _, version = info.name[: -len(".dist-info")].partition("-")
        yield Package(name, version, info, read_record(site, info))


def read_record(site: Path, info: Path) -> tuple[Entry, ...] | None:
    try:
        with open(info / "RECORD", encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if len(row) == 3]
    except (OSError, ValueError, csv.Error):
        return None
    if not rows or not (info / "METADATA").is_file():
        return None
    return tuple(Entry((site / path).resolve(), digest, size) for path, digest, size in rows)


def is_whole(entries: tuple[Entry, ...] | None) -> bool:
    return entries is not None and all(map(is_right, entries))


def is_right(entry: Entry) -> bool:
    if entry.path.suffix == ".pyc":
        return True  # made again when it is missing
    try:
        if entry.size and entry.path.stat().st_size != int(entry.size):
            return False
        if not entry.digest.startswith("sha256="):
            return entry.path.exists()
        return entry.digest == "sha256=" + sha256(entry.path)
    except (OSError, ValueError):
        return False


def sha256(path: Path) -> str:
    """As a RECORD writes it."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 22):
            digest.update(chunk)
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()


def take_out(package: Package, kept: set[Path]) -> None:
    """Deletes its files, but for those that another package lists, too, and nothing outside the environment."""
    inside = Path(sys.prefix).resolve()
    for entry in package.entries or ():
        if entry.path in kept or inside not in entry.path.parents:
            continue
        entry.path.unlink(missing_ok=True)
        for folder in entry.path.parents:
            if folder.name == "site-packages" or inside not in folder.parents:
                break
            try:
                folder.rmdir()
            except OSError:
                break  # not empty
    shutil.rmtree(package.info, ignore_errors=True)


def main() -> int:
    if sys.prefix == sys.base_prefix:
        sys.exit("mend.py: not in a virtual environment")
    arguments = sys.argv[1:]
    unwanted = {arguments[place + 1] for place, word in enumerate(arguments) if word == "--without"}
    removed: list[str] = []
    for site in site_folders():
        # What pip had moved aside when it was killed.
        for leftover in site.glob("~*"):
            shutil.rmtree(leftover, ignore_errors=True)
        found = list(packages(site))
        out = [
            package
            for package in found
            if not is_whole(package.entries) or f"{package.name}+{package.version.partition('+')[2]}" in unwanted
        ]
        if any(package.name == INSTALLER for package in out):
            return INSTALLER_DAMAGED
        gone = {package.info for package in out}
        kept = {entry.path for package in found if package.info not in gone for entry in package.entries or ()}
        for package in out:
            take_out(package, kept)
            removed.append(f"{package.name} {package.version}".strip())
    print(json.dumps({"removed": removed}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
