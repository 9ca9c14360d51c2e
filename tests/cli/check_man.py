#!/usr/bin/env python3
"""Checks one manual page against the program.

usage: check_man.py PAGE BIN-DIR FIXTURE
The page must be clean under mandoc -Tlint. OPTIONS of a tool's page must name exactly the flags, operands and values of
--help (and of each command's --help, in a subsection of its name). The commands under EXAMPLES and TOUR, lines that
begin with "$ ", must run and exit 0, in a scratch folder that holds FIXTURE/bare (a model and data), or FIXTURE/full (a
finished run besides) if they begin with a run at hand.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

STARTS_WITH_NOTHING = {"aftune-key.1", "aftune-train.1", "aftune.7"}


def fail(page, why):
    sys.exit(f"{page}: {why}")


def lint(page):
    seen = subprocess.run(["mandoc", "-Tlint", "-Wwarning", page], capture_output=True, text=True)
    if seen.returncode or seen.stdout:
        fail(page, f"mandoc -Tlint:\n{seen.stdout}{seen.stderr}")


def sections(text):
    """Section name -> its lines."""
    found = {}
    for line in text.splitlines():
        if line.startswith(".Sh "):
            name = line[4:]
            found[name] = []
        elif found:
            found[name].append(line)
    return found


def items(lines):
    """What the .It lines of OPTIONS declare, like "--model DIR"."""
    found = []
    for line in lines:
        if line.startswith(".It Fl "):
            found.append("--" + line[7:].replace("\\-", "-").lstrip("-").replace(" Ar ", " "))
        elif line.startswith(".It Ar "):
            found.append(line[7:])
    return sorted(found)


def helped(command):
    """What --help declares, in the same form."""
    text = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    own = re.split(r"\n\n[a-z]+: ", text)[0]  # the commands' flags are asked for command by command
    return sorted(m[1].strip() for m in re.finditer(r"^  ((?:--[a-z0-9-]+(?: [A-Za-z0-9]+)?|[A-Z]+))(?:  .*)$", own, re.M))


def subsections(lines):
    found, name = {"": []}, ""
    for line in lines:
        if line.startswith(".Ss "):
            name = line[4:].lower()
            found[name] = []
        found[name].append(line)
    return found


def check_options(page, lines, tool):
    text = subprocess.run([tool, "--help"], capture_output=True, text=True, check=True).stdout
    usage = re.findall(r"^(?:usage:|      ) " + os.path.basename(tool) + r" ([a-z]+)", text, re.M)
    parts = subsections(lines) if usage else {"": lines}
    for name in ["", *usage]:
        wanted, seen = helped([tool, *name.split()]), items(parts.get(name, []))
        if wanted != seen:
            fail(page, f"OPTIONS {name}: only in --help {sorted(set(wanted) - set(seen))}, "
                       f"only in the page {sorted(set(seen) - set(wanted))}")
    if set(parts) - set(usage) - {""}:
        fail(page, f"OPTIONS has {sorted(parts)}, and the commands are {usage}")


def commands_of(lines):
    """The commands of the displays, continued lines joined."""
    found, more = [], False
    for line in lines:
        if line.startswith("$ "):
            found.append(line[2:])
        elif more:
            found[-1] += "\n" + line
        more = bool(found) and (line.endswith("\\e") or line.endswith("|"))
    return [c.replace("\\e", "\\") for c in found]


def run_examples(page, commands, tools, start):
    with tempfile.TemporaryDirectory() as scratch:
        work = os.path.join(scratch, "work")
        shutil.copytree(start, work)
        for command in commands:
            env = {**os.environ, "PATH": tools + ":" + os.environ["PATH"], "LC_ALL": "C"}
            seen = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=work, env=env, capture_output=True,
                                  text=True, timeout=120, stdin=subprocess.DEVNULL)
            if seen.returncode or not (seen.stdout or seen.stderr):
                fail(page, f"exit {seen.returncode}: {command}\n{seen.stdout}{seen.stderr}")


def main():
    page, tools, fixture = sys.argv[1:]
    name = os.path.basename(page)
    lint(page)
    found = sections(open(page).read())
    if name.endswith(".1"):
        check_options(page, found["OPTIONS"], os.path.join(tools, name[:-2]))
    commands = commands_of(found.get("EXAMPLES", []) + found.get("TOUR", []))
    if not commands:
        fail(page, "no examples")
    run_examples(page, commands, tools, os.path.join(fixture, "bare" if name in STARTS_WITH_NOTHING else "full"))
    print(f"{name}: {len(commands)} examples run")


if __name__ == "__main__":
    main()
