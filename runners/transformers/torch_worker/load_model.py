"""Loads a model with the kernel that the cell asks for, and counts what was really loaded."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping

import torch
from bench_protocol import WorkerFailure
from torch import nn

from torch_worker.checkpoint import read_json, read_tensors, weight_files
from torch_worker.gptq_linear import BITS, GptqLinear
from torch_worker.gptqmodel_kernels import check_choice, compile_problem
from torch_worker.kernels import AUTO_CPU, AUTO_CUDA, CLASS_NAMES, GPTQMODEL, OWN, kernel_verdicts

DTYPES: Mapping[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PLAIN_KERNEL = "torch-linear"
"""Weights that are not quantized are multiplied by torch's own linear layer."""


@dataclass(frozen=True)
class Loaded:
    """A model ready to run; `kernel_class` is the class that its quantized layers have."""

    model: Any
    kernel: str
    kernel_class: str
    dtype: str


def load_model(cell: Mapping[str, Any], folder: Path, device: torch.device) -> Loaded:
    """Raises UNSUPPORTED, MODEL_CORRUPT."""
    if not folder.is_dir():
        raise WorkerFailure("MODEL_CORRUPT", f"{folder} is not a folder in Hugging Face layout")
    weight_files(folder)
    config = read_json(folder / "config.json")
    quantized = config.get("quantization_config") is not None
    if cell["format"] == "gptq-4bit":
        if not quantized:
            raise WorkerFailure("MODEL_CORRUPT", f"{folder}/config.json has no quantization_config: not a GPTQ model")
        return _load_gptq(cell, folder, config["quantization_config"], device)
    if quantized:
        raise WorkerFailure("UNSUPPORTED", f"{folder} is quantized, and the cell asks for {cell['format']}")
    if cell["format"] not in DTYPES:
        raise WorkerFailure("UNSUPPORTED", f"transformers does not run {cell['format']}: use a llama.cpp runner")
    if cell["kernel"] not in ("auto", PLAIN_KERNEL):
        raise WorkerFailure("UNSUPPORTED", f"kernel {cell['kernel']} is for gptq-4bit, not for {cell['format']}")
    model = _from_pretrained(cell, folder, DTYPES[cell["format"]], device)
    return Loaded(model, PLAIN_KERNEL, "Linear", cell["format"])


def _attention(cell: Mapping[str, Any]) -> str:
    """`sdpa` is torch's fused attention (flash kernels where there are any), `eager` the plain one."""
    return "sdpa" if cell["settings"]["flashAttention"] else "eager"


def _from_pretrained(
    cell: Mapping[str, Any], folder: Path, dtype: torch.dtype, device: torch.device, **more: Any
) -> Any:
    from transformers import AutoModelForCausalLM, PreTrainedModel

    mmap = bool(cell["settings"]["mmap"])
    if "disable_mmap" in inspect.signature(PreTrainedModel.from_pretrained).parameters:
        more["disable_mmap"] = not mmap
    elif not mmap:
        import transformers

        raise WorkerFailure(
            "UNSUPPORTED", f"mmap: false needs transformers 5.17 or newer, and this is {transformers.__version__}"
        )
    return AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        device_map={"": device},
        attn_implementation=_attention(cell),
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        **more,
    ).eval()


def choose_kernel(asked: str, device: torch.device) -> str:
    """The kernel that will run: the one asked for, or the first of `auto`'s list that can. Never another.

    Compiles it where that must be done, which takes minutes once. Raises UNSUPPORTED.
    """
    names = (AUTO_CUDA if device.type == "cuda" else AUTO_CPU) if asked == "auto" else (asked,)
    verdicts = kernel_verdicts(torch, import_gptqmodel=any(name in GPTQMODEL for name in names))
    if device.type == "cuda":
        verdicts["int4pack-cpu"] = "runs on the CPU only"
    problem = ""
    for name in names:
        verdict = verdicts.get(name, f"there is none: {', '.join(verdicts)}")
        if verdict is True:
            verdict = compile_problem(name) or True
        if verdict is True:
            return name
        problem = f"kernel {name}: {verdict}"
    raise WorkerFailure("UNSUPPORTED", problem)


