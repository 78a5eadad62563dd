#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run kvm-unit-tests by its own unmodified runner and compare every test with what is expected of it.

usage: kvm_unit_tests.py --qemu PATH --expected FILE [--snapshot DIR] [--jobs N] [--keep DIR] [--twice] [NAME]...

DIR is a built checkout of kvm-unit-tests (./configure --arch=x86_64 or i386, then make); without the
option, the environment variable KUT (KUT_I386 for an i386 build) names it. Ends with 77 (skipped) when
there is none. Nothing is written into it. Without NAMEs the whole list is run.
--twice: again by the interpreter with another size of tables; position and state hash of every machine must be equal.

The list has a row per test: name | how | status | passed/failed/skipped | reason
  how     empty: `./run_tests.sh NAME`
          cfg=TEST VAR=VALUE...: `./run_tests.sh TEST` with the variables in the tests' environment, and
          those that begin with RUNNER_ in the runner's own (CHECK: instead of the row's check)
          run=FILE OPTIONS: `x86/run x86/FILE OPTIONS`, for what the runner itself leaves out
  status  PASS, FAIL or SKIP, as the runner says
  reason  why it does not pass; wanted for everything but PASS"""
import argparse
import concurrent.futures
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

from arguments import engine

STATUS = re.compile(r"^(PASS|FAIL|SKIP)\s+(\S+)\s*(.*)$")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
ENDING = re.compile(r"position \d+ time \d+ ns hash \w+ end [\w-]+")
SUBTEST = re.compile(r"^\s*(PASS|XFAIL|FAIL|XPASS|SKIP):", re.M)


class Row:
    def __init__(self, line):
        fields = [f.strip() for f in line.split("|")]
        if len(fields) != 5:
            sys.exit(f"bad row: {line}")
        self.name, self.how, self.status, self.counts, self.reason = fields
        if self.status not in ("PASS", "FAIL", "SKIP") or (self.status != "PASS" and not self.reason):
            sys.exit(f"bad row: {line}")

    def command(self):
        """What to run, the tests' variables, the runner's variables."""
        words = self.how.split()
        if not words:
            return ["./run_tests.sh", self.name], {}, {}
        if words[0].startswith("run="):
            return ["./x86/run", "x86/" + words[0][4:], *words[1:]], {}, {}
        variables = dict(w.split("=", 1) for w in words[1:])
        runner = {k[7:]: v for k, v in variables.items() if k.startswith("RUNNER_")}
        tests = {k: v for k, v in variables.items() if not k.startswith("RUNNER_")}
        return ["./run_tests.sh", words[0].removeprefix("cfg=")], tests, runner


def read_rows(path):
    with open(path, encoding="utf-8") as f:
        return [Row(line) for line in f if line.strip() and not line.startswith("#")]


def run(row, a, work, qemu):
    logs = os.path.join(work, row.name)
    command, tests, runner = row.command()
    env = dict(os.environ, QEMU=qemu, ACCEL="tcg", TIMEOUT=f"{a.timeout}s",
               unittest_log_dir=logs, **runner)
    env.pop("KVM_UNIT_TESTS_ENV", None)
    if tests:
        env["KVM_UNIT_TESTS_ENV"] = os.path.join(work, row.name + ".env")
        with open(env["KVM_UNIT_TESTS_ENV"], "w", encoding="ascii") as f:
            f.writelines(f"{k}={v}\n" for k, v in tests.items())
    done = subprocess.run(command, cwd=a.snapshot, env=env, stdin=subprocess.DEVNULL, capture_output=True,
                          check=False)
    out = COLOUR.sub("", done.stdout.decode("latin1"))
    if command[0] == "./x86/run":
        status = {0: "PASS", 77: "SKIP"}.get(done.returncode, "FAIL")
        log, note = out, "" if status == "PASS" else f"status {done.returncode}"
    else:
        found = [m for m in map(STATUS.match, out.splitlines()) if m]
        status, note = (found[-1].group(1), found[-1].group(3)) if found else ("none", out[-200:])
        try:
            with open(os.path.join(logs, command[1] + ".log"), encoding="latin1") as f:
                log = f.read()
        except OSError:
            log = ""
    n = {"PASS": 0, "FAIL": 0, "SKIP": 0, "XFAIL": 0, "XPASS": 0}
    for m in SUBTEST.finditer(log):
        n[m.group(1)] += 1
    counts = f"{n['PASS'] + n['XFAIL']}/{n['FAIL'] + n['XPASS']}/{n['SKIP']}"
    return status, counts, note, log + done.stderr.decode("latin1")


# The runner's initrd is a new temporary file each time, and a guest finds its name in memory: it gets one that stays.
WRAPPER = """#!/bin/sh
for word; do
    shift
    if [ "$before" = -initrd ]; then
        cp "$word" INITRD
        word=INITRD
    fi
    set -- "$@" "$word"
    before=$word
