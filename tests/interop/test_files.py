#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""IPFIX files (RFC 5655) of the whole daemon: rotation, SIGHUP, kill -9, a full disk.

Every file can be read by itself, libfixbuf's reader and the conformance
checker have nothing to say, and together they hold every flow, or a record of
how many are missing.
"""
import glob
import os
import random
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]

import collectors  # noqa: E402
import formats  # noqa: E402
import ipfix_wire  # noqa: E402
import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import Daemon, configuration, read_all, until  # noqa: E402

NS, BURST, NOBODY = "files", 2000, 65534
SEED = int(os.environ.get("CTF_SEED", time.time_ns() % 1000000))


class Files:
    """A daemon that writes IPFIX files into a folder of its own."""

    def __init__(self, lab, tmp, name, options):
        self.lab, self.dir = lab, os.path.join(tmp, name)
        self.data = f"{self.dir}/data"
        self.path = f"{self.data}/flows.ipfix"
        os.makedirs(self.data, exist_ok=True)
        os.chown(self.data, NOBODY, NOBODY)
        self.daemon = Daemon(lab, NS, self.dir, configuration(
            self.dir, ["ct1:NFCT,out1:IPFIX"],
            {"out1": f'oid=7\nproto=file\nfile="{self.path}"\n{options}'}))
        self.flood = labs.helper("flood", tmp)

    def start(self, *args):
        open(f"{self.dir}/log", "w", encoding="ascii").close()
        self.daemon.start(*args)
        self.daemon.wait_log("entering main loop")

    def make(self, count):
        """That many flows, all read by the daemon."""
        self.lab.run(NS, self.flood, str(count), timeout=300)
        self.lab.run(NS, "conntrack", "-F", timeout=300)
        read_all(self.lab, NS, self.daemon.pid)

    def names(self):
        return sorted(glob.glob(f"{self.data}/*"))

    def flows(self):
        return sum(len(identity(n)) for n in self.names())


def read(path):
    with open(path, "rb") as f:
        return f.read()


def identity(path):
    """Flows in a file, each once."""
    return {(r.src, r.sport, r.dst, r.dport, r.start) for r in formats.ipfix(read(path))}


def lost(path):
    """How many flows the file says were not sent."""
    reader, most = ipfix_wire.Reader(), 0
    for m in ipfix_wire.messages(read(path)):
        for _, values in reader.records(m, options=True):
            most = max(most, int.from_bytes(values.get((0, 166), b""), "big"))
    return most


def judge(paths):
    """What the checker and ipfixDump complain about."""
    for path in paths:
        done = subprocess.run([sys.executable, "-B", f"{HERE}/ipfix_check.py", "--file", path],
                              capture_output=True, text=True, timeout=300, check=False)
        name = os.path.basename(path)
        if done.returncode:
            yield from (f"{name}: {w}" for w in done.stdout.splitlines())
        if os.path.getsize(path):
            dump = collectors.IpfixDump(path)
            yield from (f"{name}: ipfixDump: {w}" for w in dump.finish())
            rows = len(list(dump.rows()))
            if rows != len(list(formats.ipfix(read(path)))):
                yield f"{name}: ipfixDump has {rows} flows"


def rotation(lab, tmp):
    """By size and time, as another user; SIGHUP after a move; a second run."""
    f = Files(lab, tmp, "rotation", "rotate_size=50K\nrotate_time=2\nmtu=8000\noptions_interval=0\n")
    f.start("-u", "nobody")
    for i in range(2):
        f.make(BURST)
        until("files to be complete", lambda n=(i + 1) * BURST:
              os.path.getsize(f.path) == 0 and f.flows() == n, step=0.1)
    f.make(10)
    until("ten flows", lambda: os.path.getsize(f.path))
    moved = f"{f.data}/moved"
    os.rename(f.path, moved)
    f.daemon.send(signal.SIGHUP)
    until("another file", lambda: os.path.exists(f.path))
    f.make(10)
    f.daemon.stop()
    before = f.names()
    f.start("-u", "nobody")
    f.daemon.stop()
    after = f.names()
    sizes = [os.path.getsize(n) for n in after]
    print(f"rotation: {f.flows()} flows in {len(after)} files of at most {max(sizes)} octets")
    yield from judge(after)
    if f.flows() != 2 * BURST + 20:
        yield f"rotation: {f.flows()} of {2 * BURST + 20} flows"
    if max(sizes) > 50 * 1024 or len(after) < 8:
        yield f"rotation: sizes {sizes}"
    if len(identity(moved)) != 10:
        yield f"rotation: {len(identity(moved))} flows in the file moved away"
    if len(after) != len(before) + (os.path.getsize(f.path) == 0 and
                                    len(after) != len(before)):
        yield f"rotation: {before} became {after}"
    if os.path.getsize(f.path):
        yield "rotation: the second run wrote on in the first one's file"
    times = [ipfix_wire.HEADER.unpack_from(read(n))[2] for n in after if os.path.getsize(n)]
    stamps = [time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(t)) for t in times]
    for stamp, name in zip(stamps, [n for n in after if os.path.getsize(n)]):
        if stamp not in name and name != moved:
            yield f"rotation: {name} begins at {stamp}"


def killed(lab, tmp):
    """kill -9 again and again: what is in no file is counted in the next."""
    f = Files(lab, tmp, "killed", "mtu=4000\n")
    dice = random.Random(SEED)
    for _ in range(5):
        f.start()
        f.make(BURST)
        time.sleep(dice.random())
        f.daemon.send(signal.SIGKILL)
        f.daemon.wait()
        with open(f.path, "ab") as file:  # a message begun, as a kill leaves it
            file.write(b"\0\x0a\x10\0" + bytes(dice.randrange(1, 500)))
    f.start()
    f.make(10)
    f.daemon.stop()
    missing = sum(map(lost, f.names()))
    print(f"killed: {f.flows()} flows in {len(f.names())} files, {missing} missing "
          f"(seed {SEED})")
    yield from judge(f.names())
    if f.flows() + missing != 5 * BURST + 10:
        yield f"killed: {f.flows()} + {missing} of {5 * BURST + 10}"
    if len(f.names()) != 6:
        yield f"killed: {f.names()}"


def full_disk(lab, tmp):
    """A file system fills up: whole messages stay; with room again all are there."""
    os.makedirs(f"{tmp}/full/data")
    lab.run(None, "mount", "-t", "tmpfs", "-o", "size=1m", "ctl", f"{tmp}/full/data")
    lab.undo.append(lambda: lab.run(None, "umount", "-l", f"{tmp}/full/data", check=False))
    f = Files(lab, tmp, "full", "mtu=3000\n")
    f.start()
    with open(f"{tmp}/full/data/filler", "wb") as file:
        file.write(bytes(900 * 1024))
    f.make(2 * BURST)
    f.daemon.wait_log("No space left on device")
    time.sleep(1.2)
    now = len(identity(f.path))
    yield from judge([f.path])
    os.unlink(f"{tmp}/full/data/filler")
    f.daemon.wait_log("is written again")
    f.daemon.stop()
    print(f"full disk: {now} flows while it was full, {f.flows()} in the end")
    yield from judge(f.names())
    if not 0 < now < 2 * BURST or f.flows() != 2 * BURST or sum(map(lost, f.names())):
        yield f"full disk: {now}, then {f.flows()} of {2 * BURST} flows"
    lab.run(None, "umount", f"{tmp}/full/data")


def test(lab, tmp):
    print(f"CTF_SEED={SEED}", flush=True)
    labs.flood_ns(lab, NS)
    return [p for part in (rotation, killed, full_disk) for p in part(lab, tmp)]


scene.main(test)
