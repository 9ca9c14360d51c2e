#!/usr/bin/env python3
"""Makes tests/vectors/images: tiny classifiers of images with what transformers says about them in float64.

Needs torch and transformers. For each it writes <case>.json (config, recipe's lr, losses) and <case>.safetensors: initial
weights in F32 ("w0/<name>"), pixels and labels, gradients of step 0 ("grad/<name>") and weights after the last of some
steps of AdamW on that one batch ("wn/<name>"), computed in float64 from those weights and rounded to F32.
"""
import json
import os
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file

from image_models import make_data, make_model, on_disk

CASES = {"vit": "vit", "dinov2": "dinov2", "dinov2-swiglu": "dinov2 swiglu"}
STEPS, LR = 5, 1e-3


def main(folder):
    os.makedirs(folder, exist_ok=True)
    for case, name in CASES.items():
        with tempfile.TemporaryDirectory() as work:
            model = make_model(name, work, torch.float64)
            with open(os.path.join(work, "config.json"), encoding="utf-8") as f:
                config = json.load(f)
            tensors = {"w0/" + n: t for n, t in load_file(os.path.join(work, "model.safetensors")).items()}
            seen, labels = make_data(os.path.join(work, "rows.safetensors"), rows=3, floats=True)
            optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.0)
            losses = []
            for step in range(STEPS):
                optimizer.zero_grad()
                loss = model(pixel_values=seen.double(), labels=labels).loss
                loss.backward()
                losses.append(loss.item())
                if step == 0:
                    values = {n: torch.zeros_like(p) if p.grad is None else p.grad.clone()
                              for n, p in model.named_parameters()}
                    now = {n: p.detach().clone() for n, p in model.named_parameters()}
                    disk = on_disk(model, values, os.path.join(work, "g"))
                    tensors.update({"grad/" + n: t.float() for n, t in disk.items()})
                    with torch.no_grad():
                        for n, p in model.named_parameters():
                            p.copy_(now[n])
                optimizer.step()
            disk = on_disk(model, {n: p.detach().clone() for n, p in model.named_parameters()}, os.path.join(work, "w"))
            tensors.update({"wn/" + n: t.float() for n, t in disk.items()})
            tensors.update({"pixels": seen, "labels": labels})
        save_file({n: t.contiguous() for n, t in tensors.items()}, os.path.join(folder, case + ".safetensors"))
        with open(os.path.join(folder, case + ".json"), "w", encoding="utf-8") as f:
            json.dump({"config": config, "lr": LR, "losses": losses}, f)
            f.write("\n")


if __name__ == "__main__":
    here = os.path.dirname(__file__)
    main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "..", "vectors", "images"))
