#!/usr/bin/env python3
"""Makes tests/vectors/ops/images.json, as make_op_fixtures.py makes ops.json: the operations of images.

Needs torch.
"""
import json
import os
import sys

import torch
import torch.nn.functional as F

from make_op_fixtures import case, tensor


def attention_full(q, k, v, length):
    """To all positions of each document of `length`; [n, heads, d]."""
    parts = [[t[a:a + length].transpose(0, 1) for t in (q, k, v)] for a in range(0, q.shape[0], length)]
    return torch.cat([F.scaled_dot_product_attention(*one).transpose(0, 1) for one in parts])


def class_mean(x):
    return torch.cat([x[:, 0], x[:, 1:].mean(dim=1)], dim=1)


def main(path):
    torch.manual_seed(21)
    ops = {
        "convolution": case({"x": tensor(2, 3, 6, 6), "w": tensor(5, 3, 2, 2)},
                            lambda x, w: F.conv2d(x, w, stride=2).flatten(2).transpose(1, 2),
                            images=2, channels=3, size=6, patch=2, out=5),
        "layer_scale": case({"x": tensor(6, 5), "w": tensor(5)}, lambda x, w: x * w, n=6, h=5),
        "class_mean": case({"x": tensor(2, 5, 7)}, class_mean, images=2, positions=5, h=7),
        "attention_full": case({name: tensor(10, 2, 6) for name in "qkv"},
                               lambda q, k, v: attention_full(q, k, v, 5), length=5, heads=2, head_dim=6),
    }
    with open(path, "w", encoding="utf-8") as f:
        json.dump(ops, f)
        f.write("\n")


if __name__ == "__main__":
    here = os.path.dirname(__file__)
    main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "..", "vectors", "ops", "images.json"))
