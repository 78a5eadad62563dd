#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hypervisor's work costs: guests of a few instructions under KVM in a stock kernel (small_vmm.c): an exit by CPUID
(the kernel answers it), by OUT (the program does), a second-level fault (the first write to a page, with the kernel's
work), a turn of a loop that never leaves; and KVM's boot of the same kernel to its shell, in CPU seconds. Vitrine on
Intel and AMD, QEMU TCG with SVM plain and with -icount; interleaved, medians, CPU time between marks, less what the
same guest with little to do takes.

usage: nested.py [--build DIR] [--pairs N] [--more N] [--no-boot] [--nested-engines LIST] [--json FILE]"""
import os
import shutil
import sys

import common

ROWS = {"exits": "CPUID exit, ns", "ports": "port exit, ns", "pages": "EPT violation, ns", "compute": "turn of an L2 loop, ns"}


def marks(command):
    """{name: (CPU seconds, amount)}"""
    out, began = {}, 0.0
    for child, line in common.lines_of(command):
        words = line.split()
        if "FAIL" in words:
            sys.exit(f"nested.py: {line}")
        if words[:2] == ["@@", "BEGIN"]:
            began = common.threads_cpu(child.pid)
        elif words[:2] == ["@@", "END"]:
            out[words[2]] = (common.threads_cpu(child.pid) - began, int(words[3]))
    return out


def nanoseconds(got, row):
    (few, n), (many, m) = got[row + ".few"], got[row + ".many"]
    return 1e9 * (many - few) / (m - n)


def boot(command):
    """CPU seconds from the machine's start to the shell of KVM's guest."""
    for child, line in common.lines_of(command):
        if line.startswith("@@ L2 ") and "cpus=" in line:
            seconds = common.threads_cpu(child.pid)
            child.kill()
            return seconds
    sys.exit(f"nested.py: no shell of a guest: {' '.join(command)}")


class Nested:
    @staticmethod
    def options(ap):
        ap.add_argument("--more", type=int, default=1, help="times as many exits")
        ap.add_argument("--no-boot", action="store_true")
        ap.add_argument("--nested-engines", default="jit intel,jit amd,tcg,icount")

    def __init__(self, a, folder):
        modules, nested = common.media(a, "modules-kvm"), common.media(a, "nested-cloud.cpio")
        common.need(common.KERNEL, modules, nested)
        initrd, extra = os.path.join(folder, "nested.cpio"), os.path.join(folder, "extra")
        os.mkdir(extra)
        shutil.copy(os.path.join(a.build, "tests/guests/small_vmm"), extra)
        common.initrd_of_commands(initrd, os.path.join(common.ROOT, "tests/bench/nested_commands"), MODULES=modules, EXTRA=extra)
        self.exits = self.commands(a, ["-kernel", common.KERNEL, "-initrd", initrd, "-append", f"console=ttyS0 quiet more={a.more}",
                                       "-m", "256M"])
        self.boots = self.commands(a, ["-kernel", common.CLOUD, "-initrd", nested, "-append", "console=ttyS0 quiet machines=microvm",
                                       "-m", "1G"])
        self.engines = [e for e in a.nested_engines.split(",") if self.exits[e][0]]
        self.got = {e: [] for e in self.engines}
        self.boot_times = {} if a.no_boot else {e: [] for e in self.engines}

    @staticmethod
    def commands(a, guest):
        svm = common.tcg(*guest, cpu="max,+svm")
        ours = {f"{e} {cpu}": common.vitrine(a, "--engine", e, "--cpu", cpu, *guest) for e in ("jit", "interp") for cpu in ("intel", "amd")}
        return {**ours, "tcg": svm, "icount": [*svm, *common.ICOUNT]}

    def round(self):
        for e in self.engines:
            self.got[e].append(marks(self.exits[e]))
            if self.boot_times:
                self.boot_times[e].append(boot(self.boots[e]))

    def result(self):
        cells = {row: {e: common.median([nanoseconds(g, row) for g in self.got[e]]) for e in self.engines} for row in ROWS}
        rows = dict(ROWS)
        if self.boot_times:
            cells["boot"] = {e: common.median(self.boot_times[e]) for e in self.engines}
            rows["boot"] = "L2 boot, CPU s"
        common.table("nested", rows, self.engines, lambda row, e: cells[row][e])
        return cells


if __name__ == "__main__":
    common.session([Nested], __doc__)
