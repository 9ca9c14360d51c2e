#!/usr/bin/env python3
"""Validates every --json output and every JSON file of the tools against schemas/.

usage: check_json.py SCHEMAS BIN-DIR FIXTURE
Each schema must refuse members it does not name, and every schema must be used here.
"""
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile

import jsonschema

SEED = "11" * 32
POLICY = {"version": 1, "recipe": {"lr": 0.001, "steps": {"min": 1, "max": 100}}, "numerics": ["f32"], "min_cells": 1}

ORDER = {"version": 1, "nonce": "beef", "run_from_nonce": True, "software": "aftune", "created": {"min": 1}, "hiding": False,
         "template": "a" * 64, "data_rows": {"max": 9}, "eval_root": "b" * 64, "eval_rows": 3, "eval_every": {"min": 1},
         "plan": {"confidence": 0.99, "attacker": {"tampered": 0.05}, "inputs": 1, "objective": 1, "ends": 1},
         "seed_kinds": ["committed", "beacon"], "seed_commitment": "c" * 64, "beacon": {"source": "drand", "round": 42},
         "witnesses": {"vkeys": ["w"], "threshold": 1}, "max_blocks_disclosed": 4, "require_final_params": True}

ADAPTERS = {"version": 1, "adapter_root": "d" * 64,
            "recipe": {"method": "lora", "lora_rank": {"max": 64}, "lora_alpha": 16, "lora_dropout": 0, "lora_targets": "q,v"}}

ROWS = ['{"prompt":"row 1 of","max_tokens":6,"temperature":0,"logprobs":2}',
        '{"id":"b","nonce":"c0ffee","prompt":[114,111,119],"max_tokens":4,"n":2,"top_p":0.9,"top_k":40,"min_p":0.01}',
        '{"messages":[{"role":"system","content":"rows"},{"role":"user","content":[{"type":"text","text":"1"}]}],'
        '"max_tokens":3,"seed":18446744073709551615,"stop":"e","repetition_penalty":1.2,"logit_bias":{"101":4}}']
BAD_ROWS = ['{"max_tokens":4}', '{"prompt":"x","messages":[{"role":"user","content":"x"}]}', '{"prompt":""}',
            '{"prompt":"x","n":0}', '{"prompt":"x","temperature":1e-9}', '{"prompt":"x","stop":[""]}',
            '{"prompt":"x","seed":-9223372036854775809}', '{"messages":[{"role":"tool","content":"x"}]}',
            '{"prompt":"x","logit_bias":{"01":1}}', '{"prompt":"x","stream":true}']


class Checker:
    def __init__(self, folder):
        self.schemas = {name[:-5]: json.load(open(os.path.join(folder, name))) for name in sorted(os.listdir(folder))}
        for schema in self.schemas.values():
            jsonschema.Draft202012Validator.check_schema(schema)
        self.used = set()

    def check(self, name, text):
        value = json.loads(text)
        self.used.add(name)
        validator = jsonschema.Draft202012Validator(self.schemas[name])
        for error in validator.iter_errors(value):
            sys.exit(f"{name}: {'/'.join(map(str, error.absolute_path))}: {error.message}")
        if isinstance(value, dict) and validator.is_valid({**value, "surplus": 1}):
            sys.exit(f"{name}: an unknown member is not refused")
        for number in numbers(value):
            if json.loads(json.dumps(number)) != number:
                sys.exit(f"{name}: {number} is not the shortest decimal")
        return value


def numbers(value):
    if isinstance(value, float):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from numbers(item)


def text_dataset(path, name):
    """A text dataset of a file of the segment form, found by the index behind the HDF5 part."""
    data = open(path, "rb").read()
    length = int.from_bytes(data[-8:], "little")
    entry = next(e for e in json.loads(data[-8 - length:-8]) if e["path"] == name)
    (offset, size), = entry["extents"]
    return data[offset:offset + size].decode()


