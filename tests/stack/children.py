#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test images of others as children of the root: kvm-unit-tests as small native ones, Xen's test framework (XTF) under the adapter. Each
result is set against a list; what the list does not expect fails, also when it is better. The environment variable KUT or XTF names a build;
without it this ends with 77 (skipped).
usage: children.py kut|xtf LIST CPU VITRINE HV ROOT ADAPTER [NAME ...]

A list's lines: name | what is run | result | reason. "What is run" is for kvm-unit-tests image, VPs and arguments (IMAGE 2 direct); for
XTF the image's kind (hvm64). Result: of both vendors, or INTEL/AMD. Whatever is not a plain pass needs a reason. --propose as NAME prints lines."""
import os
import re
import subprocess
import sys

LIMIT = "40000000000"


def run(command):
    out = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1700, check=False)
    return out.stdout.decode("utf-8", "replace")


def machine(script, modules, cpu, vitrine, hv, smp, speed="1000000000"):
    return run([vitrine, "run", "--ips", speed, "--cpu", cpu, "--smp", str(smp), "--memory", "192M", "--kernel", hv,
                "--max-instructions", LIMIT, "--initrd", ",".join([script] + modules)])


def kut(what, cpu, vitrine, hv, root, _adapter):
    """The exit status that QEMU's port would give, and how many tests said what."""
    image, vps, *rest = what.split()
    path = os.path.join(os.environ["KUT"], "x86", image + ".flat")
    append = " --append " + " ".join(rest) if rest else ""
    text = machine(f"{root} vm create kut --kernel {image}.flat --memory 64M --vp {vps} --devices test{append} && vm start kut "
                   "&& vm console kut && poweroff", [path], cpu, vitrine, hv, 2, "100000000")  # they wait for seconds
    status = re.search(r"root: kut: exit status (\d+);", text)
    passed = len(re.findall(r"^PASS: ", text, re.M))
    failed = len(re.findall(r"^FAIL: ", text, re.M))
    skipped = len(re.findall(r"^SKIP: ", text, re.M))
    word = {"1": "PASS", "155": "SKIP"}.get(status.group(1), "FAIL") if status else "STOPPED"
    return f"{word} {passed}/{failed}/{skipped}", text


def xtf(what, cpu, vitrine, hv, root, adapter, name):
    """The framework's own word at the end."""
    image = f"test-{what}-{name}"
    path = os.path.join(os.environ["XTF"], "tests", name, image)
    config = path.replace(image, image + ".cfg")
    vps = re.search(r"^vcpus *= *(\d+)", open(config, encoding="utf-8").read() if os.path.exists(config) else "", re.M)
    vps = vps.group(1) if vps else "1"
    text = machine(f"{root} vm create xtf --kernel {image} --xen adapter.elf --memory 64M --vp {vps} && vm start xtf && vm console xtf && poweroff",
                   [path, adapter], cpu, vitrine, hv, 1)
    word = re.findall(r"^Test result: (\w+)", text, re.M)
    off = "root: xtf: powered off" in text
    return (word[-1] if word and off else "STOPPED"), text


def rows(path):
    for line in open(path, encoding="utf-8"):
        if line.strip() and not line.startswith("#"):
            name, what, result, reason = [f.strip() for f in line.split("|")]
            yield name, what, result, reason


def main():
    kind, path, cpu, vitrine, hv, root, adapter, *names = sys.argv[1:]
    if kind.upper() not in os.environ:
        print(f"{kind.upper()} names no build")
        return 77
    propose = "--propose" in names
    names = [n for n in names if n != "--propose"]
    wrong = count = 0
    for name, what, result, reason in rows(path):
        if names and name not in names:
            continue
        expected = result.split(" or ")[0] if " or " not in result else result.split(" or ")[0 if cpu == "intel" else 1]
        extra = (name,) if kind == "xtf" else ()
        try:
            got, text = {"kut": kut, "xtf": xtf}[kind](what, cpu, vitrine, hv, root, adapter, *extra)
        except subprocess.TimeoutExpired:
            got, text = "TIMEOUT", ""
        count += 1
        if propose:
            print(f"{name} | {what} | {got} | {reason}", flush=True)
        elif got != expected:
            wrong += 1
            print(f"{name} ({what}): {got}, expected {expected}")
            print("\n".join("    " + line for line in text.splitlines()[-25:]))
        else:
            print(f"{name} ({what}): {got}" + (f": {reason}" if reason else ""))
        if result not in ("SUCCESS",) and not expected.startswith("PASS") and not reason and not propose:
            wrong += 1
            print(f"{name}: {expected} without a reason")
    print(f"{count} run, {wrong} not as listed")
    return 1 if wrong else 0


sys.exit(main())
