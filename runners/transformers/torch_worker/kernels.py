"""Which kernels for gptq-4bit can run here, and for the others why not. Read by the probe and by the worker alike."""

from __future__ import annotations

import importlib.util
import os
import shutil
from typing import Any, Literal, Mapping

Verdict = Literal[True] | str

OWN = ("dequant-eager", "dequant-triton", "int4pack-cpu")
"""Kernels of this worker."""

GPTQMODEL: Mapping[str, str] = {
    "torch": "gptq_torch",
    "triton": "gptq_triton",
    "exllama-v2": "gptq_exllama_v2",
    "marlin": "gptq_marlin",
    "machete": "gptq_machete",
}
"""Our name -> gptqmodel's BACKEND."""

CLASS_NAMES: Mapping[str, str] = {
    "TorchLinear": "torch",
    "TorchQuantLinear": "torch",
    "TorchFusedLinear": "torch-fused",
    "TorchFusedQuantLinear": "torch-fused",
    "TorchAtenLinear": "torch-aten",
    "TorchInt8Linear": "torch-int8",
    "TritonV2Linear": "triton",
    "TritonV2QuantLinear": "triton",
    "ExllamaV2Linear": "exllama-v2",
    "ExllamaV2QuantLinear": "exllama-v2",
    "ExllamaQuantLinear": "exllama",
    "MarlinLinear": "marlin",
    "MarlinQuantLinear": "marlin",
    "MacheteLinear": "machete",
    "SwordfishLinear": "swordfish",
    "BitblasLinear": "bitblas",
    "BitBLASLinear": "bitblas",
}
"""Class of a quantized layer of gptqmodel -> our name of the kernel."""

_MIN_CAPABILITY: Mapping[str, tuple[int, int]] = {"exllama-v2": (6, 0), "marlin": (7, 5), "machete": (9, 0)}
_COMPILED_BY_NVCC = ("exllama-v2", "marlin", "machete")

AUTO_CUDA = ("marlin", "exllama-v2", "dequant-triton", "dequant-eager")
AUTO_CPU = ("int4pack-cpu", "dequant-eager")
"""The order in which `auto` looks."""


def kernel_verdicts(torch: Any, *, import_gptqmodel: bool) -> dict[str, Verdict]:
    """Every kernel with True, or with the reason why it cannot run here.

    `import_gptqmodel` tries the import for real, which can take 20 s; without it the package need only be there.
    """
    cuda = bool(torch.cuda.is_available())
    capability: tuple[int, int] | None = tuple(torch.cuda.get_device_capability(0)) if cuda else None
    package = _gptqmodel_problem(import_gptqmodel)
    verdicts: dict[str, Verdict] = {
        "dequant-eager": True,
        "dequant-triton": _triton_problem(cuda) or True,
        "int4pack-cpu": _int4pack_problem(torch) or True,
    }
    for name in GPTQMODEL:
        verdicts[name] = package or _cuda_problem(name, capability) or True
    return verdicts


def _triton_problem(cuda: bool) -> str | None:
    if not cuda:
        return "needs an NVIDIA GPU"
    return None if importlib.util.find_spec("triton") else "the package triton is not installed"


def _int4pack_problem(torch: Any) -> str | None:
    aten = torch.ops.aten
    there = hasattr(aten, "_convert_weight_to_int4pack_for_cpu") and hasattr(aten, "_weight_int4pack_mm_for_cpu")
    return None if there else f"torch {torch.__version__} has no int4pack operator for CPUs (2.6 or newer has)"


def _gptqmodel_problem(import_it: bool) -> str | None:
    for package in ("gptqmodel", "optimum"):
        if importlib.util.find_spec(package) is None:
            return f"the package {package} is not installed: `bench setup python --gptqmodel`"
    if not import_it:
        return None
    try:
        import gptqmodel  # noqa: F401
    except BaseException as error:  # noqa: BLE001 - it runs foreign code at import, and must not take us down
        lines = str(error).strip().splitlines() or [""]
        return f"gptqmodel cannot be imported: {type(error).__name__}: {lines[0]}"
    return None


def _cuda_problem(name: str, capability: tuple[int, int] | None) -> str | None:
    if name == "torch":
        return None
    if capability is None:
        return "needs an NVIDIA GPU"
    least = _MIN_CAPABILITY.get(name, (0, 0))
    if capability < least or (name == "machete" and capability[0] != 9):
        want = "9.0 exactly" if name == "machete" else f"{least[0]}.{least[1]} or newer"
        return f"needs compute capability {want}, and this GPU has {capability[0]}.{capability[1]}"
    if name in _COMPILED_BY_NVCC and not _has_nvcc():
        return "is compiled on first use, and nvcc is not on PATH (CUDA_HOME names another place)"
    if name in _COMPILED_BY_NVCC and not (shutil.which(os.environ.get("CXX") or "c++") or shutil.which("g++")):
        return "is compiled on first use, and this machine has no C++ compiler: install g++"
    return None


def _has_nvcc() -> bool:
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH") or "/usr/local/cuda"
    return shutil.which("nvcc") is not None or os.path.exists(os.path.join(home, "bin", "nvcc"))
