"""Starts the transformers worker: `python worker.py`, or `python worker.py --simulate` for the protocol without PyTorch.

This file is written so that any Python since 2.7 can read it, for a Python that is too old must be able to say so.
"""

import json
import os
import sys

OLDEST = (3, 10)


def main():
    if sys.version_info < OLDEST:
        found = ".".join(str(part) for part in sys.version_info[:3])
        message = (
            "%s is Python %s, and the worker needs 3.10 or newer: run `bench setup python`, or set BENCH_PYTHON to a newer one"
            % (sys.executable, found)
        )
        error = {"type": "failed", "error": {"code": "PYTHON_MISSING", "message": message, "details": {}}}
        try:
            os.write(3, (json.dumps(error) + "\n").encode("utf-8"))
        except OSError:
            sys.stderr.write(message + "\n")
        return 1

    # Our folders only: no compiled files beside the sources, which may be read-only.
    sys.dont_write_bytecode = True
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, os.path.join(os.path.dirname(here), "worker-kit", "python"))
    from bench_worker import worker_main

    if "--simulate" in sys.argv[1:]:
        from torch_worker.simulate import SimulatedProgram

        worker_main(SimulatedProgram)
    else:
        from torch_worker.program import import_engine

        worker_main(import_engine)
    return 0


if __name__ == "__main__":
    sys.exit(main())
