# SPDX-License-Identifier: GPL-2.0-or-later
"""Flows that are known by their number, and which of them an output has."""
import re
import socket
import sqlite3
import struct
import threading
import time

from daemon import text

PORTS = 50000
MOST = 20000  # ended flows the kernel keeps for who is too slow
FLUSH = struct.pack("=IHHIIBBH", 20, 0x0102, 1, 0, 0, 0, 0, 0)  # delete all entries


class Flows:
    """UDP flows of one packet, the i-th to 10.66.(1 + i / PORTS).1; flushed at once."""

    def __init__(self, lab, ns):
        self.udp = lab.socket(ns, socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("10.66.0.1", 9000))
        self.ct = lab.socket(ns, socket.AF_NETLINK, socket.SOCK_RAW, 12)
        self.lab, self.ns, self.made = lab, ns, 0
        self.stop = threading.Event()
        self.thread = None

    def make(self, count):
        for i in range(self.made, self.made + count):
            self.udp.sendto(b"x", (f"10.66.{1 + i // PORTS}.1", 1024 + i % PORTS))
        self.made += count
        self.ct.send(FLUSH)

    def begin(self, rate):
        """At that rate until end(), unless more wait than the kernel is to keep."""
        def run():
            start, first = time.monotonic(), self.made
            while not self.stop.wait(0.02):
                due = int((time.monotonic() - start) * rate) - (self.made - first)
                if due > 0 and self.lab.count(self.ns) < MOST:
                    self.make(due)
        self.stop.clear()
        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def end(self):
        self.stop.set()
        self.thread.join()


def index(address, port):
    return (int(address.split(".")[2]) - 1) * PORTS + port - 1024


def in_text(path):
    """The flows of LOGEMU lines, in order."""
    return [index(m[1], int(m[2])) for m in
            re.finditer(r"^.*?ORIG: SRC=10\.66\.0\.1 DST=(\S+) .*?DPT=(\d+)", text(path), re.M)]


def gaps_in(path):
    """(cause, count) of each gap."""
    return re.findall(r"\[GAP\].* CAUSE=(\S+) COUNT=(\S+)", text(path))


def in_database(path):
    with sqlite3.connect(path, timeout=10) as db:
        return [index(a, p) for a, p in db.execute("SELECT orig_ip_daddr_str, orig_l4_dport "
                                                   "FROM flows ORDER BY rowid")]


def in_history(path):
    """The same of a database with our own schema, which must be whole."""
    with sqlite3.connect(path, timeout=10) as db:
        whole = db.execute("PRAGMA integrity_check").fetchall()
        if whole != [("ok",)]:
            raise AssertionError(f"{path}: {whole[:3]}")
        return [index(*row) for row in db.execute("SELECT dst, dport FROM flows")]


def make_database(path):
    """A table of its own, without a key that would refuse repeats."""
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE flows(orig_ip_daddr_str TEXT, orig_l4_dport INTEGER)")
    db.close()


def each_once(name, got, made):
    if sorted(got) == list(range(made)):
        return []
    missing, twice = made - len(set(got)), len(got) - len(set(got))
    return [f"{name}: {missing} of {made} flows are missing, {twice} are there twice"]
