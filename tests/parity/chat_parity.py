#!/usr/bin/env python3
"""Compares our chat templates with transformers' on random conversations; prints every difference (up to a limit) and
exits 1 if there is one. Needs transformers and the built chat_cli.

    chat_parity.py --cli build/release/tests/chat_cli --count 2000 MODEL-FOLDER|TEMPLATE.jinja ...

A folder is rendered by its own tokenizer; a bare template, and the one-line ones that are written here, by transformers'
renderer with Llama-3's BOS.
"""

import argparse
import json
import os
import random
import subprocess
import sys

from transformers import AutoTokenizer
from transformers.utils.chat_template_utils import render_jinja_template

BOS = "<|begin_of_text|>"
SPACES = [chr(c) for c in range(0x3001) if chr(c).isspace()]
PIECES = ["Hello", "What is 2 + 2?", "naïve café", "日本語", "🙂", "\n", "\n\n", " ", "\t", "<think>", "</think>", "<think>\n",
          "\n</think>\n\n", "<tool_response>", "</tool_response>", "<|im_end|>", "<|eot_id|>", "{{ x }}", "{% if %}", "\\n", "'",
          "\u200b", "\ufeff"]
LOOP = "{% for message in messages %}"
SYSTEM = "{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{% endif %}"
EACH = "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
PROMPT = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
ONE_LINE = {
    "chatml": LOOP + EACH + PROMPT,
    "chatml-system": LOOP + SYSTEM + EACH + PROMPT,
    "chatml-newlines": (LOOP + SYSTEM + EACH + PROMPT).replace("\\n", "\n"),
    "chatml-joined": LOOP + SYSTEM.replace("assistant.", "assistant") + EACH.replace("' + '\\n'}}", "\\n' }}") + PROMPT,
}


def content(rng):
    parts = [rng.choice(SPACES) if rng.random() < 0.2 else rng.choice(PIECES) for _ in range(rng.randint(0, 7))]
    text = "".join(parts)
    return "<tool_response>" + text + "</tool_response>" if rng.random() < 0.1 else text


def conversation(rng):
    roles = ["system"] if rng.random() < 0.4 else []
    roles += ["user", "assistant"] * rng.randint(0, 3) + (["user"] if rng.random() < 0.7 else [])
    if rng.random() < 0.3:
        roles = [rng.choice(["system", "user", "assistant"]) for _ in range(rng.randint(1, 6))]
    return [{"role": role, "content": content(rng)} for role in roles or ["user"]]


def cases(rng, count):
    return [{"messages": conversation(rng), "prompt": rng.random() < 0.6} for _ in range(count)]


def template_of(path):
    """(name, template, function from a case to text) of a folder or a .jinja file."""
    if os.path.isdir(path):
        tokenizer = AutoTokenizer.from_pretrained(path)
        return path, tokenizer.chat_template, lambda case: tokenizer.apply_chat_template(
            case["messages"], tokenize=False, add_generation_prompt=case["prompt"])
    return bare(path, open(path, encoding="utf-8").read())


def bare(name, text):
    def render(case):
        texts, _ = render_jinja_template([case["messages"]], chat_template=text,
                                         add_generation_prompt=case["prompt"], bos_token=BOS)
        return texts[0]
    return name, text, render


def ours(cli, template, given):
    lines = [json.dumps(template)] + [json.dumps(case) for case in given]
    done = subprocess.run([cli], input="\n".join(lines).encode(), stdout=subprocess.PIPE, check=True)
    answers = [json.loads(line) for line in done.stdout.decode("utf-8").split("\n")[:-1]]
    if answers[0]:
        sys.exit(answers[0])
    return answers[1:]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cli", required=True)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("templates", nargs="*")
    args = parser.parse_args()
    bad = 0
    for name, template, render in [bare(*item) for item in ONE_LINE.items()] + [template_of(t) for t in args.templates]:
        given = cases(random.Random(args.seed), args.count)
        found = ours(args.cli, template, given)
        wrong = [(case, a, render(case)) for case, a in zip(given, found, strict=True) if a != render(case)]
        for case, a, b in wrong[:5]:
            print(f"  {ascii(case)}\n    ours   {ascii(a)}\n    theirs {ascii(b)}")
        print(f"{name}: seed {args.seed}, {len(given)} conversations: {len(wrong)} differences")
        bad += len(wrong)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
