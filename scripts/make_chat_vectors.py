#!/usr/bin/env python3
"""Writes tests/vectors/chat/chat.json: conversations as transformers renders them with published templates.

    make_chat_vectors.py MODEL-FOLDER|TEMPLATE.jinja ...

Of a published template the file has the BLAKE3 by which it is known, and its text only where that is one line. Those in
the repository are of Llama-3 (as first published, and with add_generation_prompt), Llama-3.1, Qwen2.5, Qwen3 (as first
published, as corrected, and Instruct 2507) and one-line ChatML. Needs transformers and blake3.
"""

import json
import os
import random
import sys

from blake3 import blake3

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "parity"))
import chat_parity  # noqa: E402

COUNT = 16
LONGEST_TEXT = 800


def vectors_of(name, template, render):
    template = template.removesuffix("\n")
    given = chat_parity.cases(random.Random(name), COUNT)
    return {
        "name": name,
        "blake3": blake3(template.encode()).hexdigest(),
        **({"template": template} if len(template) <= LONGEST_TEXT else {}),
        "cases": [{**case, "text": render(case)} for case in given],
    }


def main():
    found = [chat_parity.bare(*item) for item in chat_parity.ONE_LINE.items()]
    for path in sys.argv[1:]:
        _, template, render = chat_parity.template_of(path)
        name = os.path.basename(path.rstrip("/")).removesuffix(".jinja") + ("-first" if os.path.isdir(path) else "")
        found.append((name, template, render))
    path = os.path.join(ROOT, "tests", "vectors", "chat", "chat.json")
    with open(path, "w", encoding="ascii") as out:
        json.dump([vectors_of(*item) for item in found], out, indent=0)
        out.write("\n")


if __name__ == "__main__":
    main()
