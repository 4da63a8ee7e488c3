# SPDX-License-Identifier: GPL-2.0-or-later
"""Network namespaces for tests.

The namespaces have no name in /run/netns: they exist as file descriptors of
this process and of what it started, so they vanish with it whatever kills it.
One thread can hold sockets in all of them (Lab.socket), which is what makes
traffic with exact counts and times simple.
"""
import atexit
import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
SIOCETHTOOL = 0x8946
# Segmentation and receive offloads: packets on the wire = packets counted.
ETHTOOL_OFF = (0x1F, 0x24, 0x2C, 0x17)  # STSO SGSO SGRO STXCSUM

_libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """Something the lab needs is not there; says what."""


def in_ci():
    return os.environ.get("CI", "") not in ("", "0", "false")


def skip(why):
    """Ends the test as skipped; in CI a skip is a failure."""
    print(f"SKIP: {why}" if not in_ci() else f"FAIL: {why} (and this is CI)")
    sys.exit(1 if in_ci() else 77)


def need_root():
    """Skips unless namespaces can be made."""
    if os.geteuid() != 0:
        skip("needs root for network namespaces")
    for tool in ("ip", "nft", "nsenter", "conntrack"):
        if not any(os.access(os.path.join(d, tool), os.X_OK)
                   for d in (os.environ["PATH"] + ":/usr/sbin:/sbin").split(":")):
            skip(f"needs the program {tool}")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if _libc.unshare(0) != 0:
        skip("cannot unshare namespaces")


_host = []  # the descriptor that holds the lock


def host_lock(exclusive=False):
    """Until the process ends: tests that change host-wide values run alone."""
    if not _host:
        folder = "/run/lock" if os.path.isdir("/run/lock") else "/tmp"
        _host.append(os.open(f"{folder}/ctflowd-tests.lock", os.O_RDWR | os.O_CREAT, 0o600))
    elif not exclusive:
        return
    fcntl.flock(_host[0], fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)


def _call(what, result):
    if result != 0:
        err = ctypes.get_errno()
        raise LabError(f"{what}: {os.strerror(err)}")


