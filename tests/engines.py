#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The project's tests in every engine: ctest runs them once for each, and what they print of the ends of machines (position,
virtual time, state hash) must be the same for all.

usage: engines.py [--build DIR] [--engines interp,jit,lockstep] [CTEST ARGUMENTS]   (-LE slow when there are none)"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
END = re.compile(r"position \d+ time \d+ ns hash [0-9a-f]{16}")


def run(build, engine, arguments, folder):
    """{test: (status, ends)}"""
    report = os.path.join(folder, engine + ".xml")
    subprocess.run(["ctest", "--test-dir", build, "--output-junit", report, "--test-output-size-passed", "100000", *arguments],
                   env={**os.environ, "VITRINE_ENGINE": engine}, check=False)
    results = {}
    for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase"):
        results[case.get("name")] = case.get("status"), END.findall(case.findtext("system-out") or "")
    return results


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    ap.add_argument("--build", default=os.path.join(ROOT, "build/ci"))
    ap.add_argument("--engines", default="interp,jit,lockstep")
    a, arguments = ap.parse_known_args()
    engines = a.engines.split(",")
    with tempfile.TemporaryDirectory() as folder:
        results = {e: run(a.build, e, arguments or ["-LE", "slow"], folder) for e in engines}
    wrong, ends, compared = [], 0, 0
    for name in sorted(set().union(*results.values())):
        seen = [results[e].get(name, ("missing", [])) for e in engines]
        wrong += [f"{name}: {e}: {status}" for e, (status, _) in zip(engines, seen) if status == "fail"]
        if all(status == "run" for status, _ in seen) and seen[0][1]:
            compared, ends = compared + 1, ends + len(seen[0][1])
            wrong += [f"{name}: {e} ends {got}, {engines[0]} {seen[0][1]}" for e, (_, got) in zip(engines, seen) if got != seen[0][1]]
    for line in wrong:
        print("FAIL:", line)
    print(f"{len(results[engines[0]])} tests, engines {', '.join(engines)}: {ends} ends of machines in {compared} tests are the same")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
