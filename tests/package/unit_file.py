# SPDX-License-Identifier: GPL-2.0-or-later
"""ctflowd.service played without systemd: what the unit says, done by hand."""
import functools
import os
import shlex
import signal
import socket
import subprocess

WAIT = 20


class Unit:
    """A unit file: lists of values, a later empty one forgets what was before."""

    def __init__(self, path):
        self.values = {}
        with open(path, encoding="utf-8") as f:
            for line in f.read().replace("\\\n", " ").splitlines():
                if "=" in line and line[0] not in "#;[":
                    key, value = line.split("=", 1)
                    self.values.setdefault(key, []).append(value.strip())

    def all(self, key):
        return self.values.get(key, [])

    def one(self, key):
        values = self.all(key)
        assert len(values) == 1, f"{key}: {values}"
        return values[0]


def words(command):
    """As systemd splits it: $$ is a $, backslashes within quotes are doubled."""
    return [w.replace("$$", "$") for w in shlex.split(command)]


class Service:
    """Starts the unit's commands in a root and a network namespace."""

    def __init__(self, lab, ns, root):
        self.lab, self.ns, self.root = lab, ns, root
        self.child = None

    @functools.cached_property
    def unit(self):
        return Unit(f"{self.root}/lib/systemd/system/ctflowd.service")

    def chroot(self, *argv, check=True, inside=True, timeout=300):
        """Runs a command in the root, inside the namespace or where the packages come from."""
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive",
               "LC_ALL": "C.UTF-8"} | {k: v for k, v in os.environ.items() if k.endswith("_proxy")}
        done = subprocess.run(self.lab.enter(self.ns if inside else None, ["chroot", self.root, *argv]), env=env,
                              capture_output=True, text=True, timeout=timeout, check=False)
        assert done.returncode == 0 or not check, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout

    def id(self, key):
        return int(self.chroot("id", "-u" if key == "User" else "-g", self.unit.one(key)))

    def folders(self):
        """StateDirectory= and LogsDirectory=, made by systemd if nobody did."""
        for key, parent in (("State", "var/lib"), ("Logs", "var/log")):
            path = f"{self.root}/{parent}/{self.unit.one(f'{key}Directory')}"
            assert os.path.isdir(path), f"tmpfiles.d did not make {path}"
            os.chown(path, self.id("User"), self.id("Group"))
            os.chmod(path, int(self.unit.one(f"{key}DirectoryMode"), 8))

    def before(self):
        """Each ExecStartPre=+-: as root, and it may fail."""
        for command in self.unit.all("ExecStartPre"):
            assert command.startswith("+-"), command
            self.chroot(*words(command[2:]), check=False)

    def sandbox(self):
        """Read-only where the unit says so; a shell script that ends in exec."""
        readonly = []
        if self.unit.one("ProtectKernelTunables") == "yes":
            readonly += ["proc/sys", "sys"]
        assert self.unit.one("ProtectSystem") == "full"
        readonly += ["usr", "etc"]
        script = "".join(f"mount --bind {self.root}/{d} {self.root}/{d} && "
                         f"mount -o remount,bind,ro {self.root}/{d} && " for d in readonly)
        return ["unshare", "-m", "sh", "-c", script + f'umask {self.unit.one("UMask")} && exec "$@"',
                "sh"]

    def privileges(self):
        caps = ["-all"] + [f"+{c[4:].lower()}" for c in self.unit.one("AmbientCapabilities").split()]
        bound = ["-all"] + [f"+{c[4:].lower()}" for c in self.unit.one("CapabilityBoundingSet").split()]
        assert self.unit.one("NoNewPrivileges") == "yes"
        return ["setpriv", f"--reuid={self.id('User')}", f"--regid={self.id('Group')}",
                "--clear-groups", f"--inh-caps={','.join(caps)}",
                f"--ambient-caps={','.join(caps)}", f"--bounding-set={','.join(bound)}",
                "--no-new-privs"]

    def start(self):
        """ExecStart=, until it says READY=1."""
        self.folders()
        self.before()
        path = f"{self.root}/run/notify"
        if os.path.exists(path):
            os.unlink(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.bind(path)
            os.chmod(path, 0o777)
            sock.settimeout(WAIT)
            env = {"NOTIFY_SOCKET": "/run/notify", "STATE_DIRECTORY": "/var/lib/ctflowd",
                   "LOGS_DIRECTORY": "/var/log/ctflowd", "PATH": "/usr/sbin:/usr/bin"}
            argv = [*self.sandbox(), "prlimit", f"--nofile={self.unit.one('LimitNOFILE')}",
                    "chroot", self.root, *self.privileges(), *words(self.unit.one("ExecStart"))]
            self.child = self.lab.popen(self.ns, argv, env=env, stdin=subprocess.DEVNULL)
            while b"READY=1" not in sock.recv(8192):
                pass
        return self

    def status(self, key):
        with open(f"/proc/{self.child.pid}/status", encoding="ascii") as f:
            return next(line.split(":", 1)[1].split() for line in f if line.startswith(f"{key}:"))

    def stop(self):
        """Nothing is kept for a successor: SIGINT, not SIGTERM."""
        self.child.send_signal(signal.SIGINT)
        code = self.child.wait(WAIT)
        assert code == 0, f"exit code {code}"
