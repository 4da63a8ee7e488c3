# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway with a small connection table, and what must not happen to it.

3,000 new connections a second pass it, each of one packet that nobody
answers, and end a second later.  Expired entries go only when somebody looks
at them, so a dump that matches nothing is made all the time: without it even
a gateway that logs nothing fills up.
"""
import bisect
import contextlib
import datetime
import json
import os
import re
import socket
import sqlite3
import struct
import subprocess
import threading
import time

import lab as labs
import natlab
from daemon import Daemon, Failed, configuration, text, until
from natlab import CLIENT, GATEWAY, SERVER

RATE = 3000
MAX = 30000  # nf_conntrack_max
TIMEOUT = 1.0  # seconds after its packet a flow ends,
TICK = 0.25  # its clock for timeouts is coarser than that of its time stamps, and may be late
LATE = 1.5  # and how much later the kernel may say so, if who makes it look has to wait
NEAR = 1.5  # seconds a gap may be off
PORTS, FIRST_PORT, FIRST_SOURCE = 50000, 1024, 20000  # as in pace.c
SOURCE, DESTINATION = "10.77.1.2", "10.77.2.2"
STACK = "ct1:NFCT,db1:SQLITE3"

COUNTERS = """
table ip safety {
    counter passed { }
    chain c {
        type filter hook prerouting priority -500;
        ip saddr 10.77.1.2 udp sport 20000-29999 counter name passed VERDICT;
    }
}
"""


def _reap(sock, stop):
    """Dumps of a family no entry has."""
    request = struct.pack("=IHHII4B", 20, 0x0101, 0x0301, 1, 0, socket.AF_UNIX, 0, 0, 0)
    while not stop.wait(0.3):
        sock.send(request)
        while struct.unpack_from("=H", sock.recv(1 << 16), 4)[0] != 3:
            pass
    sock.close()


class Gateway:
    """The lab, its table and its traffic."""

    def __init__(self, lab, tmp):
        self.lab, self.tmp = lab, tmp
        self.pace = labs.helper("pace", tmp)
        natlab.build(lab)
        lab.nft(GATEWAY, COUNTERS.replace("VERDICT", ""))
        lab.nft(SERVER, COUNTERS.replace("VERDICT", "drop"))
        self._small_table()
        self.made = 0

    def _small_table(self):
        path = "/proc/sys/net/netfilter/nf_conntrack_max"
        with open(path, encoding="ascii") as f:
            old = f.read()

        def write(value):
            with open(path, "w", encoding="ascii") as f:
                f.write(value)

        self.lab.undo.append(lambda: write(old))
        write(str(MAX))

    def counter(self, ns):
        rules = json.loads(self.lab.run(ns, "nft", "-j", "list", "counter", "ip", "safety",
                                        "passed"))
        return next(r["counter"]["packets"] for r in rules["nftables"] if "counter" in r)

    def statistics(self):
        """drop and early_drop of the kernel, over all processors."""
        said = self.lab.run(GATEWAY, "conntrack", "-S")
        return {k: sum(map(int, re.findall(rf"\b{k}=(\d+)", said)))
                for k in ("drop", "early_drop")}

    @contextlib.contextmanager
    def traffic(self):
        """Within the block connections pass; afterwards it is known which."""
        stop = threading.Event()
        sock = self.lab.socket(GATEWAY, socket.AF_NETLINK, socket.SOCK_RAW, 12)
        reaper = threading.Thread(target=_reap, args=(sock, stop), daemon=True)
        before = {ns: self.counter(ns) for ns in (GATEWAY, SERVER)}
        was = self.statistics()
        reaper.start()
        self.begin = time.monotonic()
        child = self.lab.popen(CLIENT, [self.pace, SOURCE, DESTINATION, str(RATE)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        said = []
        reader = threading.Thread(target=lambda: said.extend(child.stdout), daemon=True)
        reader.start()
        try:
            yield
        finally:
            self.seconds = time.monotonic() - self.begin
            child.stdin.close()
            child.wait()
            reader.join()
            time.sleep(TIMEOUT + 0.4)
            stop.set()
            reaper.join()
        rows = [tuple(map(int, line.split())) for line in said]
        self.made, self.unsent = rows.pop()
        self.first, self.times = zip(*rows)
        self.entered, self.left = (self.counter(ns) - before[ns] for ns in (GATEWAY, SERVER))
        self.dropped = {k: v - was[k] for k, v in self.statistics().items()}

    def problems(self, name):
        """What the host suffered."""
        print(f"{name}: {self.made} connections in {self.seconds:.1f} s, {self.entered} came, "
              f"{self.left} passed, {self.dropped}")
        if self.made < RATE * self.seconds * 0.7:
            yield f"{name}: only {self.made} connections made in {self.seconds:.1f} s"
        if self.unsent or self.entered != self.made:
            yield f"{name}: {self.entered} of {self.made} reached the gateway"
        if self.left != self.entered:
            yield f"{name}: {self.entered - self.left} connections refused"
        if any(self.dropped.values()):
            yield f"{name}: {self.dropped}"

    def sent(self, index):
        """When that flow was sent, at the earliest."""
        return self.times[bisect.bisect_right(self.first, index) - 1] / 1e9


def kept(daemon, count=1):
    """True when that many sockets have reliable delivery on (sock_diag)."""
    with daemon.lab.socket(daemon.ns, socket.AF_NETLINK, socket.SOCK_RAW, 4) as s:
        s.send(struct.pack("=IHHIIBBHIIII", 36, 20, 0x0301, 1, 0, 16, 12, 0, 0, 0x0A, 0, 0))
        seen = set()
        while True:
            data = s.recv(1 << 16)
            while data:
                size, kind = struct.unpack_from("=IH", data)
                if kind == 3:
                    return len(seen) == count
                if kind == 2:
                    raise Failed("sock_diag refuses")
                portid = struct.unpack_from("=I", data, 20)[0]
                groups = flags = 0
                at = 16 + 28
                while at + 4 <= size:
                    length, attr = struct.unpack_from("=HH", data, at)
                    if attr == 1:
                        groups = struct.unpack_from("=I", data, at + 4)[0]
                    if attr == 4:
                        flags = struct.unpack_from("=I", data, at + 4)[0]
                    at += (length + 3) & ~3
                if groups & 4 and flags & 4:
                    seen.add(portid)
                data = data[(size + 3) & ~3:]


class Books:
    """What an output has: which flows, and the gaps (from, to, cause, count, its kind)."""

    def __init__(self):
        self.flows, self.gaps = [], []

    def flow(self, sport, dport):
        self.flows.append((sport - FIRST_SOURCE) * PORTS + dport - FIRST_PORT)

    def total(self):
        return len(self.flows) + sum(g[3] or 0 for g in self.gaps)

    def problems(self, name, gateway, causes):
        """made = delivered + gaps, and the gaps are where the losses were."""
        distinct = set(self.flows)
        lost = sorted(set(range(gateway.made)) - distinct)
        counted = sum(g[3] or 0 for g in self.gaps)
        for g in self.gaps:
            print(f"{name}: gap {g[2]} of {g[1] - g[0]:.2f} s, {g[4]} {g[3]}")
        print(f"{name}: {len(distinct)} delivered, {len(lost)} lost")
        if len(distinct) != len(self.flows):
            yield f"{name}: {len(self.flows) - len(distinct)} flows twice"
        if [g[2] for g in self.gaps] != causes:
            yield f"{name}: gaps {[g[2] for g in self.gaps]} instead of {causes}"
        if any(g[4] == "unknown" for g in self.gaps):
            yield f"{name}: losses without a count"
        exact = all(g[4] == "exact" for g in self.gaps)
        if len(distinct) + counted < gateway.made or (
                exact and len(distinct) + counted != gateway.made):
            yield f"{name}: {len(distinct)} delivered, {counted} in gaps, {gateway.made} made"
        yield from self._places(name, gateway, lost)

    def _places(self, name, gateway, lost):
        """Each loss is in a gap, and each gap begins and ends with a loss."""
        ends = [gateway.sent(i) + TIMEOUT for i in lost]
        for begin, end, cause, *_ in self.gaps:
            own = [t for t in ends if begin - LATE <= t <= end + TICK]
            ends = [t for t in ends if not begin - LATE <= t <= end + TICK]
            if not own:
                yield f"{name}: nothing was lost in the gap {cause}"
                continue
            print(f"{name}: it begins {begin - own[0]:.2f} s after the first end that was "
                  f"lost, and ends {end - own[-1]:.2f} s after the last")
            if not (own[0] - NEAR <= begin <= own[0] + LATE and
                    own[-1] - TICK <= end <= own[-1] + LATE + NEAR):
                yield f"{name}: that is not near enough"
        if ends:
            yield f"{name}: {len(ends)} losses outside of any gap, the first at {ends[0]}"


class Database(Books):
    """Of a native table."""

    def __init__(self, daemon):
        super().__init__()
        with sqlite3.connect(f"{daemon.dir}/flows.db", timeout=10) as db:
            for row in db.execute("SELECT sport, dport FROM flows WHERE proto = 17"):
                self.flow(*row)
            self.gaps = db.execute("SELECT from_ns / 1e9, to_ns / 1e9, cause, count, count_is "
                                   "FROM gaps ORDER BY from_ns").fetchall()


class Lines(Books):
    """Of JSON, as far as it has been read."""

    def __init__(self):
        super().__init__()
        self.rest = b""

    def read(self, fd):
        try:
            while data := os.read(fd, 1 << 20):
                *whole, self.rest = (self.rest + data).split(b"\n")
                for line in whole:
                    self.add(json.loads(line))
        except BlockingIOError:
            pass

    def add(self, record):
        if "gap.cause" not in record:
            self.flow(record["orig.l4.sport"], record["orig.l4.dport"])
            return
        begin, end = (datetime.datetime.fromisoformat(record[k]).timestamp()
                      for k in ("gap.from", "gap.to"))
        self.gaps.append((begin, end, record["gap.cause"], record["gap.count"],
                          record["gap.count_is"]))


def start(gateway, name, options="", stacks=(), sections=None, plugin=None, program=None):
    """A ctflowd for the gateway, with a database; it is not started yet."""
    directory = f"{gateway.tmp}/{name}"
    os.makedirs(directory, exist_ok=True)
    conf = configuration(directory, [STACK, *stacks], {
        "ct1": options, "db1": f'db="{directory}/flows.db"\ntable="flows"\n',
        **(sections or {})})
    if plugin:
        conf = conf.replace("[global]\n", f'[global]\nplugin="{plugin}"\n')
    return Daemon(gateway.lab, GATEWAY, directory, conf, program=program)


def settle(daemon, name, gateway):
    """All is quiet: reliable delivery is back, the table empty, all delivered."""
    until("reliable delivery to be back", lambda: kept(daemon))
    until("the table to be empty", lambda: gateway.lab.count(GATEWAY) < 20)
    daemon.stop()
    if "sanitizer" in text(f"{daemon.dir}/stderr").lower():
        raise Failed(f"{name}: sanitizer report")
