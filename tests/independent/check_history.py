#!/usr/bin/env python3
"""history.py accepts the proofs and cosignatures that our tools write and nothing else.

usage: check_history.py BIN-DIR FIXTURE
"""
import base64
import os
import shutil
import subprocess
import sys
import tempfile

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "history.py")
TOOLS, FIXTURE = (os.path.abspath(path) for path in sys.argv[1:])


def run(tool, *arguments):
    subprocess.run([os.path.join(TOOLS, tool), *arguments], check=True, capture_output=True)


def verdict(*arguments):
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True).returncode


def with_flipped_hashes(text):
    """The file with one bit of each of its base64 lines flipped in turn."""
    lines = text.split("\n")
    for i, line in enumerate(lines):
        word = line.split(" ")[-1]
        if len(word) < 44 or not word.endswith("="):
            continue
        raw = bytearray(base64.b64decode(word))
        raw[5] ^= 4
        changed = line.removesuffix(word) + base64.b64encode(raw).decode()
        yield "\n".join(lines[:i] + [changed] + lines[i + 1 :])


def refuses_damage(command, path, *others):
    good = open(path, encoding="utf-8", newline="").read()
    assert verdict(command, path, *others) == 0, (command, path)
    count = 0
    for bad in with_flipped_hashes(good):
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(bad)
        assert verdict(command, path, *others) == 1, (command, bad)
        count += 1
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(good)
    return count


damaged = 0
with tempfile.TemporaryDirectory() as folder:
    shutil.copy(os.path.join(FIXTURE, "full/acme.key"), folder)
    shutil.copy(os.path.join(FIXTURE, "full/acme.vkey"), folder)
    leaves = open(os.path.join(FIXTURE, "full/run.aft/log.jsonl")).read().splitlines(keepends=True)
    os.chdir(folder)
    os.mkdir("run.aft")
    for size in (1, 2, 5, 7, 8, len(leaves)):
        with open("run.aft/log.jsonl", "w") as file:
            file.writelines(leaves[:size])
        run("aftune-commit", "--trace", "run.aft", "--key", "acme.key")
        shutil.copy("run.aft/checkpoint", f"note-{size}")
        assert verdict("inclusion", "run.aft/manifest.tlog-proof", "run.aft/log.jsonl", "acme.vkey") == 0
        for old in (o for o in (1, 2, 5, 7, 8) if o <= size):
            run("aftune-commit", "--trace", "run.aft", "--key", "acme.key", "--since", f"note-{old}", "--consistency", "proof")
            assert verdict("consistency", "proof", f"note-{old}", "acme.vkey") == 0, (old, size)
            if old > 1:
                assert verdict("consistency", "proof", "note-1", "acme.vkey") == 1
    damaged += refuses_damage("inclusion", "run.aft/manifest.tlog-proof", "run.aft/log.jsonl", "acme.vkey")
    run("aftune-commit", "--trace", "run.aft", "--key", "acme.key", "--since", "note-7", "--consistency", "proof")
    damaged += refuses_damage("consistency", "proof", "note-7", "acme.vkey")
    run("aftune-key", "generate", "--witness", "--name", "witness.example/w1", "--out", "w1", "--no-passphrase")
    run("aftune-commit", "--cosign", "run.aft/checkpoint", "--key", "w1.key", "--time", "1700000000")
    assert verdict("cosignature", "run.aft/checkpoint", "w1.vkey", "1700000001") == 1
    assert verdict("cosignature", f"note-{len(leaves)}", "w1.vkey", "1700000000") == 1
    assert verdict("cosignature", "run.aft/checkpoint", "w1.vkey", "1700000000") == 0
    # The log's own line is not the witness's to vouch for, so only root and cosignature are flipped here.
    note = open("run.aft/checkpoint", encoding="utf-8").read()
    for bad in with_flipped_hashes(note):
        if bad.split("\n")[4] != note.split("\n")[4]:
            continue
        with open("bad", "w", encoding="utf-8") as file:
            file.write(bad)
        assert verdict("cosignature", "bad", "w1.vkey", "1700000000") == 1
        damaged += 1
assert damaged >= 8, damaged
print(f"proofs between sizes up to {len(leaves)}, a witness, and {damaged} damages")
