#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Outages with a spool: a daemon killed in one, a disk that is full, a stop.

Real flows; the server of JSON over TCP is away, or the database is locked.
What had reached the disk is delivered by the next run, in order; what had not is
a gap; when the disk is full as well the oldest are dropped, and counted exactly.
"""
import ctypes
import glob
import json
import os
import pwd
import signal
import sqlite3
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import ipfix_wire  # noqa: E402
import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import Daemon, configuration, spool_bytes, until  # noqa: E402
from sinks import TcpSink  # noqa: E402

NS = "spool"
CLONE_NEWNS = 0x00020000
MANY = 12000
PEN = 56789
BATCH = 64  # events that may have been read and not counted when it is killed
JSON = "ct1:NFCT,ip1:IP2STR,json1:JSON"
TO_SERVER = "mode=tcp\nhost=127.0.0.1\nport=9000\nreconnect=100ms\n"


def burst(lab, count):
    lab.run(NS, burst.flood, str(count), timeout=300)
    lab.run(NS, "conntrack", "-F", timeout=300)


class Away:
    """A daemon whose JSON server is not there, with a spool of its own."""

    def __init__(self, lab, tmp, name, queue="16M", spool=None):
        self.lab, self.dir = lab, os.path.join(tmp, name)
        os.mkdir(self.dir)
        self.starts = 0
        self.spool = spool or f"{self.dir}/spool"
        self.daemon = Daemon(lab, NS, self.dir, configuration(self.dir, [JSON], {
            "json1": f"{TO_SERVER}spool_dir={self.spool}\nspool_sync=200ms\n"
                     f"queue={queue}\n"}))

    def start(self, *args):
        self.starts += 1
        self.daemon.start(*args)
        until("it to work",
              lambda: self.daemon.log().count("entering main loop") >= self.starts)

    def kill(self):
        self.daemon.send(signal.SIGKILL)
        self.daemon.child.wait()


def accounted(sink):
    """(flows, {cause: flows in gaps}) of JSON so far."""
    flows, gaps = 0, {}
    for line in b"".join(bytes(s) for s in sink.sessions).splitlines(keepends=True):
        if not line.endswith(b"\n"):
            continue
        record = json.loads(line)
        if "gap.count" in record:
            cause = record["gap.cause"]
            gaps[cause] = gaps.get(cause, 0) + record["gap.count"]
        else:
            flows += 1
    return flows, gaps


def total(sink):
    flows, gaps = accounted(sink)
    return flows + sum(gaps.values())


def killed(lab, tmp):
    """kill -9 in the middle of an outage."""
    a = Away(lab, tmp, "killed")
    a.start()
    burst(lab, MANY)
    a.daemon.await_spool("json1:JSON", MANY, a.spool)
    burst(lab, 500)  # these may not have reached the disk
    a.kill()
    a.start()
    a.daemon.wait_log("spool: goes on with")
    sink = TcpSink(lab, NS, 9000)
    made = MANY + 500
    until("all to be accounted for", lambda: total(sink) >= made, step=0.4)
    a.daemon.stop()
    sink.close()
    flows, gaps = accounted(sink)
    print(f"killed: {made} made, {flows} delivered, gaps {gaps}")
    if flows < MANY:
        yield f"killed: {flows} delivered of {MANY} on disk"
    if set(gaps) - {"restart"} or not made <= flows + sum(gaps.values()) <= made + BATCH:
        yield f"killed: {flows} delivered and {gaps}, {made} made"
    if spool_bytes(a.spool):
        yield f"killed: {spool_bytes(a.spool)} bytes are left"


def leftover(lab, tmp, spool):
    """The output has another name now: its folder is named at the start."""
    folder = os.path.join(tmp, "renamed")
    os.mkdir(folder)
    daemon = Daemon(lab, NS, folder, configuration(folder, [JSON.replace("json1", "json2")], {
        "json2": f"{TO_SERVER}spool_dir={spool}\n"}))
    daemon.start()
    daemon.wait_log("entering main loop")
    daemon.stop()
    if f"{spool}/json1:JSON holds at least 1000 flows" not in daemon.log():
        yield f"leftover: {daemon.words()}"


def stopped(lab, tmp):
    """A planned stop, twice, leaves it on disk; nothing is a gap."""
    a = Away(lab, tmp, "stopped")
    a.start()
    burst(lab, 1000)
    until("some on disk", lambda: spool_bytes(a.spool))
    a.daemon.stop()
    yield from leftover(lab, tmp, a.spool)
    a.start("-u", "nobody")
    burst(lab, 1000)
    until("more on disk", lambda: len(glob.glob(f"{a.spool}/*/*")) > 2)
    a.daemon.stop()
    owners = {os.stat(p).st_uid for p in glob.glob(f"{a.spool}/json1*/*") + glob.glob(
        f"{a.spool}/json1*")}
    if owners != {pwd.getpwnam("nobody").pw_uid}:
        yield f"stopped: the spool is owned by {owners}"
    sink = TcpSink(lab, NS, 9000)
    a.start()
    until("all of it", lambda: total(sink) >= 2000)
    a.daemon.stop()
    sink.close()
    flows, gaps = accounted(sink)
    print(f"stopped: {flows} delivered, gaps {gaps}")
    if flows != 2000 or gaps:
        yield f"stopped: {flows} delivered of 2000, gaps {gaps}"


def full(lab, tmp):
    """A file system too small for the outage."""
    disk = os.path.join(tmp, "disk")
    os.mkdir(disk)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2M", "none", disk], check=True)
    a = Away(lab, tmp, "full", "256K", disk)
    a.start()
    burst(lab, MANY)
    a.daemon.wait_log("the oldest are dropped")
    sink = TcpSink(lab, NS, 9000)
    until("all to be accounted for", lambda: total(sink) >= MANY, step=0.4)
    burst(lab, 100)
    until("the new ones", lambda: total(sink) >= MANY + 100, step=0.2)
    a.daemon.stop()
    sink.close()
    subprocess.run(["umount", disk], check=True)
    os.rmdir(disk)
    flows, gaps = accounted(sink)
    print(f"full: {MANY + 100} made, {flows} delivered, gaps {gaps}")
    if flows + sum(gaps.values()) != MANY + 100:
        yield f"full: {flows} delivered and {gaps}, {MANY + 100} made"
    if not gaps or set(gaps) - {"spool", "queue"}:
        yield f"full: gaps {gaps}"
    if flows < 1000:
        yield f"full: only {flows} came"
    if "works again" not in a.daemon.log():
        yield "full: it does not say that it works again"


def database(lab, tmp):
    """Rows and spool survive kill -9 with every flow there once."""
    folder = os.path.join(tmp, "database")
    os.mkdir(folder)
    path = f"{folder}/flows.db"
    daemon = Daemon(lab, NS, folder, configuration(folder, ["ct1:NFCT,db1:SQLITE3"], {
        "db1": f'db="{path}"\ntable="flows"\nspool_dir={folder}/spool\nspool_sync=0\n'
               "queue=4M\n"}))

    def rows():
        with sqlite3.connect(path, timeout=10) as db:
            return db.execute("SELECT (SELECT count(*) FROM flows), "
                              "(SELECT coalesce(sum(count), 0) FROM gaps)").fetchone()
    daemon.start()
    daemon.wait_log("entering main loop")
    burst(lab, 10)
    until("the first rows", lambda: rows()[0] == 10)
    lock = sqlite3.connect(path, isolation_level=None, timeout=10)
    lock.execute("BEGIN IMMEDIATE")
    burst(lab, 3000)
    daemon.await_spool("db1:SQLITE3", 3010, f"{folder}/spool")
    daemon.send(signal.SIGKILL)
    daemon.child.wait()
    lock.execute("ROLLBACK")
    lock.close()
    daemon.start()
    until("all rows", lambda: rows()[0] >= 3010)
    daemon.stop()
    print("database:", rows())
    if rows()[0] != 3010 or rows()[1] > BATCH:
        yield f"database: {rows()[0]} rows, {rows()[1]} in gaps, 3010 made"


def ipfix_flows(sink):
    """{flow of flood: (octets or None, ctStatus is there)}, all sessions, each once."""
    seen = {}
    for session in sink.sessions:
        reader = ipfix_wire.Reader()
        for message in ipfix_wire.messages(bytes(session)):
            for _, v in reader.records(message):
                flow = int.from_bytes(v[0, 11], "big") - 1024
                octets = int.from_bytes(v[0, 1], "big") if (0, 1) in v else None
                seen.setdefault(flow, []).append((octets, (PEN, 1001) in v))
    return seen


def changed(lab, tmp):
    """Options and settings change in an outage: each record is what it was made as."""
    folder = os.path.join(tmp, "changed")
    os.mkdir(folder)
    acct = "net.netfilter.nf_conntrack_acct"
    for i, (pen, counts) in enumerate(((0, 1), (PEN, 1), (PEN, 0))):
        daemon = Daemon(lab, NS, folder, configuration(folder, ["ct1:NFCT,ipfix1:IPFIX"], {
            "ct1": "sysctl=warn\n",
            "ipfix1": f"host=127.0.0.1\nport=9001\nproto=tcp\noid=1\npen={pen}\nreconnect=100ms\n"
                      f"spool_dir={folder}/spool\nspool_sync=100ms\n"}))
        lab.run(NS, "sysctl", "-qw", f"{acct}={counts}")
        daemon.start()
        until("this one to listen", lambda: daemon.log().count("entering main loop") > i)
        lab.run(NS, burst.flood, "500", "0", str(500 * i), timeout=300)
        lab.run(NS, "conntrack", "-F", timeout=300)
        daemon.await_spool("ipfix1:IPFIX", 500, f"{folder}/spool")
        if i < 2:
            daemon.send(signal.SIGKILL if i else signal.SIGTERM)
            daemon.child.wait()
    lab.run(NS, "sysctl", "-qw", f"{acct}=1")
    sink = TcpSink(lab, NS, 9001)
    until("all of it", lambda: len(ipfix_flows(sink)) >= 1500)
    daemon.stop()
    sink.close()
    seen = ipfix_flows(sink)
    print(f"changed: {len(seen)} flows in {len(sink.sessions)} sessions")
    want = {i: [(None if i >= 1000 else 29 + i % 64, i >= 500)] for i in range(1500)}
    bad = [i for i in range(1500) if seen.get(i) != want[i]]
    if bad or len(seen) != 1500:
        yield f"changed: {len(bad)} flows are not what they were, " \
              f"{[(i, seen.get(i), want[i]) for i in bad[:3]]}"
    if len(sink.sessions) < 2:
        yield f"changed: templates of both in {len(sink.sessions)} session"


def own_mounts():
    if ctypes.CDLL(None).unshare(CLONE_NEWNS) != 0 or subprocess.run(
            ["mount", "--make-rprivate", "/"], check=False).returncode:
        labs.skip("cannot have mounts of its own")


def test(lab, tmp):
    own_mounts()
    labs.flood_ns(lab, NS)
    burst.flood = labs.helper("flood", tmp)
    problems = []
    for play in killed, stopped, full, database, changed:
        problems += play(lab, tmp)
    return problems


if __name__ == "__main__":
    scene.main(test)
