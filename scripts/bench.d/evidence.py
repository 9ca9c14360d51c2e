#!/usr/bin/env python3
"""Size of evidence, by the cells that were asked for and by the length of the run.

Usage: evidence.py BUILD
Each size is the median over five challenges: cells differ, the first block being larger than a layer.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile

import bench_model

parser = argparse.ArgumentParser()
parser.add_argument("build")
parser.add_argument("--steps", type=int, nargs="+", default=[8, 16, 32])
parser.add_argument("--cells", type=int, nargs="+", default=[1, 2, 4, 8])
args = parser.parse_args()


def tool(name, *arguments):
    command = [bench_model.tool(args.build, name), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def opened(trace, key, cells, seed, work):
    challenge, evidence = os.path.join(work, "c.json"), os.path.join(work, "e.h5")
    tool("aftune-challenge", "--checkpoint", os.path.join(trace, "checkpoint"), "--pubkey", key + ".vkey",
         "--challenge-seed", f"{seed:064x}", "--cells", cells, "--out", challenge)
    summary = json.loads(tool("aftune-open", "--trace", trace, "--challenge", challenge, "--out", evidence, "--json",
                              "--quiet"))
    os.remove(evidence)
    return summary


work = tempfile.mkdtemp(prefix="aftune-bench-")
try:
    bench_model.write_model(os.path.join(work, "model"), hidden=128, layers=6, intermediate=352, heads=4, vocab=1024)
    bench_model.write_rows(os.path.join(work, "rows.jsonl"), 256, 300)
    key = os.path.join(work, "k")
    tool("aftune-key", "generate", "--name", "bench.example/evidence", "--out", key, "--no-passphrase")
    print("hidden 128, 6 layers, 1 a block, 4 steps a step block, 2048 tokens a step, no boundaries stored")
    print(f"{'steps':>6} {'cells of':>9} {'trace MiB':>10} " + " ".join(f"{f'{n} cells':>10}" for n in args.cells)
          + "   MiB of evidence")
    for steps in args.steps:
        trace = os.path.join(work, f"trace-{steps}")
        bench_model.train_seconds(args.build, work, work, f"e{steps}", steps, 2,
                                  ["--trace", trace, "--layers-per-block", "1", "--steps-per-block", "4",
                                   "--snapshot-interval", "2"])
        tool("aftune-commit", "--trace", trace, "--key", key + ".key")
        size = sum(os.path.getsize(os.path.join(trace, name)) for name in os.listdir(trace))
        medians = [statistics.median(opened(trace, key, n, seed, work)["bytes"] for seed in range(1, 6))
                   for n in args.cells]
        print(f"{steps:6} {7 * steps // 4:9} {size / 2**20:10.1f} " + " ".join(f"{m / 2**20:10.2f}" for m in medians),
              flush=True)
        shutil.rmtree(trace)
finally:
    shutil.rmtree(work)
