#!/usr/bin/env python3
"""Draws tokens as docs/numerics.md says, from the text alone: prints what Sampler.GoldenDraws expects."""
import math


def philox(counter, key):
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    c = counter
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k0, p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k1, p0 & 0xFFFFFFFF]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c


def draw(logits, position, choice, seed, temperature, top_k, top_p, min_p):
    candidates = sorted((-(z / temperature), i) for i, z in enumerate(logits))[:top_k]
    largest = -candidates[0][0]
    weights = [(math.exp(-negative - largest), i) for negative, i in candidates]
    total = sum(w for w, _ in weights)
    kept, cumulated = [], 0.0
    for w, i in weights:
        if kept and w < min_p:
            break
        kept.append((w, i))
        cumulated += w
        if cumulated >= top_p * total:
            break
    words = philox([0, position, choice, 4 << 16], seed)
    bound = ((words[1] << 32 | words[0]) >> 11) * 2.0 ** -53 * cumulated
    cumulated = 0.0
    for w, i in kept:
        cumulated += w
        if cumulated > bound:
            break
    return i


LOGITS = [(i * 37) % 11 * 0.5 for i in range(50)]
print([draw(LOGITS, position, choice=2, seed=1234567890123, temperature=0.8, top_k=20, top_p=0.95, min_p=0.02)
       for position in range(8)])
