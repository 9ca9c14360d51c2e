#!/usr/bin/env python3
"""Processor time of tokenising texts, one thread, beside Hugging Face's tokenizers, which must give the same ids.

Usage: tokenizer.py BUILD [--rounds N] [--python PYTHON] [--texts FILE.jsonl] FOLDER...
A folder has a tokenizer.json. The texts are the strings in the rows of FILE; without one they are made up of words.
Where PYTHON has no package `tokenizers` only our own time is printed.
"""
import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import tempfile

import bench_model

PEER = """
import json, os, resource, sys
os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_file(sys.argv[1])
texts = [json.loads(line) for line in open(sys.argv[2], encoding="utf-8")]
begin = resource.getrusage(resource.RUSAGE_SELF).ru_utime
ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
print(json.dumps({"seconds": resource.getrusage(resource.RUSAGE_SELF).ru_utime - begin, "ids": ids}))
"""

parser = argparse.ArgumentParser()
parser.add_argument("build")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--python")
parser.add_argument("--texts")
parser.add_argument("folders", nargs="+")
args = parser.parse_args()


def strings(value):
    if isinstance(value, str):
        return [value]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for inner in values for text in strings(inner)]


def texts():
    if args.texts:
        with open(args.texts, encoding="utf-8") as f:
            return [text for line in f for text in strings(json.loads(line))]
    rng = random.Random(1)
    words = ["".join(rng.choice("etaoinshrdlucmfwypvbgkjqxz") for _ in range(rng.randint(1, 10))) for _ in range(5000)]
    return [" ".join(rng.choice(words) for _ in range(300)) for _ in range(2000)]


def user_seconds():
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime


def ours(folder, path):
    begin = user_seconds()
    with open(path, encoding="utf-8") as f:
        out = subprocess.run([bench_model.tool(args.build, "aftune-inspect"), "--tokenize", "--model", folder], stdin=f,
                             check=True, capture_output=True, text=True).stdout
    return user_seconds() - begin, [json.loads(line)["ids"] for line in out.splitlines()]


def peer(folder, path):
    command = [args.python, "-c", PEER, os.path.join(folder, "tokenizer.json"), path]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return answer["seconds"], answer["ids"]


def has_peer():
    return args.python and subprocess.run([args.python, "-c", "import tokenizers"], capture_output=True).returncode == 0


with tempfile.TemporaryDirectory(prefix="aftune-bench-") as work:
    whole, nothing = os.path.join(work, "texts"), os.path.join(work, "nothing")
    lines = [json.dumps(text) + "\n" for text in texts()]
    with open(whole, "w", encoding="utf-8") as f:
        f.writelines(lines)
    with open(nothing, "w", encoding="utf-8") as f:
        f.write('""\n')
    print(f"{bench_model.cpu_name()}, {args.rounds} rounds, {os.path.getsize(whole) / 1e6:.1f} MB of JSON strings")
    for folder in args.folders:
        mine, theirs = [], []
        for _ in range(args.rounds):
            seconds, ids = ours(folder, whole)
            mine.append(seconds - ours(folder, nothing)[0])  # without reading tokenizer.json
            if has_peer():
                seconds, expected = peer(folder, whole)
                theirs.append(seconds)
                if ids != expected:
                    raise SystemExit(f"{folder}: other ids than the peer's")
        name = os.path.basename(os.path.normpath(folder))
        if theirs:
            bench_model.row(f"{name}: ours / tokenizers", mine, theirs)
        else:
            print(f"{name}: {statistics.median(mine):.3f} s")
