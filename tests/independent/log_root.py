#!/usr/bin/env python3
"""Recomputes the root of a trace's log and checks the signed checkpoint. Shares no code with AFTune.

usage: log_root.py TRACE VKEY-FILE     exit 0 if root and signature hold, 1 if not
"""
import base64
import hashlib
import sys


def sha256(data):
    return hashlib.sha256(data).digest()


def root(leaves):
    """RFC 6962, section 2.1."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0])
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\1" + root(leaves[:k]) + root(leaves[k:]))


def verify_ed25519(key, signature, message):
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        from nacl.exceptions import BadSignatureError as InvalidSignature
        from nacl.signing import VerifyKey

        def check():
            VerifyKey(key).verify(message, signature)
    else:

        def check():
            Ed25519PublicKey.from_public_bytes(key).verify(signature, message)

    try:
        check()
        return True
    except InvalidSignature:
        return False


def parse_vkey(text):
    """C2SP signed-note: <name>+<8 hex digits>+<base64 of type byte and key>."""
    name, key_id, blob = text.strip().split("+", 2)
    raw = base64.b64decode(blob, validate=True)
    if raw[0] != 1 or len(raw) != 33:
        sys.exit("not an Ed25519 key")
    if sha256(name.encode() + b"\n" + raw)[:4].hex() != key_id:
        sys.exit("the key's ID is not the hash of its name and bytes")
    return name, bytes.fromhex(key_id), raw[1:]


def signature_of(block, name, key_id):
    for line in block.splitlines():
        dash, signer, blob = line.split(" ")
        raw = base64.b64decode(blob, validate=True)
        if dash == "\u2014" and signer == name and raw[:4] == key_id:
            return raw[4:]
    sys.exit("no signature by this key")


def main(trace, vkey_file):
    with open(vkey_file, encoding="utf-8") as file:
        name, key_id, key = parse_vkey(file.read())
    with open(trace + "/log.jsonl", "rb") as file:
        log = file.read()
    with open(trace + "/checkpoint", encoding="utf-8") as file:
        note = file.read()
    text, _, block = note.rpartition("\n\n")
    text += "\n"
    if not verify_ed25519(key, signature_of(block, name, key_id), text.encode()):
        sys.exit("the signature does not verify")
    origin, size, stated = text.split("\n")[:3]
    leaves = log.split(b"\n")[: int(size)]
    if log.count(b"\n") < int(size):
        sys.exit("the log has fewer lines than the checkpoint says")
    found = root(leaves)
    if found != base64.b64decode(stated, validate=True):
        sys.exit(f"the root is {found.hex()}, not what the checkpoint says")
    print(origin, size, found.hex())


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
