#!/usr/bin/env python3
"""Checks proofs and cosignatures in the files that the tools write. Shares no code with AFTune.

usage: history.py inclusion FILE.tlog-proof LEAF-FILE VKEY-FILE      the file's first line is the leaf
       history.py consistency PROOF-FILE OLD-NOTE VKEY-FILE          a tlog-witness add-checkpoint body
       history.py cosignature NOTE WITNESS-VKEY-FILE TIME
exit 0 if it holds, 1 if not
"""
import base64
import hashlib
import sys

from log_root import verify_ed25519


def sha256(data):
    return hashlib.sha256(data).digest()


def node(left, right):
    return sha256(b"\1" + left + right)


def largest_power_below(n):
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def root_by_path(leaf, index, size, path):
    """The root that PATH(index, D[size]) of RFC 6962, section 2.1.1, says, by its own recursion; None if the length is
    another."""
    if size == 1:
        return leaf if not path else None
    if not path:
        return None
    k = largest_power_below(size)
    if index < k:
        left = root_by_path(leaf, index, k, path[:-1])
        return left and node(left, path[-1])
    right = root_by_path(leaf, index - k, size - k, path[:-1])
    return right and node(path[-1], right)


def roots_by_subproof(old_size, size, proof, old_root, whole):
    """(old root, new root) that SUBPROOF of RFC 6962, section 2.1.2, says; None if the length is another."""
    if old_size == size:
        if whole:
            return None if proof else (old_root, old_root)
        return (proof[0], proof[0]) if len(proof) == 1 else None
    if not proof:
        return None
    k = largest_power_below(size)
    if old_size <= k:
        below = roots_by_subproof(old_size, k, proof[:-1], old_root, whole)
        return below and (below[0], node(below[1], proof[-1]))
    below = roots_by_subproof(old_size - k, size - k, proof[:-1], old_root, False)
    return below and (node(proof[-1], below[0]), node(proof[-1], below[1]))


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


def parse_vkey(text, kind):
    name, key_id, blob = text.removesuffix("\n").split("+", 2)
    raw = base64.b64decode(blob, validate=True)
    if raw[0] != kind or len(raw) != 33 or sha256(name.encode() + b"\n" + raw)[:4].hex() != key_id:
        sys.exit("not a key of this type whose ID follows from its name and bytes")
    return name, bytes.fromhex(key_id), raw[1:]


def split_note(note):
    text, gap, block = note.rpartition("\n\n")
    if not gap or not block.endswith("\n"):
        sys.exit("not a signed note")
    lines = [line.split(" ") for line in block.splitlines()]
    return text + "\n", [(name, base64.b64decode(blob, validate=True)) for dash, name, blob in lines if dash == "\u2014"]


def signatures_of(signatures, name, key_id):
    found = [blob[4:] for signer, blob in signatures if signer == name and blob[:4] == key_id]
    if not found:
        sys.exit("no signature by " + name)
    return found


def checkpoint_of(note, vkey):
    """Size and root of a note that the key signed."""
    name, key_id, key = parse_vkey(vkey, 1)
    text, signatures = split_note(note)
    for signature in signatures_of(signatures, name, key_id):
        if not verify_ed25519(key, signature, text.encode()):
            sys.exit("the signature does not verify")
    origin, size, root = text.splitlines()
    if not origin.startswith(name + "/"):
        sys.exit("the origin is not the key's")
    return origin, int(size), base64.b64decode(root, validate=True)


def split_proof(text, head):
    first, _, rest = text.partition("\n")
    if head and first != head:
        sys.exit("not a proof of this kind")
    number, _, rest = (rest if head else text).partition("\n")
    hashes, _, note = rest.partition("\n\n") if not rest.startswith("\n") else ("", "", rest[1:])
    return number, [base64.b64decode(line, validate=True) for line in hashes.splitlines()], note


def inclusion(proof_file, leaf_file, vkey_file):
    number, path, note = split_proof(read(proof_file), "c2sp.org/tlog-proof@v1")
    _, size, root = checkpoint_of(note, read(vkey_file))
    index = int(number.removeprefix("index "))
    leaf = sha256(b"\0" + read(leaf_file).split("\n")[0].encode())
    if index >= size or root_by_path(leaf, index, size, path) != root:
        sys.exit("the leaf is not proved")


def consistency(proof_file, old_file, vkey_file):
    number, proof, note = split_proof(read(proof_file), None)
    old_origin, old_size, old_root = checkpoint_of(read(old_file), read(vkey_file))
    origin, size, root = checkpoint_of(note, read(vkey_file))
    if number != f"old {old_size}" or old_origin != origin or not 0 < old_size <= size:
        sys.exit("not a proof from this checkpoint")
    if roots_by_subproof(old_size, size, proof, old_root, True) != (old_root, root):
        sys.exit("the log does not extend the earlier one")


def cosignature(note_file, vkey_file, time):
    name, key_id, key = parse_vkey(read(vkey_file), 4)
    text, signatures = split_note(read(note_file))
    for blob in signatures_of(signatures, name, key_id):
        stated = int.from_bytes(blob[:8], "big")
        message = f"cosignature/v1\ntime {stated}\n{text}".encode()
        if stated != int(time) or len(blob) != 72 or not verify_ed25519(key, blob[8:], message):
            sys.exit("the cosignature does not hold")


if __name__ == "__main__":
    if len(sys.argv) != 5 or sys.argv[1] not in ("inclusion", "consistency", "cosignature"):
        sys.exit(__doc__)
    globals()[sys.argv[1]](*sys.argv[2:])
