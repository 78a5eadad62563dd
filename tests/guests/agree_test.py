#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does what the isolation watch derived agree with what a hypervisor says of its guests?

The machine runs to a console text "@@ REPORT 1" and is saved; what it showed until then is compared with the watch's
report. From the saved machine it goes on to the next report, and so on. Then all of it again in one piece, with other
table sizes, epochs and engine, recorded; and that recording replayed. What the watch says must be the same each time,
to the letter.

usage: agree_test.py --vitrine PATH --kind kvm|xen|calls --reports N [--needs FILE]... -- RUN_ARGUMENTS
Ends with 77 (skipped) when a needed input is missing."""
import json
import os
import re
import subprocess
import sys
import tempfile
import time

from arguments import parse, parser

problems = []


def same(what, hypervisor, watch):
    mark = "" if hypervisor == watch else "  DIFFERS"
    print(f"    {what}: hypervisor {hypervisor}, watch {watch}{mark}", flush=True)
    if mark:
        problems.append(f"{what}: hypervisor {hypervisor}, watch {watch}")


# ---- What the watch says ----

class Watch:
    """The summary at the end of a log, and the lines before it."""

    def __init__(self, text):
        lines = text.splitlines()
        first = next((i for i, line in enumerate(lines) if re.match(r" *guest \d+: ", line)), len(lines))
        self.lines, self.summary = lines[:first], lines[first:]
        self.guests, self.devices, self.calls, self.shares = {}, {}, {}, []
        guest = None
        for line in self.summary:
            m = re.match(r"( *)guest (\d+): (\w+) 0x([0-9a-f]+), (\d+) virtual processors?, .* (\d+) hypercalls, reaches (\d+)", line)
            if m:
                guest = {"depth": len(m[1]) // 2, "kind": m[3], "cpus": int(m[5]), "calls": int(m[6]), "pages": int(m[7]),
                         "control": int(m[4], 16), "tables": {},
                         "name": (re.search(r"\((domain \d+)\)$", line) or [0, ""])[1]}
                self.guests[int(m[2])] = guest
            m = re.match(r" +tables 0x([0-9a-f]+): (\d+) pages", line)
            if m:
                guest["tables"][int(m[1], 16)] = int(m[2])
            m = re.match(r"device (\S+): (.*)", line)
            if m:
                self.devices[m[1]] = m[2]
            m = re.match(r" +(\d+) +\d+  ([\w ]+)", line)
            if m:
                self.calls[m[2]] = int(m[1])
            m = re.match(r"(shared|granted) page 0x([0-9a-f]+): guest (\d+) .* and guest (\d+) .*, since position (\d+), "
                         r"by the instruction at 0x([0-9a-f]+)", line)
            if m:
                self.shares.append((int(m[2], 16), frozenset((int(m[3]), int(m[4]))), int(m[5]), int(m[6], 16), m[1] == "granted"))


# ---- KVM ----

def frames_of(vitrine, trace):
    """Pages within reach of each guest, from the owner map at the end of a recording."""
    out = subprocess.run([vitrine, "trace", "dump", trace, "--event", "owner_change", "--json"], capture_output=True, text=True,
                         check=True).stdout
    frames = {}
    for line in out.splitlines():
        e = json.loads(line)
        for guest in re.findall(r"guest (\d+)", e["name"]):
            frames.setdefault(int(guest), set()).update(range(int(e["first"], 16) >> 12, (int(e["last"], 16) >> 12) + 1))
    return frames


def compare_kvm(shown, watch, trace, vitrine):
    """shown: the console since the last report. The small VMM prints KVM's statistics and its own page frames."""
    guests = sorted(g for g, v in watch.guests.items() if v["pages"])
    said = re.findall(r"@@ VM (\d) hypercalls=(\d+) pages_4k=(\d+) pages_2m=(\d+)", shown)
    same("guests", len(said), len(guests))
    common = int(re.search(r"@@ SHARED ([0-9a-f]+)", shown)[1], 16)
    reach = frames_of(vitrine, trace) if trace else None
    for (n, calls, small, large), g in zip(said, guests):
        v = watch.guests[g]
        same(f"VM {n}: hypercalls", int(calls), v["calls"])
        same(f"VM {n}: pages", int(small) + 512 * int(large), v["pages"])
        same(f"VM {n}: virtual processors", 1, v["cpus"])
        if reach is not None:
            own = {int(f, 16) for f in re.search(rf"@@ FRAMES {n} (.*)", shown)[1].split()}
            same(f"VM {n}: pages in the map of owners", v["pages"], len(reach.get(g, set())))
            same(f"VM {n}: frames that are not the VMM's", 0, len(reach.get(g, set()) - own - {common}))
    total = sum(int(calls) for _, calls, _, _ in said)
    same("hypercalls by name", total, watch.calls.get("VAPIC_POLL_IRQ", 0) + watch.calls.get("call 99", 0))
    same("pages of both", [hex(common)], [hex(s[0] >> 12) for s in watch.shares])


