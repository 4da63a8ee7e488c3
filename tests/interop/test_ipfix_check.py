#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""The conformance checker finds what is wrong, and nothing in what is right."""
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from ipfix_check import REVERSE, VARIABLE, Checker

NOW = 1_700_000_000
FLOW = [(0, 152, 8), (0, 153, 8), (0, 1, 8), (0, 2, 8), (REVERSE, 1, 8), (0, 8, 4), (0, 12, 4),
        (0, 7, 2), (0, 11, 2), (0, 136, 1), (0, 239, 1), (0, 4, 1)]
RECORD = struct.pack(">QQQQQ4s4sHHBBB", NOW * 1000 - 5, NOW * 1000, 100, 2, 50, b"\n\0\0\1",
                     b"\n\0\0\2", 1000, 80, 1, 1, 6)


def message(sequence, *sets, time=NOW, odid=7, version=10, length=None):
    body = b"".join(sets)
    return struct.pack(">HHIII", version, 16 + len(body) if length is None else length, time,
                       sequence, odid) + body


def a_set(number, content, length=None):
    return struct.pack(">HH", number, 4 + len(content) if length is None else length) + content


def specs(fields):
    out = b""
    for pen, element, length in fields:
        out += struct.pack(">HHI", element | 0x8000, length, pen) if pen else \
            struct.pack(">HH", element, length)
    return out


def template(number=256, fields=None, count=None):
    fields = FLOW if fields is None else fields
    return struct.pack(">HH", number, len(fields) if count is None else count) + specs(fields)


def options(number=300, scopes=1, fields=((0, 149, 4), (0, 41, 8))):
    return struct.pack(">HHH", number, len(fields), scopes) + specs(fields)


def changed(element, raw):
    """A record with one value replaced."""
    at = 0
    for _, number, length in FLOW:
        if number == element:
            return RECORD[:at] + raw + RECORD[at + length:]
        at += length
    raise KeyError(element)


T = message(0, a_set(2, template()))
D = a_set(256, RECORD)
OWN = [(0, 8, 4), (32473, 1001, 4)]
TEXT = [(0, 8, 4), (0, 236, VARIABLE)]

GOOD = {
    "two messages": T + message(0, D) + message(1, D),
    "several records in a set": T + message(0, a_set(256, RECORD * 3)) + message(3, D),
    "template and data in one message": message(0, a_set(2, template()), D) + message(1, D),
    "two domains count apart": T + message(0, D) + message(0, a_set(2, template()), odid=8)
    + message(0, D, odid=8) + message(1, D),
    "padding": T + message(0, a_set(256, RECORD + b"\0\0\0")),
    "the same template again": T + T + message(0, D),
    "own elements": message(0, a_set(2, template(257, OWN)), a_set(257, b"\1\2\3\4\0\0\0\1")),
    "variable length": message(0, a_set(2, template(258, TEXT)),
                               a_set(258, b"\1\2\3\4\2ab\1\2\3\4\xff\0\1c")),
    "options data count": message(0, a_set(3, options()), a_set(300, b"\0\0\0\7" + b"\0" * 8))
    + message(1, a_set(2, template())) + message(1, D),
    "reduced counters": message(0, a_set(2, template(256, [(0, 8, 4), (0, 1, 4)])),
                                a_set(256, b"\1\1\1\1\0\0\0\1")),
    "withdrawal and new": T + message(0, a_set(2, template(256, [], 0)))
    + message(0, a_set(2, template(256, OWN)), a_set(256, b"\0" * 8)),
}

# name: (bytes, section of the complaint)
BAD = {
    "version": (message(0, a_set(2, template()), version=9), "7011 3.1"),
    "length too small": (message(0, a_set(2, template()), length=20) + b"", "7011 3.3.2"),
    "ends inside a message": (T + message(0, D)[:-1], "7011 3.1"),
    "goes on inside a message": (T + message(0, D)[:30] + message(0, D), "7011"),
    "sequence counts itself": (message(1, a_set(2, template()), D), "7011 3.1"),
    "sequence counts templates": (T + message(1, D), "7011 3.1"),
    "sequence stands": (T + message(0, D) + message(0, D), "7011 3.1"),
    "set id 4": (message(0, a_set(4, b"\0\0\0\0")), "7011 3.3.2"),
    "empty set": (T + message(0, a_set(256, b"")), "7011 3.3.1"),
    "set longer than message": (T + message(0, a_set(256, RECORD, length=200)), "7011 3.3.2"),
    "part of a record": (T + message(0, a_set(256, RECORD + b"\1\2\3")), "7011 3.3.1"),
    "octets behind the sets": (T + message(0, D, b"\0\0"), "7011 3.1"),
    "data before template": (message(0, D), "7011 8"),
    "data of another domain's template": (T + message(0, D, odid=8), "7011 8"),
    "template redefined": (T + message(0, a_set(2, template(256, OWN))), "7011 8"),
    "data after withdrawal": (T + message(0, a_set(2, template(256, [], 0))) + message(0, D),
                              "7011 8.2"),
    "withdrawal of nothing": (message(0, a_set(2, template(400, [], 0))), "7011 8.1"),
    "data older than template": (T + message(0, D, time=NOW - 1), "7011 8.2"),
    "template cut": (message(0, a_set(2, template(256, FLOW, 13))), "7011 3.4.1"),
    "no scope": (message(0, a_set(3, options(scopes=0))), "7011 3.4.2.2"),
    "more scopes than fields": (message(0, a_set(3, options(scopes=3))), "7011 3.4.2.2"),
    "address in 8 octets": (message(0, a_set(2, template(256, [(0, 8, 8)]))), "7011 6.2"),
    "time in 4 octets": (message(0, a_set(2, template(256, [(0, 152, 4)]))), "7011 6.2"),
    "port in 4 octets": (message(0, a_set(2, template(256, [(0, 7, 4)]))), "7011 6.2"),
    "element 0": (message(0, a_set(2, template(256, [(0, 0, 4)]))), "7011 3.2"),
    "element IANA does not have": (message(0, a_set(2, template(256, [(0, 9999, 4)]))),
                                   "7011 3.2"),
    "biflow without addresses": (message(0, a_set(2, template(256, [(REVERSE, 1, 8)]))),
                                 "5103 4"),
    "reverse of flowId": (message(0, a_set(2, template(256, [(0, 8, 4), (REVERSE, 148, 8)]))),
                          "5103 6.1"),
    "end reason 0": (T + message(0, a_set(256, changed(136, b"\0"))), "7012 2.1"),
    "direction 4": (T + message(0, a_set(256, changed(239, b"\4"))), "7012 2.1"),
    "start in seconds": (T + message(0, a_set(256, changed(152, struct.pack(">Q", NOW)))),
                         "7011 6.1.8"),
    "end in microseconds": (T + message(0, a_set(256, changed(
        153, struct.pack(">Q", NOW * 1_000_000)))), "7011 6.1.8"),
    "text not UTF-8": (message(0, a_set(2, template(258, TEXT)),
                               a_set(258, b"\1\2\3\4\2\xff\xfe")), "7011 6.1.6"),
    "variable length cut": (message(0, a_set(2, template(258, TEXT)),
                                    a_set(258, b"\1\2\3\4\x09ab")), "7011 7"),
}


