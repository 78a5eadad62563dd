#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record and replay of a small guest. usage: replay.py VITRINE ROM CASE

One rule per case; a failed one says what was run."""
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

VITRINE, ROM, CASE = sys.argv[1:4]
WORK = tempfile.mkdtemp(prefix="vitrine-replay-")
BASE = ["--firmware", ROM, "--memory", "16M", "--nodefaults", "--serial", "stdio",
        "--device", "isa-debug-exit,iobase=0xf4", "--max-instructions", "40000000"]
QUIT_STATUS = 0x10 << 1 | 1


def fail(text):
    print(f"FAIL {CASE}: {text}")
    sys.exit(1)


def check(condition, text):
    if not condition:
        fail(text)


def run(args, **kw):
    kw.setdefault("stdin", subprocess.DEVNULL)
    if "input" in kw:
        del kw["stdin"]
    return subprocess.run([VITRINE] + args, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=100, **kw)


def last_line(p):
    lines = p.stdout.decode(errors="replace").strip().split("\n")
    return lines[-1]


def path(name):
    return os.path.join(WORK, name)


def replay_agrees(trace, *more):
    p = run(["replay", trace, "--quiet", *more])
    check(p.returncode == 0, f"replay of {trace} {more}: status {p.returncode}: {p.stderr.decode()}")
    return p


def pipe_run(chunks, *more, delay=0.0):
    """Feed chunks through a pipe, with pauses; the completed process."""
    p = subprocess.Popen([VITRINE, "run", *BASE, "--hash", *more], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for c in chunks:
        time.sleep(delay)
        p.stdin.write(c)
        p.stdin.flush()
    out, err = p.communicate(timeout=100)
    p.stdout_text, p.stderr_text = out.decode(), err.decode()
    return p


def case_pipe():
    """A pipe's bytes decide the run, not when or in what pieces they are written; and a replay needs
    no pipe."""
    a = pipe_run([b"one\ntwo\nq\n"], "--record", path("a"))
    b = pipe_run([b"on", b"e\nt", b"wo\n", b"q\n"], delay=0.15)
    check(a.returncode == QUIT_STATUS, f"status {a.returncode}: {a.stderr_text}")
    check("> one\ntwo\nbye" in a.stdout_text.replace("\r", ""), f"echo: {a.stdout_text!r}")
    check(a.stdout_text == b.stdout_text, f"{a.stdout_text!r} and {b.stdout_text!r}")
    replay_agrees(path("a"))


def case_perturb():
    """Recording, the distance of marks, the size of caches: none can be seen."""
    text = b"abc\ndef\nq\n"
    plain = run(["run", *BASE, "--hash"], input=text)
    for i, more in enumerate([["--record", path("r0"), "--epoch", "10007"],
                              ["--record", path("r1"), "--epoch", "1000000", "--trace", "all"],
                              ["--tlb-entries", "2"]]):
        p = run(["run", *BASE, "--hash", *more], input=text)
        check(last_line(p) == last_line(plain), f"{more}: {last_line(p)} and {last_line(plain)}")
    replay_agrees(path("r0"), "--tlb-entries", "2")
    replay_agrees(path("r1"), "--epoch", "99991", "--record", path("r2"), "--trace", "all")
    replay_agrees(path("r2"))
    # The events are those of the first run.
    dumps = [run(["trace", "dump", path(n), "--class", "input,console,cpu,int,cr,msr,io"]).stdout
             for n in ("r1", "r2")]
    check(len(dumps[0]) > 10000 and dumps[0] == dumps[1], "events of run and replay differ")


def case_snapshot():
    """A run that is saved anywhere and goes on in another process ends as the whole one; a recording of the
    second half replays."""
    with open(path("script"), "w", encoding="ascii") as f:
        f.write('expect "> "\nsend "one\\n"\nexpect "one"\nsend "two\\n"\nwait 200\nsend "three\\nq"\n')
    options = [*BASE, "--script", path("script")]
    whole = run(["run", *options, "--hash"])
    check(whole.returncode == QUIT_STATUS, f"status {whole.returncode}: {whole.stderr.decode()}")
    end = int(re.search(r"position (\d+)", last_line(whole)).group(1))
    for i, at in enumerate((1, end // 3, end // 2, end - 5)):
        saved = path(f"s{i}")
        first = run(["run", *options, "--max-instructions", str(at), "--save", saved])
        check(first.returncode == 124, f"saving at {at}: status {first.returncode}: {first.stderr.decode()}")
        second = run(["run", "--load", saved, "--hash", "--record", path("r")])
        check(second.returncode == QUIT_STATUS, f"from {at}: {second.returncode} {second.stderr.decode()}")
        check(last_line(second) == last_line(whole), f"from {at}: {last_line(second)}, whole {last_line(whole)}")
        replay_agrees(path("r"))
    at = [str(end * i // 8) for i in range(1, 8)]
    several = run(["run", *options, "--hash", "--save", path("v"), "--save-at", ",".join(at)])
    check(last_line(several) == last_line(whole), f"saving on the way: {last_line(several)}, whole {last_line(whole)}")
    for n in at:
        p = run(["run", "--load", path("v." + n), "--hash"])
        check(last_line(p) == last_line(whole), f"saved on the way at {n}: {last_line(p)}, whole {last_line(whole)}")
    p = run(["run", *options, "--save", path("e"), "--save-at", at[0], "--max-instructions", at[0]]) # where the run ends too
    check(p.returncode == 124 and os.path.exists(path("e." + at[0])), f"saving at the limit: {p.returncode} {p.stderr.decode()}")
    for arguments, why in ((["--save-at", "5"], "--save-at wants --save"), (["--save", path("v"), "--save-at", "5,5"], "must be greater"),
                           (["--history-memory", "1k"], "from 1M on")):
        p = run(["run", *BASE, *arguments])
        check(p.returncode == 64 and why in p.stderr.decode(), f"{arguments}: {p.returncode} {p.stderr}")
    again = run(["run", "--load", path("s1"), "--max-instructions", str(end // 2), "--save", path("t")], input=b"")
    check(again.returncode == 124, f"saving what was loaded: {again.returncode} {again.stderr.decode()}")
    for arguments, status, why in (
            (["--load", path("s1"), "--smp", "2"], 64, "brings its own"),
            (["--load", path("nothing")], 66, "nothing"),
            (["--load", path("r")], 65, "not a snapshot"),
            (["--load", ROM], 65, "not a recording of vitrine")):
        p = run(["run", *arguments])
        check(p.returncode == status and why in p.stderr.decode(), f"{arguments}: {p.returncode} {p.stderr}")
    with open(path("s1"), "rb") as f:
        data = f.read()
    for n in range(0, len(data), len(data) // 20):
        with open(path("cut"), "wb") as f:
            f.write(data[:n])
        p = run(["run", "--load", path("cut")])
        check(p.returncode == 65, f"cut at {n}: status {p.returncode}: {p.stderr}")
    p = run(["replay", path("s1")])
    check(p.returncode == 65 and "snapshot" in p.stderr.decode(), f"replay of a snapshot: {p.returncode} {p.stderr}")


class Terminal:
    """vitrine on a pseudo terminal, as a person has it."""

    def __init__(self, *more):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(VITRINE, [VITRINE, "run", *BASE, *more])
        self.seen = b""

    def expect(self, text, seconds=30):
        end = time.time() + seconds
        while text not in self.seen:
            check(time.time() < end, f"terminal: {text!r} did not come, only {self.seen!r}")
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.fd, 4096)
                except OSError:
                    break
        self.seen = self.seen.split(text, 1)[-1]

    def type(self, text):
        os.write(self.fd, text)

    def status(self):
        end = time.time() + 60
        while time.time() < end:
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    os.read(self.fd, 4096)
                except OSError:
                    pass
            pid, st = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(st)
        fail("terminal: it does not end")


def case_keys():
    """Keys come when a person presses them; the recording has their moments. Ctrl-C is the guest's,
    Ctrl-A the simulator's."""
    t = Terminal("--record", path("k"), "--epoch", "100000")
    t.expect(b"> ")
    t.type(b"x")
    t.expect(b"x")
    time.sleep(0.3)
    t.type(b"yz\x03\x01\x01")
    t.expect(b"yz\x03\x01")
    t.type(b"\x01h")
    t.expect(b"Ctrl-A x")
    t.type(b"q")
    check(t.status() == QUIT_STATUS, "status of the run")
    replay_agrees(path("k"))
    t = Terminal("--record", path("k2"))
    t.expect(b"> ")
    t.type(b"a\x01x")
    check(t.status() == 0, "status of Ctrl-A x")
    replay_agrees(path("k2"))


