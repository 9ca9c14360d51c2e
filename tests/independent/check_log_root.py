#!/usr/bin/env python3
"""log_root.py accepts what we sealed and nothing else.

usage: check_log_root.py WRITE_SEALED_LOG
"""
import os
import subprocess
import sys
import tempfile

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "log_root.py")


def verdict(folder):
    return subprocess.run([sys.executable, SCRIPT, folder, folder + "/vkey"], capture_output=True).returncode


def damaged(folder, name, change):
    path = os.path.join(folder, name)
    with open(path, "rb") as file:
        good = file.read()
    with open(path, "wb") as file:
        file.write(change(good))
    result = verdict(folder)
    with open(path, "wb") as file:
        file.write(good)
    return result


def flip(at):
    return lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


for lines in [1, 2, 3, 4, 7, 8, 9, 100]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.argv[1], folder, str(lines)], check=True)
        assert verdict(folder) == 0, lines
        assert damaged(folder, "log.jsonl", flip(9)) == 1
        assert damaged(folder, "log.jsonl", lambda data: data[:-1]) == 1
        assert damaged(folder, "checkpoint", flip(0)) == 1
        assert damaged(folder, "checkpoint", flip(-10)) == 1
        assert damaged(folder, "log.jsonl", lambda data: data + b"more\n") == 0  # an extension
