# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's side of a child with devices: file systems on disk images, the replay."""
import os
import shutil
import subprocess

import judging

SECTOR = 512
MIB = 1 << 20


def tool(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/sbin:/usr/sbin")


def content(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def make_ext4(image, tree, size, label):
    subprocess.run([tool("mke2fs"), "-q", "-F", "-t", "ext4", "-L", label, "-d", tree, image, size], check=True, capture_output=True)


def check_ext4(image):
    """What e2fsck finds in a file system that was left in good order."""
    check = subprocess.run([tool("e2fsck"), "-fn", image], capture_output=True, text=True, check=False)
    return [] if check.returncode == 0 else ["e2fsck: " + check.stdout + check.stderr]


def file_of(image, name, folder):
    """A file's bytes, out of the file system on an image."""
    out = os.path.join(folder, "dumped")
    subprocess.run([tool("debugfs"), "-R", f"dump {name} {out}", image], check=True, capture_output=True)
    return content(out)


def differences(path, wanted):
    got = content(path)
    if got == bytes(wanted):
        return []
    at = next((i for i in range(min(len(got), len(wanted))) if got[i] != wanted[i]), min(len(got), len(wanted)))
    return [f"{os.path.basename(path)} differs from byte {at:x} on: {got[at:at + 32]!r}"]


def replay(vitrine, trace, done):
    """Problems when the recording that `done` made runs again."""
    again = subprocess.run([vitrine, "replay", trace, "--hash"], stdin=subprocess.DEVNULL, capture_output=True, timeout=3000,
                           check=False)
    if again.returncode == 0 and again.stdout == done.stdout:
        return []
    return ["the replay differs: " + again.stderr.decode("latin1")[-400:]]
