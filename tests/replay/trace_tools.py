#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`vitrine trace` over recordings of tiny guests. usage: trace_tools.py VITRINE GUESTS SOURCE_ROOT CASE [N]

One rule per case; a failed one says what was run."""
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

VITRINE, GUESTS, ROOT, CASE = sys.argv[1:5]
COUNT = int(sys.argv[5]) if len(sys.argv) > 5 else 5
WORK = tempfile.mkdtemp(prefix="vitrine-trace-")
HERE = os.path.dirname(os.path.abspath(__file__))
SKIP = 77


def fail(text):
    print(f"FAIL {CASE}: {text}")
    sys.exit(1)


def check(condition, text):
    if not condition:
        fail(text)


def path(name):
    return os.path.join(WORK, name)


def run(args, status=0, **more):
    p = subprocess.run([VITRINE] + args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=100, check=False, **more)
    check(status is None or p.returncode == status,
          f"{args}: status {p.returncode}, not {status}: {p.stdout[-300:].decode()} {p.stderr.decode()}")
    return p


def record(name, guest, *more, classes="all", status=0):
    run(["run", "--kernel", os.path.join(GUESTS, guest + ".elf"), "--memory", "16M", "--nodefaults", "--serial", "stdio",
         "--record", path(name), "--trace", classes, *more], status)
    return path(name)


def svm(name="svm"):
    return record(name, "svm_calls", "--cpu", "amd")


def moments(name="moments", count=300000):
    return record(name, "moments", "--smp", "2", "--max-instructions", str(count), status=124)


def case_dump():
    """Filters leave what they say; --json says the same as the text."""
    t = svm()
    whole = run(["trace", "dump", t]).stdout.decode().splitlines()
    rows = [json.loads(line) for line in run(["trace", "dump", t, "--json"]).stdout.decode().splitlines()]
    check(len(whole) == len(rows) > 30, f"{len(whole)} lines, {len(rows)} objects")
    calls = run(["trace", "dump", t, "--event", "hypercall,hypercall_done"]).stdout.decode().splitlines()
    check(len(calls) == 12 and all("hypercall" in c for c in calls), str(calls))
    check("interface=xen number=event_channel_op" in calls[4] and "cmd=0x4 arg=0x5000" in calls[4], calls[4])
    check("interface=hyper-v" in calls[5] and "result=0x0" in calls[7], str(calls[5:8]))
    check([c for c in whole if " vm_exit " in c] == run(["trace", "dump", t, "--class", "svm", "--event", "vm_exit"])
          .stdout.decode().splitlines(), "class and event")
    at = rows[10]["position"]
    some = run(["trace", "dump", t, "--from", str(at), "--to", str(rows[20]["position"])]).stdout.decode().splitlines()
    check(some == [w for w, r in zip(whole, rows) if at <= r["position"] <= rows[20]["position"]], "range")
    around = run(["trace", "dump", t, "--around", str(at)]).stdout.decode().splitlines()
    check(len(around) <= 20 and whole[10] in around and whole[9] in around, "around")
    check(run(["trace", "dump", t, "--cpu", "1"]).stdout == b"", "another processor's")
    guests = [run(["trace", "dump", t, "--guest", n]).stdout.decode().splitlines() for n in ("1", "2", "3")]
    check(guests[2] == [] and sum(" vm_exit " in c for g in guests for c in g) == sum(" vm_exit " in c for c in whole) and
          all(any(" vm_exit " in c for c in g) for g in guests[:2]), f"guests {[len(g) for g in guests]}")


def case_registers():
    """Every read and write of a control register, in the guest's order, by both engines, on both vendors, and in a guest;
    chosen by class, event and number; none where the class is off, and the run is the same."""
    turn = [("read", 0), ("write", 0), ("write", 0), ("read", 0), ("read", 0), ("write", 0), ("write", 2), ("read", 2),
            ("read", 3), ("write", 3), ("read", 4), ("write", 4)]
    for cpu in ("intel", "amd"):
        runs = {}
        for engine in ("interp", "jit"):
            t = record(engine, "crs", "--cpu", cpu, "--engine", engine, "--jit-threshold", "2", classes="cr")
            rows = [json.loads(line) for line in run(["trace", "dump", t, "--class", "cr", "--json"]).stdout.decode().splitlines()]
            check([(r["event"], r["cr"]) for r in rows] == [("cr_" + kind, n) for kind, n in turn] * 100, f"{cpu} {engine}: {rows[:14]}")
            word = lambda r: int(r["value"], 16)
            check(all(word(r[1]) == word(r[0]) | 8 and word(r[2]) == word(r[0]) == word(r[3]) == word(r[4]) and
                      word(r[6]) == word(r[7]) == 100 - i and word(r[8]) == word(r[9])
                      for i, r in enumerate(rows[k:k + len(turn)] for k in range(0, len(rows), len(turn)))), f"{cpu} {engine}: values")
            runs[engine] = rows
        check(runs["interp"] == runs["jit"], "the engines")
        run(["trace", "diff", path("interp"), path("jit"), "--exact"])
        off = record("off", "crs", "--cpu", cpu, classes="int")
        check(run(["trace", "dump", off, "--class", "cr"]).stdout == b"", "the class is off")
        run(["trace", "diff", path("interp"), off, "--event", "mark,stop", "--exact"])
        nested = record("nested", {"intel": "vmx_calls", "amd": "svm_calls"}[cpu], "--cpu", cpu, classes="cr,virt")
        rows = [json.loads(line) for line in run(["trace", "dump", nested, "--json"]).stdout.decode().splitlines()]
        entry = next(i for i, r in enumerate(rows) if r["event"] == "vm_entry")
        check([(r["event"], r.get("cr")) for r in rows[entry + 1:entry + 4]] == [("cr_read", 0), ("cr_write", 2), ("cr_write", 0)] and
              rows[entry + 4]["event"] == "vm_exit", f"{cpu}: in a guest {rows[entry:entry + 5]}")


def case_diff():
    """Runs that are the same are; the first difference is shown from both sides, with the way there."""
    a, b = svm("a"), svm("b")
    check(b"the same" in run(["trace", "diff", a, b, "--exact"]).stdout, "exact")
    c = record("c", "svm_calls", "--cpu", "amd", "--seed", "2")
    check(b"the same" in run(["trace", "diff", a, c]).stdout, "by meaning: another seed does the same")
    run(["trace", "diff", a, c, "--exact"], 73)
    v = record("v", "vmx_calls", "--cpu", "intel")
    p = run(["trace", "diff", a, v, "--event", "hypercall,hypercall_done,console_line", "--ignore", "address"])
    check(b"the same: 13 events" in p.stdout, "the same calls on both vendors: " + p.stdout.decode())
    p = run(["trace", "diff", a, v, "--class", "vmx", "--ignore", "address"], 73)
    check(b"reason=VMCALL" in p.stdout or b"CPUID always exits" in p.stdout, p.stdout.decode())
    h = record("h", "hello")
    p = run(["trace", "diff", a, h], 73)
    text = p.stdout.decode()
    check(text.count("\n> ") == 2 and f"vitrine trace dump {a} --around" in text and p.stderr.count(b"\n") == 1, text)
    # How often a guest looks at a port is a count; what it writes is not.
    d = record("d", "hello", "--serial", "none")
    run(["trace", "diff", h, d, "--event", "port_read", "--ignore", "count"])
    cut = path("cut")
    data = open(moments(count=100000), "rb").read()
    open(cut, "wb").write(data[:len(data) * 2 // 3])
    p = run(["trace", "diff", cut, path("moments")], 73)
    check(b"cut" in p.stdout and b"no more events" in p.stdout, p.stdout.decode())


def goldens():
    folder = os.path.join(ROOT, "traces", "golden")
    return sorted(os.path.join(folder, n) for n in os.listdir(folder) if n.endswith(".golden"))


def case_golden():
    """The machines of traces/golden do on this build what is written there."""
    p = run(["trace", "check", "--dir", GUESTS, "--junit", path("j.xml"), *goldens()], None)
    check(p.returncode == 0, p.stdout.decode() + p.stderr.decode())
    check(p.stdout.startswith(b"TAP version 13\n1..%d\n" % len(goldens())), "TAP")
    suite = xml.etree.ElementTree.parse(path("j.xml")).getroot()
    check(suite.get("tests") == str(len(goldens())) and suite.get("failures") == "0", "JUnit")


def case_check():
    """A golden that says something else fails with 73 and shows where; --update makes it true; others are errors."""
    text = open(os.path.join(ROOT, "traces/golden/svm_calls.golden")).read()
    g = path("wrong.golden")
    open(g, "w").write(text.replace("number=0x1d", "number=0x1c", 1))
    os.mkdir(path("kept"))
    p = run(["trace", "check", "--dir", GUESTS, g, "--keep", path("kept"), "--junit", path("j.xml")], 73)
    out = p.stdout.decode()
    check("not ok 1 - wrong" in out and "- cpu0 hypercall interface=xen number=0x1c" in out and
          "+ cpu0 hypercall interface=xen number=0x1d" in out, out)
    kept = re.search(r"dump (\S+) --around (\d+)", out)
    check(kept and b"sched_op" in run(["trace", "dump", kept.group(1), "--around", kept.group(2)]).stdout, out)
    run(["replay", kept.group(1), "--quiet"])
    suite = xml.etree.ElementTree.parse(path("j.xml")).getroot()
    check(suite.get("failures") == "1" and "number=0x1c" in suite[0][0].text, "JUnit")
    run(["trace", "check", "--dir", GUESTS, g, "--update"])
    check(open(g).read() == text, "what --update wrote")
    open(path("bad.golden"), "w").write("run --kernel nothing.elf\n---\n")
    p = run(["trace", "check", "--dir", GUESTS, path("bad.golden"), g], 66)
    check(b"not ok 1" in p.stdout and b"\nok 2" in p.stdout, p.stdout.decode())
    for wrong in ("", "frob\n---\n", "run --frob x\n---\n", "ignore all\nrun --memory 16M\n---\n", "trace x\nrun --memory 16M\n"):
        open(path("bad.golden"), "w").write(wrong)
        p = run(["trace", "check", path("bad.golden")], None)
        check(p.returncode in (64, 65) and b"not ok 1" in p.stdout, f"{wrong!r}: {p.returncode} {p.stdout.decode()}")


def case_change():
    """One changed line of a guest's source is found by `check` at the first event that it changes."""
    tiny = os.path.join(ROOT, "tests/guests/tiny")
    source = open(os.path.join(tiny, "hello.S")).read()
    changed = source.replace("hello, case", "hello, Case")
    check(changed != source, "the source has another text")
    os.mkdir(path("changed"))
    build = lambda text, name: (open(path("x.S"), "w").write(text),
                                subprocess.run(["cc", "-m32", "-I", tiny, "-c", "-o", path("x.o"), path("x.S")], check=True),
                                subprocess.run(["ld", "-m", "elf_i386", "-Ttext=0x100000", "-e", "start", "--build-id=none", "-z",
                                                "noexecstack", "-o", name, path("x.o")], check=True))
    golden = os.path.join(ROOT, "traces/golden/hello.golden")
    build(source, path("changed/hello.elf"))
    run(["trace", "check", "--dir", path("changed"), golden])
    build(changed, path("changed/hello.elf"))
    p = run(["trace", "check", "--dir", path("changed"), golden, "--keep", WORK], 73)
    out = p.stdout.decode()
    lines = open(golden).read().split("---\n")[1].splitlines()
    first = next(i for i, line in enumerate(lines) if "value=0x63" in line) # the c
    check(f"line {first + 1} of the golden's events differs" in out and "- cpu0 port_write port=0x3f8 size=1 value=0x63" in out and
          "+ cpu0 port_write port=0x3f8 size=1 value=0x43" in out, out)
    way = re.search(r"vitrine (replay \S+ --debug) -ex 'goto (\d+)'", out)
    p = run([*way.group(1).split(), "-nx", "-batch", "-ex", "goto " + way.group(2), "-ex", "when"])
    check(way.group(2).encode() in p.stdout.replace(b",", b""), p.stdout.decode())