def check_serving(checker, work, run):
    """A serving period of the tuned model, from its rows to the verdict about it."""
    def lines(name):
        return open(os.path.join(work, name)).read().splitlines()

    def write(name, text):
        with open(os.path.join(work, name), "w") as file:
            file.write(text)

    lineage = run("aftune-inspect", "--lineage", "--trace", "run.aft", "--pubkey", "acme.vkey")
    checker.check("lineage", lineage)
    write("lineage.json", lineage)
    for row in ROWS:
        checker.check("serve-request", row)
    refused = jsonschema.Draft202012Validator(checker.schemas["serve-request"])
    for row in BAD_ROWS:
        if refused.is_valid(json.loads(row)):
            sys.exit(f"serve-request: {row} is not refused")
    serve = ["aftune-serve", "--model", "tuned", "--trace", "serve.aft", "--key", "acme.key", "--lineage", "lineage.json"]
    answers = run(*serve, "--keep-open", text="\n".join(ROWS))
    write("answers.jsonl", answers)
    for line in answers.splitlines():
        checker.check("receipt", json.dumps(checker.check("serve-answer", line)["receipt"]))
    for line in run(*serve, "--resume", text="\n".join(BAD_ROWS), code=2).splitlines():
        checker.check("serve-answer", line)
    for line in run("aftune-serve", "--model", "tuned", "--no-record", text=ROWS[0]).splitlines():
        checker.check("serve-answer", line)
    for line in lines("serve.aft/log.jsonl"):
        checker.check("leaf-" + json.loads(line)["kind"], line)
    for line in lines("serve.aft/journal-000000.jsonl"):
        checker.check("journal", line)
    challenge = ["aftune-challenge", "--checkpoint", "serve.aft/checkpoint", "--pubkey", "acme.vkey", "--challenge-seed", SEED,
                 "--all", "--receipt", "answers.jsonl"]
    checker.check("challenge", run(*challenge))
    checker.check("challenge-summary", run(*challenge, "--trace", "serve.aft", "--out", "s.json", "--json"))
    checker.check("inspect-serving", run("aftune-inspect", "--trace", "serve.aft", "--json"))
    checker.check("open", run("aftune-open", "--trace", "serve.aft", "--model", "tuned", "--challenge", "s.json", "--out",
                              "s.h5", "--quiet", "--json"))
    checker.check("inspect-serving", run("aftune-inspect", "--trace", "serve.aft", "--json"))
    checker.check("evidence-summary", run("aftune-inspect", "--evidence", "s.h5", "--json"))
    checker.check("evidence", text_dataset(os.path.join(work, "s.h5"), "/evidence/index"))
    checker.check("journal", text_dataset(os.path.join(work, "s.h5"), "/answers/1/exchange"))
    verify = ["aftune-verify", "--pubkey", "acme.vkey", "--receipt", "answers.jsonl", "--json", "--quiet"]
    checker.check("verdict", run(*verify, "--evidence", "s.h5", "--challenge", "s.json", "--lineage", "lineage.json"))
    os.remove(os.path.join(work, "serve.aft/journal-000000.jsonl"))
    checker.check("verdict", run(*verify, "--trace", "serve.aft", "--model", "tuned", "--all", code=3))


def check_native(checker, work, run):
    """What only a run on a GPU writes: its bounds, as aftune-inspect --calibrate made them on the emulated device, and a
    manifest and a verdict that are like those of this run."""
    bounds = os.path.join(os.path.dirname(__file__), "../vectors/bounds/emulated.json")
    machine = {key: checker.check("bounds", open(bounds).read())[key] for key in ("device", "capability", "library")}
    verify = ["aftune-verify", "--trace", "run.aft", "--pubkey", "acme.vkey", "--all", "--json", "--quiet", "--bounds", bounds]
    verdict = json.loads(run(*verify))
    assert verdict["comparison"] == "exact" and verdict["tolerance"] is None, verdict
    verdict.update(comparison="tolerance", tolerance={**machine, "bounds": None, "bit_for_bit": 1, "within_bounds": 0,
                                                      "worst": 0.0, "loosest": 0.25})
    checker.check("verdict", json.dumps(verdict))
    manifest = json.loads(open(os.path.join(work, "run.aft/log.jsonl")).readline())
    manifest["numerics"] = {"ops": ["linear_bf16/native"], "profile": "native", **machine}
    checker.check("leaf-manifest", json.dumps(manifest))
    refused = jsonschema.Draft202012Validator(checker.schemas["leaf-manifest"])
    for numerics in ({"ops": [], "profile": "native"}, {"ops": [], "profile": "f32", **machine}):
        if refused.is_valid({**manifest, "numerics": numerics}):
            sys.exit(f"leaf-manifest: {numerics} is not refused")


