#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hypervisor's work costs: guests of a few instructions under KVM in a stock kernel (small_vmm.c): an exit by CPUID
(the kernel answers it), by OUT (the program does), a second-level fault (the first write to a page, with the kernel's
work), a turn of a loop that never leaves; and KVM's boot of the same kernel to its shell, in CPU seconds. Vitrine on
Intel and AMD, QEMU TCG with SVM plain and with -icount; interleaved, medians, CPU time between marks, less what the
same guest with little to do takes.

usage: nested.py [--build DIR] [--pairs N] [--more N] [--no-boot] [--engines LIST] [--json FILE]"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

import kernels

ROOT = kernels.ROOT
ROWS = (("exits", "CPUID exit"), ("ports", "port exit"), ("pages", "EPT violation"), ("compute", "turn of an L2 loop"))


def commands(a, folder):
    initrd, extra = os.path.join(folder, "nested.cpio"), os.path.join(folder, "extra")
    os.mkdir(extra)
    shutil.copy(os.path.join(a.build, "tests/guests/small_vmm"), extra)
    subprocess.run([os.path.join(ROOT, "tests/guests/make_initrd.sh"), initrd, os.path.join(ROOT, "tests/bench/nested_commands")],
                   check=True, env={**os.environ, "MODULES": a.modules, "EXTRA": extra})
    guest = ["-kernel", a.kernel, "-initrd", initrd, "-append", f"console=ttyS0 quiet more={a.more}", "-m", "256M"]
    vitrine = [os.path.join(a.build, "debugger/vitrine"), "run", "--engine"]
    tcg = [shutil.which("qemu-system-x86_64") or "", "-M", "q35", "-accel", "tcg", "-cpu", "max,+svm", "-nographic",
           "-no-reboot", "-net", "none", *guest]
    return {"jit intel": [*vitrine, "jit", "--cpu", "intel", *guest], "jit amd": [*vitrine, "jit", "--cpu", "amd", *guest],
            "interp amd": [*vitrine, "interp", "--cpu", "amd", *guest], "tcg": tcg,
            "icount": [*tcg, "-icount", "shift=0,sleep=off"]}


def marks(command):
    """{name: (CPU seconds, amount)}"""
    out, began = {}, 0.0
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          bufsize=0) as child:
        for raw in child.stdout:
            words = raw.decode("latin1").strip().split()
            if "FAIL" in words:
                sys.exit(f"nested.py: {' '.join(words)}")
            if words[:2] == ["@@", "BEGIN"]:
                began = kernels.threads_cpu(child.pid)
            elif words[:2] == ["@@", "END"]:
                out[words[2]] = (kernels.threads_cpu(child.pid) - began, int(words[3]))
    return out


def nanoseconds(got, row):
    (few, n), (many, m) = got[row + ".few"], got[row + ".many"]
    return 1e9 * (many - few) / (m - n)


def boot(a, engine):
    """CPU seconds from the machine's start to the shell of KVM's guest."""
    cloud = os.path.join(ROOT, ".cache/inputs/vmlinuz-cloud")
    guest = ["-kernel", cloud, "-initrd", a.nested, "-append", "console=ttyS0 quiet machines=microvm", "-m", "1G"]
    vitrine = [os.path.join(a.build, "debugger/vitrine"), "run", "--engine"]
    todo = {"jit intel": [*vitrine, "jit", "--cpu", "intel", *guest], "jit amd": [*vitrine, "jit", "--cpu", "amd", *guest],
            "tcg": [shutil.which("qemu-system-x86_64") or "", "-M", "q35", "-accel", "tcg", "-cpu", "max,+svm", "-nographic",
                    "-no-reboot", "-net", "none", *guest]}
    if engine not in todo:
        return None
    with subprocess.Popen(todo[engine], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          bufsize=0) as child:
        for raw in child.stdout:
            if raw.startswith(b"@@ L2 ") and b"cpus=" in raw:
                seconds = kernels.threads_cpu(child.pid)
                child.kill()
                return seconds
    return None


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    ap.add_argument("--build", default=os.path.join(ROOT, "build/release"))
    ap.add_argument("--pairs", type=int, default=3)
    ap.add_argument("--more", type=int, default=1)
    ap.add_argument("--no-boot", action="store_true")
    ap.add_argument("--engines", default="jit intel,jit amd,tcg,icount")
    ap.add_argument("--json")
    a = ap.parse_args()
    a.kernel = os.path.join(ROOT, ".cache/inputs/vmlinuz")
    a.modules = os.path.join(a.build, "tests/guests/media/modules-kvm")
    a.nested = os.path.join(a.build, "tests/guests/media/nested-cloud.cpio")
    if not os.path.exists(a.kernel) or not os.path.exists(a.modules):
        print("no kernel or no modules; scripts/fetch-inputs and the test guest.media make them")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        todo = commands(a, folder)
        engines = [e for e in a.engines.split(",") if e in todo and (todo[e][0] or "jit" in e)]
        got = {e: [] for e in engines}
        boots = {e: [] for e in engines}
        for _ in range(a.pairs):
            for e in engines:
                got[e].append(marks(todo[e]))
                seconds = None if a.no_boot or not os.path.exists(a.nested) else boot(a, e)
                boots[e] += [seconds] if seconds is not None else []
    result = {}
    print(f"{'ns each':22}" + "".join(f"{e:>14}" for e in engines))
    for row, name in ROWS:
        result[row] = {e: statistics.median(nanoseconds(g, row) for g in got[e]) for e in engines}
        print(f"{name:22}" + "".join(f"{result[row][e]:14.1f}" for e in engines))
    result["boot"] = {e: statistics.median(boots[e]) for e in engines if boots[e]}
    if result["boot"]:
        print(f"{'L2 boot, CPU s':22}" + "".join(f"{result['boot'].get(e, float('nan')):14.1f}" for e in engines))
    if a.json:
        with open(a.json, "w", encoding="utf-8") as f:
            json.dump(result, f, indent=2)


if __name__ == "__main__":
    main()
