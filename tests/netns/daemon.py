# SPDX-License-Identifier: GPL-2.0-or-later
"""ctflowd under test: found, configured, started, watched and stopped."""
import contextlib
import glob
import os
import re
import signal
import subprocess
import time

LIMIT = 100.0  # seconds: what takes longer on a slow and busy machine does not happen
SANITIZER = ("AddressSanitizer", "LeakSanitizer", "runtime error:", "ThreadSanitizer")


class Failed(Exception):
    """The daemon did not do what it should."""


def build_dir():
    """make check runs the tests in the build tree."""
    return os.path.abspath(os.environ.get("CTF_BUILD", "."))


def binary():
    path = os.path.join(build_dir(), "ctflowd")
    if not os.access(path, os.X_OK):
        raise Failed(f"no {path}: run in the build tree, or set CTF_BUILD")
    return path


def until(what, condition, limit=LIMIT, step=0.05):
    """Waits for a condition; its value, or Failed naming what it waited for."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"waited {limit:.0f} s for {what}")
        time.sleep(step)


def has_read_all(lab, ns, pid):
    """Nothing is queued for a netlink socket there, and it waits for more; not for a lock."""
    rows = map(str.split, lab.read(ns, "/proc/thread-self/net/netlink").splitlines()[1:])
    return all(r[4] == "0" for r in rows) and \
        "\nState:\tS" in text(f"/proc/{pid}/status") and "futex" not in text(f"/proc/{pid}/wchan")


def read_all(lab, ns, pid):
    """Waits for that."""
    for _ in range(2):
        until(f"process {pid} to have read all", lambda: has_read_all(lab, ns, pid), step=0.01)


def spool_bytes(folder):
    """Of all segments."""
    total = 0
    for path in glob.glob(f"{folder}/*/*.seg") + glob.glob(f"{folder}/*/*.open"):
        with contextlib.suppress(FileNotFoundError):
            total += os.stat(path).st_size
    return total


def lines(path):
    """How many whole lines a file has; 0 while it is not there."""
    if not os.path.exists(path):
        return 0
    with open(path, "rb") as f:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: f.read(1 << 20), b""))


def text(path):
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def configuration(directory, stacks, sections, loglevel=3):
    """Text of a configuration; sections: {id: "key=value\\n..."}."""
    out = (f'[global]\nlogfile="{directory}/log"\nloglevel={loglevel}\n'
           f'state_dir="{directory}/state"\n')
    out += "".join(f'stack="{s}"\n' for s in stacks)
    for name in {i.split(":")[0]: 0 for s in stacks for i in s.split(",")}:
        out += f"\n[{name}]\n{sections.get(name, '')}"
    return out


class Daemon:
    """One ctflowd in a namespace of the lab (None: where the test runs)."""

    def __init__(self, lab, ns, directory, conf, name="conf", program=None):
        self.lab, self.ns, self.dir = lab, ns, directory
        self.program = program or binary()
        self.conf = os.path.join(directory, name)
        self.child = None
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(conf)

    def command(self, argv):
        """What is run for it; others put something before it."""
        return argv

    @staticmethod
    def environment():
        """Without the sanitizer's quarantine, which looks like a leak."""
        asan = os.environ.get("ASAN_OPTIONS", "")
        return os.environ | {"ASAN_OPTIONS": f"{asan}:quarantine_size_mb=4"}

    def start(self, *args, wait=True):
        with open(os.path.join(self.dir, "stdout"), "ab") as out, \
                open(os.path.join(self.dir, "stderr"), "ab") as err:
            self.child = self.lab.popen(self.ns, self.command([self.program, "-c", self.conf,
                                                               *args]),
                                        stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                        cwd=build_dir(), env=self.environment() | {
                                            "STATE_DIRECTORY": f"{self.dir}/state"})
        if wait:
            self.wait_listening()
        return self

    @property
    def pid(self):
        return self.child.pid

    def netlink(self):
        """Netfilter sockets of the namespace: columns of /proc/net/netlink."""
        rows = self.lab.read(self.ns, "/proc/thread-self/net/netlink").splitlines()[1:]
        return [r for r in map(str.split, rows) if r[1] == "12"]

    def wait_listening(self):
        """Until somebody is in the group of DESTROY events."""
        def listening():
            if self.child.poll() is not None:
                raise Failed(f"ctflowd ended with {self.child.returncode}: {self.words()}")
            return any(int(r[3], 16) & 4 for r in self.netlink())
        until("ctflowd to listen", listening)

    def log(self):
        return text(os.path.join(self.dir, "log"))

    def words(self):
        """All it has said anywhere, for messages."""
        return "\n".join(text(os.path.join(self.dir, n))
                         for n in ("log", "stdout", "stderr"))[-3000:]

    def wait_log(self, words, limit=LIMIT):
        until(f"'{words}' in the log of:\n{self.words()}", lambda: words in self.log(), limit)

    def status(self, key):
        """A line of /proc/PID/status."""
        for line in text(f"/proc/{self.pid}/status").splitlines():
            if line.startswith(key + ":"):
                return line.split(":", 1)[1].strip()
        raise Failed(f"no {key} in the status of process {self.pid}")

    def send(self, number):
        self.child.send_signal(number)

    def statistic(self, who, name):
        """The newest number in its log; it is asked for another one."""
        self.send(signal.SIGUSR1)
        found = re.findall(rf"{who}: statistics:.* {name}=(\d+)", self.log())
        return int(found[-1]) if found else 0

    def await_spool(self, who, count, folder):
        """Until all of so many flows of this run have come to the disk."""
        until(f"{count} flows at {who}", lambda: self.statistic(who, "records") >= count, step=0.2)
        sizes = []

        def rests():  # for longer than a frame stays open
            sizes.append(spool_bytes(folder))
            return sizes[-1] and sizes[-8:] == 8 * [sizes[-1]]
        until("the spool to rest", rests, step=0.3)

    def wait(self, limit=LIMIT):
        """Its exit code; kills it and fails when it does not end."""
        try:
            return self.child.wait(limit)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise Failed(f"ctflowd did not end: {self.words()}") from None

    def stop(self, number=signal.SIGTERM, limit=LIMIT):
        """Ends it in order; anything but exit code 0 is a failure."""
        self.send(number)
        code = self.wait(limit)
        self.check_sanitizer()
        if code != 0:
            raise Failed(f"exit code {code} after signal {number}: {self.words()}")

    def check_sanitizer(self):
        words = self.words()
        if any(s in words for s in SANITIZER):
            raise Failed(f"sanitizer report: {words}")


class Unnamed(Daemon):
    """Whose name server never answers: who asks outlives the start."""

    def command(self, argv):
        path = f"{self.dir}/resolv.conf"
        with open(path, "w", encoding="utf-8") as f:
            f.write("nameserver 10.66.9.9\noptions timeout:30 attempts:5\n")
        return ["unshare", "-m", "sh", "-c", f'mount --bind {path} /etc/resolv.conf && exec "$@"',
                "sh", *argv]
