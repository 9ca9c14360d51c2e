#!/usr/bin/env python3
"""Writes tests/vectors/tokenizer/NAME/: small tokenizers of every supported flavour, trained on a few lines of text with
the Hugging Face `tokenizers` package, and that package's answers for a fixed list of texts."""

import argparse
import json
import pathlib

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")

CORPUS = """A record that nobody can check is a story, and a story costs nothing to change.
The provider writes down each step of the training run, seals the log, and only then hears the question.
The auditor opens twelve cells, replays them, and compares every bit with what was written.
It doesn't matter who's asking: we'll answer, they've checked, I'm certain, you're welcome, she'd know.
In 2026 there were 1234567 rows; 99.5% of them passed, 0.5% didn't. (See table 7, page 42.)
for (int i = 0; i < rows; ++i) { sum += x[i] * w[i]; }  // one chain, in order
Größe, naïve café, señor, Übermut, crème brûlée; łódź; Ελληνικά; русский язык; עברית; العربية; हिन्दी; 日本語のテキスト; 한국어.
\tTabs and   spaces\n\n\n  and line breaks   \n matter too.
Training, trained, trainer, trains: the train replays the training of the trainer. Replay, replays, replayed.
""" * 4

TEXTS = [
    "", " ", "  ", "\n", " \n \n x", "Hello world", " Hello  world!\n\nI'm 12345 years, don't?", "I'LL WE'VE she'S '\u017f",
    "the training run replays each training step", "naïve café 日本語 🙂", "e\u0301 vs é", "q\u0301\u0327 \u1100\u1161\u11a8 \u212b \u0958",
    "\t\ttab  \n \n x", "a\u00a0b\u3000c\u2028d\u0085e", "1 12 123 1234 12345 ½ Ⅷ ٣٤٥", "x=1;\r\n\r\ny=2\r", "\x00\x01\x7f\u0080\ufffd\U0010ffff",
    "한국어 हिन्दी العربية русский Ελληνικά", "👩‍👩‍👧‍👦🏳️‍🌈 👍🏽", "<s>", "a<s>b</s>", " <s> x </s> ", "<mask>", "a  <mask>  b", "<mask><mask> <mask>",
    "word wordy word, sword word", "cell cells  cell\u00a0 cell", "CaféX caféX cafe\u0301X", "▁a▁ b ▁▁c", "<0x41> <0xE6>", "<ss> <s>s> <<s>>",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "thethethethe" * 12,
    "          ten spaces          ", "don''t 'tis '90s ''' 'll", "snake_case camelCase HTTPServer x86_64",
]

SPECIALS = [AddedToken(t, special=True, normalized=False) for t in ("<unk>", "<s>", "</s>")]
ADDED = [
    AddedToken("<mask>", special=True, normalized=False, lstrip=True),
    AddedToken("word", normalized=False, single_word=True),
    AddedToken("cell", normalized=True, rstrip=True, single_word=True),
    AddedToken("cafe\u0301X", normalized=True),
    AddedToken("<ss>", normalized=False),
]


def trained(tokenizer, alphabet, specials, size):
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=specials, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS.splitlines(keepends=True), trainer)
    return tokenizer


def byte_level(pattern, normalizer=None, ignore_merges=False, add_prefix_space=False):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer:
        tokenizer.normalizer = normalizer
    byte_step = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space, use_regex=pattern is None)
    split = pattern and pre_tokenizers.Split(Regex(pattern), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_step]) if pattern else byte_step
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return trained(tokenizer, sorted(pre_tokenizers.ByteLevel.alphabet()), SPECIALS, 500)


def gpt2():
    return byte_level(None)


def gpt2_prefix():
    tokenizer = byte_level(None, add_prefix_space=True)
    tokenizer.add_tokens(ADDED)
    return tokenizer


def llama3():
    tokenizer = byte_level(LLAMA3, ignore_merges=True)
    template = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    tokenizer.add_tokens(ADDED)
    return tokenizer


def qwen():
    tokenizer = byte_level(QWEN, normalizer=normalizers.NFC())
    tokenizer.add_tokens(ADDED)
    return tokenizer


BYTE_TOKENS = [AddedToken(f"<0x{byte:02X}>", special=True) for byte in range(256)]


def sentencepiece(fuse_unk, byte_fallback, metaspace):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=fuse_unk, byte_fallback=byte_fallback))
    if metaspace:
        tokenizer.pre_tokenizer = metaspace
        tokenizer.decoder = decoders.Metaspace(prepend_scheme=metaspace.prepend_scheme)
    else:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        tokenizer.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
    trained(tokenizer, ["▁"], SPECIALS + (BYTE_TOKENS if byte_fallback else []), 420 + 256 * byte_fallback)
    # Byte tokens are the model's own, not added ones that would be found in the text.
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = [token for token in data["added_tokens"] if not token["content"].startswith("<0x")]
    tokenizer = Tokenizer.from_str(json.dumps(data))
    bos, eos = tokenizer.token_to_id("<s>"), tokenizer.token_to_id("</s>")
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", bos), ("</s>", eos)])
    tokenizer.add_tokens(ADDED)
    return tokenizer


def mixed_fallback():
    """Some byte tokens are missing, so that unknown characters and bytes mix; and unknown ones stand alone."""
    tokenizer = sentencepiece(False, True, None)
    data = json.loads(tokenizer.to_str())
    vocab = {t: i for t, i in data["model"]["vocab"].items() if t not in ("<0x80>", "<0x95>", "<0xF0>")}
    vocab |= {f"unused{i}": i for t, i in data["model"]["vocab"].items() if t not in vocab}
    data["model"]["vocab"] = vocab
    return Tokenizer.from_str(json.dumps(data))


FLAVOURS = {
    "gpt2": gpt2,
    "gpt2-prefix": gpt2_prefix,
    "llama3": llama3,
    "qwen": qwen,
    "sentencepiece": lambda: sentencepiece(True, True, None),
    "sentencepiece-unk": lambda: sentencepiece(True, False, None),
    "mixed-fallback": mixed_fallback,
    "metaspace-first": lambda: sentencepiece(True, True, pre_tokenizers.Metaspace(prepend_scheme="first", split=False)),
    "metaspace-always": lambda: sentencepiece(False, False, pre_tokenizers.Metaspace(prepend_scheme="always", split=True)),
    "metaspace-never": lambda: sentencepiece(False, True, pre_tokenizers.Metaspace(prepend_scheme="never", split=True)),
}


def case(tokenizer, text):
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    with_specials = tokenizer.encode(text, add_special_tokens=True).ids
    return {
        "text": text,
        "ids": ids,
        "with_specials": with_specials,
        "decoded": tokenizer.decode(with_specials, skip_special_tokens=False),
        "decoded_skip": tokenizer.decode(with_specials, skip_special_tokens=True),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    default = pathlib.Path(__file__).resolve().parent.parent / "tests/vectors/tokenizer"
    parser.add_argument("--out", type=pathlib.Path, default=default)
    args = parser.parse_args()
    for name, make in FLAVOURS.items():
        folder = args.out / name
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer = make()
        # Older files write a merge as one string; about half of these do so too.
        data = json.loads(tokenizer.to_str())
        if len(name) % 2 == 0:
            data["model"]["merges"] = [" ".join(pair) for pair in data["model"]["merges"]]
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        (folder / "tokenizer.json").write_text(text + "\n", encoding="utf-8")
        again = Tokenizer.from_str(text)
        cases = [json.dumps(case(again, t), separators=(",", ":")) for t in TEXTS]
        (folder / "cases.jsonl").write_text("\n".join(cases) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
