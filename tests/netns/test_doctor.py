#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""ctflow doctor: each fault is named, and the command it prints mends it.

A namespace with a real ctflowd of an unprivileged user is made; on it doctor
finds nothing.  Then one fault after the other is put there, named by doctor,
mended by the very command that it prints, and doctor finds nothing again.
"""
import ctypes
import fcntl
import json
import os
import pwd
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
from daemon import Daemon, Failed, build_dir, configuration, until  # noqa: E402
from sleeper import ADD_MEMBERSHIP, BROADCAST_ERROR, SOL_NETLINK  # noqa: E402

NS = "doctor"
SGRO = 0x2C
NOBODY = pwd.getpwnam("nobody")
HOST = {"clock", "disk", "table", "buckets"}  # what a namespace cannot be blamed for
SYNCHRONISED = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(256)) != 5
RULES = """
    table inet ours {
        chain ours { type filter hook forward priority 0; ct state new accept; }
    }"""
LISTENER = f"""
import signal, socket
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
s.bind((0, 0))
s.setsockopt({SOL_NETLINK}, {BROADCAST_ERROR}, 1)
s.setsockopt({SOL_NETLINK}, {ADD_MEMBERSHIP}, 3)
print("ready", flush=True)
signal.pause()
"""


class Host:
    """The namespace, the folder and the daemon."""

    def __init__(self, lab, folder):
        self.lab, self.dir, self.daemon, self.started, self.starts = lab, folder, None, None, 0
        os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
        lab.add(NS)
        for a, b in (("a0", "a1"), ("b0", "b1")):
            lab.run(NS, "ip", "link", "add", a, "type", "veth", "peer", "name", b)
            lab.run(NS, "ip", "link", "set", a, "up")
        lab.nft(NS, RULES)
        lab.sysctl(NS, acct=1, timestamp=1, events=1)
        sections = {"ct1": "sysctl=ignore\n",
                    "db1": f'db="{folder}/flows.db"\ntable="flows"\n',
                    "json1": 'mode="tcp"\nhost="127.0.0.1"\nport="9"\n'
                             f'spool_dir="{folder}/spool"\nspool_max=1M\n'}
        self.text = configuration(folder, ["ct1:NFCT,db1:SQLITE3", "ct1:NFCT,json1:JSON"],
                                  sections)
        self.start()

    def path(self, name):
        return os.path.join(self.dir, name)

    def start(self):
        self.daemon = Daemon(self.lab, NS, self.dir, self.text).start("-u", "nobody")
        until("the database", lambda: os.path.exists(self.path("flows.db-wal")))
        self.starts += 1
        until("it to work", lambda: self.daemon.log().count("entering main loop") >= self.starts)

    def stop(self):
        """However it was started."""
        if self.daemon:
            self.daemon.stop()
        else:
            os.kill(self.started, signal.SIGTERM)
            until("the daemon to end", lambda: not os.path.exists(f"/proc/{self.started}"))
        self.daemon = None

    def restart(self):
        self.stop()
        self.start()

    def doctor(self, *more):
        """Its exit code and findings."""
        argv = [os.path.join(build_dir(), "ctflow"), "doctor", "-c", self.path("conf"), *more]
        done = subprocess.run(["nsenter", f"--net={self.lab.path(NS)}", *argv, "-o", "json"],
                              capture_output=True, text=True, timeout=300, check=False)
        if done.stderr:
            raise Failed(f"doctor says on stderr: {done.stderr}")
        return done.returncode, json.loads(done.stdout)

    def sick(self):
        """What is wrong but for what is the machine's."""
        return self.judged()[1]

    def judged(self):
        """The same, and the exit code."""
        code, found = self.doctor("--skip", ",".join(HOST))
        return code, [f for f in found if f["level"] != "hint"]

    def mend(self, command):
        """Runs a printed command as it stands."""
        done = subprocess.run(["nsenter", f"--net={self.lab.path(NS)}", "sh", "-ec", command],
                              capture_output=True, text=True, timeout=300, check=False,
                              env=Daemon.environment())
        if done.returncode:
            raise Failed(f"{command}: {done.stderr}")

    def edit(self, old, new):
        with open(self.path("conf"), encoding="utf-8") as f:
            words = f.read()
        if old not in words:
            raise Failed(f"no {old} in the configuration")
        with open(self.path("conf"), "w", encoding="utf-8") as f:
            f.write(words.replace(old, new, 1))

    def sql(self, *statements):
        db = sqlite3.connect(self.path("flows.db"))
        for s in statements:
            db.execute(s)
        db.commit()
        db.close()

    def segment(self, folder, size):
        """What an output has left on disk, going by its name and size."""
        os.makedirs(self.path(f"spool/{folder}"), exist_ok=True)
        path = self.path(f"spool/{folder}/{1:016x}-{9:016x}-2bc.seg")
        with open(path, "wb") as f:
            f.truncate(size)
        return path


