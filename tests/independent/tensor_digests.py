#!/usr/bin/env python3
"""Reproduces, from the tensors that a trace stores, the digests that its log states. Shares no code with AFTune.

usage: tensor_digests.py TRACE PLUGIN_FOLDER    exit 0 if every stored tensor has its digest, 1 if not
Needs h5py, numpy and blake3. Knows Llama models.
"""
import glob
import json
import os
import sys

os.environ["HDF5_PLUGIN_PATH"] = sys.argv[2]  # before h5py loads the library
import h5py
from blake3 import blake3

MOMENTS = {"adamw": ["exp_avg", "exp_avg_sq"], "sgd": []}
LAYER = ["input_layernorm.weight", "self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight",
         "self_attn.o_proj.weight", "post_attention_layernorm.weight", "mlp.gate_proj.weight", "mlp.up_proj.weight",
         "mlp.down_proj.weight"]


def canonical(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def tensor_digest(dataset):
    return blake3(dataset[()].tobytes()).hexdigest()


def list_digest(file, names):
    entries = [[n, "F32", list(file["/state/" + n].shape), tensor_digest(file["/state/" + n])] for n in names]
    return blake3(canonical(entries)).hexdigest()


def block_names(manifest, block):
    """Names of the parameters of a block, in the order of docs/trace.md."""
    grid = manifest["grid"]
    layers, run = grid["layers"], grid["layers_per_block"]
    if block == 0:
        return ["model.embed_tokens.weight", *(["model.norm.weight"] if grid["tied"] else [])]
    if (block - 1) * run >= layers:
        return ["model.norm.weight", "lm_head.weight"]
    numbers = range((block - 1) * run, min(block * run, layers))
    return [f"model.layers.{i}.{name}" for i in numbers for name in LAYER]


def block_digest(file, manifest, block):
    parameters = block_names(manifest, block)
    moments = [f"{p}.{m}" for p in parameters for m in MOMENTS[manifest["recipe"]["optimizer"]]]
    return blake3(canonical({"moments": list_digest(file, moments),
                             "parameters": list_digest(file, parameters)})).hexdigest()


def main():
    with open(sys.argv[1] + "/log.jsonl", encoding="utf-8") as file:
        leaves = [json.loads(line) for line in file]
    manifest = leaves[0]
    states = {leaf["state"]: leaf for leaf in leaves if leaf["kind"] == "state"}
    steps = {leaf["step"]: leaf for leaf in leaves if leaf["kind"] == "step"}
    compared = wrong = 0

    def compare(what, found, stated):
        nonlocal compared, wrong
        compared += 1
        if found != stated:
            wrong += 1
            print(f"{what}: the log states {stated}, its tensors give {found}")

    for path in sorted(glob.glob(sys.argv[1] + "/segment-*.h5")):
        with h5py.File(path, "r") as file:
            if "state" in file:
                number = int(path[-9:-3])
                for block, stated in enumerate(states[number]["blocks"]):
                    compare(f"state {number} block {block}", block_digest(file, manifest, block), stated)
            for t, group in file["steps"].items() if "steps" in file else ():
                leaf = steps[int(t)]
                for name, member in (("layout", "layout"), ("tokens", "token_ids"), ("labels", "labels")):
                    compare(f"step {t} {name}", tensor_digest(group[name]), leaf[member])
                for name in ("activations", "gradients"):
                    for b in group[name] if name in group else ():
                        compare(f"step {t} {name} {b}", tensor_digest(group[name][b]), leaf[name][int(b)])
    print(f"{compared} digests compared, {wrong} wrong")
    return 1 if wrong or not compared else 0


sys.exit(main())
