#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""SIGHUP: whatever the new configuration has to wait for, flows do not.

A database somebody else has locked, and a list of names that takes long to
read, old and new: flows that end meanwhile are in the file before the new
configuration is in force.
"""
import contextlib
import os
import re
import sqlite3
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import text, until  # noqa: E402
from numbered import each_once  # noqa: E402
from reloaded import TEXT, Reloaded  # noqa: E402

NS = "waits"
NAMED = 400_000
EMU = {"emu1": 'file="%D/emu"\nsync=1\n'}


def rows(db):
    (number,), = db.execute("SELECT count(*) FROM f")
    return number


def locked(lab, tmp):
    """A new database, and other options of one: both are locked."""
    s = Reloaded(lab, NS, tmp, "locked", [TEXT.format("emu1")], EMU)
    stacks = [TEXT.format("emu1"), "ct1:NFCT,ip1:IP2STR,db1:SQLITE3"]
    path = f"{tmp}/locked.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE f(orig_l4_dport INTEGER)")
        for options in "", "queue=1M\n":
            db.execute("BEGIN EXCLUSIVE")
            if not s.beside(stacks, EMU | {
                    "db1": f'db="{path}"\ntable=f\nbuffer=1\n{options}'}):
                yield f"locked {options!r}: the flows had to wait"
            db.execute("COMMIT")
            s.flows.make(10)
            until("the rows", lambda: rows(db) >= 10)
            db.execute("DELETE FROM f")
    s.daemon.stop()
    yield from each_once("locked", s.text("emu"), s.flows.made)


def named(lab, tmp):
    """Lists of names; the flows after the reload have them."""
    path = f"{tmp}/names"
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255} h{i}\n" for i in range(NAMED))
        f.write("10.66.0.1 host-of-the-test\n")
    s = Reloaded(lab, NS, tmp, "named", [TEXT.format("emu1")], EMU)
    stacks = [TEXT.format("emu1"), "ct1:NFCT,nm1:NAMES,ip1:IP2STR,js1:JSON"]
    for number in 1, 2:  # the second one ends the first
        sections = EMU | {"js1": f'file="{tmp}/json.{number}"\nsync=1\n',
                          "nm1": f'hosts="{path}"\nmax_names={NAMED + number}\n'}
        if not s.beside(stacks, sections):
            yield f"names {number}: the flows had to wait"
        late = "the first flows go without" in s.daemon.log()
        s.flows.make(10)
        until("the flows", lambda n=number: text(f"{tmp}/json.{n}").count("\n") >= 10)
        have = len(re.findall("host-of-the-test", text(f"{tmp}/json.{number}")))
        print(f"names {number}: {have} of 10 flows have one{', too late' * late}")
        if have < 10 and not late:
            yield f"names {number}: only {have} flows have one"
    s.daemon.stop()
    yield from each_once("named", s.text("emu"), s.flows.made)


def test(lab, tmp):
    labs.host_lock()
    labs.flood_ns(lab, NS)
    return [*locked(lab, tmp), *named(lab, tmp)]


scene.main(test)
