#!/usr/bin/env python3
"""Fine-tunes a real checkpoint with aftune-train and with PyTorch in float64, and compares losses and final weights.

Usage: stories_parity.py AFTUNE_TRAIN CHECKPOINT [--text FILE] [--steps N]
Needs torch, transformers and tokenizers. CHECKPOINT is a Llama folder small enough for float64, such as stories260k.
Rows are the first paragraphs of FILE, else some of its own. Every step sees all of them, so the order inside a batch,
which changes no sum by more than rounding, need not be known.
"""
import argparse
import json
import math
import os
import subprocess
import tempfile

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

from torch_train import document, train

ROWS = ["Once upon a time, there was a little girl named Lily. She loved to play outside in the park.",
        "One day, Tom and his dog went to the big forest.\nThey saw a red bird in a tree.",
        "The sun was bright.",
        "\"Can I have a cookie?\" asked Ben. His mom smiled and said, \"Yes, but only one.\""]

parser = argparse.ArgumentParser()
parser.add_argument("aftune_train")
parser.add_argument("checkpoint")
parser.add_argument("--text")
parser.add_argument("--rows", type=int, default=8)
parser.add_argument("--steps", type=int, default=20)
parser.add_argument("--seq-len", type=int, default=48)
args = parser.parse_args()
if args.text:
    with open(args.text, encoding="utf-8") as file:
        ROWS = file.read().split("\n\n")[:args.rows]
    assert len(ROWS) == args.rows and all(ROWS), args.text


def ours(work):
    """Losses and final weights of aftune-train."""
    data, out = os.path.join(work, "rows.jsonl"), os.path.join(work, "out")
    with open(data, "w", encoding="utf-8") as f:
        f.writelines(json.dumps({"text": row}) + "\n" for row in ROWS)
    command = [args.aftune_train, "--model", args.checkpoint, "--data", data, "--out", out, "--no-record", "--json",
               "--steps", args.steps, "--batch-size", len(ROWS), "--seq-len", args.seq_len, "--lr", "1e-3",
               "--optimizer", "adamw", "--schedule", "constant", "--warmup-steps", 0, "--clip-norm", "1.0",
               "--seed", 7, "--numerics", "f32"]
    text = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True).stdout
    steps = [json.loads(line) for line in text.splitlines()]
    return [s["loss"] for s in steps if "loss" in s], load_file(os.path.join(out, "model.safetensors"))


def theirs():
    """The same by PyTorch, and the weights both began with."""
    tokenizer = Tokenizer.from_file(os.path.join(args.checkpoint, "tokenizer.json"))
    model = LlamaForCausalLM.from_pretrained(args.checkpoint, attn_implementation="eager")
    eos = model.config.eos_token_id
    batch = [[document((tokenizer.encode(row).ids + [eos])[:args.seq_len])] for row in ROWS]
    initial = {n: p.detach().double() for n, p in model.named_parameters()}
    losses, _, weights = train(model, [batch] * args.steps)
    return losses, weights, initial


def ulp(x):
    return math.ldexp(1.0, math.frexp(x)[1] - 24)


with tempfile.TemporaryDirectory(prefix="aftune-parity-") as work:
    mine, exported = ours(work)
peer, weights, initial = theirs()
assert len(mine) == len(peer) == args.steps, (len(mine), args.steps)
worst_loss = max(abs(a - b) / b for a, b in zip(mine, peer))
first_loss = abs(mine[0] - peer[0]) / peer[0]
worst = 0.0
for n, w in weights.items():
    error = (exported[n].double() - w).norm().item()
    moved = (w - initial[n]).norm().item()
    rounding = 0.5 * math.sqrt(w.numel() * args.steps) * ulp(w.abs().max().item())
    worst = max(worst, error / max(1e-3 * moved, rounding))
print(f"{args.steps} steps: loss of step 0 off by {first_loss:.1e} (bound 1e-6), losses by {worst_loss:.1e} (1e-5),"
      f" weights by {worst:.2f} of their bound")
assert first_loss <= 1e-6 and worst_loss <= 1e-5 and worst <= 1.0
