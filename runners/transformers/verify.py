"""Proves an environment: a small random model makes tokens on the CPU, and on the GPU if there is one.

Prints one JSON object: versions, devices, and the kernels of gptq-4bit that computed the right product.
"""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    out = os.dup(1)
    os.dup2(2, 1)
    sys.dont_write_bytecode = True
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:0] = [here, os.path.join(os.path.dirname(here), "worker-kit", "python")]
    import accelerate
    import safetensors
    import torch
    import transformers
    from torch_worker.gptq_linear import GptqLinear

    config = transformers.LlamaConfig(
        vocab_size=256,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
    )
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for device in devices:
        model = transformers.LlamaForCausalLM(config).to(device).eval()
        ids = torch.arange(8, device=device).reshape(1, 8)
        tokens = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=4, do_sample=False, eos_token_id=None, pad_token_id=0
        )
        assert tokens.shape == (1, 12), tokens.shape

    generator = torch.Generator().manual_seed(0)
    tensors = {
        "qweight": torch.randint(-(2**31), 2**31 - 1, (16, 64), generator=generator, dtype=torch.int64).to(torch.int32),
        "qzeros": torch.full((1, 8), 0x77777777, dtype=torch.int32),
        "scales": torch.full((1, 64), 0.01, dtype=torch.float16),
    }
    x = torch.randn(3, 128, generator=generator).to(torch.float16)
    reference = GptqLinear("dequant-eager", dict(tensors), group_size=128, zero_offset=1)(x).float()
    packed = GptqLinear("int4pack-cpu", dict(tensors), group_size=128, zero_offset=1)
    packed.prepare()
    difference = float((packed(x).float() - reference).abs().max() / reference.abs().max())
    assert difference < 0.02, difference
    answer = {
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "accelerate": accelerate.__version__,
        "safetensors": safetensors.__version__,
        "devices": devices,
    }
    os.write(out, (json.dumps(answer) + "\n").encode())
    os._exit(0)


if __name__ == "__main__":
    main()
