#!/usr/bin/env python3
"""Seconds of training steps of a Hugging Face config with PyTorch on the first GPU, as a JSON list on the last line.

Usage: torch_gpu_step.py MODEL-FOLDER [--dtype float32|bfloat16] [--batch N] [--seq N] [--steps N]
bfloat16 is autocast over float32 weights; float32 is without tf32.
"""
import argparse
import contextlib
import json
import time

import torch
import transformers

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
parser.add_argument("--batch", type=int, default=8)
parser.add_argument("--seq", type=int, default=512)
parser.add_argument("--steps", type=int, default=5)
args = parser.parse_args()

torch.backends.cuda.matmul.allow_tf32 = False
config = transformers.AutoConfig.from_pretrained(args.model)
model = transformers.AutoModelForCausalLM.from_config(config).float().cuda()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
ids = torch.randint(0, config.vocab_size, (args.batch, args.seq), device="cuda")
half = args.dtype == "bfloat16"
times = []
for _ in range(args.steps + 1):
    torch.cuda.synchronize()
    start = time.perf_counter()
    with torch.autocast("cuda", torch.bfloat16) if half else contextlib.nullcontext():
        loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    torch.cuda.synchronize()
    times.append(time.perf_counter() - start)
print(json.dumps(times[1:]))
