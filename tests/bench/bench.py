#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""More figures, not tests: integer MIPS of a small loop, the CPU seconds of a stock boot to a shell, the cost of
the isolation watch, Vitrine against
qemu-system-x86_64 -accel tcg (where it is installed) and, for the loop, the host itself. Runs are interleaved, so
that a busy host hits all alike; medians are shown. CPU seconds are the child's user and system time.

usage: bench.py [--build DIR] [--pairs N] [--no-boot] [--boot-pairs N] [--only loop|boot|watch]
                [--engines jit,interp]: of `watch`"""
import argparse
import os
import re
import subprocess
import tempfile

import common

SOURCE = os.path.join(common.ROOT, "tests/guests/tiny/bench.S")
PER_LOOP = 16


def assemble(folder, name, loops, bits, host=False):
    """The loop as a Multiboot kernel, or as a program of the host."""
    out = os.path.join(folder, name)
    wide = host and bits == 64
    subprocess.run(["gcc", "-m64" if wide else "-m32", f"-DBENCH_LOOPS={loops}", f"-DBENCH_BITS={bits}",
                    *(["-DBENCH_HOST"] if host else []), "-c", "-o", out + ".o", SOURCE], check=True)
    subprocess.run(["ld", "-m", "elf_x86_64" if wide else "elf_i386", "-Ttext=0x100000", "-e", "start", "--build-id=none",
                    "-z", "noexecstack", "-o", out, out + ".o"], check=True)
    return out


def loop(a, folder, bits):
    small, large = 1_000_000, 21_000_000
    commands = {}
    for size, loops in (("small", small), ("large", large)):
        image = assemble(folder, f"bench-{size}-{bits}", loops, bits)
        for engine in ("interp", "jit"):
            commands[f"{engine} {size}"] = common.vitrine(a, "--engine", engine, "--kernel", image, "--serial", "none")
        if common.QEMU:
            commands["qemu tcg " + size] = [common.QEMU, "-M", "q35", "-accel", "tcg", "-display", "none", "-serial", "none",
                                            "-monitor", "none", "-net", "none", "-kernel", image]
        commands["native " + size] = [assemble(folder, f"native-{size}-{bits}", loops, bits, host=True)]
    times = common.interleave(commands, a.pairs)
    print(f"integer loop (load, store, multiply, call, branches), {bits}-bit code:")
    for name in ("interp", "jit", "qemu tcg", "native"):
        if name + " large" in times:
            seconds = times[name + " large"] - times[name + " small"]
            mips = (large - small) * PER_LOOP / max(seconds, 1e-9) / 1e6
            print(f"  {name:10} {mips:10.0f} MIPS   {1e9 * seconds / ((large - small) * PER_LOOP):7.2f} ns an instruction")


def stock_boot(folder):
    initrd = os.path.join(folder, "initrd.gz")
    common.initrd_of_commands(initrd, os.path.join(common.ROOT, "tests/guests/shell_commands"))
    return ["-kernel", common.CLOUD, "-initrd", initrd, "-append", "console=ttyS0", "-m", "512M"]


def boot(a, folder):
    common.need(common.CLOUD)
    guest = stock_boot(folder)
    commands = {e: common.vitrine(a, "--engine", e, *guest) for e in ("interp", "jit")}
    if common.QEMU:
        commands["qemu tcg"] = common.tcg(*guest)
    print("stock boot to a shell, some commands, power off:")
    for name, seconds in common.interleave(commands, a.boot_pairs, b"@@ DONE").items():
        print(f"  {name:10} {seconds:7.1f} CPU seconds")


def watch(a, folder):
    """What --watch costs: a stock boot, which has no guests, and a guest's boot under KVM, from its first instruction on."""
    nested = common.media(a, "nested-cloud.cpio")
    common.need(common.CLOUD, nested)
    off_on = {"off": [], "on": ["--watch"]}
    engines = a.engines.split(",")
    guest = stock_boot(folder)
    commands = {f"stock boot, {engine}, watch {name}": common.vitrine(a, "--engine", engine, *guest, *more)
                for engine in engines for name, more in off_on.items()}
    count = 600_000_000
    for cpu in ("intel", "amd"):
        saved = os.path.join(folder, f"nested.{cpu}.save")
        subprocess.run(common.vitrine(a, "--engine", "jit", "--kernel", common.CLOUD, "--initrd", nested, "--append",
                                      "console=ttyS0 quiet machines=microvm", "-m", "1G", "--cpu", cpu, "--stop-on", "@@ L2 START", "--save", saved),
                       stdin=subprocess.DEVNULL, capture_output=True, check=True)
        text = common.used(common.vitrine(a, "--load", saved, "--max-instructions", "1", "--hash"))[2]
        start = int(re.search(r"position (\d+)", text)[1])
        for engine in engines:
            for name, more in off_on.items():
                commands[f"boot under KVM, {cpu}, {engine}, watch {name}"] = common.vitrine(
                    a, "--engine", engine, "--load", saved, "--max-instructions", str(start + count), *more)
    times = common.interleave(commands, a.boot_pairs)
    print(f"the isolation watch (a boot under KVM: its first {count // 10**6} million instructions, and loading the saved machine):")
    for name, seconds in times.items():
        if name.endswith("off"):
            on = times[name[:-3] + "on"]
            print(f"  {name[:-11]:32} off {seconds:6.1f} CPU seconds, on {on:6.1f}, {100 * (on / seconds - 1):+5.1f} %")


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    ap.add_argument("--build", default=os.path.join(common.ROOT, "build/release"))
    ap.add_argument("--pairs", type=int, default=5)
    ap.add_argument("--boot-pairs", type=int, default=3)
    ap.add_argument("--no-boot", action="store_true")
    ap.add_argument("--engines", default="interp,jit")
    ap.add_argument("--only", choices=("loop", "boot", "watch"))
    a = ap.parse_args()
    if not common.QEMU:
        print("note: no qemu-system-x86_64 here; only Vitrine and the host are measured")
    with tempfile.TemporaryDirectory() as folder:
        if a.only in (None, "loop"):
            for bits in (32, 64):
                loop(a, folder, bits)
        if a.only == "boot" or (a.only is None and not a.no_boot):
            boot(a, folder)
        if a.only == "watch" or (a.only is None and not a.no_boot):
            watch(a, folder)


main()
