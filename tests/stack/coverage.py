#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rows of guests/adapter/calls.def did runs exercise? From the tracker's reports (-D FILE of runs with --watch).

usage: coverage.py [--at-least N] REPORT...
Prints a table; ends with 1 when fewer than N rows were exercised."""
import os
import re
import sys

here = os.path.dirname(os.path.abspath(__file__))
top = os.path.join(here, "..", "..")


def rows(path, pattern):
    with open(os.path.join(top, path), encoding="utf-8") as f:
        return re.findall(pattern, f.read(), re.M)


def main():
    arguments = sys.argv[1:]
    least = int(arguments[1]) if arguments[:1] == ["--at-least"] else 0
    reports = arguments[2:] if least else arguments
    calls = {int(n): name for n, name in rows("abi/xen/hypercall.def", r"^XEN_HYPERCALL\((\d+), (\w+)")}
    commands = {(int(n), int(c)): name for n, c, name in rows("abi/xen/command.def", r"^XEN_COMMAND\((\d+), (\d+), (\w+)")}
    seen = {}
    for report in reports:
        with open(report, encoding="latin1") as f:
            for count, name, became in re.findall(r"^ +(\d+) +\d+  ([\w ]+): (.*)$", f.read(), re.M):
                old = seen.get(name, (0, ""))
                seen[name] = (old[0] + int(count), became)
    hit = 0
    table = rows("guests/adapter/calls.def", r'^XEN_CALL\((\d+), (\d+), (\w+), "([^"]*)"')
    for number, command, _, made in table:
        n, c = int(number), int(command)
        name = calls.get(n, number) + " " + commands.get((n, c), command)
        count, became = seen.get(name, (0, "not made by these guests; should become: " + made))
        hit += count > 0
        print(f"{count:8} {name:45} {became}")
    print(f"{hit} of {len(table)} rows were exercised")
    return 1 if hit < least else 0


sys.exit(main())
