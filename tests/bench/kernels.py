#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark guest (kernels.c) on the host, in QEMU TCG (plain and -icount shift=0) and in Vitrine: CPU time of each
kernel, ratios to the host, geometric means. Runs are interleaved, so that a busy host hits all alike; medians are shown.

The guest is /init of a stock kernel; its marks on the serial line say when to read the CPU time that the simulator's
threads have used. On the host the program reads its own. QEMU is optional.

usage: kernels.py [--vitrine FILE] [--pairs N] [--scale N] [--only KERNEL] [--engines LIST] [--json FILE]
       kernels.py --quick   a test: the guest's checksums are the host's; no figures"""
import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ENGINES = ("native", "jit", "interp", "tcg", "icount")


def entry(name, mode, data):
    """One member of a newc archive, device numbers and times 0."""
    fields = [1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08x" % f for f in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def make_initrd(path, program):
    with open(program, "rb") as f:
        data = f.read()
    with open(path, "wb") as f:
        f.write(entry("init", 0o100755, data) + entry("TRAILER!!!", 0, b""))


def threads_cpu(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
                total += int(f.read().split()[0])
        except OSError:
            pass
    return total / 1e9


def run(command, env=None):
    """{kernel: (CPU seconds, checksum)}; with "boot" for all before the first kernel."""
    out, began, done = {}, 0.0, False
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=env, bufsize=0) as child:
        for raw in child.stdout:
            line = raw.decode("latin1").strip()
            at = line.find("@@ ")
            words = line[at:].split() if at >= 0 else []
            if words[1:2] == ["BEGIN"]:
                began = threads_cpu(child.pid)
                out.setdefault("boot", (began, ""))
            elif words[1:2] == ["END"]:
                out[words[2]] = (threads_cpu(child.pid) - began, words[3])
            elif words[1:2] == ["CPU"]:
                out[words[2]] = (float(words[3]), out[words[2]][1])
            elif words[1:2] == ["DONE"]:
                done = True
    if not done:
        sys.exit(f"kernels.py: no end: {' '.join(command)}")
    return out


def commands(a, folder):
    initrd = os.path.join(folder, "initrd")
    make_initrd(initrd, a.program)
    extra = f" only={a.only}" if a.only else ""
    guest = ["-kernel", a.kernel, "-initrd", initrd, "-append", f"console=ttyS0 quiet scale={a.scale}{extra}"]
    vitrine = [a.vitrine, "run", "-m", "512M", "--seed", "1", *guest]
    qemu = [shutil.which("qemu-system-x86_64") or "", "-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", "512M",
            "-nographic", "-no-reboot", "-net", "none", *guest]
    return {
        "native": [a.program],
        "jit": [*vitrine, "--engine", "jit", *a.option],
        "interp": [*vitrine, "--engine", "interp", *a.option],
        "tcg": qemu,
        "icount": [*qemu, "-icount", "shift=0,sleep=off"],
    }


def quick(a, todo):
    env = dict(os.environ, scale=str(a.scale))
    want = run(todo["native"], env)
    got = run(todo["jit"])
    wrong = [k for k in want if k != "boot" and want[k][1] != got.get(k, (0, ""))[1]]
    for k in wrong:
        print(f"{k}: {got.get(k, (0, 'missing'))[1]}, the host says {want[k][1]}")
    print(f"{len(want) - 1 - len(wrong)} of {len(want) - 1} kernels give the host's checksum")
    sys.exit(1 if wrong else 0)


def table(times, engines):
    kernels = [k for k in times["native"] if k != "boot"]
    medians = {e: {k: statistics.median(times[e][k]) for k in kernels} for e in engines}
    others = [e for e in engines if e != "native"]
    print(f"{'kernel':10} {'native ms':>10}" + "".join(f"{e + ' x':>10}" for e in others))
    logs = {e: [] for e in others}
    for k in kernels:
        base = max(medians["native"][k], 1e-6)
        row = ""
        for e in others:
            ratio = medians[e][k] / base
            logs[e].append(math.log(max(ratio, 1e-6)))
            row += f"{ratio:10.2f}"
        print(f"{k:10} {1e3 * base:10.2f}{row}")
    means = {e: math.exp(statistics.mean(v)) for e, v in logs.items()}
    print(f"{'mean':10} {'':10}" + "".join(f"{means[e]:10.2f}" for e in others) + "   (geometric)")
    boots = {e: statistics.median(times[e]["boot"]) for e in others}
    print(f"{'boot s':10} {'':10}" + "".join(f"{boots[e]:10.2f}" for e in others))
    return {"seconds": medians, "geometric_mean": means, "boot_seconds": boots}


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    ap.add_argument("--vitrine", default=os.path.join(ROOT, "build/release/debugger/vitrine"))
    ap.add_argument("--kernel", default=os.path.join(ROOT, ".cache/inputs/vmlinuz-cloud"))
    ap.add_argument("--pairs", type=int, default=3)
    ap.add_argument("--scale", type=int)
    ap.add_argument("--only")
    ap.add_argument("--engines", default=",".join(ENGINES))
    ap.add_argument("--option", action="append", default=[], help="one more argument for vitrine")
    ap.add_argument("--json")
    ap.add_argument("--quick", action="store_true")
    a = ap.parse_args()
    if not os.path.exists(a.kernel):
        print("no kernel; scripts/fetch-inputs gets it")
        sys.exit(77)
    a.scale = a.scale or (1 if a.quick else 16)
    with tempfile.TemporaryDirectory() as folder:
        a.program = os.path.join(folder, "kernels")
        source = os.path.join(ROOT, "tests/bench/kernels.c")
        subprocess.run(["gcc", "-O2", "-static", "-ffp-contract=off", "-o", a.program, source], check=True)
        todo = commands(a, folder)
        if a.quick:
            quick(a, todo)
        engines = ["native"] + [e for e in a.engines.split(",") if e != "native"]
        if not todo["tcg"][0]:
            print("note: no qemu-system-x86_64 here; only Vitrine and the host are measured")
            engines = [e for e in engines if e not in ("tcg", "icount")]
        env = dict(os.environ, scale=str(a.scale), own="1", **({"only": a.only} if a.only else {}))
        times = {e: {} for e in engines}
        for _ in range(a.pairs):
            sums = {}
            for e in engines:
                for k, (seconds, checksum) in run(todo[e], env if e == "native" else None).items():
                    times[e].setdefault(k, []).append(seconds)
                    if k != "boot" and sums.setdefault(k, checksum) != checksum:
                        sys.exit(f"kernels.py: {k}: {e} gives {checksum}, the host {sums[k]}")
        result = table(times, engines)
    if a.json:
        with open(a.json, "w", encoding="utf-8") as f:
            json.dump(result, f, indent=2)


if __name__ == "__main__":
    main()
