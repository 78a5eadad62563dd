# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmarks share: where things are, CPU time, initrds, QEMU's command, rounds that take turns."""
import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INPUTS = os.path.join(ROOT, ".cache/inputs")
KERNEL, CLOUD = os.path.join(INPUTS, "vmlinuz"), os.path.join(INPUTS, "vmlinuz-cloud")
QEMU = shutil.which("qemu-system-x86_64")
LIMIT = 124  # the limit of --max-instructions


def need(*files):
    for f in files:
        if not os.path.exists(f):
            print(f"no {f}; scripts/fetch-inputs and the test guest.media make what is needed")
            sys.exit(77)


def media(a, name):
    return os.path.join(a.build, "tests/guests/media", name)


def vitrine(a, *options):
    return [os.path.join(a.build, "debugger/vitrine"), "run", *options]


def tcg(*options, cpu="max"):
    return [QEMU or "", "-M", "q35", "-accel", "tcg", "-cpu", cpu, "-nographic", "-no-reboot", "-net", "none", *options]


ICOUNT = ["-icount", "shift=0,sleep=off"]


def initrd_of_program(path, program):
    """A newc archive with one file, /init; device numbers and times 0."""
    def entry(name, mode, data):
        fields = [1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        head = b"070701" + b"".join(b"%08x" % f for f in fields) + name.encode() + b"\0"
        return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)
    with open(program, "rb") as f:
        data = f.read()
    with open(path, "wb") as f:
        f.write(entry("init", 0o100755, data) + entry("TRAILER!!!", 0, b""))


def initrd_of_commands(path, commands, **environment):
    subprocess.run([os.path.join(ROOT, "tests/guests/make_initrd.sh"), path, commands], check=True,
                   env={**os.environ, **environment})


def threads_cpu(pid):
    """Seconds that a running process' threads have used."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
                total += int(f.read().split()[0])
        except OSError:
            pass
    return total / 1e9


def lines_of(command, env=None):
    """(the process, a line of its output) as they come."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=env, bufsize=0) as child:
        for raw in child.stdout:
            yield child, raw.decode("latin1").strip()


def used(command, expect=b""):
    """(CPU seconds, most MiB of memory, output) of a whole process."""
    with tempfile.TemporaryFile() as out:
        pid = os.posix_spawn(shutil.which(command[0]) or command[0], command, os.environ, file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, out.fileno(), 1),
            (os.POSIX_SPAWN_DUP2, out.fileno(), 2)])
        _, status, r = os.wait4(pid, 0)
        out.seek(0)
        text = out.read()
    if os.waitstatus_to_exitcode(status) not in (0, LIMIT) or expect not in text:
        sys.exit(f"failed ({os.waitstatus_to_exitcode(status)}): {' '.join(command)}\n{text[-500:].decode('latin1')}")
    return r.ru_utime + r.ru_stime, r.ru_maxrss / 1024, text.decode("latin1")


def cpu_seconds(command, expect=b""):
    return used(command, expect)[0]


def interleave(commands, pairs, expect=b""):
    """{name: median CPU seconds}"""
    times = {name: [] for name in commands}
    for _ in range(pairs):
        for name, command in commands.items():
            times[name].append(cpu_seconds(command, expect))
    return {name: statistics.median(values) for name, values in times.items()}


def median(values):
    return statistics.median(values) if values else float("nan")


def table(title, rows, columns, cell):
    """Prints cell(row, column) for {row: its name}."""
    print(f"{title:28}" + "".join(f"{c:>12}" for c in columns))
    for row, name in rows.items():
        print(f"{name:28}" + "".join(f"{cell(row, c):12.2f}" for c in columns), flush=True)


def session(kinds, text):
    """Runs benchmarks, classes with options(parser), __init__(a, folder), round() and result(); their rounds take turns, so that a busy
    host hits all alike. result() prints and returns what goes into --json."""
    ap = argparse.ArgumentParser(description=text.split("\n\n", maxsplit=1)[0])
    ap.add_argument("--build", default=os.path.join(ROOT, "build/release"))
    ap.add_argument("--pairs", type=int, default=3)
    ap.add_argument("--json")
    for kind in kinds:
        kind.options(ap)
    a = ap.parse_args()
    if not QEMU:
        print("note: no qemu-system-x86_64 here; only Vitrine and the host are measured")
    with tempfile.TemporaryDirectory() as folder:
        benches = [kind(a, folder) for kind in kinds]
        for _ in range(a.pairs):
            for b in benches:
                b.round()
        results = {type(b).__name__.lower(): b.result() for b in benches}
    if a.json:
        with open(a.json, "w", encoding="utf-8") as f:
            json.dump(results, f, indent=2)