def case_format():
    """A reader written from traces/FORMAT.md says what `dump` says; every kind of field is described there."""
    described = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", open(os.path.join(ROOT, "traces/FORMAT.md")).read(), re.M))))
    rows = re.findall(r'^EV\(\w+, \d, \w+, \w+, "(.*?)"', open(os.path.join(ROOT, "sim/trace/events.def")).read(), re.M)
    kinds = {field.split(":")[1] for row in rows for field in row.split()}
    check(len(rows) > 40 and kinds <= described, f"not in FORMAT.md: {kinds - described}")
    for t in (svm(), moments(), record("hello", "hello")):
        p = subprocess.run([sys.executable, os.path.join(HERE, "read_trace.py"), t], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, check=False)
        if p.returncode == SKIP:
            print("no libzstd to be loaded")
            sys.exit(SKIP)
        check(p.returncode == 0 and p.stderr == b"end: whole\n", p.stderr.decode())
        dump = run(["trace", "dump", t, "--json"]).stdout.decode().splitlines()
        rows = p.stdout.decode().splitlines()
        check(len(dump) == len(rows) > 5, f"{len(dump)} and {len(rows)}")
        for ours, theirs in zip(map(json.loads, dump), map(json.loads, rows)):
            same = (ours["position"], ours["ns"], ours["event"], ours.get("cpu", 255)) == (
                theirs["position"], theirs["ns"], theirs["event"], theirs["cpu"])
            for name, value in zip(theirs["fields"], theirs["args"]):
                said = ours[name]
                if isinstance(said, str) and said.startswith("0x"):
                    said = int(said, 16)
                same = same and (said == value or isinstance(said, str))
            check(same, f"{ours} and {theirs}")


