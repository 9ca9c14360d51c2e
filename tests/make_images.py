#!/usr/bin/env python3
"""Makes a tiny classifier of images without weights, and rows for it.

usage: make_images.py MODEL_TYPE MODEL-FOLDER ROWS.safetensors COUNT      vit, dinov2, or dinov2-swiglu
"""
import json
import os
import random
import struct
import sys

SIZE, PATCH, CLASSES = 12, 4, 4


def config(kind):
    base = {"model_type": kind.split("-")[0], "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2,
            "image_size": SIZE, "patch_size": PATCH, "num_channels": 3, "initializer_range": 0.1, "layer_norm_eps": 1e-6,
            "id2label": {str(i): f"class {i}" for i in range(CLASSES)}, "torch_dtype": "float32"}
    own = {"intermediate_size": 48} if kind == "vit" else {"mlp_ratio": 2, "use_swiglu_ffn": kind == "dinov2-swiglu"}
    return {**base, **own}


def rows(count):
    """Bytes that a class shifts, so that there is something to learn."""
    numbers = random.Random(3)
    labels = [i % CLASSES for i in range(count)]
    pixels = bytearray()
    for label in labels:
        pixels += bytes(60 * label + numbers.randrange(60) for _ in range(3 * SIZE * SIZE))
    header = {"pixels": {"dtype": "U8", "shape": [count, 3, SIZE, SIZE], "data_offsets": [0, len(pixels)]},
              "labels": {"dtype": "I64", "shape": [count], "data_offsets": [len(pixels), len(pixels) + 8 * count]}}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + pixels + struct.pack(f"<{count}q", *labels)


def main(kind, model, path, count):
    os.makedirs(model, exist_ok=True)
    with open(os.path.join(model, "config.json"), "w", encoding="utf-8") as f:
        json.dump(config(kind), f)
        f.write("\n")
    with open(path, "wb") as f:
        f.write(rows(int(count)))


if __name__ == "__main__":
    main(*sys.argv[1:])
