"""Writes draw.json: the cells that challenges draw, by an implementation that shares nothing with ours.

Follows docs/audit.md, "Draw". Needs the `blake3` package; run it in this folder.
"""
import json
import struct

from blake3 import blake3

BODY = "audit.example/acme/00112233445566778899aabbccddeeff\n%d\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n"
LINE = "\u2014 audit.example/acme " + "A" * 90 + "A=\n"
OTHER = "\u2014 witness.example/w1 " + "B" * 90 + "A=\n"


def key_of(note, seed, plan):
    text = note[: note.rindex("\n\n") + 1].encode()
    canonical = json.dumps(plan, sort_keys=True, separators=(",", ":")).encode()
    material = b"".join(struct.pack("<Q", len(part)) + part for part in (text, seed, canonical))
    return blake3(material, derive_key_context="aftune/draw/1").digest()


def words(key, stratum):
    xof = blake3(stratum.encode(), key=key)
    offset = 0
    while True:
        yield int.from_bytes(xof.digest(length=8, seek=offset), "little")
        offset += 8


def draw(key, stratum, total, count):
    stream = words(key, stratum)
    deck = list(range(total))
    for i in range(min(count, total)):
        n = total - i
        limit = 2**64 // n * n
        word = next(w for w in stream if w < limit)
        j = i + word % n
        deck[i], deck[j] = deck[j], deck[i]
    return deck[: min(count, total)]


def shape(grid):
    layer_blocks = -(-grid["layers"] // grid["layers_per_block"])
    blocks = layer_blocks + (1 if grid["tied"] else 2)
    rows = -(-grid["steps"] // grid["steps_per_block"])
    last_block = 0 if grid["tied"] else blocks - 1
    return blocks, rows, last_block


def cells_of(note, seed, plan, grid):
    blocks, rows, last_block = shape(grid)
    if plan["all"]:
        return [[b, s] for b in range(blocks) for s in range(rows)]
    key = key_of(note, seed, plan)
    cells = {(i % blocks, i // blocks) for i in draw(key, "uniform", blocks * rows, plan["uniform"])}
    cells |= {(0, s) for s in draw(key, "inputs", rows, plan["inputs"])}
    cells |= {(last_block, s) for s in draw(key, "objective", rows, plan["objective"])}
    cells |= {(b, 0) for b in draw(key, "first-row", blocks, plan["ends"])}
    cells |= {(b, rows - 1) for b in draw(key, "last-row", blocks, plan["ends"])}
    return [list(c) for c in sorted(cells)]


def plan(all=False, uniform=0, inputs=0, objective=0, ends=0):
    return dict(all=all, uniform=uniform, inputs=inputs, objective=objective, ends=ends)


def grid(layers, tied, layers_per_block, steps, steps_per_block):
    return dict(layers=layers, tied=tied, layers_per_block=layers_per_block, steps=steps,
                steps_per_block=steps_per_block)


def main():
    grids = [
        grid(1, True, 1, 1, 1),         # 2 cells
        grid(1, False, 1, 1, 8),        # 3 cells, one short row
        grid(8, True, 2, 64, 8),        # the bench model
        grid(7, False, 3, 65, 8),       # short last block and short last row
        grid(32, False, 1, 4096, 1),    # many cells, more than one buffer of words
        grid(5, True, 100, 257, 256),   # one layer block
    ]
    plans = [
        plan(uniform=1), plan(uniform=2), plan(inputs=1), plan(objective=3), plan(ends=1), plan(ends=2),
        plan(uniform=12, inputs=2, objective=2, ends=1), plan(uniform=300, ends=3), plan(uniform=2**53 - 1),
        plan(all=True),
    ]
    vectors = []
    for g in grids:
        for p in plans:
            if shape(g)[0] * shape(g)[1] > 1000 and (p["all"] or p["uniform"] > 1000):
                continue
            for seed in (b"\x01" + bytes(31), bytes(range(32))):
                note = BODY % (g["steps"] + 5) + "\n" + LINE
                vectors.append(dict(note=note, seed=seed.hex(), plan=p, grid=g, cells=cells_of(note, seed, p, g)))
    # Another signature line does not change the draw; another root does.
    first = vectors[52]
    vectors.append(dict(first, note=first["note"] + OTHER))
    moved = first["note"].replace("Xcna", "Ycna")
    vectors.append(dict(first, note=moved, cells=cells_of(moved, bytes.fromhex(first["seed"]), first["plan"],
                                                          first["grid"])))
    with open("draw.json", "w") as out:
        out.write("[\n" + ",\n".join(json.dumps(v, sort_keys=True) for v in vectors) + "\n]\n")


if __name__ == "__main__":
    main()
