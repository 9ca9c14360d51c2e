#!/usr/bin/env python3
"""Each family against transformers in float32, on tiny models that are drawn here from a seed.

usage: family_parity.py BIN-FOLDER WRITE_STEP TOKENIZER.json
Needs torch, transformers and safetensors. Of each model: logits, loss and every gradient of one batch; the logits of what
aftune-train made of it, loaded back; the tokens that aftune-serve generates with that. Of GPT-2 also that its two spellings
are one model.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from torch_train import document, mean_loss

BOUND = 1e-4
TOKENS = 12
BASE = dict(vocab_size=257, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=6,
            num_key_value_heads=2, max_position_embeddings=128, rms_norm_eps=1e-6, use_cache=False, bos_token_id=None,
            eos_token_id=256, pad_token_id=None)
GPT2 = dict(vocab_size=257, n_embd=48, n_layer=3, n_head=6, n_positions=128, layer_norm_epsilon=1e-5, use_cache=False,
            bos_token_id=None, eos_token_id=256, pad_token_id=None, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
FAMILIES = {
    "llama": dict(tie_word_embeddings=False),
    "mistral": dict(sliding_window=None, head_dim=16),
    "qwen2": dict(tie_word_embeddings=False),
    "qwen2 tied": dict(tie_word_embeddings=True),
    "qwen3": dict(head_dim=16, tie_word_embeddings=False),
    "qwen3 tied": dict(head_dim=12, tie_word_embeddings=True),
    "gpt2": dict(),
    "gpt2 untied": dict(tie_word_embeddings=False, activation_function="gelu", n_inner=80),
}
ROWS = ["The quick brown fox jumps over the lazy dog.", "Once upon a time there was a cell that replayed itself."]


def make_model(name, folder):
    """Weights large enough that every path matters."""
    torch.manual_seed(11)
    family = name.split()[0]
    base = GPT2 if family == "gpt2" else BASE
    config = AutoConfig.for_model(family, **{**base, **FAMILIES[name]}, attn_implementation="eager")
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for n, p in model.named_parameters():
            p.copy_(p * 4 if p.dim() == 2 else 0.2 * torch.randn_like(p) + (not n.endswith(".bias")))
    model.save_pretrained(folder)
    shutil.copy(sys.argv[3], os.path.join(folder, "tokenizer.json"))
    return model


def batch():
    g = torch.Generator().manual_seed(5)
    ids = [torch.randint(0, BASE["vocab_size"], (n,), generator=g).tolist() for n in (37, 64, 11)]
    return [[document(ids[0], 5), document(ids[2])], [document(ids[1])]]


def relative(ours, theirs):
    return ((ours.double() - theirs.double()).norm() / theirs.double().norm()).item()


def computed(folder, work, rows):
    """What we compute of a batch: logits, loss and gradients."""
    out = os.path.join(work, "step.safetensors")
    subprocess.run([sys.argv[2], folder, out], input=json.dumps(rows).encode(), check=True)
    return load_file(out)


def respelt(folder, work):
    """The folder as GPT-2 was first published: names without their prefix, and the masks of attention."""
    out = os.path.join(work, "hub")
    shutil.copytree(folder, out)
    path = os.path.join(out, "model.safetensors")
    tensors = {n.removeprefix("transformer."): t for n, t in load_file(path).items()}
    mask = torch.tril(torch.ones(1, 1, 128, 128, dtype=torch.uint8))
    save_file({**tensors, **{f"h.{i}.attn.bias": mask.clone() for i in range(3)}}, path, {"format": "pt"})
    return out


def one_step(model, folder, work):
    """Worst relative difference of logits, loss and gradients."""
    rows = batch()
    ours = computed(folder, work, rows)
    loss = mean_loss(model, rows)
    loss.backward()
    with torch.no_grad():
        logits = torch.cat([model(input_ids=torch.tensor([d["ids"]])).logits[0] for row in rows for d in row])
    worst = {"logits": relative(ours["logits"], logits), "loss": relative(ours["loss"], loss.detach().reshape(1))}
    gradients = {n: p.grad for n, p in model.named_parameters()}
    assert {"grad/" + n for n in gradients} == set(ours) - {"loss", "logits"}, sorted(ours)
    worst.update({n: relative(ours["grad/" + n], g) for n, g in gradients.items()})
    return max(worst.items(), key=lambda item: item[1])


def fine_tune(folder, work):
    data, out = os.path.join(work, "rows.jsonl"), os.path.join(work, "out")
    with open(data, "w", encoding="utf-8") as f:
        f.writelines(json.dumps({"text": row}) + "\n" for row in ROWS)
    subprocess.run([os.path.join(sys.argv[1], "aftune-train"), "--model", folder, "--data", data, "--out", out, "--no-record",
                    "--steps", "3", "--batch-size", "2", "--seq-len", "64", "--lr", "1e-3", "--weight-decay", "0.1", "--seed",
                    "7", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    return out


def exported(out, before, work):
    """The export in transformers: how far its logits are from ours."""
    model, report = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32, output_loading_info=True,
                                                         attn_implementation="eager")
    assert not any(report.values()), report  # no tensor is missing, surplus or of another shape
    worst = one_step(model, out, work)
    moved = {n: (p - q).abs().max().item() for (n, p), q in zip(model.named_parameters(), before.parameters())}
    assert all(m > 0 for m in moved.values()), moved
    return model, worst


def generated(model, out):
    prompts = [list(b"once upon"), list(b"a"), [3, 200, 77, 5, 5, 9]]
    rows = "".join(json.dumps({"prompt": ids, "max_tokens": TOKENS, "temperature": 0, "ignore_eos": True}) + "\n"
                   for ids in prompts)
    text = subprocess.run([os.path.join(sys.argv[1], "aftune-serve"), "--model", out, "--no-record", "--numerics", "f32",
                           "--quiet"], input=rows, check=True, stdout=subprocess.PIPE, text=True).stdout
    model = model.double()
    for ids, line in zip(prompts, text.splitlines(), strict=True):
        tokens = list(ids)
        with torch.no_grad():
            for _ in range(TOKENS):
                tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
        assert json.loads(line)["tokens"] == tokens[len(ids):], (ids, line)
    return len(prompts) * TOKENS


def main():
    failed = 0
    for name in FAMILIES:
        with tempfile.TemporaryDirectory(prefix="aftune-family-") as work:
            folder = os.path.join(work, "model")
            before = make_model(name, folder)
            step = one_step(before, folder, work)
            if name.startswith("gpt2"):
                one, other = (computed(f, work, batch()) for f in (folder, respelt(folder, work)))
                assert all(torch.equal(one[n], other[n]) for n in one | other)
                folder = os.path.join(work, "hub")
            out = fine_tune(folder, work)
            model, after = exported(out, before, work)
            tokens = generated(model, out)
        print(f"{name}: {step[0]} is off by {step[1]:.1e}, of the export {after[0]} by {after[1]:.1e} (bound {BOUND}); "
              f"{tokens} generated tokens agree")
        failed += step[1] > BOUND or after[1] > BOUND
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
