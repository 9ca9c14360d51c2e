"""Writes encrypted.key: the seed 00..1f under a passphrase, made without libsodium (Argon2id and ChaCha20-Poly1305 of the
cryptography package, HChaCha20 written out here)."""

import base64
import pathlib
import struct

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

VKEY = "example.com/log+d455c521+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
PASSPHRASE = "correct horse battery staple"
PASSES, MEMORY = 2, 1 << 20


def hchacha20(key, nonce):
    def rotate(x, n):
        return (x << n | x >> (32 - n)) & 0xFFFFFFFF

    def quarter(s, a, b, c, d):
        for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            s[z] = rotate(s[z] ^ s[x], n)

    s = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))
    for _ in range(10):
        for i in range(4):
            quarter(s, i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<8I", *(s[:4] + s[12:]))


def main():
    salt, nonce, seed = bytes(range(100, 116)), bytes(range(200, 224)), bytes(range(32))
    key = Argon2id(salt=salt, length=32, iterations=PASSES, lanes=1, memory_cost=MEMORY // 1024).derive(PASSPHRASE.encode())
    b64 = lambda raw: base64.b64encode(raw).decode()
    bound = (f"aftune-secret-key/1\nvkey {VKEY}\nargon2id {PASSES} {MEMORY}\n"
             f"salt {b64(salt)}\nnonce {b64(nonce)}\n")
    sealed = ChaCha20Poly1305(hchacha20(key, nonce[:16])).encrypt(b"\0" * 4 + nonce[16:], seed, bound.encode())
    pathlib.Path(__file__).with_name("encrypted.key").write_text(bound + f"sealed {b64(sealed)}\n")


if __name__ == "__main__":
    main()
