#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command once: its exit status and what it says (on both streams) must be as asked.

usage: says.py [--status N] [--needs FILE]... [--expect REGEX]... [--reject REGEX]... [--lines N] [--timeout S] -- COMMAND...
Ends with 77 (skipped) when a needed input is missing. --lines: so many lines at most."""
import argparse
import os
import subprocess
import sys

import judging


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--status", type=int, default=0)
    for name in ("--needs", "--expect", "--reject"):
        ap.add_argument(name, action="append", default=[])
    ap.add_argument("--lines", type=int)
    ap.add_argument("--timeout", type=float, default=600)
    ap.add_argument("command", nargs=argparse.REMAINDER)
    a = ap.parse_args()
    if judging.is_missing(a.needs):
        return judging.SKIPPED
    command = a.command[1:]
    if os.path.basename(command[0]) == "vitrine" and (command[1] == "run" or command[1:3] == ["stack", "run"]):
        command.append("--hash")
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=a.timeout)
    text = judging.text_of(done.stdout)
    problems = judging.problems_of(text, a.expect, a.reject, done.returncode, a.status)
    if a.lines is not None and len(text.splitlines()) > a.lines:
        problems.append(f"says {len(text.splitlines())} lines")
    return judging.finish(text, problems, shown=300 if "--hash" not in command else len(text) - text.rfind("position "))


sys.exit(main())
