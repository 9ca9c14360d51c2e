#!/usr/bin/env python3
"""attestation.py and aftune-inspect accept what aftune-verify attests, and neither accepts it with any part damaged.

usage: check_attestation.py BIN-DIR FIXTURE
"""
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "attestation.py")


def main():
    tools, fixture = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch:
        work = os.path.join(scratch, "work")
        shutil.copytree(os.path.join(fixture, "full"), work)

        def run(*command):
            env = {**os.environ, "PATH": tools + ":" + os.environ["PATH"]}
            return subprocess.run(command, cwd=work, env=env, capture_output=True, text=True)

        def codes(envelope, key="jane.vkey"):
            """Exit codes of the two readers."""
            with open(os.path.join(work, "x.json"), "w") as file:
                json.dump(envelope, file)
            return (run(sys.executable, SCRIPT, "x.json", key, "run.aft").returncode,
                    run("aftune-inspect", "--attestation", "x.json", "--pubkey", key).returncode)

        run("aftune-key", "generate", "--name", "audit.example/jane", "--out", "jane", "--no-passphrase")
        made = run("aftune-verify", "--trace", "run.aft", "--pubkey", "acme.vkey", "--challenge", "c.json", "--quiet",
                   "--attestation", "a.json", "--key", "jane.key")
        assert made.returncode == 0, made.stderr
        with open(os.path.join(work, "a.json")) as file:
            good = json.load(file)
        seen = run(sys.executable, SCRIPT, "a.json", "jane.vkey", "run.aft")
        assert (seen.returncode, seen.stdout) == (0, "ACCEPT\n"), seen.stderr
        assert codes(good) == (0, 0)
        assert codes(good, "acme.vkey") == (1, 2)

        payload = base64.b64decode(good["payload"])
        for at in range(0, len(payload), max(1, len(payload) // 20)):
            changed = payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1:]
            assert codes({**good, "payload": base64.b64encode(changed).decode()}) == (1, 2), at
        rejected = payload.replace(b'"ACCEPT"', b'"REJECT"')
        assert rejected != payload and codes({**good, "payload": base64.b64encode(rejected).decode()}) == (1, 2)
        signature = base64.b64decode(good["signatures"][0]["sig"])
        for at in (0, 31, 32, 62):
            changed = signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1:]
            assert codes({**good, "signatures": [{"sig": base64.b64encode(changed).decode()}]}) == (1, 2), at
        assert codes({**good, "signatures": []}) == (1, 2)
        assert codes({**good, "payloadType": "application/json"}) == (1, 2)
        # The key ID is a hint, and another's signature beside ours changes nothing.
        other = {"keyid": "someone", "sig": base64.b64encode(bytes(64)).decode()}
        assert codes({**good, "signatures": [other, {"sig": good["signatures"][0]["sig"]}]}) == (0, 0)
    print("both readers agree")


if __name__ == "__main__":
    main()
