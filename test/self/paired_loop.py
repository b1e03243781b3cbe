"""The worker and bare loops in turn on one loaded model: `paired_loop.py RUNNER KIT`, a work order on standard input.

Two processes differ from each other by more than a worker may cost, and so do two minutes of a shared host. Here all
loops have the same model, the same pages and the same threads, and take turns request by request, in every order alike.
A request of the worker is all of its work between two requests: prompt, loop, event, stop rule. Prints the seconds of
each turn as a JSON list: `[worker, the bare loop of the same kind, the bare loop of the other kind]`.
"""

import itertools
import json
import os
import sys
import time

ORDERS = list(itertools.permutations((0, 1, 2)))
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
    """The engine of the worker; beside each request that it is given, the bare loops run one of their own."""

    def __init__(self, engine, loop, events):
        self.turns = []
        self._engine = engine
        self._loops = (loop, "generate" if loop == "hand" else "hand")
        self._events = events
        self._returned = time.perf_counter()

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def generate(self, prompts, generated):
        # What the kit did since the last request belongs to this one.
        seconds = [time.perf_counter() - self._returned, 0.0, 0.0]
        result = None
        for part in ORDERS[len(self.turns) % len(ORDERS)]:
            if part == 0:
                began = time.perf_counter()
                result = self._engine.generate(prompts, generated)
                seconds[0] += time.perf_counter() - began
            else:
                loop = self._loops[part - 1]
                seconds[part] = timed(loop, self._engine._model, prompts, generated)
        self.turns.append(seconds)
        os.read(self._events, 1 << 16)
        self._returned = time.perf_counter()
        return result


order = json.load(sys.stdin)
cell = order["cell"]
engine = import_engine(order).load(order)
# A real pipe, as the harness gives, emptied between requests: an event is smaller than it.
reading, writing = os.pipe()
os.write(writing, b"\n")
in_turn = InTurn(engine, cell["settings"]["loop"], reading)
run_requests(order, in_turn, RandomPrompts(order, engine.vocabulary), EventChannel(writing).send)
os.write(out, json.dumps(in_turn.turns[-int(cell["stop"]["maxRequests"]) :]).encode())
os._exit(0)
