"""Compiles the kernels of GPTQModel that can run here, so that none has to while something is measured.

`compile_kernels.py [KERNEL…]`, by default all of them, cheapest first. Prints a JSON object a line as each is done:
`{"kernel": …, "seconds": …, "problem": null or why it cannot be compiled}`. What is stopped goes on where it was.
"""

from __future__ import annotations

import json
import os
import sys
import time


def main() -> None:
    out = os.dup(1)
    os.dup2(2, 1)  # packages print while they are imported
    sys.dont_write_bytecode = True
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:0] = [here, os.path.join(os.path.dirname(here), "worker-kit", "python")]
    import torch
    from torch_worker.gptqmodel_kernels import EXTENSIONS, compile_problem
    from torch_worker.kernels import kernel_verdicts

    names = sys.argv[1:] or list(EXTENSIONS)
    verdicts = kernel_verdicts(torch, import_gptqmodel=True)
    for name in names:
        began = time.monotonic()
        verdict = verdicts.get(name, "there is none")
        problem = compile_problem(name) if verdict is True else verdict
        line = {"kernel": name, "seconds": round(time.monotonic() - began, 1), "problem": problem}
        os.write(out, (json.dumps(line) + "\n").encode())
    os._exit(0)


if __name__ == "__main__":
    main()
