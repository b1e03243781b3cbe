"""GPTQ weights to a full matrix in one Triton kernel: one pass over the codes instead of one per operation."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024
"""Weights per program."""


@triton.jit
def _dequantize(qweight, qzeros, scales, g_idx, out, columns, total, zero_offset, BLOCK: tl.constexpr):
    index = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = index < total
    row = index // columns
    column = index % columns
    word = tl.load(qweight + (row // 8) * columns + column, mask=inside, other=0)
    code = (word >> ((row % 8) * 4)) & 15
    group = tl.load(g_idx + row, mask=inside, other=0)
    zero_word = tl.load(qzeros + group * (columns // 8) + column // 8, mask=inside, other=0)
    zero = ((zero_word >> ((column % 8) * 4)) & 15) + zero_offset
    scale = tl.load(scales + group * columns + column, mask=inside, other=0.0)
    tl.store(out + index, (code - zero).to(scale.dtype) * scale, mask=inside)


def dequantize(qweight: Tensor, qzeros: Tensor, scales: Tensor, g_idx: Tensor, zero_offset: int) -> Tensor:
    """W (K, N) in the type of the scales. `zero_offset`: what the checkpoint took off every zero."""
    rows, columns = qweight.shape[0] * 8, qweight.shape[1]
    out = torch.empty((rows, columns), dtype=scales.dtype, device=qweight.device)
    total = rows * columns
    _dequantize[(triton.cdiv(total, BLOCK),)](
        qweight, qzeros, scales, g_idx, out, columns, total, zero_offset, BLOCK=BLOCK
    )
    return out
