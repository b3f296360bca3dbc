"""The files of the analysts' copy: versioned, read-only, with a link to the newest.

Each copy is a new file beside ``analytics_path``, such as ``analytics-20261123T091500123456Z-3f9a.duckdb``;
``analytics_path`` itself is a link that is replaced atomically. Whoever has an old file open keeps it, also after it is
removed. A ``.wal`` that somebody's writing session leaves beside a version is never read for the next one, because
DuckDB follows the link and looks for the log under the version's own name.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from autoflex_pipeline.errors import ConfigurationError
from autoflex_pipeline.settings import Settings

STAMP = "%Y%m%dT%H%M%S%fZ"
READ_ONLY = 0o444
KEPT_VERSIONS = 3
BUILDING = ".building"
LEAVINGS = (".wal", ".wal.checkpoint", ".wal.recovery", ".tmp")
"""What DuckDB puts beside a file that is open for writing."""


@dataclass(frozen=True, slots=True)
class Version:
    """One file of the analysts' copy that is there."""

    path: Path
    published_at: datetime


def published_versions(settings: Settings) -> tuple[Version, ...]:
    """The versions that are there, newest first."""
    link = settings.warehouse.analytics_path
    versions = [
        Version(path, datetime.strptime(match["stamp"], STAMP).replace(tzinfo=UTC))
        for path, match in _files(link)
        if not match["leaving"]
    ]
    return tuple(sorted(versions, key=lambda version: version.path.name, reverse=True))


def check_analytics_path(settings: Settings) -> None:
    """ConfigurationError where the copy would replace a folder or one of the pipeline's own files."""
    link = settings.warehouse.analytics_path
    own = (settings.warehouse.path.resolve(), settings.warehouse.state_path.resolve())
    if link.is_dir():
        raise ConfigurationError(f"warehouse.analytics_path {link} is a folder; name a file in it")
    if link.resolve() in own or link.parent.resolve() / link.name in own:
        raise ConfigurationError(
            f"warehouse.analytics_path {link} is the pipeline's own file; give the analysts' copy a path of its own"
        )


def new_version(link: Path, now: datetime) -> Path:
    """The path of a version made at ``now``."""
    stamp = now.astimezone(UTC).strftime(STAMP)
    return link.with_name(f"{link.stem}-{stamp}-{secrets.token_hex(4)}{link.suffix}")


def building_path(link: Path) -> Path:
    """Where the next version is made, under a name that nobody takes for a finished one."""
    return link.with_name(f".{link.name}{BUILDING}")


def release(building: Path, version: Path, link: Path) -> None:
    """Make a finished file the newest version: durable first, then named, then linked, each step atomic."""
    sync(building)
    building.chmod(READ_ONLY)
    building.rename(version)
    new_link = link.with_name(f".{link.name}.link")
    new_link.unlink(missing_ok=True)
    new_link.symlink_to(version.name)
    new_link.replace(link)
    sync(link.parent)


def remove_old(settings: Settings) -> None:
    """Remove all but the newest versions, and what writing sessions left of the removed ones."""
    link = settings.warehouse.analytics_path
    current = link.resolve()
    for version in published_versions(settings)[KEPT_VERSIONS:]:
        if version.path.resolve() != current:
            version.path.unlink(missing_ok=True)
    for path, match in _files(link):
        if match["leaving"] and not path.with_name(match["version"]).exists():
            _remove(path)
    # Left by a session that wrote to a plain file at this path, before it was a link.
    link.with_name(link.name + ".wal").unlink(missing_ok=True)


def remove_with_leavings(path: Path) -> None:
    """Remove a DuckDB file with its logs and its spill folder, as far as they are there."""
    for leaving in ("", *LEAVINGS):
        _remove(path.with_name(path.name + leaving))


def _files(link: Path) -> list[tuple[Path, re.Match[str]]]:
    """The versions beside ``link`` and what lies beside them: group ``leaving`` is empty for a version itself."""
    if not link.parent.is_dir():
        return []
    stem, suffix = re.escape(link.stem), re.escape(link.suffix)
    leavings = "|".join(re.escape(leaving) for leaving in LEAVINGS)
    pattern = re.compile(
        rf"(?P<version>{stem}-(?P<stamp>\d{{8}}T\d{{12}}Z)-[0-9a-f]{{8}}{suffix})(?P<leaving>{leavings})?"
    )
    return [(path, match) for path in link.parent.iterdir() if (match := pattern.fullmatch(path.name))]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
