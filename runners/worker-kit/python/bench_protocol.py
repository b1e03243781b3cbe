"""The worker's side of the protocol: work order on standard input, events as JSON lines on file descriptor 3."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, Mapping

PROTOCOL_VERSION = 1
EVENT_FD = 3
RETRY_SECONDS = 0.001

now_ns = time.perf_counter_ns
"""The one clock of a worker, in integer nanoseconds."""


class WorkerFailure(Exception):
    """A failure with a code of harness/contract/errors.ts and one line that names the place."""

    def __init__(self, code: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = " ".join(message.split())
        self.details = dict(details or {})

    def to_wire(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message, "details": self.details}


class EventChannel:
    """Writes one JSON object a line, at once, so that nothing is lost when the process dies in the next instant."""

    def __init__(self, fd: int = EVENT_FD) -> None:
        self._fd = fd

    def send(self, event: Mapping[str, Any]) -> None:
        data = memoryview(json.dumps(event, separators=(",", ":"), allow_nan=False).encode() + b"\n")
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                # A pipe that its reader made non-blocking is full: the reader needs the time.
                time.sleep(RETRY_SECONDS)

    def fail(self, failure: WorkerFailure) -> None:
        self.send({"type": "failed", "error": failure.to_wire()})


def keep_standard_output_quiet() -> None:
    """Sends whatever an engine prints to standard error: libraries print banners, and native code prints, too."""
    sys.stdout.flush()
    os.dup2(2, 1)


def end_with_parent() -> None:
    """Asks the kernel (Linux) to end this process with the one that started it, so that none is left behind."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes
    import signal

    set_parent_death_signal = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>
    try:
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    except (OSError, AttributeError):
        pass  # a C library without prctl: the harness still ends the whole process group


def read_work_order() -> dict[str, Any]:
    """Waits for standard input to end; raises WorkerFailure PROTOCOL_VIOLATION for anything but a work order."""
    text = sys.stdin.buffer.read().decode("utf-8", "replace")
    try:
        order = json.loads(text)
    except ValueError as error:
        raise WorkerFailure("PROTOCOL_VIOLATION", f'standard input is not a work order: "{text[:40]}"') from error
    problem = _order_problem(order)
    if problem is not None:
        raise WorkerFailure("PROTOCOL_VIOLATION", f"work order of protocol {PROTOCOL_VERSION} is invalid at {problem}")
    return order


_PARTS: dict[str, tuple[str, ...]] = {
    "cell": ("format", "runner", "kernel", "deviceKind", "isa", "workload", "settings", "stop", "rounds", "promptSeed"),
    "cell.workload": ("promptTokens", "generatedTokens", "batch", "concurrency", "prefixCache"),
    "cell.settings": ("threads", "mmap", "flashAttention", "loop"),
    "cell.stop": (
        "warmupMinRequests",
        "warmupMaxRequests",
        "minRequests",
        "maxRequests",
        "minSeconds",
        "relativeHalfWidth",
        "budgetSeconds",
    ),
}
"""The fields that Python workers use. The harness has checked the whole order before it is sent."""


def _order_problem(order: Any) -> str | None:
    if not isinstance(order, dict):
        return "(top): not an object"
    if order.get("protocol") != PROTOCOL_VERSION:
        return "protocol: another version"
    for key in ("round", "weightsPath", "promptsPath"):
        if key not in order:
            return f"{key}: missing"
    for place, keys in _PARTS.items():
        part: Any = order
        for step in place.split("."):
            part = part.get(step) if isinstance(part, dict) else None
        if not isinstance(part, dict):
            return f"{place}: not an object"
        for key in keys:
            if key not in part:
                return f"{place}.{key}: missing"
    return None
