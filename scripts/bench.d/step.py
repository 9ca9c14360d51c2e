#!/usr/bin/env python3
"""Whole training steps with recording on, under i14 and f32, against PyTorch's float32 (eager and compiled) on the same
model, batch and threads, interleaved.

Usage: step.py BUILD [--python PYTHON] [--rounds N] [--threads N] [--case NAME...]
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
SEQ, BATCH = 256, 8
CASES = {"vocabulary 4096": {"hidden": 512, "layers": 8, "intermediate": 1376, "heads": 8, "vocab": 4096},
         "vocabulary 32000": {"hidden": 512, "layers": 8, "intermediate": 1376, "heads": 8, "vocab": 32000},
         "hidden 768, 12 layers": {"hidden": 768, "layers": 12, "intermediate": 2048, "heads": 12, "vocab": 4096}}

parser = argparse.ArgumentParser()
parser.add_argument("build")
parser.add_argument("--python")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
args = parser.parse_args()


def gflop(m):
    """Of one step: products of the layers and of the head, and attention, forward and backward."""
    tokens = SEQ * BATCH
    layer = 4 * m["hidden"] ** 2 + 3 * m["hidden"] * m["intermediate"]
    products = 6 * tokens * (m["layers"] * layer + m["vocab"] * m["hidden"])
    attention = m["layers"] * tokens * (SEQ + 1) / 2 * m["hidden"] * (2 * 2 + 2 * 5)
    return 1e-9 * (products + attention)


def ours(work, tag, numerics):
    trace = os.path.join(work, "trace-" + tag)
    record = ["--trace", trace, "--layers-per-block", "2", "--steps-per-block", "8", "--snapshot-interval", "4"]
    seconds = bench_model.train_seconds(args.build, work, work, tag, 4, args.threads, record, numerics)
    shutil.rmtree(trace)
    shutil.rmtree(os.path.join(work, "out-" + tag))
    return statistics.median(seconds)


def torch(model, *extra):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    shape = [part for name, value in model.items() for part in ("--" + name, str(value))]
    command = [args.python, os.path.join(HERE, "torch_step.py"), "--threads", str(args.threads), *shape, *extra]
    out = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return statistics.median(json.loads(out)["seconds"])


def peak():
    return float(subprocess.run([bench_model.tool(args.build, "bench-peak"), str(args.threads)], check=True,
                                capture_output=True, text=True).stdout)


def run(case, work):
    model = CASES[case]
    bench_model.write_model(os.path.join(work, "model"), **model)
    times = {"i14": [], "f32": [], "torch eager": [], "torch compiled": []}
    peaks = []
    for r in range(args.rounds):
        peaks.append(peak())
        for numerics in ("i14", "f32"):
            times[numerics].append(ours(work, f"{numerics}-{r}", numerics))
        if args.python:
            times["torch eager"].append(torch(model))
            times["torch compiled"].append(torch(model, "--compile"))
    print(f"\n{case}: {gflop(model):.0f} GFLOP a step")
    for peer in list(times)[1:] if args.python else ["f32"]:
        bench_model.row(f"step, i14 / {peer}", times["i14"], times[peer])
    for numerics in ("i14", "f32"):
        shares = [100 * gflop(model) / s / p for s, p in zip(times[numerics], peaks)]
        print(f"{numerics}: {gflop(model) / statistics.median(times[numerics]):.0f} GF/s, {statistics.median(shares):.0f} %"
              f" of the FMA peak beside it ({statistics.median(peaks):.0f} GF/s)", flush=True)
    threads = str(args.threads)
    if model["hidden"] == 512:
        print(subprocess.run([bench_model.tool(args.build, "bench-step"), threads, "3", str(model["vocab"]), "i14"],
                             check=True, capture_output=True, text=True).stdout, end="", flush=True)


print(f"{bench_model.cpu_name()}, {args.threads} threads, {args.rounds} interleaved rounds")
for name in args.case:
    work = tempfile.mkdtemp(prefix="aftune-bench-")
    try:
        bench_model.write_rows(os.path.join(work, "rows.jsonl"), 64, 300)
        run(name, work)
    finally:
        shutil.rmtree(work)
