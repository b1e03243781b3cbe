"""A linear layer over GPTQ weights with a kernel of choice, so that the kernel is a factor and not an accident.

Layout (GPTQ v1; K = in, N = out, g = group size): `qweight` (K/8, N) int32, 8 codes along K, lowest bits first;
`qzeros` (K/g, N/8) int32, 8 zeros along N, each stored minus one (v2: as they are); `scales` (K/g, N); `g_idx` (K)
the group of every row. W[k, n] = scales[g_idx[k], n] * (code[k, n] - zero[g_idx[k], n]); the layer computes x @ W.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench_protocol import WorkerFailure

BITS = 4
PER_WORD = 8
"""Codes in one 32-bit word."""


class GptqLinear(nn.Module):
    """Computes x @ W + bias with W unpacked by `kernel`: see `forward_*`."""

    qweight: Tensor
    qzeros: Tensor
    scales: Tensor
    g_idx: Tensor

    def __init__(
        self,
        kernel: str,
        tensors: dict[str, Tensor],
        *,
        group_size: int,
        zero_offset: int,
        bias: Tensor | None = None,
    ) -> None:
        """`zero_offset` is what the checkpoint took off every zero: 1 in v1, 0 in v2."""
        super().__init__()
        self.in_features = tensors["qweight"].shape[0] * PER_WORD
        self.out_features = tensors["qweight"].shape[1]
        self.group_size = self.in_features if group_size == -1 else group_size
        self.zero_offset = zero_offset
        self.kernel = kernel
        groups = -(-self.in_features // self.group_size)
        for name, shape in {
            "qzeros": (groups, self.out_features // PER_WORD),
            "scales": (groups, self.out_features),
        }.items():
            if tuple(tensors[name].shape) != shape:
                raise WorkerFailure("MODEL_CORRUPT", f"{name} is {tuple(tensors[name].shape)} where {shape} is expected")
        in_order = torch.arange(self.in_features, dtype=torch.int32) // self.group_size
        g_idx = tensors.get("g_idx", in_order)
        self.is_ordered = bool(torch.equal(g_idx.cpu(), in_order))
        for name in ("qweight", "qzeros", "scales"):
            self.register_buffer(name, tensors[name], persistent=False)
        self.register_buffer("g_idx", g_idx, persistent=False)
        self.register_buffer("bias", bias, persistent=False)
        self.register_buffer("shifts", torch.arange(0, 32, BITS, dtype=torch.int32), persistent=False)

    def prepare(self) -> None:
        """Repacks for kernels that have their own layout. Called once, when the tensors are where they will be used."""
        if self.kernel != "int4pack-cpu":
            return
        if self.group_size not in (32, 64, 128, 256) or self.out_features % 16 != 0:
            raise WorkerFailure(
                "UNSUPPORTED",
                f"int4pack-cpu needs groups of 32, 64, 128 or 256 and outputs in multiples of 16, not {self.group_size} and {self.out_features}",
            )
        # Rows of one group must lie together; the activations are permuted alike.
        order = torch.argsort(self.g_idx, stable=True)
        self.register_buffer("row_order", None if self.is_ordered else order, persistent=False)
        codes = self._codes().index_select(0, order).t().contiguous()
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes.to(torch.int32), 1)
        scales = self.scales.to(torch.bfloat16)
        # The operator computes scale * (code - 8) + offset.
        offsets = ((PER_WORD - self._zeros()).to(torch.float32) * self.scales.to(torch.float32)).to(torch.bfloat16)
        self.register_buffer("packed", packed, persistent=False)
        self.register_buffer("scales_and_offsets", torch.stack([scales, offsets], dim=2).contiguous(), persistent=False)
        for name in ("qweight", "qzeros", "scales", "g_idx"):
            delattr(self, name)

    def forward(self, x: Tensor) -> Tensor:
        if self.kernel == "int4pack-cpu":
            y = self._multiply_packed(x)
        elif self.kernel == "dequant-triton":
            from torch_worker.triton_dequant import dequantize

            weight = dequantize(self.qweight, self.qzeros, self.scales, self.g_idx, self.zero_offset)
            y = torch.matmul(x, weight.to(x.dtype))
        else:
            weight = self.dequantize().to(x.dtype)
            # On CPUs PyTorch has fast 16-bit routines for a transposed right side only, and a plain loop otherwise: at the
            # 1B shape a prefill then takes a quarter of an hour, which is no price of dequantizing.
            if x.device.type == "cpu":
                y = nn.functional.linear(x, weight.t().contiguous())
            else:
                y = torch.matmul(x, weight)
        return y if self.bias is None else y + self.bias.to(y.dtype)

    def dequantize(self) -> Tensor:
        """The whole matrix (K, N), op by op, as a layer without compiled kernels does it in every forward pass."""
        codes, zeros = self._codes(), self._zeros()
        if self.is_ordered and self.in_features % self.group_size == 0:
            groups = codes.reshape(-1, self.group_size, self.out_features)
            weight = self.scales.unsqueeze(1) * (groups - zeros.unsqueeze(1))
            return weight.reshape(self.in_features, self.out_features)
        rows = self.g_idx.long()
        return self.scales[rows] * (codes - zeros[rows])

    def _codes(self) -> Tensor:
        """(K, N) int8 in 0..15."""
        shifted = torch.bitwise_right_shift(self.qweight.unsqueeze(1), self.shifts.view(1, -1, 1))
        return torch.bitwise_and(shifted, 15).to(torch.int8).reshape(self.in_features, self.out_features)

    def _zeros(self) -> Tensor:
        """(groups, N) int8 in 0..16."""
        shifted = torch.bitwise_right_shift(self.qzeros.unsqueeze(2), self.shifts.view(1, 1, -1))
        zeros = torch.bitwise_and(shifted, 15).to(torch.int8).reshape(-1, self.out_features)
        return zeros + self.zero_offset

    def _multiply_packed(self, x: Tensor) -> Tensor:
        """bfloat16 activations, whatever comes in: the operator has no other."""
        rows = x.reshape(-1, self.in_features)
        if self.row_order is not None:
            rows = rows[:, self.row_order]
        y = torch.ops.aten._weight_int4pack_mm_for_cpu(
            rows.to(torch.bfloat16).contiguous(), self.packed, self.group_size, self.scales_and_offsets
        )
        return y.to(x.dtype).reshape(*x.shape[:-1], self.out_features)
