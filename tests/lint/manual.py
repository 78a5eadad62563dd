#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The man page names every option and device that the command line knows, and no other option; groff finds
nothing to complain of. usage: manual.py SOURCE_ROOT"""
import os
import re
import shutil
import subprocess
import sys

OF_COMMANDS = {"file", "quiet", "help", "debug", "x", "ex", "batch", "nx", "commands", "dap"}  # options of other commands than run and trace
ALWAYS = {"input", "mark", "console", "cpu"}  # classes of events that need not be asked for


def main():
    root = sys.argv[1]
    page = os.path.join(root, "debugger/vitrine.1")
    text = open(page, encoding="utf-8").read()
    options = re.findall(r'^OPTION\("([^"]+)"', open(os.path.join(root, "debugger/options.def")).read(), re.M)
    devices = re.findall(r'^DEVICE\("([^"]+)"', open(os.path.join(root, "debugger/device.def")).read(), re.M)
    commands = open(os.path.join(root, "debugger/trace_command.def")).read()
    trace_commands = re.findall(r'^TRACE_COMMAND\("([^"]+)"', commands, re.M)
    trace_options = re.findall(r'^TRACE_OPTION\("([^"]+)"', commands, re.M)
    header = open(os.path.join(root, "sim/trace/trace.h")).read()
    classes = set(re.findall(r'^    X\(\w+, "(\w+)"', header, re.M)) - ALWAYS
    help_line = re.search(r'^OPTION\("trace".*', open(os.path.join(root, "debugger/options.def")).read(), re.M).group(0)
    helped = set(re.search(r"events: ([a-z,]+)", help_line).group(1).split(",")) - {"all"}
    known = {name for names in options for name in names.split("|")} | OF_COMMANDS
    known |= {name for names in trace_options for name in names.split("|")}
    named = set(re.findall(r"Fl -?([a-zA-Z][a-zA-Z-]*)", text))
    errors = [f"vitrine.1 does not name --{names.split('|')[0]}" for names in options
              if not named & set(names.split("|"))]
    errors += [f"vitrine.1 does not name --{names}" for names in trace_options
               if not named & set(names.split("|"))]
    errors += [f"vitrine.1 does not name trace {name}" for name in trace_commands if f"Cm trace {name}" not in text]
    errors += [f"vitrine.1 does not name the class of events {name}" for name in sorted(classes)
               if not re.search(r"^\.Cm .*\b" + name + r"\b", text, re.M)]
    errors += [f"options.def: --trace has no class {name}, or does not name it" for name in sorted(helped ^ classes)]
    errors += [f"vitrine.1 names --{name}, which is no option" for name in sorted(named - known)]
    errors += [f"vitrine.1 does not name the device {name}" for name in devices if name not in text]
    if shutil.which("groff"):
        done = subprocess.run(["groff", "-mdoc", "-ww", "-z", page], capture_output=True, text=True, check=False)
        errors += done.stderr.splitlines()
    for e in errors:
        print(e)
    return 1 if errors else 0


sys.exit(main())
