#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Counters and times of flows that end by themselves.

20,000 UDP flows of three packets each add up exactly, and begin and end when
their packets were sent; TCP by FIN, RST and idleness, ICMP, and flows to which
a rule gave another timeout, whose end is a bound.  And flows of two packets
while nf_conntrack_udp_timeout is changed again and again.  What is called
exact is within 10 ms, and no bound is before the last packet.
"""
import collections
import itertools
import os
import random
import socket
import sqlite3
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lab as labs  # noqa: E402
import natlab  # noqa: E402
import scene  # noqa: E402
import traffic  # noqa: E402
from daemon import Daemon, configuration, until  # noqa: E402
from natlab import CLIENT, GATEWAY  # noqa: E402

FLOWS, PACKETS = 20000, 3
NEAR = 10_000_000
REALTIME_COARSE = 5
NS, CHANGED = "many", "changed"
STACKS = ["ct1:NFCT,ip1:IP2STR,db1:SQLITE3"]
TABLE = """CREATE TABLE t (orig_ip_daddr TEXT, orig_ip_protocol INT, orig_l4_sport INT,
 orig_l4_dport INT, orig_raw_pktcount INT, orig_raw_pktlen INT, reply_raw_pktcount INT,
 ct_event INT, flow_start_ns INT, flow_last_ns INT, flow_destroy_ns INT, flow_end_kind TEXT,
 flow_end_reason INT, flow_end_sec INT, flow_end_usec INT, ct_mark INT)"""
POLICY = """table ip late {
    ct timeout long { protocol udp; l3proto ip; policy = { unreplied : 3, replied : 3 }; }
    chain pre {
        type filter hook prerouting priority -50;
        udp dport 5040 ct timeout set "long"
    }
}
"""
IDLE, FORCED, ENDED = 1, 4, 3


def config(tmp, end="destroy"):
    return configuration(tmp, STACKS, {
        "ct1": f"reap_interval=1\nflow_end={end}\n",
        "db1": f'db="{tmp}/t.db"\ntable="t"\n'})


def make_table(tmp):
    with sqlite3.connect(f"{tmp}/t.db") as db:
        db.execute(TABLE)


def rows(tmp):
    with sqlite3.connect(f"{tmp}/t.db", timeout=5) as db:
        db.row_factory = sqlite3.Row
        return db.execute("SELECT * FROM t").fetchall()


def count(tmp):
    with sqlite3.connect(f"{tmp}/t.db", timeout=5) as db:
        return db.execute("SELECT count(*) FROM t").fetchone()[0]


def outside(ns, span):
    """How far a time lies outside of what the sender saw."""
    return max(span[0] - ns, ns - span[1], 0)


def kernel_time():
    """Now; or the last tick, by which timeouts go, if that is late on a busy machine."""
    now, tick = time.time_ns(), time.clock_gettime_ns(REALTIME_COARSE)
    return tick if now - tick > NEAR / 2 else now


def send_all(lab):
    """Three rounds of one packet to each flow: {flow: [first span, last span]}."""
    times = {}
    with lab.socket(NS, socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("10.66.0.1", 9000))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        for size in (10, 200, 31):
            for i in range(FLOWS):
                to = (f"10.66.1.{1 + i // 10000}", 1024 + i % 10000)
                before = kernel_time()
                s.sendto(b"x" * size, to)
                span = (before, time.time_ns())
                times.setdefault(to, [span, span])[1] = span
    return times


class Ticks(threading.Thread):
    """How late a tick ever was: what was exact to that is right."""

    def __init__(self):
        super().__init__(daemon=True)
        self.over, self.worst = threading.Event(), 0
        self.start()

    def run(self):
        while not self.over.wait(0.002):
            now = time.time_ns()
            self.worst = max(self.worst, now - time.clock_gettime_ns(REALTIME_COARSE))

    def near(self):
        if self.worst > NEAR / 2:
            print(f"a tick was {self.worst / 1e6:.1f} ms late")
        return NEAR + (self.worst if self.worst > NEAR / 2 else 0)


def one_by_one(found, times, near):
    wrong = [0, 0, 0]
    for r in found:
        first, last = times[r["orig_ip_daddr"], r["orig_l4_dport"]]
        wrong[0] += outside(r["flow_start_ns"], first) > near
        wrong[1] += outside(r["flow_last_ns"], last) > near or r["flow_end_kind"] != "exact"
        wrong[2] += r["flow_end_reason"] != IDLE or r["ct_event"] != 4
    for n, what in zip(wrong, ("starts", "ends", "reasons")):
        if n:
            yield f"{n} of {len(found)} {what} are wrong"


def many(lab, tmp):
    labs.raise_conntrack_max(lab, FLOWS + 1000)
    labs.flood_ns(lab, NS)
    begin = time.monotonic()
    send_all(lab)
    lab.run(NS, "conntrack", "-F")
    # a flow must not end between two of its packets, which are a round apart
    lab.sysctl(NS, udp_timeout=int(3 + time.monotonic() - begin))
    make_table(tmp)
    ticks = Ticks()
    daemon = Daemon(lab, NS, tmp, config(tmp)).start()
    times = send_all(lab)
    until("all flows to end", lambda: count(tmp) >= FLOWS, step=0.2)
    daemon.stop()
    found = rows(tmp)
    distinct = len({(r["orig_ip_daddr"], r["orig_l4_dport"]) for r in found})
    sums = [sum(r[c] for r in found) for c in ("orig_raw_pktcount", "orig_raw_pktlen",
                                               "reply_raw_pktcount")]
    if (len(found), distinct) != (FLOWS, FLOWS):
        yield f"{len(found)} records of {distinct} flows"
    if sums != [FLOWS * PACKETS, FLOWS * (10 + 200 + 31 + PACKETS * 28), 0]:
        yield f"packets, bytes, replies add up to {sums}"
    if any(r["orig_raw_pktcount"] != PACKETS for r in found):
        yield "a flow without its three packets"
    yield from one_by_one(found, times, ticks.near())


def late(made):
    """A flow whose last packet comes late, and whose timeout is another."""
    with made._open(CLIENT, socket.SOCK_DGRAM, 0, "10.77.1.2") as c:
        made._flow("policy", 17, c.getsockname(), ("10.77.2.2", 5040))
        for _ in range(3):
            c.sendto(b"late", ("10.77.2.2", 5040))
            time.sleep(0.7)


def open_and_idle(made):
    """Both ends stay open until conntrack has forgotten it: they are returned."""
    listener = made._open(natlab.SERVER, socket.SOCK_STREAM, 0, "10.77.2.2", 8004)
    listener.listen()
    c = made._open(CLIENT, socket.SOCK_STREAM, 0, "10.77.1.2")
    made._flow("idle", 6, c.getsockname(), ("10.77.2.2", 8004))
    c.connect(("10.77.2.2", 8004))
    s, _ = listener.accept()
    traffic.exchange(c, s, b"x" * 100, False)
    return listener, c, s


# Of each flow: kind and reason.  No UDP flow says whose timeout it has.
WANT = {
    5000: ("bound", IDLE), 5001: ("bound", IDLE), 8000: ("exact", ENDED),
    8003: ("exact", ENDED), 8004: ("exact", IDLE), 5040: ("bound", IDLE), 0: ("exact", IDLE),
}


def check_kind(flow, r, port, near):
    kind, reason = WANT[port]
    last, off = r["flow_last_ns"], r["flow_last_ns"] - flow.last_ns
    if r["flow_end_kind"] != kind or r["flow_end_reason"] != reason:
        yield f"{flow.name}: {r['flow_end_kind']}, reason {r['flow_end_reason']}"
    if abs(r["flow_start_ns"] - flow.first_ns) > near:
        yield f"{flow.name}: start off by {(r['flow_start_ns'] - flow.first_ns) / 1e6} ms"
    if kind == "exact" and abs(off) > near or kind == "bound" and off < -near:
        yield f"{flow.name}: last packet off by {off / 1e6} ms ({kind})"
    if last > r["flow_destroy_ns"]:
        yield f"{flow.name}: its last packet after its end"
    end = r["flow_end_sec"] * 10**9 + r["flow_end_usec"] * 1000
    if end != last // 1000 * 1000:
        yield f"{flow.name}: flow_end=last-packet, but flow.end is not flow.last"


def kinds(lab, tmp):
    natlab.build(lab)
    lab.nft(GATEWAY, POLICY)
    make_table(tmp)
    daemon = Daemon(lab, GATEWAY, tmp, config(tmp, "last-packet")).start()
    made, ticks = traffic.Traffic(lab), Ticks()
    made.udp("10.77.1.2", "10.77.2.2", 5000, [100])
    made.udp("10.77.1.2", "10.77.2.2", 5001, [64] * 3, [900, 33], mark=0x80000042)
    made.tcp("10.77.1.2", "10.77.2.2", 8000, 5000, 20000)
    made.tcp("10.77.1.2", "10.77.2.2", 8003, 1000, 1000, reset=True)
    made.ping("10.77.1.2", "10.77.2.2", 3, 56)
    held = open_and_idle(made)
    late(made)
    until("all flows to end", lambda: count(tmp) >= len(made.flows), step=0.2)
    daemon.stop()
    flows = made.manifest()
    for s in held:
        s.close()
    by_port = {r["orig_l4_dport"] or 0: r for r in rows(tmp)}
    for flow in flows:
        port = flow.dport if flow.proto in (6, 17) else 0
        yield from check_kind(flow, by_port[port], port, ticks.near())
    print(f"{len(flows)} flows of all kinds")


def two_packets(lab, seconds):
    """A flow every 20 ms; its second packet is up to a second later: {port: span}."""
    last, first, waiting, port = {}, {}, [], 2000
    rng = random.Random(7)
    end = time.monotonic() + seconds
    with lab.socket(CHANGED, socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("10.66.0.1", 9000))
        while waiting or time.monotonic() < end:
            now = time.monotonic()
            if now < end:
                waiting.append((now, port))
                waiting.append((now + rng.uniform(0, 0.9), port))
                first[port] = now
                port += 1
            for flow in [w for w in waiting if w[0] <= now]:
                waiting.remove(flow)
                before = kernel_time()
                if time.monotonic() - first[flow[1]] > 0.95:
                    continue  # so late on a busy machine that it may be another flow
                s.sendto(b"x", ("10.66.1.1", flow[1]))
                last[flow[1]] = (before, time.time_ns())
            time.sleep(0.02)
    return last


def keep_changing(lab, stop):
    """The former value may still be in force when the next change comes, or not.

    Each stays long enough to be seen by a daemon that has to wait for the processor.
    """
    for value, pause in itertools.cycle([(2, 1.5), (1, 1.7), (3, 1.5), (1, 3.5), (2, 3.0)]):
        lab.sysctl(CHANGED, udp_timeout=value)
        if stop.wait(pause):
            return


def changed(lab, tmp):
    labs.flood_ns(lab, CHANGED)
    lab.sysctl(CHANGED, udp_timeout=1)
    make_table(tmp)
    daemon = Daemon(lab, CHANGED, tmp, config(tmp)).start()
    stop, ticks = threading.Event(), Ticks()
    changer = threading.Thread(target=keep_changing, args=(lab, stop))
    changer.start()
    try:
        sent = two_packets(lab, 12)
    finally:
        stop.set()
        changer.join()
    until("all flows to end", lambda: count(tmp) >= len(sent), step=0.2)
    daemon.stop()
    kinds_seen, worst = collections.Counter(), 0
    for r in rows(tmp):
        span, kind = sent[r["orig_l4_dport"]], r["flow_end_kind"]
        kinds_seen[kind] += 1
        if kind == "exact":
            worst = max(worst, outside(r["flow_last_ns"], span))
        elif r["flow_last_ns"] < span[0] - ticks.near():
            yield f"a bound {(span[0] - r['flow_last_ns']) / 1e6} ms before the last packet"
        if r["flow_last_ns"] > r["flow_destroy_ns"]:
            yield "a last packet after the end"
    print(f"changed: {dict(kinds_seen)}, exact within {worst / 1e6:.1f} ms")
    if worst > ticks.near():
        yield f"what is called exact is off by {worst / 1e6} ms"
    if set(kinds_seen) != {"exact", "bound"} or min(kinds_seen.values()) < len(sent) / 20:
        yield f"changing timeouts: {dict(kinds_seen)} of {len(sent)} flows"


def test(lab, tmp):
    labs.host_lock()
    problems = []
    for part in (many, kinds, changed):
        where = f"{tmp}/{part.__name__}"
        os.mkdir(where)
        problems += part(lab, where)
    return problems


scene.main(test)