# ---- Exports ----

def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7f) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def message(data):
    """A protocol buffer's fields: [(number, value)]."""
    out, at = [], 0
    while at < len(data):
        key, at = varint(data, at)
        value, at = varint(data, at)
        if key & 7 == 2:
            check(at + value <= len(data), "a field leaves its message")
            value, at = data[at:at + value], at + value
        else:
            check(key & 7 == 0, f"wire type {key & 7}")
        out.append((key >> 3, value))
    return out


def perfetto(t):
    """Export a recording: its tracks, and the names of events by track."""
    run(["trace", "export", t])
    tracks, depth, names = {}, {}, {}
    for number, packet in message(open(t + ".pftrace", "rb").read()):
        check(number == 1, "only packets")
        fields = dict(message(packet))
        check(fields[10] == 1, "a sequence")
        if 60 in fields:
            track = dict(message(fields[60]))
            tracks[track[1]] = track[2].decode()
            continue
        event = message(fields[11])
        where, kind = dict(event)[11], dict(event)[9]
        check(where in tracks and 8 in fields, "an event without a track or time")
        depth[where] = depth.get(where, 0) + {1: 1, 2: -1, 3: 0}[kind]
        check(0 <= depth[where] <= 1, f"slices of {tracks[where]}")
        names.setdefault(tracks[where], set()).update(v.decode() for n, v in event if n == 23)
    return tracks, names


