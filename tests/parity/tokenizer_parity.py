#!/usr/bin/env python3
"""Compares our tokenizer with the Hugging Face `tokenizers` package on random texts and ids; prints every difference
(up to a limit) and exits 1 if there is one. Needs the package and the built tokenizer_cli.

    tokenizer_parity.py --cli build/release/tests/tokenizer_cli --count 20000 FOLDER/tokenizer.json ...
"""

import argparse
import json
import random
import subprocess
import sys
import unicodedata

from tokenizers import Tokenizer

SPACES = " \t\n\r\x0b\x0c\x85\xa0\u1680\u2000\u2003\u2028\u2029\u202f\u205f\u3000\u200b\ufeff"
CONTRACTIONS = ["'s", "'S", "'t", "'T", "'re", "'RE", "'rE", "'ve", "'VE", "'m", "'M", "'ll", "'LL", "'lL", "'d", "'D",
                "'\u017f", "'\u212a", "\u2019s", "'st", "'r", "'l", "'v", "''s"]
BLOCKS = [(0x20, 0x7E), (0xA0, 0x24F), (0x250, 0x36F), (0x370, 0x52F), (0x530, 0x6FF), (0x900, 0xDFF), (0xE00, 0xEFF),
          (0x1000, 0x109F), (0x10A0, 0x13FF), (0x1780, 0x17FF), (0x1E00, 0x1FFF), (0x2000, 0x2BFF), (0x3000, 0x30FF),
          (0x4E00, 0x9FFF), (0xA000, 0xABFF), (0xAC00, 0xD7AF), (0xE000, 0xE010), (0xF900, 0xFFFD), (0x10000, 0x10FFF),
          (0x11000, 0x12FFF), (0x16000, 0x16FFF), (0x1D000, 0x1D7FF), (0x1E000, 0x1EFFF), (0x1F000, 0x1FAFF),
          (0x20000, 0x20100), (0x2F800, 0x2FA1F), (0x31350, 0x31360), (0x323A0, 0x323B0), (0xE0000, 0xE01EF),
          (0x10FFF0, 0x10FFFF)]
NUMBERS = "0123456789\u0660\u0967\u00b2\u00bd\u2163\u3007\U0001d7d8\u4e00"
MARKS = [chr(c) for c in range(0x110000) if unicodedata.combining(chr(c))]
DECOMPOSABLE = [chr(c) for c in range(0x110000) if unicodedata.decomposition(chr(c)) and c < 0x30000]
EMOJI = ["🙂", "👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪", "❤️", "1️⃣"]
WORDS = ("the of and to a in is it you that was for on are with as I his they be at one have this from or had by hot but "
         "some what there we can out other were all your when up use word how said an each she which do their time if "
         "will way about many then them would write like so these her long make thing see him two has look more day "
         "could go come did my sound no most number who over know water than call first people may down side been now "
         "naïve café größe señor don't I'll we've printf return int main void {} () => != == // /* */").split()


def code_point(rng):
    low, high = rng.choice(BLOCKS)
    return chr(rng.randint(low, high))


def piece(rng, specials):
    kind = rng.randrange(14)
    if kind <= 2:
        return "".join(rng.choice(WORDS) + rng.choice([" ", " ", "  ", "", "\n"]) for _ in range(rng.randint(1, 6)))
    if kind == 3:
        return "".join(rng.choice(SPACES) for _ in range(rng.randint(1, 6)))
    if kind == 4:
        return rng.choice(" \n\t\r") * rng.randint(1, 5)
    if kind == 5:
        return rng.choice(CONTRACTIONS) + rng.choice(["", "a", " ", "s", "\n", "1"])
    if kind == 6:
        return "".join(rng.choice(NUMBERS) for _ in range(rng.randint(1, 7)))
    if kind == 7:
        low, high = rng.choice(BLOCKS)
        return "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 6)))
    if kind == 8:
        return "".join(code_point(rng) for _ in range(rng.randint(1, 5)))
    if kind == 9:
        return rng.choice(EMOJI) * rng.randint(1, 2)
    if kind == 10:
        return chr(rng.randrange(0x20)) + chr(rng.choice([0x7F, 0x80, 0x9F, 0xAD, 0xFFFD]))
    if kind == 11 and specials:
        token = rng.choice(specials)
        return rng.choice([token, token, token + " ", " " + token, token[:-1], token[1:], token * 2, "x" + token + "y"])
    if kind == 12:
        return rng.choice(DECOMPOSABLE) + "".join(rng.choice(MARKS) for _ in range(rng.randint(0, 4)))
    base = rng.choice("aeioucnsAOd\u1100\u1161\u11a8\uac00\u03b1\u05d0\u0915")
    return base + "".join(rng.choice([rng.choice(MARKS), "\u0301", "\u0327", "\u0338"]) for _ in range(rng.randint(1, 3)))


