"""Tiny classifiers of images that are drawn from a seed, for the tests that compare with transformers."""
import json
import os

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForImageClassification

SIZE, PATCH, LABELS = 12, 4, 5
BASE = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=SIZE, patch_size=PATCH, num_channels=3,
            num_labels=LABELS)
MODELS = {
    "vit": dict(intermediate_size=40),
    "vit without biases": dict(intermediate_size=40, qkv_bias=False),
    "dinov2": dict(mlp_ratio=2),
    "dinov2 swiglu": dict(mlp_ratio=3, use_swiglu_ffn=True, use_mask_token=False),
}


def make_model(name, folder, dtype=torch.float32):
    """Weights large enough that every path matters."""
    torch.manual_seed(11)
    config = AutoConfig.for_model(name.split()[0], **{**BASE, **MODELS[name]}, attn_implementation="eager")
    model = AutoModelForImageClassification.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for n, p in model.named_parameters():
            one = p.dim() == 1 and not n.endswith(".bias")
            p.copy_(0.2 * torch.randn_like(p) + (1.0 if one else 0.0))
    model.save_pretrained(folder)
    return model.to(dtype)


def load(folder):
    return AutoModelForImageClassification.from_pretrained(folder, dtype=torch.float32, output_loading_info=True,
                                                           attn_implementation="eager")


def make_data(path, rows=6, floats=False):
    """Pixels as they are given, and labels. Returns what the model sees: mean and std 0.5, or floats as they are."""
    g = torch.Generator().manual_seed(5)
    labels = torch.randint(0, LABELS, (rows,), generator=g)
    if floats:
        pixels = torch.randn(rows, 3, SIZE, SIZE, generator=g)
        seen = pixels
    else:
        pixels = torch.randint(0, 256, (rows, 3, SIZE, SIZE), generator=g).to(torch.uint8)
        seen = ((pixels.double() / 255).float() - 0.5) / 0.5
    save_file({"pixels": pixels, "labels": labels}, path)
    return seen, labels


def write_processor(folder):
    with open(os.path.join(folder, "preprocessor_config.json"), "w", encoding="utf-8") as f:
        json.dump({"do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5] * 3,
                   "image_std": [0.5] * 3, "do_resize": True, "size": {"height": SIZE, "width": SIZE}}, f)


def on_disk(model, values, folder):
    """Values that stand in the place of the model's parameters, by the names (and in the shapes) of its files."""
    with torch.no_grad():
        for n, p in model.named_parameters():
            p.copy_(values[n])
    model.save_pretrained(folder)
    return load_file(os.path.join(folder, "model.safetensors"))
