#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Configurations people run ulogd2 with: the same output from both, on one traffic.

They are those of confs/, which have the traits of real ones, and the real ones
where a collection of them lies in CTF_CONFS or beside the sources.  Only paths,
hosts and the networks of filters are changed, and plugin= lines left out; ulogd2
is spared its packet stacks.  Stacks that end in MYSQL store in a MariaDB started for
them, by a procedure over a view as accounting programs have it.  A file without a flow stack in [global] is refused
by ctflowd, which is right only where ulogd2 logs no flow either.
"""
import contextlib
import glob
import os
import re
import select
import shutil
import socket
import sqlite3
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "netns"))

import lab as labs  # noqa: E402
import natlab  # noqa: E402
import scene  # noqa: E402
import traffic  # noqa: E402
import ulogd2  # noqa: E402
from calls import call  # noqa: E402
from daemon import read_all, text, until  # noqa: E402
from mariadb import MariaDB  # noqa: E402
from natlab import GATEWAY  # noqa: E402
from tables import TABLES  # noqa: E402

OWN = f"{HERE}/confs"
REAL = os.environ.get("CTF_CONFS") or f"{HERE}/../../../shared/ulogd-confs"
PACKETS = re.compile(r":(NFLOG|ULOG|UNIXSOCK|NFACCT)\b")
LEFT_OUT = re.compile(r":PGSQL\b")  # beside its server: another test
LIVE = 8  # flow stacks that run in both, at least


def parts(lines):
    """Which section each line is in; "" before the first."""
    section = ""
    for ln in lines:
        found = re.match(r"\s*\[([^\]]+)\]", ln)
        section = found[1] if found else section
        yield section


def stacks(path):
    """[(id of the output, its plugin)] of the flow stacks that count."""
    lines = text(path).splitlines()
    found = []
    for section, ln in zip(parts(lines), lines):
        value = re.match(r'\s*stack\s*=\s*"?([^"\s]*)', ln)
        if section == "global" and value and not PACKETS.search(value[1]):
            found.append(tuple(value[1].split(",")[-1].split(":")))
    return found


class Accounts(MariaDB):
    """What a procedure made of the flows, a database for each copy of a configuration."""

    def __init__(self, tmp):
        super().__init__(tmp)
        self.made = 0

    def database(self, view, procedure):
        """A new one, in which a view tells which columns the procedure takes."""
        self.made += 1
        name = f"copy{self.made}"
        self.sql(f"CREATE DATABASE {name}; GRANT ALL ON {name}.* TO flows@localhost", db="mysql")
        self.sql("CREATE TABLE accounts(source varbinary(16), port int, octets bigint,"
                 " back bigint);"
                 f"CREATE VIEW {view} AS SELECT 0 id, source orig_ip_saddr_bin, port orig_l4_dport,"
                 " octets orig_raw_pktlen, back reply_raw_pktlen FROM accounts", db=name)
        self.sql(None, db=name, stdin=f"""DELIMITER //
