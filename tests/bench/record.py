#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of recordings and snapshots, not tests: what recording costs (processor time of runs with and without, in
interleaved pairs, so that a busy host hits both alike), how many bytes a million instructions take, and how long it
takes to save a machine and to go on from it.

usage: record.py [--vitrine PATH] [--pairs N] [--engine jit|interp]... [--limit COUNTS] [--from COUNTS] [--small | --nested CPU]
                 [-- RUN_ARGUMENTS]
Without RUN_ARGUMENTS it is the stock boot of scripts/fetch-inputs to a shell; --small: a tiny guest of our own; --nested: a
guest of the stock kernel's KVM. --from: measure what comes after (a machine saved there goes on; the time to load it is
taken off)."""
import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIMIT = 124


def run(command):
    """Processor seconds, and where it ended."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, LIMIT):
        sys.exit(f"record.py: status {done.returncode}: {' '.join(command)}\n{done.stderr.decode('latin1')[-500:]}")
    end = re.search(r"position (\d+) time \d+ ns hash ([0-9a-f]+)", done.stdout.decode("latin1"))
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, end.groups()


def boot(build):
    media = os.path.join(build, "tests/guests/media/shell.cpio.gz")
    kernel = os.path.join(ROOT, ".cache/inputs/vmlinuz-cloud")
    for f in (kernel, media):
        if not os.path.exists(f):
            sys.exit(f"record.py: {f} is missing: scripts/fetch-inputs, then the test guest.media; or use --small")
    return ["--kernel", kernel, "--initrd", media, "--append", "console=ttyS0", "--memory", "512M"]


def nested(build, cpu):
    media = os.path.join(build, "tests/guests/media/nested-cloud.cpio")
    return ["--kernel", os.path.join(ROOT, ".cache/inputs/vmlinuz-cloud"), "--initrd", media, "--append",
            "console=ttyS0 quiet machines=microvm", "--memory", "1G", "--cpu", cpu]


def recording(vitrine, engine, arguments, pairs, folder, first):
    kinds = {"default events": [], "and exits, hypercalls": ["--trace", "virt,hypercall,ept"],
             "and interrupts": ["--trace", "virt,hypercall,ept,int"]}
    plain = [vitrine, "run", "--engine", engine, "--hash", *arguments]
    times = {name: [] for name in ("plain", *kinds)}
    ends, sizes = set(), {}
    loading = run([*plain, "--max-instructions", str(first + 1)])[0] if first else 0
    for _ in range(pairs):
        seconds, end = run(plain)
        times["plain"].append(seconds - loading)
        ends.add(end)
        for name, more in kinds.items():
            trace = os.path.join(folder, "trace")
            seconds, end = run([*plain, "--record", trace, *more])
            times[name].append(seconds - loading)
            ends.add(end)
            sizes[name] = os.path.getsize(trace)
    if len(ends) != 1:
        sys.exit(f"record.py: runs that should be one: {ends}")
    position = int(ends.pop()[0])
    counts = position - first
    print(f"{engine}: {counts / 1e6:.0f} million counts, {statistics.median(times['plain']):.2f} s without recording")
    for name in kinds:
        ratio = statistics.median(b / a for a, b in zip(times["plain"], times[name]))
        print(f"  {name:24} {100 * (ratio - 1):+6.1f} %   {sizes[name] / (counts / 1e6):9.1f} bytes a million   {sizes[name]} in all",
              flush=True)
    return position


def snapshots(vitrine, engine, arguments, pairs, folder, position):
    """The same run with and without saving in the middle; a restored machine that runs one instruction against one
    that is made new and does."""
    middle = str(position // 2)
    saved = os.path.join(folder, "saved")
    stop = [vitrine, "run", "--engine", engine, "--hash", *arguments, "--max-instructions"]
    save, load, new = [], [], []
    for _ in range(pairs):
        a, _ = run([*stop, middle])
        b, _ = run([*stop, middle, "--save", saved])
        save.append(b - a)
        new.append(run([*stop, "1"])[0])
        load.append(run([vitrine, "run", "--engine", engine, "--hash", "--load", saved, "--max-instructions", "1"])[0])
    print(f"  snapshot: {os.path.getsize(saved) / 1e6:.1f} MB, saved in {1e3 * statistics.median(save):.0f} ms; a new machine {1e3 * statistics.median(new):.0f} ms, "
          f"a restored one {1e3 * statistics.median(load):.0f} ms", flush=True)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", default=os.path.join(ROOT, "build/release"))
    ap.add_argument("--vitrine")
    ap.add_argument("--pairs", type=int, default=5)
    ap.add_argument("--engine", action="append")
    ap.add_argument("--limit", type=int)
    ap.add_argument("--from", type=int, default=0, dest="first")
    ap.add_argument("--small", action="store_true")
    ap.add_argument("--nested")
    ap.add_argument("run", nargs=argparse.REMAINDER)
    a = ap.parse_args()
    if a.limit and a.limit <= a.first:
        sys.exit("record.py: --limit is a position, behind --from")
    vitrine = a.vitrine or os.path.join(a.build, "debugger/vitrine")
    arguments = a.run[1:] if a.run[:1] == ["--"] else a.run
    if a.small:
        arguments = ["--kernel", os.path.join(a.build, "tests/guests/tiny/moments.elf"), "--memory", "16M", "--nodefaults"]
    arguments = arguments or (nested(a.build, a.nested) if a.nested else boot(a.build))
    limit = ["--max-instructions", str(a.limit)] if a.limit else []
    with tempfile.TemporaryDirectory() as folder:
        stretch = arguments
        if a.first:
            saved = os.path.join(folder, "from")
            run([vitrine, "run", "--hash", *arguments, "--max-instructions", str(a.first), "--save", saved])
            stretch = ["--load", saved]
        for engine in a.engine or ("jit", "interp"):
            position = recording(vitrine, engine, [*stretch, *limit], a.pairs, folder, a.first)
            if not a.first:
                snapshots(vitrine, engine, arguments, a.pairs, folder, position)


main()
