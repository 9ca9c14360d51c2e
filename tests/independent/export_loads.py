#!/usr/bin/env python3
"""What aftune-train exports loads in transformers as it is, and gives the same logits.

usage: export_loads.py BIN_FOLDER WRITE_LOGITS MODEL...
Fine-tunes each MODEL for a few steps (a folder without weights: from --init) and compares the logits of a document.
"""
import json
import os
import subprocess
import sys
import tempfile

import torch
from transformers import AutoModelForCausalLM

BOUND = 1e-4
ROWS = ["The quick brown fox jumps over the lazy dog.", "Once upon a time there was a cell that replayed itself."]


def fine_tuned(model, work):
    data, out = os.path.join(work, "rows.jsonl"), os.path.join(work, "out")
    with open(data, "w", encoding="utf-8") as f:
        f.writelines(json.dumps({"text": row}) + "\n" for row in ROWS)
    start = [] if os.path.exists(os.path.join(model, "model.safetensors")) else ["--init"]
    subprocess.run([os.path.join(sys.argv[1], "aftune-train"), "--model", model, *start, "--data", data, "--out", out,
                    "--no-record", "--steps", "3", "--batch-size", "2", "--seq-len", "32", "--lr", "1e-3", "--seed",
                    "7", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    return out


for model in sys.argv[3:]:
    with tempfile.TemporaryDirectory() as work:
        folder = fine_tuned(model, work)
        theirs, report = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
        assert not any(report.values()), report  # no tensor is missing, surplus or of another shape
        ids = [(7 * i * i + 3) % theirs.config.vocab_size for i in range(24)]
        raw = subprocess.run([sys.argv[2], folder, *map(str, ids)], check=True, capture_output=True).stdout
    ours = torch.frombuffer(bytearray(raw), dtype=torch.float32).reshape(len(ids), -1)
    with torch.no_grad():
        logits = theirs(input_ids=torch.tensor([ids])).logits[0]
    worst = (ours - logits).abs().max().item()
    print(f"{os.path.basename(model)}: logits of {len(ids)} positions agree to {worst:.1e} (bound {BOUND})")
    assert worst <= BOUND
