"""The two ways to generate: a hand-written loop, and `generate()`. Both note when each token reached the host."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from bench_protocol import WorkerFailure, now_ns
from torch import Tensor
from transformers import DynamicCache, GenerationConfig
from transformers.generation.streamers import BaseStreamer


@dataclass(frozen=True)
class Decoded:
    """Times in ns; `submitted` prompt tokens per sequence that the first forward pass really got; tokens [batch, n]."""

    start_ns: int
    token_ns: list[int]
    submitted: int
    tokens: Tensor


def synchronize(device: torch.device) -> None:
    """Waits until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _last_only(model: Any) -> dict[str, int]:
    """Asks for the logits of the last position only, as generate() does, where the model can."""
    return {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}


@torch.inference_mode()
def decode_by_hand(model: Any, prompt: Tensor, cache: Any, generated: int) -> Decoded:
    """Forward, argmax, copy to the host, note the time. `prompt` [batch, length] on the host, cached part included."""
    device = model.device
    submitted = prompt[:, cache.get_seq_length() :]
    options = _last_only(model)
    token_ns: list[int] = []
    tokens: list[Tensor] = []
    synchronize(device)
    start_ns = now_ns()
    step = submitted.to(device)
    for _ in range(generated):
        logits = model(input_ids=step, past_key_values=cache, use_cache=True, **options).logits
        step = logits[:, -1].argmax(dim=-1, keepdim=True)
        tokens.append(step.cpu())
        token_ns.append(now_ns())
    return Decoded(start_ns, token_ns, submitted.shape[1], torch.cat(tokens, dim=1))


class TokenClock(BaseStreamer):
    """Notes the time of every token that generate() hands over; the first call is the prompt."""

    def __init__(self) -> None:
        self.token_ns: list[int] = []
        self._saw_prompt = False

    def put(self, value: Tensor) -> None:
        if self._saw_prompt:
            # generate() made this copy on the host: the token is the caller's from now on.
            self.token_ns.append(now_ns())
        self._saw_prompt = True

    def end(self) -> None:
        pass


class FirstPass:
    """Counts the tokens of the first forward pass: what the model really evaluates of the prompt."""

    def __init__(self) -> None:
        self.tokens = 0

    def __call__(self, _module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self.tokens == 0:
            ids = kwargs.get("input_ids", args[0] if args else None)
            self.tokens = 0 if ids is None else int(ids.shape[1])


@torch.inference_mode()
def decode_by_generate(model: Any, prompt: Tensor, cache: Any | None, generated: int) -> Decoded:
    """transformers' own loop: greedy, fixed length, dynamic cache, nothing compiled."""
    device = model.device
    clock, first = TokenClock(), FirstPass()
    hook = model.register_forward_pre_hook(first, with_kwargs=True)
    options = {} if cache is None else {"past_key_values": cache}
    config = fixed_length(generated)
    try:
        synchronize(device)
        start_ns = now_ns()
        ids = prompt.to(device)
        output = model.generate(
            ids, attention_mask=torch.ones_like(ids), generation_config=config, streamer=clock, **options
        )
        synchronize(device)
    finally:
        hook.remove()
    tokens = output[:, prompt.shape[1] :].cpu()
    if tokens.shape[1] != generated or len(clock.token_ns) != generated:
        raise WorkerFailure(
            "WRONG_TOKEN_COUNT",
            f"generate() made {tokens.shape[1]} tokens and streamed {len(clock.token_ns)} where {generated} were asked for",
        )
    return Decoded(start_ns, clock.token_ns, first.tokens, tokens)


def fixed_length(generated: int) -> GenerationConfig:
    """Greedy and of exact length. Without an end-of-sequence token nothing can end it sooner."""
    return GenerationConfig(
        max_new_tokens=generated,
        min_new_tokens=generated,
        do_sample=False,
        num_beams=1,
        use_cache=True,
        eos_token_id=None,
        bos_token_id=None,
        pad_token_id=0,
        disable_compile=True,
    )


def check_streaming(device: torch.device) -> None:
    """Raises UNSUPPORTED where transformers streams a step late: every time would belong to another token."""
    from transformers.generation import utils

    deferred = getattr(utils, "DeferredStopCheck", None)
    if deferred is not None and deferred.is_supported(device, None, False, False):
        raise WorkerFailure("UNSUPPORTED", f"generate() streams a step late on {device.type}: use loop: hand")


def new_cache(model: Any) -> Any:
    return DynamicCache(config=model.config)
