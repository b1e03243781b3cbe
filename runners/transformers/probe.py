"""What this Python can run, as one JSON object on the descriptor it was started with as standard output.

`probe.py` imports PyTorch; `probe.py --deep` imports gptqmodel, too, where it is installed, which can take 20 s.
Readable by any Python since 2.7, for a Python that is too old must be able to say so.
"""

import json
import os
import sys

OLDEST = (3, 10)


def reason_of(error):
    lines = str(error).strip().splitlines() or [""]
    return "%s: %s" % (type(error).__name__, lines[0])


def facts(deep):
    version = ".".join(str(part) for part in sys.version_info[:3])
    found = {"executable": sys.executable, "version": version}
    if sys.version_info < OLDEST:
        found["reason"] = "Python %s is too old: 3.10 or newer is needed" % version
        return found
    sys.dont_write_bytecode = True
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, here)
    from torch_worker.kernels import kernel_verdicts
    from torch_worker.versions import too_old

    for name in ("torch", "transformers", "accelerate", "safetensors"):
        try:
            found[name] = str(__import__(name).__version__)
        except Exception as error:
            found["reason"] = "%s cannot be imported: %s" % (name, reason_of(error))
            return found
        problem = too_old(name, found[name])
        if problem is not None:
            found["reason"] = problem
            return found
    import torch

    found["cuda"] = bool(torch.cuda.is_available())
    found["kernels"] = kernel_verdicts(torch, import_gptqmodel=deep)
    return found


def main():
    out = os.dup(1)
    os.dup2(2, 1)  # packages print while they are imported
    answer = facts("--deep" in sys.argv[1:])
    os.write(out, (json.dumps(answer) + "\n").encode("utf-8"))
    os._exit(0)


if __name__ == "__main__":
    main()
