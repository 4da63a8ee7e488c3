# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured: the bare loop, ctflowd's stacks and ulogd2's."""
import os
import signal
import sqlite3
import subprocess
import time

import lab as labs
from ipfix_wire import Reader, messages
from tables import TABLES

TAIL = {
    "LOGEMU": ("ip:IP2STR,pf:PRINTFLOW,out:LOGEMU", 'file="{dir}/out"\n'),
    "GPRINT": ("ip:IP2STR,out:GPRINT", 'file="{dir}/out"\n'),
    "JSON": ("ip:IP2STR,out:JSON", 'file="{dir}/out"\n'),
    "SQLITE3": ("out:SQLITE3", 'db="{dir}/out.db"\ntable="{table}"\n'),
    "IPFIX": ("out:IPFIX", 'oid=1\nhost="127.0.0.1"\nport=4739\nproto="tcp"\n{ipfix}'),
}
# Little memory, so that the spool is not only written but read as well.
TAIL["SPOOL"] = (TAIL["IPFIX"][0], TAIL["IPFIX"][1] + 'queue=2M\nspool_dir="{dir}/spool"\n')

PEN = 32473  # reserved for examples; with one the templates are full
NAT_TEMPLATE = 257  # all elements of an IPv4 flow and what it became
NAT = """table ip ctlnat {
  chain post {
   type nat hook postrouting priority srcnat; oifname "ctl-out" snat to 10.66.0.2;
  }
 }"""

SECTIONS = "[ct1]\nhash_enable=0\nevent_mask=4\nnetlink_socket_buffer_size={buf}\n" \
    "netlink_socket_buffer_maxsize={max}\n{extra}[ip]\n[pf]\n[out]\n"


def configuration(kind, directory, buf, ours):
    """A configuration both daemons can run, apart from the noted keys."""
    stack, options = TAIL[kind]
    text = f'[global]\nlogfile="{directory}/log"\n'
    if ours:
        text += f'state_dir="{directory}/state"\n'
    else:
        text += "".join(f'plugin="{p}"\n' for p in ulogd_plugins(kind))
    text += f"stack=ct1:NFCT,{stack}\n"
    text += SECTIONS.format(buf=buf, max=buf + 4096, extra="")
    return text + options.format(dir=directory, table="flows" if ours else "ulog_ct",
                                 ipfix=f"pen={PEN}\n" if ours else "mtu=1400\n")


def ulogd_plugins(kind):
    where = "/usr/lib/x86_64-linux-gnu/ulogd"
    names = ["inpflow_NFCT", "filter_IP2STR", "filter_PRINTFLOW", f"output_{kind}"]
    return [f"{where}/ulogd_{n}.so" for n in names]


