#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The GDB stub under nonsense: broken packets, wild numbers, dropped connections. It lives on, answers, and the machine
ends as it would have. usage: gdb_fuzz.py VITRINE TINY_GUESTS [ROUNDS]"""
import random
import select
import socket
import subprocess
import sys
import time

from case import count, counted, problem, run, tiny
from stock_gdb import free_port, start

ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 and sys.argv[3].isdigit() else 12

PACKETS = ["?", "g", "p10", "pffffffff", "P10=00", "P3=1122334455667788", "G00", "m0,40", "m100000,ffffffffff",
           "mffffffffffffffff,10", "M700000,4:11223344", "M0,ffffffff:00", "X700000,4:abcd", "Z0,100229,1", "z0,100229,1",
           "Z1,100229,1", "Z2,504,4", "Z3,504,4", "Z4,504,ffffffff", "Z9,1,1", "z2,504,4", "Z0,", "Hg1", "Hc-1", "Hgffff", "T1",
           "T99", "qSupported:multiprocess+", "qXfer:features:read:target.xml:0,ffb", "qXfer:features:read:target.xml:ffffffff,1",
           "qXfer:memory-map:read::0,ffff", "qfThreadInfo", "qsThreadInfo", "qThreadExtraInfo,2", "qThreadExtraInfo,zz", "qC",
           "qAttached", "vCont?", "vCont;s:1", "vCont;s:2;c", "vCont;x", "vCont;", "s", "bs", "bc", "qqemu.PhyMemMode",
           "Qqemu.PhyMemMode:1", "Qqemu.PhyMemMode:0", "qqemu.sstepbits", "!", "vMustReplyEmpty", "H", "Z", "m", "P", "X", "q",
           "QStartNoAckMode"]
MONITOR = ["help", "info registers", "x/8xw 0", "print 1/0", "walk 0x1000", "break exit if", "break io 0-ffff", "delete", "when",
           "goto 100", "goto 99999999999", "last-write 504", "msr", "vmcs", "disas/5", "p " + "(" * 300, "watch -p 0 1048577",
           "symbols load /dev/null", "symbols load /proc/self/mem", "continue", "quit", "type x", "set *0 = 1", "\xff\xfe", "x/0s"]


def frame(body):
    return b"$" + body + b"#%02x" % (sum(body) & 0xFF)


def some_packet(r):
    if r.random() < 0.25:
        body = b"qRcmd," + r.choice(MONITOR).encode("latin1").hex().encode()
    else:
        body = r.choice(PACKETS).encode()
    kind = r.random()
    if kind < 0.3:
        body = bytearray(body)
        for _ in range(r.choice((1, 1, 2, 8))):
            at = r.randrange(len(body) + 1)
            if at < len(body) and r.random() < 0.6:
                body[at] = r.randrange(256)
            else:
                body[at:at] = bytes(r.randrange(256) for _ in range(r.choice((1, 4, 64))))
        body = bytes(b for b in body if b not in b"#$}")
    elif kind < 0.33:
        body = body * r.choice((2, 50, 3000))
    if body[:1] == b"k":  # which would rightly end it all
        body = b"?"
    data = frame(body)
    if r.random() < 0.05:
        data = data[:-1] + b"z"  # a wrong sum
    if r.random() < 0.03:
        data = bytes(r.randrange(256) for _ in range(200))
    return data


def drain(s):
    """Take what is there, so that nobody waits for us."""
    while select.select([s], [], [], 0)[0]:
        if not s.recv(65536):
            return False
    return True


def connect(port):
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=20)
        except OSError:
            time.sleep(0.05)
    raise OSError("no connection")


def main(_folder):
    r = random.Random(7)
    port = free_port()
    server = start(["--kernel", tiny("spin"), "--serial", "none", "--hash"], port)
    try:
        for round_ in range(ROUNDS):
            counted()
            s = connect(port)
            for _ in range(60):
                try:
                    s.sendall(some_packet(r))
                    if r.random() < 0.2:
                        s.sendall(b"\x03")
                    if not drain(s):
                        break
                except OSError:
                    break
            if r.random() < 0.3:
                s.sendall(b"$m0,")  # in the middle of a packet
            s.close()
            if server.poll() is not None:
                break
        s = connect(port)  # it still answers
        s.settimeout(20)
        s.sendall(b"\x03" + frame(b"?"))
        got = b""
        while b"$T" not in got:
            more = s.recv(4096)
            if not more:
                problem("gdb fuzz", "no answer in the end")
                break
            got += more
        s.sendall(frame(b"k"))
        s.close()
    except OSError as why:
        problem("gdb fuzz", f"{why}; the server's status {server.poll()}")
    try:
        out, err = server.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        server.kill()
        out, err = server.communicate()
        problem("gdb fuzz", "the machine does not end")
    if server.returncode != 0 or err or count() < ROUNDS:
        problem("gdb fuzz", f"status {server.returncode}: {err[-1500:]} {out[-200:]}")


run(main)
