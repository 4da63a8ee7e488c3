#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Restarts by way of the fd store: nothing lost, nothing twice, gaps where due."""
import os
import re
import shutil
import signal
import socket
import sqlite3
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import LIMIT, configuration, lines, text, until  # noqa: E402
from fdstore import Manager, Service  # noqa: E402
from numbered import PORTS, Flows, each_once, gaps_in, in_database, in_history  # noqa: E402
from numbered import in_text, make_database  # noqa: E402

NS = "restart"
RATE = 2000  # flows a second
RESTARTS = 10
DB = "ct1:NFCT,ip1:IP2STR,db1:SQLITE3"
TEXT = "ct1:NFCT,ip1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU"


class Scene:
    """A directory, a manager and a service."""

    def __init__(self, lab, tmp, name, options="", stacks=(), sections=None, args=()):
        self.lab, self.dir = lab, os.path.join(tmp, name)
        os.mkdir(self.dir)
        self.stacks = [TEXT, *stacks]
        self.sections = {"emu1": f'file="{self.dir}/emu"\n',
                         "db1": f'db="{self.dir}/flows.db"\ntable="flows"\n',
                         **(sections or {})}
        make_database(f"{self.dir}/flows.db")
        self.manager = Manager(self.dir)
        self.service = Service(lab, NS, self.dir, self.conf(options), self.manager, args)
        self.flows = Flows(lab, NS)
        self.service.start()

    def conf(self, options):
        return configuration(self.dir, self.stacks, {"ct1": options, **self.sections})

    def reconfigure(self, options):
        with open(self.service.conf, "w", encoding="utf-8") as f:
            f.write(self.conf(options))

    def text_has(self, count):
        until(f"{count} lines of text", lambda: lines(f"{self.dir}/emu") >= count)

    def end(self):
        """A planned stop: the store is left empty."""
        self.service.stop(signal.SIGINT)
        until("an empty store", lambda: not self.manager.names())


def seamless(path, stretches):
    """Coverage of a native database: one stretch a process, no time between, no gap."""
    with sqlite3.connect(path, timeout=10) as db:
        rows = db.execute("SELECT from_ns, to_ns FROM coverage ORDER BY from_ns").fetchall()
        gaps = db.execute("SELECT cause, count FROM gaps").fetchall()
    between = [b[0] - a[1] for a, b in zip(rows, rows[1:])]
    if gaps or len(rows) != stretches or any(not 0 <= ns < 10 ** 8 for ns in between):
        return [f"coverage: {rows}, gaps: {gaps}"]
    return []


def ten_restarts(lab, tmp):
    s = Scene(lab, tmp, "ten", stacks=[DB, "ct1:NFCT,dbn:SQLITE3"],
              sections={"dbn": f'db="{tmp}/native.db"\ntable="flows"\n'})
    s.flows.begin(RATE)
    began = time.monotonic()
    for _ in range(RESTARTS):
        time.sleep(0.3)
        s.service.restart()
    took = time.monotonic() - began
    s.flows.end()
    made = s.flows.made
    s.text_has(made)
    s.end()
    print(f"ten restarts: {took:.1f} s, {made} flows, {made / took:.0f} a second")
    problems = each_once("text", in_text(f"{s.dir}/emu"), made) + \
        each_once("database", in_database(f"{s.dir}/flows.db"), made) + \
        each_once("our own database", in_history(f"{tmp}/native.db"), made) + \
        seamless(f"{tmp}/native.db", RESTARTS + 1)
    if gaps_in(f"{s.dir}/emu"):
        problems.append(f"gaps: {gaps_in(f'{s.dir}/emu')}")
    if made < RATE * took * 0.8:
        problems.append(f"only {made} flows in {took:.1f} s")
    return problems


