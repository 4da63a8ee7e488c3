# SPDX-License-Identifier: GPL-2.0-or-later
"""ulogd2 2.0.8 beside ctflowd: started, and its lines compared with ours.

Lines may differ only in what plain() takes out: the second of logging, the start
of a flow (ulogd2 looks at its own clock), and ulogd2's defects.
"""
import collections
import glob
import os
import re
import shutil
import socket
import threading

import lab as labs
from daemon import Daemon, until

MODULES = glob.glob("/usr/lib/*/ulogd/ulogd_*_*.so")


def need(*modules):
    """Skips where ulogd2 or one of these plugins is not installed."""
    os.environ["PATH"] += ":/usr/sbin"
    missing = [m for m in modules if not any(f"_{m}.so" in there for there in MODULES)]
    if missing or not shutil.which("ulogd"):
        labs.skip(f"needs ulogd2 {' '.join(missing)}")
    labs.away_from_midnight(300)  # lines have a date


# When it was logged, behind the date.
LOGGED = re.compile(r'^(?P<a>\w{3} .\d )(\d\d):(\d\d):(\d\d)|'
                    r'(?P<b>timestamp(?:": "|=)[^,]*?)(\d\d):(\d\d):(\d\d)(?:[+-]\d{4})?')
NEAR = 60  # seconds between what both take for that


def plain(line, theirs):
    line = LOGGED.sub(lambda m: m["a"] or m["b"], line)
    line = re.sub(r'flow\.start\.sec\D+\d+,[ "]*flow\.start\.usec\D+\d+', "start", line)
    line = re.sub(r'"?icmpv6\.(code|type)\D+\d+, ?', "", line)  # only since 2.0.9
    if theirs:  # has them exchanged
        line = re.sub(r"TYPE=(\d+) CODE=(\d+)", r"TYPE=\2 CODE=\1", line)
    if "oob.family=10" in line:  # GPRINT takes it for IPv4
        line = re.sub(r"\.ip\.([sd]addr)=[^,]*", r".ip.\1=", line)
    return line


def logged(line):
    """The second of the day at which that was."""
    found = LOGGED.search(line)
    clock = [int(g) for g in found.groups() if g and g.isdigit()] if found else [0, 0, 0]
    return clock[0] * 3600 + clock[1] * 60 + clock[2]


def late(theirs, ours):
    """Lines of both that were not logged at about the same time."""
    when = [collections.defaultdict(list) for _ in range(2)]
    for i, text in enumerate((theirs, ours)):
        for line in text.splitlines():
            when[i][plain(line, i == 0)].append(logged(line))
    for line, times in when[0].items():
        if any(NEAR < abs(a - b) for a, b in zip(sorted(times), sorted(when[1][line]))):
            yield f"{line}: at {times} and {when[1][line]}"


def differences(name, theirs, ours):
    yield from (f"{name}, {w}" for w in list(late(theirs, ours))[:3])
    a, b = (collections.Counter(plain(ln, i == 0) for ln in t.splitlines())
            for i, t in enumerate((theirs, ours)))
    if not a:
        yield f"{name}: ulogd2 wrote nothing, the test shows nothing"
    for who, lines in (("ulogd2", a - b), ("ctflowd", b - a)):
        yield from (f"{name}, only {who}: {ln}" for ln in list(lines.elements())[:3])


class SysLog(threading.Thread):
    """A /dev/log of its own for one daemon."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.dev = f"{folder}/dev"
        os.mkdir(self.dev)
        for name, minor in (("null", 3), ("random", 8), ("urandom", 9)):
            os.mknod(f"{self.dev}/{name}", 0o20666, os.makedev(1, minor))
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"{self.dev}/log")
        self.messages = []
        self.start()

    def run(self):
        while True:
            self.messages.append(self.socket.recv(65536).decode(errors="replace").rstrip("\0\n"))

    def command(self, argv):
        """The same command with that folder as its /dev."""
        return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /dev && exec "$@"', self.dev,
                *argv]

    def flows(self):
        """What is about flows: the priority and the text, without program and process."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"the end", f"{self.dev}/log")
        until("all messages", lambda: self.messages[-1:] == ["the end"], step=0.01)
        found = (re.match(r"(<\d+>)\w{3} .\d [\d:]{8} [^:]*: (.*)", m) for m in self.messages)
        return "\n".join(m[1] + m[2] for m in found if m and "ORIG: " in m[2])


class Beside(Daemon):
    """ctflowd with a file that exists, and a /dev/log of its own."""

    def __init__(self, lab, ns, folder, conf, syslog):
        with open(conf, encoding="utf-8") as f:
            words = f.read()
        super().__init__(lab, ns, folder, words, name=os.path.basename(conf))
        self.syslog = syslog

    def command(self, argv):
        return self.syslog.command(argv)
