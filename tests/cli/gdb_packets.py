#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""GDB's remote protocol packet by packet: what every tool behind it relies on, under both engines, in every mode of the
processor, live and in a recording. usage: gdb_packets.py VITRINE TINY_GUESTS"""
import os
import re
import socket
import struct
import subprocess
import time
import xml.etree.ElementTree as ElementTree

from case import VITRINE, case, problem, run, same, tiny, want
from stock_gdb import free_port, start

GENERAL = "rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip eflags cs ss ds es fs gs".split()
X87 = [f"st{i}" for i in range(8)] + "fctrl fstat ftag fiseg fioff foseg fooff fop".split()
SYSTEM = "fs_base gs_base k_gs_base cr0 cr2 cr3 cr4 cr8 efer".split()
ROUNDS, PING = 0x504, 0x510  # of tests/guests/tiny/moments.S


class Stub:
    """A machine, and a line to its stub."""

    def __init__(self, arguments, more="", command="run"):
        self.port = free_port()
        self.server = start(arguments, f"{self.port}{more}", command)
        self.connect()

    def connect(self):
        for _ in range(200):
            try:
                self.line = socket.create_connection(("127.0.0.1", self.port), timeout=30)
                break
            except OSError:
                time.sleep(0.05)
        self.data = b""
        self.acks = True
        self.names = []

    def byte(self):
        if not self.data:
            self.data = self.line.recv(65536)
            if not self.data:
                raise OSError("the line is closed")
        first, self.data = self.data[:1], self.data[1:]
        return first

    def answer(self):
        """The next packet."""
        while self.byte() != b"$":
            pass
        body = b""
        while (c := self.byte()) != b"#":
            body += c
        told = int(self.byte() + self.byte(), 16)
        if told != sum(body) & 0xFF:
            problem("packets", f"a wrong sum: {body!r}")
        if self.acks:
            self.line.sendall(b"+")
        return body.decode("latin1")

    def send(self, body):
        body = body if isinstance(body, bytes) else body.encode()
        self.line.sendall(b"$" + body + b"#%02x" % (sum(body) & 0xFF))
        if self.acks and self.byte() != b"+":
            problem("packets", f"{body!r} is not acknowledged")

    def ask(self, body):
        self.send(body)
        return self.answer()

    def describe(self):
        text, at = "", 0
        while True:
            part = self.ask(f"qXfer:features:read:target.xml:{at:x},7f0")
            text += part[1:]
            at += len(part) - 1
            if part[0] == "l":
                break
        tree = ElementTree.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", text))
        self.features = {f.get("name"): f for f in tree.iter("feature")}
        self.architecture = tree.find("architecture").text
        regs = sorted(((int(r.get("regnum")), r) for r in tree.iter("reg")), key=lambda pair: pair[0])
        if [n for n, _ in regs] != list(range(len(regs))):
            problem("the description", "its numbers have holes")
        self.names = [r.get("name") for _, r in regs]
        self.sizes = [int(r.get("bitsize")) // 8 for _, r in regs]
        return self.names

    def registers(self):
        data, values = bytes.fromhex(self.ask("g")), {}
        for name, size in zip(self.names, self.sizes):
            values[name], data = int.from_bytes(data[:size], "little"), data[size:]
        if data:
            problem("g", "more than the description says")
        return values

    def monitor(self, text):
        self.send("qRcmd," + text.encode().hex())
        said = ""
        while (part := self.answer()) != "OK":
            if part[:1] != "O":
                return said + "!" + part
            said += bytes.fromhex(part[1:]).decode("latin1")
        return said

    def end(self):
        self.send("k")
        out, err = self.server.communicate(timeout=60)
        if self.server.returncode != 0 or err:
            problem("the end", f"status {self.server.returncode}: {err[-500:]}")
        return out


def symbol(guest, name):
    text = subprocess.run(["nm", tiny(guest)], capture_output=True, text=True, check=True).stdout
    return int(re.search(rf"^([0-9a-f]+) . {name}$", text, re.M).group(1), 16)


def session(engine):
    s = Stub(["--kernel", tiny("moments"), "--smp", "2", "--engine", engine])
    work = symbol("moments", "work")
    want("qSupported", s.ask("qSupported:multiprocess+;swbreak+;hwbreak+;xmlRegisters=i386"),
         r"PacketSize=[0-9a-f]+;.*qXfer:features:read\+.*qXfer:memory-map:read\+.*swbreak\+;hwbreak\+.*vContSupported\+.*"
         r"QStartNoAckMode\+.*ReverseStep\+;ReverseContinue\+")
    same("no-ack", s.ask("QStartNoAckMode"), "OK")
    s.acks = False
    names = s.describe()
    same("architecture", s.architecture, "i386:x86-64")
    core = [r.get("name") for r in s.features["org.gnu.gdb.i386.core"].iter("reg")]
    same("core", [n for n in core if n not in SYSTEM], GENERAL + X87)
    same("system registers", [n for n in core if n in SYSTEM], SYSTEM)
    same("sse", [r.get("name") for r in s.features["org.gnu.gdb.i386.sse"].iter("reg")], [f"xmm{i}" for i in range(16)] + ["mxcsr"])
    same("avx", [r.get("name") for r in s.features["org.gnu.gdb.i386.avx"].iter("reg")], [f"ymm{i}h" for i in range(16)])
    want("?", s.ask("?"), r"^T05thread:1;")
    same("threads", s.ask("qfThreadInfo") + s.ask("qsThreadInfo"), "m1,2l")
    want("a thread's name", bytes.fromhex(s.ask("qThreadExtraInfo,2")).decode(), r"CPU#1 \[waiting for SIPI\]")
    same("T", [s.ask("T1"), s.ask("T2"), s.ask("T3")], ["OK", "OK", "E22"])
    same("attached", s.ask("qAttached"), "1")
    same("vCont?", s.ask("vCont?"), "vCont;c;C;s;S")
    same("unknown", [s.ask("vMustReplyEmpty"), s.ask("qNonsense"), s.ask("Z9,0,1")], ["", "", ""])
    # Breakpoints of both kinds; a breakpoint is not in memory.
    plain = s.ask(f"m{work:x},8")
    for kind, said in (("0", "swbreak:;"), ("1", "hwbreak:;")):
        same("Z" + kind, s.ask(f"Z{kind},{work:x},1"), "OK")
        same("memory under it", s.ask(f"m{work:x},8"), plain)
        same("stop", s.ask("vCont;c"), f"T05thread:1;{said}")
        same("rip", s.registers()["rip"], work)
        same("z" + kind, s.ask(f"z{kind},{work:x},1"), "OK")
    same("p", s.ask(f"p{names.index('rip'):x}"), struct.pack("<Q", work).hex())
    want("step", s.ask("vCont;s:1;c"), r"^T05thread:1;$")
    same("after the step", s.registers()["rip"] > work, True)
    want("back", s.ask("bs"), r"^T05thread:1;")
    same("after the step back", s.registers()["rip"], work)
    want("step, the old way", s.ask("Hc1") + s.ask("s"), r"^OKT05thread:1;$")
    # Watchpoints of the three kinds, forward and back.
    for kind, said in (("2", "watch"), ("3", "rwatch"), ("4", "awatch")):
        same("Z" + kind, s.ask(f"Z{kind},{ROUNDS:x},4"), "OK")
        want("watched", s.ask("c"), rf"^T05thread:1;{said}:{ROUNDS:x};$")
        before = s.ask(f"m{ROUNDS:x},4")
        want("watched, back", s.ask("bc"), rf"^T05thread:1;({said}:{ROUNDS:x};)?")
        if kind == "2":
            same("before the write", int(before[:2], 16) - int(s.ask(f"m{ROUNDS:x},4")[:2], 16), 1)
        same("z" + kind, s.ask(f"z{kind},{ROUNDS:x},4"), "OK")
    same("the beginning", s.ask("bc"), "T05thread:1;replaylog:begin;")
    # The second processor's counter; whose registers are whose.
    s.ask(f"Z2,{PING:x},4")
    want("the other thread", s.ask("vCont;c"), r"^T05thread:2;watch:")
    s.ask(f"z2,{PING:x},4")
    modes = []
    for thread in (1, 2):
        same("Hg", s.ask(f"Hg{thread}"), "OK")
        modes.append(s.registers())
    same("two processors", modes[0]["rip"] != modes[1]["rip"], True)
    # Memory: linear, physical, bytes; writing; the map.
    same("Hg", s.ask("Hg1"), "OK")
    same("X", s.ask(b"X700000,4:\x01}\x03\x02}\x04"), "OK")  # 0x23 and 0x24 are escaped
    same("m", s.ask("m700000,4"), "01230224")
    same("M", s.ask("M700001,1:ff"), "OK")
    same("x", s.ask("x700000,4"), "b\x01\xff\x02}\x04")
    same("physical mode", [s.ask("qqemu.PhyMemMode"), s.ask("Qqemu.PhyMemMode:1"), s.ask("qqemu.PhyMemMode")], ["0", "OK", "1"])
    same("physical memory", s.ask("m700000,4"), "01ff0224")
    want("the physical map", s.ask("qXfer:memory-map:read::0,ffff"), r'^l<\?xml.*type="ram" start="0x0".*start="0x100000"')
    same("not memory", s.ask("mfee00000,4"), "E14")
    s.ask("Qqemu.PhyMemMode:0")
    want("the linear map", s.ask("qXfer:memory-map:read::0,ffff"), r'type="ram" start="0x8000000000000000"')
    same("sstep", [s.ask("qqemu.sstep"), s.ask("Qqemu.sstep=1")], ["0x1", "OK"])
    # Registers written: general, vector, x87.
    for name, value in (("rbx", 0x1122334455667788), ("xmm3", (7 << 64) | 9), ("ymm3h", 5), ("mxcsr", 0x1F80), ("st2", 1 << 63),
                        ("k_gs_base", 0x1234)):
        n = names.index(name)
        same("P " + name, s.ask(f"P{n:x}=" + value.to_bytes(s.sizes[n], "little").hex()), "OK")
        same(name, s.registers()[name], value)
    same("P cr0", s.ask(f"P{names.index('cr0'):x}=" + bytes(8).hex()), "E22")
    data = s.ask("g")
    same("G", s.ask("G" + data), "OK")
    # Any command of the shell.
    want("monitor", s.monitor("info registers"), r"RAX .*RBX 1122334455667788")
    want("monitor help", s.monitor("help"), r"Guests and hypervisors\n  vmcs")
    want("monitor continue", s.monitor("continue"), r"GDB")
    # Ctrl-C; leaving and coming back.
    same("c", s.send("vCont;c"), None)
    time.sleep(0.2)
    s.line.sendall(b"\x03")
    stopped = s.answer()
    if stopped != "W00":  # it may have come to its end meanwhile
        want("Ctrl-C", stopped, r"^T02thread:[12];$")
        same("D", s.ask("D"), "OK")
    s.line.close()
    s.server.communicate(timeout=60)
    same("status", s.server.returncode, 0)


def interrupted_and_dropped(engine):
    """Ctrl-C while it runs; a connection that is cut, and the next one."""
    s = Stub(["--kernel", tiny("spin"), "--serial", "none", "--engine", engine])
    s.describe()
    s.send("vCont;c")
    time.sleep(0.3)
    s.line.sendall(b"\x03")
    want("Ctrl-C", s.answer(), r"^T02thread:1;$")
    s.send("c")
    s.line.close()
    s.connect()
    want("stopped by a new connection", s.ask("?"), r"^T02thread:1;$")
    s.line.sendall(b"$m0,")
    s.line.close()
    s.connect()
    want("again", s.ask("?"), r"^T0[25]thread:1;")
    s.end()


def modes():
    """Real mode, 16-bit, 32-bit and 64-bit code, under each description; inside a guest."""
    s = Stub(["--firmware", "seabios"], ",arch=i8086")
    names = s.describe()
    same("i8086", [s.architecture, names[:9]], ["i8086", "eax ecx edx ebx esp ebp esi edi eip".split()])
    r = s.registers()
    same("reset", [r["eip"], r["cs"], r["cr0"] & 1, r["edx"] != 0], [0xFFFFFFF0, 0xF000, 0, True])
    same("a jump at the reset vector", s.ask("mfffffff0,1"), "ea")
    want("break in real mode", s.ask("Z1,fe05b,1") + s.ask("c"), r"^OKT05thread:1;hwbreak:;$")
    same("there", s.registers()["eip"], 0xFE05B)
    s.end()
    s = Stub(["--firmware", "seabios"], ",pc=offset")
    s.describe()
    r = s.registers()
    same("as QEMU has it", [r["rip"], r["cs"], r["r8"]], [0xFFF0, 0xF000, 0])
    s.end()
    s = Stub(["--kernel", tiny("vmx_calls")], ",arch=i386")
    s.describe()
    same("i386", [s.architecture, len([n for n in s.names if n.startswith("xmm")]), "r8" in s.names], ["i386", 8, False])
    s.monitor("break entry")
    want("a VM entry", s.ask("c"), r"^T05thread:1;")
    want("inside", bytes.fromhex(s.ask("qThreadExtraInfo,1")).decode(), "guest")
    inside = s.registers()["eip"]
    same("the guest's code", inside, int(re.search(r"0x([0-9a-f]+)", s.monitor("print/x GUEST_RIP")).group(1), 16))
    want("levels", s.monitor("levels"), r"L1 guest 1: VMCS")
    want("a step in the guest", s.ask("s"), r"^T05")
    same("it moved", s.registers()["eip"] != inside, True)
    s.end()
    case(["run", "--kernel", tiny("hello"), "--gdb", "1,arch=arm"], 64, "arch=x86-64, i386 or i8086")


def listens_at(port):
    """The addresses that something of this host listens at, with this port."""
    found = set()
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        if os.path.exists(name):
            for row in open(name, encoding="ascii").read().splitlines()[1:]:
                local, state = row.split()[1], row.split()[3]
                if state == "0A" and int(local.split(":")[1], 16) == port:
                    found.add(local.split(":")[0])
    return found


def loopback():
    """Both servers are there for this host alone unless told otherwise."""
    s = Stub(["--kernel", tiny("spin"), "--serial", "none"])
    same("gdb at the loopback address", listens_at(s.port), {"0100007F"})
    s.end()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for where, address in ((f"{port}", "0100007F"), (f"0.0.0.0:{port}", "00000000")):
        server = subprocess.Popen([VITRINE, "debug", "--kernel", tiny("spin"), f"--dap={where}"], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(200):
            if listens_at(port):
                break
            time.sleep(0.05)
        same(f"--dap={where}", listens_at(port), {address})
        with socket.create_connection(("127.0.0.1", port)):
            pass
        server.communicate(timeout=60)


def recording(folder):
    """In a recording the past stays as it is; the same stops, forward and back."""
    trace = os.path.join(folder, "a.trace")
    case(["run", "--kernel", tiny("moments"), "--smp", "2", "--record", trace, "--serial", "none"], 0)
    s = Stub([trace], command="replay")
    names = s.describe()
    s.ask(f"Z2,{ROUNDS:x},4")
    want("watched", s.ask("c"), r"watch:504;")
    want("back", s.ask("bc"), r"watch:504;|replaylog")
    same("writing", [s.ask("M700000,1:00"), s.ask(b"X700000,1:a"), s.ask(f"P{names.index('rbx'):x}=" + bytes(8).hex())], ["E22"] * 3)
    want("writing by the shell", s.monitor("set $rax = 1"), "cannot be changed")
    want("typing", s.monitor("type x"), "cannot be changed")
    s.ask(f"z2,{ROUNDS:x},4")
    same("its end", s.ask("c"), "W00")
    _, err = s.server.communicate(timeout=60)
    want("the replay", err.decode(), "is the recorded run")
    same("status", s.server.returncode, 0)


def main(folder):
    for engine in ("jit", "interp"):
        session(engine)
        interrupted_and_dropped(engine)
    modes()
    loopback()
    recording(folder)


run(main)
