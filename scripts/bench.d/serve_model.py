"""A Llama with weights in the file formats of the engines that are measured: model.safetensors for us and for PyTorch,
GGUF for llama.cpp. Only the standard library is used. All files hold the same values, in f32 or narrowed to f16.
"""
import array
import json
import os
import random
import struct

import bench_model

SHAPE = {"hidden": 1024, "layers": 12, "intermediate": 2816, "heads": 16, "vocab": 8192}
POSITIONS = 1024
GGUF_TYPES = {"f32": 0, "f16": 1}
_NOISE = 1 << 20


def tensors(m):
    """(Hugging Face's name, GGUF's name, shape) of all tensors, in the order of safetensors files: by name."""
    h, i, v = m["hidden"], m["intermediate"], m["vocab"]
    found = [("model.embed_tokens.weight", "token_embd.weight", (v, h)),
             ("model.norm.weight", "output_norm.weight", (h,))]
    for n in range(m["layers"]):
        ours, theirs = f"model.layers.{n}.", f"blk.{n}."
        found += [(ours + a, theirs + b, s) for a, b, s in (
            ("input_layernorm.weight", "attn_norm.weight", (h,)), ("self_attn.q_proj.weight", "attn_q.weight", (h, h)),
            ("self_attn.k_proj.weight", "attn_k.weight", (h, h)), ("self_attn.v_proj.weight", "attn_v.weight", (h, h)),
            ("self_attn.o_proj.weight", "attn_output.weight", (h, h)),
            ("post_attention_layernorm.weight", "ffn_norm.weight", (h,)), ("mlp.gate_proj.weight", "ffn_gate.weight", (i, h)),
            ("mlp.up_proj.weight", "ffn_up.weight", (i, h)), ("mlp.down_proj.weight", "ffn_down.weight", (h, i)))]
    return sorted(found)


def count(shape):
    return shape[0] * (shape[1] if len(shape) > 1 else 1)


class Values:
    """Numbers that are like weights: normal(0, 0.02), a norm's all 1."""

    def __init__(self, kind):
        rng = random.Random(1)
        noise = [rng.gauss(0.0, 0.02) for _ in range(_NOISE)]
        self.ones = struct.pack("<f" if kind == "f32" else "<e", 1.0)
        self.noise = array.array("f", noise).tobytes() if kind == "f32" else struct.pack(f"<{_NOISE}e", *noise)

    def bytes_of(self, shape):
        n = count(shape)
        if len(shape) == 1:
            return self.ones * n
        size = len(self.ones)
        return (self.noise * (n // _NOISE + 1))[:n * size]


def write_safetensors(folder, m):
    header, at = {}, 0
    for name, _, shape in tensors(m):
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + 4 * count(shape)]}
        at += 4 * count(shape)
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    text += b" " * (-len(text) % 8)
    values = Values("f32")
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _, _, shape in tensors(m):
            f.write(values.bytes_of(shape))


def _string(text):
    return struct.pack("<Q", len(text)) + text


def _pair(key, value):
    """A GGUF key with its typed value; a list's elements are all of the type of the first."""
    def typed(v):
        if isinstance(v, str):
            return 8, _string(v.encode())
        if isinstance(v, bytes):
            return 8, _string(v)
        return (6, struct.pack("<f", v)) if isinstance(v, float) else (5, struct.pack("<i", v))
    if isinstance(value, list):
        body = struct.pack("<IIQ", 9, typed(value[0])[0], len(value)) + b"".join(typed(v)[1] for v in value)
    else:
        kind, packed = typed(value) if not isinstance(value, int) else (4, struct.pack("<I", value))
        body = struct.pack("<I", kind) + packed
    return _string(key.encode()) + body


def write_gguf(path, m, kind):
    vocab = m["vocab"]
    bytes_tokens = [f"<0x{b:02X}>" for b in range(256)]
    tokens = ["<unk>", "<s>", "</s>", *bytes_tokens, *(f"t{n}" for n in range(vocab - 259))]
    types = [2, 3, 3, *[6] * 256, *[1] * (vocab - 259)]
    pairs = [("general.architecture", "llama"), ("llama.context_length", POSITIONS),
             ("llama.embedding_length", m["hidden"]), ("llama.block_count", m["layers"]),
             ("llama.feed_forward_length", m["intermediate"]), ("llama.attention.head_count", m["heads"]),
             ("llama.attention.head_count_kv", m["heads"]), ("llama.attention.layer_norm_rms_epsilon", 1e-5),
             ("llama.rope.dimension_count", m["hidden"] // m["heads"]), ("llama.vocab_size", vocab),
             ("general.file_type", GGUF_TYPES[kind]), ("tokenizer.ggml.model", "llama"),
             ("tokenizer.ggml.tokens", tokens), ("tokenizer.ggml.scores", [0.0] * vocab),
             ("tokenizer.ggml.token_type", types), ("tokenizer.ggml.bos_token_id", 1), ("tokenizer.ggml.eos_token_id", 2)]
    listed = tensors(m)
    values = {"f32": Values("f32")}
    values[kind] = values.get(kind) or Values(kind)
    infos, data, at = [], [], 0
    for _, name, shape in listed:
        as_kind = kind if len(shape) == 2 else "f32"  # as llama.cpp's own converter does
        infos.append(_string(name.encode()) + struct.pack("<I", len(shape)) +
                     b"".join(struct.pack("<Q", d) for d in reversed(shape)) + struct.pack("<IQ", GGUF_TYPES[as_kind], at))
        size = count(shape) * (4 if as_kind == "f32" else 2)
        data.append((as_kind, shape, -size % 32))
        at += size + -size % 32
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(listed), len(pairs)) + b"".join(_pair(*p) for p in pairs) + b"".join(infos)
    with open(path, "wb") as f:
        f.write(head + bytes(-len(head) % 32))
        for as_kind, shape, pad in data:
            f.write(values[as_kind].bytes_of(shape) + bytes(pad))


def write(folder):
    """Writes config.json and model.safetensors."""
    bench_model.write_model(folder, **SHAPE, seq_len=POSITIONS)
    write_safetensors(folder, SHAPE)


def bytes_a_token(m, size):
    """Of the matrices, each of which a token's products read once; the tied embedding is the head's."""
    return size * sum(count(shape) for _, _, shape in tensors(m) if len(shape) > 1)
