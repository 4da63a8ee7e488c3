#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""The conformance checker finds what is wrong, and nothing in what is right.

For each rule there are bytes that break it and no other.
"""
import hashlib
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from ipfix_check import Checker
from ipfix_elements import REVERSE, VARIABLE
from ipfix_make import (FLOW, MS, NOW, PEN, TYPE_FIELDS, a_set, flow, message, options,
                        options_of, pack, record_of, specs, standard, template, text,
                        type_record, types)
from ipfix_rules import RULES

T = message(0, a_set(2, template()))
D = a_set(256, flow())
OWN = [(0, 8, 4), (PEN, 1001, 4)]
NAMED = [(0, 8, 4), (0, 236, VARIABLE)]
LOSS = standard((144, 166, 323, 323))
TOTALS = standard((149, 41))
KEYS = standard((145, 173))
NAT = standard((323, 230, 8, 225, 4, 7, 227))
NAT_VALUES = (MS, 4, 1, 2, 6, 1000, 2000)
BINDING = standard((323, 230, 225, 361))
WINDOW = standard((267, 272, 269))
MICRO = (NOW + 2_208_988_800) << 32


def window(*records):
    return options_of(WINDOW, 1, *records, number=310)


def checksums(*wrong):
    """A message with checksums of itself."""
    fields = [(0, 263, 1), (0, 262, 16)]
    blank = message(0, a_set(3, options(311, 1, fields)),
                    a_set(311, *(bytes(17) for _ in wrong)))
    value = hashlib.md5(blank, usedforsecurity=False).digest()
    at = len(blank) - 16 - 17 * (len(wrong) - 1)
    return blank[:at] + bytes(a ^ b for a, b in zip(value, bytes([wrong[0]] * 16))) + \
        blank[at + 16:]


def nat(*events, fields=None, more=()):
    fields = fields or NAT
    return message(0, a_set(2, template(270, fields)), *(
        a_set(270, pack(fields, (MS, e, *NAT_VALUES[2:len(fields) - len(more)], *more)))
        for e in events))


GOOD = {
    "two messages": T + message(0, D) + message(1, D),
    "several records in a set": T + message(0, a_set(256, flow() * 3)) + message(3, D),
    "template and data in one message": message(0, a_set(2, template()), D) + message(1, D),
    "two domains count apart": T + message(0, D) + message(0, a_set(2, template()), odid=8)
    + message(0, D, odid=8) + message(1, D),
    "padding": T + message(0, a_set(256, flow() + b"\0\0\0")),
    "the same template again": T + T + message(0, D),
    "own elements": message(0, a_set(2, template(257, OWN)), a_set(257, b"\1\2\3\4\0\0\0\1")),
    "variable length": message(0, a_set(2, template(258, NAMED)),
                               a_set(258, b"\1\2\3\4\2ab\1\2\3\4\xff\0\1c")),
    "options data count": options_of(TOTALS, 1, (7, 1)) + message(1, a_set(2, template()))
    + message(1, D),
    "reduced counters": record_of([(0, 8, 4), (0, 1, 4)], 1, 2),
    "withdrawal and new": T + message(0, a_set(2, template(256, [], 0)))
    + message(0, a_set(2, template(256, OWN)), a_set(256, b"\0" * 8)),
    "withdrawal of all": T + message(0, a_set(2, template(2, [], 0))) + T,
    "types": types(type_record()) + message(1, a_set(2, template(257, OWN))),
    "losses": options_of(LOSS, 1, (1, 5, MS, MS), (1, 5, MS, MS + 1)),
    "keys": options_of(KEYS, 1, (256, 0x9E0), before=T),
    "events": nat(4, 5),
    "a port block": record_of(BINDING + [(0, 362, 2)], MS, 16, 1, 1024, 2047),
    "microseconds": record_of(standard((8, 154, 155)), 1, MICRO, MICRO + 0x800),
    "nanoseconds": record_of(standard((8, 156, 157)), 1, MICRO, MICRO + 1),
    "a checksum": checksums(0),
    "a window": window((0, MS - 5, MS)) + message(1, a_set(2, template()), D),
}

# rule: (bytes that break it alone, options of the checker)
BAD = {
    "set-length": [T + message(0, a_set(256, flow(), length=n)) for n in (3, 200)],
    "stream": [T + message(0, D)[:-1], T + b"noise" * 9, T + message(0, D)[4:]],
    "sequence": [T + message(0, D) + message(0, D), T + message(1, D),
                 T + message(0, D) + message(2, a_set(2, template())),
                 options_of(TOTALS, 1, (7, 1)) + message(0, a_set(2, template()))],
    "sequence-start": message(1, a_set(2, template()), D),
    "set-id": message(0, a_set(4, b"\0\0\0\0")),
    "set-empty": [T + message(0, a_set(256, b"")), message(0, a_set(2, b""))],
    "set-rest": T + message(0, D, b"\0\0"),
    "set-record": T + message(0, a_set(256, b"\0" * 8)),
    "padding": [T + message(0, a_set(256, flow() + b"\1\2\3")),
                message(0, a_set(2, template(), b"\0\0\1"))],
    "padding-long": message(0, a_set(2, template(), b"\0\0\0\0")),
    "template-id": message(0, a_set(2, template(255))),
    "template-cut": [message(0, a_set(2, template(256, FLOW, 13))),
                     message(0, a_set(3, options()[:5]))],
    "template-kind": T + message(0, a_set(3, options(256))),
    "template-changed": T + message(0, a_set(2, template(256, OWN))),
    "withdraw-unknown": message(0, a_set(2, template(400, [], 0))),
    "withdraw-kind": T + message(0, a_set(3, template(256, [], 0))),
    "withdraw-all": T + message(0, a_set(2, template(2, [], 0), template(257))),
    "enterprise": message(0, a_set(2, struct.pack(">HHHHI", 256, 1, 0x8001, 4, 0))),
    "enterprise-cut": message(0, a_set(2, struct.pack(">HHHH", 256, 1, 0x8001, 4))),
    "element": [message(0, a_set(2, template(256, [(0, n, 4)]))) for n in (0, 105, 9999)],
    "element-length": [message(0, a_set(2, template(256, [f]))) for f in (
        (0, 8, 8), (0, 152, 4), (0, 7, 4), (0, 1, 9), (0, 1, 0), (0, 276, 2), (0, 311, 2))],
    "element-empty": message(0, a_set(2, template(256, [(PEN, 1001, 0)]))),
    "scopes": [message(0, a_set(3, options(scopes=3))),
               message(0, a_set(3, options(scopes=0, fields=standard((138, 27)))))],
    "scope-order": options_of(standard((149, 143, 41)), 2)
    + options_of(standard((143, 149, 41)), 2),
    "data-unknown": [message(0, D), T + message(0, D, odid=8),
                     message(0, D, a_set(2, template()))],
    "data-withdrawn": T + message(0, a_set(2, template(256, [], 0))) + message(0, D),
    "data-older": T + message(0, D, time=NOW - 1),
    "record-cut": [message(0, a_set(2, template(258, NAMED)), a_set(258, b"\1\2\3\4" + end))
                   for end in (b"\x09ab", b"\xff", b"\xff\0", b"\xff\0\3ab")],
    "boolean": [record_of([(0, 276, 1)], n) for n in (0, 3)],
    "text": record_of(NAMED, 1, text(b"\xff\xfe")),
    "seconds": record_of([(0, 150, 4)], 9),
    "milliseconds": [T + message(0, a_set(256, flow(e152=NOW))),
                     T + message(0, a_set(256, flow(e153=NOW * 1_000_000))),
                     record_of([(0, 323, 8)], 0)],
    "microseconds": [record_of([(0, 154, 8)], n) for n in (NOW << 32, MS, 0)],
    "microseconds-low": record_of([(0, 154, 8)], MICRO + 1),
    "nanoseconds": [record_of([(0, 156, 8)], n) for n in (NOW << 32, NOW * 10**9, 0)],
    "range": [T + message(0, a_set(256, flow(e136=0))), T + message(0, a_set(256, flow(e239=4))),
              record_of([(0, 233, 1)], 6), record_of([(0, 297, 1)], 7)],
    "reverse-key": message(0, a_set(2, template(256, [(REVERSE, 1, 8)]))),
    "reverse-of": [message(0, a_set(2, template(256, [(0, 8, 4), (REVERSE, n, 8)])))
                   for n in (148, 167)],
    "reverse-length": message(0, a_set(2, template(256, [(0, 8, 4), (0, 1, 4),
                                                         (REVERSE, 1, 8)]))),
    "report-domain": options_of(standard((143, 41)), 1, odid=0),
    "report-exporter": options_of(standard((149, 167, 323, 323)), 1),
    "report-times": options_of(standard((144, 166, 323)), 1),
    "report-interval": options_of(LOSS, 1, (1, 5, MS + 1, MS)),
    "total-falls": options_of(LOSS, 1, (1, 5, MS, MS), (1, 4, MS, MS)),
    "keys-scope": options_of(standard((138, 173)), 1, before=T),
    "keys-template": options_of(KEYS, 1, (256, 1)),
    "keys-unused": options_of(KEYS, 1, (256, 1 << len(FLOW)), before=T),
    "keys-reverse": options_of(KEYS, 1, (256, 1 << 4), before=T),
    "type-scope": types(scopes=1),
    "type-value": [types(type_record(kind=23)), types(type_record(semantics=9))],
    "type-semantics": [types(type_record(kind=13, semantics=4)),
                       types(type_record(kind=7, semantics=5))],
    "type-name": [types(type_record(name=n)) for n in ("Status", "ct\0")]
    + [types(type_record(description="a\0"))],
    "type-bit": types(type_record(element=0x8000 | 1001)),
    "type-iana": types(type_record(pen=0)),
    "type-changed": types(type_record(), type_record(kind=4), fields=TYPE_FIELDS),
    "type-again": types(type_record(), type_record()),
    "type-missing": types(type_record(1002)) + message(1, a_set(2, template(257, OWN))),
    "type-length": [types(type_record(kind=1)) + message(1, a_set(2, template(257, OWN)))],
    "type-late": message(0, a_set(2, template(257, OWN))) + types(type_record()),
    "nat-fields": [nat(4, fields=NAT[:6]), record_of(NAT[1:], *NAT_VALUES[1:])],
    "nat-historic": nat(1),
    "nat-both": [nat(4, 9), nat(9, 4)],
    "nat-ports": record_of(BINDING, MS, 16, 1, 1024),
    "file-scope": window((1, MS - 5, MS)),
    "md5": checksums(1),
    "md5-twice": checksums(0, 0),
    "options-apart": message(0, a_set(3, options(300), options(301))),
    "icmp-ports": message(0, a_set(2, template(256, standard((8, 12, 7, 11, 32))))),
    "number-twice": message(0, a_set(2, template(256, [(0, 8, 4), (REVERSE, 2, 8), (PEN, 2, 4)]))),
    "two-counters": message(0, a_set(2, template(256, standard((8, 12, 1, 85))))),
    "two-times": [message(0, a_set(2, template(256, standard(e))))
                  for e in ((8, 12, 152, 156), (8, 12, 27, 28))],
    "start-end": T + message(0, a_set(256, flow(e152=MS, e153=MS - 1))),
}
FILES = {
    "file-order": T + message(0, a_set(2, template(257)), time=NOW - 1),
    "file-withdrawal": T + message(0, a_set(2, template(256, [], 0))),
    "window-twice": window((0, MS - 5, MS), (0, MS - 5, MS)),
    "window-outside": [window((0, MS - 4, MS)) + message(1, a_set(2, template()), D),
                       T + message(0, D, a_set(3, options(310, 1, WINDOW)),
                                   a_set(310, pack(WINDOW, (0, MS - 5, MS - 1))))],
}
BARE = [(0, 8, 4), (REVERSE, 1, 8)]
LATER = message(1, D, time=NOW + 100)
# rule: (datagrams with their times, options)
DATAGRAMS = {
    "version": ([(NOW, message(0, a_set(2, template()), version=9))], {}),
    "length": ([(NOW, T + b"\0")], {}),
    "export-time": ([(NOW + 3, T)], {"slack": 1}),
    "size": ([(NOW, T)], {"mtu": len(T) - 1}),
    "refresh": ([(NOW, T), (NOW, message(0, D)), (NOW + 100, LATER)], {"refresh": 99}),
    "withdraw-udp": ([(NOW, T), (NOW, message(0, a_set(2, template(256, [], 0))))], {}),
    "template-soon": ([(NOW, T), (NOW + 299, message(0, a_set(2, template(256, OWN))))],
                      {"refresh": 100}),
    "direction": ([(NOW, message(0, a_set(2, template(256, BARE))))], {}),
    "total-wrong": ([(NOW, options_of(TOTALS, 1, (7, 2)))], {"whole": True}),
    "nat-destination": ([(NOW, nat(4, fields=NAT + standard((12,)), more=(9,)))],
                        {"no_destinations": True}),
}


def judged(transport, data, **options_):
    return sorted(set(Checker(transport, **options_).stream(data).broken))


def listed(one_or_more):
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


class StreamTest(unittest.TestCase):
    def test_good(self):
        for kind in ("tcp", "file"):
            for name, data in GOOD.items():
                if kind == "tcp" or "withdrawal" not in name:
                    with self.subTest(name, kind=kind):
                        self.assertEqual(Checker(kind).stream(data).complaints, [])

    def test_bad(self):
        for kind, table in (("tcp", BAD), ("file", FILES)):
            for rule, streams in table.items():
                for i, data in enumerate(listed(streams)):
                    with self.subTest(rule, i=i):
                        self.assertEqual(judged(kind, data), [rule])

    def test_type_behind_its_template(self):
        data = message(0, a_set(2, template(257, OWN))) + types(type_record(kind=1))
        self.assertEqual(judged("tcp", data), ["type-late", "type-length"])

    def test_every_rule_has_its_bytes(self):
        self.assertEqual(set(RULES), set(BAD) | set(FILES) | set(DATAGRAMS))

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
        for data in (T + message(0, D) + message(1, a_set(3, options())), types(type_record()),
                     nat(4), window((0, MS, MS)), checksums(0),
                     options_of(KEYS, 1, (256, 1), before=T), GOOD["variable length"]):
            for n in range(len(data)):
                for value in (0, 1, 0x7F, 0xFF):
                    Checker("file").stream(data[:n] + bytes([value]) + data[n + 1:])


class DatagramTest(unittest.TestCase):
    def broken(self, datagrams, **options_):
        checker = Checker("udp", **options_)
        for time, data in datagrams:
            checker.message(data, time)
        return sorted(set(checker.finish().broken))

    def test_good(self):
        first = [(NOW, T), (NOW + .5, message(0, D))]
        self.assertEqual(self.broken(first, slack=1), [])
        self.assertEqual(self.broken([*first, (NOW + 100, LATER)], refresh=100), [])
        again = (NOW + 300, message(1, a_set(2, template(256, OWN))))
        self.assertEqual(self.broken([*first, again], refresh=100), [])
        for n in (1, 2, 3, 4):  # two messages before it, and itself
            data = [(NOW, T), (NOW, message(0, D)),
                    (NOW, message(1, a_set(3, options(300, 1, TOTALS)),
                                  a_set(300, pack(TOTALS, (7, n)))))]
            self.assertEqual(self.broken(data, whole=True),
                             [] if n in (2, 3) else ["total-wrong"])
        self.assertEqual(self.broken([(NOW, types(type_record())),
                                      (NOW, message(1, a_set(303, pack(
                                          TYPE_FIELDS, type_record()))))]), [])

    def test_late(self):
        """A capture that begins inside a session: nothing is known at first."""
        inside = [(NOW, message(17, D)), (NOW, message(99, a_set(2, template()))),
                  (NOW, message(99, D)), (NOW, message(100, D))]
        self.assertEqual(self.broken(inside, late=True), [])
        self.assertEqual(self.broken(inside), ["data-unknown", "sequence-start"])
        self.assertEqual(self.broken([*inside, (NOW, message(100, D))], late=True), ["sequence"])

    def test_bad(self):
        for rule, (datagrams, options_) in DATAGRAMS.items():
            with self.subTest(rule):
                self.assertEqual(self.broken(datagrams, **options_), [rule])

    def test_length(self):
        for data in (T + b"\0", T[:-1], T[:10], T + T):
            self.assertEqual(self.broken([(NOW, data)]), ["length"])


class CommandTest(unittest.TestCase):
    def run_on(self, how, data, *more):
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            return subprocess.run(
                [sys.executable, "-B", Path(__file__).with_name("ipfix_check.py"), f"--{how}",
                 file.name, *more], capture_output=True, text=True, check=False)

    def test_streams(self):
        for how in ("tcp", "file"):
            self.assertEqual(self.run_on(how, T + message(0, D)).returncode, 0)
        bad = self.run_on("tcp", T + message(5, D))
        self.assertEqual(bad.returncode, 1)
        self.assertIn("message 2: 7011 3.1: sequence 5", bad.stdout)

    def test_udp(self):
        timed = b"".join(struct.pack(">dI", NOW, len(d)) + d for d in (T, message(0, D)))
        for how, data in (("timed", timed), ("udp", T + message(0, D))):
            result = self.run_on(how, data)
            self.assertEqual(result.returncode, 0, result.stdout)
            self.assertIn("2 messages, 1 records", result.stdout)

    def test_options(self):
        wide = nat(4, fields=NAT + standard((12,)), more=(9,))
        self.assertEqual(self.run_on("tcp", wide).returncode, 0)
        self.assertEqual(self.run_on("tcp", wide, "--no-destinations").returncode, 1)
        self.assertEqual(self.run_on("tcp", T[:-1], "--torn").returncode, 0)
        self.assertEqual(self.run_on("udp", message(3, D), "--late").returncode, 0)


if __name__ == "__main__":
    unittest.main()
