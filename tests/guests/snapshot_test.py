#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine saved at random instants of a run goes on, in a fresh process, as if it had not been saved.

The guest runs once whole, recorded. It runs again in legs: each leg goes on, in a fresh process, from what the leg
before saved last, and saves at several random positions on its way; so the saving run is itself checked at its end.
Each saved machine is then restored in a fresh process and runs on to a state hash that the recording has, further on;
some run to the very end. Position, virtual time and hash must be those of the whole run.

usage: snapshot_test.py --vitrine PATH [--needs FILE]... [--count N] [--to-end N] [--leg N] [--ahead COUNTS] [--seed N]
                        -- RUN_ARGUMENTS
Ends with 77 (skipped) when a needed input is missing."""
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time

from arguments import parse, parser


class Case:
    def __init__(self, a, folder):
        self.a, self.folder, self.wrong = a, folder, []
        named = {part for argument in a.arguments for part in argument.split(",")[:1]} | {a.vitrine}
        self.stamps = {f: os.stat(f).st_mtime_ns for f in named if os.path.isfile(f)}

    def run(self, arguments, statuses=(0,)):
        for f, stamp in self.stamps.items(): # one run of many must not be of other media, made again meanwhile
            if os.stat(f).st_mtime_ns != stamp:
                sys.exit(f"FAIL: {f} was changed while the test ran")
        done = subprocess.run([self.a.vitrine, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=self.a.timeout, check=False)
        if done.returncode not in statuses:
            sys.exit(f"FAIL: status {done.returncode}: {' '.join(arguments)}\n{done.stdout.decode('latin1')[-2000:]}"
                     f"{done.stderr.decode('latin1')}")
        return done.stdout.decode("latin1")

    def end_of(self, out):
        found = re.search(r"position (\d+) time (\d+) ns hash ([0-9a-f]{16})", out.splitlines()[-1])
        return int(found.group(1)), int(found.group(2)), found.group(3)

    def whole(self):
        trace = os.path.join(self.folder, "trace")
        self.end = self.end_of(self.run(["run", "--hash", "--epoch", str(self.a.epoch), "--record", trace, *self.a.arguments]))
        self.marks = {}
        rows = [json.loads(line) for line in self.run(["trace", "dump", "--event", "mark,input", "--json", trace]).splitlines()]
        inputs = {r["position"] for r in rows if r["event"] == "input"}
        for mark in rows: # input of the same moment comes after a mark, but before --hash looks
            if mark["event"] == "mark" and mark["position"] not in inputs:
                self.marks[mark["position"]] = (mark["position"], mark["ns"], mark["hash"].removeprefix("0x").rjust(16, "0"))
        os.unlink(trace)

    def restore(self, path, at, to_end):
        later = [p for p in self.marks if p >= at + self.a.ahead]
        wanted = self.end if to_end or not later else self.marks[min(later)]
        limit = [] if wanted is self.end else ["--max-instructions", str(wanted[0])]
        got = self.end_of(self.run(["run", "--load", path, "--hash", *limit], (0, 124)))
        if got != wanted:
            self.wrong.append(f"saved at {at}: {got}, the whole run {wanted}")
            print(self.wrong[-1], flush=True)

    def leg(self, start, positions, last, to_end):
        save = os.path.join(self.folder, "saved")
        here = ["--load", start] if start else self.a.arguments
        out = self.run(["run", *here, "--hash", "--save", save, "--save-at", ",".join(map(str, positions)),
                        *([] if last else ["--max-instructions", str(positions[-1] + 1)])], (0, 124))
        if last and self.end_of(out) != self.end:
            self.wrong.append(f"the run that saved: {self.end_of(out)}, the whole run {self.end}")
        os.unlink(save)
        if start:
            os.unlink(start)
        size = 0
        for p in positions:
            path = f"{save}.{p}"
            size += os.path.getsize(path)
            self.restore(path, p, p in to_end)
            if p != positions[-1] or last:
                os.unlink(path)
        print(f"{len(positions)} saved up to {positions[-1]} of {self.end[0]}, {size / len(positions) / 1e6:.0f} MB each; "
              f"{len(self.wrong)} wrong", flush=True)
        return f"{save}.{positions[-1]}"


def main():
    ap = parser(6000)
    ap.add_argument("--count", type=int, default=100)
    ap.add_argument("--to-end", type=int, default=5)
    ap.add_argument("--leg", type=int, default=20)
    ap.add_argument("--epoch", type=int, default=25000000)
    ap.add_argument("--ahead", type=int, default=10000000)
    ap.add_argument("--seed", type=int, default=1)
    a = parse(ap)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="vitrine-snapshots-") as folder:
        case = Case(a, folder)
        case.whole()
        print(f"the whole run: {case.end}, {len(case.marks)} state hashes", flush=True)
        random.seed(a.seed)
        positions = sorted(random.sample(range(1, case.end[0]), a.count))
        to_end = set(random.sample(positions, a.to_end))
        start = None
        for i in range(0, a.count, a.leg):
            start = case.leg(start, positions[i:i + a.leg], i + a.leg >= a.count, to_end)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{a.count} machines restored, {a.to_end} of them run to the end: {time.monotonic() - began:.0f} s, "
          f"{used.ru_utime + used.ru_stime:.0f} s of processor")
    for w in case.wrong:
        print("FAIL:", w)
    return 1 if case.wrong else 0


sys.exit(main())
