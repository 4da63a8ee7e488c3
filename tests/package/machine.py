# SPDX-License-Identifier: GPL-2.0-or-later
"""A root folder booted with its own systemd, in one of a lab's network namespaces."""
import contextlib
import os
import signal
import subprocess

from daemon import until

ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive",
       "LC_ALL": "C.UTF-8"}


class Machine:
    """Up until the lab ends; what runs inside is gone with it."""

    def __init__(self, lab, ns, root):
        self.root, self.log, self.first = root, f"{root}.boot.log", None
        lab.undo.append(self.end)
        with open(self.log, "wb") as log:
            self.child = lab.popen(None, ["systemd-nspawn", "-q", "-D", root, "--keep-unit",
                                          "--register=no", "--capability=CAP_NET_ADMIN",
                                          f"--network-namespace-path={lab.path(ns)}", "--boot"],
                                   env=os.environ | {"SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"},
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until("a booted system", self.booted, limit=300, step=0.2)

    def booted(self):
        if self.child.poll() is not None:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                raise AssertionError(f"systemd-nspawn: {f.read()}")
        return self.init() and self.run("systemctl", "is-system-running",
                                        check=False).strip() in ("running", "degraded")

    def init(self):
        """The host's number of its process 1; None: there is none yet."""
        pid = self.child.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            children = f.read().split()
        self.first = int(children[0]) if children else None
        return children[0] if children else None

    def end(self):
        """All that runs inside goes with its process 1, which outlives systemd-nspawn."""
        if self.first:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.first, signal.SIGKILL)

    def run(self, *argv, check=True, online=False):
        """A command inside; online: with the network that packages come from."""
        spaces = ["-m", "-u", "-i", "-p", "-C", "-r", "-w"] + ([] if online else ["-n"])
        env = ENV | {k: v for k, v in os.environ.items() if k.endswith("_proxy")}
        done = subprocess.run(["nsenter", "-t", self.init(), *spaces, *argv], env=env, text=True,
                              capture_output=True, timeout=300, check=False)
        assert done.returncode == 0 or not check, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout

    def id(self, option, name):
        return int(self.run("id", option, name))


class Service:
    """A service of that machine."""

    def __init__(self, machine, name):
        self.machine, self.name = machine, name

    def control(self, verb, *more):
        self.machine.run("systemctl", verb, *more, self.name)

    def show(self, key):
        return self.machine.run("systemctl", "show", "-P", key, self.name).strip()

    def status(self, key):
        """Words of a line of its main process's /proc/PID/status."""
        text = self.machine.run("cat", f"/proc/{self.show('MainPID')}/status")
        return next(line.split(":", 1)[1].split() for line in text.splitlines()
                    if line.startswith(f"{key}:"))

    def journal(self):
        return self.machine.run("journalctl", "-q", "-o", "cat", "-u", self.name)
