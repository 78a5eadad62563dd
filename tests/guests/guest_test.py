#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot a guest three times and compare: a plain run; a recorded one with other translation-cache sizes and
epochs; the replay of that recording with other sizes again, by the translator where the host can. Console bytes, position and state hash must be
equal, and the texts asked for must appear (or not).

usage: guest_test.py --vitrine PATH [--needs FILE]... [--expect TEXT]... [--reject REGEX]... [--said REGEX]... [--status N]
                     [--once] [--long] [--jit] [--as OPTIONS]... -- RUN_ARGUMENTS
With --long the recorded run is by the translator too, with translation caches that it is not slow by; with --jit the
plain one too; --once leaves the recording out. --as: one more run, with these options too. What --said names is looked for on standard error of the plain run: the words of the watch.
Ends with 77 (skipped) when a needed input is missing."""
import os
import re
import resource
import subprocess
import sys
import tempfile
import time

from arguments import engine, parse, parser

RECORDED = ["--tlb-entries", "16", "--epoch", "77000000"]
REPLAYED = ["--tlb-entries", "512", "--jit-threshold", "2"]
INTERPRETED = engine("--engine", "interp")


def run(vitrine, arguments, seconds):
    command = [vitrine, *arguments, "--hash"]
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired as e:
        sys.stdout.buffer.write((e.stdout or b"")[-3000:])
        sys.exit(f"FAIL: no end after {seconds} s: {' '.join(command)}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    print(f"{arguments[0]}: {time.monotonic() - start:.0f} s, {used:.0f} s of processor", flush=True)
    return done.returncode, done.stdout, done.stderr


def main():
    ap = parser(1200)
    ap.add_argument("--expect", action="append", default=[])
    ap.add_argument("--reject", action="append", default=[])
    ap.add_argument("--said", action="append", default=[])
    ap.add_argument("--status", type=int, default=0)
    ap.add_argument("--once", action="store_true")
    ap.add_argument("--long", action="store_true")
    ap.add_argument("--jit", action="store_true")
    ap.add_argument("--as", dest="variant", action="append", default=[])
    a = parse(ap)
    status, out, err = run(a.vitrine, ["run", *a.arguments, *([] if a.once or a.jit else INTERPRETED)], a.timeout)
    text = out.decode("latin1")
    problems = []
    if status != a.status:
        problems.append(f"exit status {status}, expected {a.status}; {err.decode('latin1').strip()}")
    problems += [f"console never showed {t!r}" for t in a.expect if t not in text]
    problems += [f"standard error never showed {t!r}" for t in a.said if not re.search(t, err.decode("latin1"), re.M)]
    for pattern in a.reject:
        found = re.search(pattern, text, re.M)
        if found:
            problems.append(f"console shows {found.group(0)!r}")
    with tempfile.TemporaryDirectory() as folder:
        trace = os.path.join(folder, "trace")
        recorded = [*RECORDED, "--tlb-entries", "256"] if a.long else [*RECORDED, *INTERPRETED]
        more = [(f"run with {v}", ["run", *a.arguments, *v.split()]) for v in a.variant]
        if not a.once:
            more += [("recorded run", ["run", *a.arguments, *recorded, "--record", trace]),
                     ("replay", ["replay", trace, *REPLAYED])]
        for name, again in more if not problems else []:
            status2, out2, err2 = run(a.vitrine, again, a.timeout)
            if (status2, out2) != (status, out):
                problems.append(f"the {name} differs: {status2} {out2.splitlines()[-1:]} against {status} "
                                f"{out.splitlines()[-1:]}; {err2.decode('latin1').strip()}")
    print(text[-4000:] if problems else text.splitlines()[-1])
    for p in problems:
        print("FAIL:", p)
    return 1 if problems else 0


sys.exit(main())
