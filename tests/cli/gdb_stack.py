#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stock gdb, and our shell, at a hypervisor on two processors with its guest: C functions by their symbols, at both
levels, with either engine. usage: gdb_stack.py VITRINE TINY_GUESTS INPUTS BUILD"""
import os
import re
import shutil
import socket
import subprocess
import sys
import time

from case import VITRINE, problem, run

BUILD = sys.argv[4]
HV, GUEST = os.path.join(BUILD, "hv/hv.elf"), os.path.join(BUILD, "guests/hvtest/hvtest.elf")
HV_SYMBOLS, GUEST_SYMBOLS = HV.replace(".elf", "64.elf"), GUEST.replace(".elf", "64.elf")


def machine(cpu):
    return ["--cpu", cpu, "--smp", "2", "--memory", "128M", "--kernel", HV, "--initrd", GUEST]


def want(what, text, pattern):
    if not re.search(pattern, text, re.S):
        problem(what, f"no {pattern!r} in: {text[-1500:]}")


def gdb(commands, cpu, engine):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = subprocess.Popen([VITRINE, "run", *machine(cpu), "--engine", engine, "--gdb", str(port), "-S"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(0.5)
    arguments = ["gdb", "-nx", "-batch", "-ex", "set pagination off", "-ex", "set confirm off", "-ex",
                 "set architecture i386:x86-64", "-ex", f"file {HV_SYMBOLS}", "-ex", f"target remote 127.0.0.1:{port}"]
    for c in commands:
        arguments += ["-ex", f"echo [{c}]\\n", "-ex", c]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=200, stdin=subprocess.DEVNULL)
    try:
        server.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        server.kill()
        server.communicate()
        problem("gdb", "the machine did not end after gdb left")
    return done.stdout + done.stderr


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
    import case as counter
    for cpu in ("intel", "amd"):
        under_the_shell(cpu)
        counter._count += 1
    if shutil.which("gdb") is not None:
        for cpu, engine in (("intel", "jit"), ("amd", "interp")):
            under_gdb(cpu, engine)
            counter._count += 1


run(main)
