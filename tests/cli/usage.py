#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options and sub-commands: every wrong use is answered with status 64 and one line that says what to do.
usage: usage.py VITRINE TINY_GUESTS INPUTS"""
import os
import socket

from case import VITRINE, call, case, judge, problem, run, tiny, write

HALT = ["--kernel", tiny("halt")]


def commands():
    case([], 64, "which command")
    case(["--help"], 0, out="usage: vitrine COMMAND")
    case(["-h"], 0, out="usage: vitrine COMMAND")
    case(["help"], 0, out="usage: vitrine COMMAND")
    case(["--version"], 0, out=r"^vitrine \d+\.\d+\.\d+\n$")
    case(["run", "--version"], 0, out=r"^vitrine \d+\.\d+\.\d+\n$")
    case(["frobnicate"], 64, "unknown command frobnicate")
    case(["rnu"], 64, "did you mean run")
    case(["--kernel", "x"], 64, "unknown command --kernel")
    for command in ("run", "cpu", "replay", "trace"):
        case([command, "--help"], 0, out=f"usage: vitrine {command}")
        case([command, "-h"], 0, out=f"usage: vitrine {command}")
    case(["trace", "dump", "--help"], 0, out="usage: vitrine trace")
    case(["cpu"], 64, "list or features")
    case(["cpu", "lits"], 64, "did you mean list")
    case(["cpu", "list"], 0, out=r"intel.*amd.*max")
    case(["cpu", "features"], 0, out=r"avx2")
    case(["trace"], 64, "stat, dump, tree, diff, check, export or report")
    case(["trace", "stat"], 64, "which recording")
    case(["trace", "frob", "x"], 64, "stat, dump, tree, diff, check, export or report")
    case(["trace", "dmup", "x"], 64, "did you mean dump")
    case(["trace", "diff", "x"], 64, "which recording")
    case(["trace", "stat", "x", "y"], 64, "one recording too many")
    case(["trace", "dump", "x", "--evnt", "y"], 64, "did you mean --event")
    case(["trace", "dump", "x", "--exact"], 64, "unknown option --exact")
    case(["trace", "dump", "x", "--from", "y"], 64, "a number is wanted")
    case(["trace", "export", "x", "--format", "y"], 64, "perfetto, ctf, pcapng or tenet")
    case(["trace", "check"], 64, "which golden")
    case(["trace", "check", "/nonexistent/x"], 66)
    for command in ("stat", "dump", "diff", "check", "export", "report"):
        case(["trace", command, "--help"], 0, out=f"usage: vitrine trace {command}")
    case(["trace", "stat", "/nonexistent/x"], 66, "/nonexistent/x")
    case(["trace", "stat", tiny("halt")], 65, "not a recording")
    case(["replay"], 64, "which recording")
    case(["replay", "/nonexistent/x"], 66, "/nonexistent/x")
    case(["replay", tiny("halt")], 65, "not a recording")


def as_qemu(folder):
    link = os.path.join(folder, "qemu-system-vitrine")
    os.symlink(os.path.realpath(VITRINE), link)
    for arguments, status, out in ((["--help"], 0, "QEMU"), (["-device", "?"], 0, 'name "pc-testdev"'),
                                   (["-version"], 0, "QEMU"), (["-machine", "help"], 0, "q35"),
                                   (["-cpu", "help"], 0, "qemu64")):
        judge("qemu " + " ".join(arguments), call(arguments, program=link), status, out=out)
    judge("qemu -frob", call(["-frob"], program=link), 64, "unknown option -frob")


def options():
    case(["run", "--kernl", "x"], 64, "unknown option --kernl; did you mean --kernel")
    case(["run", "-kernl", "x"], 64, "unknown option -kernl; did you mean --kernel")
    case(["run", "--frobnicate"], 64, "unknown option --frobnicate")
    case(["run", "stray"], 64, "stray")
    case(["run", "-"], 64, "options start with a dash")
    case(["run", ""], 64, "options start with a dash")
    case(["run", "--"], 64, "unknown option --")
    case(["run", "--kernel=x"], 64, "--kernel=x; write --kernel x")
    for name in ("cpu", "smp", "memory", "m", "kernel", "initrd", "append", "module", "firmware", "drive",
                 "cdrom", "nic", "serial", "debugcon", "device", "script", "stop-on", "max-instructions",
                 "seed", "quantum", "ips", "tsc-hz", "rtc-base", "pace", "record", "trace", "epoch", "log", "D"):
        case(["run", "--" + name], 64, f"--{name} wants an argument")
    for name, low, high in (("smp", 1, 16), ("max-instructions", 1, None), ("quantum", 1, 10**9),
                            ("ips", 10**6, 10**12), ("tsc-hz", 10**6, 10**11), ("tlb-entries", 2, 4096),
                            ("seed", 0, None), ("epoch", 1000, None)):
        wrong = ["", "abc", "-1", "1x", "0x", "99999999999999999999", "1 ", "+ 1", "1.5"]
        wrong += [str(low - 1)] if low > 0 else []
        wrong += [str(high + 1)] if high else []
        for value in wrong:
            case(["run", "--" + name, value], 64, f"--{name} .*a number from {low} to ")
    case(["run", "--tlb-entries", "3"], 64, "power of two")
    for value in ("", "0", "-1", "abc", "10X", "1", "nan", "inf", "1e30", "15M", "513G", "64MM"):
        case(["run", "--memory", value], 64, "a size from 16M to 512G is wanted")
    for value in ("cpus=0", "17", "2,cores", "2,sockets=3", "2,frob=1", "cores=5,threads=4", "4,maxcpus=2", "frob", ""):
        case(["run", "--smp", value], 64, "--smp ")
    for value in ("2026-13-01", "yesterday", "2026-01-01T", "", "2026-01-01T25:00:00", "-5"):
        case(["run", "--rtc-base", value], 64, "YYYY-MM-DD")
    case(["run", "--pace", "fast"], 64, "host or none")
    case(["run", "--stop-on", ""], 64, "empty")
    case(["run", "--log", "frob"], 64, "unknown class")
    case(["run", "--trace", "frob"], 64, "unknown class")
    case(["run", "--machine", "foo"], 64, "q35 is the only board")
    case(["run", "--machine", "q35,frob=1"], 64, "frob")
    case(["run", "--machine", ""], 64, "q35 is the only board")
    case(["run", "--firmware", "ovmf"], 64, "not supported yet")
    case(["run", "--firmware", "seabios", *HALT], 64, "--kernel and --firmware")
    case(["run", "--initrd", "x"], 64, "--initrd .*without --kernel")
    case(["run", "--append", "x"], 64, "--append .*without --kernel")
    case(["run", "--display", "gtk"], 64, "--display gtk")
    case(["run", "--net", "tap"], 64, "--net tap")
    case(["run", *HALT, *["--serial", "none"] * 5], 64, "more than 4 serial ports")
    case(["run", *HALT, *["--module", tiny("halt")] * 33], 64, "more than 32 modules")
    case(["run", *HALT, *["--drive", "file=x"] * 17], 64, "more than 16 drives")
    case(["run", *HALT, *["--no-reboot"] * 300], 64, "more than 256 options")
    case(["run", *HALT, "--module", "x", "--initrd", "y"], 64, "before --module")
    case(["run", "--kernel\nx"], 64, "unknown option")


def devices():
    case(["run", "--device", "frobnicator"], 64, "no such device")
    case(["run", "--device", "ed"], 64, r"did you mean edu\?")
    case(["run", "--device", "isa-debug-exit,iobase=frob"], 64, "iobase")
    case(["run", "--device", "isa-debug-exit,frob=1"], 64, "frob")
    case(["run", "--device", "isa-debug-exit,iobase=0x10000"], 64, "iobase")
    case(["run", "--device", "edu,frob=1"], 64, "frob")
    case(["run", "--device", "hyperv-testdev,frob=1"], 64, "frob")
    case(["run", *HALT, "--device", "hyperv-testdev"], 75)
    case(["run", "--device", "?"], 0, out='name "pc-testdev"')
    case(["run", "--device", "help"], 0, out='name "edu"')
    case(["run", "--serial", "frob"], 64, "stdio, file:F, pty or none")
    case(["run", "--serial", "file:"], 64, "stdio, file:F, pty or none")
    case(["run", "--virtio-console", "frob"], 64, "stdio, file:F, pty or none")
    case(["run", "--device", "virtconsole"], 64, "virtio-serial-pci")
    console = ["run", *HALT, "--device", "virtio-serial-pci"]
    case([*console, "--device", "virtconsole,frob=1"], 64, "no property 'frob'")
    case([*console, "--device", "virtconsole,chardev=a"], 64, "no --chardev has the id 'a'")
    case([*console, "--device", "virtconsole,chardev=one", "--chardev", "null,id=onne"], 64, "did you mean onne")
    case([*console, "--device", "virtconsole,chardev=a", "--device", "virtconsole", "--chardev", "null,id=a"], 64,
         "one virtio console only")
    case([*console, "--device", "virtconsole,chardev=a", "--chardev", "null,id=a"], 75)
    case(["run", *HALT, "--serial", "chardev:a"], 64, "no --chardev has the id 'a'")
    for value in ("", "null", "null,id=", "file,id=a", "frob,id=a", "null,id=a,path=x", "null,id=a,frob=1", "file:x,id=a"):
        case(["run", *HALT, "--chardev", value], 64, "--chardev")
    case(["run", *HALT, *["--chardev", "null,id=a"] * 2], 64, "two with id=a")
    case(["run", "--debugcon", "frob"], 64, "stdio, file:F, pty or none")
    case(["run", "--drive", "file"], 64, "key=value")
    case(["run", "--drive", "file="], 64, "file= is missing")
    case(["run", "--drive", "if=virtio"], 64, "file= is missing")
    case(["run", "--drive", "file=x,if=scsi"], 64, "virtio or ahci")
    case(["run", "--drive", "file=x,format=vmdk"], 64, "raw or qcow2")
    case(["run", "--drive", "file=x,readonly=maybe"], 64, "on or off")
    case(["run", "--drive", "file=x,snapshot="], 64, "on or off")
    case(["run", "--drive", "file=x,frob=1"], 64, "unknown property frob")
    case(["run", "--drive", "file=x,media=tape"], 64, "media=tape")
    case(["run", "--nic", "tap"], 64, "none or user")
    for value in ("hostfwd=frob", "frob=1", "hostfwd=tcp::99999-:22", "hostfwd=sctp::1-:2"):
        case(["run", "--nic", "user," + value], 64, "user|hostfwd|frob")


def features():
    case(["run", "--cpu", "frob"], 64, "no model is called 'frob'")
    case(["run", "--cpu", "intle"], 64, "did you mean 'intel'")
    case(["run", "--cpu", ""], 64, "model")
    case(["run", "--cpu", "intel,+frob"], 64, "no feature is called 'frob'")
    case(["run", "--cpu", "intel,+avx22"], 64, "did you mean 'avx2'")
    case(["run", "--cpu", "intel,+svm"], 64, "do not go together")
    case(["run", "--cpu", "amd,+vmx"], 64, "do not go together")
    case(["run", "--cpu", "max,+vmx,+svm"], 64, "do not go together|vmx|svm")
    case(["run", "--cpu", "intel,vendor=cyrix"], 64, "vendor")
    case(["run", "--cpu", "intel,-avx,+avx2"], 64, "avx")
    case(["run", "--cpu", "intel,+avx2,-avx"], 64, "avx2 cannot be on without avx")
    case(["run", "--cpu", "max,-xsave,+avx"], 64, "avx cannot be on without xsave")
    for both in ("+avx,-avx", "-avx,+avx", "avx=on,-avx", "+avx,avx=off"):
        case(["run", "--cpu", "intel," + both], 64, "avx is switched on and off at once")
    case(["run", *HALT, "--cpu", "intel,+avx,+avx"], 75)
    case(["run", "--cpu", "intel,phys-bits=20"], 64, "phys-bits")
    case(["run", "--cpu", "intel,phys-bits=frob"], 64, "phys-bits")
    case(["run", "--cpu", "intel,phys-bits=99"], 64, "phys-bits")


def files(folder):
    case(["run", *HALT, "--serial", "file:/nonexistent/x"], 65, "/nonexistent/x: cannot be written")
    case(["run", *HALT, "--serial", f"file:{folder}"], 65, "cannot be written")
    case(["run", *HALT, "-D", "/nonexistent/x"], 65, "/nonexistent/x: cannot be written")
    case(["run", *HALT, "--record", "/nonexistent/x"], 65, "/nonexistent/x: cannot be written")
    case(["run", *HALT, "--script", "/nonexistent/x"], 66, "/nonexistent/x")
    case(["run", *HALT, "--script", write(folder, "script", b"frobnicate\n")], 65, "script")
    disk = write(folder, "disk", bytes(1 << 20))
    os.symlink(disk, os.path.join(folder, "link"))
    for option in ("--record", "-D"):
        case(["run", *HALT, "--drive", f"file={disk}", option, f"{folder}/link"], 64, "reads this file")
    case(["run", *HALT, "--cdrom", disk, "--serial", f"file:{disk}"], 64, "reads this file")
    case(["run", *HALT, "--debugcon", f"file:{HALT[1]}"], 64, "reads this file")
    case(["run", *HALT, "--serial", f"file:{folder}/out", "--record", f"{folder}/out"], 64, "both write")
    case(["run", *HALT, "--serial", "file:/dev/null", "--virtio-console", "file:/dev/null"], 75)
    if open(disk, "rb").read() != bytes(1 << 20):
        problem("--record over a disk", "the disk was overwritten")
    case(["run", "--firmware", "/nonexistent/x"], 66, "/nonexistent/x")
    case(["run", "--firmware", write(folder, "empty.bin", b"")], 65, "empty.bin")
    case(["run", "--firmware", write(folder, "odd.bin", b"x" * 1000)], 65, "odd.bin")
    case(["run", "--firmware", write(folder, "big.bin", b"x" * (17 << 20))], 65, "big.bin")


def ports():
    for kind, family in ((socket.SOCK_STREAM, "tcp"), (socket.SOCK_DGRAM, "udp")):
        with socket.socket(socket.AF_INET, kind) as s:
            s.bind(("127.0.0.1", 0))
            if kind == socket.SOCK_STREAM:
                s.listen(1)
            port = s.getsockname()[1]
            case(["run", *HALT, "--nic", f"user,hostfwd={family}:127.0.0.1:{port}-:22"], 64, f"port {port} .*in use")


def main(folder):
    commands()
    as_qemu(folder)
    options()
    devices()
    features()
    files(folder)
    ports()


run(main)
