# SPDX-License-Identifier: GPL-2.0-or-later
"""A daemon that is told to read its configuration again while flows end."""
import glob
import os
import signal

from daemon import Daemon, configuration, lines, until
from fdstore import Manager, Service
from numbered import Flows, in_text

HUP = signal.SIGHUP
TEXT = "ct1:NFCT,ip1:IP2STR,print1:PRINTFLOW,{}:LOGEMU"
ENDS = ("the new configuration is in force", "all goes on as before",
        "the configuration has not changed")


class Reloaded:
    """A daemon, what it is told, and what it said."""

    def __init__(self, lab, ns, tmp, name, stacks, sections, args=(), manager=False, options="",
                 kind=Daemon):
        self.dir = os.path.join(tmp, name)
        os.mkdir(self.dir)
        os.chmod(self.dir, 0o777)
        self.lab, self.ns, self.options = lab, ns, options
        conf = self.conf(stacks, sections)
        if manager:
            self.daemon = Service(lab, ns, self.dir, conf, Manager(self.dir), args)
            self.daemon.start()
        else:
            self.daemon = kind(lab, ns, self.dir, conf)
            self.daemon.start(*args)
        self.flows = Flows(lab, ns)

    def conf(self, stacks, sections):
        return configuration(self.dir, stacks, {
            i: s.replace("%D", self.dir) for i, s in sections.items()}).replace(
                "[global]\n", "[global]\n" + self.options)

    def write(self, words):
        with open(self.daemon.conf + ".new", "w", encoding="utf-8") as f:
            f.write(words)
        os.rename(self.daemon.conf + ".new", self.daemon.conf)

    def ended(self):
        log = self.daemon.log()
        return [log.count(words) for words in ENDS]

    def hup(self):
        """Which of ENDS it came to."""
        before = self.ended()
        self.daemon.send(HUP)
        until(f"the reload to end:\n{self.daemon.words()}",
              lambda: sum(self.ended()) > sum(before), step=0.01)
        return [b - a for a, b in zip(before, self.ended())].index(1)

    def change(self, stacks, sections):
        self.write(self.conf(stacks, sections))
        return self.hup()

    def must(self, end, stacks, sections):
        got = self.change(stacks, sections)
        if got != end:
            raise AssertionError(f"'{ENDS[got]}', not '{ENDS[end]}':\n{self.daemon.words()}")

    def has(self, path, count):
        until(f"{count} lines in {path}:\n{self.daemon.words()}",
              lambda: sum(map(lines, glob.glob(f"{self.dir}/{path}"))) >= count)

    def text(self, path):
        return [i for p in sorted(glob.glob(f"{self.dir}/{path}")) for i in in_text(p)]

    def open_files(self):
        """What stays open whatever is reloaded: databases, sessions, the event socket."""
        folder = f"/proc/{self.daemon.pid}/fd"
        links = {fd: os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder)
                 if os.path.islink(f"{folder}/{fd}")}
        tcp = {f"socket:[{r.split()[9]}]" for r in
               self.lab.read(self.ns, "/proc/thread-self/net/tcp").splitlines()[1:]}
        events = [r[2] for r in self.daemon.netlink() if int(r[3], 16) & 4]
        return ({fd: to for fd, to in links.items() if to.endswith("/flows.db") or to in tcp},
                events)

    def beside(self, stacks, sections, path="emu"):
        """A change; whether flows that end meanwhile are delivered before it is in force."""
        heard = "signal received, reopening"
        before, told, had = self.ended(), self.daemon.log().count(heard), len(self.text(path))
        self.write(self.conf(stacks, sections))
        self.daemon.send(HUP)
        until("it to be heard", lambda: self.daemon.log().count(heard) > told, step=0.005)
        self.flows.make(10)
        until("the flows", lambda: len(self.text(path)) >= had + 10, step=0.005)
        first = self.ended() == before
        until(f"the reload to end:\n{self.daemon.words()}", lambda: self.ended() != before)
        if self.ended()[0] == before[0]:
            raise AssertionError(f"not in force:\n{self.daemon.words()}")
        return first