def stalled_output(lab, tmp):
    """A FIFO nobody reads from and a locked database, over two restarts."""
    fifo = f"{tmp}/fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    s = Scene(lab, tmp, "stalled", sections={"emu2": f'file="{fifo}"\n'},
              stacks=["ct1:NFCT,ip1:IP2STR,print1:PRINTFLOW,emu2:LOGEMU", DB])
    lock = sqlite3.connect(f"{s.dir}/flows.db", isolation_level=None, timeout=10)
    lock.execute("BEGIN IMMEDIATE")
    for round_ in (1, 2):
        s.flows.make(1500)
        s.text_has(1500 * round_)
        s.service.restart()
        if "ctflowd.emu2.pipe" in s.manager.names():
            return ["the pipe is still in the store"]
    s.flows.make(100)
    s.text_has(3100)
    got = b""
    lock.execute("ROLLBACK")
    lock.close()
    until("the database", lambda: len(in_database(f"{s.dir}/flows.db")) >= 3100, step=0.2)
    end = time.monotonic() + LIMIT
    while got.count(b"\n") < 3100 and time.monotonic() < end:
        try:
            part = os.read(reader, 1 << 16)
        except BlockingIOError:
            part = b""
        got += part
        if not part:
            time.sleep(0.02)
    s.end()
    os.close(reader)
    with open(f"{s.dir}/piped", "wb") as f:
        f.write(got)
    handed = re.findall(r"goes on with (\d+) flows", s.service.log())
    print(f"stalled: handed over {handed}")
    problems = each_once("FIFO", in_text(f"{s.dir}/piped"), 3100)
    if in_text(f"{s.dir}/piped") != in_text(f"{s.dir}/emu"):
        problems.append("FIFO: not in the order of the output beside it")
    problems += each_once("locked database", in_database(f"{s.dir}/flows.db"), 3100)
    if in_database(f"{s.dir}/flows.db") != in_text(f"{s.dir}/emu"):
        problems.append("database: not in the order of the output beside it")
    if len(handed) != 4 or min(map(int, handed)) < 500:
        problems.append(f"nothing was stalled, the test shows nothing: {handed}")
    return problems


def given_twice(lab, tmp):
    """A process dies when it has stored what was left; the next one is left the same."""
    s = Scene(lab, tmp, "twice", stacks=[DB])
    database = f"{s.dir}/flows.db"
    lock = sqlite3.connect(database, isolation_level=None, timeout=10)
    lock.execute("BEGIN IMMEDIATE")
    s.flows.make(300)
    s.text_has(300)
    s.service.hand_over()
    memory = s.manager.copy("ctflowd-legacy")
    lock.execute("ROLLBACK")
    lock.close()
    s.service.start()
    until("the rows", lambda: len(in_database(database)) >= 300)
    s.service.send(signal.SIGKILL)
    s.service.child.wait()
    s.manager.put("ctflowd-legacy", memory)
    s.service.start()
    s.flows.make(5)
    until("the last rows", lambda: len(in_database(database)) >= 305)
    s.end()
    return each_once("twice", in_database(database), 305)


def sleeper(lab):
    """Another reliable listener with a tiny buffer, which never reads."""
    s = lab.socket(NS, socket.AF_NETLINK, socket.SOCK_RAW, 12)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    for option in (4, 5):  # NETLINK_BROADCAST_ERROR, NETLINK_NO_ENOBUFS
        s.setsockopt(270, option, 1)
    s.bind((0, 4))  # the group of DESTROY
    return s


def repeated(lab, tmp):
    """The kernel repeats ends over a restart, because somebody else is slow."""
    s = Scene(lab, tmp, "repeated")
    other = sleeper(lab)
    s.flows.make(100)
    s.text_has(100)
    s.service.restart()
    time.sleep(1.2)  # repeats come every 12 ms
    s.flows.make(10)
    s.text_has(110)
    time.sleep(1.1)
    other.close()
    s.end()
    counted = [int(n) for n in re.findall(r" repeats=(\d+)", s.service.log())]
    print(f"repeated: repeats counted {counted}")
    problems = each_once("repeated", in_text(f"{s.dir}/emu"), 110)
    if not counted or counted[-1] < 10:
        problems.append("repeated: there were no repeats, the test shows nothing")
    return problems


def killed(lab, tmp):
    """kill -9, as an ordinary user: what was in the socket is still there."""
    s = Scene(lab, tmp, "crashed", args=("-u", "nobody"))
    s.flows.make(10)
    s.text_has(10)
    s.service.send(signal.SIGSTOP)
    until("it to stop", lambda: s.service.status("State").startswith("T"))
    s.flows.make(500)
    s.service.send(signal.SIGKILL)
    s.service.child.wait()
    s.service.start()
    s.text_has(510)
    s.flows.make(10)
    s.text_has(520)
    s.end()
    problems = each_once("killed", in_text(f"{s.dir}/emu"), 520)
    if gaps_in(f"{s.dir}/emu"):
        problems.append(f"killed: gaps {gaps_in(f'{s.dir}/emu')}")
    return problems


