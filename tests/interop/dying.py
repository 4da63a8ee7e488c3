# SPDX-License-Identifier: GPL-2.0-or-later
"""Collectors that read slowly and die, flows meanwhile, and what came of it."""
import os
import subprocess
import sys
import threading

import lab as labs
from daemon import until

HERE = os.path.dirname(os.path.abspath(__file__))
BURST, RATE = 2000, 20000  # flows, a second
RCVBUF = 64 << 10  # of a collector; the kernel makes it the double: no window is larger


class Load(threading.Thread):
    """Flows, one burst after the other, while anything else goes on."""

    def __init__(self, lab, ns, tmp):
        super().__init__(daemon=True)
        self.lab, self.ns, self.flood, self.made = lab, ns, labs.helper("flood", tmp), 0
        self.enough = threading.Event()

    def run(self):
        while not self.enough.is_set():
            self.lab.run(self.ns, self.flood, str(BURST), str(RATE), str(self.made))
            self.lab.run(self.ns, "conntrack", "-F")
            self.made += BURST

    def stop(self):
        self.enough.set()
        self.join(200)


class Collectors:
    """One after the other on the same port, each with a folder of its own.

    program: of slow_collector.py's kind, and its first arguments if it has others.
    """

    def __init__(self, lab, ns, port, directory, program=(f"{HERE}/slow_collector.py",)):
        self.lab, self.ns, self.port, self.dir = lab, ns, port, directory
        self.program, self.child, self.number = program, None, 0

    def start(self, chunk, pause):
        where = f"{self.dir}/{self.number:03d}"
        self.number += 1
        os.makedirs(where)
        self.child = self.lab.popen(self.ns, [
            sys.executable, "-B", *self.program, str(self.port), where, str(chunk), str(pause),
            str(RCVBUF)])
        until("a session", lambda: os.listdir(where))

    def end(self, number):
        self.child.send_signal(number)
        self.child.wait(100)

    def unread(self):
        """Bytes that the kernel holds for it, as /proc/net/tcp has it."""
        sum_ = 0
        for line in self.lab.read(self.ns, "/proc/thread-self/net/tcp").splitlines()[1:]:
            local, _, state, queues = line.split()[1:5]
            if int(local.split(":")[1], 16) == self.port and state == "01":
                sum_ += int(queues.split(":")[1], 16)
        return sum_

    def sessions(self):
        """Paths, in the order in which they were begun."""
        return [os.path.join(at, f) for at, _, files in sorted(os.walk(self.dir))
                for f in sorted(files)]


def whole(path):
    """The whole messages of a session: where it was killed one is torn."""
    with open(path, "rb") as f:
        data = f.read()
    at = 0
    while at + 4 <= len(data) and at + int.from_bytes(data[at + 2:at + 4], "big") <= len(data):
        at += int.from_bytes(data[at + 2:at + 4], "big")
    return data[:at]


def checked(path):
    done = subprocess.run([sys.executable, "-B", f"{HERE}/ipfix_check.py", "--torn", "--tcp",
                           path], capture_output=True, text=True, timeout=300, check=False)
    return [f"{path}: {w}" for w in done.stdout.splitlines()] if done.returncode else []


def identity(rows):
    """Of flows of flood: nothing but the destination differs."""
    return [(r.dst, r.dport) for r in rows]
