# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of children's devices, for stack.py --devices: what a byte costs, in simulated instructions and in nanoseconds of the host's processor, by the root's
own driver (block load), by a stock kernel on the machine itself (virtio), and by stock kernels as children. dd past the cache on 32 MiB of a disk, by
64 KiB and 4 KiB; iperf3 (Debian's, out of the userland's image) with a server on the host. A figure is the difference of two runs: boots do not count."""
import os
import re
import resource
import socket
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INPUTS = os.path.join(ROOT, ".cache/inputs")
USERLAND = os.path.join(ROOT, ".cache/userland/disk.img")
LIBRARIES = ["/usr/bin/iperf3"] + ["/usr/lib/x86_64-linux-gnu/" + name for name in (
    "ld-linux-x86-64.so.2", "libiperf.so.0", "libsctp.so.1", "libssl.so.3", "libcrypto.so.3", "libm.so.6", "libc.so.6")]
DISK, STREAM = 32 << 20, 8 << 20 # bytes for each count
LOADS = {"read64": 17, "write64": 17, "read4": 4, "send": 5, "receive": 5} # how often in the long run; the short one does it once
NETWORK = ("send", "receive")
KINDS = ("root", "bare", "enlightened", "xen")


def fetch(folder):
    """iperf3 and what it needs, from the userland's image. False: not there."""
    os.mkdir(folder)
    for name in LIBRARIES if os.path.exists(USERLAND) else ():
        out = os.path.join(folder, os.path.basename(name))
        for _ in range(2): # a link's target is in its place
            said = subprocess.run(["/sbin/debugfs", "-R", f"stat {name}", USERLAND], capture_output=True, text=True, check=True).stdout
            link = re.search(r'Fast link dest: "(.*)"', said)
            name = os.path.join(os.path.dirname(name), link.group(1)) if link else name
        subprocess.run(["/sbin/debugfs", "-R", f"dump {name} {out}", USERLAND], capture_output=True, check=True)
        os.chmod(out, 0o755)
    return os.path.exists(os.path.join(folder, "libc.so.6"))


def initrd(folder, kernel, modules):
    picked = os.path.join(folder, "modules." + kernel)
    out = os.path.join(folder, kernel + ".cpio.gz")
    subprocess.run([os.path.join(ROOT, "tests/guests/pick_modules.py"), INPUTS, kernel, picked, *modules], check=True)
    subprocess.run([os.path.join(ROOT, "tests/guests/make_initrd.sh"), out, os.path.join(ROOT, "tests/bench/device_commands")], check=True,
                   env={**os.environ, "MODULES": picked, "EXTRA": os.path.join(folder, "iperf3")})
    return out


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Bench:
    def __init__(self, build, cpu, folder):
        self.build, self.cpu, self.folder = build, cpu, folder
        self.tools = os.path.join(folder, "iperf3")
        self.network = fetch(self.tools)
        self.disk = os.path.join(folder, "disk.img")
        with open(self.disk, "wb") as f:
            f.truncate(DISK)
        self.cloud = initrd(folder, "vmlinuz-cloud", ["hv_vmbus", "hv_storvsc", "hv_netvsc", "hv_utils", "sd_mod", "virtio_pci", "virtio_blk", "virtio_net"])
        self.vmlinux = os.path.join(build, "tests/stack/vmlinux")
        self.stock = initrd(folder, "vmlinuz", ["xen-blkfront", "xen-netfront"])

    def command(self, kind, load, count, port):
        append = f"console=ttyS0 quiet load={load} count={count} port={port}"
        run = [os.path.join(self.build, "debugger/vitrine"), "run", "--cpu", self.cpu, "--memory", "384M", "--nic", "user", "--hash",
               "--drive", f"file={self.disk},format=raw,if=virtio", "--max-instructions", "200000000000"]
        if kind == "bare":
            return [*run, "--kernel", os.path.join(INPUTS, "vmlinuz-cloud"), "--initrd", self.cloud, "--append", append]
        guests = os.path.join(self.build, "guests")
        kernel, image, more = os.path.join(INPUTS, "vmlinuz-cloud"), self.cloud, ""
        modules = []
        if kind == "xen":
            kernel, image, more = self.vmlinux, self.stock, " --xen adapter.elf"
            modules = [os.path.join(guests, "adapter/adapter.elf")]
            append = append.replace("ttyS0", "hvc0")
        script = (f"vm create a --kernel {os.path.basename(kernel)} --initrd {os.path.basename(image)}{more} --memory 160M --append {append} && disk add a virtio0 && "
                  "nic add a && vm start a && vm console a && poweroff")
        if kind == "root":
            script = " && ".join([f"block load virtio0 {DISK >> 20} {load.rstrip('0123456789')}"] * count + ["poweroff"])
        return [*run, "--kernel", os.path.join(self.build, "hv/hv.elf"), "--initrd",
                ",".join([os.path.join(guests, "root/root.elf") + " " + script, kernel, image, *modules])]

    def run(self, kind, load, count):
        """(instructions, seconds of the host's processor)"""
        port, server = free_port(), None
        if load in NETWORK:
            server = subprocess.Popen([os.path.join(self.tools, "ld-linux-x86-64.so.2"), "--library-path", self.tools, os.path.join(self.tools, "iperf3"),
                                       "-s", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.5)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        try:
            done = subprocess.run(self.command(kind, load, count, port), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  check=False, timeout=900)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
        finally:
            if server is not None:
                server.terminate()
                server.wait()
        position = re.search(rb"position (\d+)", done.stdout)
        if position is None or b"FAIL" in done.stdout or (kind != "root" and b"@@ DONE" not in done.stdout):
            raise RuntimeError(f"{kind} {load}: " + done.stdout.decode("latin1")[-1500:])
        return int(position.group(1)), after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def cost(self, kind, load):
        """Instructions and nanoseconds for a byte; None: this kind has no such load."""
        network = load in NETWORK
        if (kind == "root" and not load.endswith("64")) or (kind == "xen" and not os.path.exists(self.vmlinux)) or (network and not self.network):
            return None
        few, many = self.run(kind, load, 1), self.run(kind, load, LOADS[load])
        size = (LOADS[load] - 1) * (STREAM if network else DISK)
        return (many[0] - few[0]) / size, 1e9 * (many[1] - few[1]) / size


def show(build, cpu, folder):
    bench = Bench(build, cpu, folder)
    print(f"{cpu}: instructions a byte, host ns a byte")
    print(f"  {'':9}" + "".join(f"{kind:>20}" for kind in KINDS))
    for load in LOADS:
        costs = [bench.cost(kind, load) for kind in KINDS]
        print(f"  {load:9}" + "".join(f"{'-':>20}" if c is None else f"{c[0]:11.2f} {c[1]:8.2f}" for c in costs), flush=True)
