#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""SIGHUP: the configuration is read again while flows end; none is lost or doubled."""
import glob
import os
import random
import re
import signal
import sqlite3
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
import scene  # noqa: E402
import reloaded  # noqa: E402
from daemon import LIMIT, Daemon, configuration, text, until  # noqa: E402
from ipfix_wire import Reader, messages  # noqa: E402
from numbered import (PORTS, each_once, gaps_in, in_database, in_text,  # noqa: E402
                      make_database)
from reloaded import ENDS, HUP, TEXT  # noqa: E402
from sinks import TcpSink  # noqa: E402

NS = "reload"
RATE = int(os.environ.get("CTF_RATE", "5000"))  # flows a second
RELOADS = int(os.environ.get("CTF_RELOADS", "100"))
MOST = float(os.environ.get("CTF_SECONDS", "25"))  # for all of these
SEED = int(os.environ.get("CTF_SEED", "1"))
PORT = 4739
PASSED = "ct1:NFCT,{}:FILTER,ip1:IP2STR,print1:PRINTFLOW,{}:LOGEMU"
HEARD = ("", "netlink_socket_buffer_size=4M\n", "select=\"src 10.66.0.1\"\n", "event_mask=4\n",
         "guard_timeout=2\n", "reap_interval=1\n", "active_timeout=60\n",
         "hash_enable=0\nevent_mask=4\n", "reliable_fill=80\n")


# ---- a hundred of them ------------------------------------------------------------


STACKS = [TEXT.format("emu1"), "ct1:NFCT,ip1:IP2STR,db1:SQLITE3", "ct1:NFCT,ipfix1:IPFIX",
          TEXT.format("var"), PASSED.format("odd", "one"), PASSED.format("even", "two")]
HALF = "dst port {" + ",".join(f"{n}-{n + 499}" for n in range(1024, 52000, 1000)) + "}"
PARITY = (f'expr="{HALF}"\n', f'expr="not {HALF}"\n')
SECTIONS = {"emu1": 'file="%D/emu"\n', "one": 'file="%D/one"\n', "two": 'file="%D/two"\n',
            "db1": 'db="%D/flows.db"\ntable="flows"\n',
            "ipfix1": f"host=127.0.0.1\nport={PORT}\nproto=tcp\noid=1\n"}


def variant(number, rng):
    """A valid configuration: what never changes, and what may."""
    swapped = rng.random() < 0.5
    stacks = list(STACKS)
    sections = SECTIONS | {"var": f'file="%D/var.{number}"\n', "ct1": rng.choice(HEARD),
                           "odd": PARITY[swapped], "even": PARITY[not swapped]}
    for i in range(2):
        if rng.random() < 0.5:
            stacks.insert(rng.randrange(len(stacks) + 1), TEXT.format(f"more{i}"))
            sections[f"more{i}"] = f'file="%D/more{i}.{number % 3}"\n'
    if rng.random() < 0.5:
        stacks.insert(3, "ct1:NFCT,json1:JSON")
        sections["json1"] = 'file="%D/json"\n'
    return stacks, sections


def spoil(words, rng):
    """The same text, no longer valid."""
    kind = rng.randrange(6)
    if kind == 0:
        return words.replace("[var]\n", "[var]\nsync=maybe\n")
    if kind == 1:
        return words.replace("[global]\n", "[global]\nstack=ct1:NFCT,x:NOSUCH\n")
    if kind == 2:
        return words.replace("[global]\n", '[global]\nstack="ct1:NFCT,ip1:IP2STR,'
                             'print1:PRINTFLOW,x:LOGEMU"\n') + \
            "\n[x]\nfile=/no/such/folder/file\n"
    if kind == 3:
        return re.sub("stack=.*\n", "", words)
    if kind == 4:
        return words.replace("[ct1]\n", "[ct1]\nselect=\"bytes > 5\"\n")
    return words.replace("loglevel=3", "loglevel=99")


