#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of addresses while a DHCP server changes its leases.

One host is a phone first, then the address goes to a TV.  Text and JSON have
the name that was known when a flow ended; the database and ctflow that of the
flow's time, even if it was learnt a moment later.  A flow of the phone's that
ends when the TV is there belongs to the phone.
"""
import contextlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
from daemon import Daemon, build_dir, configuration, text, until  # noqa: E402

NS = "names"
HOST = "10.66.0.1"
SERVER = "10.66.9.9"
STACKS = ["ct1:NFCT,nm1:NAMES,ip1:IP2STR,pf1:PRINTFLOW,emu1:LOGEMU",
          "ct1:NFCT,nm1:NAMES,ip1:IP2STR,js1:JSON", "ct1:NFCT,nm1:NAMES,db1:SQLITE3",
          "ct1:NFCT,nm1:NAMES,old1:SQLITE3"]


class Scene:
    """A daemon, the file of a DHCP server, and flows of one packet."""

    def __init__(self, lab, tmp):
        self.lab, self.dir, self.port = lab, tmp, 20000
        self.leases = f"{tmp}/leases"
        with open(f"{tmp}/list", "w", encoding="utf-8") as f:
            f.write("10.66.9.0/24 servers\n")
        with contextlib.closing(sqlite3.connect(f"{tmp}/old")) as db:
            db.execute("CREATE TABLE ulog_ct(orig_l4_sport INTEGER, orig_ip_saddr_name TEXT)")
        self.now = None
        self.lease("phone")
        self.daemon = Daemon(lab, NS, tmp, configuration(tmp, STACKS, {
            "ct1": "event_mask=4\n",
            "nm1": f'dnsmasq="{self.leases}"\nfile="{tmp}/list"\nhosts="{tmp}/none"\n'
                   "reread=100ms\n",
            "emu1": f'file="{tmp}/emu"\nsync=1\n',
            "js1": f'file="{tmp}/json"\nsync=1\n',
            "db1": f'db="{tmp}/db"\ntable="flows"\n',
            "old1": f'db="{tmp}/old"\ntable="ulog_ct"\n'}))
        self.names = {}  # of each flow, by port: what was said
        self.truth = {}  # and what it was

    def lease(self, name, end=0, tail="\n", clean=None):
        """As dnsmasq does it: in place."""
        time.sleep(0.05)  # packets and files have no better clocks
        self.now = clean or name
        with open(self.leases, "w", encoding="utf-8") as f:
            f.write(f"{end} 02:00:00:00:00:01 {HOST} {name} *{tail}")
        time.sleep(0.05)

    def send(self):
        self.port += 1
        self.truth[self.port] = self.now
        with self.lab.socket(NS, socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((HOST, self.port))
            s.connect((SERVER, 9))
            s.send(b"x")
        return self.port

    def record(self, port):
        for line in text(f"{self.dir}/json").splitlines():
            value = json.loads(line)
            if value["orig.l4.sport"] == port:
                return value
        return None

    def end(self, port):
        """Conntrack forgets the flow: the name in its record."""
        self.lab.run(NS, "conntrack", "-D", "-p", "udp", "--orig-port-src", str(port))
        until(f"the record of port {port}", lambda: self.record(port))
        self.names[port] = self.record(port).get("src_name")
        return self.names[port]

    def await_name(self, name):
        until(f"the name {name}", lambda: self.end(self.send()) == name, step=0.1)

    def play(self):
        assert self.end(self.send()) == "phone"
        old = self.send()
        time.sleep(1.2)  # a packet's time is known to a jiffy, and we were quick
        self.lease("tv")
        self.await_name("tv")
        assert self.end(old) == "phone", "a flow of before was given away"
        self.lease("cut-short", tail="", clean="tv")
        time.sleep(1)
        assert self.end(self.send()) == "tv", "a file half written took the name away"
        begin = time.monotonic()
        self.lease('ev"il\x1b[2J,SRC=1.2.3.4\\', clean="ev_il_[2J_SRC_1.2.3.4_")
        self.await_name("ev_il_[2J_SRC_1.2.3.4_")
        took = time.monotonic() - begin  # for a name to be noticed
        end = int(time.time() + 3 + 5 * took)
        self.lease("guest", end)
        self.await_name("guest")
        until("the end of the lease", lambda: time.time() > end + 0.05, step=0.1)
        self.now = None
        assert self.end(self.send()) is None, "a lease that is over has a name"

    def check_text(self):
        found = {}
        for line in text(f"{self.dir}/emu").splitlines():
            words = dict(w.split("=", 1) for w in line.split("REPLY:")[1].split() if "=" in w)
            assert words["DNAME"] == "servers", line
            found[int(words["DPT"])] = words.get("SNAME")
        assert found == self.names, (found, self.names)

    def check_old_table(self):
        """One as ulogd2 has it, with a column for names."""
        with contextlib.closing(sqlite3.connect(f"{self.dir}/old")) as db:
            got = dict(db.execute("SELECT * FROM ulog_ct"))
        assert got == self.names, (got, self.names)

    def check_database(self):
        with contextlib.closing(sqlite3.connect(f"{self.dir}/db")) as db:
            got = db.execute("SELECT sport, src_name, dst_name FROM flows").fetchall()
            assert {p: n for p, n, _ in got} == self.truth, (got, self.truth)
            assert {d for _, _, d in got} == {"servers"}, got
            rows = db.execute("SELECT name FROM names WHERE addr = ? ORDER BY from_ns",
                              (0x0a420001,)).fetchall()
        want = ["phone", "tv", "ev_il_[2J_SRC_1.2.3.4_", "guest", ""]
        assert [n for n, in rows] == want, rows

    def check_ctflow(self):
        out = subprocess.run([f"{build_dir()}/ctflow", "-d", f"{self.dir}/db", "-o", "json",
                              "show"], check=True, capture_output=True, timeout=100).stdout
        got = {f["sport"]: (f["src_name"], f["dst_name"]) for f in json.loads(out)}
        assert got == {p: (n, "servers") for p, n in self.truth.items()}, got


def main():
    labs.need_root()
    labs.host_lock()
    with tempfile.TemporaryDirectory(prefix="ctflowd-") as tmp, labs.Lab() as lab:
        labs.flood_ns(lab, NS)
        s = Scene(lab, tmp)
        s.daemon.start()
        s.play()
        s.daemon.stop()
        s.check_text()
        s.check_old_table()
        s.check_database()
        s.check_ctflow()
        said = s.daemon.log()
        assert "leases: ends in the middle of a line; the names it had are kept" in said, said
        print(f"{len(s.names)} flows, each with the name of its time")


if __name__ == "__main__":
    main()