# ---- faults: what is done, and the check and level that doctor is to name ------------

def setting(name, value):
    return lambda h: h.lab.sysctl(NS, **{name: value})


class NotHere(Exception):
    """This kernel cannot have that fault."""


def offload(h):
    """Not every kernel has flowtables; test_doctor_nft has the message itself."""
    try:
        flowtable(h)
    except labs.LabError as e:
        raise NotHere(str(e).splitlines()[0]) from None


def flowtable(h):
    h.lab.nft(NS, """table ip off {
        flowtable ft { hook ingress priority 0; devices = { a0, b0 }; }
        chain c { type filter hook forward priority 1; ip protocol tcp flow add @ft; }
        }""")


def notrack(h):
    h.lab.nft(NS, """table inet raw { chain pre { type filter hook prerouting priority raw;
        udp dport 53 notrack; }
        }""")


def listener(h):
    child = h.lab.popen(NS, [sys.executable, "-c", LISTENER], stdout=subprocess.PIPE)
    child.stdout.readline()


def unhooked(h):
    h.lab.run(NS, "nft", "flush", "ruleset")
    h.lab.run(NS, "conntrack", "-F")


def misspelt(h):
    h.edit("spool_max=1M", "spol_max=1M")


def nonsense(h):
    h.edit("sysctl=ignore", "sysctl=sometimes")


def buffer(h):
    h.edit("sysctl=ignore", "sysctl=ignore\nnetlink_socket_buffer_size=65536")


def stopped(h):
    h.stop()


def hangs(h):
    os.kill(h.started, signal.SIGSTOP)
    until("silence", lambda: any(f["check"] == "daemon" for f in h.doctor()[1]), step=0.5)


def wal_owner(h):
    os.chown(h.path("flows.db-wal"), 0, 0)


def db_owner(h):
    os.chown(h.path("flows.db"), 0, 0)
    os.chmod(h.path("flows.db"), 0o644)
    for end in ("-wal", "-shm"):
        os.chown(h.path("flows.db" + end), 0, 0)


def newer(h):
    h.sql("UPDATE meta SET value = 99 WHERE key = 'version'")


def damaged(h):
    h.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    with open(h.path("flows.db"), "r+b") as f:
        f.seek(4096)
        f.write(os.urandom(8192))


def state_owner(h):
    os.chown(h.path("state"), 0, 0)


def no_folder(h):
    h.edit("flows.db", "else/flows.db")


def spool_full(h):
    h.segment("json1:JSON", 900 << 10)


def leftover(h):
    h.segment("json7:JSON", 1000)


def restarted(h):
    """The daemon that the printed command has started is ours to end."""
    with open(h.path("conf"), encoding="utf-8") as f:
        conf = os.path.realpath(f.name)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().decode().split("\0")
        except OSError:
            continue
        if len(words) > 3 and words[0].endswith("/ctflowd") and conf in words:
            h.started = int(pid)
            h.daemon = None
            return
    raise Failed("the command has started nothing")


def spool_cleared(h):
    os.unlink(h.path(f"spool/json1:JSON/{1:016x}-{9:016x}-2bc.seg"))


