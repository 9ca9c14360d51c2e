#!/usr/bin/env python3
"""Checks that objects compiled for one instruction set cannot leak code into the rest of the program.

usage: check_isa_symbols.py NM ISA OBJECT...

The linker keeps one copy of each weak symbol (an inline function, a template instance). If an object compiled for
AVX-512 defines std::max<int>, that copy may be the one that every caller in the program gets, and a CPU without AVX-512
stops at an illegal instruction; arithmetic could also differ. So every symbol that such an object defines, unless it is
local, must name the instruction set's namespace, and nothing may run before main().
"""

import subprocess
import sys

# Defined and visible to the linker, by the letters of nm: upper case is global, V, W, v, w weak, u unique, i indirect.
LOCAL = set("tdbrnapNc")
UNDEFINED = set("Uvw")
# A pointer to a function of the C++ runtime, the same in every object; no code.
HARMLESS_PREFIX = "DW.ref."


def defined_symbols(nm, path):
    done = subprocess.run([nm, "-P", path], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"check_isa_symbols.py: {done.stderr.strip()}")
    for line in done.stdout.splitlines():
        fields = line.split()
        if len(fields) >= 2 and not line.endswith(":"):
            yield fields[0], fields[1]


def complaints(nm, isa, path):
    marker = f"{len(isa)}{isa}"  # the namespace in a mangled name
    for symbol, kind in defined_symbols(nm, path):
        if symbol.startswith("_GLOBAL__sub_I_"):
            yield f"{path}: runs code before main(): {symbol}"
        elif kind in LOCAL | UNDEFINED or symbol.startswith(HARMLESS_PREFIX):
            continue
        elif marker not in symbol:
            yield f"{path}: defines outside namespace {isa}: {symbol} ({kind})"


def main():
    nm, isa, *paths = sys.argv[1:]
    if not paths:
        sys.exit("check_isa_symbols.py: no objects given")
    found = [text for path in paths for text in complaints(nm, isa, path)]
    for text in found:
        print(text)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