# ---- Xen ----

def compare_xen(shown, watch, trace, vitrine):
    """shown: the console since the last report, with Xen's own dumps of domains (q), grants (g) and VMCSs or VMCBs (v)."""
    del trace, vitrine
    domains = {int(d): {"pages": int(p), "heap": int(h)} for d, p, h in re.findall(
        r"General information for domain (\d+):\s*\n(?:.*\n)*?.*nr_pages=(\d+) xenheap_pages=(\d+)", shown) if int(d) < 0x7ff0}
    tables = {}
    for d, body in re.findall(r">>> Domain (\d+) <<<((?:.*\n)*?)(?=.*>>> Domain|.*\*{20}|@@ REPORT)", shown):
        for eptp in re.findall(r"EPT pointer = 0x([0-9a-f]+)|(?:H_CR3|h_cr3|nested_cr3|N_CR3|hostcr3|ncr3)\s*=?\s*(?:0x)?([0-9a-f]+)", body):
            tables.setdefault(int(d), set()).add(int(eptp[0] or eptp[1], 16) & ~0xfff)
    grants, holder = {}, None
    for line in shown.splitlines():
        m = re.search(r"grant-table for remote d(\d+)", line)
        holder = int(m[1]) if m else holder
        m = re.search(r"\[0x[0-9a-f]+\] +(\d+) 0x([0-9a-f]+) 0x[0-9a-f]+ ", line)
        if m:
            grants.setdefault(int(m[2], 16), (holder, int(m[1])))
    same("domains", len(domains), sum(1 for v in watch.guests.values() if v["pages"]))
    guest_of = {}
    for d in sorted(domains):
        guest_of[d] = next((g for g, v in watch.guests.items() if tables.get(d, set()) & set(v["tables"])), 0)
        same(f"d{d}: tables", [hex(t) for t in sorted(tables.get(d, []))],
             [hex(t) for t in sorted(watch.guests[guest_of[d]]["tables"])] if guest_of[d] else [])
        if guest_of[d] and watch.guests[guest_of[d]]["name"]:  # dom0's kernel does not ask
            same(f"d{d}: name", f"domain {d}", watch.guests[guest_of[d]]["name"])
    foreign = re.findall(r"@@ FOREIGN domain (\d+) frame", shown)
    maps = {d: sum(1 for _, by in grants.values() if by == d) + (len(foreign) if d == 0 else 0) for d in domains}
    for d in sorted(domains):
        if guest_of[d]:
            v = watch.guests[guest_of[d]]
            text = f"nr_pages {domains[d]['pages']} + xenheap {domains[d]['heap']} + {maps[d]} of others"
            apic = 1 if v["kind"] == "VMCS" else 0  # Xen's page for virtual APIC accesses, which it counts nowhere
            if d != 0:  # dom0 also has what the firmware wrote
                same(f"d{d}: {text} + {apic} for the APIC", domains[d]["pages"] + domains[d]["heap"] + maps[d] + apic, v["pages"])
            else:
                print(f"    d{d}: {text}; watch reaches {v['pages']}")
    names = {guest_of[d]: d for d in domains}
    granted = {(mfn, frozenset(pair)) for mfn, pair in grants.items()}
    derived = {d: {(spa >> 12, frozenset(names.get(g, -1) for g in pair)) for spa, pair, _, _, declared in watch.shares
                   if declared == d} for d in (False, True)}
    same("pages that two reach by a grant", sorted((hex(p), sorted(d)) for p, d in granted),
         sorted((hex(p), sorted(d)) for p, d in derived[True]))
    undeclared = sorted(derived[False], key=lambda s: s[0])
    same("pages that two reach and nobody granted", [sorted({0, int(d)}) for d in foreign], [sorted(p) for _, p in undeclared])
    for spa, pair, position, rip, declared in watch.shares:
        print(f"    page {spa >> 12:#x} of d{sorted(names.get(g, -1) for g in pair)}: {'granted' if declared else 'NOT GRANTED'}, "
              f"since {position} by the instruction at {rip:#x}")