def case_killed():
    """A killed recording replays to where it was cut."""
    t = Terminal("--record", path("t"), "--epoch", "50000")
    t.expect(b"> ")
    t.type(b"hello")
    t.expect(b"hello")
    time.sleep(0.8)
    os.kill(t.pid, signal.SIGKILL)
    t.status()
    p = replay_agrees(path("t"))
    check(b"has no end" in p.stderr, p.stderr.decode())
    data = open(path("t"), "rb").read()
    for cut in (len(data) - 1, len(data) // 2, 300, 40, 31, 0):
        open(path("cut"), "wb").write(data[:cut])
        p = run(["replay", path("cut"), "--quiet"])
        lines = p.stderr.decode().strip().split("\n")
        check(p.returncode in (0, 65) and len(lines) == 1, f"cut at {cut}: {p.returncode} {lines}")
    damaged = bytearray(data)
    damaged[len(data) // 2] ^= 1
    open(path("cut"), "wb").write(damaged)
    p = run(["trace", "stat", path("cut")])
    check(p.returncode == 0 and b"damaged" in p.stderr, "a flipped bit is noticed")


def case_interrupted():
    """Ctrl-C without a terminal stops with 130; the replay ends at the same place."""
    p = subprocess.Popen([VITRINE, "run", *BASE, "--record", path("i"), "--pace", "host"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdin.write(b"abc\n")
    p.stdin.flush()
    time.sleep(1.2)
    p.send_signal(signal.SIGINT)
    p.communicate(timeout=60)
    check(p.returncode == 130, f"status {p.returncode}")
    replay_agrees(path("i"))


def case_script():
    """A script types what the guest asks for, at the same virtual times in every run."""
    script = path("s.txt")
    open(script, "w").write("# talk\ntimeout 20\nexpect ready\n> => hello\nexpect hello\n"
                            "wait 25\nsend \"A\\x42C\"\nexpect ABC\nsend q\n")
    a = run(["run", *BASE, "--hash", "--script", script, "--record", path("s")])
    b = run(["run", *BASE, "--hash", "--script", script])
    check(a.returncode == QUIT_STATUS and a.stdout == b.stdout, a.stdout.decode() + a.stderr.decode())
    os.unlink(script)
    replay_agrees(path("s"))
    open(script, "w").write("timeout 1\nexpect never\n")
    p = run(["run", *BASE, "--script", script])
    check(p.returncode == 74 and b"line 2" in p.stderr, p.stderr.decode())
    open(script, "w").write("expect ready\nstop\n")
    check(run(["run", *BASE, "--script", script]).returncode == 0, "stop")
    open(script, "w").write("expect ready\nexcept x\n")
    p = run(["run", *BASE, "--script", script])
    check(p.returncode == 65 and b"line 2" in p.stderr, p.stderr.decode())


def case_files():
    """A changed or missing file is named in one line; --file says where a copy is."""
    rom = path("rom.bin")
    shutil.copy(ROM, rom)
    base = [rom if a == ROM else a for a in BASE]
    p = run(["run", *base, "--record", path("f")], input=b"q\n")
    check(p.returncode == QUIT_STATUS, p.stderr.decode())
    shutil.copy(rom, path("copy.bin"))
    data = bytearray(open(rom, "rb").read())
    data[0x8000] ^= 1
    open(rom, "wb").write(data)
    p = run(["replay", path("f")])
    check(p.returncode == 65 and p.stderr.count(b"\n") == 1, p.stderr.decode())
    os.unlink(rom)
    p = run(["replay", path("f")])
    check(p.returncode == 66 and p.stderr.count(b"\n") == 1, p.stderr.decode())
    replay_agrees(path("f"), "--file", f"{rom}={path('copy.bin')}")
    p = run(["replay", path("f"), "--file", f"{rom}={path('copy.bin')}", "--seed", "2"])
    check(p.returncode == 64, "a replay takes what decides the run from its recording")


def case_halted():
    """A guest that halts for good ends with 75, piped input waiting or not; with a terminal it
    waits for the person."""
    p = run(["run", *BASE, "--record", path("h")], input=b"!\nmore\n")
    check(p.returncode == 75, f"status {p.returncode}")
    replay_agrees(path("h"))
    t = Terminal("--record", path("h2"))
    t.expect(b"> ")
    t.type(b"!")
    time.sleep(0.5)
    t.type(b"\x01x")
    check(t.status() == 0, "Ctrl-A x while halted")
    replay_agrees(path("h2"))


def case_pty():
    """--serial pty names a terminal that others can open."""
    args = [a if a != "stdio" else "pty" for a in BASE]
    p = subprocess.Popen([VITRINE, "run", *args, "--record", path("p"), "--pace", "host"],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    line = p.stderr.readline().decode()
    m = re.search(r"(/dev/pts/\d+)", line)
    check(m, line)
    fd = os.open(m.group(1), os.O_RDWR | os.O_NOCTTY)
    os.write(fd, b"abq")
    p.communicate(timeout=60)
    check(p.returncode == QUIT_STATUS, f"status {p.returncode}")
    replay_agrees(path("p"))


def case_net():
    """Frames from the host's network pass the gate and are in the recording; a replay has no network."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    args = BASE + ["--nic", f"user,hostfwd=tcp::{port}-:80", "--record", path("n")]
    p = subprocess.Popen([VITRINE, "run", *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    p.stdin.write(b"a\n")
    p.stdin.flush()
    time.sleep(0.5)
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            time.sleep(0.2)
    p.stdin.write(b"q\n")
    p.communicate(timeout=60)
    check(p.returncode == QUIT_STATUS, f"status {p.returncode}")
    dump = run(["trace", "dump", path("n"), "--event", "input"]).stdout
    check(b"source=net0" in dump, dump.decode())
    replay_agrees(path("n"))


def case_command_line():
    """Bad use is one line and status 64, 65 or 66."""
    open(path("text"), "w").write("no trace at all\n" * 10)
    for args, status in ((["replay"], 64), (["replay", "/nonexistent"], 66),
                         (["replay", path("text")], 65), (["trace", "stat", path("text")], 65),
                         (["trace", "frob"], 64), (["trace", "dump"], 64),
                         (["run", "--trace", "int"], 64), (["run", "--trace", "nonsense"], 64),
                         (["run", *BASE, "--record", "/nonexistent/x"], 65),
                         (["trace", "dump", path("text"), "--event", "delivr"], 64)):
        p = run(args)
        check(p.returncode == status and p.stderr.count(b"\n") == 1,
              f"{args}: {p.returncode} {p.stderr.decode()}")
    for args in (["replay", "--help"], ["trace", "--help"], ["trace", "dump", "--help"]):
        check(run(args).returncode == 0, str(args))


try:
    globals()["case_" + CASE]()
finally:
    if os.environ.get("KEEP"):
        print("kept", WORK)
    else:
        shutil.rmtree(WORK)