def nobody_guards(lab, tmp, name="unguarded", before=""):
    """More than the socket holds, and nobody to see to the table: a gap, counted."""
    options = "netlink_socket_buffer_size=32K\nguard_timeout=0\n"
    s = Scene(lab, tmp, name, options + before)
    s.flows.make(10)
    s.text_has(10)
    s.service.hand_over()
    s.flows.make(500)
    until("the kernel to let go", lambda: lab.count(NS) == 0)
    s.reconfigure(options)
    s.service.start()
    until("the gap", lambda: gaps_in(f"{s.dir}/emu"))
    s.flows.make(10)
    got = lambda: in_text(f"{s.dir}/emu")  # noqa: E731
    until("the flows since", lambda: len([i for i in got() if i >= 510]) == 10)
    s.end()
    gaps = gaps_in(f"{s.dir}/emu")
    print(f"{name}: {len(got())} of 520 delivered, gaps {gaps}")
    if len(got()) != len(set(got())) or len(gaps) != 1 or gaps[0][0] != "restart" or \
            len(got()) + int(gaps[0][1]) != 520:
        return [f"{name}: {len(got())} flows, gaps {gaps}"]
    return []


def reliable_now(lab, tmp):
    """The same after a process that was not reliable: its drops are no retries."""
    return nobody_guards(lab, tmp, "reliable_now", "reliable=0\n")


def guarded(lab, tmp):
    """More than the socket holds: the guard lets the kernel keep it meanwhile."""
    s = Scene(lab, tmp, "guarded", "netlink_socket_buffer_size=32K\n")
    s.flows.make(10)
    s.text_has(10)
    s.service.hand_over()
    s.flows.make(500)
    time.sleep(1.2)  # the kernel tries again after a second
    s.service.start()
    s.text_has(510)
    s.end()
    problems = each_once("guarded", in_text(f"{s.dir}/emu"), 510)
    if gaps_in(f"{s.dir}/emu"):
        problems.append(f"guarded: gaps {gaps_in(f'{s.dir}/emu')}")
    return problems


def other_filter(lab, tmp):
    """What the old filter let through is judged by the new one."""
    s = Scene(lab, tmp, "filter")
    s.flows.make(20)
    s.text_has(20)
    s.service.hand_over()
    s.flows.made = PORTS - 30
    s.flows.make(60)  # 30 to 10.66.1.1, then 30 to 10.66.2.1
    s.reconfigure("accept_dst_filter=10.66.2.0/24\n")
    s.service.start()
    s.flows.made = PORTS * 2 - 10
    s.flows.make(20)  # 10 to 10.66.2.1, then 10 to 10.66.3.1
    s.text_has(20 + 30 + 10)
    time.sleep(1.1)  # more than a frame stays open: nothing else comes
    s.end()
    want = [*range(20), *range(PORTS, PORTS + 30), *range(PORTS * 2 - 10, PORTS * 2)]
    got = sorted(in_text(f"{s.dir}/emu"))
    return [] if got == want else [f"filter: {len(got)} flows, not {len(want)}: {got[:80]}"]


def no_restart_after_all(lab, tmp):
    """Handed over, but nothing comes back: a gap."""
    s = Scene(lab, tmp, "gone")
    s.flows.make(20)
    s.text_has(20)
    s.service.hand_over()
    s.flows.make(30)
    s.manager.drop_all()
    s.service.start()
    until("the gap", lambda: gaps_in(f"{s.dir}/emu"))
    s.flows.make(5)
    s.text_has(20 + len(gaps_in(f"{s.dir}/emu")) + 5)
    s.end()
    gaps = gaps_in(f"{s.dir}/emu")
    got = sorted(in_text(f"{s.dir}/emu"))
    problems = [] if got == [*range(20), *range(50, 55)] else [f"gone: {got}"]
    if any(cause != "restart" for cause, _ in gaps):
        problems.append(f"gone: gaps {gaps}")
    return problems


def ids(lab):
    return set(re.findall(r"nsid (\d+)", lab.run(NS, "ip", "netns", "list-id")))


def make_namespace(lab, name, nsid):
    lab.add_named(name)
    labs.flood_inside(lab, name)
    lab.run(NS, "ip", "netns", "set", name, str(nsid))


def without(lab, s, how, name):
    """Ends the service in that way, and the namespace with the id 6."""
    if how == "stopped":
        s.end()
    elif how == "killed":
        s.service.send(signal.SIGKILL)
        s.service.child.wait()
    else:
        s.service.hand_over()
    if how == "unstored":
        s.manager.drop_all()
    if how == "no page":
        shutil.rmtree(f"{s.dir}/state")
    lab.delete_named(name)
    until("the id to go", lambda: "6" not in ids(lab))


