#!/usr/bin/env python3
"""Verifies an attestation of aftune-verify: a DSSE envelope around an in-toto statement. Shares no code with AFTune.

usage: attestation.py ENVELOPE VKEY-FILE [TRACE]
Prints the outcome; exit 0 if the signature is the key's and the statement is about the log that its verdict names (and
that TRACE holds, if given), 1 if not.
"""
import base64
import binascii
import json
import os
import sys

from log_root import parse_vkey, root, verify_ed25519

PAYLOAD_TYPE = "application/vnd.in-toto+json"


def decode(text):
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, AttributeError, ValueError):
        sys.exit("not base64")


def pre_authentication_encoding(kind, body):
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)


def opened(envelope, key):
    """The statement, or an end with exit code 1."""
    if envelope.get("payloadType") != PAYLOAD_TYPE:
        sys.exit("another payload type")
    payload = decode(envelope["payload"])
    signed = pre_authentication_encoding(PAYLOAD_TYPE.encode(), payload)
    if not any(verify_ed25519(key, decode(s["sig"]), signed) for s in envelope["signatures"]):
        sys.exit("no signature by the key")
    return json.loads(payload)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        envelope = json.load(file)
    with open(sys.argv[2], encoding="utf-8") as file:
        _, _, key = parse_vkey(file.read())
    statement = opened(envelope, key)
    if statement["_type"] != "https://in-toto.io/Statement/v1":
        sys.exit("not an in-toto statement v1")
    if statement["predicateType"] != "https://aftune.example/attestation/verdict/v1":
        sys.exit("another predicate")
    verdict = statement["predicate"]
    if statement["subject"] != [{"name": verdict["origin"], "digest": {"sha256": verdict["root"]}}]:
        sys.exit("the subject is not the verdict's log")
    if len(sys.argv) > 3:
        with open(os.path.join(sys.argv[3], "log.jsonl"), "rb") as file:
            leaves = file.read().split(b"\n")[:-1]
        if root(leaves).hex() != verdict["root"]:
            sys.exit("the subject is not this trace's log")
    print(verdict["verdict"])


if __name__ == "__main__":
    main()
