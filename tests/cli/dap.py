#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""An editor's session by the Debug Adapter Protocol, then nonsense and broken lines.
usage: dap.py VITRINE TINY_GUESTS INPUTS SOURCE_ROOT BUILD"""
import base64
import json
import os
import random
import re
import select
import socket
import subprocess
import sys
import time

from case import VITRINE, case, problem, run, tiny
from stock_gdb import free_port

ROOT, BUILD = sys.argv[4:6]
SOURCE = os.path.join(ROOT, "tests/guests/tiny/moments.S")


def line_of(text, path=SOURCE):
    for n, line in enumerate(open(path, encoding="utf-8"), 1):
        if line.startswith(text):
            return n
    raise ValueError(text)


class Editor:
    """A client on two pipes or a socket."""

    def __init__(self, arguments, port=None, command="debug"):
        self.process = subprocess.Popen([VITRINE, command, *arguments, f"--dap={port}" if port else "--dap"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.socket = None
        if port:
            for _ in range(100):
                try:
                    self.socket = socket.create_connection(("127.0.0.1", port))
                    break
                except OSError:
                    time.sleep(0.05)
        self.seq = 0
        self.data = b""
        self.events = []
        self.printed = ""

    def write(self, data):
        if self.socket:
            self.socket.sendall(data)
        else:
            self.process.stdin.write(data)
            self.process.stdin.flush()

    def read(self, seconds):
        fd = self.socket or self.process.stdout
        ready, _, _ = select.select([fd], [], [], seconds)
        if not ready:
            return None
        return self.socket.recv(65536) if self.socket else os.read(fd.fileno(), 65536)

    def message(self, seconds=20):
        end = time.time() + seconds
        while time.time() < end:
            head, found, rest = self.data.partition(b"\r\n\r\n")
            if found:
                size = int(head.split(b":")[1])
                if len(rest) >= size:
                    self.data = rest[size:]
                    return json.loads(rest[:size])
            more = self.read(0.2)
            if more == b"":
                return None
            self.data += more or b""
        return None

    def note(self, m):
        if m["type"] == "event":
            self.events.append(m)
            if m["event"] == "output":
                self.printed += m["body"]["output"]

    def ask(self, command, success=True, **arguments):
        self.seq += 1
        body = json.dumps({"seq": self.seq, "type": "request", "command": command, "arguments": arguments}).encode()
        self.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        while True:
            m = self.message()
            if m is None:
                problem("dap", f"{command}: no answer")
                return {}
            if m["type"] == "response" and m["request_seq"] == self.seq:
                if m["success"] != success:
                    problem("dap", f"{command} {arguments}: {m}")
                return m.get("body", {}) if m["success"] else m
            self.note(m)

    def wait(self, event):
        while True:
            for i, m in enumerate(self.events):
                if m["event"] == event:
                    return self.events.pop(i).get("body", {})
            m = self.message()
            if m is None:
                problem("dap", f"the event {event} never came")
                return {}
            self.note(m)

    def end(self):
        if self.socket:
            self.socket.close()
        try:
            self.process.communicate(timeout=20)
        except (subprocess.TimeoutExpired, ValueError):
            self.process.kill()
            self.process.communicate()
            problem("dap", "the server does not end")
        return self.process.returncode


def want(what, condition, shown=""):
    if not condition:
        problem("dap", f"{what}: {shown}")


def session(port):
    e = Editor(["--kernel", tiny("moments"), "--smp", "2"], port)
    able = e.ask("initialize", clientID="test", adapterID="vitrine")
    want("capabilities", able.get("supportsStepBack") and able.get("supportsDisassembleRequest"), able)
    e.ask("launch", symbols=tiny("moments"))
    e.wait("initialized")
    set_ = e.ask("setBreakpoints", source={"path": SOURCE}, breakpoints=[{"line": line_of("work:") + 1}])
    want("a source line", set_["breakpoints"][0]["verified"], set_)
    e.ask("setExceptionBreakpoints", filters=["entry-failure"])
    e.ask("configurationDone")
    want("entry", e.wait("stopped").get("reason") == "entry")
    e.ask("continue", threadId=1)
    stop = e.wait("stopped")
    want("breakpoint", stop.get("reason") == "breakpoint" and stop.get("hitBreakpointIds"), stop)
    want("threads", [t["id"] for t in e.ask("threads")["threads"]] == [1, 2])
    frames = e.ask("stackTrace", threadId=1)["stackFrames"]
    want("frames", frames[0]["name"] == "work" and frames[1]["name"].startswith("start"), frames)
    want("source", frames[0]["source"]["path"].endswith("moments.S") and frames[0]["line"] == line_of("work:") + 1, frames)
    scopes = e.ask("scopes", frameId=frames[0]["id"])["scopes"]
    want("scopes", [s["name"] for s in scopes] == ["Registers", "System registers"], scopes)
    registers = {v["name"]: v["value"] for s in scopes
                 for v in e.ask("variables", variablesReference=s["variablesReference"])["variables"]}
    want("registers", registers["rip"] == frames[0]["instructionPointerReference"] and "cr3" in registers, registers)
    value = e.ask("evaluate", expression="*(u32 *)0x504 + 1", context="watch")
    want("watch", value["result"] == "0x1", value)
    e.ask("evaluate", success=False, expression="nothing_of_this", context="hover")
    e.ask("stepIn", threadId=1, granularity="instruction")
    e.wait("stopped")
    want("stepped", e.ask("evaluate", expression="*(u32 *)0x504", context="watch")["result"] == "0x1")
    e.ask("stepBack", threadId=1, granularity="instruction")
    want("stepped back", e.wait("stopped").get("reason") == "step")
    want("and the value", e.ask("evaluate", expression="*(u32 *)0x504", context="watch")["result"] == "0x0")
    e.ask("stepOut", threadId=1)
    e.wait("stopped")
    e.ask("next", threadId=1)
    e.wait("stopped")
    info = e.ask("dataBreakpointInfo", name="0x504", bytes=4)
    want("data", info["dataId"], info)
    e.ask("setDataBreakpoints", breakpoints=[{"dataId": info["dataId"], "accessType": "write"}])
    e.ask("setBreakpoints", source={"path": SOURCE}, breakpoints=[])
    e.ask("continue", threadId=1)
    want("data breakpoint", e.wait("stopped").get("reason") == "data breakpoint")
    e.ask("reverseContinue", threadId=1)
    want("back to the write", e.wait("stopped").get("reason") == "data breakpoint")
    want("before it", e.ask("evaluate", expression="*(u32 *)0x504", context="watch")["result"] == "0x1")
    e.ask("setDataBreakpoints", breakpoints=[])
    lines = e.ask("disassemble", memoryReference="work", instructionOffset=-2, instructionCount=5)["instructions"]
    want("disassemble", len(lines) == 5 and lines[2]["instruction"].startswith("incl"), lines)
    made = e.ask("setInstructionBreakpoints", breakpoints=[{"instructionReference": lines[2]["address"], "offset": 0,
                                                           "condition": "u32(0x504) == 4"}])
    want("instruction breakpoint", made["breakpoints"][0]["verified"], made)
    e.ask("continue", threadId=1)
    want("its condition", e.wait("stopped").get("reason") == "breakpoint")
    want("its value", e.ask("evaluate", expression="u32(0x504)", context="watch")["result"] == "0x4")
    e.ask("setInstructionBreakpoints", breakpoints=[])
    wrong = e.ask("setFunctionBreakpoints", breakpoints=[{"name": "nonsense"}, {"name": "irq0_32"}])["breakpoints"]
    want("functions", [w["verified"] for w in wrong] == [False, True] and "nonsense" in wrong[0]["message"], wrong)
    e.ask("continue", threadId=1)
    e.wait("stopped")
    e.ask("setFunctionBreakpoints", breakpoints=[])
    e.ask("writeMemory", memoryReference="0x700000", offset=1, data=base64.b64encode(b"seen").decode())
    read = e.ask("readMemory", memoryReference="0x700000", offset=0, count=6)
    want("memory", base64.b64decode(read["data"]) == b"\0seen\0", read)
    want("shell", "CPL 0" in e.ask("evaluate", expression="stop", context="repl")["result"])
    want("completion", {"label": "reverse-continue", "start": 0, "length": 9} in
         e.ask("completions", text="reverse-c", column=10)["targets"])
    e.ask("setVariable", variablesReference=1, name="rbx", value="0x77")
    want("set", e.ask("evaluate", expression="$rbx", context="watch")["result"] == "0x77")
    e.ask("nonsense", success=False)
    e.ask("continue", threadId=1)
    end = e.wait("stopped")
    want("the end", "power-off" in end.get("description", ""), end)
    want("console", re.search("abcdef", e.printed), e.printed)
    e.ask("disconnect")
    e.wait("terminated")
    want("status", e.end() == 0, e.process.returncode)


def pausing():
    e = Editor(["--kernel", tiny("spin")])
    e.ask("initialize")
    e.ask("launch", stopOnEntry=False)
    e.wait("initialized")
    e.ask("configurationDone")
    time.sleep(0.3)
    want("threads while it runs", e.ask("threads")["threads"])
    e.ask("continue", success=False, threadId=1)
    e.ask("pause", threadId=1)
    want("pause", e.wait("stopped").get("reason") == "pause")
    e.ask("continue", threadId=1)
    e.ask("terminate")
    e.wait("terminated")
    want("status", e.end() == 0)


def guests():
    e = Editor(["--kernel", tiny("vmx_bad")])
    e.ask("initialize")
    e.ask("launch", symbols=[tiny("vmx_bad")], commands=["break vmfail"])
    e.wait("initialized")
    e.ask("setExceptionBreakpoints", filters=["entry-failure", "violation"])
    e.ask("configurationDone")
    e.wait("stopped")
    e.ask("continue", threadId=1)
    e.wait("stopped")
    want("why", "GUEST_RFLAGS" in e.ask("evaluate", expression="why", context="repl")["result"])
    scopes = e.ask("scopes", frameId=0)["scopes"]
    want("VMCS", scopes[-1]["name"] == "VMCS", scopes)
    fields = {v["name"]: v["value"] for v in
              e.ask("variables", variablesReference=scopes[-1]["variablesReference"])["variables"]}
    want("fields", fields["GUEST_RFLAGS"] == "0x0" and "HLT" in fields["PRIMARY_CONTROLS"], fields)
    e.ask("disconnect")
    want("status", e.end() == 0)


def source_of_a_hypervisor():
    """C: variables of frames, members in watches, who wrote one."""
    e = Editor(["--cpu", "amd", "--smp", "2", "--memory", "128M", "--kernel", os.path.join(BUILD, "hv/hv.elf"), "--initrd",
                os.path.join(BUILD, "guests/hvtest/hvtest.elf")])
    e.ask("initialize")
    e.ask("launch", symbols=os.path.join(BUILD, "hv/hv64.elf"))
    e.wait("initialized")
    e.ask("setFunctionBreakpoints", breakpoints=[{"name": "vp_cpuid", "condition": "leaf == 0x40000001"}])
    e.ask("configurationDone")
    e.wait("stopped")
    e.ask("continue", threadId=1)
    e.wait("stopped")
    frames = e.ask("stackTrace", threadId=1)["stackFrames"]
    want("C frames", [f["name"].split("+")[0] for f in frames[:3]] == ["vp_cpuid", "exit_cpuid", "cpu_loop"], frames)
    for i, expected in ((0, "leaf"), (1, "exit")):
        scope = e.ask("scopes", frameId=frames[i]["id"])["scopes"][0]
        names = [v["name"] for v in e.ask("variables", variablesReference=scope["variablesReference"])["variables"]]
        want("locals", scope["name"] == "Locals" and expected in names, (scope, names))
    leaf = e.ask("evaluate", expression="leaf", frameId=frames[0]["id"], context="hover")["result"]
    want("a variable", "0x40000001" in leaf, leaf)
    gpr = e.ask("evaluate", expression="vp->gpr", frameId=frames[1]["id"], context="watch")["result"]
    want("a member", gpr.startswith("{1073741825 (0x40000001), "), gpr)
    info = e.ask("dataBreakpointInfo", name="vp->gpr[0]", frameId=frames[0]["id"])
    e.ask("setDataBreakpoints", breakpoints=[{"dataId": info["dataId"], "accessType": "write"}])
    e.ask("continue", threadId=1)
    want("written", e.wait("stopped").get("reason") == "data breakpoint")
    e.ask("stepBack", threadId=1)
    e.wait("stopped")
    e.ask("disconnect")
    want("status", e.end() == 0)


def recorded(folder):
    """An editor at a recording: what would change the past is refused, the rest is there."""
    trace = os.path.join(folder, "a.trace")
    case(["run", "--kernel", tiny("moments"), "--smp", "2", "--record", trace, "--serial", "none"], 0)
    e = Editor([trace, "--debug"], command="replay")
    e.ask("initialize")
    e.ask("launch", symbols=tiny("moments"))
    e.wait("initialized")
    e.ask("setFunctionBreakpoints", breakpoints=[{"name": "work"}])
    e.ask("configurationDone")
    e.wait("stopped")
    e.ask("continue", threadId=1)
    e.wait("stopped")
    for command, arguments in (("setVariable", {"variablesReference": 1, "name": "rbx", "value": "1"}),
                               ("writeMemory", {"memoryReference": "0x700000", "data": "AAAA"})):
        answer = e.ask(command, success=False, **arguments)
        want(command, "cannot be changed" in answer.get("message", ""), answer)
    for line in ("set $rax = 1", "set *(u32 *)0x700 = 1", "type x"):
        want(line, "cannot be changed" in e.ask("evaluate", expression=line, context="repl").get("result", ""))
    e.ask("reverseContinue", threadId=1)
    e.wait("stopped")
    e.ask("disconnect")
    want("status", e.end() == 0)


def every_request_is_here():
    """The table of requests against what this file asks."""
    own = open(os.path.abspath(__file__), encoding="utf-8").read()
    for name in ("dap_requests.c", "dap_points.c", "dap_look.c"):
        text = open(os.path.join(ROOT, "debugger/dap", name), encoding="utf-8").read()
        for command in re.findall(r'{"([a-zA-Z]+)", [a-z_]+}', text):
            want("request without a test", f'ask("{command}"' in own or f'("{command}",' in own, command)


def nonsense():
    """Whatever comes, the server lives or leaves; it never crashes."""
    seeds = random.Random(1)
    good = [json.dumps({"seq": 1, "type": "request", "command": c, "arguments": a}).encode() for c, a in (
        ("initialize", {}), ("launch", {"symbols": 5, "commands": [1, {}]}), ("stackTrace", {"threadId": -1}),
        ("scopes", {"frameId": 1e300}), ("variables", {"variablesReference": -7}), ("setBreakpoints", {"breakpoints": 3}),
        ("disassemble", {"memoryReference": "work", "instructionOffset": -100000, "instructionCount": 1e9}),
        ("readMemory", {"memoryReference": "0", "count": -1}), ("writeMemory", {"memoryReference": "0x100", "data": "!!"}),
        ("evaluate", {"expression": "((((" * 200}), ("evaluate", {"expression": "x/9999999xg 0", "context": "repl"}),
        ("completions", {"text": "\u0000", "column": 99}), ("setDataBreakpoints", {"breakpoints": [{"dataId": "x" * 5000}]}),
        ("stepBack", {}), ("continue", {"threadId": "one"}), ("threads", None))]
    for round_ in range(12):
        p = subprocess.Popen([VITRINE, "debug", "--kernel", tiny("hello"), "--dap"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        data = b""
        for _ in range(60):
            body = bytearray(seeds.choice(good))
            for _ in range(seeds.choice((0, 0, 1, 5))):
                body[seeds.randrange(len(body))] = seeds.randrange(256)
            data += b"Content-Length: %d\r\n\r\n%s" % (len(body) + (seeds.random() < 0.02), body)
        if round_ == 0:
            data = bytes(seeds.randrange(256) for _ in range(5000))
        elif round_ == 1:
            data = b"Content-Length: 99999999999999999999\r\n\r\n{}"
        elif round_ == 2:
            data = b"Content-Length: 200000\r\n\r\n" + b"[" * 200000
        try:
            _, err = p.communicate(data, timeout=60)
        except subprocess.TimeoutExpired:
            p.kill()
            _, err = p.communicate()
            problem("dap nonsense", f"round {round_}: the server does not end")
        if p.returncode != 0 or err:
            problem("dap nonsense", f"round {round_}: status {p.returncode}, {err[-300:]}")


def dropped():
    """An editor that goes without a word, in the middle of a message, while the machine runs: the server leaves."""
    for cut in (b"", b"Content-Le", b"Content-Length: 50\r\n\r\n{"):
        e = Editor(["--kernel", tiny("spin"), "--serial", "none"])
        e.ask("initialize")
        e.ask("launch", stopOnEntry=False)
        e.wait("initialized")
        e.ask("configurationDone")
        e.write(cut)
        want("status", e.end() == 0, e.process.returncode)


def main(folder):
    every_request_is_here()
    source_of_a_hypervisor()
    recorded(folder)
    dropped()
    session(None)
    session(free_port())
    pausing()
    guests()
    nonsense()
    case(["debug", "--kernel", tiny("hello"), "--dap=nowhere:x"], 64, "HOST:PORT")


run(main)
