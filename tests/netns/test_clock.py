#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""The clock is set forward by a second and back again while ctflowd runs.

Each step ends a stretch of coverage and is a gap of count 0 whose direction
is that of the clock.  Where the clock may not be set, nothing is tested.
"""
import os
import sqlite3
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import Daemon, configuration, until  # noqa: E402

NS = "clock"
STEP = 10**9  # ns
NEAR = 10**6
STACKS = ["ct1:NFCT,db1:SQLITE3", "ct1:NFCT,ip1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU"]


def offset():
    """Of the clock to the time since boot: the quickest look at both is the best."""
    looks = []
    for _ in range(20):
        before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        real = time.clock_gettime_ns(time.CLOCK_REALTIME)
        looks.append((time.clock_gettime_ns(time.CLOCK_BOOTTIME) - before, real - before))
    return min(looks)[1]


def set_to(value):
    time.clock_settime_ns(time.CLOCK_REALTIME,
                          time.clock_gettime_ns(time.CLOCK_BOOTTIME) + value)


def steps(daemon):
    """Forward, and back as soon as that was noticed: other programs use the clock."""
    was = offset()
    try:
        set_to(was + STEP)
        there = offset()
        daemon.wait_log("the clock was set forward by")
    finally:
        set_to(was)
    back = offset()
    daemon.wait_log("the clock was set back by")
    return there - was, back - there  # not quite what was wanted, on a busy machine


def rows(path, sql):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5) as db:
        return db.execute(sql).fetchall()


def check(path, sizes):
    gaps = rows(path, "SELECT from_ns, to_ns, count, count_is FROM gaps "
                      "WHERE cause = 'clock_step' ORDER BY rowid")
    cover = rows(path, "SELECT from_ns, to_ns FROM coverage ORDER BY rowid")
    print(gaps, cover)
    if [g[2:] for g in gaps] != [(0, "exact")] * 2:
        yield f"gaps: {gaps}"
        return
    for (begin, end, *_), size in zip(gaps, sizes):
        if abs(end - begin - size) > NEAR:
            yield f"a step of {end - begin} ns, not {size}"
    if len(cover) != 3 or cover[0][1] != gaps[0][0] or cover[1] != (gaps[0][1], gaps[1][0]) \
            or cover[2][0] != gaps[1][1] or not cover[2][1]:
        yield f"coverage {cover}, gaps {gaps}"


def test(lab, tmp):
    try:
        set_to(offset())
    except PermissionError:
        print("may not set the clock: not tested")
        return []
    labs.host_lock(exclusive=True)
    labs.flood_ns(lab, NS)
    path = f"{tmp}/flows.db"
    daemon = Daemon(lab, NS, tmp, configuration(tmp, STACKS, {
        "ct1": "sysctl=set\n", "db1": f'db="{path}"\ntable="flows"\n',
        "emu1": f'file="{tmp}/emu"\nsync=1\n'})).start()
    daemon.wait_log("entering main loop")
    sizes = steps(daemon)
    until("both gaps", lambda: len(rows(path, "SELECT 1 FROM gaps WHERE cause = 'clock_step'")) == 2)
    daemon.stop()
    text = [line for line in open(f"{tmp}/emu", encoding="utf-8") if "CAUSE=clock_step COUNT=0" in line]
    return list(check(path, sizes)) + ([] if len(text) == 2 else [f"text: {text}"])


scene.main(test)
