#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stock gdb, and our shell, at a hypervisor on two processors with its guest: C functions by their symbols, at both
levels, with either engine. usage: gdb_stack.py VITRINE TINY_GUESTS INPUTS BUILD"""
import os
import shutil
import subprocess
import sys

from case import VITRINE, run, want
from stock_gdb import session

BUILD = sys.argv[4]
HV, GUEST = os.path.join(BUILD, "hv/hv.elf"), os.path.join(BUILD, "guests/hvtest/hvtest.elf")
HV_SYMBOLS, GUEST_SYMBOLS = HV.replace(".elf", "64.elf"), GUEST.replace(".elf", "64.elf")


def machine(cpu):
    return ["--cpu", cpu, "--smp", "2", "--memory", "128M", "--kernel", HV, "--initrd", GUEST]


def gdb(commands, cpu, engine):
    return session(commands, [*machine(cpu), "--engine", engine], ["set architecture i386:x86-64", f"file {HV_SYMBOLS}"])[0]


def under_gdb(cpu, engine):
    text = gdb(["break exit_cpuid", "continue", "backtrace", "info threads", "next", "finish", "p/x $cr3",
                # a variable of the hypervisor, and back to who wrote it
                "delete", "break vp_cpuid", "continue", "up", "watch -l vp->gpr[0]", "delete 2", "continue", "p $rip != 0",
                "reverse-continue", "backtrace 1", "reverse-stepi", "stepi",
                # inside the guest, which the hypervisor runs
                "delete", f"add-symbol-file {GUEST_SYMBOLS}", "break guest_main", "break child_calls", "continue",
                "backtrace", "monitor levels", "monitor vmcs GUEST_RIP" if cpu == "intel" else "monitor vmcb rip",
                "stepi", "step", "kill"], cpu, engine)
    what = f"gdb, {cpu}, {engine}"
    want(what, text, r"hit Breakpoint 1[.0-9]*, exit_cpuid")
    want(what, text, r"#0 +exit_cpuid .*cpu_loop.*hv_main")
    want(what, text, r"CPU#0.*CPU#1")
    want(what, text, r"\[finish\].*exit_cpuid \(")
    want(what, text, r"Hardware watchpoint \d+: -location vp->gpr\[0\].*Old value = .*New value = ")
    want(what, text, r"\[reverse-continue\].*Old value = .*New value = .*#0 ")
    want(what, text, r"Breakpoint \d+, .*(child_calls|guest_main)")
    want(what, text, r"L0 the machine's owner.*L1 guest 1: VMC[SB]")


def under_the_shell(cpu):
    lines = [f"symbols load {HV_SYMBOLS} L0", f"symbols load {GUEST_SYMBOLS} L1", "break exit_cpuid", "c", "bt", "list",
             "next", "next", "step", "bt", "finish", "reverse-next", "reverse-finish", "delete", "break child_calls", "c",
             "bt", "levels", "why", "exits", "ept", "ept dump", "walk $rip", "vmcs diff" if cpu == "intel" else "vmcb diff",
             "break ept-change", "c", "bt", "rc", "ept diff 0x100" if cpu == "none" else "info b"]
    arguments = []
    for line in lines:
        arguments += ["-ex", f"echo [{line.split('/')[0]}]", "-ex", line]
    done = subprocess.run([VITRINE, "debug", *machine(cpu), "-nx", "-batch", *arguments], capture_output=True,
                          timeout=200, stdin=subprocess.DEVNULL)
    text = done.stdout.decode("latin1") + done.stderr.decode("latin1")
    what = f"the shell, {cpu}"
    want(what, text, r"Point 1 \(exit_cpuid\).*in exit_cpuid \(exit\.c:\d+\)\n=> \d+\t.*exit_cpuid\(")
    want(what, text, r"#0 .* in exit_cpuid .*#1 .* in cpu_loop.*#2 .* in hv_main")
    want(what, text, r"#0 .* in vp_cpuid .*#1 .* in exit_cpuid")
    want(what, text, r"\[reverse-finish\].*in exit_cpuid")
    want(what, text, r"\(child_calls\), cpu\d\ncpu\d at .* guest, in child_calls \(")
    want(what, text, r"\[levels\].*L1 guest 1: VMC[SB] .*runs it")
    want(what, text, r"\[exits\].*in all")
    want(what, text, r"\[ept dump\].*-> \w+ rwx")
    want(what, text, r"\[walk \$rip\].*(EPT|NPT) PML4 .*is machine address")
    want(what, text, r"diff\].*the exit at \d+ against")
    want(what, text, r"\[break ept-change\]\nPoint \d+")


def main(_folder):
    for cpu in ("intel", "amd"):
        under_the_shell(cpu)
    if shutil.which("gdb") is not None:
        for cpu, engine in (("intel", "jit"), ("amd", "interp")):
            under_gdb(cpu, engine)
    

run(main)
