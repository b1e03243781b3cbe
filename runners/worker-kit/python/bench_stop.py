"""When warm-up and measuring end: a port of stop-rule.ts and median-interval.ts, checked against them by a test."""

from __future__ import annotations

import math
from typing import Any, Mapping, Sequence

COVERAGE = 0.95
STEADY_RATIO = 0.05
"""Two requests in a row whose latencies differ by no more than this are steady."""


def relative_half_width(values: Sequence[float]) -> float:
    """Half width of the distribution-free 95 % interval of the median, relative to it; infinity below 6 values."""
    ordered = sorted(values)
    count = len(ordered)
    rank = median_rank(count)
    if rank == 0:
        return math.inf
    middle = (ordered[count // 2] + ordered[(count - 1) // 2]) / 2
    if not middle > 0:
        return math.inf
    return (ordered[count - rank] - ordered[rank - 1]) / 2 / middle


def median_rank(count: int) -> int:
    """Largest k with 1 - 2 P(Binomial(count, 1/2) < k) >= 95 %; 0 when even the extremes do not cover."""
    probability = 0.5**count
    if probability == 0:
        return math.floor(count / 2 - 0.98 * math.sqrt(count))
    below = 0.0
    rank = 0
    while rank < count / 2:
        below += probability
        if 1 - 2 * below < COVERAGE:
            break
        probability *= (count - rank) / (rank + 1)
        rank += 1
    return rank


class StopRule:
    """Decides after every request whether another one is due. Times are milliseconds and come from outside."""

    def __init__(self, settings: Mapping[str, Any], start_ms: float) -> None:
        self._settings = settings
        self._start_ms = start_ms
        self._measure_start_ms = start_ms
        self._warmup_ms: list[float] = []
        self._latencies_ms: list[float] = []

    def is_warm(self, now_ms: float) -> bool:
        """Whether warm-up may end now. Asked before the first warm-up request, too."""
        done = len(self._warmup_ms)
        if done >= self._settings["warmupMaxRequests"]:
            return True
        if done > 0 and self._is_spent(now_ms):
            return True
        return bool(done >= self._settings["warmupMinRequests"] and self.is_steady)

    @property
    def is_steady(self) -> bool:
        """True when the last two warm-up requests took the same time; false with fewer than two."""
        if len(self._warmup_ms) < 2:
            return False
        before, last = self._warmup_ms[-2:]
        return abs(last - before) <= STEADY_RATIO * before

    def add_warmup(self, latency_ms: float) -> None:
        self._warmup_ms.append(latency_ms)

    def start_measuring(self, now_ms: float) -> None:
        self._measure_start_ms = now_ms

    def add(self, latency_ms: float, now_ms: float) -> str | None:
        """Why measuring ends now (`enough`, `max`, `budget`), or None when another request is due."""
        self._latencies_ms.append(latency_ms)
        done = len(self._latencies_ms)
        settings = self._settings
        enough_time = now_ms - self._measure_start_ms >= settings["minSeconds"] * 1000
        if (
            done >= settings["minRequests"]
            and enough_time
            and relative_half_width(self._latencies_ms) <= settings["relativeHalfWidth"]
        ):
            return "enough"
        if done >= settings["maxRequests"]:
            return "max"
        return "budget" if self._is_spent(now_ms) else None

    def _is_spent(self, now_ms: float) -> bool:
        return bool(now_ms - self._start_ms >= self._settings["budgetSeconds"] * 1000)