class Setup:
    """One reader in a namespace of its own; lives through all rounds."""

    def __init__(self, bench, name, kind, program):
        self.name, self.kind, self.program = name, kind, program
        self.bench, self.lab = bench, bench.lab
        self.ours = not name.startswith("ulogd2")
        self.ns = name
        self.dir = os.path.join(bench.tmp, name.replace("/", "-"))
        self.costs, self.beside = [], []  # and what the bare loop took then
        self.child = self.sink = None
        self.seen = 0

    def start(self, fresh=True):
        """Starts the reader, in a fresh namespace unless told otherwise."""
        os.mkdir(self.dir)
        if fresh:
            labs.flood_ns(self.lab, self.ns)
            self.lab.nft(self.ns, NAT)
        log = open(os.path.join(self.dir, "stderr"), "wb")
        if self.kind == "bare":
            self.child = self.lab.popen(self.ns, [self.program, str(self.bench.buf)],
                                        stdout=log, stderr=log)
        else:
            self._start_daemon(log)
        log.close()
        self._wait_listening()

    def _start_daemon(self, log):
        if self.kind in ("IPFIX", "SPOOL"):
            self.sink = TcpSink(self.lab, self.ns, os.path.join(self.dir, "out"), self.ours)
        if self.kind == "SQLITE3" and not self.ours:
            with sqlite3.connect(os.path.join(self.dir, "out.db")) as db:
                db.execute(TABLES["ulog_ct"])
        conf = os.path.join(self.dir, "conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write(configuration(self.kind, self.dir, self.bench.buf, self.ours))
        self.child = self.lab.popen(self.ns, [self.program, "-c", conf],
                                    stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _wait_listening(self):
        """The DESTROY group (bit 4 of the mask) has a member."""
        for _ in range(200):
            if self.child.poll() is not None:
                raise RuntimeError(f"{self.name} ended: {self._words()}")
            if any(int(s[3], 16) & 4 for s in self.netlink()):
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} does not listen: {self._words()}")

    def stop(self):
        """Stops all its threads, and waits until they have stopped."""
        self.child.send_signal(signal.SIGSTOP)
        tasks = f"/proc/{self.child.pid}/task"
        for _ in range(1000):
            if all(self._state(f"{tasks}/{t}/stat") == "T" for t in os.listdir(tasks)):
                return
            time.sleep(0.005)
        raise RuntimeError(f"{self.name} does not stop")

    @staticmethod
    def _state(path):
        with open(path, encoding="ascii", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[0]

    def _words(self):
        text = ""
        for name in ("log", "stderr"):
            path = os.path.join(self.dir, name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as f:
                    text += f.read()[-600:]
        return text

    def netlink(self):
        """Netfilter sockets of the namespace, as columns of /proc/net/netlink."""
        lines = self.lab.read(self.ns, "/proc/thread-self/net/netlink").splitlines()[1:]
        return [c for c in map(str.split, lines) if c[1] == "12"]

    def queued(self):
        return sum(int(c[4]) for c in self.netlink())

    def drops(self):
        return sum(int(c[8]) for c in self.netlink())

    def cpu(self):
        """User and system time of the whole process in ns."""
        return time.clock_gettime_ns((~self.child.pid << 3) | 2)

    def spooled(self):
        """Bytes its spool holds."""
        top = os.path.join(self.dir, "spool")
        return sum(os.path.getsize(os.path.join(where, name))
                   for where, _, names in os.walk(top) for name in names)

    def delivered(self):
        """Records that have reached the output since the last call."""
        path = os.path.join(self.dir, "out")
        if self.kind == "bare":
            return None
        if self.kind == "SQLITE3":
            with sqlite3.connect(path + ".db", timeout=10) as db:
                table = "flows" if self.ours else "ulog_ct"
                total = db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            new, self.seen = total - self.seen, total
            return new
        if self.sink:
            return self.sink.records()
        with open(path, "rb") as f:
            new = sum(chunk.count(b"\n") for chunk in iter(lambda: f.read(1 << 20), b""))
        os.truncate(path, 0)
        return new


class TcpSink:
    """A collector of its own process: it only writes down what it reads.

    Collectors are on other machines; here it would take the second core, and the
    caches, from who is measured.  So it is held meanwhile, and its socket has
    room for all there is.
    """

    ROOM = 128 << 20  # bytes
    CODE = ("import socket,sys\n"
            "s=socket.create_server(('127.0.0.1',4739))\n"
            f"s.setsockopt(socket.SOL_SOCKET,33,{ROOM})\n"  # SO_RCVBUFFORCE
            "print('up',flush=True)\nf=open(sys.argv[1],'wb',0)\n"
            "while 1:\n c=s.accept()[0]\n while 1:\n"
            "  b=c.recv(1<<20)\n  if not b: break\n  f.write(b)\n")

    def __init__(self, lab, ns, path, full):
        self.lab, self.ns, self.path, self.full = lab, ns, path, full
        lab.run(ns, "sysctl", "-qw", f"net.ipv4.tcp_rmem=4096 131072 {self.ROOM}")
        self.begin()

    def begin(self):
        """Listens; its session begins with templates."""
        self.child = self.lab.popen(self.ns, ["python3", "-c", self.CODE, self.path],
                                    stdout=subprocess.PIPE)
        self.child.stdout.readline()
        self.at, self.rest = 0, b""
        self.reader = Reader()

    def hold(self):
        self.child.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.child.send_signal(signal.SIGCONT)

    def end(self):
        """Goes away; it has read all there was, so its end is a FIN."""
        self.child.kill()
        self.child.wait()

    def records(self):
        """Flow records that have come since the last call, in whole messages."""
        with open(self.path, "rb") as f:
            f.seek(self.at)
            new = self.rest + f.read()
            self.at = f.tell()
        whole = 0
        while len(new) - whole >= 4:
            length = int.from_bytes(new[whole + 2:whole + 4], "big")
            if length > len(new) - whole:
                break
            whole += length
        self.rest = new[whole:]
        total = sum(self.reader.count(m) for m in messages(new[:whole]))
        if self.full and set(self.reader.seen) - {NAT_TEMPLATE}:
            raise RuntimeError(f"flows in other than the NAT template: {self.reader.seen}")
        return total