def compare_calls(shown, watch, trace, vitrine):
    """shown: the hypercalls of its guests by number that Xen's own trace has, from the one by which a program of dom0 switched it on
    to the one by which it switched it off. Both are sysctl, the last its last one; the first comes after its settings."""
    del trace, vitrine
    if "@@ XENTRACE" not in shown:
        return
    print("    xenperf:", re.search(".*perf counters.*", shown)[0])
    calls, lost, numbers = re.search(r"@@ XENTRACE calls=(\d+) lost=(\d+) by number(.*)", shown).groups()
    with open(os.path.join(os.path.dirname(__file__), "../../abi/xen/hypercall.def"), encoding="utf-8") as f:
        names = dict(re.findall(r"^XEN_HYPERCALL\((\d+), (\w+),", f.read(), re.M))
    said = {names[n]: int(count) for n, count in re.findall(r" (\d+):(\d+)", numbers)}
    made = [m[1] for line in watch.lines for m in [re.match(r"watch: cpu\d+ guest \d+ Xen (\w+)", line)] if m]
    switches = [i for i, name in enumerate(made) if name == "sysctl"]
    windows = [made[a + 1:switches[-1] + 1] for a in switches[:-1]]
    window = next((w for w in windows if len(w) == int(calls)), windows[-1])
    same("records that Xen's trace has lost", 0, int(lost))
    same("hypercalls while Xen traced", int(calls), len(window))
    same("by name", sorted(said.items()), sorted((n, window.count(n)) for n in set(window)))


# ---- Runs ----

def run(command, limit):
    start = time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit)
    print(f"{command[1]}: {time.monotonic() - start:.0f} s, status {done.returncode}", flush=True)
    if done.returncode not in (0, 72):
        print(done.stdout.decode("latin1")[-3000:])
        sys.exit(f"FAIL: status {done.returncode}: {done.stderr.decode('latin1').strip()}: {' '.join(command)}")
    return done.stdout.decode("latin1").replace("\r", "")


def read_watch(path):
    with open(path, encoding="latin1") as f:
        return Watch(f.read())


def main():
    ap = parser(3000)
    ap.add_argument("--kind", choices=("kvm", "xen", "calls"), required=True)
    ap.add_argument("--reports", type=int, required=True)
    a = parse(ap)
    compare = {"kvm": compare_kvm, "xen": compare_xen, "calls": compare_calls}[a.kind]
    on = ["--watch", "--log", "watch"]
    with tempfile.TemporaryDirectory() as folder:
        def at(name):
            return os.path.join(folder, name)
        pieces = []
        for n in range(1, a.reports + 1):
            begin = a.arguments if n == 1 else ["--load", at(f"saved{n - 1}")]
            shown = run([a.vitrine, "run", *begin, *on, "-D", at(f"log{n}"), "--stop-on", f"@@ REPORT {n}",
                         "--save", at(f"saved{n}")], a.timeout)
            pieces.append(read_watch(at(f"log{n}")))
            print(f"  report {n}:")
            compare(shown, pieces[-1], None, a.vitrine)
        whole_text = run([a.vitrine, "run", *a.arguments, *on, "--tlb-entries", "64", "--epoch", "77000000", "--record",
                          at("trace"), "--trace", "owner", "-D", at("whole"), "--stop-on", f"@@ REPORT {a.reports}"], a.timeout)
        whole = read_watch(at("whole"))
        last = whole_text[whole_text.rindex(f"@@ REPORT {a.reports - 1}"):] if a.reports > 1 else whole_text
        print("  in one piece:")
        compare(last, whole, at("trace"), a.vitrine)
        run([a.vitrine, "replay", at("trace"), *on, "--quiet", "--tlb-entries", "512", "-D", at("replayed")], a.timeout)
        replayed = read_watch(at("replayed"))
        for name, one, other in (("before and after snapshots: lines", sum((p.lines for p in pieces), []), whole.lines),
                                 ("before and after snapshots: report", pieces[-1].summary, whole.summary),
                                 ("replay: lines", replayed.lines, whole.lines),
                                 ("replay: report", replayed.summary, whole.summary)):
            print(f"  {name}: {len(one)} and {len(other)}, {'equal' if one == other else 'DIFFERENT'}")
            if one != other:
                where = next((i for i, (x, y) in enumerate(zip(one, other)) if x != y), min(len(one), len(other)))
                problems.append(f"{name} differ at line {where}: {one[where:where + 1]} {other[where:where + 1]}")
    for p in problems:
        print("FAIL:", p)
    return 1 if problems else 0


sys.exit(main())
