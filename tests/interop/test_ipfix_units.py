#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever the unit tests of IPFIX send keeps the rules of ipfix_check.py.

Their peers write what they get into a folder (tests/unit/ipfix_keep.h).
"""
import glob
import os
import subprocess
import sys
import tempfile
import unittest

from ipfix_check import Checker, datagrams

BUILD = os.path.abspath(os.environ.get("CTF_BUILD", "."))


def programs():
    return [p for p in sorted(glob.glob(f"{BUILD}/tests/unit/test_ipfix*"))
            if os.access(p, os.X_OK) and "." not in os.path.basename(p)]


def judge(path):
    """A session: the checker that has seen it."""
    kind = path.rsplit(".", 1)[1]
    with open(path, "rb") as f:
        data = f.read()
    if kind != "timed":
        return Checker("file" if kind == "file" else "tcp").stream(data, torn=kind == "torn")
    checker = Checker("udp", slack=1)
    for time, datagram in datagrams(data):
        checker.message(datagram, time)
    return checker.finish()


class UnitTest(unittest.TestCase):
    def test_programs(self):
        kinds = set()
        with tempfile.TemporaryDirectory() as folder:
            for program in programs():
                done = subprocess.run([program], env=os.environ | {"CTF_KEEP": folder},
                                      cwd=BUILD, capture_output=True, text=True, timeout=300,
                                      check=False)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            sessions = messages = records = 0
            for name in sorted(os.listdir(folder)):
                checker = judge(os.path.join(folder, name))
                with self.subTest(name):
                    self.assertEqual(checker.complaints[:9], [])
                sessions, messages = sessions + 1, messages + checker.count
                records += checker.records
                kinds.add(name.rsplit(".", 1)[1])
        print(f"{sessions} sessions, {messages} messages, {records} records")
        self.assertGreaterEqual(kinds, {"tcp", "timed"})


if not programs():
    print("SKIP: the unit tests are not built")
    sys.exit(1 if os.environ.get("CI") else 77)
unittest.main()
