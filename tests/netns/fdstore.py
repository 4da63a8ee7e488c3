# SPDX-License-Identifier: GPL-2.0-or-later
"""The service manager's side of a restart: NOTIFY_SOCKET, fd store, LISTEN_FDS.

A Manager keeps descriptors for one service as systemd does: a duplicate of
one it has is not stored again, what is stored is handed to every start, and
all of it is closed when the service is stopped for good.
"""
import array
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading

from daemon import Daemon, Failed, binary, build_dir, until

FIRST = 3  # the first descriptor a service is handed


class Manager:
    """Reads a service's datagrams on a thread."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "notify")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.lock = threading.Lock()
        self.store = []  # (name, fd)
        self.said = []  # lines of all datagrams
        self.marks = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            data, control, _, _ = self.sock.recvmsg(8192, socket.CMSG_SPACE(16 * 4))
            fds = array.array("i")
            for _, _, value in control:
                fds.frombytes(value[:len(value) // 4 * 4])
            with self.lock:
                self._obey(dict(line.split("=", 1) for line in data.decode().split("\n")
                                if "=" in line), list(fds))

    def _obey(self, said, fds):
        self.said += [f"{k}={v}" for k, v in said.items()]
        name = said.get("FDNAME", "stored")
        if said.get("FDSTOREREMOVE") == "1":
            for entry in [e for e in self.store if e[0] == name]:
                os.close(entry[1])
                self.store.remove(entry)
        for fd in fds:
            same = [e for e in self.store
                    if os.path.sameopenfile(e[1], fd)]
            if said.get("FDSTORE") == "1" and not same:
                os.set_inheritable(fd, False)
                self.store.append((name, fd))
            else:
                os.close(fd)  # a barrier ends here, too

    def catch_up(self):
        """All that was sent until now is obeyed: datagrams come in order."""
        self.marks += 1
        line = f"MARK={self.marks}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(line.encode(), self.path)
        until("the manager to catch up", lambda: self.heard(line), step=0.002)

    def names(self):
        with self.lock:
            return sorted(name for name, _ in self.store)

    def heard(self, line):
        with self.lock:
            return line in self.said

    def forget_said(self):
        with self.lock:
            self.said.clear()

    def put(self, name, fd):
        """Something the service never asked to keep."""
        with self.lock:
            self.store.append((name, fd))

    def copy(self, name):
        """A duplicate of what is stored by that name."""
        with self.lock:
            return next(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
                        for n, fd in self.store if n == name)

    def drop_all(self):
        """A stop: nothing is kept."""
        with self.lock:
            for _, fd in self.store:
                os.close(fd)
            self.store.clear()


class Service(Daemon):
    """A ctflowd that a Manager starts."""

    def __init__(self, lab, ns, directory, conf, manager, args=()):
        super().__init__(lab, ns, directory, conf)
        self.manager, self.args = manager, args

    def start(self, *args, wait=True):
        m = self.manager
        m.catch_up()
        with m.lock:
            store = [(name, fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100))
                     for name, fd in m.store]
        m.forget_said()
        env = self.environment() | {"NOTIFY_SOCKET": m.path,
                                    "LISTEN_FDNAMES": ":".join(n for n, _ in store)}
        with open(os.path.join(self.dir, "stdout"), "ab") as out, \
                open(os.path.join(self.dir, "stderr"), "ab") as err:
            self.child = self.lab.popen(
                self.ns, [sys.executable, "-B", "-S", "-E", os.path.abspath(__file__),
                          ",".join(str(fd) for _, fd in store),
                          binary(), "-c", self.conf, *self.args, *args],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=build_dir(), env=env,
                pass_fds=[fd for _, fd in store])
        for _, fd in store:
            os.close(fd)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        def ready():
            if self.child.poll() is not None:
                raise Failed(f"ctflowd ended with {self.child.returncode}: {self.words()}")
            return self.manager.heard("READY=1")
        until("ctflowd to be ready", ready)

    def hand_over(self):
        """As systemctl restart ends it."""
        self.stop(signal.SIGTERM)
        self.manager.catch_up()
        if not self.manager.heard("STOPPING=1"):
            raise Failed("it did not say that it stops")

    def restart(self):
        self.hand_over()
        self.start()


def _become(fds, argv):
    """In the child: descriptors in place, and who they are for."""
    for at, fd in enumerate(fds):
        os.dup2(fd, FIRST + at)
    if fds:
        os.environ["LISTEN_PID"] = str(os.getpid())
        os.environ["LISTEN_FDS"] = str(len(fds))
    else:
        del os.environ["LISTEN_FDNAMES"]
    os.execv(argv[0], argv)


if __name__ == "__main__":
    _become([int(n) for n in sys.argv[1].split(",") if n], sys.argv[2:])
