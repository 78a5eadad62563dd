#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing on the host's side may be seen: the benchmark guest (kernels.c: integers, x87, SSE, strings, system calls,
faults, forks, switches, code that rewrites itself) in a stock kernel ends with one hash, whatever engine runs it, when
blocks are translated, how small tables and code memory are, and what the host can do.

usage: perturb.py [--build DIR] [--limit N]    N: counts of the runs that would take too long to the end"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

import common
import kernels

# Name, options, whether to the end.
VARIANTS = (
    ("interpreter", ["--engine", "interp"], True),
    ("translator", ["--engine", "jit"], True),
    ("everything translated at once", ["--engine", "jit", "--jit-threshold", "0"], True),
    ("nothing ever translated", ["--engine", "jit", "--jit-threshold", "1000000000"], False),
    ("code memory always full", ["--engine", "jit", "--code-cache", "1M", "--jit-threshold", "0"], True),
    ("host without AVX", ["--engine", "jit", "--jit-host", "sse2"], True),
    ("every access checked by itself", ["--engine", "jit", "--jit-without", "groups"], True),
    ("every block by itself", ["--engine", "jit", "--jit-without", "paths"], True),
    ("paths at the first chance", ["--engine", "jit", "--jit-threshold", "2"], True),
    ("system instructions by their handlers", ["--engine", "jit", "--jit-without", "system"], True),
    ("no loop forms", ["--engine", "jit", "--jit-without", "loops"], True),
    ("none of these", ["--engine", "jit", "--jit-without", "groups,paths,system,loops"], True),
    ("tables of 64 entries", ["--engine", "jit", "--tlb-entries", "64"], True),
    ("tables of two entries", ["--engine", "jit", "--tlb-entries", "2", "--jit-threshold", "0"], False),
    ("interpreter, tables of two entries", ["--engine", "interp", "--tlb-entries", "2"], False),
)


def hash_line(command):
    p = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    lines = [line for line in p.stdout.decode("latin1").splitlines() if "hash" in line]
    jit = re.search(r"\((\d+\.\d) %\)", p.stdout.decode("latin1"))
    return (lines[-1] if lines else f"no hash, status {p.returncode}"), (jit.group(1) if jit else "0")


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    ap.add_argument("--build", default=os.path.join(common.ROOT, "build/release"))
    ap.add_argument("--limit", type=int, default=60000000)
    a = ap.parse_args()
    common.need(common.CLOUD)
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        _, initrd = kernels.build_guest(folder)
        base = common.vitrine(a, "-m", "512M", "--seed", "1", "--hash", "--log", "jit", "-kernel", common.CLOUD,
                              "-initrd", initrd, "-append", "console=ttyS0 quiet scale=1")
        limit = ["--max-instructions", str(a.limit)]
        want = {True: None, False: hash_line([*base, *limit])[0]}
        for name, options, whole in VARIANTS:
            got, share = hash_line([*base, *options, *([] if whole else limit)])
            want[whole] = want[whole] or got
            same = got == want[whole] and "no hash" not in got
            wrong += not same
            print(f"{'same' if same else 'DIFFERS'}: {name}{'' if whole else f' ({a.limit} counts)'}, "
                  f"{share} % translated: {got}", flush=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
