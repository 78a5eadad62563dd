#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark guest (kernels.c) on the host, in QEMU TCG (plain and -icount shift=0) and in Vitrine: CPU time of each
kernel, ratios to the host, geometric means. Runs are interleaved, so that a busy host hits all alike; medians are shown.

The guest is /init of a stock kernel; its marks on the serial line say when to read the CPU time that the simulator's
threads have used. On the host the program reads its own. QEMU is optional.

usage: kernels.py [--build DIR] [--pairs N] [--scale N] [--only KERNEL] [--engines LIST] [--json FILE]
       kernels.py --quick   a test: the guest's checksums are the host's; no figures"""
import math
import os
import statistics
import subprocess
import sys

import common

ENGINES = ("native", "jit", "interp", "tcg", "icount")


def build_guest(folder):
    """The program, and an initrd of it."""
    program, initrd = os.path.join(folder, "kernels"), os.path.join(folder, "kernels.initrd")
    subprocess.run(["gcc", "-O2", "-static", "-ffp-contract=off", "-o", program,
                    os.path.join(common.ROOT, "tests/bench/kernels.c")], check=True)
    common.initrd_of_program(initrd, program)
    return program, initrd


def run(command, env=None):
    """{kernel: (CPU seconds, checksum)}; with "boot" for all before the first kernel."""
    out, began, done = {}, 0.0, False
    for child, line in common.lines_of(command, env):
        at = line.find("@@ ")
        words = line[at:].split() if at >= 0 else []
        if words[1:2] == ["BEGIN"]:
            began = common.threads_cpu(child.pid)
            out.setdefault("boot", (began, ""))
        elif words[1:2] == ["END"]:
            out[words[2]] = (common.threads_cpu(child.pid) - began, words[3])
        elif words[1:2] == ["CPU"]:
            out[words[2]] = (float(words[3]), out[words[2]][1])
        elif words[1:2] == ["DONE"]:
            done = True
    if not done:
        sys.exit(f"kernels.py: no end: {' '.join(command)}")
    return out


class Kernels:
    @staticmethod
    def options(ap):
        ap.add_argument("--scale", type=int, help="the amount of work; 1 shows translation too, 64 the rest")
        ap.add_argument("--only", help="one kernel")
        ap.add_argument("--engines", default=",".join(ENGINES))
        ap.add_argument("--option", action="append", default=[], help="one more argument for vitrine")
        ap.add_argument("--quick", action="store_true")

    def __init__(self, a, folder):
        common.need(common.CLOUD)
        scale = a.scale or (1 if a.quick else 16)
        program, initrd = build_guest(folder)
        extra = f" only={a.only}" if a.only else ""
        guest = ["-kernel", common.CLOUD, "-initrd", initrd, "-append", f"console=ttyS0 quiet scale={scale}{extra}", "-m", "512M"]
        vitrine = common.vitrine(a, "--seed", "1", *guest, *a.option)
        self.commands = {"native": [program], "jit": [*vitrine, "--engine", "jit"], "interp": [*vitrine, "--engine", "interp"],
                         "tcg": common.tcg(*guest), "icount": common.tcg(*guest, *common.ICOUNT)}
        self.env = dict(os.environ, scale=str(scale), own="1", **({"only": a.only} if a.only else {}))
        if a.quick:
            self.quick()
        self.engines = ["native"] + [e for e in a.engines.split(",") if e in ENGINES[1:] and self.commands[e][0]]
        self.times = {e: {} for e in self.engines}

    def quick(self):
        want = run(self.commands["native"], self.env)
        got = run(self.commands["jit"])
        wrong = [k for k in want if k != "boot" and want[k][1] != got.get(k, (0, ""))[1]]
        for k in wrong:
            print(f"{k}: {got.get(k, (0, 'missing'))[1]}, the host says {want[k][1]}")
        print(f"{len(want) - 1 - len(wrong)} of {len(want) - 1} kernels give the host's checksum")
        sys.exit(1 if wrong else 0)

    def round(self):
        sums = {}
        for e in self.engines:
            for k, (seconds, checksum) in run(self.commands[e], self.env if e == "native" else None).items():
                self.times[e].setdefault(k, []).append(seconds)
                if k != "boot" and sums.setdefault(k, checksum) != checksum:
                    sys.exit(f"kernels.py: {k}: {e} gives {checksum}, the host {sums[k]}")
            if not sums:
                sys.exit("kernels.py: --only: there is no such kernel; kernels[] of kernels.c names them")

    def result(self):
        medians = {e: {k: statistics.median(v) for k, v in self.times[e].items()} for e in self.engines}
        others = [e for e in self.engines if e != "native"]
        kernels = [k for k in medians["native"] if k != "boot"]
        ratio = {e: {k: max(medians[e][k], 1e-6) / max(medians["native"][k], 1e-6) for k in kernels} for e in others}
        common.table("slowdown against native", {k: k for k in kernels}, others, lambda k, e: ratio[e][k])
        means = {e: math.exp(statistics.mean(math.log(r) for r in ratio[e].values())) for e in others}
        rows = {"mean": "mean (geometric)", "boot": "stock boot, CPU s"}
        common.table("", rows, others, lambda row, e: means[e] if row == "mean" else medians[e]["boot"])
        for e in ("tcg", "icount"):
            if e in others and "jit" in others:
                slower = [k for k in kernels if ratio["jit"][k] > ratio[e][k]]
                print(f"{e} takes {means[e] / means['jit']:.2f} times as long as jit; kernels where jit is slower: "
                      f"{', '.join(slower) or 'none'}")
        return {"seconds": medians, "geometric_mean": means, "boot_seconds": {e: medians[e]["boot"] for e in others}}


if __name__ == "__main__":
    common.session([Kernels], __doc__)
