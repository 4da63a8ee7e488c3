#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Reliable delivery: a small buffer, a slow reader, an output that stalls.

With a receive buffer of three events the kernel can deliver almost nothing at
once; all the same every flow arrives, once.  Without `reliable` most are
lost, and the gaps say how many.
"""
import json
import os
import re
import signal
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import LIMIT, Daemon, configuration, lines, text, until  # noqa: E402
from sinks import TcpSink  # noqa: E402

NS = "reliable"
TEXT = "ct1:NFCT,ip1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU"
SLOW = int(os.environ.get("CTF_RELIABLE", "3000"))
FAST = 20000
RATE, STALL = 5000, 20  # flows a second, seconds
FLOW = re.compile(r" DST=(10\.66\.\S+) .*? DPT=(\d+) ")


def destinations(path):
    """(address, port) of each flow of a LOGEMU file, in order."""
    return [m.groups() for m in map(FLOW.search, text(path).splitlines()) if m]


def lost(path):
    return sum(int(n) for n in re.findall(r"\[GAP\].* COUNT=(\d+) ", text(path)))


def daemon(lab, tmp, name, nfct, stacks=(TEXT,), sections=None):
    where = os.path.join(tmp, name)
    os.mkdir(where)
    conf = configuration(where, list(stacks), {
        "ct1": nfct, "emu1": f'file="{where}/emu"\nsync=1\n', **(sections or {})})
    d = Daemon(lab, NS, where, conf).start()
    d.wait_log("entering main loop")
    return d, f"{where}/emu"


class Hampered(threading.Thread):
    """Lets the process run for only a part of the time."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.over = pid, threading.Event()
        self.start()

    def run(self):
        while not self.over.is_set():
            os.kill(self.pid, signal.SIGSTOP)
            time.sleep(0.006)
            os.kill(self.pid, signal.SIGCONT)
            time.sleep(0.006)

    def end(self):
        self.over.set()
        self.join()
        os.kill(self.pid, signal.SIGCONT)


def flush(lab, flood, count):
    lab.run(NS, flood, str(count), timeout=300)
    lab.run(NS, "conntrack", "-F", timeout=300)


def small_buffer(lab, tmp, flood):
    """A slow reader with a buffer of 2048 bytes gets them all."""
    d, emu = daemon(lab, tmp, "small", "netlink_socket_buffer_size=2048\n")
    slow = Hampered(d.pid)
    flush(lab, flood, SLOW)
    # the kernel tries again every 12 ms, three events each time
    until(f"{SLOW} flows", lambda: lines(emu) >= SLOW, limit=LIMIT + SLOW / 20, step=0.5)
    slow.end()
    d.stop()
    got = destinations(emu)
    print(f"buffer of 2048: {len(got)} of {SLOW}, {len(set(got))} distinct")
    if len(got) != SLOW or len(set(got)) != SLOW or lost(emu):
        return [f"small buffer: {len(got)} records of {len(set(got))} flows, {lost(emu)} in gaps"]
    return []


def fast_reader(lab, tmp, flood):
    d, emu = daemon(lab, tmp, "fast", "")
    flush(lab, flood, FAST)
    until(f"{FAST} flows", lambda: lines(emu) >= FAST)
    d.stop()
    got = destinations(emu)
    print(f"fast: {len(got)} of {FAST}, {len(set(got))} distinct")
    if len(got) != FAST or len(set(got)) != FAST:
        return [f"fast reader: {len(got)} records of {len(set(got))} flows"]
    return []


def unreliable(lab, tmp, flood):
    """The same without: most are lost, and counted."""
    d, emu = daemon(lab, tmp, "unreliable", "reliable=0\nnetlink_socket_buffer_size=2048\n")
    slow = Hampered(d.pid)
    flush(lab, flood, SLOW)
    slow.end()
    until("all to be accounted for", lambda: len(destinations(emu)) + lost(emu) >= SLOW)
    d.stop()
    got, gone = destinations(emu), lost(emu)
    print(f"not reliable: {len(got)} of {SLOW}, {gone} in gaps")
    problems = []
    if len(got) + gone != SLOW or len(set(got)) != len(got):
        problems.append(f"not reliable: {len(got)} flows and {gone} in gaps, {SLOW} made")
    if gone < SLOW / 2:
        problems.append(f"not reliable: only {gone} lost, the test shows nothing")
    if "CAUSE=overrun" not in text(emu):
        problems.append("not reliable: no gap says overrun")
    return problems


def records(sink):
    """JSON objects a collector has received whole."""
    return [json.loads(line) for s in sink.sessions for line in bytes(s).splitlines(True)
            if line.endswith(b"\n")]


def stall(lab, tmp, flood):
    """A collector reads nothing for 20 s, 5,000 flows/s go on."""
    total = RATE * (STALL + 2)
    sink = TcpSink(lab, NS, 9000, hold=True, rcvbuf=4096)
    d, emu = daemon(lab, tmp, "stall", "pollinterval=1\n", (TEXT, "ct1:NFCT,ip1:IP2STR,json1:JSON"),
                    {"json1": "mode=tcp\nhost=127.0.0.1\nport=9000\n"})
    lab.sysctl(NS, udp_timeout=1, udp_timeout_stream=1)
    flow = lab.popen(NS, [flood, str(total), str(RATE)])
    behind = 0
    end = time.monotonic() + STALL
    begun = time.monotonic()
    while time.monotonic() < end:
        time.sleep(0.5)
        # made, less those still in their last two seconds
        due = RATE * (time.monotonic() - begun - 4)
        behind = max(behind, due - lines(emu))
    held = sum(len(s) for s in sink.sessions)
    sink.release()
    flow.wait(LIMIT)
    until("all text", lambda: lines(emu) >= total)
    until("all to be delivered",
          lambda: sum(s.count(b"\n") for s in sink.sessions) >= total, step=0.5)
    until("an empty table", lambda: lab.count(NS) == 0)
    d.stop()
    sink.close()
    got = records(sink)
    flows = {(r["dest_ip"], r["orig.l4.dport"]) for r in got if "dest_ip" in r}
    print(f"stall: {total} made, {len(got)} delivered, {lines(emu)} lines, "
          f"the reader at most {behind:.0f} behind, {held} bytes while it stood")
    problems = []
    if len(got) != total or len(flows) != total or len(set(destinations(emu))) != total:
        problems.append(f"stall: {len(got)} records of {len(flows)} flows, {total} made")
    if held > 1 << 20:
        problems.append(f"stall: {held} bytes were read, it was no stall")
    if behind > RATE * STALL / 2:  # one that waits for the collector would be all of it behind
        problems.append(f"stall: the reader was {behind:.0f} flows behind")
    lab.sysctl(NS, udp_timeout=600, udp_timeout_stream=600)
    return problems


def test(lab, tmp):
    labs.flood_ns(lab, NS)
    labs.raise_conntrack_max(lab, 60000)
    flood = labs.helper("flood", tmp)
    return small_buffer(lab, tmp, flood) + fast_reader(lab, tmp, flood) + \
        unreliable(lab, tmp, flood) + stall(lab, tmp, flood)


scene.main(test)
