"""Folders that the benchmarks train: a Llama config, a byte-level tokenizer of 256 tokens, and rows of random text.

The rows are longer than the sequence, so that every row fills it; ids stay below 256 whatever the vocabulary is,
which changes no cost.
"""
import json
import os
import random
import statistics
import subprocess
import time


def byte_map():
    """GPT-2's map from bytes to printable characters."""
    keep = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    extra = iter(range(256))
    return {b: chr(b) if b in keep else chr(256 + next(extra)) for b in range(256)}


def write_model(folder, hidden=512, layers=8, intermediate=1376, heads=8, vocab=4096, tied=True, seq_len=256):
    os.makedirs(folder, exist_ok=True)
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden,
        "intermediate_size": intermediate, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": heads, "vocab_size": vocab, "max_position_embeddings": seq_len,
        "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": tied,
        "bos_token_id": None, "eos_token_id": 0, "torch_dtype": "float32", "initializer_range": 0.02}
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                  "vocab": {c: i for i, c in enumerate(byte_map().values())}, "merges": []}}
    for name, value in (("config.json", config), ("tokenizer.json", tokenizer)):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            json.dump(value, f)
    return config


def write_rows(path, rows, characters, seed=1):
    rng = random.Random(seed)
    words = ["audit", "replay", "the", "cell", "of", "a", "step", "is", "exact", "to", "bit", "and", "block"]
    with open(path, "w", encoding="utf-8") as f:
        for _ in range(rows):
            text = ""
            while len(text) < characters:
                text += rng.choice(words) + " "
            f.write(json.dumps({"text": text}) + "\n")


def tool(build, name):
    return os.path.join(build, "bin", name)


def train_seconds(build, folder, work, tag, steps, threads, extra, numerics="i14"):
    """Seconds of each step of one aftune-train run, the first left out (it warms the caches)."""
    command = [tool(build, "aftune-train"), "--model", os.path.join(folder, "model"), "--data",
               os.path.join(folder, "rows.jsonl"), "--out", os.path.join(work, "out-" + tag), "--init", "--steps",
               str(steps), "--batch-size", "8", "--seq-len", "256", "--lr", "1e-4", "--seed", "1", "--clip-norm",
               "1.0", "--numerics", numerics, "--threads", str(threads), "--json", "--quiet", *extra]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    steps_seen = [json.loads(line) for line in lines]
    return [s["seconds"] for s in steps_seen if "seconds" in s][1:]


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        return next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "unknown CPU")


def row(name, ours, peer, unit="s"):
    """One line of the table: medians, ratio peer / ours (above 1: ours is faster), and the spread of both."""
    a, b = statistics.median(ours), statistics.median(peer)
    print(f"{name:34} {a:9.3f} {unit} {b:9.3f} {unit}  ratio {b / a:5.2f}"
          f"   [{min(ours):.3f}..{max(ours):.3f}] [{min(peer):.3f}..{max(peer):.3f}]", flush=True)
    return b / a


def wall(command):
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start
