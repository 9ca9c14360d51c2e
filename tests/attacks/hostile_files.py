#!/usr/bin/env python3
"""Gives hostile files to the tools: each must be answered, with the right exit code and for the right reason, within
two seconds of processor time and 256 MiB of address space.

usage: hostile_files.py BIN-DIR FIXTURE [NAME-PART]      FIXTURE is what tests/cli/make_fixture wrote
"""

import json
import os
import pathlib
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib

import h5py
import numpy

SECONDS = 2
MEMORY = 256 << 20
USER_BLOCK = 512
MAGIC = b"aftune-segment/1\n"
TOO_LONG_FOR_ANY_WAIT = 60


class Case:
    """One file, the command that is given it, and what must be said: an error line, or a reason of the verdict."""

    def __init__(self, name, tool, args, *, error=None, code=None, exits=None, stdin=b""):
        self.name, self.tool, self.args, self.stdin = name, tool, [str(a) for a in args], stdin
        self.error, self.code = error, code
        self.exits = exits or ({2} if error is not None else {1, 3})

    def run(self, bin_dir, cwd):
        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

        begin = time.monotonic()
        try:
            done = subprocess.run(
                [bin_dir / self.tool, *self.args],
                cwd=cwd,
                input=self.stdin,
                capture_output=True,
                preexec_fn=limit,
                timeout=TOO_LONG_FOR_ANY_WAIT,
            )
        except subprocess.TimeoutExpired:
            return "no answer", TOO_LONG_FOR_ANY_WAIT, "waited too long"
        seconds = time.monotonic() - begin
        return self.judge(done), seconds, self.said(done)

    def said(self, done):
        reasons = self.reasons(done)
        if reasons:
            return f"{reasons[0]['code']}: {reasons[0]['where']}: {reasons[0]['detail']}"
        return (done.stderr or done.stdout).decode(errors="replace").strip()

    def reasons(self, done):
        try:
            return json.loads(done.stdout)["reasons"] if self.code else []
        except (ValueError, KeyError, TypeError):
            return []

    def judge(self, done):
        if done.returncode not in self.exits:
            return f"exit {done.returncode}"
        lines = done.stderr.decode(errors="replace").splitlines()
        if done.returncode == 2:
            if len(lines) != 1 or not lines[0].startswith(f"{self.tool}: error: "):
                return "not one error line"
            if "internal error" in lines[0] or "out of memory" in lines[0]:
                return "no reason"
            return "answered" if (self.error or "") in lines[0] else f"does not say {self.error!r}"
        if self.code:
            codes = [reason["code"] for reason in self.reasons(done)]
            return "answered" if self.code in codes else f"reasons {codes}, not {self.code}"
        return "answered"


# ---- the forms of our files, written by a liar: every digest is right, whatever else is not


def segment(index, data=b"", length=None):
    text = index if isinstance(index, bytes) else canonical(sorted(index, key=lambda e: e["path"]))
    tail = data + text + struct.pack("<Q", len(text) if length is None else length)
    return sealed_block(tail) + tail


def sealed_block(tail):
    digest = subprocess.run(["b3sum", "--no-names"], input=tail, capture_output=True, check=True).stdout.strip()
    return (MAGIC + digest + b"\n").ljust(USER_BLOCK, b"\0")


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def entry(path, dtype="F32", shape=(), extents=(), chunk=()):
    return {
        "path": path,
        "dtype": dtype,
        "shape": list(shape),
        "chunk": list(chunk),
        "extents": [list(e) for e in extents],
    }


def zstd(plain, level=19):
    return subprocess.run(["zstd", "-q", "-c", f"-{level}"], input=plain, capture_output=True, check=True).stdout


def safetensors(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(begin, end, shape, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def deep(levels):
    return b"[" * levels + b"]" * levels


def chunk(kind, data, length=None):
    size = struct.pack(">I", len(data) if length is None else length)
    return size + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width=12, height=12, depth=8, colour=2, interlace=0, pixels=None, before=b"", after=b""):
    """A PNG file, with other chunks before and after its pixels."""
    rows = b"".join(b"\0" + bytes(3 * 12) for _ in range(12)) if pixels is None else pixels
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(rows)) + after
            + chunk(b"IEND", b""))


JSON_TEXTS = {
    "100,000 levels deep": b'{"a":' + deep(100_000) + b"}",
    "not UTF-8": b'{"a":"\xff\xfe"}',
    "a surrogate": b'{"a":"\xed\xa0\x80"}',
    "a number past 2^64": b'{"a":18446744073709551616}',
    "a number past any": b'{"a":1e999}',
    "duplicate keys": b'{"a":1,"a":2}',
    "a NUL in a key": b'{"a\\u0000b":1}',
    "a bare NUL": b'{"a":1}\0',
    "a torn string": b'{"a":"',
    "only brackets": b"[" * 1_000_000,
    "a list of a million lists": b"[" + b",".join([b"[]"] * 300_000) + b"]",
    "nothing": b"",
}


