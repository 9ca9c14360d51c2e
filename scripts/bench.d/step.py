#!/usr/bin/env python3
"""A whole training step with recording on, against PyTorch's on the same model, batch and threads, interleaved.

Usage: step.py BUILD --python PYTHON [--rounds N] [--threads N]
PYTHON is an interpreter that has torch and transformers; without it only our side is timed.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile

import bench_model

HERE = os.path.dirname(os.path.abspath(__file__))
# FLOP of one step of the bench model: products of the layers, of the head, and attention (forward and backward).
HIDDEN, LAYERS, INTER, TOKENS, SEQ = 512, 8, 1376, 2048, 256

parser = argparse.ArgumentParser()
parser.add_argument("build")
parser.add_argument("--python")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--vocab", type=int, default=4096)
args = parser.parse_args()


def flop(vocab):
    layer = 4 * HIDDEN * HIDDEN + 3 * HIDDEN * INTER
    products = 6 * TOKENS * (LAYERS * layer + vocab * HIDDEN)
    attention = LAYERS * TOKENS * (SEQ + 1) / 2 * HIDDEN * (2 * 2 + 2 * 5)
    return products, attention


def ours(work, r):
    trace = os.path.join(work, f"trace-{r}")
    record = ["--trace", trace, "--layers-per-block", "2", "--steps-per-block", "8", "--snapshot-interval", "4"]
    seconds = bench_model.train_seconds(args.build, work, work, f"s{r}", 4, args.threads, record)
    shutil.rmtree(trace)
    return statistics.median(seconds)


def torch(vocab):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    command = [args.python, os.path.join(HERE, "torch_step.py"), "--threads", str(args.threads), "--vocab", str(vocab)]
    out = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return json.loads(out)


work = tempfile.mkdtemp(prefix="aftune-bench-")
try:
    bench_model.write_model(os.path.join(work, "model"), vocab=args.vocab)
    bench_model.write_rows(os.path.join(work, "rows.jsonl"), 64, 300)
    mine, peer, peaks = [], [], []
    for r in range(args.rounds):
        peak = subprocess.run([bench_model.tool(args.build, "bench-peak"), str(args.threads)], check=True,
                              capture_output=True, text=True).stdout
        peaks.append(float(peak))
        mine.append(ours(work, r))
        if args.python:
            result = torch(args.vocab)
            peer.append(statistics.median(result["seconds"]))
    products, attention = flop(args.vocab)
    print(f"{bench_model.cpu_name()}, {args.threads} threads, vocabulary {args.vocab}, {args.rounds} interleaved rounds")
    if peer:
        bench_model.row(f"step, ours / torch {result['torch']}", mine, peer)
    rates = [(products + attention) / s / 1e9 for s in mine]
    shares = [100 * a / b for a, b in zip(rates, peaks)]
    print(f"{(products + attention) / 1e9:.0f} GFLOP a step; ours {statistics.median(rates):.0f} GF/s,"
          f" FMA peak beside it {statistics.median(peaks):.0f} GF/s: {statistics.median(shares):.0f} % of peak")
finally:
    shutil.rmtree(work)