def case_perfetto():
    """Every event is on a track that was described before; slices begin and end in turn."""
    t = svm()
    tracks, names = perfetto(t)
    check({"processor 0", "console 0"} <= set(tracks.values()), str(tracks))
    check("hypervisor: VMMCALL" in names["processor 0"] and any("xen: sched_op" in n for n in names.values()), str(names))
    if shutil.which("protoc"):
        p = subprocess.run(["protoc", "-I", HERE, "--decode=Trace", os.path.join(HERE, "perfetto.proto")],
                           stdin=open(t + ".pftrace", "rb"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        text = p.stdout.decode()
        unknown = re.search(r"^\s*\d+\s*[:{].*$", text, re.M)
        check(p.returncode == 0 and unknown is None, p.stderr.decode() + (unknown.group(0) if unknown else ""))
        check(text.count("type: TYPE_SLICE_BEGIN") > 5 and text.count("track_descriptor {") == len(tracks), "what protoc reads")


def case_ctf():
    """babeltrace2 reads what is exported, all of it."""
    if not shutil.which("babeltrace2"):
        print("babeltrace2 is not installed")
        sys.exit(SKIP)
    for t in (svm(), moments(count=100000)):
        run(["trace", "export", "--format", "ctf", t, "-o", t + ".ctf"])
        p = subprocess.run(["babeltrace2", t + ".ctf"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        dump = run(["trace", "dump", t]).stdout
        check(p.returncode == 0 and p.stdout.count(b"\n") == dump.count(b"\n"), p.stderr.decode())
        check(b'"CPUID"' in p.stdout or b'"exception"' in p.stdout, "words")


def case_tenet():
    """Registers after each instruction of a range; RIP stands in every line."""
    t = svm()
    run(["trace", "export", "--format", "tenet", "--from", "40", "--to", "60", t, "-o", path("x")])
    lines = open(path("x")).read().splitlines()
    check(15 <= len(lines) <= 21 and lines[0].startswith("rax=0x") and all("rip=0x" in line for line in lines), str(lines))
    run(["trace", "export", "--format", "tenet", "--from", "4000000", "--to", "4000001", t, "-o", path("x")], 64)


def case_pcapng():
    """A recording without frames says so; the blocks of one with frames are whole (see the unit test of exports)."""
    t = svm()
    p = run(["trace", "export", "--format", "pcapng", t], 65)
    check(b"--trace net" in p.stderr, p.stderr.decode())
    data = open(t + ".pcapng", "rb").read()
    at = 0
    while at < len(data):
        size = struct.unpack_from("<I", data, at + 4)[0]
        check(size % 4 == 0 and struct.unpack_from("<I", data, at + size - 4)[0] == size, f"block at {at}")
        at += size
    check(at == len(data), "blocks")


def case_report():
    """One file that loads nothing; its data is JSON; a browser, where there is one, draws it without an error."""
    t = svm()
    run(["trace", "report", t])
    page = open(t + ".html").read()
    check(not re.search(r"""(src|href)=["']?https?:|@import|url\(""", page), "it loads something")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S).group(1))
    check([c[0] for c in data["children"]] == ["xen xen_version", "xen event_channel_op", "xen sched_op"], "children")
    check({e[0]: e[1] for e in data["exits"]} == {"CPUID": 2, "VMMCALL": 6, "HLT": 4}, str(data["exits"]))
    check(data["console"][0][3] == "three calls" and data["end"] == "power-off", "console, end")
    check(len(data["modes"]) == 3 and len(data["cpus"]) == 1, "modes")
    # What a guest prints is text, not a part of the page.
    check("</script" not in page.split('id="data">')[1].split("</script>")[0], "escapes")
    browser = next((b for b in ("chromium", "chromium-browser", "google-chrome") if shutil.which(b)), None)
    if browser:
        p = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir=" + path("profile"),
                            "--dump-dom", "file://" + t + ".html"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=100, check=False)
        dom = p.stdout.decode()
        check('<section id="calls">' in dom and '<section id="config">' in dom and "event_channel_op" in dom,
              p.stderr.decode()[-500:])


def case_report_large():
    """A long recording's report stays small."""
    t = moments(count=1000000)
    run(["trace", "report", t, "-o", path("m.html")])
    check(os.path.getsize(path("m.html")) < 4 << 20, "size")


def case_stack():
    """The hypervisor that ships answers its root's calls the same on both vendors; a report maps the memory."""
    build = os.path.dirname(os.path.dirname(os.path.dirname(GUESTS)))
    hv, root = (os.path.join(build, f) for f in ("hv/hv.elf", "guests/hvtest/hvtest.elf"))
    if not os.path.exists(hv) or not os.path.exists(root):
        print("the hypervisor is not built")
        sys.exit(SKIP)
    for cpu in ("amd", "intel"):
        p = run(["run", "--cpu", cpu, "--memory", "128M", "--kernel", hv, "--initrd", root, "--serial", "none", "--watch",
                 "--max-instructions", "2000000000", "--record", path(cpu), "--trace", "virt,hypercall,owner,table"], None)
        check(p.returncode in (0, 72), f"status {p.returncode}")  # it shares pages between guests on purpose
    p = run(["trace", "diff", path("amd"), path("intel"), "--event", "hypercall,hypercall_done", "--ignore", "address"])
    check(int(p.stdout.split()[2]) > 100, p.stdout.decode())
    calls = run(["trace", "dump", path("amd"), "--event", "hypercall"]).stdout
    check(b"interface=hyper-v number=CreatePartition" in calls, "names of calls")
    run(["trace", "report", path("amd")])
    page = open(path("amd.html")).read()
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S).group(1))
    check({m[5] for m in data["memory"]} >= {"guest 1", "the host alone"}, str(data["memory"]))
    check(sum(m[7] for m in data["memory"]) == 128 << 20, "all of memory")
    # What changed on the way: entries of tables, and who came to reach what, with the map at its fullest.
    rows = [json.loads(line) for line in run(["trace", "dump", path("amd"), "--event", "table_change,reach_gain,reach_loss", "--json"])
            .stdout.decode().splitlines()]
    kinds = {k: [r for r in rows if r["event"] == k] for k in ("table_change", "reach_gain", "reach_loss")}
    check(all(len(k) > 10 for k in kinds.values()), str({k: len(v) for k, v in kinds.items()}))
    check(all(r["before"] != r["after"] and "guest" in r["whose"] for r in kinds["table_change"]), "entries that changed")
    check(len({m[5] for m in data["peak"]}) > 2, str(data["peak"]))