CREATE FUNCTION {procedure}(source varbinary(16), port int, octets bigint, back bigint)
RETURNS int BEGIN INSERT INTO accounts VALUES (source, port, octets, back); RETURN 0; END //
""")
        return name

    def text(self, name):
        return self.sql("SELECT hex(source), port, octets, back FROM accounts", db=name)


class Copy:
    """A configuration whose paths are in a folder of its own."""

    def __init__(self, path, folder, ours, accounts):
        self.folder, self.ours, self.paths, self.tables = folder, ours, {}, {}
        self.accounts, self.databases = accounts, {}
        self.keys = {id: {} for id, plugin in stacks(path) if plugin == "MYSQL"}
        os.makedirs(folder)
        lines = text(path).splitlines()
        for section, ln in zip(parts(lines), lines):
            found = re.match(r'\s*(\w+)\s*=\s*"?([^"\s]*)', ln)
            if section in self.keys and found:
                self.keys[section][found[1]] = found[2]
        for section, keys in self.keys.items():
            self.databases[section] = accounts.database(keys["table"], keys["procedure"])
        out = [self.line(*both) for both in zip(parts(lines), lines)]
        self.file = f"{folder}/conf"
        with open(self.file, "w", encoding="utf-8") as f:
            f.write("\n".join(ln for ln in out if ln is not None) + "\n")

    def line(self, section, ln):
        found = re.match(r'\s*(\w+)\s*=\s*("[^"]*"|[^\s"]+)?', ln)
        key, value = found.groups() if found else ("", "")
        if re.match(r"\s*\[global\]", ln):
            state = f'\nstate_dir="{self.folder}/state"' if self.ours else ""
            return f'[global]\nlogfile="{self.folder}/log"\nloglevel=3{state}'
        if key in ("logfile", "plugin", "loglevel") or (key == "stack" and (
                LEFT_OUT.search(ln) or not self.ours and PACKETS.search(ln))):
            return None
        if section in self.databases:
            return {"db": f"db={self.databases[section]}", "user": "user=flows",
                    "host": f'host="{self.accounts.path if self.ours else "localhost"}"',
                    "pass": 'pass=""'}.get(key, ln)
        if key in ("file", "db"):
            self.paths[section] = f"{self.folder}/{section}.{key}"
            return f'{key}="{self.paths[section]}"'
        if key == "table":
            self.tables[section] = value.strip('"')
        if key == "host":
            return 'host="127.0.0.1"'
        if key == "port":
            return f'port="{7001 if self.ours else 7002}"'
        return ln.replace("192.168.100.0/24", "10.77.1.2/31")

    def make_tables(self, schema):
        for section, table in self.tables.items():
            with contextlib.closing(sqlite3.connect(self.paths[section])) as db:
                db.executescript(schema if table == "flows" else TABLES["ulog_ct"].replace(
                    "ulog_ct", table))

    def rows(self, section):
        with contextlib.closing(sqlite3.connect(self.paths[section])) as db:
            cursor = db.execute(f"SELECT * FROM {self.tables[section]}")
            names = [c[0] for c in cursor.description]
            return "\n".join(", ".join(f"{n}={self.value(n, v)}" for n, v in zip(names, row)
                                       if not n.startswith("flow_start")) for row in cursor)

    @staticmethod
    def value(name, v):
        """Without ulogd2's defects: half of an IPv6 address, and marks below zero."""
        if name.endswith("addr") and isinstance(v, int) and v & 0xffff == 0x77fd:
            return None
        return v & 0xffffffff if name == "ct_mark" and isinstance(v, int) else v


class Listener(threading.Thread):
    """What comes to a port of the gateway."""

    def __init__(self, lab, port):
        super().__init__(daemon=True)
        self.socket = lab.socket(GATEWAY, socket.AF_INET, socket.SOCK_STREAM)
        self.socket.bind(("127.0.0.1", port))
        self.socket.listen()
        self.got, self.open = b"", 0
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                peer = self.socket.accept()[0]
                self.open += 1
                while more := peer.recv(65536):
                    self.got += more
                self.open -= 1

    def finish(self):
        """Those who have sent have ended: until all of it is here."""
        until("sessions to end", lambda: not select.select([self.socket], [], [], 0.1)[0] and
              not self.open, step=0.01)


