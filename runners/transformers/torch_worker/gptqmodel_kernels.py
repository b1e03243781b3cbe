"""GPTQModel's kernels: compiled where they must be, and asked whether they take a checkpoint. Read after torch only."""

from __future__ import annotations

import os
import re
from typing import Any, Mapping

from bench_protocol import WorkerFailure

from torch_worker.kernels import GPTQMODEL

EXTENSIONS: Mapping[str, str] = {"exllama-v2": "exllamav2", "marlin": "marlin_fp16", "machete": "machete"}
"""Our name -> the extension that GPTQModel compiles with nvcc, once: it lies in a cache of its own from then on."""

_SWITCHES = re.compile(r"GPTQ_TORCH_|GPTQMODEL_MARLIN_USE_FP32$")
_LONGEST = 200


def set_switches(kernel: str) -> None:
    """Makes the kernel the one that its name says. Only before gptqmodel is imported.

    A person's own switches make another one of it: GPTQ_TORCH_CACHE_WEIGHTS keeps the weights in 16 bit. And where Triton
    is installed, gptqmodel's `torch` unpacks with the kernel of its `triton`, so that both would be one.
    """
    for name in [name for name in os.environ if _SWITCHES.match(name)]:
        del os.environ[name]
    if kernel == "torch":
        os.environ["GPTQ_TORCH_TRITON_DEQUANT"] = "0"


def compile_problem(kernel: str) -> str | None:
    """Compiles what the kernel needs unless that was done before. The reason when it cannot be; None when all is there."""
    name = EXTENSIONS.get(kernel)
    if name is None:
        return None
    try:
        from gptqmodel import extension
    except ImportError:
        return None  # before GPTQModel 6 kernels came compiled, or not at all: its own choice says so
    try:
        extension.load(name)
    except Exception as error:  # noqa: BLE001 - compilers, downloads and foreign code: whatever it is, it cannot run
        return f"GPTQModel cannot compile it: {compile_reason(str(error))}"
    return None


def compile_reason(text: str) -> str:
    """The line of a compiler's complaint that tells what is wrong: the first that speaks of an error, else the first."""
    lines = [line.strip() for line in text.split("\n") if line.strip() not in ("", "Extension load failed:")]
    telling = [line for line in lines if re.search(r"\bfatal\b|\berror\s*:|not found|No such file", line)]
    # GPTQModel adds what it knows about its folders, after a bar.
    said = (telling or lines or ["no reason was given"])[0].split(" | ")[0].removeprefix("- ")
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"


def check_choice(kernel: str, quantization: Mapping[str, Any], device: Any) -> None:
    """Asks as transformers is going to ask. Raises UNSUPPORTED with GPTQModel's own reason when it refuses."""
    from gptqmodel.utils import importer

    choose = getattr(importer, "hf_select_quant_linear_v2", None)
    if choose is None:
        return
    try:
        choose(
            bits=quantization["bits"],
            group_size=quantization["group_size"],
            desc_act=bool(quantization.get("desc_act", False)),
            sym=bool(quantization.get("sym", True)),
            format=str(quantization.get("checkpoint_format") or quantization.get("format") or "gptq"),
            quant_method="gptq",
            device_map={"": device},
            backend=GPTQMODEL[kernel],
            pack=False,
        )
    except (ValueError, NotImplementedError, ImportError) as error:
        raise WorkerFailure(
            "UNSUPPORTED", f"kernel {kernel}: GPTQModel refuses it here: {compile_reason(str(error))}"
        ) from error
