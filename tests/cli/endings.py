#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run ends, and what becomes of its output. usage: endings.py VITRINE TINY_GUESTS INPUTS"""
import os
import pty
import select
import signal
import subprocess
import sys
import time

from case import VITRINE, call, case, judge, problem, run, tiny

RUN = ["run", "--max-instructions", "50000000"]


def endings():
    case([*RUN, "--kernel", tiny("hello")], 0, out="hello, case\r\n")
    case([*RUN, "--kernel", tiny("hello"), "--hash"], 0, out=r"hash [0-9a-f]{16} end power-off\n$")
    case([*RUN, "--kernel", tiny("halt")], 75)
    case([*RUN, "--kernel", tiny("halt"), "--smp", "4", "--hash"], 75, out="end all-halted\n$")
    case([*RUN, "--kernel", tiny("triple_fault"), "--no-reboot"], 71)
    case([*RUN, "--kernel", tiny("triple_fault"), "--no-reboot", "--hash"], 71, out="end triple-fault\n$")
    case(["run", "--kernel", tiny("triple_fault"), "--max-instructions", "50"], 124)  # resets, as a PC does
    case([*RUN, "--kernel", tiny("reset"), "--no-reboot", "--hash"], 0, out="end reset\n$")
    case([*RUN, "--kernel", tiny("reset_keyboard"), "--no-reboot", "--hash"], 0, out="end reset\n$")
    case(["run", "--kernel", tiny("reset"), "--max-instructions", "50"], 124)
    case([*RUN, "--kernel", tiny("debug_exit")], 0)  # without the device the write goes nowhere
    case([*RUN, "--kernel", tiny("debug_exit"), "--device", "isa-debug-exit,iobase=0xf4,iosize=4"], 0x2B)
    case([*RUN, "--kernel", tiny("spin"), "--hash"], 124, out="position 50000000 .* end limit\n$")
    case([*RUN, "--kernel", tiny("spin"), "--smp", "3", "--hash"], 124, out="position 50000000 .* end limit\n$")
    case([*RUN, "--kernel", tiny("hello"), "--stop-on", "hello"], 0, out="hello$")
    case([*RUN, "--kernel", tiny("hello"), "--stop-on", "hello", "--hash"], 0, out="end stop-on\n$")
    case([*RUN, "--kernel", tiny("hello"), "--stop-on", "goodbye"], 74)
    case([*RUN, "--kernel", tiny("reset"), "--no-reboot", "--stop-on", "goodbye"], 74)
    case([*RUN, "--kernel", tiny("spin"), "--stop-on", "goodbye"], 124)
    case([*RUN, "--kernel", tiny("moments"), "--smp", "2"], 0)
    forget = [*RUN, "--kernel", tiny("forget"), "--device", "intel-iommu", "--device", "edu"]
    case(forget, 0, out="read twice\r\n")
    case([*forget, "--on-stale", "ignore"], 64, err="stop or report is wanted")


def stale():
    """A guest that forgets to invalidate is told on, one that does not is not."""
    forget = [*RUN, "--kernel", tiny("forget"), "--device", "intel-iommu", "--device", "edu", "--hash", "--on-stale"]
    changed = "reads 0x1000: the page's entry was changed and nothing was invalidated since it was last used"
    hashes = set()
    for more, status, words, count in ((["report", "--log", "iommu"], 72, changed, 1), (["stop", "--log", "iommu"], 72, changed, 1),
                                       (["report"], 72, "", 1), (["stop", "--append", "tell"], 0, "", 0)):
        done = call([*forget, *more])
        text = done.stderr.decode("latin1")
        if done.returncode != status or words not in text or not text.endswith(f"stale translations used: {count}\n"):
            problem(f"on-stale {more}", f"status {done.returncode}: {text}")
        if more[0] == "report":
            hashes.add(done.stdout)
    hashes.add(call(forget[:-1]).stdout)
    if len(hashes) != 1:
        problem("on-stale", "the guest sees a difference")


def repeated():
    """Two runs are equal to the bit, whatever the size of host-side tables."""
    lines = set()
    for extra in ([], ["--engine", "interp"], ["--tlb-entries", "2"], ["--epoch", "1000"]):
        done = call([*RUN, "--kernel", tiny("moments"), "--smp", "2", "--hash", *extra])
        lines.add(done.stdout)
    if len(lines) != 1:
        problem("moments, three times", "the runs differ")


