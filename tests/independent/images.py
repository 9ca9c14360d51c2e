#!/usr/bin/env python3
"""Checks by what evidence of a run on images shows, and shares no code with AFTune: which rows a step takes, that each is
in the data root, what the model sees of it, its class, and the digests of all that in the step's leaf.

usage: images.py EVIDENCE PLUGIN_FOLDER SCRIPTS_FOLDER    exit 0 if all of it holds, 1 if not
Needs h5py, numpy and blake3.
"""
import hashlib
import json
import os
import sys

os.environ["HDF5_PLUGIN_PATH"] = sys.argv[2]  # before h5py loads the library
sys.path.insert(0, sys.argv[3])

import h5py
import numpy as np
from blake3 import blake3
from make_order_vectors import permutation


def root_from(leaf, index, size, proof):
    """RFC 9162, section 2.1.3.2."""
    node, fn, sn = hashlib.sha256(b"\0" + leaf).digest(), index, size - 1
    for p in proof:
        if fn & 1 or fn == sn:
            node = hashlib.sha256(b"\1" + p + node).digest()
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            node = hashlib.sha256(b"\1" + node + p).digest()
        fn, sn = fn >> 1, sn >> 1
    return node if sn == 0 else None


def numbers(texts, dtype):
    return np.array([int(t, 16) for t in texts], dtype=dtype.replace("f", "u")).view(dtype)


def seen_by_model(row, images):
    """docs/trace.md, "Image rows"."""
    header, pixels = row.split(b"\n", 1)
    fields = json.loads(header)
    assert header == json.dumps(fields, separators=(",", ":"), sort_keys=True).encode(), header
    if fields["dtype"] == "F32":
        return np.frombuffer(pixels, "<f4"), fields["label"]
    given = np.frombuffer(pixels, np.uint8).reshape(fields["shape"])
    rescale = numbers([images["rescale"]], "<f8")[0]
    mean, std = (numbers(images[k], "<f4")[:, None, None] for k in ("mean", "std"))
    scaled = (given.astype(np.float64) * rescale).astype(np.float32)
    return ((scaled - mean) / std).reshape(-1), fields["label"]


def digest(array):
    return blake3(np.ascontiguousarray(array).tobytes()).hexdigest()


def problems(file):
    leaves = [json.loads(leaf["leaf"]) for leaf in json.loads(bytes(file["/evidence/index"][()]))["leaves"]]
    manifest = leaves[0]
    config, recipe, rows = json.loads(manifest["config"]), manifest["recipe"], manifest["data"]["rows"]
    positions = 1 + (config["image_size"] // config["patch_size"]) ** 2
    checked = 0
    for step in (leaf for leaf in leaves if leaf["kind"] == "step" and f"/steps/{leaf['step']}/pixels" in file):
        order = [permutation(int(recipe["seed"], 16), p // rows, rows)[p % rows] for p in range(step["from"], step["to"])]
        pixels, labels = [], np.full((len(order), positions), -1, "<i4")
        for i, row in enumerate(order):
            text = file[f"/rows/{row}/text"][()].tobytes()
            proof = file[f"/rows/{row}/proof"][()].tobytes()
            hashes = [proof[at:at + 32] for at in range(0, len(proof), 32)]
            if root_from(text, row, rows, hashes).hex() != manifest["data"]["root"]:
                yield f"row {row} is not in the data root"
            seen, labels[i, 0] = seen_by_model(text, manifest["images"])
            pixels.append(seen)
        layout = np.array([[1, positions]] * len(order), "<i4")
        for what, found in (("token_ids", np.stack(pixels)), ("labels", labels), ("layout", layout)):
            if digest(found) != step[what]:
                yield f"step {step['step']}: {what} are not those of the rows"
        if not np.array_equal(np.stack(pixels), file[f"/steps/{step['step']}/pixels"][()]):
            yield f"step {step['step']}: other pixels"
        checked += 1
    if checked == 0:
        yield "no step that sees images"


with h5py.File(sys.argv[1], "r") as evidence:
    found = list(problems(evidence))
print("\n".join(found) or "rows, pixels and classes hold")
sys.exit(1 if found else 0)
