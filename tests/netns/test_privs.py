#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""CAP_NET_ADMIN and nothing else, with -u and without: tried from inside; still logging."""
import glob
import ctypes
import os
import pwd
import signal
import sqlite3
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import Daemon, Unnamed, build_dir, configuration, lines, text, until  # noqa: E402

NOBODY = pwd.getpwnam("nobody")
NET_ADMIN = 1 << 12
NS, FLOWS = "privs", 200
TEXT = "ip1:IP2STR,print1:PRINTFLOW"
STACKS = [f"ct1:NFCT,try1:TRIER,{TEXT},emu1:LOGEMU", "ct1:NFCT,db1:SQLITE3",
          f"ct1:NFCT,{TEXT},emu2:LOGEMU"]
# What TRIER must be told; root itself may read what root owns.
REFUSED = {"/proc/sys/kernel/core_pattern": "Permission denied", "raw": "Operation not permitted",
           "packet": "Operation not permitted", "/bin/true": "Operation not permitted"}
SETTINGS = {"/proc/sys/net/netfilter/nf_conntrack_acct": "Permission denied",
            "/proc/self/oom_score_adj": "Permission denied"}
if ctypes.CDLL(None).syscall(444, None, 0, 1) > 0:  # landlock_create_ruleset: its version
    REFUSED |= SETTINGS
OF_NOBODY = {"/etc/shadow": "Permission denied", "setuid": "Operation not permitted"}


def status(path):
    return dict(line.split(":", 1) for line in text(path).splitlines())


def check_thread(path, main, earlier=False):
    """What is wrong with the privileges of one thread.

    The main thread has CAP_NET_ADMIN; those of the outputs need not even that.  One that
    was there `earlier` is not told that it may not gain any.
    """
    s = {k: v.split() for k, v in status(path).items()}
    if not s and not main:
        return  # it has ended
    if main and int(s["CapEff"][0], 16) != NET_ADMIN:
        yield f"{path}: CapEff is {s['CapEff'][0]}"
    for key in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        caps = int(s[key][0], 16)
        if caps & ~NET_ADMIN or (main and key in ("CapEff", "CapPrm") and not caps):
            yield f"{path}: {key} is {s[key][0]}"
    for key, value in (("Uid", NOBODY.pw_uid), ("Gid", NOBODY.pw_gid)):
        if s[key] != [str(value)] * 4:
            yield f"{path}: {key} is {s[key]}"
    if any(g == "0" for g in s["Groups"]):
        yield f"{path}: still in group 0"
    if earlier:
        return
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


def check_guard(daemon):
    """The guard is nobody and has no capability."""
    def at_work():
        children = text(f"/proc/{daemon.pid}/task/{daemon.pid}/children").split()
        found = [f"/proc/{p}" for p in children if text(f"/proc/{p}/comm") == "ctflow-guard\n"]
        return found if all("\nState:\tS" in text(f"{p}/status") for p in found) else None
    guards = until("a guard that has become one", at_work)
    if len(guards) != 1:
        yield f"guards: {guards}"
    for path in guards:
        s = {k: v.split() for k, v in status(f"{path}/status").items()}
        if any(int(s[k][0], 16) for k in ("CapEff", "CapPrm", "CapInh", "CapAmb")):
            yield f"{path}: {s['CapEff']} {s['CapPrm']} {s['CapInh']} {s['CapAmb']}"
        if s["Uid"] != [str(NOBODY.pw_uid)] * 4 or s["NoNewPrivs"] != ["1"]:
            yield f"{path}: Uid {s['Uid']}, NoNewPrivs {s['NoNewPrivs']}"


def check_tries(daemon, expected):
    """What the filter in the daemon was told when it tried."""
    until("the last try", lambda: "TRY setuid" in daemon.log())
    for what, answer in expected.items():
        if f"TRY {what}: {answer}\n" not in daemon.log():
            yield f"{what} was not refused with '{answer}': {daemon.log()}"


def rotate(daemon, path, owner=None):
    """As logrotate does it: moved away, made anew for its owner, SIGHUP."""
    os.rename(path, path + ".1")
    if owner:
        with open(path, "wb"):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    daemon.send(signal.SIGHUP)


def reopened(lab, tmp, daemon, flood):
    """Both kinds of folder: one the user may write, and one where it was given a file."""
    rotate(daemon, f"{tmp}/log")
    rotate(daemon, f"{tmp}/emu")
    rotate(daemon, f"{tmp}/roots/emu2", NOBODY)
    until("a new log", lambda: os.path.exists(f"{tmp}/log"))
    until("a new file", lambda: os.path.exists(f"{tmp}/emu"))
    lab.run(NS, flood, str(FLOWS))
    lab.run(NS, "conntrack", "-F")
    for path in (f"{tmp}/emu", f"{tmp}/roots/emu2"):
        until(f"flows in the new {path}", lambda p=path: lines(p) >= FLOWS)
    rotate(daemon, f"{tmp}/roots/emu2")
    daemon.wait_log("emu2:LOGEMU: cannot open")


def with_plugin(path, *args):
    return configuration(*args).replace("[global]\n", f'[global]\nplugin="{path}"\n')


