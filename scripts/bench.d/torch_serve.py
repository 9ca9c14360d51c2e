#!/usr/bin/env python3
"""Prefill and decoding of a model folder with PyTorch, timed: a peer of bench-serve, with whose JSON keys it answers."""
import argparse, json, time
import torch
from transformers import LlamaForCausalLM

p = argparse.ArgumentParser()
p.add_argument("model")
p.add_argument("--threads", type=int, default=2)
p.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
p.add_argument("--prompt", type=int, default=128)
p.add_argument("--steps", type=int, default=32)
a = p.parse_args()

torch.set_num_threads(a.threads)
torch.manual_seed(1)
model = LlamaForCausalLM.from_pretrained(a.model, dtype=getattr(torch, a.dtype)).eval()


@torch.inference_mode()
def rates(batch, prompt, steps):
    ids = torch.randint(0, model.config.vocab_size, (batch, prompt))
    start = time.perf_counter()
    out = model(ids, use_cache=True, logits_to_keep=1)
    prefill = time.perf_counter() - start
    for step in range(steps + 1):
        if step == 1:
            start = time.perf_counter()
        token = out.logits[:, -1:].argmax(-1)
        out = model(token, past_key_values=out.past_key_values, use_cache=True)
    return batch * prompt / prefill, batch * steps / (time.perf_counter() - start)


rates(1, 8, 2)
prefill, one = rates(1, a.prompt, a.steps)
print(json.dumps({"prefill": prefill, "decode 1": one, "decode 8": rates(8, a.prompt, a.steps)[1]}))
