#!/usr/bin/env python3
"""Makes tests/vectors/llama: tiny Llamas with what PyTorch says about them.

Needs torch and transformers. For each case it writes <case>.json (config, rows, losses) and <case>.safetensors:
initial weights in F32 ("w0/<name>"), gradients of step 0 ("grad/<name>") and weights after the last step
("wn/<name>"), both computed in float64 from those weights and rounded to F32.
"""
import json
import os
import sys

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

STEPS, LR = 20, 1e-3
LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
CASES = {
    "tied": dict(tie_word_embeddings=True, num_attention_heads=4, num_key_value_heads=4, head_dim=4),
    "grouped": dict(tie_word_embeddings=False, num_attention_heads=4, num_key_value_heads=2, head_dim=6,
                    rope_parameters=LLAMA3),
}
BASE = dict(vocab_size=40, hidden_size=16, intermediate_size=36, num_hidden_layers=2, max_position_embeddings=64,
            rms_norm_eps=1e-5, use_cache=False, attn_implementation="eager", bos_token_id=1, eos_token_id=2,
            pad_token_id=None)


def rows_of(step):
    """Rows of step `step`: ragged, the first with its prompt masked."""
    g = torch.Generator().manual_seed(1000 + step)
    rows = []
    for length, masked in ((9, 3), (14, 0), (5, 0)):
        ids = torch.randint(3, BASE["vocab_size"], (length,), generator=g).tolist()
        labels = [ids[i + 1] if i + 1 < length and i + 1 >= masked else -1 for i in range(length)]
        rows.append((ids, labels))
    return rows


def step_loss(model, rows):
    """Mean over all predicted positions of the whole batch."""
    total, count = 0.0, 0
    for ids, labels in rows:
        logits = model(input_ids=torch.tensor([ids])).logits[0]
        target = torch.tensor([y if y >= 0 else -100 for y in labels])
        total = total + torch.nn.functional.cross_entropy(logits, target, ignore_index=-100, reduction="sum")
        count += sum(y >= 0 for y in labels)
    return total / count


def train(config, weights, steps, lr, clip, rows_at):
    """Float64 AdamW: losses, gradients of step 0 before clipping, final weights."""
    model = LlamaForCausalLM(config).double()
    model.load_state_dict({k: v.double() for k, v in weights.items()}, strict=False)
    model.tie_weights()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    losses, first = [], None
    for step in range(steps):
        optimizer.zero_grad()
        loss = step_loss(model, rows_at(step))
        loss.backward()
        if first is None:
            first = {n: p.grad.clone() for n, p in model.named_parameters()}
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        losses.append(loss.item())
    return losses, first, {n: p.detach() for n, p in model.named_parameters()}


def main(folder):
    os.makedirs(folder, exist_ok=True)
    for name, extra in CASES.items():
        torch.manual_seed(7)
        config = LlamaConfig(**{**BASE, **extra})
        model = LlamaForCausalLM(config)
        # Weights large enough that every path matters.
        weights = {n: (p.detach() * 6 if p.dim() == 2 else 1 + 0.1 * torch.randn_like(p)).contiguous()
                   for n, p in model.named_parameters()}
        losses, grads, last = train(config, weights, STEPS, LR, 1.0, rows_of)
        tensors = {}
        for n in weights:
            tensors["w0/" + n] = weights[n].float()
            tensors["grad/" + n] = grads[n].float().contiguous()
            tensors["wn/" + n] = last[n].float().contiguous()
        save_file(tensors, os.path.join(folder, name + ".safetensors"))
        text = json.loads(config.to_json_string(use_diff=False))
        keep = {k: text[k] for k in (*BASE, *extra, "model_type", "hidden_act", "initializer_range")
                if k in text and k not in ("attn_implementation", "use_cache")}
        steps = [[{"ids": ids, "labels": labels} for ids, labels in rows_of(s)] for s in range(STEPS)]
        with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as f:
            json.dump({"config": keep, "lr": LR, "clip_norm": 1.0, "losses": losses, "steps": steps}, f)
            f.write("\n")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..", "vectors", "llama"))
