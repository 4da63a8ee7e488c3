#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Does an exporter keep the rules of IPFIX that its bytes can show?

    ipfix_check.py [options] --tcp FILE     the bytes of one session
    ipfix_check.py [options] --file FILE    a file of RFC 5655
    ipfix_check.py [options] --udp FILE     datagrams, one behind the other
    ipfix_check.py [options] --timed FILE   datagrams, each behind its capture
                                            time (double) and length (u32),
                                            both big-endian

Prints one line for each broken rule, "message N: RFC section: what (rule)",
and exits with 1 if there was any.  The rules (ipfix_rules.py) are the MUSTs of
RFC 7011, 7012, 5103, 5610, 5655 and 8158 that bytes can show, and those
SHOULDs whose breach loses data at collectors in use.
"""
import argparse
import struct
import sys

from ipfix_records import Records
from ipfix_reports import Reports
from ipfix_templates import Templates


class Domain:
    def __init__(self, number):
        self.number = number
        self.templates = {}
        self.begun, self.sequence = False, None
        self.withdrawn = {}
        self.nat_events = set()
        self.uncounted = False  # records that could not be told apart
        self.sent = {40: 0, 41: 0, 42: 0}  # octets, messages, flow records
        self.before = {}  # this message


class Checker(Templates, Records, Reports):
    """One transport session, or one file.

    mtu: no message is longer.  refresh: UDP templates repeat within so many
    seconds.  slack: how much capture and export time may differ.  late: it
    began before the capture.  whole: nothing of what the exporter sent is
    missing before.  no_destinations: none in events of address translation.
    """

    def __init__(self, transport, mtu=65535, refresh=None, slack=None, late=False, whole=False,
                 no_destinations=False):
        super().__init__()
        self.udp, self.file = transport == "udp", transport == "file"
        self.mtu, self.refresh, self.slack, self.late = mtu, refresh, slack, late
        self.whole, self.no_destinations = whole, no_destinations
        self.domains = {}
        self.records = 0
        self.types = {}  # (enterprise, element): abstract type, values of RFC 5610
        self.used = {}  # (enterprise, element): first message with it in a template
        self.told = {}  # last totals
        self.last_time = 0
        self.window, self.times = None, []
        self.data, self.md5 = b"", False

    def stream(self, data, torn=False):
        """All bytes of a TCP session or file; torn: it may end inside a message."""
        at = 0
        while len(data) - at >= 16:
            length = struct.unpack_from(">H", data, at + 2)[0]
            if length < 16 or data[at:at + 2] != b"\0\x0a" or length > len(data) - at:
                break
            self.message(data[at:at + length])
            at += length
        if at < len(data) and not (torn and self.begins_message(data[at:])):
            self.count += 1
            self.complain("stream", f"byte {at}: not a whole message")
        return self.finish()

    @staticmethod
    def begins_message(data):
        return data[:2] == b"\0\x0a"[:len(data)] and (
            len(data) < 4 or struct.unpack_from(">H", data, 2)[0] > len(data))

    def message(self, data, captured=None):
        self.count += 1
        if len(data) < 16:
            return self.complain("length", "shorter than a header")
        version, length, time, sequence, odid = struct.unpack_from(">HHIII", data)
        if version != 10:
            self.complain("version", f"version {version}")
        if length != len(data):
            return self.complain("length", f"length {length}, but {len(data)} octets")
        if length > self.mtu:
            self.complain("size", f"{length} octets, more than {self.mtu}")
        self.exported(time, captured)
        self.data, self.md5 = bytes(data), False
        domain = self.domains.setdefault(odid, Domain(odid))
        domain.before = dict(domain.sent)
        domain.sent[40] += length
        domain.sent[41] += 1
        self.in_sequence(domain, sequence)
        records = self.sets(domain, self.data[16:], time, captured)
        domain.sequence = None if domain.uncounted else sequence + records & 0xFFFFFFFF
        domain.uncounted = False
        self.records += records
        return None

    def exported(self, time, captured):
        # the header has whole seconds
        if None not in (captured, self.slack) and not -self.slack <= captured - time <= \
                1 + self.slack:
            self.complain("export-time", f"export time {time} at {captured:.3f}")
        if self.file and time < self.last_time:
            self.complain("file-order", f"export time {time} after {self.last_time}")
        self.last_time = time

    def in_sequence(self, domain, sequence):
        if not domain.begun and sequence and not self.late:
            self.complain("sequence-start", f"domain {domain.number} begins with {sequence}")
        elif domain.sequence not in (None, sequence):
            self.complain("sequence", f"sequence {sequence}, not {domain.sequence}, "
                          f"in {domain.number}")
        domain.begun = True

    def sets(self, domain, body, time, captured):
        """How many data records there are."""
        at = records = 0
        while at < len(body):
            if len(body) - at < 4:
                self.complain("set-rest", f"{len(body) - at} octets behind the last set")
                break
            number, length = struct.unpack_from(">HH", body, at)
            if length < 4 or length > len(body) - at:
                self.complain("set-length", f"set {number} has length {length}")
                break
            content = body[at + 4:at + length]
            at += length
            if not content:
                self.complain("set-empty", f"set {number} is empty")
            elif number in (2, 3):
                self.template_set(domain, content, number == 3, time, captured)
            elif number < 256:
                self.complain("set-id", f"set id {number}")
            else:
                records += self.data_set(domain, number, content, time, captured)
        return records


def datagrams(data):
    """(time, datagram) from the file format above."""
    at = 0
    while at < len(data):
        time, length = struct.unpack_from(">dI", data, at)
        at += 12
        yield time, data[at:at + length]
        at += length


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--mtu", type=int, default=65535, help="largest message allowed")
    parser.add_argument("--refresh", type=float, help="timed: templates repeat within seconds")
    parser.add_argument("--slack", type=float, default=1.0,
                        help="timed: export time may differ from capture by seconds")
    parser.add_argument("--torn", action="store_true",
                        help="tcp: the session may end inside a message")
    parser.add_argument("--late", action="store_true",
                        help="udp: the capture may begin inside the session")
    parser.add_argument("--whole", action="store_true",
                        help="nothing was exported before that is not captured")
    parser.add_argument("--no-destinations", action="store_true",
                        help="events of address translation tell no destination")
    source = parser.add_mutually_exclusive_group(required=True)
    for name in ("tcp", "udp", "timed", "file"):
        source.add_argument(f"--{name}", metavar="FILE")
    return parser.parse_args()


def main():
    args = arguments()
    kind = "tcp" if args.tcp else "file" if args.file else "udp"
    checker = Checker(kind, args.mtu, args.refresh, args.slack, args.late, args.whole,
                      args.no_destinations)
    with open(args.tcp or args.file or args.udp or args.timed, "rb") as file:
        data = file.read()
    if args.timed:
        for time, datagram in datagrams(data):
            checker.message(datagram, time)
        checker.finish()
    else:
        checker.stream(data, args.torn)
    print(*checker.complaints, sep="\n", end="\n" if checker.complaints else "")
    print(f"{checker.count} messages, {checker.records} records, "
          f"{len(checker.complaints)} complaints")
    return 1 if checker.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
