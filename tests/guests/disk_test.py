#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot a copy of a disk image: the guest writes, reboots inside the run, checks, writes, powers off; a
second run boots it a third time. After each run the host's e2fsck must find the file system clean.
All of it twice; consoles, hashes and the image must be equal. The second time is recorded: a replay finds the image
as the run left it, and puts back for itself what it held.

usage: disk_test.py --vitrine PATH --image FILE --interface virtio|ahci [--needs FILE]... [--expect TEXT]...
                    [--reject REGEX]... -- RUN_ARGUMENTS"""
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

from arguments import engine, parse, parser, skip_without

PARTITION = 2048 * 512


def fsck(image):
    e2fsck = shutil.which("e2fsck", path=os.environ["PATH"] + ":/sbin:/usr/sbin")
    done = subprocess.run([e2fsck, "-fn", f"{image}?offset={PARTITION}"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"FAIL: e2fsck: {done.stdout}{done.stderr}")


def check_replay(a, trace, image):
    with open(image, "rb") as f:
        left = hashlib.sha256(f.read()).hexdigest()
    done = subprocess.run([a.vitrine, "replay", trace, "--quiet"], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=a.timeout)
    if done.returncode != 0:
        sys.exit(f"FAIL: the replay: status {done.returncode}, {done.stderr.decode('latin1').strip()}")
    with open(image, "rb") as f:
        if hashlib.sha256(f.read()).hexdigest() != left:
            sys.exit("FAIL: the replay changed the image")


def one_pass(a, extra, record=False):
    """Console text of both runs and the digest of the image they leave."""
    text = b""
    with tempfile.TemporaryDirectory() as folder:
        image = os.path.join(folder, "disk.img")
        trace = os.path.join(folder, "trace")
        shutil.copyfile(a.image, image)
        for expect in (["@@ DONE 1", "@@ BOOT 2", "/data/blob: OK", "@@ DONE 2"],
                       ["@@ BOOT 3", "/data/blob: OK", "@@ DONE 3"]):
            command = [a.vitrine, "run", "--drive", f"file={image},format=raw,if={a.interface}", *a.arguments,
                       "--hash", *extra, *(["--record", trace] if record else [])]
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=a.timeout)
            shown = done.stdout.decode("latin1")
            problems = [f"console never showed {t!r}" for t in expect + a.expect if t not in shown]
            problems += [f"console shows {m.group(0)!r}" for m in
                         (re.search(p, shown, re.M) for p in a.reject) if m]
            if done.returncode != 0:
                problems.append(f"exit status {done.returncode}; {done.stderr.decode('latin1').strip()}")
            if problems:
                print(shown[-6000:])
                sys.exit("\n".join("FAIL: " + p for p in problems))
            fsck(image)
            text += done.stdout
            if record:
                check_replay(a, trace, image)
        with open(image, "rb") as f:
            return text, hashlib.sha256(f.read()).hexdigest()


def main():
    ap = parser(1200)
    ap.add_argument("--image", required=True)
    ap.add_argument("--interface", required=True)
    ap.add_argument("--expect", action="append", default=[])
    ap.add_argument("--reject", action="append", default=[])
    a = parse(ap)
    skip_without([a.image])
    first = one_pass(a, [])
    second = one_pass(a, [*engine("--engine", "interp"), "--tlb-entries", "16"], record=True)
    if first != second:
        print("FAIL: the second pass differs:", first[0].splitlines()[-1], second[0].splitlines()[-1], first[1], second[1])
        return 1
    print(first[0].decode("latin1").splitlines()[-1])
    return 0


sys.exit(main())