def old_conf(h):
    with open(h.path("conf"), "w", encoding="utf-8") as f:
        f.write(h.text)


FAULTS = [  # fault, what doctor calls it, its level, what else is to be done afterwards
    ("no counters", setting("acct", 0), "acct", "warning", None),
    ("no start times", setting("timestamp", 0), "timestamp", "warning", None),
    ("no events", setting("events", 0), "events", "error", None),
    ("events only while heard", setting("events", 2), "events", "note", None),
    ("short timeout", setting("udp_timeout", 3), "timeouts", "warning", None),
    ("long timeout", setting("tcp_timeout_time_wait", 86400), "timeouts", "warning", None),
    ("flowtable without counter", offload, "offload", "warning", None),
    ("notrack rule", notrack, "notrack", "note", None),
    ("reliable listener", listener, "listeners", "warning", None),
    ("no conntrack on the path", unhooked, "hooks", "error", None),
    ("misspelt key", misspelt, "configuration", "warning", None),
    ("value that is none", nonsense, "configuration", "error", old_conf),
    ("small buffer", buffer, "buffer", "note", None),
    ("owner of the WAL", wal_owner, "database-owner", "error", None),
    ("owner of the database", db_owner, "database-owner", "error", None),
    ("owner of state_dir", state_owner, "state_dir", "warning", None),
    ("database without a folder", no_folder, "database", "error", old_conf),
    ("spool nearly full", spool_full, "spool", "warning", spool_cleared),
    ("spool of nobody", leftover, "spool", "note", old_conf),
    ("newer schema", newer, "database-version", "error", Host.restart),
    ("damaged database", damaged, "database-damage", "error", None),
    ("daemon stopped", stopped, "daemon", "error", restarted),
    ("daemon hangs", hangs, "daemon", "error", restarted),
]
CODES = {"note": 1, "warning": 1, "error": 2}


def one(h, seed, check, level, after):
    seed(h)
    code, sick = h.judged()  # once: whoever opens a database as root mends its owner
    named = [f for f in sick if f["check"] == check and f["level"] == level]
    if not named:
        yield f"doctor does not name it: {sick}"
        return
    if sick != named:
        yield f"doctor finds more than that: {sick}"
    if code != CODES[level]:
        yield f"exit code {code} for {level}"
    for _ in range(3):  # one command may uncover what the next mends
        for f in named:
            h.mend(f["command"])
        named = h.sick()
        if not named:
            break
    if named:
        yield f"not mended: {named}"
    if after:
        after(h)


def clean(h, when):
    code, wrong = h.judged()
    if wrong or code != 0:
        yield f"{when}: a false alarm (exit code {code}): {wrong}"


def machine(h):
    """What is not of the namespace is compared with the machine."""
    named = {f["check"] for f in h.doctor()[1]}
    if ("clock" in named) == SYNCHRONISED:
        yield f"the clock's state is {SYNCHRONISED}, doctor finds {named}"
    st = os.statvfs(h.dir)
    if st.f_bavail * st.f_frsize > 6 << 30 and "disk" in named:
        yield "the disk has room"


def merging(h):
    """GRO is worth knowing, and no fault."""
    def gro(on):
        with h.lab.socket(NS, socket.AF_INET, socket.SOCK_DGRAM) as s:
            value = ctypes.create_string_buffer(struct.pack("II", SGRO, on))
            fcntl.ioctl(s.fileno(), labs.SIOCETHTOOL,
                        struct.pack("16sP", b"b0", ctypes.addressof(value)))
        code, found = h.doctor("--skip", ",".join(HOST))
        return code, [f["command"] for f in found if f["level"] == "hint"]

    before = gro(0)
    after = gro(1)
    if before != (0, []) or after != (0, ["ethtool -K b0 gro off"]):
        yield f"GRO: {before}, then {after}"
    gro(0)


