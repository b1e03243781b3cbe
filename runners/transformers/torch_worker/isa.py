"""Caps on the instruction set: three libraries choose their code on their own, and each has its own switch."""

from __future__ import annotations

import os
import re
import tempfile
from typing import Any, Callable, Mapping

from bench_protocol import WorkerFailure

CAPS: Mapping[str, Mapping[str, str]] = {
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
    "avx512": {
        "ATEN_CPU_CAPABILITY": "avx512",
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
    },
}
SWITCHES = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "DNNL_MAX_CPU_ISA")

_BEYOND: Mapping[str, tuple[str, ...]] = {
    "avx2": ("avx512f", "avx_vnni", "amx_int8"),
    "avx512": ("avx512_vnni", "avx512_bf16", "avx512_fp16", "avx512vbmi", "amx_int8"),
}
"""Flags of /proc/cpuinfo that make a machine wider than the cap; the list of worker-kit/cpu-isa.ts."""


def set_caps(isa: str) -> None:
    """Sets the three switches, or clears them for `native`. Only before torch is imported."""
    for name in SWITCHES:
        os.environ.pop(name, None)
    os.environ.update(CAPS.get(isa, {}))


def is_capped(isa: str, cpuinfo: str = "/proc/cpuinfo") -> bool:
    """Whether the cap keeps this machine from using all it has."""
    try:
        with open(cpuinfo, encoding="utf-8") as file:
            found = re.search(r"^flags\s*:\s*(.*)$", file.read(), re.MULTILINE)
    except OSError:
        return False
    flags = set(found.group(1).split()) if found else set()
    return any(flag in flags for flag in _BEYOND.get(isa, ()))


def isa_facts(torch: Any) -> dict[str, str]:
    """What each library says that it uses: ATen by name, oneDNN and MKL by the head of their logs."""
    backends = torch.backends
    facts = {"aten_isa": str(backends.cpu.get_cpu_capability())}
    if backends.mkldnn.is_available():

        def use_onednn() -> None:
            with backends.mkldnn.verbose(backends.mkldnn.VERBOSE_ON):
                torch.ones(8, 8).to_mkldnn()

        facts["onednn_isa"] = onednn_isa(_standard_output_of(use_onednn))
    if backends.mkl.is_available():

        def use_mkl() -> None:
            with backends.mkl.verbose(backends.mkl.VERBOSE_ON):
                torch.mm(torch.ones(64, 64), torch.ones(64, 64))

        facts["mkl_isa"] = mkl_isa(_standard_output_of(use_mkl))
    return facts


UNKNOWN = "unknown"


def onednn_isa(log: str) -> str:
    """What oneDNN says of itself: `onednn_verbose,v1,info,cpu,isa:Intel AVX2`."""
    found = re.search(r",info,cpu,isa:(.+)", log)
    return found.group(1).strip() if found else UNKNOWN


def mkl_isa(log: str) -> str:
    """What MKL says of itself: `… for Intel(R) 64 architecture Intel(R) Advanced Vector Extensions 2 (Intel(R) AVX2) enabled
    processors, Lnx 2.00GHz …`; on what is newer without the two last words, and without a name on other makers' processors."""
    found = re.search(r"for Intel\(R\) 64 architecture\s*(.*?)(?:\s*\b(?:enabled )?processors)?,\s*(?:Lnx|Win|Mac|OSX)\b", log)
    return (found.group(1).strip() if found else "") or UNKNOWN


def isa_name(facts: Mapping[str, str]) -> str:
    """The name people use: `avx512-vnni-bf16`, `avx2`, …; never wider than what ATen itself uses."""
    aten = facts["aten_isa"].upper()
    onednn = facts.get("onednn_isa", "")
    if aten.startswith("AVX512"):
        parts = [("DL Boost", "vnni"), ("bfloat16", "bf16"), ("float16", "fp16"), ("AMX", "amx")]
        if "AVX10" in onednn:
            return "-".join(["avx512", "vnni", "bf16", "fp16", *(["amx"] if "AMX" in onednn else [])])
        # "bfloat16" holds "float16": a word of its own is meant.
        return "-".join(["avx512", *(name for text, name in parts if re.search(rf"\b{text}\b", onednn))])
    return "scalar" if aten in ("DEFAULT", "NO AVX") else aten.lower()


def verify_caps(isa: str, facts: Mapping[str, str]) -> None:
    """Raises UNSUPPORTED when a library runs wider code than the cap allows."""
    if isa == "native":
        return
    want = {"avx2": "AVX2", "avx512": "AVX512"}[isa]
    if facts["aten_isa"].upper() != want:
        raise WorkerFailure("UNSUPPORTED", f"isa {isa}: ATen runs {facts['aten_isa']} on this machine")
    if facts.get("onednn_isa") == UNKNOWN:
        raise WorkerFailure("UNSUPPORTED", f"isa {isa}: oneDNN does not say what it runs")
    newer = ("DL Boost", "VNNI", "INT8", "bfloat16", "BF16", "float16", "FP16", "AVX10", "AMX")
    wider = newer if isa == "avx512" else ("AVX-512", *newer)
    for library in ("onednn_isa", "mkl_isa"):
        # MKL tells nothing on processors that are not Intel's: it runs one code path there, whatever is set.
        text = facts.get(library, "")
        if any(word in text for word in wider):
            raise WorkerFailure("UNSUPPORTED", f"isa {isa}: {library.split('_')[0]} runs {text} in spite of its switch")


def _standard_output_of(call: Callable[[], None]) -> str:
    """What native code prints on standard output meanwhile."""
    kept = os.dup(1)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 1)
        try:
            call()
            _flush_c_streams()
        finally:
            os.dup2(kept, 1)
            os.close(kept)
        file.seek(0)
        return file.read().decode("utf-8", "replace")


def _flush_c_streams() -> None:
    import ctypes

    ctypes.CDLL(None).fflush(None)