def hundred(lab, tmp):
    rng = random.Random(SEED)
    sink = TcpSink(lab, NS, PORT)
    os.mkdir(f"{tmp}/db")
    stacks, sections = variant(0, rng)
    make_database(f"{tmp}/db/flows.db")
    sections = {i: s.replace("%D/flows.db", f"{tmp}/db/flows.db") for i, s in sections.items()}
    s = reloaded.Reloaded(lab, NS, tmp, "hundred", stacks, sections)
    s.flows.make(10)
    s.has("emu", 10)
    until("all to be open", lambda: len(s.open_files()[0]) >= 2)
    stays, came, began, done = s.open_files(), [0, 0, 0], time.monotonic(), 0
    good = s.conf(stacks, sections)
    s.flows.begin(RATE)
    problems = []
    while done < RELOADS and time.monotonic() - began < MOST:
        kind = done % 3
        if kind == 1:
            s.write(spoil(good, rng))
        elif kind == 0:
            stacks, sections = variant(done + 1, rng)
            good = s.conf(stacks, sections).replace(f"{s.dir}/flows.db", f"{tmp}/db/flows.db")
            s.write(good)
        else:
            s.write(good)
        got = s.hup()
        came[got] += 1
        if got != kind:
            problems.append(f"reload {done}: '{ENDS[got]}'")
        files, events = s.open_files()  # a look at a database in use is closed late
        if events != stays[1] or not stays[0].items() <= files.items():
            problems.append(f"reload {done}: {files}, {events} are open, not {stays}")
        if problems:
            break
        done += 1
    took = time.monotonic() - began
    s.flows.end()
    made = s.flows.made
    s.has("emu", made)
    s.has("var.*", made)
    s.daemon.stop()
    print(f"{done} reloads in {took:.1f} s: {came}, {made} flows, {made / took:.0f} a second")
    problems += each_once("kept", s.text("emu"), made)
    problems += each_once("database", in_database(f"{tmp}/db/flows.db"), made)
    problems += each_once("changed", s.text("var.*"), made)
    problems += each_once("filters", s.text("one") + s.text("two"), made)
    for i in range(2):
        got = s.text(f"more{i}.*")
        if not got or len(got) != len(set(got)):
            problems.append(f"more{i}: {len(got)} flows, {len(set(got))} of them different")
    sessions = [bytes(b) for b in sink.sessions]
    if len(sessions) != 1:
        problems.append(f"{len(sessions)} IPFIX sessions")
    reader = Reader()
    sent = sum(reader.count(m) for session in sessions for m in messages(session))
    if sent != made:
        problems.append(f"IPFIX: {sent} records of {made} flows")
    events = [int(n) for n in re.findall(r"ct1:NFCT: statistics:.* events=(\d+)", s.daemon.log())]
    if not events or events[-1] < made:
        problems.append(f"events counted: {events}, flows made: {made}")
    gaps = [g for path in glob.glob(f"{s.dir}/*") if os.path.isfile(path)
            for g in gaps_in(path)]
    if gaps:
        problems.append(f"gaps: {gaps}")
    if done < min(RELOADS, 12):
        problems.append(f"only {done} reloads in {took:.1f} s")
    sink.close()
    return problems


# ---- one by one --------------------------------------------------------------------


