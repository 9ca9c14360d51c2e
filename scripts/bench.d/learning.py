#!/usr/bin/env python3
"""Does the arithmetic hurt learning? The same model, weights and batches, trained four ways: aftune-train under f32 and
i14, PyTorch in float32 and under bf16 autocast.

Usage: learning.py BUILD --python PYTHON --text FILE... [--steps N] [--seeds N] [--vocab N...] [--out FOLDER]
PYTHON is an interpreter that has torch, transformers, tokenizers and h5py. The text, of JSONL files all strings in them,
is cut into rows, tokenised by BPE
of the wanted vocabulary that is learnt from it, and read back from the trace of the f32 run for PyTorch. FOLDER gets a
table of losses, curves-<vocabulary>.csv: one line a step, one column a run.
"""
import argparse
import csv
import glob
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

HIDDEN, LAYERS, INTER, HEADS, SEQ, BATCH, LR = 128, 4, 344, 4, 128, 8, 1e-3
LAST = 25  # the final loss is the mean of so many steps: one batch alone says little

parser = argparse.ArgumentParser()
parser.add_argument("build")
parser.add_argument("--python", default=sys.executable)
parser.add_argument("--text", required=True, nargs="+")
parser.add_argument("--steps", type=int, default=500)
parser.add_argument("--seeds", type=int, default=3)
parser.add_argument("--vocab", type=int, nargs="+", default=[512, 32000])
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--out")
parser.add_argument("--torch", metavar="MODE", help=argparse.SUPPRESS)  # this script, run by PYTHON
parser.add_argument("--work", help=argparse.SUPPRESS)
parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
args = parser.parse_args()


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from strings(part)


def text():
    parts = []
    for path in args.text:
        with open(path, encoding="utf-8") as f:
            lines = [json.loads(line) for line in f] if path.endswith(".jsonl") else [f.read()]
        parts.extend(strings(lines))
    return "\n".join(parts)


def write_model(folder, vocab, seed):
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab, min_frequency=1, show_progress=False,
                                  special_tokens=["<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([text()], trainer)
    size = tokenizer.get_vocab_size()
    if size < vocab:
        raise SystemExit(f"the text gives only {size} tokens")
    torch.manual_seed(seed)
    config = LlamaConfig(hidden_size=HIDDEN, num_hidden_layers=LAYERS, intermediate_size=INTER,
                         num_attention_heads=HEADS, num_key_value_heads=HEADS, vocab_size=size,
                         max_position_embeddings=SEQ, tie_word_embeddings=True, bos_token_id=None, eos_token_id=0)
    LlamaForCausalLM(config).float().save_pretrained(folder)
    tokenizer.save(os.path.join(folder, "tokenizer.json"))


def write_rows(path):
    """Rows that fill the sequence, whatever the vocabulary: the text in pieces of a thousand characters."""
    whole = text()
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(json.dumps({"text": whole[i:i + 1000]}) + "\n" for i in range(0, len(whole) - 1000, 1000))


def batches(trace):
    import h5py
    found = {}
    for path in glob.glob(os.path.join(trace, "*.h5")):
        with h5py.File(path, "r") as file:
            for step, group in file.get("steps", {}).items():
                found[int(step)] = [group[name][()] for name in ("tokens", "labels")]
    return [found[t] for t in range(args.steps)]


def torch_losses(mode, work):
    import torch
    from transformers import LlamaForCausalLM
    torch.set_num_threads(args.threads)
    model = LlamaForCausalLM.from_pretrained(os.path.join(work, "model"), dtype=torch.float32).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.0, fused=True)
    losses = []
    for tokens, labels in batches(os.path.join(work, "trace")):
        ids = torch.tensor(tokens).long().view(BATCH, -1)
        target = torch.tensor(labels).long()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=mode == "bf16"):
            logits = model(input_ids=ids).logits
        loss = torch.nn.functional.cross_entropy(logits.float().view(target.numel(), -1), target, ignore_index=-1)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


def our_losses(numerics, work, seed, record):
    out = os.path.join(work, "out")
    shutil.rmtree(out, ignore_errors=True)
    command = [os.path.join(args.build, "bin", "aftune-train"), "--model", os.path.join(work, "model"), "--data",
               os.path.join(work, "rows.jsonl"), "--out", out, "--steps", args.steps, "--batch-size", BATCH, "--seq-len",
               SEQ, "--lr", LR, "--clip-norm", "1.0", "--seed", seed, "--numerics", numerics, "--threads", args.threads,
               "--json", "--quiet", *(["--trace", os.path.join(work, "trace")] if record else ["--no-record"])]
    lines = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return [step["loss"] for step in map(json.loads, lines) if "loss" in step]


def in_python(mode, work, vocab, seed):
    environment = {**os.environ, "HDF5_PLUGIN_PATH": os.path.join(args.build, "plugin")}
    command = [args.python, __file__, args.build, "--text", *args.text, "--steps", args.steps, "--threads", args.threads,
               "--vocab", vocab, "--torch", mode, "--work", work, "--seed", seed]
    return json.loads(subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True,
                                     env=environment).stdout)


def final(losses):
    return statistics.mean(losses[-LAST:])


def run(vocab, seed):
    with tempfile.TemporaryDirectory(prefix="aftune-learning-") as work:
        in_python("model", work, vocab, seed)
        write_rows(os.path.join(work, "rows.jsonl"))
        curves = {"f32": our_losses("f32", work, seed, record=True),
                  "i14": our_losses("i14", work, seed, record=False)}
        for mode in ("float32", "bf16"):
            curves["torch " + mode] = in_python(mode, work, vocab, seed)
    ours = final(curves["i14"]) / final(curves["f32"]) - 1
    theirs = final(curves["torch bf16"]) / final(curves["torch float32"]) - 1
    print(f"{vocab:6d} {seed:4d}  " + "  ".join(f"{final(c):10.4f}" for c in curves.values()) +
          f"   {100 * ours:+6.2f} %  {100 * theirs:+6.2f} %", flush=True)
    return curves


def main():
    print(f"mean loss of the last {LAST} of {args.steps} steps; hidden {HIDDEN}, {LAYERS} layers, {BATCH} x {SEQ} tokens")
    print(" vocab seed         f32         i14  torch f32   torch bf16   i14/f32  bf16/f32")
    for vocab in args.vocab:
        columns = {}
        for seed in range(1, args.seeds + 1):
            for name, losses in run(vocab, seed).items():
                columns[f"{name} seed {seed}"] = losses
        if args.out:
            with open(os.path.join(args.out, f"curves-{vocab}.csv"), "w", encoding="utf-8", newline="") as f:
                table = csv.writer(f, lineterminator="\n")
                table.writerow(["step", *columns])
                for step, losses in enumerate(zip(*columns.values())):
                    table.writerow([step, *(f"{loss:.5f}" for loss in losses)])


if args.torch == "model":
    write_model(os.path.join(args.work, "model"), args.vocab[0], args.seed)
    print("null")
elif args.torch:
    print(json.dumps(torch_losses(args.torch, args.work)))
else:
    main()