def text(rng, specials):
    if rng.random() < 0.01:
        return rng.choice(["a", " ", "\n", "0", "!", "ab", "é"]) * rng.randint(20, 300)
    joined = "".join(piece(rng, specials) for _ in range(rng.randint(0, 6)))
    return "".join(c for c in joined if not 0xD800 <= ord(c) < 0xE000)


def every_code_point():
    """Each code point beside letters, digits, spaces, marks, itself, and an added token of the vectors."""
    for c in range(0x110000):
        if not 0xD800 <= c < 0xE000:
            yield f"{chr(c)}a{chr(c)}1{chr(c)} {chr(c)}{chr(c)} '{chr(c)}e \n{chr(c)}word cell{chr(c)}q\u0301{chr(c)}\u0327"


def run(cli, path, mode, lines):
    stdin = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run([cli, path, mode], input=stdin.encode("ascii"), stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.decode("utf-8").split("\n")[:-1]]


def differences(ours, theirs, inputs, what):
    assert len(ours) == len(theirs) == len(inputs)
    bad = [(i, a, b) for i, a, b in zip(inputs, ours, theirs) if a != b]
    for given, a, b in bad[:10]:
        print(f"  {what}: {ascii(given)}\n    ours   {ascii(a)}\n    theirs {ascii(b)}")
    return len(bad)


def compare_every_code_point(cli, path):
    theirs = Tokenizer.from_file(path)
    texts = list(every_code_point())
    ours = [answer["ids"] for answer in run(cli, path, "encode", texts)]
    bad = differences(ours, [theirs.encode(t, add_special_tokens=False).ids for t in texts], texts, "encode")
    print(f"{path}: every code point: {bad} differences")
    return bad


def compare(cli, path, count, seed):
    theirs = Tokenizer.from_file(path)
    theirs.no_truncation()
    theirs.no_padding()
    rng = random.Random(seed)
    specials = [token["content"] for token in json.load(open(path, encoding="utf-8"))["added_tokens"]]
    texts = [text(rng, specials) for _ in range(count)]
    end = max(theirs.get_vocab().values()) + 10
    ids = [[rng.randrange(end) for _ in range(rng.randint(0, 12))] for _ in range(count // 4)]
    ids += [theirs.encode(t).ids for t in texts[: count // 4]]
    bad = 0
    for mode, add in (("encode", False), ("encode-specials", True)):
        ours = [answer["ids"] for answer in run(cli, path, mode, texts)]
        bad += differences(ours, [theirs.encode(t, add_special_tokens=add).ids for t in texts], texts, mode)
    for mode, skip in (("decode", False), ("decode-skip", True)):
        ours = run(cli, path, mode, ids)
        bad += differences(ours, [theirs.decode(i, skip_special_tokens=skip) for i in ids], ids, mode)
    print(f"{path}: seed {seed}, {count} texts, {len(ids)} lists of ids: {bad} differences")
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cli", required=True)
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every-code-point", action="store_true", help="instead of random texts")
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    if args.every_code_point:
        return 1 if sum([compare_every_code_point(args.cli, path) for path in args.files]) else 0
    return 1 if sum([compare(args.cli, path, args.count, args.seed) for path in args.files]) else 0


if __name__ == "__main__":
    sys.exit(main())
