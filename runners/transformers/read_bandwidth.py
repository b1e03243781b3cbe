"""Measures how fast a device reads its memory: sums an array far larger than its caches, again and again.

Prints one JSON object: bytesPerS of the best pass, arrayBytes of one pass, cacheBytes (L2) or null. Whatever disturbs a
pass only slows it, so the best one counts. Usage: read_bandwidth.py [cuda|cpu] [bytes]
"""

import json
import sys
import time

PASSES = 30
# Ten times the largest L2 of today's GPUs.
DEFAULT_BYTES = 1 << 30


def main(device: str, size: int) -> None:
    import torch

    cuda = device == "cuda"
    cache = None
    if cuda:
        free, _ = torch.cuda.mem_get_info()
        size = min(size, free // 4)
        cache = getattr(torch.cuda.get_device_properties(0), "L2_cache_size", None)
    # Not zeros: pages that were never written to may all be the same one.
    array = torch.ones(size // 4, dtype=torch.float32, device=device)
    size = array.numel() * array.element_size()
    best = float("inf")
    for _ in range(PASSES):
        if cuda:
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            array.sum()
            end.record()
            end.synchronize()
            seconds = begin.elapsed_time(end) / 1e3
        else:
            started = time.perf_counter()
            array.sum()
            seconds = time.perf_counter() - started
        best = min(best, seconds)
    print(json.dumps({"bytesPerS": size / best, "arrayBytes": size, "cacheBytes": cache or None}))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "cuda", int(sys.argv[2]) if len(sys.argv) > 2 else DEFAULT_BYTES)
