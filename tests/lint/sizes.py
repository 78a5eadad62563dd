#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""No source file grows past 750 lines (.def tables exempt), every file has its SPDX line, and every
file that the READMEs name exists. usage: sizes.py SOURCE_ROOT"""
import os
import re
import sys

LIMIT = 750


def main():
    root = sys.argv[1]
    errors = []
    for top in ("abi", "sim", "traces", "debugger", "hv", "guests", "tests", "scripts"):
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), root)
                if name == "README.md":
                    text = open(os.path.join(root, path), encoding="utf-8").read()
                    for ref in re.findall(r"`([A-Za-z0-9_./+-]+\.(?:c|h|def|py|asl|sh))`", text):
                        if not any(os.path.exists(os.path.join(root, base, ref))
                                   for base in (os.path.dirname(path), ".", "sim")):
                            errors.append(f"{path}: names {ref}, which does not exist")
                    continue
                if not name.endswith((".c", ".h", ".def", ".S", ".asl")):
                    continue
                lines = open(os.path.join(root, path), encoding="utf-8").read().split("\n")
                if not any("SPDX-License-Identifier" in line for line in lines[:2]):
                    errors.append(f"{path}: no SPDX line")
                if len(lines) > LIMIT and not name.endswith(".def"):
                    errors.append(f"{path}: {len(lines)} lines; cut it along its subject")
    for e in errors:
        print(e)
    return 1 if errors else 0


sys.exit(main())