def gone_after(lab, tmp, how, goes, comes):
    make_namespace(lab, goes, 6)
    db = f"{tmp}/ns-{how}.db"
    s = Scene(lab, tmp, f"ns-{how}", "namespaces=all\n", stacks=["ct1:NFCT,dbn:SQLITE3"],
              sections={"dbn": f'db="{db}"\ntable="flows"\n'})
    until("it to be known", lambda: f"{goes} (id 6)" in s.service.log())
    known = time.time_ns()
    without(lab, s, how, goes)
    if how == "reused":
        time.sleep(1)  # the kernel says late that the id was free
        make_namespace(lab, comes, 6)
    s.service.start()
    if how == "stopped":
        time.sleep(1.5)
    else:
        until("the gap", lambda: "CAUSE=namespace" in text(f"{s.dir}/emu"))
    s.service.restart()  # it is said once
    s.end()
    if how == "reused":
        lab.delete_named(comes)
    with sqlite3.connect(db) as c:
        gaps = c.execute("SELECT nsid, count_is, from_ns, to_ns FROM gaps "
                         "WHERE cause = 'namespace'").fetchall()
    said = s.service.log().count(f"network namespace {goes} (id 6) is gone")
    want = [(6, "unknown")] if how != "stopped" else []
    if how == "reused":
        gaps = gaps[:1]  # if it says so even later, the other one has a gap, too
    if [g[:2] for g in gaps] != want or said != len(want) or \
            not all(g[2] <= known <= g[3] for g in gaps):
        return [f"{how}: gaps {gaps}, said {said} times, known at {known}"]
    return []


def namespace_gone(lab, tmp):
    """One of two goes between two processes: a gap of its own, and no other."""
    stays, goes, comes = (f"ctl-{os.getpid()}-{x}" for x in ("stays", "goes", "comes"))
    make_namespace(lab, stays, 5)
    problems = []
    for how in ("handed", "no page", "unstored", "killed", "reused", "stopped"):
        problems += gone_after(lab, tmp, how, goes, comes)
    lab.delete_named(stays)
    return problems


def garbage(lab, tmp):
    """Whatever is handed in by our names: said, and the start is a normal one."""
    s = Scene(lab, tmp, "garbage")
    s.end()
    other = lab.socket("elsewhere", socket.AF_NETLINK, socket.SOCK_RAW, 12)
    memory = os.memfd_create("noise")
    os.write(memory, os.urandom(4096))
    given = [("ctflowd.ct1.events", lambda: os.open("/dev/null", os.O_RDWR), "no socket"),
             ("ctflowd.ct1.events", lambda: os.dup(other.fileno()), "another network namespace"),
             ("ctflowd.ct1.events", lambda: lab.socket(NS, socket.AF_INET,
                                                       socket.SOCK_DGRAM).detach(), "no socket"),
             ("ctflowd-legacy", lambda: os.dup(memory), "is not used"),
             ("ctflowd.ct9.events", lambda: os.dup(other.fileno()), "wanted by nobody"),
             ("http", lambda: os.open("/dev/null", os.O_RDWR), "none of ours")]
    problems = []
    for name, make, words in given:
        before = len(s.service.log())
        s.manager.drop_all()
        s.manager.put(name, make())
        s.service.start()
        have = lines(f"{s.dir}/emu")
        s.flows.make(3)
        s.text_has(have + 3)
        if words not in s.service.log()[before:]:
            problems.append(f"garbage as {name}: not said: {s.service.log()[before:]}")
        s.service.stop(signal.SIGINT)
        if name != "http" and s.manager.names():
            problems.append(f"garbage as {name}: left in the store: {s.manager.names()}")
    other.close()
    return problems


def test(lab, tmp):
    labs.host_lock()
    labs.flood_ns(lab, NS)
    lab.add("elsewhere")
    problems = []
    only = os.environ.get("CTF_SCENES", "").split()
    for play in (ten_restarts, stalled_output, given_twice, repeated, killed, guarded,
                 nobody_guards, reliable_now, other_filter, no_restart_after_all,
                 namespace_gone, garbage):
        if only and play.__name__ not in only:
            continue
        began = time.monotonic()
        problems += play(lab, tmp)
        print(f"{play.__name__}: {time.monotonic() - began:.1f} s")
    return problems


scene.main(test)
