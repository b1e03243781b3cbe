"""What a person would write to time a model, without bench: `bare_loop.py FOLDER LOOP THREADS PROMPT GENERATED REQUESTS`.

Prints tokens/s of each request, whole requests, as a JSON list. Imports nothing of bench: it is what bench is compared to.
"""

import json
import os
import sys
import time

folder, loop = sys.argv[1:3]
threads, prompt_tokens, generated, requests = map(int, sys.argv[3:])
os.environ.update(OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads), HF_HUB_OFFLINE="1")
out = os.dup(1)
os.dup2(2, 1)

import torch
from transformers import AutoModelForCausalLM, DynamicCache, GenerationConfig

torch.set_num_threads(threads)
torch.set_num_interop_threads(1)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float16, attn_implementation="eager").eval()
greedy = GenerationConfig(
    max_new_tokens=generated, min_new_tokens=generated, do_sample=False, eos_token_id=None, bos_token_id=None, pad_token_id=0
)
model.generation_config = greedy


@torch.inference_mode()
def by_hand(prompt):
    cache = DynamicCache(config=model.config)
    step = prompt
    tokens = []
    for _ in range(generated):
        logits = model(input_ids=step, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
        step = logits[:, -1].argmax(dim=-1, keepdim=True)
        tokens.append(int(step))
    return len(tokens)


@torch.inference_mode()
def by_generate(prompt):
    output = model.generate(prompt, attention_mask=torch.ones_like(prompt), generation_config=greedy)
    return output.shape[1] - prompt.shape[1]


once = by_hand if loop == "hand" else by_generate
rates = []
for request in range(requests + 1):
    prompt = torch.tensor([[(request * 131 + index * 61) % 1000 for index in range(prompt_tokens)]])
    began = time.perf_counter()
    made = once(prompt)
    seconds = time.perf_counter() - began
    assert made == generated
    if request > 0:  # the first is the warm-up
        rates.append(made / seconds)
os.write(out, json.dumps(rates).encode())
