#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Another reliable listener, asleep: the kernel repeats, every flow is told once.

300,000 flows end while the other one sleeps for ten seconds with a full receive
buffer; text has 300,000 records, none twice.  Then with too little memory for
that: what cannot be told is delivered and counted, and SQLite still has each
flow once.  Last, two inputs of one process, which are such listeners to each other.
"""
import os
import re
import sqlite3
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import Daemon, Failed, configuration, lines, until  # noqa: E402
from sleeper import Sleeper  # noqa: E402

NS = "repeat"
MANY = int(os.environ.get("CTF_REPEAT", "300000"))
FEW = 20000
TWICE = 10000
ASLEEP = 10.0  # seconds
PORTS, FIRST_PORT = 50000, 1024  # as in flood.c
TEXT = "ct1:NFCT,ip1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU"

# Without CAP_SYS_PTRACE it goes by the netlink port, which is the process's number.
NAMED = re.compile(rf"\(process {os.getpid()}(, [^)]*netlink port)?\) listens with")


def told(path):
    """Each flow of flood.c in a LOGEMU file: how often."""
    seen = {}
    with open(path, encoding="ascii") as f:
        for line in f:
            m = re.search(r"DST=10\.66\.1\.(\d+) .*?DPT=(\d+) ", line)
            i = (int(m[1]) - 1) * PORTS + int(m[2]) - FIRST_PORT
            seen[i] = seen.get(i, 0) + 1
    return seen


def counter(daemon, name):
    """Of the input, as the end says it."""
    said = re.findall(rf"ct1:NFCT: statistics:.* {name}=(\d+)", daemon.log())
    return int(said[-1]) if said else 0


def run(lab, tmp, daemon, sleeper, count, asleep):
    """Flows end while the other sleeps; all delivered to both in the end."""
    flood = labs.helper("flood", tmp)
    lab.run(NS, flood, str(count), timeout=300)
    if lab.count(NS) != count:
        raise Failed(f"{lab.count(NS)} entries instead of {count}")
    start = time.monotonic()
    emu = os.path.join(daemon.dir, "emu")
    for first in range(0, count, PORTS):  # at a pace at which we can take them at once
        lab.run(NS, "conntrack", "-D", "-d", f"10.66.1.{1 + first // PORTS}", timeout=300)
        time.sleep(0.1)
    print(f"{count} ended in {time.monotonic() - start:.1f} s, {lines(emu)} told so far")
    while time.monotonic() - start < asleep:
        time.sleep(0.1)
    kept = lab.count(NS)
    if kept < count // 2:
        raise Failed(f"the kernel keeps only {kept} for the one asleep: nothing is shown")

    def drained():
        sleeper.drain()
        return lab.count(NS) == 0
    until("the kernel to be rid of them", drained, step=0.002)
    until("all to be told", lambda: lines(emu) >= count, step=0.1)
    sleeper.drain()
    if sleeper.read < count:
        raise Failed(f"the other listener got {sleeper.read} of {count}")


def asleep_for_long(lab, tmp):
    """It comes after us and is seen; memory is enough."""
    where = os.path.join(tmp, "enough")
    os.mkdir(where)
    daemon = Daemon(lab, NS, where, configuration(where, [TEXT], {
        "ct1": "sysctl=ignore\n", "emu1": f'file="{where}/emu"\n'})).start()
    daemon.wait_log("entering main loop")
    sleeper = Sleeper(lab, NS, 8 << 20)
    daemon.wait_log("listens with reliable delivery, too")
    run(lab, tmp, daemon, sleeper, MANY, ASLEEP)
    sleeper.fd.close()
    daemon.wait_log("no longer listens")
    daemon.stop()
    seen = told(f"{where}/emu")
    repeats, maybe = counter(daemon, "repeats"), counter(daemon, "maybe_repeated")
    print(f"enough memory: {sum(seen.values())} records of {len(seen)} flows, "
          f"{repeats} repeats left out, {maybe} uncertain")
    if (sum(seen.values()), len(seen), maybe) != (MANY, MANY, 0):
        yield f"{sum(seen.values())} records of {len(seen)} flows, {maybe} uncertain"
    if repeats < MANY // 2:
        yield f"{repeats} repeats only: nothing is shown"
    if not NAMED.search(daemon.log()):
        yield f"the other listener is not named: {daemon.words()}"


def rows(path):
    try:
        with sqlite3.connect(path) as db:
            return db.execute("SELECT count(*), count(DISTINCT dst || ' ' || dport) "
                              "FROM flows").fetchone()
    except sqlite3.OperationalError:  # busy
        return (-1, -1)


def too_little_memory(lab, tmp):
    """It was there before us; a thousand flows are remembered, not more."""
    where = os.path.join(tmp, "little")
    os.mkdir(where)
    sleeper = Sleeper(lab, NS, 1 << 20)
    daemon = Daemon(lab, NS, where, configuration(
        where, [TEXT, "ct1:NFCT,db1:SQLITE3"], {
            "ct1": "sysctl=ignore\nrepeat_memory=24K\n", "emu1": f'file="{where}/emu"\n',
            "db1": f'db="{where}/flows.db"\ntable="flows"\n'}), "conf")
    daemon.start()
    daemon.wait_log("entering main loop")
    run(lab, tmp, daemon, sleeper, FEW, 2.0)
    sleeper.fd.close()
    daemon.stop()
    seen, db = told(f"{where}/emu"), rows(f"{where}/flows.db")
    extra = sum(seen.values()) - len(seen)
    maybe = counter(daemon, "maybe_repeated")
    print(f"little memory: {sum(seen.values())} records of {len(seen)} flows, "
          f"{maybe} uncertain, {db[0]} rows of {db[1]} flows")
    if len(seen) != FEW or db != (FEW, FEW):
        yield f"{len(seen)} flows in text, {db[0]} rows of {db[1]} flows"
    if not 0 < extra <= maybe:
        yield f"{extra} were told twice, but {maybe} said to be uncertain"
    if not NAMED.search(daemon.log()):
        yield f"the other listener is not named: {daemon.words()}"


def two_inputs(lab, tmp):
    """Of one process; the second has hardly any room: each gets its own copy."""
    where = os.path.join(tmp, "two")
    os.mkdir(where)
    daemon = Daemon(lab, NS, where, configuration(
        where, [TEXT, TEXT.replace("1", "2")], {
            "ct1": "sysctl=ignore\n", "emu1": f'file="{where}/emu1"\n',
            "ct2": "sysctl=ignore\nnetlink_socket_buffer_size=64K\n",
            "emu2": f'file="{where}/emu2"\n'}))
    daemon.start()
    daemon.wait_log("entering main loop")
    lab.run(NS, labs.helper("flood", tmp), str(TWICE), timeout=300)
    lab.run(NS, "conntrack", "-F", timeout=300)
    until("both to have all", lambda: min(lines(f"{where}/emu{i}") for i in "12") >= TWICE)
    until("the kernel to be rid of them", lambda: lab.count(NS) == 0)
    daemon.stop()
    repeats = counter(daemon, "repeats")
    for i in "12":
        seen = told(f"{where}/emu{i}")
        print(f"two inputs: input {i} has {sum(seen.values())} records of {len(seen)} flows")
        if (sum(seen.values()), len(seen)) != (TWICE, TWICE):
            yield f"input {i} has {sum(seen.values())} records of {len(seen)} flows"
    if not repeats:
        yield "two inputs: no repeats, nothing is shown"
    if "another input of this" not in daemon.log():
        yield f"neither input knows of the other: {daemon.words()}"


def test(lab, tmp):
    labs.host_lock(exclusive=True)
    labs.raise_conntrack_max(lab, MANY + MANY // 3)
    labs.flood_ns(lab, NS)
    return [*asleep_for_long(lab, tmp), *too_little_memory(lab, tmp), *two_inputs(lab, tmp)]


scene.main(test)