def refused(lab, tmp):
    """As an ordinary user, under a manager: the reason with file and line."""
    stacks, good = [TEXT.format("emu1")], {"emu1": 'file="%D/emu"\nsync=1\n'}
    s = reloaded.Reloaded(lab, NS, tmp, "refused", stacks, good, args=("-u", "nobody"), manager=True)
    heard = s.daemon.manager.heard
    problems = []
    for number, (options, more, words) in enumerate((
            ({"emu1": 'file="/root/emu"\n'}, [], "emu1:LOGEMU: cannot open /root/emu: Permission"),
            ({"emu1": 'file="%D/none/emu"\n'}, [], "No such file or directory"),
            ({"emu1": 'file="%D/emu"\nsync=maybe\n'}, [], "conf:15: sync=maybe"),
            ({"ct1": "namespaces=/run/netns/none\n"}, [], "cannot enter network namespace"),
            ({"ct1": "select=bytes > 5\n"}, [], "conf:8: select"),
            ({"x": 'file="%D/no/x"\n'}, [TEXT.format("x")], "x:LOGEMU: cannot open"),
            ({}, ["ct1:NFCT,x:NOSUCH"], "conf:6: can't find requested plugin NOSUCH"),
            ({}, ["ct2:NFCT,x:NFCT"], "last plugin in stack has to be output plugin"))):
        s.daemon.manager.forget_said()
        s.must(1, stacks + more, good | options)
        s.flows.make(10)
        s.has("emu", 10 * (number + 1))
        if words not in s.daemon.log():
            problems.append(f"'{words}' is not in the log")
        until("READY=1", lambda: heard("READY=1"))
        if not heard("RELOADING=1") or not any(
                w.startswith("MONOTONIC_USEC=") for w in s.daemon.manager.said) or not any(
                w.startswith("STATUS=") and words in w for w in s.daemon.manager.said):
            problems.append(f"the manager heard {s.daemon.manager.said}")
    s.must(0, stacks, good | {"emu1": 'file="%D/other"\n'})
    s.flows.make(10)
    s.has("other", 10)
    s.daemon.stop(signal.SIGINT)
    return problems + each_once("refused", s.text("emu") + s.text("other"), s.flows.made)


def inherited(lab, tmp):
    """What the one before cannot deliver: a dead collector, and a FIFO nobody reads."""
    fifo = f"{tmp}/fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    stacks = [TEXT.format("emu1"), "ct1:NFCT,ip1:IP2STR,json1:JSON", TEXT.format("emu2")]
    sections = {"emu1": 'file="%D/emu"\n', "emu2": f'file="{fifo}"\n',
                "json1": "mode=tcp\nhost=127.0.0.1\nport=5555\nreconnect=1\n"}
    s = reloaded.Reloaded(lab, NS, tmp, "inherited", stacks, sections, options="stop_timeout=300ms\n")
    sink = TcpSink(lab, NS, 5556)
    s.flows.make(2000)
    s.has("emu", 2000)
    s.must(0, stacks, sections | {"json1": sections["json1"].replace("5555", "5556"),
                                  "emu2": sections["emu2"] + "queue=32M\n"})
    s.flows.make(100)
    s.has("emu", 2100)
    until("the collector to have all",
          lambda: sum(b.count(b"\n") for b in sink.sessions) >= 2100)
    s.daemon.wait_log("emu2:LOGEMU: ")
    until("it to go on", lambda: re.search(r"emu2:LOGEMU: \d+ flows go to its successor",
                                           s.daemon.log()))
    s.must(0, stacks, sections | {"json1": sections["json1"].replace("5555", "5556"),
                                  "emu2": sections["emu2"] + "queue=16M\n"})
    got, end = b"", time.monotonic() + LIMIT
    while got.count(b"\n") < 2100 and time.monotonic() < end:
        try:
            part = os.read(reader, 1 << 16)
        except BlockingIOError:
            part = b""
        got += part
        time.sleep(0 if part else 0.02)
    s.daemon.stop()
    with open(f"{s.dir}/piped", "wb") as f:
        f.write(got)
    sent = sum(b.count(b"\n") for b in sink.sessions)
    sink.close()
    problems = each_once("FIFO", s.text("piped"), 2100)
    if sent != 2100:
        problems.append(f"{sent} flows came to the collector")
    if s.text("piped") != s.text("emu"):
        problems.append("FIFO: not in the order of the output beside it")
    return problems


