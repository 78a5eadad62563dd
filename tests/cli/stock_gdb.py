# SPDX-License-Identifier: GPL-3.0-or-later
"""A stock gdb at a machine's stub."""
import socket
import subprocess

from case import VITRINE, problem


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(arguments, port, command="run"):
    """The machine, stopped before its first instruction. port: what --gdb is given."""
    return subprocess.Popen([VITRINE, command, *arguments, "--gdb", str(port), "-S"], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def session(commands, arguments, before=(), seconds=200):
    """What gdb prints, behind [COMMAND] each, and the machine's two outputs. before: commands before it connects; gdb
    itself tries again until the machine listens. The machine has ended, or is killed and that is a problem."""
    port = free_port()
    machine = start(arguments, port)
    words = ["gdb", "-nx", "-batch", "-ex", "set pagination off", "-ex", "set confirm off"]
    for c in (*before, f"target remote 127.0.0.1:{port}"):
        words += ["-ex", c]
    for c in commands:
        words += ["-ex", f"echo [{c}]\\n", "-ex", c]
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)
    try:
        out, err = machine.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        machine.kill()
        out, err = machine.communicate()
        problem("gdb", "the machine did not end after gdb left")
    return done.stdout + done.stderr, out.decode("latin1"), err.decode("latin1")
