"""The worker and a bare loop in turn on one loaded model: `paired_loop.py RUNNER KIT`, a work order on standard input.

Two processes differ from each other by more than a worker may cost, and so do two minutes of a shared host. Here both
loops have the same model, the same pages and the same threads, and take turns request by request: worker, bare, bare,
worker, … A request of the worker is all of its work between two requests: prompt, loop, event, stop rule. Prints the
seconds of each pair, `[worker, bare]`, as a JSON list.
"""

import json
import os
import sys
import time

out = os.dup(1)
os.dup2(2, 1)
sys.dont_write_bytecode = True
sys.path[:0] = sys.argv[1:3]
from bare_loop import timed
from bench_prompts import RandomPrompts
from bench_protocol import EventChannel
from bench_worker import run_requests
from torch_worker.program import import_engine


class InTurn:
    """The engine of the worker; beside each request that it is given, the bare loop runs one of its own."""

    def __init__(self, engine, loop, events):
        self.pairs = []
        self._engine = engine
        self._loop = loop
        self._events = events
        self._returned = time.perf_counter()

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def generate(self, prompts, generated):
        def bare():
            return timed(self._loop, self._engine._model, len(self.pairs), len(prompts[0]), generated)

        # What the kit did since the last request belongs to this one.
        own = time.perf_counter() - self._returned
        bare_first = len(self.pairs) % 2 == 1
        theirs = bare() if bare_first else 0.0
        began = time.perf_counter()
        result = self._engine.generate(prompts, generated)
        own += time.perf_counter() - began
        if not bare_first:
            theirs = bare()
        self.pairs.append([own, theirs])
        os.read(self._events, 1 << 16)
        self._returned = time.perf_counter()
        return result


order = json.load(sys.stdin)
cell = order["cell"]
engine = import_engine(order).load(order)
# A real pipe, as the harness gives, emptied between requests: an event is smaller than it.
reading, writing = os.pipe()
os.write(writing, b"\n")
paired = InTurn(engine, cell["settings"]["loop"], reading)
run_requests(order, paired, RandomPrompts(order, engine.vocabulary), EventChannel(writing).send)
os.write(out, json.dumps(paired.pairs[-int(cell["stop"]["maxRequests"]) :]).encode())
os._exit(0)