class StreamTest(unittest.TestCase):
    def test_good(self):
        for name, data in GOOD.items():
            with self.subTest(name):
                self.assertEqual(Checker("tcp").stream(data).complaints, [])

    def test_bad(self):
        for name, (data, section) in BAD.items():
            with self.subTest(name):
                complaints = Checker("tcp").stream(data).complaints
                self.assertTrue(any(f": {section}" in c for c in complaints), complaints)

    def test_every_cut(self):
        """Torn anywhere, a session is fine only if that is allowed."""
        data = T + message(0, D)
        ends = {0, len(T), len(data)}
        for n in range(len(data) + 1):
            with self.subTest(n):
                self.assertEqual(Checker("tcp").stream(data[:n], torn=True).complaints, [])
                self.assertEqual(not Checker("tcp").stream(data[:n]).complaints, n in ends)

    def test_noise(self):
        """No byte changed anywhere crashes it."""
        data = T + message(0, D) + message(1, a_set(3, options()))
        for n in range(len(data)):
            for value in (0, 1, 0x7F, 0xFF):
                Checker("tcp").stream(data[:n] + bytes([value]) + data[n + 1:])


class DatagramTest(unittest.TestCase):
    def complaints(self, *datagrams, **options_):
        checker = Checker("udp", **options_)
        for time, data in datagrams:
            checker.message(data, time)
        return checker.complaints

    def test_good(self):
        self.assertEqual(self.complaints((NOW, T), (NOW + .5, message(0, D)), slack=1), [])

    def test_length(self):
        for data in (T + b"\0", T[:-1], T[:10], T + T):
            self.assertRegex(self.complaints((NOW, data))[0], "7011 3.1")

    def test_export_time(self):
        self.assertRegex(self.complaints((NOW + 3, T), slack=1)[0], "export time")

    def test_withdrawal(self):
        self.assertRegex(self.complaints((NOW, T), (NOW, message(0, a_set(
            2, template(256, [], 0)))))[0], "7011 8.4")

    def test_refresh(self):
        late = message(1, D, time=NOW + 100)
        data = [(NOW, T), (NOW, message(0, D)), (NOW + 100, late)]
        self.assertEqual(self.complaints(*data, refresh=100), [])
        self.assertRegex(self.complaints(*data, refresh=99)[0], "7011 8.4")

    def test_mtu(self):
        self.assertRegex(self.complaints((NOW, T), mtu=len(T) - 1)[0], "10.3.3")

    def test_direction(self):
        bare = template(256, [(0, 8, 4), (REVERSE, 1, 8)])
        self.assertRegex(self.complaints((NOW, message(0, a_set(2, bare))))[0], "5103 6.3")


class CommandTest(unittest.TestCase):
    def run_on(self, how, data):
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            return subprocess.run(
                [sys.executable, "-B", Path(__file__).with_name("ipfix_check.py"), f"--{how}",
                 file.name], capture_output=True, text=True, check=False)

    def test_tcp(self):
        self.assertEqual(self.run_on("tcp", T + message(0, D)).returncode, 0)
        bad = self.run_on("tcp", T + message(5, D))
        self.assertEqual(bad.returncode, 1)
        self.assertIn("message 2: 7011 3.1: sequence 5", bad.stdout)

    def test_udp(self):
        timed = b"".join(struct.pack(">dI", NOW, len(d)) + d for d in (T, message(0, D)))
        for how, data in (("timed", timed), ("udp", T + message(0, D))):
            result = self.run_on(how, data)
            self.assertEqual(result.returncode, 0, result.stdout)
            self.assertIn("2 messages, 1 records", result.stdout)


if __name__ == "__main__":
    unittest.main()
