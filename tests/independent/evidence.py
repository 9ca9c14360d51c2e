#!/usr/bin/env python3
"""Checks what an evidence file says of itself against the challenge and the signed note, and shares no code with AFTune:
the cells follow from note, seed and plan, each leaf is proved at its index, and every dataset has its digest.

usage: evidence.py EVIDENCE CHALLENGE PLUGIN_FOLDER    exit 0 if all of it holds, 1 if not
Needs h5py, numpy and blake3.
"""
import hashlib
import json
import os
import sys

os.environ["HDF5_PLUGIN_PATH"] = sys.argv[3]  # before h5py loads the library
import base64

import h5py
from blake3 import blake3


def prefixed(data):
    return len(data).to_bytes(8, "little") + data


def words(key, stratum):
    stream, at = blake3(stratum.encode(), key=key), 0
    while True:
        yield int.from_bytes(stream.digest(length=8, seek=at), "little")
        at += 8


def draw(key, stratum, total, count):
    """docs/audit.md, "Draw"."""
    source, deck, drawn = words(key, stratum), list(range(total)), []
    for i in range(min(count, total)):
        n = total - i
        word = next(w for w in source if w < 2**64 // n * n)
        j = i + word % n
        deck[i], deck[j] = deck[j], deck[i]
        drawn.append(deck[i])
    return drawn


def cells_of(challenge, blocks, rows, last_block):
    plan = challenge["plan"]
    if plan["all"]:
        return sorted([b, s] for b in range(blocks) for s in range(rows))
    text = challenge["note"][: challenge["note"].index("\n\n") + 1].encode()
    canonical = json.dumps(plan, separators=(",", ":"), sort_keys=True).encode()
    material = prefixed(text) + prefixed(bytes.fromhex(challenge["seed"])) + prefixed(canonical)
    key = blake3(material, derive_key_context="aftune/draw/1").digest()
    cells = [[i % blocks, i // blocks] for i in draw(key, "uniform", blocks * rows, plan["uniform"])]
    cells += [[0, s] for s in draw(key, "inputs", rows, plan["inputs"])]
    cells += [[last_block, s] for s in draw(key, "objective", rows, plan["objective"])]
    cells += [[b, 0] for b in draw(key, "first-row", blocks, plan["ends"])]
    cells += [[b, rows - 1] for b in draw(key, "last-row", blocks, plan["ends"])]
    return sorted(map(list, {tuple(c) for c in cells + challenge["must"]}))


def root_from(leaf, index, size, proof):
    """RFC 9162, section 2.1.3.2; None for a proof of the wrong length."""
    node, fn, sn = hashlib.sha256(b"\0" + leaf).digest(), index, size - 1
    for p in proof:
        if sn == 0:
            return None
        if fn & 1 or fn == sn:
            node = hashlib.sha256(b"\1" + p + node).digest()
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            node = hashlib.sha256(b"\1" + node + p).digest()
        fn, sn = fn >> 1, sn >> 1
    return node if sn == 0 else None


def problems(file, challenge):
    index = json.loads(bytes(file["/evidence/index"][()]))
    _, size, root = challenge["note"].split("\n")[:3]
    size, root = int(size), base64.b64decode(root)
    if index["note"] != challenge["note"]:
        yield "another note"
    for leaf in index["leaves"]:
        proof = [bytes.fromhex(h) for h in leaf["proof"]]
        if leaf["index"] >= size or root_from(leaf["leaf"].encode(), leaf["index"], size, proof) != root:
            yield f"leaf {leaf['index']} is not proved"
    manifest = json.loads(index["leaves"][0]["leaf"])
    grid, steps = manifest["grid"], manifest["recipe"]["steps"]
    blocks = -(-grid["layers"] // grid["layers_per_block"]) + (1 if grid["tied"] else 2)
    rows = -(-steps // grid["steps_per_block"])
    if index["cells"] != cells_of(challenge, blocks, rows, 0 if grid["tied"] else blocks - 1):
        yield "cells that the challenge does not draw"
    seen = {}
    file.visititems(lambda name, item: seen.update({"/" + name: item}) if isinstance(item, h5py.Dataset) else None)
    del seen["/evidence/index"]
    seen.pop("/evidence/signature", None)
    if sorted(seen) != sorted(index["datasets"]):
        yield "datasets that the index does not name"
    for name, dataset in seen.items():
        if blake3(dataset[()].tobytes()).hexdigest() != index["datasets"].get(name):
            yield f"{name} has another digest"


with open(sys.argv[2], encoding="utf-8") as text, h5py.File(sys.argv[1], "r") as evidence:
    found = list(problems(evidence, json.load(text)))
print("\n".join(found) or "cells, leaves and datasets hold")
sys.exit(1 if found else 0)