def rewriting():
    """A guest that rewrites its code forever takes no more memory the longer it runs, and goes on: every turn is translated anew, in code
    memory of the least size."""
    most, lines = [], set()
    for counts, engine in ((8000000, "jit"), (20000000, "jit"), (20000000, "interp")):
        command = [VITRINE, "run", "--kernel", tiny("rewrite"), "--serial", "none", "--memory", "16M", "--code-cache", "1M",
                   "--jit-threshold", "0", "--max-instructions", str(counts), "--engine", engine, "--hash"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as child:
            line = child.stdout.read()
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        most.append(used.ru_maxrss)
        lines |= {line} if counts == 20000000 else set()
    if len(lines) != 1:
        problem("rewriting", f"the engines differ: {lines}")
    if most[1] > most[0] + 4096:
        problem("rewriting", f"{most[0]} KiB at first, {most[1]} KiB later")


def signals():
    for number in (signal.SIGINT, signal.SIGTERM):
        child = subprocess.Popen([VITRINE, "run", "--kernel", tiny("spin"), "--hash"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        first = child.stdout.readline()
        time.sleep(0.2)
        child.send_signal(number)
        try:
            out, err = child.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            child.kill()
            problem(f"signal {number}", "no end")
            continue
        judge(f"signal {number}", subprocess.CompletedProcess([], child.returncode, first + out, err), 130,
              out="spinning.* end interrupted\n$")


def progress():
    """Long silent work is shown to a person, and to nobody else."""
    ours, theirs = pty.openpty()
    for terminal in (True, False):
        child = subprocess.Popen([VITRINE, "run", "--kernel", tiny("spin"), "--serial", "none"],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=theirs if terminal else subprocess.PIPE)
        seen = b""
        end = time.monotonic() + (60 if terminal else 4)
        while time.monotonic() < end and b"M instructions" not in seen:
            if terminal and select.select([ours], [], [], 0.2)[0]:
                seen += os.read(ours, 4096)
            elif not terminal:
                time.sleep(1)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
        if terminal and b"M instructions" not in seen:
            problem("progress", f"a terminal shows {seen!r}")
        if not terminal and err:
            problem("progress", f"a pipe gets {err!r}")


def outputs(folder):
    path = os.path.join(folder, "serial")
    case([*RUN, "--kernel", tiny("hello"), "--serial", f"file:{path}"], 0, out="^$")
    text = open(path, "rb").read()
    if text != b"hello, case\r\n":
        problem("--serial file:", f"it holds {text!r}")
    case([*RUN, "--kernel", tiny("hello"), "--serial", "none"], 0, out="^$")
    # Nobody reads: the machine goes on, without a message and without a signal.
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run([VITRINE, *RUN, "--kernel", tiny("flood")], stdin=subprocess.DEVNULL, stdout=write_end,
                          stderr=subprocess.PIPE, timeout=120)
    os.close(write_end)
    judge("a closed pipe", subprocess.CompletedProcess([], done.returncode, b"", done.stderr), 0)
    line = f"{VITRINE} run --kernel {tiny('flood')} | head -n 1"
    done = subprocess.run(["sh", "-c", line], stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    judge("head -n 1", done, 0, out="^flood flood\n$")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([VITRINE, *RUN, "--kernel", tiny("hello")], stdin=subprocess.DEVNULL, stdout=full,
                              stderr=subprocess.PIPE, timeout=120)
        judge("/dev/full", subprocess.CompletedProcess([], done.returncode, b"", done.stderr), 0)
    # No stdin, no stdout, no stderr at all.
    code = "import os,sys\nfor f in (0, 1, 2): os.close(f)\nos.execv(sys.argv[1], sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", code, VITRINE, *RUN, "--kernel", tiny("hello")], timeout=120)
    if done.returncode != 0:
        problem("without standard files", f"exit status {done.returncode}")


def recordings(folder):
    path = os.path.join(folder, "recording")
    case([*RUN, "--kernel", tiny("moments"), "--smp", "2", "--record", path], 0)
    case(["replay", path, "--quiet"], 0, "the replay is the recorded run")
    case(["trace", "stat", path], 0, out="power-off")
    data = open(path, "rb").read()
    for n in (0, 1, 15, 100, len(data) // 2):
        cut = os.path.join(folder, "cut")
        with open(cut, "wb") as f:
            f.write(data[:n])
        done = call(["replay", cut, "--quiet"])
        if done.returncode not in (0, 65) or len(done.stderr.splitlines()) != 1:
            problem(f"replay of {n} bytes", f"{done.returncode}: {done.stderr[:300]!r}")


def main(folder):
    endings()
    stale()
    repeated()
    rewriting()
    signals()
    progress()
    outputs(folder)
    recordings(folder)


run(main)
