#!/usr/bin/env python3
"""Writes tests/vectors/order/order.json: draws and permutations of docs/trace.order.md, computed from its text alone."""

import argparse
import json
import pathlib

PURPOSE_ORDER = 1
MASK32 = 0xFFFFFFFF


def philox4x32_10(counter, key):
    """Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3 (2011)."""
    c, k = list(counter), list(key)
    for _ in range(10):
        hi0, lo0 = divmod(0xD2511F53 * c[0], 1 << 32)
        hi1, lo1 = divmod(0xCD9E8D57 * c[2], 1 << 32)
        c = [hi1 ^ c[1] ^ k[0], lo1, hi0 ^ c[3] ^ k[1], lo0]
        k = [(k[0] + 0x9E3779B9) & MASK32, (k[1] + 0xBB67AE85) & MASK32]
    return c


def draw(seed, epoch, i):
    """Returns the draw and how many words were rejected before it."""
    bound = i + 1
    accepted = (1 << 32) // bound * bound
    rejected = 0
    for attempt in range(1 << 16):
        counter = (i, epoch & MASK32, epoch >> 32, PURPOSE_ORDER << 16 | attempt)
        for word in philox4x32_10(counter, (seed & MASK32, seed >> 32)):
            if word < accepted:
                return word % bound, rejected
            rejected += 1
    raise AssertionError("unreachable")


def permutation(seed, epoch, rows):
    order = list(range(rows))
    for i in range(rows - 1, 0, -1):
        j, _ = draw(seed, epoch, i)
        order[i], order[j] = order[j], order[i]
    return order


def vectors():
    assert philox4x32_10((0, 0, 0, 0), (0, 0)) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
    assert philox4x32_10(pi, (0xA4093822, 0x299F31D0)) == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]

    draws = []
    seeds = (0, 7, 0x0123456789ABCDEF, (1 << 64) - 1)
    # Bounds just above 2^31 reject nearly half of all words; 2^32 and powers of two reject none.
    for i in (1, 2, 3, 7, 255, 999_999, 0x55555555, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xAAAAAAAA, 0xFFFFFFFE, MASK32):
        for seed in seeds:
            for epoch in (0, 1, 0x1_0000_0002):
                value, rejected = draw(seed, epoch, i)
                draws.append({"seed": f"{seed:016x}", "epoch": epoch, "i": i, "draw": value, "rejected": rejected})
    # One that needs a second Philox block.
    epoch = next(e for e in range(1000) if draw(1, e, 0x80000000)[1] >= 4)
    value, rejected = draw(1, epoch, 0x80000000)
    draws.append({"seed": f"{1:016x}", "epoch": epoch, "i": 0x80000000, "draw": value, "rejected": rejected})

    permutations = [
        {"seed": f"{seed:016x}", "epoch": epoch, "permutation": permutation(seed, epoch, rows)}
        for seed in seeds
        for epoch, rows in ((0, 1), (0, 2), (0, 5), (1, 5), (3, 100), (0x1_0000_0002, 17))
    ]
    return {"draws": draws, "permutations": permutations}


def one_item_a_line(data):
    lists = ",\n".join(
        f'"{name}":[\n' + ",\n".join(json.dumps(item, separators=(",", ":")) for item in items) + "\n]"
        for name, items in data.items()
    )
    return "{" + lists + "}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    default = pathlib.Path(__file__).resolve().parent.parent / "tests/vectors/order/order.json"
    parser.add_argument("--out", type=pathlib.Path, default=default)
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(one_item_a_line(vectors()), encoding="ascii")


if __name__ == "__main__":
    main()
