"""Reads a model folder in Hugging Face layout: config and safetensors, nothing that could run code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench_protocol import WorkerFailure
from bench_prompts import Vocabulary


def read_json(path: Path) -> dict[str, Any]:
    """Raises MODEL_CORRUPT when the file is missing or holds no object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WorkerFailure("MODEL_CORRUPT", f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise WorkerFailure("MODEL_CORRUPT", f"{path} is not a JSON object")
    return value


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of the model; other formats can hold code and are refused."""
    index = folder / "model.safetensors.index.json"
    if index.exists():
        names = sorted(set(read_json(index).get("weight_map", {}).values()))
        files = [folder / Path(str(name)).name for name in names]
    else:
        files = sorted(folder.glob("*.safetensors"))
    missing = [file.name for file in files if not file.exists()]
    if missing:
        raise WorkerFailure("MODEL_CORRUPT", f"{folder}: {missing[0]} is named by the index and missing")
    if not files:
        raise WorkerFailure("MODEL_CORRUPT", f"{folder} holds no safetensors file")
    return files


def read_tensors(folder: Path, mmap: bool) -> dict[str, Any]:
    """All tensors by name: pages of the files with `mmap`, else copies in memory."""
    from safetensors import SafetensorError, safe_open

    tensors: dict[str, Any] = {}
    for file in weight_files(folder):
        try:
            with safe_open(file, framework="pt", device="cpu") as opened:
                for name in opened.keys():
                    tensor = opened.get_tensor(name)
                    tensors[name] = tensor if mmap else tensor.clone()
        except SafetensorError as error:
            raise WorkerFailure("MODEL_CORRUPT", f"{file}: {error}") from error
    return tensors


def special_ids(folder: Path, source: str, size: int) -> Vocabulary:
    """Ids that a random prompt must not hold, by the same rule as in the GGUF file of the same model."""
    special: set[int] = set()
    tokenizer = folder / "tokenizer.json"
    if tokenizer.exists():
        added = read_json(tokenizer).get("added_tokens", [])
        special = {int(token["id"]) for token in added if token.get("special")}
    if source.startswith("synthetic:"):
        # The tail of a synthetic vocabulary: makeVocabulary of harness/weights/vocabulary.ts.
        first = size - (256 if size > 2000 else 16)
        special |= set(range(first, size))
    return Vocabulary(size, special.__contains__)
