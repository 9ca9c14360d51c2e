#!/usr/bin/env python3
"""BLAKE3 beside the `blake3` package of Python, which is the official assembly: GB/s, interleaved.

Usage: blake3_rate.py BUILD --python PYTHON [--rounds N]
PYTHON is an interpreter that has the package.
"""
import argparse
import os
import statistics
import subprocess

import bench_model

PEER = """
import sys, time, blake3
size, threads = int(sys.argv[1]), int(sys.argv[2])
data, times = b"\\x5a" * size, max(1, (256 << 20) // size)
rates = []
for _ in range(3):
    start = time.perf_counter()
    for _ in range(times):
        blake3.blake3(data, max_threads=threads).digest()
    rates.append(1e-9 * size * times / (time.perf_counter() - start))
print(sorted(rates)[1])
"""

parser = argparse.ArgumentParser()
parser.add_argument("build")
parser.add_argument("--python", required=True)
parser.add_argument("--rounds", type=int, default=5)
args = parser.parse_args()


def rate(*command):
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


print(f"{bench_model.cpu_name()}: GB/s, ours / blake3 package, medians of {args.rounds} interleaved rounds")
for threads in (1, 2):
    for size in (16 << 10, 4 << 20, 64 << 20):
        mine, peer = [], []
        for _ in range(args.rounds):
            mine.append(rate(os.path.join(args.build, "bin", "bench-blake3"), str(size), str(threads), "3"))
            peer.append(rate(args.python, "-c", PEER, str(size), str(threads)))
        a, b = statistics.median(mine), statistics.median(peer)
        print(f"{threads} thread{'s' if threads > 1 else ' '} {size >> 10:7d} KiB  {a:6.2f}  {b:6.2f}  ratio {a / b:5.2f}"
              f"   [{min(mine):.2f}..{max(mine):.2f}] [{min(peer):.2f}..{max(peer):.2f}]")