done
exec QEMU "$@" --hash OPTIONS
"""


def wrapper(row, a, work, options):
    """A QEMU for the runner: the given one with more options."""
    path = os.path.join(work, f"qemu-{row.name}")
    with open(path, "w", encoding="utf-8") as f:
        f.write(WRAPPER.replace("INITRD", shlex.quote(os.path.join(work, f"{row.name}.initrd")))
                .replace("QEMU", shlex.quote(os.path.abspath(a.qemu))).replace("OPTIONS", options))
    os.chmod(path, 0o755)
    return path


def run_twice(row, a, work):
    first = run(row, a, work, wrapper(row, a, work, ""))
    second = run(row, a, work, wrapper(row, a, work, " ".join([*engine("--engine", "interp"), "--tlb-entries 64"])))
    ends, again = ENDING.findall(first[3]), ENDING.findall(second[3])
    if ends == again:
        return first
    return "DIFF", first[1], f"two runs differ: {ends} and {again}", first[3]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--qemu", required=True)
    ap.add_argument("--expected", required=True)
    ap.add_argument("--snapshot")
    ap.add_argument("--timeout", type=int, default=3600)
    ap.add_argument("--jobs", type=int, default=1)
    ap.add_argument("--keep", help="keep logs of everything here")
    ap.add_argument("--twice", action="store_true")
    ap.add_argument("names", nargs="*")
    a = ap.parse_args()
    arch = "i386" if "i386" in os.path.basename(a.expected) else "x86_64"
    variable = "KUT_I386" if arch == "i386" else "KUT"
    a.snapshot = a.snapshot or os.environ.get(variable, "")
    try:
        with open(os.path.join(a.snapshot, "config.mak"), encoding="utf-8") as f:
            built = f"\nARCH={arch}\n" in f.read()
    except OSError:
        built = False
    if not built:
        print(f"SKIP: {variable} names no kvm-unit-tests that is built for {arch}")
        return 77
    rows = [r for r in read_rows(a.expected) if not a.names or r.name in a.names]
    work = tempfile.mkdtemp(prefix="kvm-unit-tests.")
    wrong = []
    run_row = run_twice if a.twice else lambda r, a, w: run(r, a, w, os.path.abspath(a.qemu))
    totals = {"PASS": 0, "FAIL": 0, "SKIP": 0}
    passed = 0
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        for row, result in zip(rows, pool.map(lambda r: run_row(r, a, work), rows)):
            status, counts, note, log = result
            as_expected = (status, counts) == (row.status, row.counts)
            print(f"{status:4} {row.name:30} {counts:>10}  "
                  + ("" if as_expected else f"EXPECTED {row.status} {row.counts} {note}")
                  + (row.reason if as_expected else ""), flush=True)
            totals[status] = totals.get(status, 0) + 1
            passed += int(counts.split("/")[0])
            if not as_expected:
                wrong.append(row.name)
                print("    " + "\n    ".join(log.splitlines()[-15:]), flush=True)
            if a.keep:
                os.makedirs(a.keep, exist_ok=True)
                with open(os.path.join(a.keep, row.name + ".log"), "w", encoding="utf-8") as f:
                    f.write(log)
    shutil.rmtree(work, ignore_errors=True)
    print(f"{totals['PASS']} passed ({passed} sub-tests), {totals['FAIL']} failed, {totals['SKIP']} skipped; "
          + (f"not as expected: {' '.join(wrong)}" if wrong else "all as expected"))
    return 1 if wrong else 0


sys.exit(main())
