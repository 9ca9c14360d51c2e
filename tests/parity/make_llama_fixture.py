#!/usr/bin/env python3
"""Makes tests/vectors/llama: tiny Llamas, their relatives and a GPT-2 with what PyTorch says about them.

Needs torch and transformers. For each case it writes <case>.json (config, recipe, batches, losses) and
<case>.safetensors: initial weights in F32 ("w0/<name>"), gradients of step 0 ("grad/<name>") and weights after the
last step ("wn/<name>"), both computed in float64 from those weights and rounded to F32.

With a folder of the stories260k checkpoint as second argument it also writes stories260k.json: loss of a real trained
model on real text, and of each gradient its norm and its products with two fixed vectors.
"""
import json
import os
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from torch_train import RECIPE, document, train

STEPS = 20
LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
TIED = dict(tie_word_embeddings=True, num_attention_heads=4, num_key_value_heads=4, head_dim=4)
GROUPED = dict(tie_word_embeddings=False, num_attention_heads=4, num_key_value_heads=2, head_dim=6,
               rope_parameters=LLAMA3)
MISTRAL = dict(model_type="mistral", tie_word_embeddings=False, num_attention_heads=4, num_key_value_heads=2, head_dim=6,
               sliding_window=None)
QWEN2 = dict(model_type="qwen2", tie_word_embeddings=True, num_attention_heads=4, num_key_value_heads=2,
             use_sliding_window=False)
QWEN3 = dict(model_type="qwen3", tie_word_embeddings=True, num_attention_heads=4, num_key_value_heads=2, head_dim=6,
             attention_bias=False, use_sliding_window=False)
# Of the members above these have other names; the dropouts are off.
GPT2 = dict(model_type="gpt2", tie_word_embeddings=True, n_embd=16, n_inner=36, n_layer=2, n_head=4, n_positions=64,
            layer_norm_epsilon=1e-5, activation_function="gelu_new", resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
GPT2_COMMON = ("vocab_size", "use_cache", "attn_implementation", "bos_token_id", "eos_token_id", "pad_token_id")
DECAY = {"weight_decay": 0.1, "clip_norm": 0.5}
# (config, recipe, documents a row)
CASES = {
    "tied": (TIED, {}, 1),
    "grouped": (GROUPED, {}, 1),
    "packed": (GROUPED, {"schedule": "cosine", "warmup_steps": 4, "weight_decay": 0.1, "clip_norm": 0.5}, 2),
    "sgd": (TIED, {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "schedule": "linear", "warmup_steps": 2,
                   "weight_decay": 0.01, "decay_all": True, "clip_norm": 0.0}, 1),
    "mistral": (MISTRAL, {}, 1),
    "qwen2": (QWEN2, DECAY, 1),
    "qwen3": (QWEN3, DECAY, 2),
    "gpt2": (GPT2, DECAY, 2),
}
BASE = dict(vocab_size=40, hidden_size=16, intermediate_size=36, num_hidden_layers=2, max_position_embeddings=64,
            rms_norm_eps=1e-5, use_cache=False, attn_implementation="eager", bos_token_id=1, eos_token_id=2,
            pad_token_id=None)
STORY = ["Once upon a time, there was a little girl named Lily. She loved to play outside in the park.",
         "One day, Tom and his dog went to the big forest.\nThey saw a red bird in a tree.",
         "The sun was bright."]


def batch_of(step, documents):
    """Three ragged rows; the first document has a prompt that is not counted."""
    g = torch.Generator().manual_seed(1000 + step)
    rows = []
    for length, masked in ((9, 3), (14, 0), (5, 0)):
        row = []
        for d in range(documents):
            ids = torch.randint(3, BASE["vocab_size"], (length - d,), generator=g).tolist()
            row.append(document(ids, masked))
        rows.append(row)
    return rows


def make_case(folder, name):
    extra, recipe, documents = CASES[name]
    torch.manual_seed(7)
    base = {k: BASE[k] for k in GPT2_COMMON} if extra is GPT2 else {"model_type": "llama", **BASE}
    config = AutoConfig.for_model(**{**base, **extra})
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():  # weights large enough that every path matters
        for n, p in model.named_parameters():
            p.copy_(p * 6 if p.dim() == 2 else 0.1 * torch.randn_like(p) + (not n.endswith(".bias")))
    tensors = {"w0/" + n: p.detach().clone() for n, p in model.named_parameters()}
    batches = [batch_of(s, documents) for s in range(STEPS)]
    losses, grads, last = train(model, batches, recipe)
    tensors.update({"grad/" + n: g.float().contiguous() for n, g in grads.items()})
    tensors.update({"wn/" + n: p.float().contiguous() for n, p in last.items()})
    save_file(tensors, os.path.join(folder, name + ".safetensors"))
    text = json.loads(config.to_json_string(use_diff=False))
    names = dict.fromkeys((*base, *extra, "model_type", "hidden_act", "initializer_range"))
    keep = {k: text[k] for k in names if k in text and k not in ("attn_implementation", "use_cache")}
    write(folder, name, {"config": keep, "recipe": {**RECIPE, **recipe}, "losses": losses, "batches": batches})


def make_stories(folder, checkpoint):
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = LlamaForCausalLM.from_pretrained(checkpoint, attn_implementation="eager")
    batches = [[[document(tokenizer(text)["input_ids"])] for text in STORY]]
    losses, grads, _ = train(model, batches)
    write(folder, "stories260k", {"batches": batches, "losses": losses,
                                  "gradients": {n: summary(g.flatten()) for n, g in grads.items()}})


def summary(gradient):
    """Norm, and products with r and with its reverse, r_i = (i * 2654435761 mod 2^32) / 2^31 - 1."""
    i = torch.arange(gradient.numel(), dtype=torch.int64)
    r = (i * 2654435761 % 2**32).double() / 2**31 - 1
    return {"norm": gradient.norm().item(), "dots": [(gradient @ r).item(), (gradient @ r.flip(0)).item()]}


def write(folder, name, value):
    with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as f:
        json.dump(value, f)
        f.write("\n")


def main(folder, checkpoint=None):
    os.makedirs(folder, exist_ok=True)
    for name in CASES:
        make_case(folder, name)
    if checkpoint:
        make_stories(folder, checkpoint)


if __name__ == "__main__":
    main(*(sys.argv[1:] or [os.path.join(os.path.dirname(__file__), "..", "vectors", "llama")]))
