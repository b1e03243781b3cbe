"""The whole life of a Python worker: order, `ready`, `loaded`, requests, `done`, or `failed` with a coded error.

A new engine in Python implements `EngineProgram` and `Engine` and calls `worker_main`. It reports times, never rates.
"""

from __future__ import annotations

import os
import sys
import traceback
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Protocol, Sequence

from bench_prompts import FilePrompts, RandomPrompts, Vocabulary, is_correct, shared_prefix
from bench_protocol import (
    PROTOCOL_VERSION,
    EventChannel,
    WorkerFailure,
    end_with_parent,
    keep_standard_output_quiet,
    now_ns,
    read_work_order,
)
from bench_stop import StopRule

Order = Mapping[str, Any]
Send = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Facts:
    """The fields of the `loaded` event, as the engine found them after loading."""

    kernel: str
    engine_build: str
    dtype: str
    isa: str
    weights_bytes: int | None
    parameters: int | None
    effective: dict[str, str | int | float | bool]
    caveats: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Result:
    """One finished request. Times in nanoseconds of `now_ns`; counts per sequence; tokens one list per sequence."""

    start_ns: int
    token_ns: list[int]
    evaluated_tokens: int
    cached_tokens: int
    tokens: Sequence[Sequence[int]]


class Engine(Protocol):
    """A model in memory that takes one request after the other."""

    facts: Facts
    vocabulary: Vocabulary
    context_tokens: int

    def prime(self, prefix: Sequence[int]) -> None:
        """Puts the shared prefix into the cache, once, before the first request."""

    def generate(self, prompts: Sequence[Sequence[int]], generated_tokens: int) -> Result:
        """Runs one request from an empty cache (but for the primed prefix)."""

    def check(self) -> None:
        """Raises NOT_A_NUMBER when the model computes nonsense. Called once, within the warm-up, untimed."""

    def memory(self) -> Mapping[str, int]:
        """Peaks of the framework's own allocator since the last call, by channel, in bytes; empty where it has none."""

    def tokenize(self, text: str) -> Sequence[int]: ...

    def detokenize(self, tokens: Sequence[int]) -> str: ...


class EngineProgram(Protocol):
    """An engine that is imported but has no model yet."""

    runner_version: str

    def load(self, order: Order) -> Engine: ...

    def as_failure(self, error: BaseException) -> WorkerFailure | None:
        """The coded form of an error of the engine, if it has one: out of memory above all."""


def worker_main(import_engine: Callable[[Order], EngineProgram]) -> None:
    """Never returns: ends the process with 0 after `done`, with 1 after `failed`.

    The process ends at once, without interpreter shut-down: tearing down a GPU context can take seconds, and a native
    library that aborts while it is torn down would turn a good round into a crash.
    """
    channel = EventChannel()
    try:
        os.fstat(3)
    except OSError:
        sys.stderr.write("file descriptor 3 is not open: a worker is started by `bench matrix`, not by hand\n")
        os._exit(2)
    end_with_parent()
    keep_standard_output_quiet()
    program: EngineProgram | None = None
    try:
        order = read_work_order()
        program = import_engine(order)
        _serve(order, program, channel.send)
        status = 0
    except BrokenPipeError:
        status = 1  # nobody listens any more
    except BaseException as error:  # noqa: BLE001 - whatever it is, the harness must hear of it
        traceback.print_exc()
        channel.fail(_as_failure(error, program))
        status = 1
    sys.stderr.flush()
    os._exit(status)


def _as_failure(error: BaseException, program: EngineProgram | None) -> WorkerFailure:
    if isinstance(error, WorkerFailure):
        return error
    known = program.as_failure(error) if program is not None else None
    if known is not None:
        return known
    if isinstance(error, MemoryError):
        return WorkerFailure("DOES_NOT_FIT", "memory of the host ran out")
    lines = str(error).strip().splitlines() or [""]
    return WorkerFailure("WORKER_CRASHED", f"{type(error).__name__}: {lines[0]}")


