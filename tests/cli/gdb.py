#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stock gdb at a machine of two processors: break, step, watch, and back in time. Skipped without gdb.
usage: gdb.py VITRINE TINY_GUESTS INPUTS"""
import re
import shutil
import subprocess
import sys

from case import call, case, problem, run, tiny, want
from stock_gdb import session

ROUNDS, AP_COUNT = 0x504, 0x510  # counters of tests/guests/tiny/moments.S


def symbol(name):
    text = subprocess.run(["nm", tiny("moments")], capture_output=True, text=True, check=True).stdout
    return int(re.search(rf"^([0-9a-f]+) . {name}$", text, re.M).group(1), 16)


def debug(commands, options=()):
    return session(commands, ["--kernel", tiny("moments"), "--smp", "2", "--hash", *options], seconds=60)


def break_step_watch_and_back():
    work = symbol("work")
    text, _, _ = debug([
        "info threads", f"break *{work:#x}", "continue", "continue", "p $rip", f"x/1dw {ROUNDS}", "stepi",
        f"x/1dw {ROUNDS}", "p/x $cr0", "delete", f"watch *(int*){ROUNDS}", "continue", f"x/1dw {ROUNDS}",
        "reverse-continue", f"p $rip == {work}", f"x/1dw {ROUNDS}", "reverse-continue", f"x/1dw {ROUNDS}",
        "reverse-stepi", "stepi", f"p $rip == {work}", "delete", "monitor when", "kill"])
    want("threads", text, r"Thread 1 .*CPU#0.*Thread 2 .*CPU#1")
    want("break", text, rf"\[continue\].*Breakpoint 1, 0x0*{work:x}")
    want("before the step", text, r"\[x/1dw 1284\]\n0x504:\s+1\n")
    want("after the step", text, r"\[stepi\].*\[x/1dw 1284\]\n0x504:\s+2\n")
    want("cr0", text, r"\[p/x \$cr0\]\n\$\d+ = 0x")
    want("watch", text, r"Old value = 2\nNew value = 3\n")
    want("back over the write", text, r"\[reverse-continue\].*Old value = 3\nNew value = 2\n")
    want("there", text, rf"\[p \$rip == {work}\]\n\$\d+ = 1\n.*\[p \$rip == {work}\]\n\$\d+ = 1\n")
    want("further back", text, r"Old value = 2\nNew value = 1\n")
    want("monitor", text, r"position \d+, time \d+ ns; history from 0 ")


def second_processor():
    text, _, _ = debug([f"watch *(int*){AP_COUNT}", "continue", "info threads", "thread", "reverse-continue",
                        "thread", "reverse-continue", "kill"])
    want("thread 2 wrote", text, r"hit Hardware watchpoint|Hardware watchpoint 1: ")
    want("it is thread 2", text, r"\[thread\]\n\[Current thread is 2 ")
    want("the beginning", text, r"reverse-execution history|end of recorded history")


def detached():
    plain = call(["run", "--kernel", tiny("moments"), "--smp", "2", "--hash"]).stdout.decode("latin1")
    text, out, err = debug([f"break *{symbol('work'):#x}", "continue", "continue", "stepi", "reverse-continue",
                            "info registers", "detach"])
    if "position" not in plain or re.findall(r"position .*", plain) != re.findall(r"position .*", out):
        problem("the run under gdb", f"differs: {out[-200:]} {plain[-200:]} {err} {text[-1500:]}")


def looked_at_physically():
    """maintenance packet: QEMU's physical mode; a write; Ctrl-C while the second processor spins."""
    text, _, _ = debug(["maintenance packet Qqemu.PhyMemMode:1", "maintenance packet qqemu.PhyMemMode",
                        "set *(int*)0x700000 = 0x1234", "x/1xw 0x700000", "set $rbx = 77", "p $rbx", "monitor help",
                        "monitor gva2gpa 0x1000", "monitor info mtree", "monitor x/2xw 0x700000", "monitor print $rbx",
                        "monitor break interrupt", "continue", "monitor delete",
                        "monitor goto 500", "kill"])
    want("physical mode", text, r'received: "1"')
    want("written", text, r"0x700000:\s+0x00001234")
    want("register written", text, r"\[p \$rbx\]\n\$\d+ = 77")
    want("stop at an interrupt", text, r"SIGTRAP")
    want("monitor", text, r"last-write .*gpa: 0x1000\n.*: ram.*0x700000:\t0x00001234.*= 0x4d .*cpu0 at 500,")


def usage():
    case(["run", "--kernel", tiny("hello"), "-S"], 64, "say where")
    case(["run", "--kernel", tiny("hello"), "--gdb", "nowhere:x"], 64, "HOST:PORT")


def main(_folder):
    usage()
    break_step_watch_and_back()
    second_processor()
    detached()
    looked_at_physically()


if shutil.which("gdb") is None:
    print("gdb is not installed")
    sys.exit(77)
run(main)
