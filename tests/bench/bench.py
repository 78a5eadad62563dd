#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures, not tests: integer MIPS of a small loop, the CPU seconds of a stock boot, the cost of an exit from a guest of
KVM in the stock kernel, and of the isolation watch, Vitrine against
qemu-system-x86_64 -accel tcg (where it is installed) and, for the loop, the host itself. Runs are interleaved, so
that a busy host hits all alike; medians are shown. CPU seconds are the child's user and system time.

usage: bench.py [--build DIR] [--pairs N] [--no-boot] [--boot-pairs N] [--only loop|boot|exits|watch]
                [--engines jit,interp]: of `watch`"""
import argparse
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCE = os.path.join(ROOT, "tests/guests/tiny/bench.S")
PER_LOOP = 16
LIMIT = 124  # the limit of --max-instructions


def assemble(folder, name, loops, bits, host=False):
    """The loop as a Multiboot kernel, or as a program of the host."""
    out = os.path.join(folder, name)
    wide = host and bits == 64
    subprocess.run(["gcc", "-m64" if wide else "-m32", f"-DBENCH_LOOPS={loops}", f"-DBENCH_BITS={bits}",
                    *(["-DBENCH_HOST"] if host else []), "-c", "-o", out + ".o", SOURCE], check=True)
    subprocess.run(["ld", "-m", "elf_x86_64" if wide else "elf_i386", "-Ttext=0x100000", "-e", "start", "--build-id=none",
                    "-z", "noexecstack", "-o", out, out + ".o"], check=True)
    return out


def cpu_seconds(command, expect=None):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, LIMIT) or (expect and expect not in done.stdout):
        sys.exit(f"bench: failed ({done.returncode}): {' '.join(command)}\n{done.stderr.decode('latin1')[-500:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def interleave(commands, pairs, expect=None):
    times = {name: [] for name in commands}
    for _ in range(pairs):
        for name, command in commands.items():
            times[name].append(cpu_seconds(command, expect))
    return {name: statistics.median(values) for name, values in times.items()}


def loop(vitrine, qemu, folder, pairs, bits):
    small, large = 1_000_000, 21_000_000
    commands = {}
    for size, loops in (("small", small), ("large", large)):
        image = assemble(folder, f"bench-{size}-{bits}", loops, bits)
        for engine in ("interp", "jit"):
            commands[f"{engine} {size}"] = [vitrine, "run", "--engine", engine, "--kernel", image, "--serial", "none"]
        if qemu:
            commands["qemu tcg " + size] = [qemu, "-M", "q35", "-accel", "tcg", "-display", "none", "-serial", "none",
                                            "-monitor", "none", "-net", "none", "-kernel", image]
        commands["native " + size] = [assemble(folder, f"native-{size}-{bits}", loops, bits, host=True)]
    times = interleave(commands, pairs)
    print(f"integer loop (load, store, multiply, call, branches), {bits}-bit code:")
    for name in ("interp", "jit", "qemu tcg", "native"):
        if name + " large" in times:
            seconds = times[name + " large"] - times[name + " small"]
            mips = (large - small) * PER_LOOP / max(seconds, 1e-9) / 1e6
            print(f"  {name:10} {mips:10.0f} MIPS   {1e9 * seconds / ((large - small) * PER_LOOP):7.2f} ns an instruction")


def boot(vitrine, qemu, folder, pairs):
    kernel = os.path.join(ROOT, ".cache/inputs/vmlinuz-cloud")
    if not os.path.exists(kernel):
        print("stock boot: no kernel; scripts/fetch-inputs gets it")
        return
    initrd = os.path.join(folder, "initrd.gz")
    guests = os.path.join(ROOT, "tests/guests")
    subprocess.run([os.path.join(guests, "make_initrd.sh"), initrd, os.path.join(guests, "shell_commands")], check=True)
    common = ["-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0", "-m", "512M"]
    commands = {e: [vitrine, "run", "--engine", e, *common] for e in ("interp", "jit")}
    if qemu:
        commands["qemu tcg"] = [qemu, "-M", "q35", "-accel", "tcg", "-cpu", "max", "-nographic", "-no-reboot", "-net", "none",
                                *common]
    times = interleave(commands, pairs, b"@@ DONE")
    print(f"stock boot to a shell, some commands, power off ({os.path.basename(os.path.realpath(kernel))}):")
    for name, seconds in times.items():
        print(f"  {name:10} {seconds:7.1f} CPU seconds")


def position(done):
    found = re.search(r"position (\d+)", (done.stdout + done.stderr).decode("latin1"))
    return int(found.group(1)) if found else 0


def exits(build, vitrine, qemu, folder, pairs):
    """CPUID in a guest of KVM: out of it, through the kernel, back. From a machine saved when it is warm, where
    that can be."""
    kernel = os.path.join(ROOT, ".cache/inputs/vmlinuz")
    modules = os.path.join(build, "tests/guests/media/modules-kvm")
    if not os.path.exists(kernel) or not os.path.exists(modules):
        print("exits: no kernel or no modules; scripts/fetch-inputs and the test guest.media make them")
        return
    extra = os.path.join(folder, "extra")
    os.mkdir(extra)
    shutil.copy(os.path.join(build, "tests/guests/small_vmm"), extra)
    initrd = os.path.join(folder, "exits.cpio")
    subprocess.run([os.path.join(ROOT, "tests/guests/make_initrd.sh"), initrd, os.path.join(ROOT, "tests/bench/exits_commands")],
                   check=True, env={**os.environ, "MODULES": modules, "EXTRA": extra})
    few, many = 1000, 51000
    boot_with = lambda n: ["-kernel", kernel, "-initrd", initrd, "-append", f"console=ttyS0 quiet exits={few},{n}", "-m", "256M"]
    commands, counts = {}, {}
    for cpu in ("intel", "amd"):
        # Vitrine is saved when it is warm, and measured from there to the second guest's end.
        saved = os.path.join(folder, f"{cpu}.save")
        run = lambda engine, *more: [vitrine, "run", "--engine", engine, "--hash", *more]
        subprocess.run(run("jit", "--cpu", cpu, *boot_with(many), "--stop-on", "@@ VMM exits ok", "--save", saved),
                       stdin=subprocess.DEVNULL, capture_output=True, check=True)
        whole = ["--load", saved, "--stop-on", "@@ VMM exits ok"]
        out = subprocess.run(run("jit", *whole), stdin=subprocess.DEVNULL, capture_output=True, check=True)
        end = position(out)
        start = position(subprocess.run(run("jit", "--load", saved, "--max-instructions", "1"), stdin=subprocess.DEVNULL,
                                        capture_output=True, check=False))
        counts[cpu] = (end - start) / many
        for engine in ("interp", "jit"):
            commands[f"{engine} {cpu} large"] = run(engine, *whole)
            commands[f"{engine} {cpu} small"] = run(engine, "--load", saved, "--max-instructions", "1")
    if qemu:
        tcg = [qemu, "-M", "q35", "-accel", "tcg", "-cpu", "max,+svm", "-nographic", "-no-reboot", "-net", "none"]
        commands["qemu tcg svm large"] = [*tcg, *boot_with(4 * many)]
        commands["qemu tcg svm small"] = [*tcg, *boot_with(few)]
    times = interleave(commands, pairs)
    print("CPUID in a guest of KVM (stock kernel), an exit and the way back:")
    for name in ("interp intel", "jit intel", "interp amd", "jit amd", "qemu tcg svm"):
        if name + " large" in times:
            n = 4 * many - few if name.startswith("qemu") else many
            ns = 1e9 * (times[name + " large"] - times[name + " small"]) / n
            cpu = name.split()[-1]
            print(f"  {name:14} {ns:9.0f} ns" + (f"   {counts[cpu]:8.0f} instructions" if cpu in counts else ""))


def watch(build, vitrine, folder, pairs, engines):
    """What --watch costs: a stock boot, which has no guests, and a guest's boot under KVM, from its first instruction on."""
    kernel = os.path.join(ROOT, ".cache/inputs/vmlinuz-cloud")
    nested = os.path.join(build, "tests/guests/media/nested-cloud.cpio")
    if not os.path.exists(kernel) or not os.path.exists(nested):
        print("watch: no kernel or no media; scripts/fetch-inputs and the test guest.media make them")
        return
    initrd = os.path.join(folder, "watch.gz")
    guests = os.path.join(ROOT, "tests/guests")
    subprocess.run([os.path.join(guests, "make_initrd.sh"), initrd, os.path.join(guests, "shell_commands")], check=True)
    off_on = {"off": [], "on": ["--watch"]}
    boot_of = ["--kernel", kernel, "--initrd", initrd, "--append", "console=ttyS0", "-m", "512M"]
    commands = {f"stock boot, {engine}, watch {name}": [vitrine, "run", "--engine", engine, *boot_of, *more]
                for engine in engines for name, more in off_on.items()}
    count = 600_000_000
    for cpu in ("intel", "amd"):
        saved = os.path.join(folder, f"nested.{cpu}.save")
        subprocess.run([vitrine, "run", "--engine", "jit", "--kernel", kernel, "--initrd", nested, "--append",
                        "console=ttyS0 quiet machines=microvm", "-m", "1G", "--cpu", cpu, "--stop-on", "@@ L2 START", "--save", saved],
                       stdin=subprocess.DEVNULL, capture_output=True, check=True)
        start = position(subprocess.run([vitrine, "run", "--load", saved, "--max-instructions", "1", "--hash"],
                                        stdin=subprocess.DEVNULL, capture_output=True, check=False))
        for engine in engines:
            for name, more in off_on.items():
                commands[f"boot under KVM, {cpu}, {engine}, watch {name}"] = [
                    vitrine, "run", "--engine", engine, "--load", saved, "--max-instructions", str(start + count), *more]
    times = interleave(commands, pairs)
    print(f"the isolation watch (a boot under KVM: its first {count // 10**6} million instructions, and loading the saved machine):")
    for name, seconds in times.items():
        if name.endswith("off"):
            on = times[name[:-3] + "on"]
            print(f"  {name[:-11]:32} off {seconds:6.1f} CPU seconds, on {on:6.1f}, {100 * (on / seconds - 1):+5.1f} %")


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    ap.add_argument("--build", default=os.path.join(ROOT, "build/release"))
    ap.add_argument("--pairs", type=int, default=5)
    ap.add_argument("--boot-pairs", type=int, default=3)
    ap.add_argument("--no-boot", action="store_true")
    ap.add_argument("--engines", default="interp,jit")
    ap.add_argument("--only", choices=("loop", "boot", "exits", "watch"))
    a = ap.parse_args()
    vitrine = os.path.join(a.build, "debugger/vitrine")
    qemu = shutil.which("qemu-system-x86_64")
    if not qemu:
        print("note: no qemu-system-x86_64 here; only Vitrine and the host are measured")
    with tempfile.TemporaryDirectory() as folder:
        if a.only in (None, "loop"):
            for bits in (32, 64):
                loop(vitrine, qemu, folder, a.pairs, bits)
        if a.only == "boot" or (a.only is None and not a.no_boot):
            boot(vitrine, qemu, folder, a.boot_pairs)
        if a.only == "exits" or (a.only is None and not a.no_boot):
            exits(a.build, vitrine, qemu, folder, a.boot_pairs)
        if a.only == "watch" or (a.only is None and not a.no_boot):
            watch(a.build, vitrine, folder, a.boot_pairs, a.engines.split(","))


main()