class Pair:
    """One file, as both daemons run it."""

    def __init__(self, lab, path, tmp, accounts):
        self.name = os.path.basename(path).removesuffix(".conf")
        self.stacks = [s for s in stacks(path) if not LEFT_OUT.search(f":{s[1]}")]
        self.theirs = Copy(path, f"{tmp}/{self.name}/ulogd2", False, accounts)
        self.ours = Copy(path, f"{tmp}/{self.name}/ctflowd", True, accounts)
        self.lab = lab
        schema = text(path.removesuffix(".conf") + ".schema.sql")
        for copy in (self.theirs, self.ours):
            copy.make_tables(schema)

    def start(self):
        logs = [ulogd2.SysLog(c.folder) for c in (self.theirs, self.ours)]
        self.theirs.syslog, self.ours.syslog = logs
        self.ulogd = self.lab.popen(GATEWAY, logs[0].command(
            [shutil.which("ulogd"), "-c", self.theirs.file]), env=os.environ | {"TZ": "UTC"})
        self.daemon = ulogd2.Beside(self.lab, GATEWAY, self.ours.folder, self.ours.file, logs[1])
        self.daemon.start(wait=False)

    def wait(self):
        """Until both run; ulogd2 may have refused the file, and then ctflowd may, too."""
        until(f"ulogd2 with {self.name}", lambda: self.ulogd.poll() is not None or
              "initialization finished" in text(f"{self.theirs.folder}/log"))
        self.both = self.ulogd.poll() is None
        until(f"ctflowd with {self.name}", lambda: self.daemon.child.poll() is not None or
              "entering main loop" in self.daemon.log())
        self.alone = not self.both and self.daemon.child.poll() is None

    def stop(self):
        if self.daemon.child.poll() is None:
            self.daemon.stop()
        if self.both:
            read_all(self.lab, GATEWAY, self.ulogd.pid)
            self.ulogd.terminate()
            self.ulogd.wait(100)

    def compare(self, ports):
        for section, plugin in self.stacks:
            theirs, ours = (self.output(c, section, plugin, listener)
                            for c, listener in zip((self.theirs, self.ours), ports))
            if self.both:
                yield from ulogd2.differences(f"{self.name} [{section}]", theirs, ours)
            elif self.alone and not ours:
                yield f"{self.name} [{section}]: nothing, where ulogd2 refuses it"

    def output(self, copy, section, plugin, listener):
        if plugin == "SYSLOG":
            return copy.syslog.flows()
        if plugin == "MYSQL":
            return copy.accounts.text(copy.databases[section])
        if plugin == "SQLITE3":
            return copy.rows(section)
        if section not in copy.paths:
            return listener.got.decode()
        return text(copy.paths[section])


def refused(path):
    """Complaints about a file in which ulogd2 finds no stack for flows."""
    done = call("-n", "-c", path)
    if done.code == 0:
        yield f"{path}: has no flow stack, and is not refused"


def test(lab, tmp):
    natlab.build(lab)
    with Accounts(tmp) as accounts:
        os.environ["MYSQL_UNIX_PORT"] = accounts.path  # for ulogd2
        return compare(lab, tmp, accounts)


def compare(lab, tmp, accounts):
    files = [f for d in (OWN, REAL) for f in sorted(glob.glob(f"{d}/*.conf"))]
    problems = [p for f in files if not stacks(f) for p in refused(f)]
    pairs = [Pair(lab, f, tmp, accounts) for f in files if stacks(f)]
    ports = [Listener(lab, p) for p in (7002, 7001)]
    for step in (Pair.start, Pair.wait):
        for p in pairs:
            step(p)
    made = traffic.Traffic(lab)
    traffic.standard(made)
    until("all flows to end", lambda: scene.all_gone(lab, GATEWAY), step=0.3)
    for p in pairs:
        p.stop()
    for p in ports:
        p.finish()
    problems += [w for p in pairs for w in p.compare(ports)]
    live = sum(len(p.stacks) for p in pairs if p.both)
    if live < LIVE:
        problems.append(f"only {live} stacks in {len(files)} files")
    print(f"{live} flow stacks run in both; only in ctflowd: "
          f"{[p.name for p in pairs if p.alone]}; in none: "
          f"{[p.name for p in pairs if not p.both and not p.alone]}")
    return problems


ulogd2.need("JSON", "SQLITE3", "MYSQL")
if not shutil.which("mariadbd"):
    labs.skip("needs mariadb-server")
scene.main(test)
