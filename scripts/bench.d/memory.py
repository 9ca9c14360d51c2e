#!/usr/bin/env python3
"""Peak memory of verifying one cell, with stored boundaries and from evidence, as the model grows deeper.

Usage: memory.py BUILD
The bound is 1.25 * (one block's parameters, gradients and moments, its packed operands, the activations of one
micro-batch) + 64 MiB, and must not grow with the number of layers.
"""
import argparse
import json
import os
import resource
import shutil
import subprocess
import tempfile

import bench_model

HIDDEN, INTER, HEADS, VOCAB, SEQ, BATCH = 512, 1376, 8, 4096, 256, 8

parser = argparse.ArgumentParser()
parser.add_argument("build")
parser.add_argument("--layers", type=int, nargs="+", default=[6, 24])
args = parser.parse_args()


def bound_bytes(tokens):
    layer = 4 * HIDDEN * HIDDEN + 3 * HIDDEN * INTER + 2 * HIDDEN
    state = 4 * layer * 4  # parameters, gradients, two moments
    packed = 4 * layer
    # Per token: input, two norms, q, k, v, attention output, residual, gate, up, product, and their gradients.
    activations = 4 * tokens * 2 * (8 * HIDDEN + 3 * INTER)
    return 1.25 * (state + packed + activations + (64 << 20))


def peak_of(command):
    """Peak resident bytes of a child, by the kernel's own accounting of it alone."""
    pid = os.fork()
    if pid == 0:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        os.execv(command[0], command)
    _, status, usage = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024


def seed_of_middle_cell(challenge, ask, trace, work, layers):
    """A challenge seed whose one cell is a layer of the middle: not the embedding and head, not the first or last."""
    for number in range(1, 1000):
        seed = f"{number:064x}"
        command = [challenge, *ask, "--checkpoint", os.path.join(trace, "checkpoint"), "--challenge-seed", seed,
                   "--out", os.path.join(work, "c.json"), "--json"]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        (block, _), = json.loads(out)["drawn"]
        if 1 < block < layers:  # block 0 is the tied embedding and head
            return seed
    raise SystemExit("no seed draws a middle cell")


work = tempfile.mkdtemp(prefix="aftune-bench-")
try:
    bench_model.write_rows(os.path.join(work, "rows.jsonl"), 64, 300)
    subprocess.run([bench_model.tool(args.build, "aftune-key"), "generate", "--name", "bench.example/memory", "--out",
                    os.path.join(work, "k"), "--no-passphrase"], check=True, stdout=subprocess.DEVNULL)
    print(f"{bench_model.cpu_name()}: aftune-verify of one cell, layers_per_block 1, boundaries stored")
    for layers in args.layers:
        bench_model.write_model(os.path.join(work, "model"), layers=layers)
        trace = os.path.join(work, f"trace-{layers}")
        bench_model.train_seconds(args.build, work, work, f"m{layers}", 2, 2,
                                  ["--trace", trace, "--layers-per-block", "1", "--steps-per-block", "2", "--store",
                                   "boundaries"])
        subprocess.run([bench_model.tool(args.build, "aftune-commit"), "--trace", trace, "--key",
                        os.path.join(work, "k.key")], check=True, stdout=subprocess.DEVNULL)
        ask = ["--trace", trace, "--pubkey", os.path.join(work, "k.vkey"), "--cells", "1"]
        seed = seed_of_middle_cell(bench_model.tool(args.build, "aftune-challenge"), ask, trace, work, layers)
        command = [bench_model.tool(args.build, "aftune-verify"), *ask, "--challenge-seed", seed, "--threads", "1",
                   "--json"]
        evidence = os.path.join(work, f"evidence-{layers}.h5")
        answer = ["--challenge", os.path.join(work, "c.json")]  # of that seed
        subprocess.run([bench_model.tool(args.build, "aftune-open"), "--trace", trace, *answer, "--out", evidence],
                       check=True, stdout=subprocess.DEVNULL)
        from_evidence = [command[0], "--evidence", evidence, *answer, "--pubkey", os.path.join(work, "k.vkey"),
                         "--threads", "1", "--json"]
        bound = bound_bytes(SEQ * BATCH)
        for what, tried in (("trace", command), ("evidence", from_evidence)):
            code, peak = peak_of(tried)
            print(f"layers {layers:3}, from {what:8}: exit {code}, peak {peak / 2**20:7.1f} MiB,"
                  f" bound {bound / 2**20:7.1f} MiB, {100 * peak / bound:5.1f} %", flush=True)
        shutil.rmtree(trace)
finally:
    shutil.rmtree(work)