def case_claims():
    """What the hypervisor, the root and a paravisor say on the trace port: dumped in words, compared, reported; a lie is the difference."""
    build = os.path.dirname(os.path.dirname(os.path.dirname(GUESTS)))
    files = {n: os.path.join(build, n) for n in ("hv/hv.elf", "guests/root/root.elf", "guests/xentest/xentest64.elf",
                                                  "guests/adapter/adapter.elf", "guests/adapter/adapter_lie.elf")}
    if not all(os.path.exists(f) for f in files.values()):
        print("the hypervisor is not built")
        sys.exit(SKIP)

    def stack(name, cpu, adapter, status, watch=True):
        script = f"vm create x --kernel xentest64.elf --xen {adapter}.elf --memory 32M --vp 2 && vm start x && vm console x && poweroff"
        run(["run", "--cpu", cpu, "--smp", "2", "--memory", "128M", "--serial", "none", "--device", "trace-port", *(["--watch"] if watch else []),
             "--kernel", files["hv/hv.elf"], "--initrd", f"{files['guests/root/root.elf']} {script},{files['guests/xentest/xentest64.elf']},"
             f"{files[f'guests/adapter/{adapter}.elf']}", "--max-instructions", "9000000000", "--record", path(name), "--trace",
             "port,hypercall,virt,watch"], status)

    for cpu in ("amd", "intel"):
        stack(cpu, cpu, "adapter", 0)
        stack("lie", cpu, "adapter_lie", 73)
        stack("alone", cpu, "adapter", 0, watch=False)
        claims = [json.loads(line) for line in run(["trace", "dump", path(cpu), "--class", "port", "--json"]).stdout.decode().splitlines()]
        claims = [c for c in claims if c["event"] == "claim"]
        kinds = {c["type"] for c in claims}
        check(kinds >= {"partition_created", "partition_deleted", "partition_named", "vp_named", "pages", "call_begun", "call_ended",
                        "translation_begun", "translation_child", "translation_ended", "message_delivered"}, str(kinds))
        check({c["verdict"] for c in claims} == {"taken", "agrees"}, "verdicts")
        check({c["writer"] for c in claims} == {0, 1, 2}, "writers")
        text = run(["trace", "dump", path(cpu), "--event", "claim"]).stdout.decode()
        check(re.search(r"writer=2 control=0x[0-9a-f]+ data=\(id=\d+ call=PostMessage\)", text), "a child in words")
        check('data=(partition=2 payload="x")' in text, "a name")
        # All pages come back, and no more than were given.
        given = sum(c["data"]["count"] for c in claims if c["type"] == "pages" and c["data"]["state"] != "root")
        back = sum(c["data"]["count"] for c in claims if c["type"] == "pages" and c["data"]["state"] == "root")
        check(given == back and given >= 8192, f"{given} given, {back} back")
        # Each child is followed by the call that it announces, on its processor.
        due = {}
        for c in claims:
            if c["type"] == "translation_child":
                due[c["cpu"]] = c["data"]["call"]
            elif c["type"] == "call_begun" and c["data"]["vtl"] == 2 and not str(due.get(c["cpu"], "0x")).startswith("0x"):
                check(c["data"]["call"] == due[c["cpu"]], f"{due[c['cpu']]} announced, {c['data']['call']} made")
                del due[c["cpu"]]
        check({json.loads(line)["verdict"] for line in run(["trace", "dump", path("alone"), "--event", "claim", "--json"]).stdout.decode().splitlines()} ==
              {"unchecked"}, "nobody watched")
        differ = run(["trace", "dump", path("lie"), "--event", "claim_differs", "--json"]).stdout.decode().splitlines()
        check(differ and all(json.loads(d)["type"] == "translation_child" for d in differ), str(differ))
        p = run(["trace", "diff", path(cpu), path("lie"), "--event", "claim", "--ignore", "address"], 73)
        check(b"> " in p.stdout and b"call=" in p.stdout, p.stdout.decode())
        run(["trace", "report", path("lie")])
        data = json.loads(re.search(r'id="data">(.*?)</script>', open(path("lie.html")).read(), re.S).group(1))
        check([m["called"] for m in data["modes"][1:]] == ["partition 1 VTL 0", "x, partition 2 VTL 2", "x, partition 2 VTL 0"], str(data["modes"]))
        said = perfetto(path("lie"))[1]["trace port"]
        check(kinds <= said <= kinds | {"claim_differs"}, f"{said} on the track")
        check({c[0] for c in data["claims"]} == kinds and data["counts"]["claim_differs"] == len(differ), str(data["claims"]))


