#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Collectors that read slowly and are killed, under load.

Their kernel has acknowledged much that they have not read.  Every flow is in
the files of the collectors taken together; after a kill flows come twice only
from within `resend`, after an orderly end none does.  Each session begins with
templates and sequence number 0, and keeps the rules of IPFIX (ipfix_check.py).

CTF_KILLS: how often, 5 by default.  CTF_SEED repeats a run.
"""
import os
import random
import shutil
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]

import formats  # noqa: E402
import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import Daemon, configuration  # noqa: E402
from dying import RCVBUF, Collectors, Load, checked, identity, whole  # noqa: E402
from tls_collector import Authority  # noqa: E402

NS, PORT = "killed", 4739
KILLS = int(os.environ.get("CTF_KILLS", "5"))
SEED = int(os.environ.get("CTF_SEED") or time.time_ns() % 10**9)
RESEND = 300 << 10  # more than two of the collectors' windows
MESSAGE = 1400  # bytes, `mtu`
MORE = 64 << 10  # bytes repeated besides: a segment whose ACK never came


class Tcp:
    """IPFIX over a transport: what the daemon is told, who collects, what it has got."""
    name, kills = "tcp", KILLS
    stack = "ct1:NFCT,out1:IPFIX"
    options = f"oid=7\nmtu={MESSAGE}\nproto=tcp\n"
    collector = (f"{HERE}/slow_collector.py",)
    frame = MESSAGE  # bytes of the largest

    @staticmethod
    def flows(path):
        """Flows of a session, their bytes, and what is wrong with it."""
        data = whole(path)
        return identity(formats.ipfix(data)), len(data), checked(path)


class Tls(Tcp):
    """The collector ends in order when it says so in TLS, not by FIN alone."""
    name = "tls"

    def __init__(self, tmp):
        ca = Authority(tmp, "ca")
        pair = ca.sign("collector", "IP:127.0.0.1")
        self.options = f'oid=7\nmtu={MESSAGE}\nproto=tls\ntls_ca="{ca.ca}"\n'
        self.collector = (f"{HERE}/slow_tls_collector.py", *pair)


class Json:
    """Lines over TCP."""
    name, kills = "json", (KILLS + 1) // 2
    stack = "ct1:NFCT,ip1:IP2STR,out1:JSON"
    options = "mode=tcp\n"
    collector = Tcp.collector
    frame = 64 << 10

    @staticmethod
    def flows(path):
        with open(path, "rb") as f:
            data = f.read()
        size = data.rfind(b"\n") + 1
        with open(path, "wb") as f:
            f.write(data[:size])
        return identity(formats.jsons(path)), size, []


def look_at(way, paths, ends, made):
    """Problems; ends: how each session came to its end."""
    problems, seen, repeats = [], set(), []
    for i, path in enumerate(paths):
        flows, size, wrong = way.flows(path)
        problems += wrong
        twice = [f for f in flows if f in seen]
        most = RESEND + way.frame + MORE if i and ends[i - 1] == "killed" else 0
        repeats.append(len(twice) * size // max(len(flows), 1))
        if repeats[-1] > most:
            problems.append(f"session {i}: {len(twice)} flows twice, {repeats[-1]} bytes, after "
                            f"a collector that was {ends[i - 1]}")
        if len(set(flows)) != len(flows):
            problems.append(f"session {i}: flows twice in it")
        seen.update(flows)
    print(f"{len(paths)} sessions, {len(seen)} of {made} flows, repeated bytes: {repeats}")
    if len(seen) != made:
        problems.append(f"{len(seen)} distinct flows of {made}")
    return problems


def killed(lab, tmp, way):
    """Killed and ended in turn, at random moments; the last one reads all."""
    dice = random.Random(SEED)
    collectors = Collectors(lab, NS, PORT, f"{tmp}/{way.name}", way.collector)
    load = Load(lab, NS, tmp)
    daemon = Daemon(lab, NS, tmp, configuration(tmp, [way.stack], {
        "out1": f"host=127.0.0.1\nport={PORT}\nreconnect=50ms\nresend={RESEND}\n"
                + way.options}), name=f"conf-{way.name}")
    daemon.start()
    load.start()
    unread, ends = [], ["killed"] * way.kills
    for _ in range(max(1, way.kills // 5)):
        ends.insert(dice.randrange(len(ends) + 1), "ended")
    for i, end in enumerate(ends):  # the first cannot keep pace
        collectors.start(dice.choice((1024, 4096, 16384)) if i else 1024, 0.01)
        time.sleep(dice.uniform(0.1, 0.8))
        if end == "killed":
            unread.append(collectors.unread())
        collectors.end(signal.SIGKILL if end == "killed" else signal.SIGTERM)
    collectors.start(1 << 20, 0)
    load.stop()
    daemon.stop()  # delivers the rest, and ends the session
    collectors.end(signal.SIGTERM)
    print(f"{way.name}: unread at the kills: {unread}")
    problems = look_at(way, collectors.sessions(), ends, load.made)
    if sum(unread) < RCVBUF // 2:
        problems.append("nothing was unread at the kills: the test shows nothing")
    shutil.rmtree(f"{tmp}/{way.name}")
    return problems


def test(lab, tmp):
    print(f"CTF_SEED={SEED}", flush=True)
    labs.flood_ns(lab, NS)
    return [p for way in (Tcp, Tls(tmp), Json) for p in killed(lab, tmp, way)]


if __name__ == "__main__":
    scene.main(test)
