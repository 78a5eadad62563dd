#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every switch of `vitrine cpu features` off, one at a time, on every model that has it: the stock kernel boots to its
shell as ever. What 64-bit Linux cannot do without, it finds missing before its first line. Then what no model has by
itself, on.

usage: feature_test.py --vitrine PATH --kernel FILE --initrd FILE [--models A,B] [--only F,G] [--first N] [--jobs N]
Ends with 77 (skipped) when a needed input is missing."""
import argparse
import concurrent.futures
import re
import subprocess
import sys

from arguments import skip_without

# Linux's verify_cpu() asks for these and halts; on Intel's processors it has executed RDMSR by then, without an IDT, and
# CR4.PGE is set without one too. A kernel built with CONFIG_X86_TSC executes RDTSC in add_device_randomness() unasked.
HALTED, RESET = 75, 71
REQUIRED = {**dict.fromkeys(("fpu", "pae", "cx8", "fxsr", "sse", "sse2", "lm", "cmov", "syscall", "tsc"), {HALTED}),
            "msr": {HALTED, RESET}, "pge": {RESET}}
# What no model has until it is asked for.
ASKED = [("intel", "+sgx,+pconfig,+mpx"), ("max", "+sgx,+pconfig,+mpx"), ("intel", "+hypervisor"), ("amd", "+hypervisor")]
TROUBLE = re.compile(r"BUG:|WARNING:|soft lockup|hard LOCKUP|rcu_.*stall|Oops|panic|TSC.*(unstable|failed)|"
                     r"clocksource.*unstable|unchecked MSR|invalid opcode|general protection", re.M)


def switches(vitrine, models):
    """(model, feature) for each model's features, as the list says."""
    text = subprocess.run([vitrine, "cpu", "features"], capture_output=True, text=True, check=True).stdout
    rows = []
    for line in text.splitlines()[1:]:
        name, have = line.split()[0], line[50:67].split()
        if line[50:67].startswith("not impl"):
            continue
        rows += [(m, "-" + name) for m in models if m in have]
    return rows + [r for r in ASKED if r[0] in models]


def boot(a, model, feature):
    command = [a.vitrine, "run", "--kernel", a.kernel, "--initrd", a.initrd, "--append", "console=ttyS0",
               "--memory", "256M", "--cpu", f"{model},{feature}", "--no-reboot", "--stop-on", "@@ SHELL",
               "--max-instructions", "4000000000"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=600)
    except subprocess.TimeoutExpired:
        return False, "no end after 600 s"
    text = done.stdout.decode("latin1")
    found = TROUBLE.search(text)
    if text == "" and done.returncode in REQUIRED.get(feature[1:], ()):
        return True, "the kernel needs it and says nothing"
    if done.returncode == 0 and "@@ SHELL" in text and not found:
        return True, "shell"
    why = f"console shows {found.group(0)!r}" if found else "no shell"
    return False, f"status {done.returncode}, {why}: {done.stderr.decode('latin1').strip()}\n{text[-1500:]}"


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--vitrine", required=True)
    ap.add_argument("--kernel", required=True)
    ap.add_argument("--initrd", required=True)
    ap.add_argument("--models", default="intel,amd,max")
    ap.add_argument("--only", default="", help="these switches; on: what no model has")
    ap.add_argument("--first", type=int, default=1, help="start at this one")
    ap.add_argument("--jobs", type=int, default=1)
    a = ap.parse_args()
    skip_without([a.kernel, a.initrd])
    rows = switches(a.vitrine, a.models.split(","))
    if a.only:
        only = a.only.split(",")
        rows = [r for r in rows if r[1][1:] in only or (r[1][0] == "+" and "on" in only)]
    rows = rows[a.first - 1:]
    bad = []
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        for i, ((model, feature), (ok, what)) in enumerate(zip(rows, pool.map(lambda r: boot(a, *r), rows))):
            print(f"[{a.first + i}/{a.first + len(rows) - 1}] {model},{feature}: {'ok: ' if ok else 'FAIL: '}{what}", flush=True)
            bad += [] if ok else [f"{model},{feature}"]
    print(f"{len(rows)} switches, {len(bad)} break the boot{': ' if bad else ''}{' '.join(bad)}")
    return 1 if bad else 0


sys.exit(main())
