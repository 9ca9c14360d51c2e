#!/usr/bin/env python3
"""Reads aftune-verify --junit with another XML parser, and compares it with the verdict of the same audit.

usage: junit_reads.py BIN-DIR FIXTURE
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

OUTCOMES = ("failure", "error", "skipped")
# What readers of JUnit XML know: element -> attributes, and the elements it may hold.
SHAPE = {
    "testsuites": ({"name", "tests", "failures", "errors", "skipped"}, {"testsuite"}),
    "testsuite": ({"name", "tests", "failures", "errors", "skipped"}, {"properties", "testcase", "system-out"}),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "testcase": ({"name", "classname"}, set(OUTCOMES)),
    "failure": ({"message", "type"}, set()),
    "error": ({"message", "type"}, set()),
    "skipped": ({"message"}, set()),
    "system-out": (set(), set()),
}


def shown(text):
    """What may not stand in XML, or would change how a line looks, is U+FFFD; an accent stays."""
    return re.sub("[\x00-\x1f\u202e\ufffe]", "\ufffd", text)


def check_shape(element):
    attributes, children = SHAPE[element.tag]
    assert set(element.attrib) == attributes, element.tag
    for child in element:
        assert child.tag in children, (element.tag, child.tag)
        check_shape(child)


def check(path, verdict):
    root = ElementTree.parse(path).getroot()
    check_shape(root)
    (suite,) = root
    tests = suite.findall("testcase")
    names = [(t.get("classname"), t.get("name")) for t in tests]
    assert len(set(names)) == len(names)
    counts = {tag: sum(t.find(tag) is not None for t in tests) for tag in OUTCOMES}
    for element in (root, suite):
        assert int(element.get("tests")) == len(tests)
        assert int(element.get("failures")) == counts["failure"]
        assert int(element.get("errors")) == counts["error"]
        assert int(element.get("skipped")) == counts["skipped"]
    assert all(len(t) <= 1 for t in tests)
    assert (counts["failure"] + counts["error"] == 0) == (verdict["verdict"] == "ACCEPT")
    by_name = {t.get("name"): t for t in tests}
    for cell in verdict["sampled"]:
        outcome = [c.tag for c in by_name[f"cell {cell['block']},{cell['step_block']}"]]
        assert outcome == {"checked": [], "rejected": ["failure"], "unanswered": ["error"]}[cell["result"]] or (
            outcome == ["failure"]), (cell, outcome)
    for name, count in verdict["checks"].items():
        if count["failed"]:
            assert by_name[name].find("failure") is not None, name
    for item in verdict["unchecked"]:
        assert by_name[item].find("skipped") is not None, item
    text = "".join(suite.itertext())
    for reason in verdict["reasons"]:
        assert shown(reason["detail"]) in text and shown(reason["where"]) in text, reason
    assert suite.find("system-out").text.startswith(verdict["verdict"] + ": ")
    return counts


def main():
    tools, fixture = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch:
        work = os.path.join(scratch, "work")
        shutil.copytree(os.path.join(fixture, "full"), work)

        def verify(*more):
            command = [os.path.join(tools, "aftune-verify"), "--trace", "run.aft", "--pubkey", "acme.vkey", "--json",
                       "--quiet", "--junit", "j.xml", *more]
            seen = subprocess.run(command, cwd=work, capture_output=True, text=True)
            verdict = json.loads(seen.stdout)
            check(os.path.join(work, "j.xml"), verdict)
            return verdict["verdict"]

        assert verify("--challenge", "c.json") == "ACCEPT"
        assert verify("--all", "--max-memory", "1K") == "INCOMPLETE"
        with open(os.path.join(work, "policy.json"), "w") as file:
            json.dump({"version": 1, "recipe": {"lr": 0.5, "schedule": "a'\"<&]]>\u0001\n\u202e\ufffe\u00e9"}}, file)
        assert verify("--all", "--policy", "policy.json") == "REJECT"
        os.remove(os.path.join(work, "run.aft", "segment-000002.h5"))
        assert verify("--all") == "INCOMPLETE"
        with open(os.path.join(work, "run.aft", "segment-000001.h5"), "r+b") as file:
            file.truncate(2000)
        assert verify("--all") == "REJECT"
        os.remove(os.path.join(work, "run.aft", "checkpoint"))
        assert verify("--all") == "INCOMPLETE"
    print("six verdicts read")


if __name__ == "__main__":
    main()