def judged(lab, tmp):
    """What is queued when the selection changes; then NEW events as well."""
    stacks, sections = [TEXT.format("emu1")], {"emu1": 'file="%D/emu"\nsync=1\n'}
    s = reloaded.Reloaded(lab, NS, tmp, "judged", stacks, sections)
    s.flows.make(20)
    s.has("emu", 20)
    s.daemon.send(signal.SIGSTOP)
    until("it to stop", lambda: s.daemon.status("State").startswith("T"))
    s.flows.make(20)
    s.write(s.conf(stacks, sections | {"ct1": "accept_dst_filter=10.66.2.0/24\n"}))
    s.daemon.send(HUP)
    s.daemon.send(signal.SIGCONT)
    s.daemon.wait_log(ENDS[0])
    s.flows.make(20)
    s.flows.made = PORTS
    s.flows.make(20)
    until("the selected ones", lambda: len([i for i in s.text("emu") if i >= PORTS]) == 20)
    got = s.text("emu")
    problems = []
    if sorted(i for i in got if i < 20) != list(range(20)) or any(40 <= i < PORTS for i in got):
        problems.append(f"selected: {sorted(got)}")
    s.must(0, stacks, sections | {"ct1": "hash_enable=0\nevent_mask=5\n"})
    s.flows.make(10)
    until("NEW and DESTROY", lambda: text(f"{s.dir}/emu").count("[NEW]") == 10)
    s.has("emu", len(got) + 20)
    s.must(0, stacks, sections)
    s.flows.make(10)
    s.has("emu", len(got) + 30)
    s.daemon.stop()
    if text(f"{s.dir}/emu").count("[NEW]") != 10:
        problems.append("NEW events came when they were not wanted any more")
    return problems


def elsewhere(lab, tmp):
    """Another namespace takes rights that are gone; fewer are a new start, and a gap."""
    path = lab.path("elsewhere")
    stacks = [TEXT.format("emu1"), "ct1:NFCT,n1:NAMES,ip1:IP2STR,json1:JSON"]
    sections = {"emu1": 'file="%D/emu"\nsync=1\n', "emu2": 'file="%D/two"\n',
                "json1": 'file="%D/json"\n'}
    everywhere = sections | {"ct1": "namespaces=all\n"}
    s = reloaded.Reloaded(lab, NS, tmp, "elsewhere", stacks, everywhere)
    s.flows.make(10)
    s.has("emu", 10)
    s.must(1, stacks, sections | {"ct1": f"namespaces={path}\n"})
    s.must(1, stacks + [TEXT.format("emu2").replace("ct1", "ct2")],
           everywhere | {"ct2": f"namespaces={path}\n"})
    s.flows.make(10)
    s.has("emu", 20)
    for n, change in enumerate((sections, everywhere), 1):
        s.must(0, stacks, change)
        until("the gap", lambda n=n: len(gaps_in(f"{s.dir}/emu")) >= n)
        s.flows.make(10)
        s.has("emu", 20 + 11 * n)
    s.daemon.stop()
    if "needs CAP_SYS_ADMIN" not in s.daemon.log():
        return [f"no reason is given: {s.daemon.words()}"]
    return each_once("elsewhere", s.text("emu"), 40)


def mended(lab, tmp):
    """An output that could not be opened at the start is, once it can."""
    stacks = [TEXT.format("emu1"), TEXT.format("late")]
    sections = {"emu1": 'file="%D/emu"\n', "late": 'file="%D/later/file"\nsync=1\n'}
    s = reloaded.Reloaded(lab, NS, tmp, "mended", stacks, sections)
    s.daemon.wait_log("is refused")
    os.mkdir(f"{s.dir}/later")
    s.must(0, stacks, sections)
    s.flows.make(20)
    s.has("later/file", 20)
    s.daemon.stop()
    return each_once("mended", s.text("later/file"), 20)


def locked(s, path):
    """Whether the daemon holds locks on the file."""
    rows = map(str.split, text("/proc/locks").splitlines())
    return any(str(s.daemon.pid) in r and any(w.endswith(f":{os.stat(path).st_ino}") for w in r)
               for r in rows)


def count(path):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    try:
        (rows,), = db.execute("SELECT count(*) FROM f").fetchall()
    except sqlite3.OperationalError:  # it is being made
        rows = -1
    db.close()
    return rows


