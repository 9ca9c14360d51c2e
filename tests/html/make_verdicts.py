#!/usr/bin/env python3
"""Verdict files to draw pages from: what a real audit of the fixture cannot be made to say.

usage: make_verdicts.py FOLDER     writes rejected.json, large.json, early.json and hostile.json
"""
import json
import os
import sys

HOSTILE = "</code><script>alert(1)</script><img src='http://evil.example/x' onerror=\"alert(2)\">" + "w" * 400


def verdict(outcome, layers, per_block, steps, per_step_block, results, tied=False):
    """`results` maps (block, step block) to checked, rejected or unanswered."""
    blocks = -(-layers // per_block) + (1 if tied else 2)
    step_blocks = -(-steps // per_step_block)
    checked = sum(r == "checked" for r in results.values())
    return {
        "verdict": outcome, "reasons": [], "confidence": 0.9007707, "one_cell": 0.354167, "one_column": 0.979094,
        "coverage": {"cells": blocks * step_blocks, "asked": len(results), "checked": checked,
                     "unanswered": [list(c) for c, r in sorted(results.items()) if r == "unanswered"]},
        "grid": {"blocks": blocks, "step_blocks": step_blocks, "steps": steps, "steps_per_block": per_step_block,
                 "layers": layers, "layers_per_block": per_block, "tied": tied},
        "sampled": [{"block": b, "step_block": s, "result": r, "replay": None} for (b, s), r in sorted(results.items())],
        "attacker": f"at least 5 of {blocks * step_blocks} cells are bad",
        "unchecked": ["data: no --data; the rows and their order are taken on the provider's word",
                      "other-histories: another signed history of this run would not be seen"],
        "log_checks": {"signature": {"done": 1, "failed": 0}},
        "checks": {"signature": {"done": 1, "failed": 0}, "log-root": {"done": 1, "failed": 0},
                   "forward": {"done": 40, "failed": 0}, "update": {"done": 12, "failed": 0}},
        "origin": "audit.example/acme/bf97c0cc0a3724c332b859fcc5a9dd61", "root": "52" * 32, "seed_kind": "fresh",
        "comparison": "exact", "tolerance": None,
        "bound": {"note": "ab" * 32, "challenge": "cd" * 32, "verifier": "aftune 0.1.0"},
    }


def spread(blocks, step_blocks, count):
    """`count` cells, the same each time, without a pattern that a group size could hide."""
    return {((i * 7919) % blocks, (i * 104729 + i * i) % step_blocks): "checked" for i in range(count)}


def rejected():
    results = spread(10, 16, 40)
    results[(2, 3)] = "rejected"
    results[(7, 11)] = "unanswered"
    out = verdict("REJECT", 16, 2, 128, 8, results)
    out["checks"]["update"]["failed"] = 1
    out["reasons"] = [
        {"code": "update", "class": "fraud", "where": "cell 2,3 state 4",
         "detail": "expected " + "4d" * 32 + ", found " + "67" * 32 + "; model.layers.3.mlp.up_proj.weight element "
                   "[7,104]: replayed -0.00336641 (bb5c9f0f), recorded 0.00579198 (3bbdcaab)"},
        {"code": "absent", "class": "absent", "where": "segment-000011.h5", "detail": "not there"}]
    return out


def large():
    results = spread(82, 1000, 900)
    results[(40, 500)] = "rejected"
    results[(81, 999)] = "unanswered"
    out = verdict("REJECT", 80, 1, 8000, 8, results)
    out["reasons"] = [{"code": "forward", "class": "fraud", "where": "cell 40,500 step 4001 boundary 41",
                       "detail": "expected " + "0a" * 32 + ", found " + "0b" * 32}]
    return out


def early():
    out = verdict("REJECT", 2, 1, 2, 1, {})
    out.update({"grid": None, "origin": "", "root": "", "attacker": "", "confidence": 0, "one_cell": 0, "one_column": 0,
                "bound": {}, "log_checks": {}, "checks": {"signature": {"done": 1, "failed": 1}}})
    out["coverage"] = {"cells": 0, "asked": 0, "checked": 0, "unanswered": []}
    out["reasons"] = [{"code": "signature", "class": "fraud", "where": "checkpoint", "detail": "no signature by the key"}]
    return out


def hostile():
    out = rejected()
    out["origin"] = out["attacker"] = HOSTILE
    out["unchecked"] = [HOSTILE, "]]>", "\u0000\u001b[31m\u202egnp.exe", "\ufffe\ud7ff"]
    out["reasons"][0]["where"] = out["reasons"][0]["detail"] = HOSTILE
    out["bound"]["verifier"] = HOSTILE
    return out


def main():
    for make in (rejected, large, early, hostile):
        with open(os.path.join(sys.argv[1], make.__name__ + ".json"), "w") as file:
            json.dump(make(), file)


if __name__ == "__main__":
    main()
