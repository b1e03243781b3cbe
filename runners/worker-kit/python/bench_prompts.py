"""Prompts that are the same in every worker: a port of prompt-tokens.ts and prompts-file.ts, checked against them by a test."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Sequence

from bench_protocol import WorkerFailure

WORDS = 8
"""32-bit words in one SHA-256."""


@dataclass(frozen=True)
class Vocabulary:
    """What of a tokenizer a random prompt needs."""

    size: int
    is_special: Callable[[int], bool]


@dataclass(frozen=True)
class RequestPrompt:
    """One request: one list of token ids per sequence of the batch, and the expected answer, if there is one."""

    sequences: Sequence[Sequence[int]]
    judged: bool = False
    answer: Any = None


def token_stream(key: str, count: int, vocabulary: Vocabulary) -> list[int]:
    """Random token ids: see `tokenStream` in prompt-tokens.ts, which defines them."""
    ids: list[int] = []
    block = 0
    while len(ids) < count:
        digest = hashlib.sha256(f"bench-prompt-1:{key}:{block}".encode()).digest()
        for word in struct.unpack(f"<{WORDS}I", digest):
            ids.append(_next_plain_id((word * vocabulary.size) >> 32, vocabulary))
        block += 1
    return ids[:count]


def _next_plain_id(drawn: int, vocabulary: Vocabulary) -> int:
    for step in range(vocabulary.size):
        token = (drawn + step) % vocabulary.size
        if not vocabulary.is_special(token):
            return token
    return drawn


def shared_prefix_tokens(workload: Mapping[str, Any]) -> int:
    """Leading prompt tokens that may come from the cache; 0 when every request starts from nothing."""
    policy = str(workload["prefixCache"])
    return 0 if policy == "off" else int(policy.removeprefix("shared:"))


def shared_prefix(order: Mapping[str, Any], vocabulary: Vocabulary) -> list[int]:
    """The prefix that every request of the workload begins with."""
    cell = order["cell"]
    return token_stream(f"{cell['promptSeed']}:shared", shared_prefix_tokens(cell["workload"]), vocabulary)


def prompt_tokens(
    order: Mapping[str, Any], phase: str, index: int, lane: int, sequence: int, vocabulary: Vocabulary
) -> list[int]:
    """The prompt of one sequence of one request: the shared prefix, then ids that no other request has."""
    cell = order["cell"]
    prefix = shared_prefix(order, vocabulary)
    own = max(0, int(cell["workload"]["promptTokens"]) - len(prefix))
    key = ":".join(str(part) for part in (cell["promptSeed"], order["round"], phase, index, lane, sequence))
    return prefix + token_stream(key, own, vocabulary)


class RandomPrompts:
    """Fresh random token ids for every request and sequence."""

    cut = False

    def __init__(self, order: Mapping[str, Any], vocabulary: Vocabulary) -> None:
        self._order = order
        self._vocabulary = vocabulary

    def at(self, phase: str, index: int) -> RequestPrompt:
        batch = int(self._order["cell"]["workload"]["batch"])
        return RequestPrompt(
            [prompt_tokens(self._order, phase, index, 0, sequence, self._vocabulary) for sequence in range(batch)]
        )


class FilePrompts:
    """Prompts of a JSON-lines file in the model's own tokens, with the expected answers."""

    def __init__(
        self, order: Mapping[str, Any], tokenize: Callable[[str], Sequence[int]], context_tokens: int
    ) -> None:
        cell = order["cell"]
        self._round = int(order["round"])
        self._rounds = int(cell["rounds"])
        self._room = context_tokens - int(cell["workload"]["generatedTokens"]) - 1
        self._prompts = read_prompts_file(str(order["promptsPath"]))
        self._tokens = [tokenize(prompt["prompt"]) for prompt in self._prompts]
        self.cut = any(len(tokens) > self._room for tokens in self._tokens)

    def at(self, phase: str, index: int) -> RequestPrompt:
        count = len(self._prompts)
        # Warm-up takes the prompts from the end, so that no measured request repeats the one before it.
        place = count - 1 - index % count if phase == "warmup" else (index * self._rounds + self._round) % count
        prompt = self._prompts[place]
        tokens = list(self._tokens[place][: max(1, self._room)])
        return RequestPrompt([tokens], judged="answer" in prompt, answer=prompt.get("answer"))


def read_prompts_file(path: str) -> list[dict[str, Any]]:
    """Prompts of the file; raises WorkerFailure with file and line."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().split("\n")
    except OSError as error:
        raise WorkerFailure("FILE_UNREADABLE", f"prompts file {path} cannot be read") from error
    prompts: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        if line.strip() == "":
            continue
        try:
            prompt = json.loads(line)
        except ValueError as error:
            raise WorkerFailure("MATRIX_INVALID", f"{path}:{number}: not a JSON object") from error
        if not isinstance(prompt, dict) or not isinstance(prompt.get("prompt"), str) or prompt["prompt"] == "":
            raise WorkerFailure("MATRIX_INVALID", f"{path}:{number}: prompt: a text is expected")
        prompts.append(prompt)
    if not prompts:
        raise WorkerFailure("MATRIX_INVALID", f"{path}:1: the prompts file is empty")
    return prompts


def is_correct(text: str, answer: Any) -> bool:
    """Equal but for blanks around; answers that are JSON are compared as JSON."""
    given = text.strip()
    if isinstance(answer, str) and given == answer.strip():
        return True
    try:
        expected = json.loads(answer) if isinstance(answer, str) else answer
        return _same_json(json.loads(given), expected)
    except ValueError:
        return False


def _same_json(left: Any, right: Any) -> bool:
    """Python holds True == 1 for true; JSON does not."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same_json(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same_json, left, right))
    return bool(left == right)
