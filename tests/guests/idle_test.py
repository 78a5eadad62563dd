#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person at a terminal: a stock guest that waits at its shell burns next to nothing of the host, answers at once
afterwards, its clock keeps to the host's meanwhile; Ctrl-A h, c and x work; the recording of all that replays equal.

usage: idle_test.py --vitrine PATH [--needs FILE]... -- RUN_ARGUMENTS"""
import os
import pty
import re
import select
import subprocess
import sys
import tempfile
import time

from arguments import parse, parser

IDLE_SECONDS = 10


def fail(text):
    sys.exit("FAIL: " + text)


class Terminal:
    def __init__(self, command):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(command[0], command)

    def read(self, seconds):
        if select.select([self.fd], [], [], seconds)[0]:
            try:
                self.text += os.read(self.fd, 65536).decode("latin1")
            except OSError:
                return False
        return True

    def expect(self, pattern, seconds):
        end = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.text)
            if found:
                self.text = self.text[found.end():]
                return found
            if time.monotonic() > end or not self.read(0.1):
                print(self.text[-3000:])
                fail(f"{pattern!r} did not come within {seconds} s")

    def type(self, text):
        os.write(self.fd, text.encode("latin1"))

    def status(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(0.1)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
        fail("it does not end")

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    ap = parser(900)
    a = parse(ap)
    trace = tempfile.NamedTemporaryFile(prefix="vitrine-idle-")
    t = Terminal([a.vitrine, "run", "--record", trace.name, *a.arguments])
    t.expect(r"@@ SHELL.*\n", a.timeout)
    t.expect(r"# ", 120)
    t.type("cat /proc/uptime\r")
    before = float(t.expect(r"\n(\d+\.\d+) \d", 120).group(1))
    t.expect(r"# ", 120)
    cpu, host = t.cpu_seconds(), time.monotonic()
    while time.monotonic() < host + IDLE_SECONDS:
        t.read(0.5)
    used = t.cpu_seconds() - cpu
    t.type("cat /proc/uptime\r")
    after = float(t.expect(r"\n(\d+\.\d+) \d", 120).group(1))
    print(f"idle for {IDLE_SECONDS} s: {used:.2f} s of the host's processor; the guest's clock went on by {after - before:.2f} s")
    if used > IDLE_SECONDS / 5:
        fail("an idle guest burns the host")
    if not IDLE_SECONDS * 0.8 < after - before < IDLE_SECONDS * 3:
        fail("the guest's clock does not keep to the host's")
    t.type("\x01h")
    t.expect(r"Ctrl-A x", 30)
    t.type("\x01c")
    t.expect(r"\(vitrine\)|debugger", 30)
    t.type("\x01x")
    status = t.status(60)
    if status != 0:
        fail(f"Ctrl-A x: status {status}")
    done = subprocess.run([a.vitrine, "replay", trace.name, "--quiet"], capture_output=True, check=False)
    if done.returncode != 0:
        fail(f"the replay: {done.returncode}, {done.stderr.decode('latin1').strip()}")
    return 0


sys.exit(main())
