#!/usr/bin/env python3
"""Compares every #include of the tree with what the modules declare.

usage: check_includes.py SOURCE-DIR MODULE-NEEDS     one line per wrong include, exit 1 if there is any

MODULE-NEEDS has a line "name folder need need ..." for each module, in the order of their declaration. A module may
include its own headers and those of the modules it names; tools may include every module's. Headers of C libraries
belong to the modules that wrap them.
"""
import os
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)
WRAPPED = {  # header prefix -> modules that may include it
    "hdf5.h": {"trace"}, "H5": {"trace"}, "zstd": {"trace"}, "sodium": {"hash", "seal"}, "CLI/": {"cli"},
    "nlohmann/": {"base"}, "httplib.h": {"http"}, "cuda": {"kernels"}, "cublas": {"kernels"},
}


def read_modules(path):
    modules = {}
    for line in open(path):
        name, folder, *needs = line.split()
        late = [need for need in needs if need not in modules]
        if late:
            sys.exit(f"{name} needs {late[0]}, which is declared after it: includes must point one way")
        modules[name] = (folder, set(needs))
    return modules


def sources(folder):
    for path, _, names in os.walk(folder):
        for name in sorted(names):
            if name.endswith((".h", ".cpp", ".cu", ".cuh")):
                yield os.path.join(path, name)


def check(path, module, allowed, modules):
    """Complaints about the includes of one file of `module` (None: a tool)."""
    for kind, target in INCLUDE.findall(open(path).read()):
        if kind == '"':
            owner = target.split("/")[0]
            if owner not in modules:
                yield f'includes "{target}", which does not begin with a module'
            elif owner != module and owner not in allowed:
                yield f'includes "{target}", and {module} does not need {owner} (CMakeLists.txt)'
        else:
            for prefix, owners in WRAPPED.items():
                if target.startswith(prefix) and module not in owners:
                    yield f"includes <{target}>, which is for {' and '.join(sorted(owners))} only"


def main():
    source, needs = sys.argv[1:]
    modules = read_modules(needs)
    places = [(os.path.join(source, folder), name, allowed) for name, (folder, allowed) in modules.items()]
    places.append((os.path.join(source, "tools"), None, set(modules)))
    files = wrong = 0
    for folder, module, allowed in places:
        for path in sources(folder):
            files += 1
            for complaint in check(path, module, allowed, modules):
                print(f"{os.path.relpath(path, source)}: {complaint}")
                wrong += 1
    if files < 20:
        sys.exit(f"only {files} files found: is {source} the source folder?")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
