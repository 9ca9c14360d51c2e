"""Writes draw.json, the cells that challenges draw, and run_id.json, the run ids that policies ask for, by an implementation that shares nothing with ours.

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


def beacon_seed(value):
    return blake3(bytes.fromhex(value), derive_key_context="aftune/beacon/1").digest()


def run_id(nonce, policy):
    """Of a policy with run_from_nonce, by its text."""
    return blake3(bytes.fromhex(nonce) + blake3(policy.encode()).digest()).hexdigest()[:32]


def cells_of(note, seed, plan, grid, must=()):
    drawn = {tuple(cell) for cell in drawn_cells(note, seed, plan, grid)}
    return [list(c) for c in sorted(drawn | {tuple(cell) for cell in must})]


def drawn_cells(note, seed, plan, grid):
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
    # Cells left unanswered are asked for again, whether or not they are drawn.
    for number, must in ((52, [[0, 0]]), (60, [[0, 0], [1, 7], [4, 3], [4, 7]]), (20, []), (3, [[0, 0], [1, 0]])):
        v = vectors[number]
        seed = bytes.fromhex(v["seed"])
        vectors.append(dict(v, must=must, cells=cells_of(v["note"], seed, v["plan"], v["grid"], must)))
    # The seed is the beacon's: drand quicknet, round 42, its randomness and its signature.
    for value in ("8ada64bae5c6c0f5540a6a13af56e663240edfbd2c76ac6a8f27671eb7259ce3",
                  "95a9f9f5b231b7714de1553105d8ffdf3dcda24cfdb1e689319bccf79a9c8ce4"
                  "30a91b811fbfaf763900bc998b5d686a"):
        seed = beacon_seed(value)
        vectors.append(dict(first, seed=seed.hex(), beacon=dict(round=42, value=value),
                            cells=cells_of(first["note"], seed, first["plan"], first["grid"])))
    runs = []
    for nonce in ("00", "beef", "00112233445566778899aabbccddeeff" * 2):
        policy = '{"version":1,"nonce":"%s","run_from_nonce":true}\n' % nonce
        runs.append(dict(policy=policy, run=run_id(nonce, policy)))
    with open("run_id.json", "w") as out:
        out.write("[\n" + ",\n".join(json.dumps(v, sort_keys=True) for v in runs) + "\n]\n")
    with open("draw.json", "w") as out:
        out.write("[\n" + ",\n".join(json.dumps(v, sort_keys=True) for v in vectors) + "\n]\n")


if __name__ == "__main__":
    main()