def full_disk(h):
    """On a disk with little room: the size is limited by the printed command."""
    os.mkdir(h.path("small"))
    h.lab.run(None, "mount", "-t", "tmpfs", "-o", "size=64M,mode=777", "none", h.path("small"))
    try:
        with open(h.path("small/flows.db"), "wb"):
            os.chown(h.path("small/flows.db"), NOBODY.pw_uid, NOBODY.pw_gid)
        h.edit("/flows.db", "/small/flows.db")
        found = [f for f in h.doctor()[1] if f["check"] == "disk" and "small" in f["what"]]
        if [f["level"] for f in found] != ["warning"]:
            yield f"a disk with 64 MB: {found}"
            return
        h.mend(found[0]["command"])
        with open(h.path("conf"), encoding="utf-8") as f:
            conf = f.read()
        if '[db1]\nmax_size=64M\ndb=' not in conf:
            yield f"{found[0]['command']}: {conf}"
    finally:
        h.lab.run(None, "umount", h.path("small"))
        old_conf(h)


def full_table(h):
    """The size of the table is the machine's: nobody else uses it meanwhile."""
    path = "/proc/sys/net/netfilter/nf_conntrack_max"

    def write(value):
        with open(path, "w", encoding="ascii") as f:
            f.write(value)

    labs.host_lock(exclusive=True)
    with open(path, encoding="ascii") as f:
        old = f.read()
    h.lab.undo.append(lambda: write(old))
    with h.lab.socket(NS, socket.AF_INET, socket.SOCK_DGRAM) as s:
        for port in range(1000, 1100):
            s.sendto(b"x", ("127.0.0.1", port))
    write(str(h.lab.count(NS) * 20 // 19))

    def still():
        """What doctor says of a table that has not changed meanwhile: the daemon has sessions."""
        before = h.lab.count(NS)
        said = [f for f in h.doctor()[1] if f["check"] == "table"]
        return h.lab.count(NS) == before and (before, said)
    count, found = until("a table that rests", still)
    if [f["level"] for f in found] != ["error"] or f"({count} of" not in found[0]["what"]:
        yield f"a full table of {count}: {found}"
    for f in found:  # the machine's namespace is where the test runs
        command = f["command"].removeprefix("nsenter --net=/proc/1/ns/net ")
        if command == f["command"]:
            yield f"{command} would be run where it cannot work"
        h.lab.run(None, "sh", "-ec", command)
    found = [f for f in h.doctor()[1] if f["check"] == "table"]
    if found:
        yield f"not mended: {found}"
    write(old)


def others(h):
    """Without root: what cannot be looked at is said, nothing is claimed."""
    done = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
                           os.path.join(build_dir(), "ctflow"), "doctor", "-c", h.path("conf"),
                           "-o", "json"], capture_output=True, text=True, timeout=300,
                          check=False)
    if done.returncode not in (0, 1, 2) or not json.loads(done.stdout):
        yield f"as nobody: {done}"


def main():
    labs.need_root()
    labs.host_lock()
    wrong, absent = [], 0
    with tempfile.TemporaryDirectory() as folder, labs.Lab() as lab:
        h = Host(lab, folder)
        wrong += [f"clean: {w}" for w in clean(h, "at first")]
        wrong += list(machine(h))
        wrong += list(others(h))
        for name, seed, check, level, after in FAULTS:
            print(name, flush=True)
            try:
                wrong += [f"{name}: {w}" for w in one(h, seed, check, level, after)]
            except NotHere as e:
                print(f"not tried, this kernel cannot have it: {e}")
                absent += 1
            wrong += [f"{name}: {w}" for w in clean(h, "afterwards")]
            if wrong:
                break
        wrong += [*merging(h), *full_disk(h), *full_table(h)]
        if h.daemon or h.started:
            h.stop()
    if len(FAULTS) - absent < 12:
        wrong.append(f"only {len(FAULTS) - absent} faults were tried")
    for w in wrong:
        print(f"FAIL: {w}")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failed, labs.LabError, OSError) as e:
        sys.exit(f"FAIL: {e}")
