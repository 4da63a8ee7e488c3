#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory: as little with a million live flows as with ten, and in 32 MiB.

Measured without a sanitizer, which takes more than that for itself: in such
a build the test is not run.
"""
import contextlib
import os
import re
import signal
import sqlite3
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import LIMIT, Daemon, configuration, until  # noqa: E402

NS = "memory"
TEXT = "ct1:NFCT,ip1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU"
FEW, MANY = 10, 1000000
MARK = 1024  # KiB
CEILING = 32 << 20
RATE, STALL = 500, 60  # flows a second, seconds


def resident(daemon):
    with open(f"/proc/{daemon.pid}/smaps_rollup", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Rss:"))


def at_rest(daemon):
    """Resident memory once nothing goes on."""
    least = resident(daemon)
    for _ in range(25):
        time.sleep(0.2)
        least = min(least, resident(daemon))
    return least


def written(daemon):
    """Records the output has been given, as it says when asked."""
    daemon.send(signal.SIGUSR1)
    said = re.findall(r"emu1:LOGEMU: statistics: records=(\d+)", daemon.log())
    return int(said[-1]) if said else 0


def many_flows(lab, tmp, flood):
    """Flows that live are the kernel's to remember, also when all are dumped."""
    where = f"{tmp}/many"
    os.mkdir(where)
    d = Daemon(lab, NS, where, configuration(where, [TEXT], {
        "emu1": 'file="/dev/null"\n'})).start()
    d.wait_log("entering main loop")
    lab.run(NS, flood, str(FEW))
    d.send(signal.SIGUSR2)
    until("a dump", lambda: written(d) >= FEW, step=0.5)
    few = at_rest(d)
    lab.run(NS, flood, str(MANY), timeout=300)
    seen = written(d)
    d.send(signal.SIGUSR2)
    until("a dump of them all", lambda: written(d) >= seen + MANY, limit=450, step=0.5)
    many = at_rest(d)
    lab.run(NS, "conntrack", "-F", timeout=300)
    until("an empty table", lambda: lab.count(NS) == 0)
    d.stop()
    print(f"{few} KiB with {FEW} flows, {many} KiB with {MANY}")
    return [f"{many - few} KiB more with {MANY} flows"] if many - few > MARK else []


@contextlib.contextmanager
def cgroup(limit):
    """The cgroup.procs file of a fresh group with that memory limit, or None."""
    for root, setting in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
                          ("/sys/fs/cgroup", "memory.max")):
        group = f"{root}/ctflowd-test-{os.getpid()}"
        with contextlib.suppress(OSError):
            os.mkdir(group)
            if not os.path.exists(f"{group}/{setting}"):
                os.rmdir(group)
                continue
            break
    else:
        labs.skip("no memory cgroup can be made")
    with open(f"{group}/{setting}", "w", encoding="ascii") as f:
        f.write(str(limit))
    try:
        yield f"{group}/cgroup.procs"
    finally:
        for _ in range(50):
            try:
                os.rmdir(group)
                break
            except OSError:
                time.sleep(0.1)


def move_here(procs):
    """Moves this process into a group; cgroup.procs of where it was."""
    with open("/proc/self/cgroup", encoding="ascii") as f:
        groups = [line.rstrip().split(":", 2)[1:] for line in f]
    v1 = "/memory/" in procs
    path = next(p for names, p in groups if ("memory" in names.split(",")) == v1 or not v1)
    with open(procs, "w", encoding="ascii") as f:
        f.write(str(os.getpid()))
    root = "/sys/fs/cgroup/memory" if v1 else "/sys/fs/cgroup"
    return os.path.join(root, path.lstrip("/"), "cgroup.procs")


def small_box(lab, tmp, flood):
    """A database that is locked for a minute, 500 flows/s, 32 MiB for all."""
    where = f"{tmp}/small"
    os.mkdir(where)
    path = f"{where}/flows.db"
    total = RATE * (STALL + 2)
    with cgroup(CEILING) as procs:
        d = Daemon(lab, NS, where, configuration(where, ["ct1:NFCT,db1:SQLITE3"], {
            "ct1": "pollinterval=1\n", "db1": f'db="{path}"\ntable="flows"\n'}))
        home = move_here(procs)  # what is started there is charged there from the beginning
        d.start()
        move_here(home)
        lab.sysctl(NS, udp_timeout=1, udp_timeout_stream=1)
        until("the database", lambda: os.path.exists(path))
        d.wait_log("entering main loop")
        lock = sqlite3.connect(path, isolation_level=None, timeout=10)
        lock.execute("BEGIN IMMEDIATE")
        flow = lab.popen(NS, [flood, str(total), str(RATE)])
        time.sleep(STALL)
        lock.execute("ROLLBACK")
        lock.close()
        flow.wait(LIMIT)
        until("an empty table", lambda: lab.count(NS) == 0)
        grown = resident(d)
        d.stop()
    with sqlite3.connect(path) as db:
        rows, distinct, gaps = db.execute(
            "SELECT count(*), count(DISTINCT dst || ':' || dport),"
            " (SELECT count(*) FROM gaps) FROM flows").fetchone()
    print(f"{total} made, {rows} rows, {gaps} gaps, {grown} KiB resident")
    if (rows, distinct, gaps) != (total, total, 0):
        return [f"32 MiB: {rows} rows of {distinct} flows, {gaps} gaps, {total} made"]
    return []


def test(lab, tmp):
    labs.flood_ns(lab, NS)
    labs.raise_conntrack_max(lab, MANY + 100000)
    flood = labs.helper("flood", tmp)
    return many_flows(lab, tmp, flood) + small_box(lab, tmp, flood)


scene.main(test)
