#!/usr/bin/env python3
"""Training on a GPU: tokens a second of each profile with recording on and off, beside PyTorch on the same card, and the
rates of single operations.

Usage: gpu.py BIN-FOLDER [--device cuda] [--python PYTHON] [--hidden N] [--layers N] [--steps N] [--batch N] [--seq N]
The interpreter is one whose torch sees the GPU; without it only our side is timed. Where there is no GPU it says so and
ends with 2.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

import bench_model

HERE = os.path.dirname(os.path.abspath(__file__))
parser = argparse.ArgumentParser()
parser.add_argument("bin")
parser.add_argument("--device", default="cuda")
parser.add_argument("--python")
parser.add_argument("--hidden", type=int, default=2048)
parser.add_argument("--layers", type=int, default=16)
parser.add_argument("--vocab", type=int, default=32000)
parser.add_argument("--steps", type=int, default=5)
parser.add_argument("--batch", type=int, default=8)
parser.add_argument("--seq", type=int, default=512)
parser.add_argument("--rounds", type=int, default=2)
args = parser.parse_args()
INTER = args.hidden * 8 // 3 // 64 * 64 or 64


def train(work, numerics, record):
    """Seconds of each step but the first."""
    for name in ("out", "trace"):
        shutil.rmtree(os.path.join(work, name), ignore_errors=True)
    trace = ["--trace", os.path.join(work, "trace"), "--snapshot-interval", "64"] if record else ["--no-record"]
    command = [os.path.join(args.bin, "aftune-train"), "--model", os.path.join(work, "model"), "--data",
               os.path.join(work, "rows.jsonl"), "--out", os.path.join(work, "out"), "--init", "--steps", str(args.steps + 1),
               "--batch-size", str(args.batch), "--seq-len", str(args.seq), "--lr", "1e-4", "--clip-norm", "1.0", "--numerics",
               numerics, "--device", args.device, "--micro-batch", str(args.batch), "--json", "--quiet", *trace]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return [s["seconds"] for s in map(json.loads, lines) if "seconds" in s][1:]


def torch(work, dtype):
    command = [args.python, os.path.join(HERE, "torch_gpu_step.py"), os.path.join(work, "model"), "--dtype", dtype, "--batch",
               str(args.batch), "--seq", str(args.seq), "--steps", str(args.steps)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def line(name, times):
    rate = args.batch * args.seq / statistics.median(times)
    print(f"{name:28} {rate:10.0f} tokens/s   [{min(times):.4f}..{max(times):.4f} s a step]", flush=True)
    return rate


rates = subprocess.run([os.path.join(args.bin, "bench-device"), args.device], check=False)
if rates.returncode != 0:
    sys.exit(2)
work = tempfile.mkdtemp(prefix="aftune-bench-")
try:
    bench_model.write_model(os.path.join(work, "model"), hidden=args.hidden, layers=args.layers, intermediate=INTER,
                            heads=max(1, args.hidden // 64), vocab=args.vocab, seq_len=args.seq)
    bench_model.write_rows(os.path.join(work, "rows.jsonl"), 64, args.seq + 50)
    print(f"hidden {args.hidden}, {args.layers} layers, {args.batch} rows of {args.seq} tokens, vocabulary {args.vocab}")
    ours, plain = {}, {}
    for _ in range(args.rounds):
        for numerics in ("i14", "f32"):
            ours.setdefault(numerics, []).extend(train(work, numerics, True))
            plain.setdefault(numerics, []).extend(train(work, numerics, False))
    for numerics, times in ours.items():
        recorded = line(f"{numerics}, recorded", times)
        unrecorded = line(f"{numerics}, not recorded", plain[numerics])
        print(f"{'':28} recording adds {100 * (unrecorded / recorded - 1):+.1f} %")
    if args.python:
        for dtype in ("float32", "bfloat16"):
            line(f"PyTorch {dtype}", torch(work, dtype))
finally:
    shutil.rmtree(work)
