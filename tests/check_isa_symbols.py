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


def defined_symbols(nm, path):
    output = subprocess.run([nm, "-P", path], check=True, capture_output=True, text=True).stdout
    for line in output.splitlines():
        fields = line.split()
        if len(fields) >= 2 and not line.endswith(":"):
            yield fields[0], fields[1]


def complaints(nm, isa, path):
    marker = f"{len(isa)}{isa}"  # the namespace in a mangled name
    for symbol, kind in defined_symbols(nm, path):
        if symbol.startswith("_GLOBAL__sub_I_"):
            yield f"{path}: runs code before main(): {symbol}"
        elif kind not in LOCAL | UNDEFINED and marker not in symbol:
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
