# SPDX-License-Identifier: GPL-3.0-or-later
"""A program at a pseudo terminal, and a person's keys."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time


class Terminal:
    def __init__(self, argv, rows=40, columns=160, environment=None):
        self.seen = ""
        self.fresh = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            env = dict(os.environ, TERM="xterm", **(environment or {}))
            env.pop("NO_COLOR", None)
            try:
                os.execvpe(argv[0], argv, env)
            finally:
                os._exit(127)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds):
        """What comes within a while; False at the end."""
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        text = data.decode("latin1")
        self.seen += text
        self.fresh += text
        return bool(data)

    def expect(self, pattern, seconds=20):
        """Wait until the pattern is there; what was seen up to its end is used up. None: it never came."""
        end = time.time() + seconds
        while True:
            found = re.search(pattern, self.fresh, re.S)
            if found:
                before = self.fresh[:found.end()]
                self.fresh = self.fresh[found.end():]
                return before
            if time.time() > end or not self.read(0.2):
                found = re.search(pattern, self.fresh, re.S)
                return self.fresh[:found.end()] if found else None

    def keys(self, text):
        os.write(self.fd, text.encode())

    def end(self, seconds=20):
        """The exit status, once the program has left."""
        limit = time.time() + seconds
        while time.time() < limit:
            alive = self.read(0.1)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
            if not alive:
                time.sleep(0.05)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)
        return None
