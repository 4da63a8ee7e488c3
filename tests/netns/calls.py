# SPDX-License-Identifier: GPL-2.0-or-later
"""ctflowd run to its end, or in the background, without a namespace."""
import atexit
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

import daemon
import lab as labs

NOBODY = 65534


class Call:
    """What one run of ctflowd said and returned."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err
        self.words = out + err
        if any(s in self.words for s in daemon.SANITIZER):
            raise daemon.Failed(f"sanitizer report: {self.words}")
        if code < 0 or code >= 128:
            raise daemon.Failed(f"ended by a signal: {code}: {self.words}")

    def complaints(self):
        """Its lines of level error and fatal on stderr."""
        return [line for line in self.err.splitlines() if re.search(r"^\S.{19,30}<[78]> ", line)]


@functools.lru_cache(maxsize=None)
def public_binary():
    """A copy of the daemon and its modules: nobody may not reach the build tree."""
    there = tempfile.mkdtemp(prefix="ctl-public-")
    atexit.register(shutil.rmtree, there)
    os.chmod(there, 0o755)
    build = daemon.build_dir()
    shutil.copy(daemon.binary(), f"{there}/ctflowd")
    shutil.copytree(f"{build}/.libs", f"{there}/.libs",
                    ignore=lambda _, names: [n for n in names if not n.endswith(".so")])
    with open(f"{there}/config.status", "w", encoding="ascii"):
        pass  # what tells the daemon that its modules are beside it
    return f"{there}/ctflowd"


def call(*args, user=None, timeout=daemon.LIMIT, binary=None):
    """Runs ctflowd with these arguments until it ends."""
    argv = [binary or (daemon.binary() if user is None else public_binary()), *args]
    if user is not None:
        argv = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups",
                "--no-new-privs", *argv]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", timeout=timeout, check=False, cwd=daemon.build_dir())
    return Call(done.returncode, done.stdout, done.stderr)


def as_nobody():
    """The user to try permissions with; None when the test itself is not root."""
    return NOBODY if os.geteuid() == 0 else None


class Suite:
    """Named checks, each in a directory of its own; all are run."""

    def __init__(self):
        self.tests = []

    def __call__(self, function):
        self.tests.append(function)
        return function

    def run(self):
        failed, skipped = [], []
        with tempfile.TemporaryDirectory(prefix="ctl-test-") as tmp:
            os.chmod(tmp, 0o755)
            for test in self.tests:
                if len(sys.argv) > 1 and sys.argv[1] not in test.__name__:
                    continue
                self._one(test, tmp, failed, skipped)
        if skipped:
            print(f"not run without root: {' '.join(skipped)}")
        if failed:
            print(f"FAIL: {' '.join(failed)}")
            sys.exit(1)
        if skipped:
            labs.skip("the rest passed")

    @staticmethod
    def _one(test, tmp, failed, skipped):
        name = test.__name__
        where = os.path.join(tmp, name)
        os.mkdir(where)
        os.chmod(where, 0o777)
        if getattr(test, "root", False) and os.geteuid() != 0:
            skipped.append(name)
            return
        start = time.monotonic()
        try:
            test(where)
            print(f"ok   {name} {time.monotonic() - start:.1f} s", flush=True)
        except Exception:  # reported, and the next one gets its turn
            failed.append(name)
            print(f"FAIL {name}", flush=True)
            traceback.print_exc(file=sys.stdout)


def needs_root(test):
    test.root = True
    return test


def expect(condition, *words):
    if not condition:
        raise AssertionError(" ".join(map(str, words)))
