"""Writes vectors.txt with the blake3 Python package: the lengths, input, key and context of the official test vectors."""

import pathlib

import blake3

LENGTHS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 63, 64, 65, 127, 128, 129, 1023, 1024, 1025, 2048, 2049, 3072, 3073, 4096, 4097,
           5120, 5121, 6144, 6145, 7168, 7169, 8192, 8193, 16384, 31744, 102400]
KEY = b"whats the Elvish word for friend"
CONTEXT = "BLAKE3 2019-12-27 16:29:52 test vectors context"
EXTENDED = 131


def main():
    lines = ["# Made by generate.py. Input byte i is i mod 251; 131 bytes of output.", "# length hash keyed_hash derive_key"]
    for length in LENGTHS:
        data = bytes(i % 251 for i in range(length))
        modes = [blake3.blake3(data), blake3.blake3(data, key=KEY), blake3.blake3(data, derive_key_context=CONTEXT)]
        lines.append(" ".join([str(length)] + [mode.digest(length=EXTENDED).hex() for mode in modes]))
    pathlib.Path(__file__).with_name("vectors.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