def as_nobody(lab, tmp, trier, flood):
    os.chown(tmp, NOBODY.pw_uid, NOBODY.pw_gid)
    os.mkdir(f"{tmp}/roots")
    daemon = Daemon(lab, NS, tmp, with_plugin(trier, tmp, STACKS, {
        "emu1": f'file="{tmp}/emu"\n', "db1": f'db="{tmp}/flows.db"\ntable="flows"\n',
        "emu2": f'file="{tmp}/roots/emu2"\n', "ct1": "pollinterval=1\n"}))
    daemon.start("-u", "nobody")
    daemon.wait_log("entering main loop")
    tasks = f"/proc/{daemon.pid}/task"
    problems = [p for t in os.listdir(tasks) for p in check_thread(f"{tasks}/{t}/status", int(t) == daemon.pid)]
    print(f"{len(os.listdir(tasks))} threads")
    problems += check_guard(daemon)
    if daemon.log().count("may not make files in") != 1 or \
            f"may not make files in {tmp}/roots" not in daemon.log():
        problems.append(f"no warning, or more: {daemon.log()}")
    burst(lab, tmp, flood, FLOWS)
    problems += check_tries(daemon, REFUSED | OF_NOBODY)
    problems += owners(tmp)
    # A dump needs CAP_NET_ADMIN of who sends it: expired flows end by it.
    lab.sysctl(NS, udp_timeout=1)
    lab.run(NS, flood, str(FLOWS))
    until("expired flows", lambda: lines(f"{tmp}/emu") == 2 * FLOWS)
    reopened(lab, tmp, daemon, flood)
    daemon.stop()
    return problems


def as_root(lab, tmp, trier, flood):
    """Without -u: root that can do little; it writes where others may, as ulogd2 does."""
    os.mkdir(f"{tmp}/others", 0o700)
    os.chown(f"{tmp}/others", NOBODY.pw_uid, NOBODY.pw_gid)
    daemon = Daemon(lab, NS, tmp, with_plugin(trier, tmp, STACKS[:1], {
        "emu1": f'file="{tmp}/others/emu"\n'}), name="root.conf")
    daemon.start()
    daemon.wait_log("entering main loop")
    problems = [f"{key} is {daemon.status(key)}" for key, want in (
        ("CapEff", NET_ADMIN), ("CapPrm", NET_ADMIN), ("CapInh", 0), ("CapAmb", 0),
        ("NoNewPrivs", 1)) if int(daemon.status(key), 16) != want]
    problems += check_guard(daemon)
    for _ in range(2):
        lab.run(NS, flood, str(FLOWS))
        lab.run(NS, "conntrack", "-F")
        until("the text of root", lambda: lines(f"{tmp}/others/emu") >= FLOWS)
        rotate(daemon, f"{tmp}/others/emu")
        until("a new file of root", lambda: os.path.exists(f"{tmp}/others/emu"))
    problems += check_tries(daemon, {k: v for k, v in REFUSED.items() if k[0] != "/" or k == "/bin/true" or k in SETTINGS})
    daemon.stop()
    return problems


def unnamed(lab, tmp):
    """A thread that is still asking becomes nobody with the others, and hears no signal."""
    sql = [p for p in ("PGSQL", "MYSQL") if os.path.exists(f"{build_dir()}/{p.lower()}.la")]
    if not sql:
        return []
    os.chown(tmp, NOBODY.pw_uid, NOBODY.pw_gid)
    stacks = [f"ct1:NFCT,{TEXT},emu1:LOGEMU", f"ct1:NFCT,ip1:IP2STR,db1:{sql[0]}"]
    daemon = Unnamed(lab, NS, tmp, configuration(tmp, stacks, {
        "emu1": f'file="{tmp}/emu"\n',
        "db1": 'db="ulogd"\nhost="db.example"\nuser="u"\n'
               'table="ulog2_ct"\nprocedure="INSERT_CT"\n'}).replace(
                   "[global]\n", "[global]\nstop_timeout=300ms\n"))
    daemon.start("-u", "nobody")
    daemon.wait_log("entering main loop")
    tasks = f"/proc/{daemon.pid}/task"
    problems = [p for t in os.listdir(tasks)
                for p in check_thread(f"{tasks}/{t}/status", int(t) == daemon.pid, True)]
    if "db.example: the name is not looked up in time" not in daemon.log():
        problems.append(f"nobody asked: {daemon.log()}")
    print(f"{len(os.listdir(tasks))} threads with the one that asks")
    daemon.send(signal.SIGHUP)
    daemon.wait_log("the configuration has not changed")
    daemon.stop()
    return problems


def test(lab, tmp):
    labs.flood_ns(lab, NS)
    flood = labs.helper("flood", tmp)
    trier = labs.plugin("trier", tmp)
    for name in ("root", "unnamed"):
        os.mkdir(f"{tmp}/{name}", 0o755)
    return (as_nobody(lab, tmp, trier, flood) + as_root(lab, f"{tmp}/root", trier, flood) +
            unnamed(lab, f"{tmp}/unnamed"))


scene.main(test)
