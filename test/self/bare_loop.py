"""What a person would write to time a model, without bench: `bare_loop.py FOLDER LOOP THREADS PROMPT GENERATED REQUESTS`.

Prints tokens/s of each request, whole requests, as a JSON list. Imports nothing of bench: it is what bench is compared to.
`paired_loop.py` runs the two loops below beside bench's on one loaded model.
"""

import json
import os
import sys
import time


def by_hand(model, prompt, generated):
    import torch
    from transformers import DynamicCache

    with torch.inference_mode():
        cache = DynamicCache(config=model.config)
        step = prompt
        tokens = []
        for _ in range(generated):
            logits = model(input_ids=step, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
            step = logits[:, -1].argmax(dim=-1, keepdim=True)
            tokens.append(int(step))
        return len(tokens)


def by_generate(model, prompt, generated):
    import torch
    from transformers import GenerationConfig

    greedy = GenerationConfig(
        max_new_tokens=generated,
        min_new_tokens=generated,
        do_sample=False,
        eos_token_id=None,
        bos_token_id=None,
        pad_token_id=0,
    )
    with torch.inference_mode():
        output = model.generate(prompt, attention_mask=torch.ones_like(prompt), generation_config=greedy)
    return output.shape[1] - prompt.shape[1]


LOOPS = {"hand": by_hand, "generate": by_generate}


def timed(loop, model, ids, generated):
    """Seconds of one request, its tensor included."""
    import torch

    began = time.perf_counter()
    prompt = torch.tensor(ids)
    made = LOOPS[loop](model, prompt, generated)
    seconds = time.perf_counter() - began
    assert made == generated, made
    return seconds


def main():
    folder, loop = sys.argv[1:3]
    threads, prompt_tokens, generated, requests = map(int, sys.argv[3:])
    os.environ.update(OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads), HF_HUB_OFFLINE="1")
    out = os.dup(1)
    os.dup2(2, 1)

    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float16, attn_implementation="eager").eval()
    # What the checkpoint says of an end token would end a request early.
    model.generation_config = GenerationConfig(pad_token_id=0)
    # No two requests have the same prompt.
    prompts = [[[(request * 131 + index * 61) % 1000 for index in range(prompt_tokens)]] for request in range(requests + 1)]
    seconds = [timed(loop, model, ids, generated) for ids in prompts]
    # The first is the warm-up.
    os.write(out, json.dumps([generated / one for one in seconds[1:]]).encode())


if __name__ == "__main__":
    main()