def databases(lab, tmp):
    """No look at a database in use makes it lose its locks: others may read and close it."""
    path = f"{tmp}/locked.db"
    stacks = ["ct1:NFCT,db1:SQLITE3"]
    sections = {"db1": f'db="{path}"\ntable="f"\n', "emu1": 'file="%D/emu"\n'}
    s = reloaded.Reloaded(lab, NS, tmp, "databases", stacks, sections)
    s.flows.make(10)
    until("10 rows", lambda: os.path.exists(path + "-wal") and count(path) == 10)
    problems = []
    for n, (end, more, options) in enumerate((
            (2, [], ""), (0, [TEXT.format("emu1")], ""), (0, [], "keep=9d\n"),
            (0, ["ct1:NFCT,db2:SQLITE3"], "keep=9d\n"), (1, ["ct1:NFCT,x:NOSUCH"], "")), 2):
        s.must(end, stacks + more, sections | {
            "db1": sections["db1"] + options, "db2": f'db="{path}"\ntable="g"\n'})
        until("it to be open", lambda: locked(s, path))
        s.flows.make(10)
        until(f"{n}0 rows", lambda n=n: count(path) == 10 * n)
        if not locked(s, path) or not os.path.exists(path + "-wal"):
            problems.append(f"after {end, more, options}: no lock, or no WAL")
    s.daemon.stop()
    if count(path) != s.flows.made:
        problems.append(f"{count(path)} rows of {s.flows.made} flows")
    with sqlite3.connect(path) as db:  # nothing has changed for the input
        stretches = db.execute("SELECT * FROM coverage").fetchall()
    if len(stretches) != 2:  # one of each output
        problems.append(f"coverage: {stretches}")
    return problems


def recorded(lab, tmp):
    """A change of the recording that comes to nothing: the file goes on."""
    stacks = [TEXT.format("emu1")]
    sections = {"emu1": 'file="%D/emu"\nsync=1\n', "ct1": 'record="%D/a.pcap"\n'}
    s = reloaded.Reloaded(lab, NS, tmp, "recorded", stacks, sections)
    s.flows.make(100)
    s.has("emu", 100)
    s.options = f"logfile={s.dir}/none/log\n"
    s.must(1, stacks, sections | {"ct1": 'record="%D/b.pcap"\n'})
    s.options = ""
    s.flows.make(100)
    s.has("emu", 200)
    s.must(0, stacks, sections | {"ct1": 'record="%D/c.pcap"\n'})
    s.flows.make(100)
    s.has("emu", 300)
    s.daemon.stop()
    found = []
    for name in "ac":
        os.mkdir(f"{s.dir}/{name}")
        again = Daemon(lab, NS, f"{s.dir}/{name}", configuration(
            f"{s.dir}/{name}", [TEXT.format("emu1").replace("NFCT", "REPLAY")],
            {"ct1": f'file="{s.dir}/{name}.pcap"\n', "emu1": f'file="{s.dir}/{name}/emu"\n'}))
        again.start(wait=False).wait()
        found += s.text(f"{name}/emu")
    return each_once("recorded", found, 300)


def headed(lab, tmp):
    """CSV: a header wherever the columns change, and nowhere else."""
    stacks = ["ct1:NFCT,csv1:CSV"]
    columns = ["orig.l4.dport", "event,orig.l4.dport"]

    def section(n, more=""):
        return {"csv1": f'file="%D/csv"\nsync=1\nfields="{columns[n]}"\n{more}'}
    s = reloaded.Reloaded(lab, NS, tmp, "headed", stacks, section(0))
    want = []
    for number, (n, more) in enumerate((
            (0, None), (1, ""), (0, ""), (0, "queue=1M\n"), (1, ""), (1, None), (0, None))):
        if more is not None:
            s.must(0, stacks, section(n, more))
        elif number:  # a new start
            s.daemon.stop()
            s.write(s.conf(stacks, section(n)))
            s.daemon.start()
        if not want or want[-1] != columns[n]:
            want.append(columns[n])
        s.flows.make(10)
        s.has("csv", 10 * (number + 1) + len(want))
    s.daemon.stop()
    got = [w for w in text(f"{s.dir}/csv").splitlines() if w in columns]
    return [] if got == want else [f"headers {got}, not {want}"]


