#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the simulator itself takes: to translate an instruction (of the stock boot, bench_translate), memory in a stock boot
(the most that was resident, what the guest touched of its 512 MiB included), and time to start: to the first instruction of a stock
kernel, and of a machine saved in its shell.

usage: costs.py [--build DIR] [--pairs N] [--json FILE]"""
import os
import re
import subprocess
import time

import common

STARTS = 5


class Costs:
    @staticmethod
    def options(ap):
        del ap

    def __init__(self, a, folder):
        initrd, saved = common.media(a, "shell.cpio.gz"), os.path.join(folder, "saved")
        translate = os.path.join(a.build, "tests/bench/bench_translate")
        common.need(common.CLOUD, initrd, translate)
        guest = ["-kernel", common.CLOUD, "-initrd", initrd, "-append", "console=ttyS0", "-m", "512M"]
        one = ["--max-instructions", "1"]
        common.used(common.vitrine(a, *guest, "--stop-on", "@@ SHELL", "--save", saved))
        self.translate = [translate, "700000000", *guest]
        self.boots = {"jit": common.vitrine(a, "--engine", "jit", "--log", "jit", *guest), "interp": common.vitrine(a, "--engine", "interp", *guest)}
        if common.QEMU:
            self.boots["tcg"] = common.tcg(*guest)
        self.starts = {"start": common.vitrine(a, *guest, *one), "restore": common.vitrine(a, "--load", saved, *one)}
        self.size = os.path.getsize(saved) / 2**20
        self.figures = {}

    def note(self, row, value):
        self.figures.setdefault(row, []).append(value)

    def round(self):
        ns, size, count = re.search(r"([\d.]+) ns, ([\d.]+) bytes .* (\d+) instructions", common.used(self.translate)[2]).groups()
        self.note("translate_ns", float(ns))
        self.note("translated_bytes", float(size))
        self.note("translated_instructions", int(count))
        for e, command in self.boots.items():
            _, mib, text = common.used(command, b"@@ DONE")
            self.note(f"memory_{e}", mib)
            found = re.search(r"instructions, (\d+) bytes", text)
            if found:
                self.note("code_memory", int(found[1]) / 2**20)
        for name, command in self.starts.items():
            for _ in range(STARTS):
                begun = time.monotonic()
                cpu = common.cpu_seconds(command)
                self.note(f"{name}_wall", 1e3 * (time.monotonic() - begun))
                self.note(f"{name}_cpu", 1e3 * cpu)

    def result(self):
        m = {row: common.median(values) for row, values in self.figures.items()}
        m["saved_mib"] = self.size
        print(f"to translate an instruction: {m['translate_ns']:.0f} ns, {m['translated_bytes']:.1f} bytes of host code "
              f"(all {m['translated_instructions']:.0f} that a stock boot has decoded)")
        print("memory in a stock boot, MiB: " + ", ".join(f"{e} {m['memory_' + e]:.0f}" for e in self.boots) +
              f"; translations {m['code_memory']:.1f} of it")
        print(f"to the first instruction: of a stock kernel {m['start_cpu']:.0f} ms of processor, {m['start_wall']:.0f} ms; of a saved "
              f"machine ({m['saved_mib']:.0f} MiB) {m['restore_cpu']:.0f} ms, {m['restore_wall']:.0f} ms")
        return m


if __name__ == "__main__":
    common.session([Costs], __doc__)