def case_killed():
    """Killed at any moment, a recording reads up to its last chunk, says so, and replays to there."""
    random.seed(1)
    killed = 0
    while killed < COUNT:
        i = killed
        t = path("k")
        if os.path.exists(t):
            os.unlink(t)
        p = subprocess.Popen([VITRINE, "run", "--kernel", os.path.join(GUESTS, "flood.elf"), "--memory", "16M", "--nodefaults",
                              "--serial", "file:/dev/null", "--record", t, "--trace", "all", "--epoch", "100000"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.time() + 30
        while (not os.path.exists(t) or os.path.getsize(t) == 0) and time.time() < deadline:
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.6))
        p.send_signal(signal.SIGKILL)
        if p.wait() != -signal.SIGKILL:
            continue  # it was done already
        stat = run(["trace", "stat", t], None)
        if stat.returncode == 0 and b"no end: the recording was cut" not in stat.stdout:
            continue  # its recording was: only the exit was missing
        killed += 1
        size = os.path.getsize(t)
        if i % 2 == 1 and size > 3000:  # as if the host's last write had not got whole onto the disk
            os.truncate(t, size - random.randrange(1, 1000))
        stat = run(["trace", "stat", t], None)
        if stat.returncode == 65:  # before the configuration was written
            check(size < 1000 and stat.stderr.count(b"\n") == 1, stat.stderr.decode())
            continue
        check(stat.returncode == 0 and b"no end: the recording was cut" in stat.stdout, f"kill {i}: {stat.stdout.decode()}")
        if os.path.getsize(t) != size:
            check(b"was cut" in stat.stderr, f"kill {i}: {stat.stderr.decode()}")
        dump = run(["trace", "dump", t, "--event", "mark"]).stdout.splitlines()
        replay = run(["replay", t, "--quiet"])
        check(b"has no end" in replay.stderr and f"{len(dump)} state hashes".encode() in replay.stderr,
              f"kill {i}: {len(dump)} hashes: {replay.stderr.decode()}")


try:
    globals()["case_" + CASE]()
finally:
    if os.environ.get("KEEP"):
        print("kept", WORK)
    else:
        shutil.rmtree(WORK)
