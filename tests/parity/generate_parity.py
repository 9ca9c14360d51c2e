#!/usr/bin/env python3
"""Greedy answers of aftune-serve against transformers in float64, token by token.

Usage: generate_parity.py AFTUNE-SERVE MODEL [--tokens N] [--numerics PROFILE...]
The model is continued from its start token and from some texts. Fails at the first token that differs.
"""
import argparse
import json
import subprocess
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TEXTS = ["Once upon a time", "Tom and his dog", "The sun was"]

parser = argparse.ArgumentParser()
parser.add_argument("serve")
parser.add_argument("model")
parser.add_argument("--tokens", type=int, default=60)
parser.add_argument("--numerics", nargs="+", default=["f32", "i14"])
args = parser.parse_args()


def theirs(model, ids):
    tokens = list(ids)
    with torch.no_grad():
        for _ in range(args.tokens):
            tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
    return tokens[len(ids):]


def ours(numerics, prompts):
    rows = "".join(json.dumps({"prompt": ids, "max_tokens": args.tokens, "temperature": 0, "ignore_eos": True}) + "\n"
                   for ids in prompts)
    command = [args.serve, "--model", args.model, "--no-record", "--numerics", numerics, "--quiet"]
    out = subprocess.run(command, input=rows, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line)["tokens"] for line in out.splitlines()]


def main():
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float64).eval()
    prompts = [[model.config.bos_token_id]] + [tokenizer(text)["input_ids"] for text in TEXTS]
    expected = [theirs(model, ids) for ids in prompts]
    failed = 0
    for numerics in args.numerics:
        for ids, want, got in zip(prompts, expected, ours(numerics, prompts)):
            same = next((i for i, (a, b) in enumerate(zip(want, got)) if a != b), min(len(want), len(got)))
            print(f"{numerics}: prompt of {len(ids)} tokens: {same} of {args.tokens} tokens agree")
            failed += want != got
    return 1 if failed else 0


sys.exit(main())
