"""The oldest packages that the worker runs with. Imports nothing heavy: the probe and the worker read it alike."""

from __future__ import annotations

import re
from typing import Mapping

OLDEST: Mapping[str, tuple[int, int]] = {"torch": (2, 6), "transformers": (5, 0)}


def too_old(name: str, version: str) -> str | None:
    """What to say of a package that is too old; None for one that is new enough, or whose version nobody can read."""
    oldest = OLDEST.get(name)
    found = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if oldest is None or len(found) < 2 or found >= oldest:
        return None
    return f"{name} {version} is too old: {oldest[0]}.{oldest[1]} or newer is needed"
