"""Imports PyTorch as the cell wants it, loads the model, and says what really runs."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Mapping

from bench_protocol import WorkerFailure
from bench_worker import Facts

from torch_worker.gptqmodel_kernels import set_switches
from torch_worker.isa import is_capped, isa_facts, isa_name, set_caps, verify_caps
from torch_worker.versions import OLDEST, too_old


def import_engine(order: Mapping[str, Any]) -> TorchProgram:
    """Sets what must be set before the import, then imports, and compiles the kernel where that must be done: loading a
    model is timed, and has no part in it. Raises PYTHON_MISSING, UNSUPPORTED."""
    cell = order["cell"]
    set_caps(str(cell["isa"]))
    threads = str(cell["settings"]["threads"])
    os.environ.update(
        OMP_NUM_THREADS=threads,
        MKL_NUM_THREADS=threads,
        # Nothing is fetched and nothing is reported while measuring.
        HF_HUB_OFFLINE="1",
        HF_HUB_DISABLE_TELEMETRY="1",
        TOKENIZERS_PARALLELISM="false",
    )
    # gptqmodel changes both when they are unset, which would change the reserved memory of one format only.
    os.environ.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:False")
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    set_switches(str(cell["kernel"]))
    versions: dict[str, str] = {}
    for name in OLDEST:
        versions[name] = str(_import(name).__version__)
        problem = too_old(name, versions[name])
        if problem is not None:
            raise _missing(problem)
    for name in ("accelerate", "safetensors"):
        _import(name)
    program = TorchProgram(versions)
    try:
        device = _device(cell)
        if cell["format"] == "gptq-4bit":
            from torch_worker.load_model import choose_kernel

            choose_kernel(str(cell["kernel"]), device)
    except Exception as error:
        # A GPU that another process has filled does not even take a context.
        known = None if isinstance(error, WorkerFailure) else program.as_failure(error)
        if known is None:
            raise
        raise known from error
    return program


def _device(cell: Mapping[str, Any]) -> Any:
    """Raises UNSUPPORTED where torch sees no GPU."""
    import torch

    if cell["deviceKind"] != "cuda":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise WorkerFailure(
            "UNSUPPORTED",
            f"torch {torch.__version__} sees no GPU: it was built without CUDA, or the driver is too old for it",
        )
    torch.cuda.init()  # no part of loading a model, whatever asks the GPU first
    return torch.device("cuda:0")


def _import(name: str) -> Any:
    try:
        return __import__(name)
    except Exception as error:  # noqa: BLE001 - a broken package can raise anything while it is imported
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise _missing(f"{name} cannot be imported: {lines[0]}") from error


def _missing(what: str) -> WorkerFailure:
    return WorkerFailure(
        "PYTHON_MISSING",
        f"{what} ({sys.executable}): run `bench setup python`, or set BENCH_PYTHON to a Python that has it",
    )


class TorchProgram:
    """PyTorch is imported, and no model is loaded."""

    def __init__(self, versions: Mapping[str, str]) -> None:
        self.runner_version = ", ".join(f"{name} {version}" for name, version in versions.items())

    def load(self, order: Mapping[str, Any]) -> Any:
        import torch

        from torch_worker.decode import check_streaming
        from torch_worker.load_model import count_bytes, count_parameters, load_model
        from torch_worker.torch_engine import TorchEngine

        cell = order["cell"]
        settings = cell["settings"]
        device = _device(cell)
        torch.set_num_threads(int(settings["threads"]))
        torch.set_num_interop_threads(1)
        if settings["loop"] == "generate":
            check_streaming(device)
        cpu = isa_facts(torch)
        verify_caps(str(cell["isa"]), cpu)

        loaded = load_model(cell, Path(order["weightsPath"]), device)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        model = loaded.model
        isa = isa_name(cpu)
        if device.type == "cuda":
            isa = "sm_{}{}".format(*torch.cuda.get_device_capability(device))
        facts = Facts(
            kernel=loaded.kernel,
            engine_build=f"torch {torch.__version__}",
            dtype=loaded.dtype,
            isa=isa,
            weights_bytes=count_bytes(model),
            parameters=count_parameters(model),
            effective={
                **_effective(settings, model, device, torch),
                "kernel_class": loaded.kernel_class,
                # gptqmodel's kernel of that name compiles its own unpacking; nothing else here is compiled.
                "compiled": loaded.kernel == "torch",
                **cpu,
            },
            caveats=["isa-capped"] if is_capped(str(cell["isa"])) else [],
        )
        # What was made until now stays: the collector need not walk over it within a request.
        gc.collect()
        gc.freeze()
        return TorchEngine(order, model, device, facts)

    def as_failure(self, error: BaseException) -> WorkerFailure | None:
        """Out of memory, on the device with the peak seen, or on the host; a model or a kernel that cannot run here."""
        import torch

        problem = _architecture_problem(error) or _compiler_problem(error)
        if problem is not None:
            return WorkerFailure("UNSUPPORTED", problem)
        text = " ".join(str(error).split())
        lower = text.lower()
        if isinstance(error, torch.OutOfMemoryError) or "cuda error: out of memory" in lower or "alloc_failed" in lower:
            seen = {
                "peakBytes": _counter(torch.cuda.max_memory_allocated),
                "reservedBytes": _counter(torch.cuda.max_memory_reserved),
                "totalBytes": _counter(lambda: torch.cuda.get_device_properties(0).total_memory),
            }
            peak, reserved, total = ("an unknown number of" if value is None else value for value in seen.values())
            return WorkerFailure(
                "DOES_NOT_FIT",
                f"CUDA ran out of memory: {peak} bytes allocated at the peak, {reserved} reserved, of {total}",
                {name: value for name, value in seen.items() if value is not None},
            )
        if isinstance(error, (RuntimeError, OSError)) and (
            "defaultcpuallocator" in lower or "cannot allocate memory" in lower or "not enough memory" in lower
        ):
            return WorkerFailure("DOES_NOT_FIT", f"memory of the host ran out: {text[:200]}")
        return None


def _architecture_problem(error: BaseException) -> str | None:
    """Only what transformers itself knows is run: a folder can bring code along, which is never started."""
    text = str(error)
    if "trust_remote_code" in text:
        return "the architecture of the model is code in its folder, which is not run"
    if "does not recognize this architecture" in text:
        return " ".join(text.split("\n")[0].split())
    return None


def _compiler_problem(error: BaseException) -> str | None:
    """Triton and inductor compile with what the machine has, at the first use: then only is it known what is missing."""
    text = str(error)
    if "Failed to find C compiler" in text or "No working C++ compiler" in text:
        return "a kernel is compiled on first use, and this machine has no C compiler: install gcc and g++"
    command = error.cmd if isinstance(error, subprocess.CalledProcessError) else ""
    program = os.path.basename(str(command[0] if isinstance(command, (list, tuple)) and command else command).split(" ")[0])
    if program in ("cc", "gcc", "g++", "c++", "clang", "clang++", "nvcc"):
        return f"a kernel is compiled on first use, and {program} failed: see the log (Python's headers are in python3-dev)"
    return None


def _counter(read: Callable[[], int]) -> int | None:
    """A driver that ran out of memory may answer nothing any more; that must not hide why the cell failed."""
    try:
        return int(read())
    except Exception:  # noqa: BLE001
        return None


def _effective(
    settings: Mapping[str, Any], model: Any, device: Any, torch: Any
) -> dict[str, str | int | float | bool]:
    """Every setting of the cell as it really is; some have no meaning in PyTorch and say so."""
    dtype = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16"}[model.dtype]
    attention = str(getattr(model.config, "_attn_implementation", "unknown"))
    return {
        "threads": int(torch.get_num_threads()),
        "interopThreads": int(torch.get_num_interop_threads()),
        "gpuLayers": 999 if device.type == "cuda" else 0,
        "batchTokens": "whole-prompt",
        "ubatchTokens": "whole-prompt",
        "contextTokens": "grows",
        "mmap": bool(settings["mmap"]),
        "flashAttention": attention != "eager",
        "attention": attention,
        "kvType": dtype,
        "engineBuild": "prebuilt",
        "loop": str(settings["loop"]),
        "allocator": os.environ["PYTORCH_ALLOC_CONF"],
    }
