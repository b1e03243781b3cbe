"""Made-up times without PyTorch, to test the protocol with any Python 3.10. No runner of bench uses it."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Mapping, Sequence

from bench_prompts import Vocabulary
from bench_protocol import WorkerFailure
from bench_worker import Facts, Result


class SimulatedProgram:
    """Prints on standard output while it is imported, as engines do."""

    runner_version = "simulated 1"

    def __init__(self, order: Mapping[str, Any]) -> None:
        print("noise of an engine while it is imported")
        os.write(1, b'{"type":"done","tNs":0,"stopped":"enough"}\n')
        if _knob(order, "import_error"):
            raise WorkerFailure("PYTHON_MISSING", f"torch cannot be imported ({sys.executable}): run `bench setup python`")

    def load(self, order: Mapping[str, Any]) -> SimulatedEngine:
        if _knob(order, "does_not_fit"):
            raise MemoryError
        return SimulatedEngine(order)

    def as_failure(self, error: BaseException) -> WorkerFailure | None:
        return None


def _knob(order: Mapping[str, Any], name: str) -> float:
    return float(order["cell"]["settings"].get("simulate", {}).get(name, 0))


class SimulatedEngine:
    """A clock of its own: a simulated hour takes no time."""

    def __init__(self, order: Mapping[str, Any]) -> None:
        self.facts = Facts(
            kernel="simulated",
            engine_build="simulated",
            dtype="fp16",
            isa="scalar",
            weights_bytes=1_000_000,
            parameters=500_000,
            effective={
                name: value
                for name, value in order["cell"]["settings"].items()
                if isinstance(value, (str, int, float, bool))
            },
            caveats=["simulated"],
        )
        self.vocabulary = Vocabulary(32_000, lambda _: False)
        self.context_tokens = int(order["cell"]["settings"]["contextTokens"])
        self._decode_ns = int(_knob(order, "decode_us_per_token") * 1000) or 10_000_000
        self._fail_at = order["cell"]["settings"].get("simulate", {}).get("fail_at")
        self._hang = _knob(order, "hang")
        self._check_seconds = _knob(order, "check_s")
        self._now_ns = 0
        self._requests = 0
        self._prefix = 0

    def prime(self, prefix: Sequence[int]) -> None:
        self._prefix = len(prefix)

    def check(self) -> None:
        time.sleep(self._check_seconds)

    def memory(self) -> Mapping[str, int]:
        return {"vram_allocated_peak_bytes": 1_000, "vram_reserved_peak_bytes": 2_000}

    def generate(self, prompts: Sequence[Sequence[int]], generated_tokens: int) -> Result:
        print("noise of an engine in a request")
        if self._fail_at == self._requests:
            raise RuntimeError("a failure that was asked for\nwith a second line")
        if self._hang:
            time.sleep(3600)
        self._requests += 1
        start = self._now_ns
        times = [start + self._decode_ns * (step + 1) for step in range(generated_tokens)]
        self._now_ns = times[-1]
        tokens = [list(prompt[:1]) * generated_tokens for prompt in prompts]
        return Result(start, times, len(prompts[0]) - self._prefix, self._prefix, tokens)

    def tokenize(self, text: str) -> Sequence[int]:
        return list(text.encode())

    def detokenize(self, tokens: Sequence[int]) -> str:
        return bytes(token % 256 for token in tokens).decode("utf-8", "replace")