def _child_setup():
    """In a child: dies with the test."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _terminated(signum, _frame):
    sys.exit(128 + signum)


class Lab:
    """Namespaces and processes that are gone when the with block ends."""

    def __init__(self):
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.ns = {}
        self.children = []
        self.undo = []
        signal.signal(signal.SIGTERM, _terminated)
        signal.signal(signal.SIGHUP, _terminated)
        atexit.register(self.close)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends children, undoes host-wide changes, drops the namespaces."""
        for child in reversed(self.children):
            if child.poll() is None:
                child.send_signal(signal.SIGCONT)
                child.kill()
                child.wait()
        self.children.clear()
        while self.undo:
            self.undo.pop()()
        for fd in self.ns.values():
            os.close(fd)
        self.ns.clear()

    def add_named(self, name):
        """Makes a namespace with a name in /run/netns, as ip-netns(8) does."""
        self.run(None, "ip", "netns", "add", name)
        self.undo.append(lambda: self.run(None, "ip", "netns", "del", name, check=False))
        self.ns[name] = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)

    def delete_named(self, name):
        """Removes its name and what else keeps it alive here."""
        os.close(self.ns.pop(name))
        self.run(None, "ip", "netns", "del", name)

    def add(self, name):
        """Makes a namespace with its loopback up."""
        try:
            _call("unshare", _libc.unshare(CLONE_NEWNET))
            self.ns[name] = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            _call("setns", _libc.setns(self.home, CLONE_NEWNET))
        self.run(name, "ip", "link", "set", "lo", "up")

    class _Inside:
        def __init__(self, lab, name):
            self.fd, self.home = lab.ns[name], lab.home

        def __enter__(self):
            _call("setns", _libc.setns(self.fd, CLONE_NEWNET))

        def __exit__(self, *_):
            _call("setns", _libc.setns(self.home, CLONE_NEWNET))

    def inside(self, name):
        """With block whose thread is in that namespace."""
        return self._Inside(self, name)

    def path(self, name):
        """A path other programs can open while this process lives."""
        return f"/proc/{os.getpid()}/fd/{self.ns[name]}"

    def enter(self, name, argv):
        """The command that runs argv in a namespace (None: here)."""
        return ["nsenter", f"--net={self.path(name)}", "--", *argv] if name else list(argv)

    def run(self, name, *argv, stdin=None, check=True, timeout=100):
        """Runs a program in a namespace (None: here), returns its stdout."""
        done = subprocess.run(self.enter(name, argv), input=stdin, capture_output=True,
                              text=True, timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise LabError(f"{' '.join(argv)} in {name}: {done.stderr.strip()}")
        return done.stdout

    def popen(self, name, argv, **options):
        """Starts a program in a namespace; it ends with the lab."""
        child = subprocess.Popen(self.enter(name, argv), preexec_fn=_child_setup, **options)
        self.children.append(child)
        return child

    def socket(self, name, *args):
        """A socket that belongs to a namespace."""
        with self.inside(name):
            return socket.socket(*args)

    def sysctl(self, name, **values):
        """Sets net.netfilter.nf_conntrack_* of a namespace."""
        with self.inside(name):
            for key, value in values.items():
                with open(f"/proc/sys/net/netfilter/nf_conntrack_{key}", "w",
                          encoding="ascii") as f:
                    f.write(str(value))

    def read(self, name, path):
        """Reads a file of /proc or /sys as seen in a namespace."""
        with self.inside(name), open(path, encoding="ascii") as f:
            return f.read()

    def count(self, name):
        """How many conntrack entries a namespace has, dying ones included."""
        return int(self.read(name, "/proc/sys/net/netfilter/nf_conntrack_count"))

    def nft(self, name, rules):
        self.run(name, "nft", "-f", "-", stdin=rules)

    def no_offload(self, name, device):
        """Switches segmentation offloads off, as ethtool -K would."""
        with self.socket(name, socket.AF_INET, socket.SOCK_DGRAM) as s:
            for cmd in ETHTOOL_OFF:
                value = ctypes.create_string_buffer(struct.pack("II", cmd, 0))
                request = struct.pack("16sP", device.encode(), ctypes.addressof(value))
                fcntl.ioctl(s.fileno(), SIOCETHTOOL, request)


def away_from_midnight(seconds):
    """For who counts days, here and in UTC: it does not begin so shortly before the next one."""
    for clock in time.localtime, time.gmtime:
        now = clock()
        left = 86400 - now.tm_hour * 3600 - now.tm_min * 60 - now.tm_sec
        if left < seconds:
            time.sleep(left + 1)


def raise_conntrack_max(lab, least):
    """Makes the host-wide table large enough, and puts it back at the end."""
    path = "/proc/sys/net/netfilter/nf_conntrack_max"

    def write(value):
        with open(path, "w", encoding="ascii") as f:
            f.write(value)

    with open(path, encoding="ascii") as f:
        old = f.read()
    if int(old) < least:
        host_lock(exclusive=True)
        write(str(least))
        lab.undo.append(lambda: write(old))


def flood_ns(lab, name):
    """A namespace in which every UDP packet sent by flood becomes a flow."""
    lab.add(name)
    flood_inside(lab, name)


def flood_inside(lab, name):
    """The same in a namespace that exists.

    Without ARP the packets go to nobody: the far end drops them.  Every flow
    reports its end: with events=2 those begun while nobody on the whole host
    listens would not, and the test would hang on what else runs there.
    """
    lab.run(name, "ip", "link", "add", "ctl-out", "type", "veth", "peer", "name", "ctl-sink")
    lab.run(name, "ip", "link", "set", "ctl-out", "arp", "off", "up")
    lab.run(name, "ip", "link", "set", "ctl-sink", "arp", "off", "up")
    lab.run(name, "ip", "addr", "add", "10.66.0.1/16", "dev", "ctl-out")
    lab.nft(name, """
        table inet ctl {
            chain raw { type filter hook output priority raw; oif lo notrack; }
            chain rawin { type filter hook prerouting priority raw; iif lo notrack; }
            chain out { type filter hook output priority 0; ct state new accept; }
        }""")
    lab.sysctl(name, acct=1, timestamp=1, events=1, udp_timeout=600, udp_timeout_stream=600)


def compile_helper(source, directory):
    """Compiles one of the C programs of the tests, returns its path."""
    source = os.path.abspath(source)
    binary = os.path.join(directory, os.path.basename(source)[:-2])
    cc = os.environ.get("CC", "cc").split()
    subprocess.run([*cc, "-std=c11", "-D_GNU_SOURCE", "-O2", "-o", binary, source],
                   check=True, timeout=300)
    return binary


def plugin(name, directory):
    """A plugin of tests/netns, compiled as one that comes from elsewhere."""
    here = os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(directory, f"{name}.so")
    subprocess.run([*os.environ.get("CC", "cc").split(), "-std=c11", "-D_GNU_SOURCE", "-shared",
                    "-fPIC", "-I", os.path.join(here, "..", "..", "core", "include"), "-o", path,
                    os.path.join(here, f"{name}.c")], check=True, timeout=300)
    return path


def helper(name, directory):
    """A C program of tests/netns: built by make check, or compiled here."""
    built = os.path.join(os.environ.get("CTF_BUILD", "."), "tests", "netns", name)
    if os.access(built, os.X_OK):
        return os.path.abspath(built)
    here = os.path.dirname(os.path.abspath(__file__))
    return compile_helper(os.path.join(here, f"{name}.c"), directory)
