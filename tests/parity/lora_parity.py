#!/usr/bin/env python3
"""Adapters against peft in float32, on tiny models that are drawn here from a seed.

usage: lora_parity.py BIN-FOLDER WRITE_STEP TOKENIZER.json
Needs torch, transformers, peft and safetensors. Of each model with random adapters: logits, loss and the gradients of the
adapters; the same of the adapters that aftune-train made of these and of its own first ones, loaded in peft; the logits of
what aftune-train --merge writes, loaded in transformers, against peft's.
"""
import json
import os
import subprocess
import sys
import tempfile

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from family_parity import BOUND, ROWS, batch, make_model, relative
from torch_train import mean_loss

CASES = {"llama": ["q_proj", "v_proj"], "qwen2 tied": ["k_proj", "o_proj", "down_proj"],
         "gpt2": ["c_attn"], "gpt2 untied": ["c_attn", "c_proj", "c_fc"],
         "qwen3": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]}
TARGETS = {"q_proj": "q", "k_proj": "k", "v_proj": "v", "o_proj": "o", "gate_proj": "gate", "up_proj": "up",
           "down_proj": "down", "c_attn": "qkv", "c_proj": "c_proj", "c_fc": "c_fc"}


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")


def random_adapters(folder, modules, out):
    torch.manual_seed(12)
    config = LoraConfig(r=4, lora_alpha=6, target_modules=modules, lora_dropout=0.0, task_type="CAUSAL_LM",
                        fan_in_fan_out=modules[0].startswith("c_"))
    model = get_peft_model(load(folder), config)
    with torch.no_grad():
        for n, p in model.named_parameters():
            if "lora_" in n:
                p.copy_(torch.randn_like(p) * 0.3)
    model.save_pretrained(out)


def worst_of(folder, adapter, work):
    """Worst relative difference of logits, loss and the gradients of the adapters, ours against peft's."""
    out = os.path.join(work, "step.safetensors")
    rows = batch()
    subprocess.run([sys.argv[2], folder, out, adapter], input=json.dumps(rows).encode(), check=True)
    ours = load_file(out)
    model = PeftModel.from_pretrained(load(folder), adapter, is_trainable=True).eval()
    loss = mean_loss(model, rows)
    loss.backward()
    with torch.no_grad():
        logits = torch.cat([model(input_ids=torch.tensor([d["ids"]])).logits[0] for row in rows for d in row])
    worst = {"logits": relative(ours["logits"], logits), "loss": relative(ours["loss"], loss.detach().reshape(1))}
    gradients = {n.replace(".default", ""): p.grad for n, p in model.named_parameters() if p.requires_grad}
    assert {"grad/" + n for n in gradients} == set(ours) - {"loss", "logits"}, sorted(ours)
    worst.update({n: relative(ours["grad/" + n], g) for n, g in gradients.items()})
    return max(worst.items(), key=lambda item: item[1])


def aftune_train(*flags):
    subprocess.run([os.path.join(sys.argv[1], "aftune-train"), *map(str, flags)], check=True, stdout=subprocess.DEVNULL)


def fine_tune(folder, out, work, *flags):
    data = os.path.join(work, "rows.jsonl")
    with open(data, "w", encoding="utf-8") as f:
        f.writelines(json.dumps({"text": row}) + "\n" for row in ROWS)
    aftune_train("--model", folder, "--data", data, "--out", out, "--no-record", "--steps", 3, "--batch-size", 2, "--seq-len",
                 64, "--lr", "1e-2", "--seed", 7, "--method", "lora", "--lora-dropout", "0.1", "--quiet", *flags)


def merged(folder, adapter, out):
    """How far the merged model's logits are from those of peft's."""
    aftune_train("--merge", "--model", folder, "--adapter", adapter, "--out", out)
    theirs = PeftModel.from_pretrained(load(folder), adapter).merge_and_unload()
    ids = torch.tensor([[(7 * i * i + 3) % 257 for i in range(24)]])
    with torch.no_grad():
        return relative(load(out)(input_ids=ids).logits, theirs(input_ids=ids).logits)


def main():
    failed = 0
    for name, modules in CASES.items():
        with tempfile.TemporaryDirectory(prefix="aftune-lora-") as work:
            folder, given, own, more, whole = (os.path.join(work, n) for n in ("model", "given", "own", "more", "whole"))
            make_model(name, folder)
            random_adapters(folder, modules, given)
            fine_tune(folder, own, work, "--lora-rank", 3, "--lora-alpha", 5, "--lora-targets",
                      ",".join(TARGETS[m] for m in modules))
            fine_tune(folder, more, work, "--adapter", given)
            found = {"given": worst_of(folder, given, work), "trained": worst_of(folder, own, work),
                     "trained on": worst_of(folder, more, work), "merged": ("logits", merged(folder, more, whole))}
        print(f"{name}: " + "; ".join(f"{what}: {item} off by {off:.1e}" for what, (item, off) in found.items()))
        failed += any(off > BOUND for _, off in found.values())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
