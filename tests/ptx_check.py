#!/usr/bin/env python3
"""Checks that PTX computes in the arithmetic that docs/numerics.md defines.

usage: ptx_check.py FILE.ptx...

Every f32 operation must be rounded to nearest even as written (.rn), so that ptxas cannot contract or approximate it;
there must be no flush to zero, no approximation, no f64, no minimum or maximum (they treat NaN as missing) and no
floating-point atomic (its order is not fixed). Initial values alone are computed in f64, by the same rules. Tensor
cores may multiply integers only, without saturation.
"""

import os
import re
import sys

ROUNDED = re.compile(r"^(add|sub|mul|fma|div|sqrt|rcp)\.rn\.f32$")
# In the files that may have f64.
BINARY64_FILES = {"init_normal.ptx"}
BINARY64 = re.compile(r"^((add|sub|mul|fma|div|sqrt|rcp)\.rn|neg|abs|mov|selp|setp\.\w+|cvt\.rn\.f32|"
                      r"ld\.param)\.f64$|^cvt\.(rn\.f64\.[us](8|16|32|64)|f64\.f32)$")
INTEGER_FILES = {"blake3.ptx"}
# Adding and taking away 1.5 * 2^23 has left an integer: nothing is rounded.
TO_INTEGER = re.compile(r"^cvt\.rzi\.s32\.f32$")
TENSOR = re.compile(r"^mma\.sync\.aligned\.m16n8k32\.row\.col\.s32\.s8\.s8\.s32$")
# Operations on f32 that do not round.
EXACT = re.compile(r"^(neg|abs|copysign|mov|ld(\.\w+)*|st(\.\w+)*|setp?(\.\w+)*|selp|slct(\.\w+)*|testp\.\w+)\.f32$")
CONVERSION = re.compile(r"^cvt\.rn\.f32\.[us](8|16|32|64)$")
INSTRUCTION = re.compile(r"^\s*(?:@!?%\w+\s+)?([a-z][\w.]*)\s")


def complaint(opcode, binary64=False):
    """Why the opcode is not allowed, or None."""
    parts = opcode.split(".")
    if binary64 and BINARY64.match(opcode):
        return None
    if parts[0] in ("mma", "wmma", "wgmma", "tcgen05"):
        return None if TENSOR.match(opcode) else "is another product of tensor cores"
    if "ftz" in parts:
        return "flushes subnormals"
    if "approx" in parts or "full" in parts:
        return "approximates"
    if "f64" in parts or "f16" in parts or "bf16" in parts or "tf32" in parts:
        return "is of another width"
    if parts[0] in ("atom", "red") and ("f32" in parts or "noftz" in parts):
        return "is a floating-point atomic"
    if "local" in parts:
        return "uses local memory: a spill"
    if parts[-1] == "f32" or "f32" in parts:
        if not (ROUNDED.match(opcode) or EXACT.match(opcode) or CONVERSION.match(opcode) or
                TO_INTEGER.match(opcode)):
            return "is not a plain .rn operation"
    return None


def check(path):
    found, rounded, exclusive_ors = [], 0, 0
    name = os.path.basename(path)
    with open(path, encoding="ascii") as lines:
        for number, line in enumerate(lines, 1):
            match = INSTRUCTION.match(line)
            if not match:
                continue
            opcode = match.group(1)
            rounded += bool(ROUNDED.match(opcode.replace("f64", "f32") if name in BINARY64_FILES else opcode))
            exclusive_ors += opcode == "xor.b32" or opcode.startswith("lop3")
            reason = complaint(opcode, name in BINARY64_FILES)
            if reason:
                found.append(f"{path}:{number}: {opcode} {reason}")
    if rounded == 0 and not (name in INTEGER_FILES and exclusive_ors > 100):
        found.append(f"{path}: no arithmetic at all: not the PTX that was meant")
    return found


SELF_TEST = {
    "add.f32": False, "add.rn.f32": True, "mul.f32": False, "fma.rn.f32": True, "fma.rn.ftz.f32": False,
    "div.approx.f32": False, "div.full.f32": False, "sqrt.rn.f32": True, "ex2.approx.ftz.f32": False,
    "max.f32": False, "mad.lo.s32": True, "mad.rn.f32": False, "atom.global.add.f32": False,
    "red.global.or.b32": True, "red.global.add.f32": False, "setp.gt.f32": True, "cvt.rn.f32.s64": True,
    "cvt.rn.f32.f64": False, "cvt.rni.f32.f32": False, "ld.global.f32": True, "st.local.f32": False,
    "fma.rn.f64": False, "selp.f32": True, "rsqrt.approx.f32": False, "shfl.sync.bfly.b32": True,
    "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32": True, "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32": False,
    "mma.sync.aligned.m16n8k32.row.col.satfinite.s32.s8.s8.s32": False, "cvt.rzi.s32.f32": True, "cvt.rni.s32.f32": False,
}
SELF_TEST_BINARY64 = {
    "fma.rn.f64": True, "add.f64": False, "cvt.rn.f32.f64": True, "cvt.rzi.s64.f64": False, "sqrt.rn.f64": True,
    "rsqrt.approx.f64": False, "add.f32": False, "atom.global.add.f64": False,
}


def main(paths):
    judgements = [(opcode, False, allowed) for opcode, allowed in SELF_TEST.items()]
    judgements += [(opcode, True, allowed) for opcode, allowed in SELF_TEST_BINARY64.items()]
    for opcode, binary64, allowed in judgements:
        if (complaint(opcode, binary64) is None) != allowed:
            print(f"ptx_check.py is broken: it judges {opcode} wrongly")
            return 1
    if not paths:
        print("ptx_check.py: no PTX was given")
        return 1
    problems = [problem for path in paths for problem in check(path)]
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
