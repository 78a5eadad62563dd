#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command once: its exit status and what it says (on both streams) must be as asked.

usage: says.py [--status N] [--needs FILE]... [--expect REGEX]... [--reject REGEX]... [--lines N] [--timeout S] -- COMMAND...
Ends with 77 (skipped) when a needed input is missing. --lines: so many lines at most."""
import argparse
import os
import re
import subprocess
import sys


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--status", type=int, default=0)
    for name in ("--needs", "--expect", "--reject"):
        ap.add_argument(name, action="append", default=[])
    ap.add_argument("--lines", type=int)
    ap.add_argument("--timeout", type=float, default=600)
    ap.add_argument("command", nargs=argparse.REMAINDER)
    a = ap.parse_args()
    for need in a.needs:
        if not os.path.exists(need):
            print(f"SKIP: {need} is missing")
            return 77
    command = a.command[1:]
    if os.path.basename(command[0]) == "vitrine" and (command[1] == "run" or command[1:3] == ["stack", "run"]):
        command.append("--hash")
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=a.timeout)
    text = done.stdout.decode("latin1").replace("\r", "")
    problems = [] if done.returncode == a.status else [f"exit status {done.returncode}, expected {a.status}"]
    problems += [f"does not say {p!r}" for p in a.expect if not re.search(p, text, re.M)]
    problems += [f"says {m.group(0)!r}" for m in (re.search(p, text, re.M) for p in a.reject) if m]
    if a.lines is not None and len(text.splitlines()) > a.lines:
        problems.append(f"says {len(text.splitlines())} lines")
    print(text[-6000:] if problems else text[-300:] if "--hash" not in command else text[text.rfind("position "):])
    for p in problems:
        print("FAIL:", p)
    return 1 if problems else 0


sys.exit(main())
