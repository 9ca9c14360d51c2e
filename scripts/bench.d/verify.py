#!/usr/bin/env python3
"""What verifying a cell costs beside its share of the training time, and how verifying many scales with --jobs.

Usage: verify.py BUILD [--rounds N]
A cell's share is what its block takes of the time of the same step block in training, with recording on: the time
is the run's own, the block's part of it is timed by itself (bench-shares) in the same round. Boundaries are stored,
so that one cell is replayed by itself. Each is verified twice: the first time a virtual machine may have to get the
memory from its host, which training has done in the first step, that is not counted.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile

import bench_model

PER_BLOCK, PER_CELL = 2, 8

parser = argparse.ArgumentParser()
parser.add_argument("build")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--threads", type=int, default=2)
args = parser.parse_args()


def shares():
    """Of every block. Block 0 is the tied embedding and head, the others are of PER_BLOCK layers."""
    return json.loads(subprocess.run([bench_model.tool(args.build, "bench-shares"), str(args.threads)], check=True,
                                     capture_output=True, text=True).stdout)


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
    ratios, first, of_time = ({0: [], 2: []} for _ in range(3))
    print(f"{bench_model.cpu_name()}, {args.threads} threads, {args.rounds} interleaved rounds; cells of {PER_CELL} steps")
    for r in range(args.rounds):
        shutil.rmtree(os.path.join(work, "trace"), ignore_errors=True)
        steps = bench_model.train_seconds(args.build, work, work, f"v{r}", 2 * PER_CELL, args.threads,
                                          list(map(str, record)))
        trained = sum(steps[-PER_CELL:])  # with what ends a step block
        tool("aftune-commit", "--trace", os.path.join(work, "trace"), "--key", os.path.join(work, "k.key"))
        os.sync()  # who verifies finds the trace on the disk
        share = shares()
        for block, seen in ratios.items():
            cell = one_cell(work, (block, 1))
            for times in (first[block], seen):
                times.append(verify(work, cell, "--threads", args.threads) / (trained * share[block]))
            of_time[block].append(share[block])
    for block, seen in ratios.items():
        what = "embedding and head" if block == 0 else f"{PER_BLOCK} layers"
        print(f"one cell ({what}): {statistics.median(seen):.2f} of its share of the training time, "
              f"{100 * statistics.median(of_time[block]):.1f} %   [{min(seen):.2f}..{max(seen):.2f}]; the first time "
              f"{statistics.median(first[block]):.2f} [{min(first[block]):.2f}..{max(first[block]):.2f}]")
    everything, drawn = challenge(work, "--all", "--fresh")
    one, both = [], []
    for r in range(args.rounds):
        one.append(verify(work, everything, "--threads", 1, "--jobs", 1))
        both.append(verify(work, everything, "--threads", 2, "--jobs", 2))
    bench_model.row(f"all {len(drawn)} cells, 2 jobs / 1", both, one)
finally:
    shutil.rmtree(work)
