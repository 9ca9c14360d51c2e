#!/usr/bin/env python3
"""Reproduces, from the tensors that a trace stores, the digests that its log states. Shares no code with AFTune.

usage: tensor_digests.py TRACE PLUGIN_FOLDER    exit 0 if every stored tensor has its digest, 1 if not
Needs h5py, numpy and blake3. Knows all families (docs/models.md), adapters, and the salts of a run with hiding.
"""
import glob
import json
import os
import struct
import sys

os.environ["HDF5_PLUGIN_PATH"] = sys.argv[2]  # before h5py loads the library
import h5py
from blake3 import blake3

MOMENTS = {"adamw": ["exp_avg", "exp_avg_sq"], "sgd": []}
MODULES = {"q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj", "o": "self_attn.o_proj",
           "gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj"}
GPT2_MODULES = {"qkv": "attn.c_attn", "o": "attn.c_proj", "up": "mlp.c_fc", "down": "mlp.c_proj"}


def canonical(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def tensor_digest(dataset):
    return blake3(dataset[()].tobytes()).hexdigest()


def published(secret, digest, leaf, role, index=0, name=""):
    """What the log says of a digest: docs/trace.md, Hiding."""
    if secret is None:
        return digest
    place = struct.pack("<Q", leaf) + role.encode() + b"\0" + struct.pack("<Q", index) + name.encode()
    salt = blake3(place, key=secret).digest()
    return blake3(b"aftune/hide/1" + salt + bytes.fromhex(digest)).hexdigest()


def list_digest(file, names, publish=lambda digest, name: digest):
    entries = [[n, "F32", list(file["/state/" + n].shape), publish(tensor_digest(file["/state/" + n]), n)] for n in names]
    return blake3(canonical(entries)).hexdigest()


def layer_names(manifest, layer):
    """Of a layer, or of its adapters."""
    family = json.loads(manifest["config"])["model_type"]
    at = f"transformer.h.{layer}." if family == "gpt2" else f"model.layers.{layer}."
    if manifest["recipe"]["method"] == "lora":
        modules = GPT2_MODULES if family == "gpt2" else MODULES
        return [f"base_model.model.{at}{modules[target]}.lora_{part}.weight"
                for target in manifest["recipe"]["lora_targets"].split(",") for part in "AB"]
    if family == "gpt2":
        return [f"{at}{module}.{part}" for module in ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")
                for part in ("weight", "bias")]
    names = ["input_layernorm.weight"]
    for module in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"):
        names += [module + ".weight"] + [module + ".bias"] * (family == "qwen2")
    names += ["self_attn.o_proj.weight"] + ["self_attn.q_norm.weight", "self_attn.k_norm.weight"] * (family == "qwen3")
    names += ["post_attention_layernorm.weight", "mlp.gate_proj.weight", "mlp.up_proj.weight", "mlp.down_proj.weight"]
    return [at + name for name in names]


def block_names(manifest, block):
    """Names of the parameters of a block, in the order of docs/trace.md."""
    grid = manifest["grid"]
    layers, run = grid["layers"], grid["layers_per_block"]
    if block == 0 or (block - 1) * run >= layers:
        if manifest["recipe"]["method"] == "lora":
            return []
        if json.loads(manifest["config"])["model_type"] == "gpt2":
            embedding, norm = ["transformer.wte.weight", "transformer.wpe.weight"], ["transformer.ln_f.weight", "transformer.ln_f.bias"]
            return embedding + norm * grid["tied"] if block == 0 else norm + ["lm_head.weight"]
        if block == 0:
            return ["model.embed_tokens.weight", *(["model.norm.weight"] if grid["tied"] else [])]
        return ["model.norm.weight", "lm_head.weight"]
    return [name for i in range((block - 1) * run, min(block * run, layers)) for name in layer_names(manifest, i)]


def block_digest(file, manifest, block, secret, leaf):
    secret = secret if leaf > 1 else None  # state 0 follows from the base
    parameters = block_names(manifest, block)
    moments = [f"{p}.{m}" for p in parameters for m in MOMENTS[manifest["recipe"]["optimizer"]]]
    salted = list_digest(file, parameters, lambda digest, name: published(secret, digest, leaf, "parameter", block, name))
    return blake3(canonical({"moments": published(secret, list_digest(file, moments), leaf, "moments", block),
                             "parameters": salted})).hexdigest()


def main():
    with open(sys.argv[1] + "/log.jsonl", encoding="utf-8") as file:
        leaves = [json.loads(line) for line in file]
    manifest = leaves[0]
    states = {leaf["state"]: (i, leaf) for i, leaf in enumerate(leaves) if leaf["kind"] == "state"}
    steps = {leaf["step"]: (i, leaf) for i, leaf in enumerate(leaves) if leaf["kind"] == "step"}
    secret = None
    if "hiding" in manifest:
        secret = bytes.fromhex(open(sys.argv[1] + "/hiding.key", encoding="ascii").read())
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
                index, leaf = states[number]
                for block, stated in enumerate(leaf["blocks"]):
                    compare(f"state {number} block {block}", block_digest(file, manifest, block, secret, index), stated)
            for t, group in file["steps"].items() if "steps" in file else ():
                index, leaf = steps[int(t)]
                for name, member in (("layout", "layout"), ("tokens", "token_ids"), ("labels", "labels")):
                    compare(f"step {t} {name}", published(secret, tensor_digest(group[name]), index, name), leaf[member])
                for name in ("activations", "gradients"):
                    for b in group[name] if name in group else ():
                        found = published(secret, tensor_digest(group[name][b]), index, name[:-1], int(b))
                        compare(f"step {t} {name} {b}", found, leaf[name][int(b)])
    print(f"{compared} digests compared, {wrong} wrong")
    return 1 if wrong or not compared else 0


sys.exit(main())