def _load_gptq(
    cell: Mapping[str, Any], folder: Path, quantization: Mapping[str, Any], device: torch.device
) -> Loaded:
    layout = str(quantization.get("checkpoint_format") or quantization.get("format") or "gptq")
    if quantization.get("quant_method") != "gptq" or quantization.get("bits") != BITS or layout not in ("gptq", "gptq_v2"):
        raise WorkerFailure(
            "UNSUPPORTED",
            f"{folder}: {quantization.get('quant_method')} with {quantization.get('bits')} bits in layout {layout}, "
            "and only 4-bit gptq or gptq_v2 is read",
        )
    if not isinstance(quantization.get("group_size"), int):
        raise WorkerFailure("MODEL_CORRUPT", f"{folder}/config.json: quantization_config.group_size is missing")
    kernel = choose_kernel(cell["kernel"], device)
    if kernel in OWN:
        model = _load_own_gptq(cell, folder, quantization, kernel, device, zero_offset=1 if layout == "gptq" else 0)
    else:
        from transformers import GPTQConfig

        check_choice(kernel, quantization, device)
        # Its other fields come from the checkpoint: transformers takes the backend alone from here.
        config = GPTQConfig(bits=BITS, backend=GPTQMODEL[kernel])
        model = _from_pretrained(cell, folder, torch.float16, device, quantization_config=config)
    layers = quantized_layers(model)
    if not layers:
        raise WorkerFailure("MODEL_CORRUPT", f"{folder} holds no quantized layer")
    classes = sorted({type(layer).__name__ for layer in layers})
    ran = kernel if kernel in OWN else "+".join(CLASS_NAMES.get(name, name) for name in classes)
    return Loaded(model, ran, "+".join(classes), "fp16")


def quantized_layers(model: nn.Module) -> list[nn.Module]:
    """Own layers, and gptqmodel's, which have a `qweight` or had one before they repacked it."""
    return [
        module
        for module in model.modules()
        if isinstance(module, GptqLinear) or type(module).__name__ in CLASS_NAMES or hasattr(module, "qweight")
    ]


def _load_own_gptq(
    cell: Mapping[str, Any],
    folder: Path,
    quantization: Mapping[str, Any],
    kernel: str,
    device: torch.device,
    *,
    zero_offset: int,
) -> Any:
    from accelerate import init_empty_weights
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    del config.quantization_config
    with init_empty_weights(include_buffers=False):
        model = AutoModelForCausalLM.from_config(
            config, dtype=torch.float16, attn_implementation=_attention(cell), trust_remote_code=False
        )
    tensors = read_tensors(folder, bool(cell["settings"]["mmap"]))
    for weight_name in [name for name in tensors if name.endswith(".qweight")]:
        name = weight_name.removesuffix(".qweight")
        parts = {
            part: tensors.pop(f"{name}.{part}")
            for part in ("qweight", "qzeros", "scales", "g_idx")
            if f"{name}.{part}" in tensors
        }
        lacking = [part for part in ("qweight", "qzeros", "scales") if part not in parts]
        if lacking:
            raise WorkerFailure("MODEL_CORRUPT", f"{folder}: {name}.{lacking[0]} is missing")
        layer = GptqLinear(
            kernel,
            parts,
            group_size=quantization["group_size"],
            zero_offset=zero_offset,
            bias=tensors.pop(f"{name}.bias", None),
        )
        _replace(model, name, layer, folder)
    floats = {
        name: tensor.to(torch.float16) if tensor.is_floating_point() else tensor for name, tensor in tensors.items()
    }
    model.load_state_dict(floats, strict=False, assign=True)
    model.tie_weights()
    empty = [name for name, tensor in model.named_parameters() if tensor.is_meta]
    if empty:
        raise WorkerFailure("MODEL_CORRUPT", f"{folder}: {empty[0]} is missing")
    model.to(device)
    for layer in quantized_layers(model):
        layer.prepare()  # type: ignore[operator]
    return model.eval()


def _replace(model: nn.Module, name: str, layer: nn.Module, folder: Path) -> None:
    parent, _, leaf = name.rpartition(".")
    try:
        old = model.get_submodule(name)
    except AttributeError as error:
        raise WorkerFailure("MODEL_CORRUPT", f"{folder}: the architecture has no layer {name}") from error
    want = (getattr(old, "in_features", None), getattr(old, "out_features", None))
    have = (layer.in_features, layer.out_features)
    if want != have:
        raise WorkerFailure("MODEL_CORRUPT", f"{folder}: {name} is {have} where {want} is expected")
    setattr(model.get_submodule(parent), leaf, layer)


def count_bytes(model: nn.Module) -> int:
    """Bytes of all weights, tied ones once."""
    tensors = {tensor.data_ptr(): tensor for tensor in [*model.parameters(), *model.buffers()] if tensor.numel() > 0}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def count_parameters(model: nn.Module) -> int:
    """Weights of the model as published: quantized layers by their shape, tied weights once."""
    layers = quantized_layers(model)
    inside = {id(tensor) for layer in layers for tensor in layer.parameters()}
    total = sum(int(layer.in_features) * int(layer.out_features) for layer in layers)
    total += sum(layer.bias.numel() for layer in layers if getattr(layer, "bias", None) is not None)
    return total + sum(tensor.numel() for tensor in model.parameters() if id(tensor) not in inside)