def _serve(order: Order, program: EngineProgram, send: Send) -> None:
    send(
        {
            "type": "ready",
            "tNs": now_ns(),
            "protocol": PROTOCOL_VERSION,
            "runnerVersion": program.runner_version,
        }
    )
    engine = program.load(order)
    loaded_ns = now_ns()
    # Prompts of a file are tokenized after the time is taken: that is no part of loading a model.
    if order["promptsPath"] is None:
        prompts: RandomPrompts | FilePrompts = RandomPrompts(order, engine.vocabulary)
    else:
        prompts = FilePrompts(order, engine.tokenize, engine.context_tokens)
    facts = engine.facts
    send(
        {
            "type": "loaded",
            "tNs": loaded_ns,
            "kernel": facts.kernel,
            "engineBuild": facts.engine_build,
            "dtype": facts.dtype,
            "isa": facts.isa,
            "weightsBytes": facts.weights_bytes,
            "parameters": facts.parameters,
            "effective": facts.effective,
            "caveats": [*facts.caveats, *(["prompt-text-short"] if prompts.cut else [])],
        }
    )
    _send_memory(engine, "load", send)
    stopped, caveats = run_requests(order, engine, prompts, send)
    send({"type": "done", "tNs": now_ns(), "stopped": stopped, "caveats": caveats})


def _send_memory(engine: Engine, phase: str, send: Send) -> None:
    for channel, peak in engine.memory().items():
        send({"type": "memory", "tNs": now_ns(), "channel": channel, "bytes": peak, "phase": phase})


def run_requests(
    order: Order, engine: Engine, prompts: RandomPrompts | FilePrompts, send: Send
) -> tuple[str, list[str]]:
    """Warm-up, then measured requests until the stop rule is met; returns why it stopped and what was seen."""
    workload, stop = order["cell"]["workload"], order["cell"]["stop"]
    generated = int(workload["generatedTokens"])
    prefix = shared_prefix(order, engine.vocabulary)
    if prefix:
        engine.prime(prefix)

    def one(phase: str, index: int) -> float:
        """Runs and reports one request; returns its latency in ms."""
        prompt = prompts.at(phase, index)
        result = engine.generate(prompt.sequences, generated)
        event: dict[str, Any] = {
            "type": "request",
            "phase": phase,
            "index": index,
            "lane": 0,
            "promptTokens": len(prompt.sequences[0]),
            "evaluatedTokens": result.evaluated_tokens,
            "cachedTokens": result.cached_tokens,
            "batch": len(prompt.sequences),
            "startNs": result.start_ns,
            "tokenNs": result.token_ns,
        }
        if prompt.judged:
            text = engine.detokenize(result.tokens[0])
            event |= {"text": text, "correct": is_correct(text, prompt.answer)}
        send(event)
        return (result.token_ns[-1] - result.start_ns) / 1e6

    warms_up = not StopRule(stop, 0).is_warm(0)
    if warms_up:
        send({"type": "phase", "tNs": now_ns(), "name": "warmup"})
    # The first pass of a kernel can compile for minutes: the budget is for requests, and begins after it.
    engine.check()
    rule = StopRule(stop, now_ns() / 1e6)
    if warms_up:
        index = 0
        while not rule.is_warm(now_ns() / 1e6):
            rule.add_warmup(one("warmup", index))
            index += 1
        _send_memory(engine, "warmup", send)
    unsteady = stop["warmupMaxRequests"] > 0 and not rule.is_steady

    send({"type": "phase", "tNs": now_ns(), "name": "measure"})
    rule.start_measuring(now_ns() / 1e6)
    stopped: str | None = None
    index = 0
    while stopped is None:
        stopped = rule.add(one("measure", index), now_ns() / 1e6)
        index += 1
    _send_memory(engine, "measure", send)
    return stopped, ["unsteady-warmup"] if unsteady else []
