#!/usr/bin/env python3
"""Makes tests/vectors/ops/ops.json: each operation's value and gradients by PyTorch's autograd in float64.

Needs torch. Inputs are exact in F32; the gradient of every input is that of sum(output * dy).
"""
import json
import os
import sys

import torch
import torch.nn.functional as F

torch.manual_seed(20)


def tensor(*shape, scale=1.0):
    """Random values that F32 holds, as a float64 leaf."""
    return (torch.randn(*shape) * scale).double().requires_grad_()


def case(inputs, output, **extra):
    """inputs: name -> leaf; output: a function of them."""
    y = output(**inputs)
    dy = torch.randn(y.shape).double()
    (y * dy).sum().backward()
    result = {"y": values(y), "dy": values(dy), **extra}
    for name, leaf in inputs.items():
        result[name] = values(leaf)
        result["d" + name] = values(leaf.grad)
    return result


def values(t):
    """F32 values in full, others to ten digits."""
    return [float(f"{x:.10g}") if x != float(torch.tensor(x).float()) else x for x in t.detach().flatten().tolist()]


def rmsnorm(x, w, eps=1e-5):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * w


def rotate(x, positions, theta):
    """Rotate-half RoPE of [n, heads, d]; angles in float32 as transformers has them."""
    half = x.shape[-1] // 2
    inv_freq = 1.0 / (theta ** (torch.arange(0, half).float() * 2 / x.shape[-1]))
    angle = (torch.tensor(positions).float()[:, None] * inv_freq).double()[:, None, :]
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)


def attention(q, k, v, starts):
    """Causal within each document; [n, heads, d], [n, kv_heads, d]."""
    out = []
    for a, b in zip(starts, starts[1:]):
        group = q.shape[1] // k.shape[1]
        one = [t[a:b].transpose(0, 1) for t in (q, k.repeat_interleave(group, 1), v.repeat_interleave(group, 1))]
        out.append(F.scaled_dot_product_attention(*one, is_causal=True).transpose(0, 1))
    return torch.cat(out)


def cross_entropy():
    labels = [2, -1, 0, 6]
    logits = tensor(4, 7, scale=3)
    target = torch.tensor([y if y >= 0 else -100 for y in labels])
    loss = F.cross_entropy(logits, target, ignore_index=-100, reduction="none")
    (loss.sum() / 3).backward()
    return {"logits": values(logits), "labels": labels, "loss": values(loss), "dlogits": values(logits.grad)}


def main(folder):
    positions, ids, starts = [0, 1, 2, 0, 1023], [3, 0, 3, 5, 3, 1], [0, 5, 9]
    ops = {
        "linear": case({"x": tensor(5, 7), "w": tensor(6, 7)}, lambda x, w: x @ w.T, n=5, **{"in": 7, "out": 6}),
        "rmsnorm": case({"x": tensor(3, 40), "w": tensor(40)}, rmsnorm, n=3, h=40, eps=1e-5),
        "swiglu": case({"gate": tensor(30, scale=4), "up": tensor(30)}, lambda gate, up: F.silu(gate) * up),
        "rope": case({"x": tensor(5, 2, 6)}, lambda x: rotate(x, positions, 10000.0), positions=positions, heads=2,
                     head_dim=6, theta=10000.0),
        "attention": case({"q": tensor(9, 4, 6), "k": tensor(9, 2, 6), "v": tensor(9, 2, 6)},
                          lambda q, k, v: attention(q, k, v, starts), starts=starts, heads=4, kv_heads=2, head_dim=6),
        "embedding": case({"table": tensor(6, 4)}, lambda table: F.embedding(torch.tensor(ids), table), ids=ids, h=4),
        "cross_entropy": cross_entropy(),
        "layernorm": case({"x": tensor(3, 40), "w": tensor(40), "b": tensor(40)},
                          lambda x, w, b: F.layer_norm(x, (40,), w, b, 1e-5), n=3, h=40, eps=1e-5),
        "gelu": case({"x": tensor(40, scale=3)}, F.gelu),
        "gelu_tanh": case({"x": tensor(40, scale=3)}, lambda x: F.gelu(x, approximate="tanh")),
    }
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "ops.json"), "w", encoding="utf-8") as f:
        json.dump(ops, f)
        f.write("\n")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..", "vectors", "ops"))