def spooled(lab, tmp):
    """What is on disk goes to the successor, which writes there as well."""
    stacks = [TEXT.format("emu1"), "ct1:NFCT,ip1:IP2STR,json1:JSON"]
    options = "mode=tcp\nhost=127.0.0.1\nspool_dir=%D\nspool_sync=50ms\nreconnect=100ms\n"
    sections = {"emu1": 'file="%D/emu.0"\n', "json1": options + "port=5557\n"}
    s = reloaded.Reloaded(lab, NS, tmp, "spooled", stacks, sections)
    for n in range(1, 5):
        s.flows.make(300)
        s.has("emu.*", 300 * n)
        until("it to be on disk", lambda n=n: len(glob.glob(f"{s.dir}/json1*/*")) > n)
        s.must(0, stacks, {"emu1": f'file="%D/emu.{n}"\n',  # so nothing holds what was before
                           "json1": sections["json1"] + f"queue={n + 1}M\n"})
    s.daemon.stop()
    s.daemon.start()
    sink = TcpSink(lab, NS, 5558)
    s.must(0, stacks, sections | {"json1": options + "port=5558\n"})
    s.flows.make(300)
    until("the collector to have all",
          lambda: sum(b.count(b"\n") for b in sink.sessions) >= 1500)
    s.daemon.stop()
    got = [i for b in sink.sessions for i in map(int, re.findall(
        rb'"orig.l4.dport": ?(\d+)', bytes(b)))]
    sink.close()
    return each_once("spool", [port - 1024 for port in got], 1500)


def ended(lab, tmp):
    """A stop, and a restart by the manager, right after the signal."""
    stacks = [TEXT.format("emu1"), TEXT.format("var"), "ct1:NFCT,db1:SQLITE3"]
    sections = {"emu1": 'file="%D/emu"\n', "db1": f'db="{tmp}/native.db"\ntable="f"\n',
                "var": 'file="%D/var.0"\nspool_dir="%D"\n'}
    s = reloaded.Reloaded(lab, NS, tmp, "ended", stacks, sections, manager=True)
    s.flows.begin(2000)
    for i in range(1, 7):
        time.sleep(0.2)
        s.write(s.conf(stacks, sections | {
            "var": f'file="%D/var.{i}"\nspool_dir="%D"\n',
            "db1": sections["db1"] + f"keep={i}d\n"}))
        s.daemon.send(HUP)
        if i % 2:
            time.sleep(0.01 * i)
            s.daemon.restart()
    s.flows.end()
    made = s.flows.made
    s.has("emu", made)
    s.daemon.send(HUP)
    s.daemon.stop(signal.SIGINT)
    with sqlite3.connect(f"{tmp}/native.db") as db:
        (rows,), = db.execute("SELECT count(*) FROM f").fetchall()
    problems = each_once("kept", s.text("emu"), made) + each_once("var", s.text("var.*"), made)
    if rows != made:
        problems.append(f"database: {rows} rows of {made} flows")
    return problems


def test(lab, tmp):
    labs.host_lock()
    labs.flood_ns(lab, NS)
    labs.flood_ns(lab, "elsewhere")
    problems = []
    only = os.environ.get("CTF_SCENES", "").split()
    for play in (hundred, refused, mended, inherited, judged, elsewhere, databases,
                 recorded, headed, spooled, ended):
        if only and play.__name__ not in only:
            continue
        began = time.monotonic()
        problems += play(lab, tmp)
        print(f"{play.__name__}: {time.monotonic() - began:.1f} s")
    return problems


scene.main(test)
