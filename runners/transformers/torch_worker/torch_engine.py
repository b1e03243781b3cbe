"""A loaded model as the worker kit wants it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Mapping, Sequence

import torch
from bench_prompts import Vocabulary
from bench_protocol import WorkerFailure
from bench_worker import Facts, Result

from torch_worker.checkpoint import special_ids
from torch_worker.decode import decode_by_generate, decode_by_hand, fixed_length, new_cache

CHECK_TOKENS = 8


class TorchEngine:
    """One model on one device; requests one after the other, each from an empty cache (but for the primed prefix)."""

    def __init__(self, order: Mapping[str, Any], model: Any, device: torch.device, facts: Facts) -> None:
        cell = order["cell"]
        self.facts = facts
        self._folder = Path(order["weightsPath"])
        self._model = model
        self._device = device
        self._loop = str(cell["settings"]["loop"])
        self._primed: Any | None = None
        self._tokenizer: Any | None = None
        text = model.config.get_text_config()
        self.vocabulary: Vocabulary = special_ids(self._folder, str(cell["source"]), int(text.vocab_size))
        limit = int(getattr(text, "max_position_embeddings", 0) or cell["settings"]["contextTokens"])
        self.context_tokens = min(int(cell["settings"]["contextTokens"]), limit)
        defaults = getattr(model, "generation_config", None)
        ends = getattr(defaults, "eos_token_id", None)
        self._ends: set[int] = set(ends) if isinstance(ends, list) else {ends} - {None}
        # generate() fills what a call leaves open from the model's own defaults: an end token would come back.
        model.generation_config = fixed_length(int(cell["workload"]["generatedTokens"]))

    @torch.inference_mode()
    def prime(self, prefix: Sequence[int]) -> None:
        """Computes the prefix once, for the batch of the first request; see `_cache`."""
        cache = new_cache(self._model)
        self._model(input_ids=torch.tensor([list(prefix)], device=self._device), past_key_values=cache, use_cache=True)
        self._primed = cache

    def _cache(self, batch: int) -> Any | None:
        """A cache for one request: a copy of the primed one, made before the clock starts."""
        if self._primed is None:
            return None
        cache = copy.deepcopy(self._primed)
        if batch > 1:
            cache.batch_repeat_interleave(batch)
        return cache

    def generate(self, prompts: Sequence[Sequence[int]], generated_tokens: int) -> Result:
        prompt = torch.tensor([list(ids) for ids in prompts], dtype=torch.long)
        cache = self._cache(len(prompts))
        cached = 0 if cache is None else int(cache.get_seq_length())
        if prompt.shape[1] + generated_tokens > self.context_tokens:
            raise WorkerFailure(
                "UNSUPPORTED",
                f"{prompt.shape[1]} prompt and {generated_tokens} generated tokens exceed the context of {self.context_tokens}",
            )
        if self._loop == "hand":
            decoded = decode_by_hand(self._model, prompt, cache or new_cache(self._model), generated_tokens)
        else:
            decoded = decode_by_generate(self._model, prompt, cache, generated_tokens)
        if decoded.submitted + cached != prompt.shape[1]:
            raise WorkerFailure(
                "WRONG_TOKEN_COUNT",
                f"{decoded.submitted} tokens were evaluated and {cached} cached of a prompt of {prompt.shape[1]}",
            )
        return Result(decoded.start_ns, decoded.token_ns, decoded.submitted, cached, decoded.tokens.tolist())

    @torch.inference_mode()
    def check(self) -> None:
        """Raises NOT_A_NUMBER when logits are not finite."""
        ids = [token for token in range(self.vocabulary.size) if not self.vocabulary.is_special(token)][:CHECK_TOKENS]
        logits = self._model(input_ids=torch.tensor([ids], device=self._device)).logits
        if not bool(torch.isfinite(logits).all()):
            raise WorkerFailure("NOT_A_NUMBER", f"the logits of {self._folder.name} are not finite")

    def memory(self) -> Mapping[str, int]:
        if self._device.type != "cuda":
            return {}
        peaks = {
            "vram_allocated_peak_bytes": int(torch.cuda.max_memory_allocated(self._device)),
            "vram_reserved_peak_bytes": int(torch.cuda.max_memory_reserved(self._device)),
        }
        torch.cuda.reset_peak_memory_stats(self._device)
        return peaks

    def tokenize(self, text: str) -> Sequence[int]:
        return list(self._text_tokenizer().encode(text))

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text up to the first end token."""
        end = next((place for place, token in enumerate(tokens) if token in self._ends), len(tokens))
        return str(self._text_tokenizer().decode(list(tokens[:end]), skip_special_tokens=True))

    def _text_tokenizer(self) -> Any:
        if self._tokenizer is None:
            from transformers import AutoTokenizer

            try:
                self._tokenizer = AutoTokenizer.from_pretrained(
                    self._folder, local_files_only=True, trust_remote_code=False
                )
            except (OSError, ValueError, KeyError) as error:
                raise WorkerFailure(
                    "MODEL_CORRUPT", f"{self._folder} has no tokenizer, which a prompts file needs: {error}"
                ) from error
        return self._tokenizer
