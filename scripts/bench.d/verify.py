#!/usr/bin/env python3
"""What verifying a cell costs beside its share of the training time, and how verifying many scales with --jobs.

Usage: verify.py BUILD [--rounds N] [--steps N]
A cell's share of a step is its part of the floating-point operations. Boundaries are stored, so that one cell is
replayed by itself; training is timed with recording on.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile

import bench_model

HIDDEN, LAYERS, INTER, VOCAB, SEQ, BATCH, PER_BLOCK, PER_CELL = 512, 8, 1376, 4096, 256, 8, 2, 8

parser = argparse.ArgumentParser()
parser.add_argument("build")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--steps", type=int, default=16)
parser.add_argument("--threads", type=int, default=2)
args = parser.parse_args()

LAYER = 6 * (4 * HIDDEN * HIDDEN + 3 * HIDDEN * INTER) + 14 * HIDDEN * (SEQ + 1) / 2
HEAD = 6 * VOCAB * HIDDEN


def share(block):
    """Block 0 is the tied embedding and head, the others are of PER_BLOCK layers."""
    return (HEAD if block == 0 else PER_BLOCK * LAYER) / (HEAD + LAYERS * LAYER)


def tool(name, *arguments):
    command = [bench_model.tool(args.build, name), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def verify(work, challenge, *arguments):
    return bench_model.wall([bench_model.tool(args.build, "aftune-verify"), "--trace", os.path.join(work, "trace"),
                             "--pubkey", os.path.join(work, "k.vkey"), "--challenge", challenge, "--quiet",
                             *map(str, arguments)])


def challenge(work, *plan):
    path = os.path.join(work, "challenge.json")
    drawn = json.loads(tool("aftune-challenge", "--checkpoint", os.path.join(work, "trace", "checkpoint"), "--pubkey",
                            os.path.join(work, "k.vkey"), "--trace", os.path.join(work, "trace"), *plan, "--out", path,
                            "--json"))["drawn"]
    return path, drawn


def one_cell(work, wanted):
    for seed in range(1, 1000):
        path, drawn = challenge(work, "--cells", 1, "--challenge-seed", f"{seed:064x}")
        if tuple(drawn[0]) == wanted:
            return path
    raise SystemExit("no seed draws the cell")


work = tempfile.mkdtemp(prefix="aftune-bench-")
try:
    bench_model.write_model(os.path.join(work, "model"))
    bench_model.write_rows(os.path.join(work, "rows.jsonl"), 256, 300)
    tool("aftune-key", "generate", "--name", "bench.example/verify", "--out", os.path.join(work, "k"), "--no-passphrase")
    record = ["--trace", os.path.join(work, "trace"), "--store", "boundaries", "--layers-per-block", PER_BLOCK,
              "--steps-per-block", PER_CELL, "--snapshot-interval", 1]
    ratios = {0: [], 2: []}
    print(f"{bench_model.cpu_name()}, {args.threads} threads, {args.rounds} interleaved rounds; cells of {PER_CELL} steps")
    for r in range(args.rounds):
        shutil.rmtree(os.path.join(work, "trace"), ignore_errors=True)
        step = statistics.median(bench_model.train_seconds(args.build, work, work, f"v{r}", args.steps, args.threads,
                                                           list(map(str, record))))
        tool("aftune-commit", "--trace", os.path.join(work, "trace"), "--key", os.path.join(work, "k.key"))
        for block, seen in ratios.items():
            seconds = verify(work, one_cell(work, (block, 1)), "--threads", args.threads)
            seen.append(seconds / (PER_CELL * step * share(block)))
    for block, seen in ratios.items():
        what = "embedding and head" if block == 0 else f"{PER_BLOCK} layers"
        print(f"one cell ({what}): {statistics.median(seen):.2f} of its share of the training time"
              f"   [{min(seen):.2f}..{max(seen):.2f}]")
    everything, drawn = challenge(work, "--all", "--fresh")
    one, both = [], []
    for r in range(args.rounds):
        one.append(verify(work, everything, "--threads", 1, "--jobs", 1))
        both.append(verify(work, everything, "--threads", 2, "--jobs", 2))
    bench_model.row(f"all {len(drawn)} cells, 2 jobs / 1", both, one)
finally:
    shutil.rmtree(work)
