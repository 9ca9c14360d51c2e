#!/usr/bin/env python3
"""What recording answers costs in tokens a second, and what verifying one costs beside running its prompt.

Usage: answers.py BUILD [--rounds N] [--threads N] [--numerics PROFILE] [--hidden N] [--layers N]
Recording: the same rows with --trace and with --no-record, interleaved. Verifying: all cells of one answer of 256 tokens,
from the trace, beside a request whose prompt is that answer with its prompt and which asks for one token: both read the
model and run the same positions in one pass.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time

import bench_model

ANSWERS, TOKENS, PROMPT = 24, 96, 64
LONG = 256

parser = argparse.ArgumentParser()
parser.add_argument("build")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--numerics", default="i14")
parser.add_argument("--hidden", type=int, default=512)
parser.add_argument("--layers", type=int, default=8)
args = parser.parse_args()


def run(name, *arguments):
    command = [bench_model.tool(args.build, name), *map(str, arguments), "--threads", str(args.threads), "--quiet"]
    start = time.perf_counter()
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return time.perf_counter() - start, out


def serve(work, rows, *record):
    path = os.path.join(work, "rows.jsonl")
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(row) + "\n" for row in rows)
    return run("aftune-serve", "--model", os.path.join(work, "model"), "--in", path, "--numerics", args.numerics,
               "--layers-per-block", 2, *record)


def recorded(work):
    trace = os.path.join(work, "trace")
    shutil.rmtree(trace, ignore_errors=True)
    return "--trace", trace, "--key", os.path.join(work, "k.key")


def prompt(seed, count):
    return [(seed * 7 + i * i) % 256 for i in range(count)]


work = tempfile.mkdtemp(prefix="aftune-bench-")
try:
    bench_model.write_model(os.path.join(work, "model"), hidden=args.hidden, layers=args.layers,
                            intermediate=args.hidden * 43 // 16, heads=args.hidden // 64, seq_len=512)
    bench_model.write_rows(os.path.join(work, "rows.jsonl"), 8, 300)
    subprocess.run([bench_model.tool(args.build, "aftune-train"), "--model", os.path.join(work, "model"), "--data",
                    os.path.join(work, "rows.jsonl"), "--out", os.path.join(work, "out"), "--init", "--steps", "1",
                    "--batch-size", "1", "--seq-len", "64", "--lr", "0", "--no-record", "--quiet"], check=True,
                   stdout=subprocess.DEVNULL)
    shutil.rmtree(os.path.join(work, "model"))
    os.rename(os.path.join(work, "out"), os.path.join(work, "model"))
    subprocess.run([bench_model.tool(args.build, "aftune-key"), "generate", "--name", "bench.example/answers", "--out",
                    os.path.join(work, "k"), "--no-passphrase"], check=True, stdout=subprocess.DEVNULL)
    print(f"{bench_model.cpu_name()}, {args.threads} threads, {args.numerics}, hidden {args.hidden} x {args.layers} layers, "
          f"{args.rounds} interleaved rounds")

    rows = [{"prompt": prompt(i, PROMPT), "max_tokens": TOKENS, "seed": i, "ignore_eos": True} for i in range(ANSWERS)]
    with_trace, without = [], []
    for _ in range(args.rounds):
        without.append(serve(work, rows, "--no-record")[0])
        with_trace.append(serve(work, rows, *recorded(work))[0])
    ratios = [a / b for a, b in zip(with_trace, without)]
    print(f"{ANSWERS} answers of {TOKENS} tokens: recorded {ANSWERS * TOKENS / statistics.median(with_trace):.0f} tokens/s, "
          f"unrecorded {ANSWERS * TOKENS / statistics.median(without):.0f}; recording adds "
          f"{100 * (statistics.median(ratios) - 1):+.1f} %   [{100 * (min(ratios) - 1):+.1f}..{100 * (max(ratios) - 1):+.1f}]")

    ids = prompt(1, PROMPT)
    _, out = serve(work, [{"prompt": ids, "max_tokens": LONG, "seed": 1, "ignore_eos": True}], *recorded(work))
    tokens = json.loads(out)["tokens"]
    again = [{"prompt": ids + tokens[:-1], "max_tokens": 1, "temperature": 0, "ignore_eos": True}]
    prefill, verify = [], []
    for _ in range(args.rounds):
        prefill.append(serve(work, again, "--no-record")[0])
        verify.append(run("aftune-verify", "--trace", os.path.join(work, "trace"), "--model", os.path.join(work, "model"),
                          "--pubkey", os.path.join(work, "k.vkey"), "--all")[0])
    bench_model.row(f"verify an answer of {LONG} / its prefill", prefill, verify)
finally:
    shutil.rmtree(work)
