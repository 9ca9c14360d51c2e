#!/usr/bin/env python3
"""Prefill and decoding, one sequence and eight, against peers that read the same weights at the same bytes a weight:
f32 against float32, i14 against 16-bit floats. PyTorch, and llama.cpp where the interpreter has it. Interleaved.

Usage: serve.py BUILD [--python PYTHON] [--llama-python PYTHON] [--rounds N] [--threads N] [--prompt N] [--steps N]
The interpreters are one that has torch and transformers and, if it is another, one that has llama.cpp (xllamacpp); without
them only our side is timed.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile

import bench_model
import serve_model

HERE = os.path.dirname(os.path.abspath(__file__))
parser = argparse.ArgumentParser()
parser.add_argument("build")
parser.add_argument("--python")
parser.add_argument("--llama-python")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--prompt", type=int, default=128)
parser.add_argument("--steps", type=int, default=32)
args = parser.parse_args()


def measured(command):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OPENBLAS_", "OMP_"))}
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    return json.loads(out.stdout.splitlines()[-1])


def ours(work, numerics):
    return measured([bench_model.tool(args.build, "bench-serve"), work, str(args.threads), numerics, str(args.prompt),
                     str(args.steps)])


def has(python, package):
    return python and subprocess.run([python, "-c", f"import {package}"], stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL, check=False).returncode == 0


def peers(work, numerics):
    """Names and commands."""
    found = {}
    options = ["--threads", str(args.threads), "--prompt", str(args.prompt), "--steps", str(args.steps)]
    if has(args.python, "torch, transformers"):
        dtype = {"f32": "float32", "i14": "bfloat16"}[numerics]
        found[f"PyTorch {dtype}"] = [args.python, os.path.join(HERE, "torch_serve.py"), work, "--dtype", dtype, *options]
    llama = args.llama_python or args.python
    if has(llama, "xllamacpp"):
        kind = {"f32": "f32", "i14": "f16"}[numerics]
        path = os.path.join(work, kind + ".gguf")
        serve_model.write_gguf(path, serve_model.SHAPE, kind)
        found[f"llama.cpp {kind}"] = [llama, os.path.join(HERE, "llama_serve.py"), path, *options]
    return found


def run(work, numerics):
    commands = peers(work, numerics)
    mine, theirs = [], {name: [] for name in commands}
    for _ in range(args.rounds):
        mine.append(ours(work, numerics))
        for name, command in commands.items():
            theirs[name].append(measured(command))
    weights = serve_model.bytes_a_token(serve_model.SHAPE, {"f32": 4, "i14": 2}[numerics])
    print(f"\n{numerics}: {weights / 2**20:.0f} MiB of weights a step")
    for what in ("prefill", "decode 1", "decode 8"):
        a = [m[what] for m in mine]
        line = f"{what:9} {statistics.median(a):8.1f} tokens/s"
        if what != "prefill":
            rates = [m[what] / int(what.split()[1]) * weights for m in mine]
            share = statistics.median(r / m["memory"] for r, m in zip(rates, mine))
            line += f", {statistics.median(rates) / 1e9:5.1f} GB/s, {100 * share:3.0f} % of the memory's"
        print(line)
        for name, found in theirs.items():
            b = [m[what] for m in found]
            ratio = statistics.median(x / y for x, y in zip(a, b))
            print(f"    {name:18} {statistics.median(b):8.1f} tokens/s  ratio {ratio:5.2f}"
                  f"   [{min(a):.1f}..{max(a):.1f}] [{min(b):.1f}..{max(b):.1f}]", flush=True)


print(f"{bench_model.cpu_name()}, {args.threads} threads, {args.rounds} interleaved rounds, {args.prompt} tokens of"
      f" prompt, then {args.steps}; a ratio above 1 means that we are faster")
folder = tempfile.mkdtemp(prefix="aftune-bench-")
try:
    serve_model.write(folder)
    for profile in ("f32", "i14"):
        run(folder, profile)
finally:
    shutil.rmtree(folder)
