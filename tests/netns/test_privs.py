#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""-u nobody: CAP_NET_ADMIN and nothing else, no new privileges, still logging."""
import glob
import os
import pwd
import sqlite3
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import Daemon, configuration, lines, text, until  # noqa: E402

NOBODY = pwd.getpwnam("nobody")
NET_ADMIN = 1 << 12
NS, FLOWS = "privs", 200
STACKS = ["ct1:NFCT,ip1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU", "ct1:NFCT,db1:SQLITE3"]


def status(path):
    return dict(line.split(":", 1) for line in text(path).splitlines())


def check_thread(path, main):
    """What is wrong with the privileges of one thread.

    The main thread has CAP_NET_ADMIN; those of the outputs need not even that.
    """
    s = {k: v.split() for k, v in status(path).items()}
    for key in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        caps = int(s[key][0], 16)
        if caps & ~NET_ADMIN or (main and key in ("CapEff", "CapPrm") and not caps):
            yield f"{path}: {key} is {s[key][0]}"
    for key, value in (("Uid", NOBODY.pw_uid), ("Gid", NOBODY.pw_gid)):
        if s[key] != [str(value)] * 4:
            yield f"{path}: {key} is {s[key]}"
    if any(g == "0" for g in s["Groups"]):
        yield f"{path}: still in group 0"
    if s["NoNewPrivs"] != ["1"]:
        yield f"{path}: NoNewPrivs is {s['NoNewPrivs']}"


def owners(tmp):
    """Everything it writes belongs to the user, SQLite's side files too."""
    pages = glob.glob(f"{tmp}/state/*.state")
    if len(pages) != 1:
        yield f"state pages: {pages}"
    names = ("emu", "log", "flows.db", "flows.db-wal", "flows.db-shm", "state")
    for path in [f"{tmp}/{name}" for name in names] + pages:
        if not os.path.exists(path):
            yield f"{path} is missing"
        elif os.stat(path).st_uid != NOBODY.pw_uid:
            yield f"{path} belongs to {os.stat(path).st_uid}"


def rows(path):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5) as db:
        return db.execute("SELECT count(*) FROM flows").fetchone()[0]


def burst(lab, tmp, flood, expected):
    lab.run(NS, flood, str(FLOWS))
    lab.run(NS, "conntrack", "-F")
    until("the text", lambda: lines(f"{tmp}/emu") == expected)
    until("the rows", lambda: rows(f"{tmp}/flows.db") == expected)


def test(lab, tmp):
    labs.flood_ns(lab, NS)
    flood = labs.helper("flood", tmp)
    os.chown(tmp, NOBODY.pw_uid, NOBODY.pw_gid)
    daemon = Daemon(lab, NS, tmp, configuration(tmp, STACKS, {
        "emu1": f'file="{tmp}/emu"\n', "db1": f'db="{tmp}/flows.db"\ntable="flows"\n',
        "ct1": "pollinterval=1\n"}))
    daemon.start("-u", "nobody")
    daemon.wait_log("entering main loop")
    tasks = f"/proc/{daemon.pid}/task"
    problems = [p for t in os.listdir(tasks) for p in check_thread(f"{tasks}/{t}/status", int(t) == daemon.pid)]
    print(f"{len(os.listdir(tasks))} threads")
    burst(lab, tmp, flood, FLOWS)
    problems += owners(tmp)
    # A dump needs CAP_NET_ADMIN of who sends it: expired flows end by it.
    lab.sysctl(NS, udp_timeout=1)
    lab.run(NS, flood, str(FLOWS))
    until("expired flows", lambda: lines(f"{tmp}/emu") == 2 * FLOWS)
    daemon.stop()
    return problems


scene.main(test)
