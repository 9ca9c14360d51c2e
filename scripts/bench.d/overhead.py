#!/usr/bin/env python3
"""Cost of recording: seconds per step with and without it, interleaved, on the bench model.

Usage: overhead.py BUILD [--rounds N] [--steps N] [--threads N]
"""
import argparse
import os
import shutil
import statistics
import tempfile

import bench_model

parser = argparse.ArgumentParser()
parser.add_argument("build")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--steps", type=int, default=9)
parser.add_argument("--threads", type=int, default=2)
args = parser.parse_args()

work = tempfile.mkdtemp(prefix="aftune-bench-")
try:
    bench_model.write_model(os.path.join(work, "model"))
    bench_model.write_rows(os.path.join(work, "rows.jsonl"), 256, 300)
    recorded, plain = [], []
    for r in range(args.rounds):
        trace = os.path.join(work, f"trace-{r}")
        # The means include what a step block and a snapshot cost, which no single step shows.
        record = ["--trace", trace, "--layers-per-block", "2", "--steps-per-block", "8", "--snapshot-interval", "4"]
        recorded.append(statistics.mean(
            bench_model.train_seconds(args.build, work, work, f"r{r}", args.steps, args.threads, record)))
        plain.append(statistics.mean(
            bench_model.train_seconds(args.build, work, work, f"p{r}", args.steps, args.threads, ["--no-record"])))
        shutil.rmtree(trace)
    print(f"{bench_model.cpu_name()}, {args.threads} threads, {args.rounds} interleaved rounds of {args.steps} steps")
    ratio = bench_model.row("step, recorded / not recorded", recorded, plain)
    pairs = [100 * (a / b - 1) for a, b in zip(recorded, plain)]
    print(f"recording adds {100 * (1 / ratio - 1):.1f} % (medians); per pair {', '.join(f'{p:.1f}' for p in pairs)} %")
finally:
    shutil.rmtree(work)