class Hostile:
    def __init__(self, fixture, work):
        self.fixture, self.work, self.count = fixture / "full", work, 0
        self.cases = []

    def folder(self, *parts):
        """A copy of the fixture, or of these parts of it."""
        self.count += 1
        at = self.work / str(self.count)
        at.mkdir()
        for part in parts or [p.name for p in self.fixture.iterdir()]:
            source = self.fixture / part
            shutil.copytree(source, at / part) if source.is_dir() else shutil.copy(source, at / part)
        return at

    def add(self, *args, **kwargs):
        self.cases.append(Case(*args, **kwargs))

    # -- model folders: aftune-train

    def train(self, name, at, error, *more):
        self.add(
            name,
            "aftune-train",
            [
                "--model",
                at / "model",
                "--data",
                at / "rows.jsonl",
                "--out",
                at / "new",
                "--no-record",
                "--steps",
                1,
                "--seq-len",
                32,
                "--threads",
                1,
                "--quiet",
                *more,
            ],
            error=error,
        )

    def weights(self, name, content, error):
        at = self.folder("model", "rows.jsonl")
        (at / "model/model.safetensors").write_bytes(content)
        self.train(f"safetensors: {name}", at, error)

    def safetensors(self):
        w = {"w": tensor(0, 4, [1])}
        self.weights(
            "a header of 2^63 bytes", safetensors(w, b"0000", length=1 << 63), "header of 9223372036854775808 bytes"
        )
        self.weights("a header of 2^64 - 8 bytes", safetensors(w, b"0000", length=(1 << 64) - 8), "header of")
        self.weights("a header longer than the file", safetensors(w, b"0000", length=4096), "does not fit the file")
        self.weights("shorter than a length", b"\x04\0\0", "only 3 bytes")
        self.weights(
            "overlapping offsets",
            safetensors({"a": tensor(0, 8, [2]), "b": tensor(4, 12, [2])}, b"0" * 12),
            "begins at 4",
        )
        self.weights("a hole", safetensors({"a": tensor(0, 4, [1]), "b": tensor(8, 12, [1])}, b"0" * 12), "begins at 8")
        self.weights(
            "offsets outside the file", safetensors({"a": tensor(0, 1 << 40, [1 << 38])}, b"0" * 12), "outside the file"
        )
        self.weights(
            "offsets past 2^64",
            safetensors(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551620]}}'),
            "whole number",
        )
        self.weights("an end before its begin", safetensors({"a": tensor(8, 4, [1])}, b"0" * 8), "outside the file")
        self.weights("negative offsets", safetensors({"a": tensor(-4, 0, [1])}, b"0" * 4), "whole number")
        self.weights(
            "a size that is not the shape's", safetensors({"a": tensor(0, 8, [3])}, b"0" * 8), "8 bytes, expected 12"
        )
        self.weights(
            "a shape of 2^62 elements in no bytes", safetensors({"a": tensor(0, 0, [1 << 31, 1 << 31])}), "elements"
        )
        self.weights(
            "a shape of 2^64 elements in no bytes", safetensors({"a": tensor(0, 0, [1 << 32, 1 << 32])}), "elements"
        )
        self.weights("a dimension past 2^53", safetensors({"a": tensor(0, 0, [1 << 63, 0])}), "2^53")
        self.weights("a negative dimension", safetensors({"a": tensor(0, 4, [-1, -1])}, b"0000"), "whole number")
        self.weights("10,000 dimensions", safetensors({"a": tensor(0, 4, [1] * 10_000)}, b"0000"), "16 dimensions")
        self.weights(
            "duplicate names",
            safetensors(
                b'{"a":%(t)s,"a":%(t)s}' % {b"t": json.dumps(tensor(0, 4, [1])).encode()},
                b"0000",
            ),
            "duplicate",
        )
        self.weights("an unknown type", safetensors({"a": tensor(0, 4, [1], "F9")}, b"0000"), "F9")
        self.weights("a name with a line end", safetensors({"a\nb": tensor(0, 8, [1])}, b"0000"), "outside the file")
        self.weights(
            "a name with an escape", safetensors({"a\x1b[2Jb": tensor(0, 8, [1])}, b"0000"), "outside the file"
        )
        self.weights(
            "two million empty tensors",
            safetensors(b"{" + b",".join(b'"%d":{}' % i for i in range(2_000_000)) + b"}"),
            "model.safetensors: ",
        )
        self.weights("ten million separators", safetensors(b"{" + b"," * 10_000_000 + b"}"), "tensors")
        self.weights("metadata that is no text", safetensors({"__metadata__": {"a": 1}}), "__metadata__")
        for name, text in JSON_TEXTS.items():
            self.weights(f"JSON with {name}", safetensors(text), "model.safetensors: ")
        for name, shard in (
            ("a parent folder", "../x.safetensors"),
            ("an absolute path", "/etc/passwd"),
            ("a NUL", "a\0b"),
            ("no name", ""),
        ):
            at = self.folder("model", "rows.jsonl")
            (at / "model/model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": shard}}))
            self.train(f"safetensors index: {name}", at, "model.safetensors.index.json: ")

    def config(self):
        good = json.loads((self.fixture / "model/config.json").read_text())
        texts = {name: text for name, text in JSON_TEXTS.items()}
        for key in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings"):
            for value in (0, -1, 1 << 31, (1 << 53) + 1, 1 << 63, 1e300):
                texts[f"{key} {value}"] = json.dumps(good | {key: value}).encode()
        texts["a theta of 1e-320"] = json.dumps(good | {"rope_theta": -1e-320}).encode()
        texts["2 MiB"] = json.dumps(good | {"x": "y" * (2 << 20)}).encode()
        for name, text in texts.items():
            at = self.folder("model", "rows.jsonl")
            (at / "model/config.json").write_bytes(text)
            self.train(f"config.json: {name}", at, "config.json: ", "--init")
        for name, change in (
            ("16 million tokens of 131,072 values", {"vocab_size": 1 << 24, "hidden_size": 1 << 17, "head_dim": 4}),
            (
                "1,024 layers as wide as allowed",
                {"num_hidden_layers": 1024, "hidden_size": 1 << 17, "head_dim": 4, "intermediate_size": 1 << 19},
            ),
        ):
            at = self.folder("model", "rows.jsonl")
            (at / "model/config.json").write_text(json.dumps(good | change))
            self.train(f"config.json: {name}", at, "memory", "--init")

    def rows(self):
        for name, text in JSON_TEXTS.items():
            at = self.folder("model", "rows.jsonl")
            (at / "rows.jsonl").write_bytes(text + b"\n")
            self.train(f"rows: {name}", at, "row", "--init")
        for name, text in {
            "a row of a million values": b'{"text":[' + b"0," * 1_000_000 + b"0]}",
            "a row that is a number": b"7",
            "a byte order mark": b"\xef\xbb\xbf{}",
        }.items():
            at = self.folder("model", "rows.jsonl")
            (at / "rows.jsonl").write_bytes(text + b"\n")
            self.train(f"rows: {name}", at, "row 1", "--init")

    # -- images: aftune-train

    IMAGES = {"model_type": "vit", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
              "intermediate_size": 24, "image_size": 12, "patch_size": 4, "num_labels": 4}

    def image_job(self, name, rows, files, error, data="rows.jsonl"):
        self.count += 1
        at = self.work / str(self.count)
        (at / "model").mkdir(parents=True)
        (at / "model/config.json").write_text(json.dumps(self.IMAGES))
        (at / data).write_bytes(rows)
        for path, content in files.items():
            (at / path).write_bytes(content)
        self.add(f"images: {name}", "aftune-train",
                 ["--model", at / "model", "--init", "--data", at / data, "--out", at / "new", "--no-record", "--steps", 1,
                  "--threads", 1, "--quiet"], error=error)

    def image_file(self, name, content, error):
        self.image_job(name, b'{"image":"x","label":1}\n', {"x": content}, error)

    def images(self):
        self.image_file("2^31 x 2^31 pixels", png(2**31 - 1, 2**31 - 1), "row 1 (line 1): image: ")
        self.image_file("65,536 x 65,536 pixels", png(65536, 65536), "65536 x 65536 pixels")
        self.image_file("no pixels wide", png(0, 12), "PNG: ")
        self.image_file("a length of 2^31", png()[:33] + chunk(b"IDAT", b"", length=2**31), "PNG: ")
        self.image_file("pixels that end early", png(pixels=bytes(40)), "PNG: ")
        self.image_file("pixels that are no zlib", png()[:33] + chunk(b"IDAT", b"x" * 99) + chunk(b"IEND", b""), "PNG: ")
        self.image_file("cut short", png()[:60], "PNG: ")
        self.image_file("16 bits", png(depth=16, pixels=b"".join(b"\0" + bytes(72) for _ in range(12))), "16 bits")
        self.image_file("an unknown colour", png(colour=5), "PNG: ")
        self.image_file("a palette of none", png(colour=3, pixels=b"".join(b"\0" + bytes(12) for _ in range(12))), "PNG: ")
        profile = chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(64 << 20), 9))
        text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200 << 20), 9))
        # What is said of another size shows that nothing else was met: the bombs are before the pixels.
        self.image_file("a bomb for a profile", png(13, 12, before=profile), "image: ")
        self.image_file("a bomb for a text", png(13, 12, before=text), "image: ")
        self.image_file("many texts", png(13, 12, before=chunk(b"tEXt", b"a\0b") * 100_000), "image: ")
        self.image_file("a JPEG of nothing", b"\xff\xd8\xff\xd9", "JPEG: ")
        frame = b"\xff\xc2\x00\x11\x08\xfd\xe8\xfd\xe8\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01"
        scan = b"\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00"
        self.image_file("a JPEG of 65,000 x 65,000 pixels", b"\xff\xd8" + frame + scan, "65000 x 65000 pixels")
        self.image_file("a GIF", b"GIF89a" + bytes(100), "neither PNG nor JPEG")
        self.image_file("nothing", b"", "neither PNG nor JPEG")
        for path in ("../x.png", "/etc/passwd", "a/../../x", "", "a\0b"):
            self.image_job(f"the path {path!r}", json.dumps({"image": path, "label": 1}).encode() + b"\n", {},
                           "not a path below the folder")
        for name, content in JSON_TEXTS.items():
            self.image_job(f"JSON with {name}", content + b"\n", {}, "row")
        pixels, labels = tensor(0, 432, [1, 3, 12, 12], "U8"), tensor(432, 440, [1], "I64")
        for name, header, data, error in (
            ("labels of 2^63 - 1", {"pixels": pixels, "labels": labels}, bytes(432) + b"\xff" * 7 + b"\x7f", "row 1: labels"),
            ("2^31 images in no bytes", {"pixels": tensor(0, 0, [1 << 31, 3, 12, 12], "U8"), "labels": tensor(0, 8, [1], "I64")},
             bytes(8), "pixels"),
            ("an empty dimension", {"pixels": tensor(0, 0, [1, 3, 0, 12], "U8"), "labels": tensor(0, 8, [1], "I64")},
             bytes(8), "resize first"),
            ("labels of another length", {"pixels": pixels, "labels": tensor(432, 448, [2], "I64")}, bytes(448), "1 images"),
        ):
            self.image_job(f"tensors with {name}", safetensors(header, data), {}, error, data="rows.safetensors")

    # -- tokenizers: aftune-inspect --tokenize

    def tokenizers(self):
        good = json.loads((self.fixture / "model/tokenizer.json").read_text())

        def tokenizer(name, change, error=None, text="aaaa", **exits):
            at = self.folder("model")
            content = change if isinstance(change, bytes) else json.dumps(change(json.loads(json.dumps(good)))).encode()
            (at / "model/tokenizer.json").write_bytes(content)
            self.add(
                f"tokenizer: {name}",
                "aftune-inspect",
                ["--tokenize", "--model", at / "model"],
                error=error,
                stdin=json.dumps(text).encode() + b"\n",
                **exits,
            )

        def model(**members):
            return lambda t: t | {"model": t["model"] | members}

        def split(pattern):
            return lambda t: t | {
                "pre_tokenizer": {
                    "type": "Split",
                    "pattern": {"Regex": pattern},
                    "behavior": "Isolated",
                    "invert": False,
                }
            }

        def grown(count):
            """Every doubling of "a" is a token, and merges that make each in as many ways."""

            def change(t):
                vocabulary = dict(t["model"]["vocab"])
                for i in range(count):
                    vocabulary.setdefault("a" * (i + 2), len(vocabulary) + 1000)
                merges = [f"{'a' * (i + 1)} a" for i in range(count)]
                return t | {"model": t["model"] | {"vocab": vocabulary, "merges": merges}, "added_tokens": []}

            return change

        vocabulary = good["model"]["vocab"]
        tokenizer("merges of absent tokens", model(merges=["qqqq zzzz"]), "tokenizer.json: ")
        tokenizer("a merge whose result is absent", model(merges=["a b"], vocab=vocabulary), "tokenizer.json: ")
        tokenizer(
            "the same merge twice", model(vocab=vocabulary | {"aa": 5000}, merges=["a a", "a a"]), None, exits={0, 2}
        )
        tokenizer(
            "merges in a circle",
            model(vocab=vocabulary | {"ab": 5000, "ba": 5001, "aba": 5002}, merges=["ab a", "a ba", "a b", "b a"]),
            None,
            exits={0, 2},
        )
        tokenizer("a merge with nothing", model(merges=[["a", ""]]), "tokenizer.json: ")
        tokenizer("a merge of three", model(merges=["a b c"]), "tokenizer.json: ")
        tokenizer("two tokens of one id", model(vocab=vocabulary | {"zz": 5}), "tokenizer.json: ")
        tokenizer("an id of 2^31", model(vocab=vocabulary | {"zz": 1 << 31}), "tokenizer.json: ")
        tokenizer("an id of 2^63", model(vocab=vocabulary | {"zz": 1 << 63}), "tokenizer.json: ")
        tokenizer("a negative id", model(vocab=vocabulary | {"zz": -1}), "tokenizer.json: ")
        tokenizer("an id of 2^31 - 1", model(vocab=vocabulary | {"zz": (1 << 31) - 1}), None, exits={0, 2})
        tokenizer(
            "a million tokens",
            model(vocab=vocabulary | {f"t{i}": 10_000 + i for i in range(1_000_000)}),
            None,
            exits={0, 2},
        )
        tokenizer(
            "300,000 merges of nothing that is there",
            model(merges=[f"x{i} y{i}" for i in range(300_000)]),
            "tokenizer.json: ",
        )
        tokenizer("1,000 merges of one letter, a long text", grown(1000), None, "a" * 100_000, exits={0, 2})
        for pattern in (
            "(a+)+$",
            "(a|aa)*b",
            "((a*)*)*c",
            "(?:a?){50}a{50}",
            "(.*)*x",
            "(?<=a+)b",
            "(a)\\1+",
            "[",
            "(" * 10_000,
            "a{1000000000}",
        ):
            tokenizer(f"pattern {pattern[:20]}", split(pattern), None, "a" * 5000 + "!", exits={0, 2})
        nested = {"type": "Sequence", "pretokenizers": []}
        for _ in range(200):
            nested = {"type": "Sequence", "pretokenizers": [nested]}
        tokenizer("200 sequences in one another", lambda t: t | {"pre_tokenizer": nested}, "tokenizer.json: ")
        tokenizer(
            "100,000 steps in one sequence",
            lambda t: t
            | {
                "pre_tokenizer": {
                    "type": "Sequence",
                    "pretokenizers": [{"type": "Digits", "individual_digits": True}] * 100_000,
                }
            },
            None,
            "1" * 1000,
            exits={0, 2},
        )
        tokenizer(
            "a normalizer that grows every text",
            lambda t: t
            | {
                "normalizer": {
                    "type": "Sequence",
                    "normalizers": [{"type": "Replace", "pattern": {"String": "a"}, "content": "aaaaaaaaaa"}] * 12,
                }
            },
            None,
            exits={0, 2},
        )
        tokenizer(
            "a prefix before a prefix",
            lambda t: t
            | {
                "normalizer": {
                    "type": "Sequence",
                    "normalizers": [{"type": "Prepend", "prepend": "a" * 10_000}] * 10_000,
                }
            },
            None,
            exits={0, 2},
        )
        tokenizer(
            "an empty added token",
            lambda t: t
            | {
                "added_tokens": [
                    {
                        "id": 9000,
                        "content": "",
                        "single_word": False,
                        "lstrip": False,
                        "rstrip": False,
                        "normalized": False,
                        "special": True,
                    }
                ]
            },
            None,
            exits={0, 2},
        )
        tokenizer(
            "200,000 added tokens",
            lambda t: t
            | {
                "added_tokens": [
                    {
                        "id": 9000 + i,
                        "content": f"<{i}>",
                        "single_word": False,
                        "lstrip": False,
                        "rstrip": False,
                        "normalized": False,
                        "special": True,
                    }
                    for i in range(100_000)
                ]
            },
            None,
            "<5>" * 1000,
            exits={0, 2},
        )
        for name, text in JSON_TEXTS.items():
            tokenizer(f"JSON with {name}", text, "tokenizer.json: ")

    # -- evidence and segments: aftune-verify

    def segments(self):
        """Contents of files that are of the form of a segment, and are not one."""
        honest = (self.fixture / "run.aft/segment-000001.h5").read_bytes()
        length = struct.unpack("<Q", honest[-8:])[0]
        index = json.loads(honest[-8 - length : -8])
        yield "empty", b""
        yield "a user block and no more", honest[:USER_BLOCK]
        for cut in (1, 8, 9, length, len(honest) // 2):
            yield f"{cut} bytes cut off", honest[:-cut]
            tail = honest[USER_BLOCK:-cut]
            yield f"{cut} bytes cut off, digest made right", sealed_block(tail) + tail
        yield "another version", b"aftune-segment/2\n" + honest[17:]
        yield "something in the user block", honest[:500] + b"x" + honest[501:]
        for bytes_ in (1 << 63, (1 << 64) - 1, len(honest), 1 << 24):
            yield f"an index of {bytes_} bytes", segment(index, honest[USER_BLOCK : -8 - length], length=bytes_)
        bomb = zstd(b"\0" * (1 << 20))
        lies = {
            "dimensions of 2^60": entry("/state/w", "F32", [1 << 60], [(512, 16)]),
            "dimensions of 2^62 in no bytes": entry("/state/w", "F32", [1 << 31, 1 << 31], [(512, 0)]),
            "dimensions past 2^64": entry("/state/w", "F32", [1 << 40, 1 << 40], [(512, 0)]),
            "a dimension past 2^53": entry("/state/w", "F32", [1 << 60, 0], [(512, 0)]),
            "a negative dimension": entry("/state/w", "F32", [-1], [(512, 4)]),
            "100 dimensions": entry("/state/w", "F32", [1] * 100, [(512, 4)]),
            "an unknown type": entry("/state/w", "F64", [1], [(512, 8)]),
            "an extent in the user block": entry("/state/w", "U8", [16], [(17, 16)]),
            "an extent past the end": entry("/state/w", "U8", [16], [(1 << 50, 16)]),
            "an extent of 2^63": entry("/state/w", "U8", [16], [(512, 1 << 63)]),
            "no extent": entry("/state/w", "U8", [16], []),
            "2 chunks for 1": entry("/state/w", "U8", [16], [(512, 8), (512, 8)], [16]),
            "chunks of 2^60": entry("/state/w", "U8", [1 << 61], [(512, 8)] * 2, [1 << 60]),
            "chunks of nothing": entry("/state/w", "U8", [16], [(512, 8)], [0]),
            "chunks of another rank": entry("/state/w", "U8", [16], [(512, 8)], [4, 4]),
            "a path with a parent folder": entry("/state/../w", "U8", [1], [(512, 1)]),
            "a path with a line end": entry("/state/a\nb", "U8", [1], [(512, 1)]),
            "a path with a NUL": entry("/state/a\0b", "U8", [1], [(512, 1)]),
            "a relative path": entry("state/w", "U8", [1], [(512, 1)]),
            "a path of 100,000 bytes": entry("/" + "w" * 100_000, "U8", [1], [(512, 1)]),
        }
        for name, lie in lies.items():
            yield name, segment([lie], bomb.ljust(64, b"\0"))
        twice = entry("/state/w", "U8", [1], [(512, 1)])
        yield "one dataset twice", segment([twice, twice], b"x")
        yield "datasets out of order", segment(
            canonical([entry("/b", "U8", [1], [(512, 1)]), entry("/a", "U8", [1], [(512, 1)])]), b"x"
        )
        chunks = 100_000
        yield "a zstd bomb of 100 GB", segment(
            [entry("/state/w", "U8", [chunks << 20], [(512, len(bomb))] * chunks, [1 << 20])], bomb
        )
        yield "16 MiB of empty lists", segment(b"[" + b",".join([b"[]"] * 5_000_000) + b"]")
        yield "16 MiB of empty texts", segment(b"[" + b",".join([b'""'] * 5_000_000) + b"]")
        for name, text in JSON_TEXTS.items():
            yield f"an index with {name}", segment(text)
        yield from self.foreign_hdf5()

    def foreign_hdf5(self):
        """HDF5 that we did not write: as it is, and dressed as a segment."""
        makers = {
            "external links": lambda f: f.__setitem__("steps", h5py.ExternalLink("/etc/passwd", "/")),
            "soft links in a circle": lambda f: (
                f.__setitem__("a", h5py.SoftLink("/b")),
                f.__setitem__("b", h5py.SoftLink("/a")),
            ),
            "object references": lambda f: f.create_dataset(
                "r", data=numpy.array([f.ref], dtype=h5py.ref_dtype), dtype=h5py.ref_dtype
            ),
            "region references": lambda f: f.create_dataset(
                "r",
                data=numpy.array([f.create_dataset("d", data=[1, 2]).regionref[0:1]], dtype=h5py.regionref_dtype),
                dtype=h5py.regionref_dtype,
            ),
            "a foreign filter": lambda f: f.create_dataset("z", data=numpy.zeros(1000), compression="gzip"),
            "2^60 elements": lambda f: f.create_dataset("z", shape=(1 << 60,), dtype="f4", chunks=(1 << 16,)),
            "external storage": lambda f: f.create_dataset(
                "z", shape=(8,), dtype="u1", external=[("/etc/passwd", 0, 8)]
            ),
        }
        for name, make in makers.items():
            path = self.work / "foreign.h5"
            with h5py.File(path, "w", userblock_size=USER_BLOCK) as file:
                make(file)
            content = path.read_bytes()
            yield f"HDF5 with {name}", content
            tail = content[USER_BLOCK:]
            yield f"HDF5 with {name}, and a digest", sealed_block(tail) + tail
            yield f"HDF5 with {name}, and an index", segment([entry("/evidence/index", "U8", [8], [(512, 8)])], tail)

    def verify(self, name, at, code, *more, **exits):
        self.add(
            name,
            "aftune-verify",
            ["--pubkey", at / "acme.vkey", "--json", "--quiet", "--threads", 1, *more],
            code=code,
            **exits,
        )

    def evidence(self):
        at = self.folder()
        challenge = ("--challenge", at / "c.json")

        def given(name, content, code="unattributed"):
            self.count += 1
            path = self.work / f"evidence-{self.count}.h5"
            path.write_bytes(content)
            self.verify(f"evidence: {name}", at, code, "--evidence", path, *challenge)

        for name, content in self.segments():
            given(name, content)
        bomb = zstd(b"a" * (1 << 20))
        given(
            "an index that is a zstd bomb of 256 MiB",
            segment([entry("/evidence/index", "U8", [1 << 28], [(512, len(bomb))] * 256, [1 << 20])], bomb),
        )
        for dtype, shape in (("I32", [4]), ("U8", [2, 8]), ("U8", [1 << 40])):
            given(
                f"an index that is {dtype} {shape}",
                segment([entry("/evidence/index", dtype, shape, [(512, 16)])], b"0" * 16),
            )
        for name, text in JSON_TEXTS.items():
            if text:
                given(
                    f"an evidence index with {name}",
                    segment([entry("/evidence/index", "U8", [len(text)], [(512, len(text))])], text),
                )
        many = b'{"cells":[' + b",".join(b"[0,%d]" % i for i in range(1_000_000)) + b"]}"
        given(
            "an evidence index of a million cells",
            segment([entry("/evidence/index", "U8", [len(many)], [(512, len(many))])], many),
        )

    def traces(self):
        """A segment of a trace; every cell is asked for, so that every file is read."""
        for name, content in self.segments():
            at = self.folder("acme.vkey", "run.aft")
            (at / "run.aft/segment-000001.h5").write_bytes(content)
            self.verify(f"segment: {name}", at, "format", "--trace", at / "run.aft", "--all")
            self.inspect(f"segment: {name}", at)
        for name, make in (
            ("a link out of the trace", lambda p: p.symlink_to("/etc/passwd")),
            ("a link to itself", lambda p: p.symlink_to(p.name)),
            ("a folder", lambda p: p.mkdir()),
            ("a FIFO", os.mkfifo),
        ):
            for file in ("segment-000001.h5", "log.jsonl", "checkpoint"):
                at = self.folder("acme.vkey", "run.aft")
                (at / "run.aft" / file).unlink()
                make(at / "run.aft" / file)
                self.verify(f"{file}: {name}", at, "format", "--trace", at / "run.aft", "--all")
                self.inspect(f"{file}: {name}", at)

    def inspect(self, name, at):
        self.add(f"inspect {name}", "aftune-inspect", ["--trace", at / "run.aft", "--json"], exits={0, 2})

    def logs(self):
        good = (self.fixture / "run.aft/log.jsonl").read_bytes().split(b"\n")[:-1]
        manifest = json.loads(good[0])

        def lines(name, content, code="log-root", inspected=True):
            at = self.folder("acme.vkey", "run.aft")
            (at / "run.aft/log.jsonl").write_bytes(content)
            self.verify(f"log: {name}", at, code, "--trace", at / "run.aft", "--all")
            if inspected:
                self.inspect(f"log: {name}", at)

        for name, text in JSON_TEXTS.items():
            lines(
                f"a line with {name}",
                b"\n".join([text, *good[1:]]) + b"\n",
                "format" if len(text) > 65535 or b"\0" in text or not text else "log-root",
            )
        lines("a million lines", good[0] + b"\n" + b"{}\n" * 1_000_000, inspected=False)
        lines("a line of 32 MiB", good[0] + b"\n" + b"x" * (32 << 20) + b"\n", "format")
        for key, value in (("steps", 1 << 40), ("batch_size", 1 << 20), ("seq_len", 1 << 24)):
            claim = json.loads(json.dumps(manifest))
            claim["recipe"][key] = value
            lines(f"a manifest of {key} {value}", canonical(claim) + b"\n", inspected=False)
            at = self.folder("run.aft")
            (at / "run.aft/log.jsonl").write_bytes(canonical(claim) + b"\n")
            self.add(
                f"inspect log: a manifest of {key} {value}",
                "aftune-inspect",
                ["--trace", at / "run.aft", "--json"],
                exits={0, 2},
            )

    # -- what is handed from one to the other: notes, challenges, policies, verdicts

    def notes(self):
        good = (self.fixture / "run.aft/checkpoint").read_bytes()
        line = good.splitlines(keepends=True)[-1]
        texts = {
            "a million signature lines": good + line * 1_000_000,
            "65 signature lines": good + line * 64,
            "signature lines up to 64 KiB": good + line * ((65536 - len(good)) // len(line)),
            "no signature": good.split(b"\n\n")[0] + b"\n\n",
            "a NUL": good.replace(b"acme", b"ac\0e", 1),
            "not UTF-8": good.replace(b"acme", b"ac\xffe", 1),
            "a size past 2^64": good.replace(good.split(b"\n")[1], b"18446744073709551616", 1),
            "nothing": b"",
            "no line end": b"x" * 60_000,
        }
        for name, text in texts.items():
            at = self.folder()
            (at / "run.aft/checkpoint").write_bytes(text)
            self.add(
                f"note: {name}",
                "aftune-challenge",
                [
                    "--checkpoint",
                    at / "run.aft/checkpoint",
                    "--pubkey",
                    at / "acme.vkey",
                    "--cells",
                    4,
                    "--challenge-seed",
                    "ab" * 32,
                    "--out",
                    at / "new.json",
                ],
                exits={1, 2},
            )
            self.verify(
                f"trace note: {name}",
                at,
                "signature" if name == "a size past 2^64" else "format",
                "--trace",
                at / "run.aft",
                "--all",
            )

    def texts(self):
        good = json.loads((self.fixture / "c.json").read_text())

        def challenged(name, at, **expected):
            self.verify(name, at, None, "--trace", at / "run.aft", "--challenge", at / "c.json", **expected)

        texts = {name: text for name, text in JSON_TEXTS.items()}
        texts["all zero seed"] = canonical(good | {"seed": "00" * 32}) + b"\n"
        texts["300,000 cells that must be"] = canonical(good | {"must": [[0, i] for i in range(300_000)]}) + b"\n"
        texts["a note of a million bytes"] = canonical(good | {"note": "x" * 1_000_000}) + b"\n"
        for name, text in texts.items():
            at = self.folder()
            (at / "c.json").write_bytes(text)
            challenged(f"challenge: {name}", at, error="c.json: ")
        at = self.folder()
        (at / "c.json").write_bytes(canonical(good | {"must": [[0, 1 << 50]]}) + b"\n")
        challenged("challenge: a cell past the grid", at, error="no cell")
        for count in (1 << 40, (1 << 53) - 1):
            at = self.folder()
            (at / "c.json").write_bytes(canonical(good | {"plan": good["plan"] | {"uniform": count}}) + b"\n")
            challenged(f"challenge: {count} cells", at, exits={0, 2, 3})
        at = self.folder()
        for name, text in JSON_TEXTS.items():
            self.count += 1
            file = self.work / f"text-{self.count}"
            file.write_bytes(text)
            self.add(f"policy: {name}", "aftune-inspect", ["--policy", file], error=f"{file.name}: ")
            self.add(f"verdict: {name}", "aftune-inspect", ["--verdict", file], error=f"{file.name}: ")
            self.add(
                f"attestation: {name}",
                "aftune-inspect",
                ["--attestation", file, "--pubkey", at / "acme.vkey"],
                error=f"{file.name}: ",
            )
            self.add(
                f"former verdict: {name}",
                "aftune-challenge",
                [
                    "--checkpoint",
                    at / "run.aft/checkpoint",
                    "--pubkey",
                    at / "acme.vkey",
                    "--cells",
                    4,
                    "--challenge-seed",
                    "ab" * 32,
                    "--after",
                    file,
                    "--out",
                    at / "new.json",
                ],
                error=f"{file.name}: ",
            )


def main():
    bin_dir, fixture = (pathlib.Path(arg).resolve() for arg in sys.argv[1:3])
    part = sys.argv[3] if len(sys.argv) > 3 else ""
    with tempfile.TemporaryDirectory() as work:
        hostile = Hostile(fixture, pathlib.Path(work))
        for fill in ("safetensors", "config", "rows", "images", "tokenizers", "evidence", "traces", "logs", "notes", "texts"):
            getattr(hostile, fill)()
        cases = [case for case in hostile.cases if part in case.name]
        answered = 0
        for case in cases:
            result, seconds, said = case.run(bin_dir, work)
            answered += result == "answered"
            if result != "answered" or part:
                print(f"{case.name}: {result} after {seconds:.2f} s: {said[:300]}")
    print(f"{len(cases)} hostile files, {answered} answered")
    return 0 if cases and answered == len(cases) else 1


if __name__ == "__main__":
    sys.exit(main())