def main():
    folder, tools, fixture = sys.argv[1:]
    checker = Checker(folder)
    with tempfile.TemporaryDirectory() as scratch:
        work = os.path.join(scratch, "work")
        shutil.copytree(os.path.join(fixture, "full"), work)

        def run(*command, code=0, text=""):
            env = {**os.environ, "PATH": tools + ":" + os.environ["PATH"]}
            seen = subprocess.run(command, cwd=work, env=env, capture_output=True, text=True, input=text)
            if seen.returncode != code:
                sys.exit(f"exit {seen.returncode}: {' '.join(command)}\n{seen.stderr}")
            return seen.stdout

        def lines(name):
            return open(os.path.join(work, name)).read().splitlines()

        checker.check("key", run("aftune-key", "show", "acme.key", "--json"))
        checker.check("key", run("aftune-key", "generate", "--name", "b", "--out", "b", "--no-passphrase", "--json"))
        train = ["aftune-train", "--model", "model", "--init", "--data", "rows.jsonl", "--steps", "2", "--seq-len", "32",
                 "--quiet", "--json", "--eval-data", "rows.jsonl"]
        for record in (["--no-record", "--out", "new"], ["--trace", "new.aft", "--out", "new2"]):
            for line in run(*train, *record).splitlines():
                checker.check("train", line)
        checker.check("train-forecast", run("aftune-train", "--model", "model", "--dry-run", "--steps", "8", "--json"))
        checker.check("commit", run("aftune-commit", "--trace", "new.aft", "--key", "acme.key", "--json"))
        run("aftune-key", "generate", "--witness", "--name", "w", "--out", "w", "--no-passphrase")
        checker.check("commit", run("aftune-commit", "--cosign", "new.aft/checkpoint", "--key", "w.key", "--json"))
        for line in lines("new.aft/log.jsonl") + lines("run.aft/log.jsonl"):
            checker.check("leaf-" + json.loads(line)["kind"], line)
        signed = ["--checkpoint", "run.aft/checkpoint", "--pubkey", "acme.vkey"]
        challenge = ["aftune-challenge", *signed, "--challenge-seed", SEED, "--cells", "3"]
        checker.check("challenge", run(*challenge))
        checker.check("challenge", run("aftune-challenge", *signed, "--cells", "1", "--beacon-value", SEED,
                                       "--beacon-round", "42"))
        checker.check("challenge-summary", run(*challenge, "--trace", "run.aft", "--out", "d.json", "--json"))
        checker.check("challenge-summary", run(*challenge, "--out", "e.json", "--json"))
        checker.check("challenge-summary", run("aftune-challenge", *signed, "--plan", "--trace", "run.aft", "--cells", "3",
                                               "--json"))
        checker.check("challenge", "".join(lines("c.json")))
        with open(os.path.join(work, "policy.json"), "w") as file:
            json.dump(POLICY, file)
        checker.check("policy", json.dumps(POLICY))
        checker.check("policy-summary", run("aftune-inspect", "--policy", "policy.json", "--json"))
        checker.check("policy", run("aftune-inspect", "--policy-from", "tuned", "--data", "rows.jsonl"))
        with open(os.path.join(work, "order.json"), "w") as file:
            json.dump(ORDER, file)
        checker.check("policy", json.dumps(ORDER))
        checker.check("policy-summary", run("aftune-inspect", "--policy", "order.json", "--json"))
        verify = ["aftune-verify", "--trace", "run.aft", "--pubkey", "acme.vkey", "--json", "--quiet"]
        checker.check("verdict", run(*verify, "--challenge", "c.json", "--policy", "policy.json"))
        checker.check("verdict", run(*verify, "--all", "--data", "rows.jsonl", "--model", "model", "--export", "tuned"))
        checker.check("verdict", run(*verify, "--all", "--max-memory", "1K", code=3))
        checker.check("verdict", run("aftune-verify", "--trace", "run.aft", "--pubkey", "b.vkey", "--all", "--json", code=1))
        run(*verify, "--challenge", "c.json", "--attestation", "a.json", "--key", "acme.key")
        envelope = checker.check("attestation", "".join(lines("a.json")))
        checker.check("verdict", json.dumps(json.loads(base64.b64decode(envelope["payload"]))["predicate"]))
        checker.check("verdict", run("aftune-inspect", "--attestation", "a.json", "--pubkey", "acme.vkey", "--json"))
        checker.check("inspect", run("aftune-inspect", "--trace", "run.aft", "--json"))
        checker.check("open", run("aftune-open", "--trace", "run.aft", "--challenge", "c.json", "--out", "e.h5",
                                  "--key", "acme.key", "--json", "--quiet"))
        checker.check("evidence-summary", run("aftune-inspect", "--evidence", "e.h5", "--json"))
        checker.check("evidence", text_dataset(os.path.join(work, "e.h5"), "/evidence/index"))
        checker.check("open", run("aftune-open", "--trace", "run.aft", "--challenge", "c.json", "--out", "r.h5",
                                  "--data", "rows.jsonl", "--model", "model", "--final-params", "--json", "--quiet"))
        checker.check("evidence-summary", run("aftune-inspect", "--evidence", "r.h5", "--json"))
        checker.check("evidence", text_dataset(os.path.join(work, "r.h5"), "/evidence/index"))
        verify = ["aftune-verify", "--evidence", "e.h5", "--challenge", "c.json", "--pubkey", "acme.vkey", "--json"]
        checker.check("verdict", run(*verify))
        checker.check("verdict", run(*verify, "--cells", "0,2", code=3))
        checker.check("open-ops", run("aftune-open", "--trace", "run.aft", "--challenge", "c.json", "--ops", "1,1", "--key",
                                      "acme.key", "--out", "ops.json", "--json", "--quiet"))
        checker.check("ops", "".join(lines("ops.json")))
        run("forge-ops", "ops.json", "c.json", "acme.key", "100", "lie.json")
        bisect = [*verify, "--proof-out", "proof.h5", "--bisect"]
        checker.check("bisection", run(*bisect, "ops.json"))
        checker.check("bisection", run(*bisect, "lie.json", code=1))
        checker.check("bisection", run(*verify, "--proof-out", "none.h5", "--bisect", "ops.json", "--max-memory", "1K", code=3))
        checker.check("proof", text_dataset(os.path.join(work, "proof.h5"), "/proof/index"))
        checker.check("proof-summary", run("aftune-inspect", "--proof", "proof.h5", "--json"))
        checker.check("verdict", run("aftune-verify", "--proof", "proof.h5", "--pubkey", "acme.vkey", "--json", code=1))
        checker.check("verdict", run("aftune-verify", "--proof", "e.h5", "--pubkey", "acme.vkey", "--json", code=3))
        run(*train, "--trace", "h.aft", "--out", "new3", "--hiding")
        run("aftune-commit", "--trace", "h.aft", "--key", "acme.key")
        for line in lines("h.aft/log.jsonl"):
            checker.check("leaf-" + json.loads(line)["kind"], line)
        run("aftune-challenge", "--checkpoint", "h.aft/checkpoint", "--pubkey", "acme.vkey", "--challenge-seed", SEED,
            "--cells", "2", "--out", "h.json")
        checker.check("open", run("aftune-open", "--trace", "h.aft", "--challenge", "h.json", "--out", "h.h5",
                                  "--export-salts", "--json", "--quiet"))
        checker.check("evidence", text_dataset(os.path.join(work, "h.h5"), "/evidence/index"))
        checker.check("inspect", run("aftune-inspect", "--trace", "h.aft", "--json"))
        lora = ["aftune-train", "--model", "tuned", "--data", "rows.jsonl", "--method", "lora", "--steps", "2", "--seq-len", "32",
                "--quiet", "--json"]
        for flags in (["--trace", "l.aft", "--out", "l", "--lora-targets", "v,q,down", "--lora-dropout", "0.1"],
                      ["--trace", "m.aft", "--out", "m", "--adapter", "l"]):
            for line in run(*lora, *flags).splitlines():
                checker.check("train", line)
            for line in lines(flags[1] + "/log.jsonl"):
                checker.check("leaf-" + json.loads(line)["kind"], line)
            checker.check("inspect", run("aftune-inspect", "--trace", flags[1], "--json"))
        checker.check("train", run("aftune-train", "--merge", "--model", "tuned", "--adapter", "m", "--out", "n", "--json"))
        checker.check("policy", json.dumps(ADAPTERS))
        check_native(checker, work, run)
        check_serving(checker, work, run)
        os.remove(os.path.join(work, "run.aft/checkpoint"))
        checker.check("inspect", run("aftune-inspect", "--trace", "run.aft", "--json"))
        checker.check("tokens", run("aftune-inspect", "--tokenize", "--model", "model", text='"abc"\n'))
    unused = set(checker.schemas) - checker.used
    if unused:
        sys.exit(f"schemas that nothing was checked against: {sorted(unused)}")
    print(f"{len(checker.used)} schemas hold")


if __name__ == "__main__":
    main()
