#!/usr/bin/env python3
"""Classifiers of images against transformers (and peft) in float32, on tiny models that are drawn here from a seed.

usage: image_parity.py BIN-FOLDER WRITE_IMAGE_STEP
Needs torch, transformers, peft and safetensors. Of each model: logits, loss and every gradient of one batch; the logits of
what aftune-train made of it, loaded back; the same with adapters in peft, and of what --merge writes.
"""
import os
import subprocess
import sys
import tempfile

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file

from image_models import MODELS, load, make_data, make_model, on_disk, write_processor

BOUND = 1e-4
TARGETS = {"q_proj": "q", "k_proj": "k", "v_proj": "v", "o_proj": "o", "fc1": "up", "fc2": "down", "down_proj": "down"}
ADAPTED = {"vit": ["q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2"], "dinov2": ["q_proj", "v_proj", "fc2"],
           "dinov2 swiglu": ["k_proj", "o_proj", "down_proj"]}


def relative(ours, theirs):
    return ((ours.double() - theirs.double()).norm() / theirs.double().norm()).item()


def our_step(folder, data, work, *adapter):
    out = os.path.join(work, "step.safetensors")
    subprocess.run([sys.argv[2], folder, data, out, *adapter], check=True)
    return load_file(out)


def their_step(model, seen, labels):
    result = model(pixel_values=seen, labels=labels)
    result.loss.backward()
    return result.loss.detach().reshape(1), result.logits.detach()


def compare(ours, loss, logits, gradients):
    """The worst relative difference, of what. Of what the model makes no use of, gradients are zero."""
    worst = {"logits": relative(ours["logits"], logits), "loss": relative(ours["loss"], loss)}
    assert {"grad/" + n for n in gradients} == set(ours) - {"loss", "logits"}, sorted(ours)
    for n, g in gradients.items():
        if n.endswith("mask_token"):
            assert not ours["grad/" + n].any() and not g.any(), n
        elif n.endswith("key.bias"):
            # What is added to all scores of a query alike has no gradient but rounding.
            assert ours["grad/" + n].abs().max() < 1e-5 and g.abs().max() < 1e-5, n
        else:
            worst[n] = relative(ours["grad/" + n], g)
    return max(worst.items(), key=lambda item: item[1])


def one_step(model, folder, data, seen, labels, work):
    loss, logits = their_step(model, seen, labels)
    zero = {n: torch.zeros_like(p) for n, p in model.named_parameters()}
    gradients = on_disk(model, {n: zero[n] if p.grad is None else p.grad for n, p in model.named_parameters()},
                        os.path.join(work, "gradients"))
    return compare(our_step(folder, data, work), loss, logits, gradients)


def aftune_train(*flags):
    subprocess.run([os.path.join(sys.argv[1], "aftune-train"), *map(str, flags)], check=True, stdout=subprocess.DEVNULL)


def fine_tune(folder, data, out, *flags):
    aftune_train("--model", folder, "--data", data, "--out", out, "--no-record", "--steps", 3, "--batch-size", 4, "--lr", "1e-3",
                 "--seed", 7, "--quiet", *flags)


def exported(name, folder, data, seen, labels, work):
    """The export in transformers: nothing missing, everything moved that is used, and how far its step is from ours."""
    out = os.path.join(work, "out")
    fine_tune(folder, data, out, "--weight-decay", "0.1")
    model, report = load(out)
    assert not any(report.values()), report
    before, after = (load_file(os.path.join(f, "model.safetensors")) for f in (folder, out))
    for n, p in before.items():
        assert torch.equal(after[n], p) == n.endswith("mask_token"), n
    return one_step(model.eval(), out, data, seen, labels, work)


def with_adapter(folder, adapter, trainable=False):
    return PeftModel.from_pretrained(load(folder)[0], adapter, is_trainable=trainable).eval()


def adapters(name, folder, data, seen, labels, work):
    modules = ADAPTED[name]
    given, own, more, whole = (os.path.join(work, n) for n in ("given", "own", "more", "whole"))
    torch.manual_seed(12)
    model = get_peft_model(load(folder)[0], LoraConfig(r=4, lora_alpha=6, target_modules=modules, lora_dropout=0.0))
    with torch.no_grad():
        for n, p in model.named_parameters():
            if "lora_" in n:
                p.copy_(torch.randn_like(p) * 0.2)
    model.save_pretrained(given)
    fine_tune(folder, data, own, "--method", "lora", "--lora-rank", 3, "--lora-alpha", 5, "--lora-targets",
              ",".join(TARGETS[m] for m in modules), "--lora-dropout", "0.1")
    fine_tune(folder, data, more, "--method", "lora", "--adapter", given)
    found = {}
    for what, adapter in (("given", given), ("trained", own), ("trained on", more)):
        model = with_adapter(folder, adapter, trainable=True)
        loss, logits = their_step(model, seen, labels)
        gradients = {n.replace(".default", ""): p.grad for n, p in model.named_parameters() if p.requires_grad}
        found[what] = compare(our_step(folder, data, work, adapter), loss, logits, gradients)
    aftune_train("--merge", "--model", folder, "--adapter", more, "--out", whole)
    theirs = with_adapter(folder, more).merge_and_unload()
    with torch.no_grad():
        found["merged"] = ("logits", relative(load(whole)[0].eval()(seen).logits, theirs(seen).logits))
    return found


def main():
    failed = 0
    for name in MODELS:
        with tempfile.TemporaryDirectory(prefix="aftune-images-") as work:
            folder, data = os.path.join(work, "model"), os.path.join(work, "rows.safetensors")
            make_model(name, folder)
            write_processor(folder)
            found = {}
            for floats in (True, False):
                seen, labels = make_data(data, floats=floats)
                found["floats" if floats else "bytes"] = one_step(load(folder)[0].eval(), folder, data, seen, labels, work)
            found["export"] = exported(name, folder, data, seen, labels, work)
            if name in ADAPTED:
                found.update(adapters(name, folder, data, seen, labels, work))
        print(f"{name}: " + "; ".join(f"{what}: {item} off by {off:.1e}" for what, (item, off) in found.items()))
        failed += any(off > BOUND for _, off in found.values())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
