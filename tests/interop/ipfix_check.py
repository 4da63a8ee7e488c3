#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Does an exporter keep the rules of IPFIX that its bytes can show?

    ipfix_check.py [options] --tcp FILE     the bytes of one session (or a file)
    ipfix_check.py [options] --udp FILE     datagrams, one behind the other
    ipfix_check.py [options] --timed FILE   datagrams, each behind its capture
                                            time (double) and length (u32),
                                            both big-endian

Prints one line for each broken rule, "message N: RFC section: what", and exits
with 1 if there was any.  The rules are the MUSTs of RFC 7011, 7012 and 5103,
and those SHOULDs whose breach loses data at known collectors.
"""
import argparse
import struct
import sys

REVERSE = 29305
VARIABLE = 65535
DAY_MS = 86_400_000
NTP_EPOCH = 2_208_988_800

# IANA elements by abstract type; only what such exporters send.
KINDS = {
    "ip4": (8, 12, 15, 18, 44, 45, 130, 225, 226),
    "ip6": (27, 28, 62, 63, 131, 281, 282),
    "mac": (56, 57, 80, 81),
    "seconds": (150, 151, 322),
    "ms": (152, 153, 160, 323),
    "ntp": (154, 155, 156, 157, 324, 325),
    "bool": (276,),
    "string": (82, 83, 84, 96, 147, 236, 300, 335, 341, 344),
    "u8": (4, 5, 136, 176, 177, 178, 179, 192, 230, 233, 239, 297, 339),
    "u16": (6, 7, 11, 32, 139, 145, 205, 227, 228, 303),
    "u32": (10, 14, 95, 138, 143, 144, 149, 234, 235, 346, 361),
    "u64": (1, 2, 23, 24, 40, 41, 42, 85, 86, 148, 163, 164, 165, 166, 167, 168, 173, 231,
            232, 298, 299),
}
KIND_OF = {number: kind for kind, numbers in KINDS.items() for number in numbers}
EXACT = {"ip4": 4, "ip6": 16, "mac": 6, "seconds": 4, "ms": 8, "ntp": 8, "bool": 1}
AT_MOST = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}
RANGES = {136: (1, 5), 230: (0, 18), 233: (0, 5), 239: (0, 3)}
KEYS = {7, 8, 11, 12, 27, 28, 32, 139, 225, 226, 281, 282}
# RFC 5103 6.1: no reverse of identifiers, of the process, of the direction
IRREVERSIBLE = {40, 41, 42, 130, 131, 137, 143, 144, 145, 148, 149, 163, 164, 165, 166, 167,
                168, 173, 210, 211, 214, 215, 216, 217, 239}
IANA_LAST = 527


class Template:
    def __init__(self, raw, fields, scopes, time):
        self.raw, self.fields, self.scopes, self.time = raw, fields, scopes, time
        self.seen = None  # capture time of the last copy
        self.smallest = sum(1 if length == VARIABLE else length for _, _, length in fields)


class Domain:
    def __init__(self):
        self.templates = {}
        self.sequence = 0
        self.withdrawn = {}


class Checker:
    """One transport session."""

    def __init__(self, transport, mtu=65535, refresh=None, slack=None):
        self.udp = transport == "udp"
        self.mtu, self.refresh, self.slack = mtu, refresh, slack
        self.domains = {}
        self.complaints = []
        self.count = 0
        self.records = 0
        self.last_capture = None

    def complain(self, section, what):
        self.complaints.append(f"message {self.count}: {section}: {what}")

    # -- messages

    def stream(self, data, torn=False):
        """The bytes of a TCP session; torn: it may end inside a message."""
        at = 0
        while len(data) - at >= 16:
            length = struct.unpack_from(">H", data, at + 2)[0]
            if length < 16 or data[at:at + 2] != b"\0\x0a":
                break
            if length > len(data) - at:
                break
            self.message(data[at:at + length])
            at += length
        if at < len(data) and not (torn and self.begins_message(data[at:])):
            self.count += 1
            self.complain("7011 3.1", f"byte {at}: not a whole message")
        return self

    @staticmethod
    def begins_message(data):
        return data[:2] == b"\0\x0a"[:len(data)] and (
            len(data) < 4 or struct.unpack_from(">H", data, 2)[0] > len(data))

    def message(self, data, captured=None):
        self.count += 1
        if len(data) < 16:
            return self.complain("7011 3.1", "shorter than a header")
        version, length, time, sequence, odid = struct.unpack_from(">HHIII", data)
        if version != 10:
            self.complain("7011 3.1", f"version {version}")
        if length != len(data):
            return self.complain("7011 3.1", f"length {length}, but {len(data)} octets")
        if length > self.mtu:
            self.complain("7011 10.3.3", f"{length} octets, more than {self.mtu}")
        if captured is not None and self.slack is not None and abs(captured - time) > self.slack:
            self.complain("7011 3.1", f"export time {time} at {captured:.3f}")
        domain = self.domains.setdefault(odid, Domain())
        if sequence != domain.sequence:
            self.complain("7011 3.1", f"sequence {sequence}, not {domain.sequence}, in {odid}")
            domain.sequence = sequence
        records = self.sets(domain, data[16:], time, captured)
        domain.sequence = (domain.sequence + records) & 0xFFFFFFFF
        self.records += records
        self.overdue(captured)
        return None

    def overdue(self, captured):
        """UDP: each template appears again in time (only judged when data flow)."""
        if not self.udp or self.refresh is None or captured is None:
            return
        for domain in self.domains.values():
            for number, template in domain.templates.items():
                if template.seen is not None and captured - template.seen > self.refresh:
                    self.complain("7011 8.4", f"template {number} not repeated for "
                                  f"{captured - template.seen:.0f} s")
                    template.seen = captured

    def sets(self, domain, body, time, captured):
        at = records = 0
        while at < len(body):
            if len(body) - at < 4:
                self.complain("7011 3.1", f"{len(body) - at} octets behind the last set")
                break
            number, length = struct.unpack_from(">HH", body, at)
            if length < 4 or length > len(body) - at:
                self.complain("7011 3.3.2", f"set {number} has length {length}")
                break
            content = body[at + 4:at + length]
            if not content:
                self.complain("7011 3.3.1", f"set {number} is empty")
            if number in (2, 3):
                self.template_set(domain, content, number == 3, time, captured)
            elif number >= 256:
                records += self.data_set(domain, number, content, time)
            else:
                self.complain("7011 3.3.2", f"set id {number}")
            at += length
        return records

    # -- templates

    def template_set(self, domain, content, options, time, captured):
        at = 0
        shortest = 4
        while len(content) - at >= shortest:
            number, count = struct.unpack_from(">HH", content, at)
            if count == 0 and number in (2, 3) or number >= 256 and count == 0:
                self.withdraw(domain, number, time)
                at += 4
                continue
            if number < 256:
                break
            end = self.template(domain, content, at, options, time, captured)
            if end is None:
                return
            at = end
        if any(content[at:]):
            self.complain("7011 3.3.1", "a template set ends in octets that are not padding")
        elif len(content) - at >= shortest:
            self.complain("7011 3.3.1", "padding as long as a record")

    def withdraw(self, domain, number, time):
        if self.udp:
            self.complain("7011 8.4", f"withdrawal of {number} over UDP")
        gone = list(domain.templates) if number in (2, 3) else [number]
        for n in gone:
            if domain.templates.pop(n, None) is None:
                self.complain("7011 8.1", f"withdrawal of {n}, which is not there")
            domain.withdrawn[n] = time

    def template(self, domain, content, at, options, time, captured):
        begin, (number, count) = at, struct.unpack_from(">HH", content, at)
        at += 4
        scopes = 0
        if options:
            if len(content) - at < 2:
                return self.complain("7011 3.4.2", f"options template {number} is cut")
            scopes, = struct.unpack_from(">H", content, at)
            at += 2
            if not 1 <= scopes <= count:
                self.complain("7011 3.4.2.2", f"template {number}: {scopes} scope fields")
        fields = []
        for _ in range(count):
            spec = self.specifier(content, at, number)
            if spec is None:
                return None
            fields.append(spec[:3])
            at += spec[3]
        self.judge_fields(number, fields)
        self.define(domain, number, Template(content[begin:at], fields, scopes, time), captured)
        return at

    def specifier(self, content, at, number):
        if len(content) - at < 4:
            return self.complain("7011 3.4.1", f"template {number} is cut")
        element, length = struct.unpack_from(">HH", content, at)
        if not element & 0x8000:
            return 0, element, length, 4
        if len(content) - at < 8:
            return self.complain("7011 3.2", f"template {number}: no enterprise number")
        pen, = struct.unpack_from(">I", content, at + 4)
        if pen == 0:
            self.complain("7011 3.2", f"template {number}: enterprise 0")
        return pen, element & 0x7FFF, length, 8

    def judge_fields(self, number, fields):
        iana = {element for pen, element, _ in fields if pen == 0}
        for pen, element, length in fields:
            if pen == 0 and not 1 <= element <= IANA_LAST:
                self.complain("7011 3.2", f"template {number}: no IANA element {element}")
            if pen == REVERSE and element in IRREVERSIBLE:
                self.complain("5103 6.1", f"template {number}: reverse of {element}")
            if pen in (0, REVERSE):
                self.judge_length(number, element, length)
            elif length == 0:
                self.complain("7011 3.2", f"template {number}: {pen}/{element} has length 0")
        if any(pen == REVERSE for pen, _, _ in fields):
            if not iana & KEYS:
                self.complain("5103 4", f"template {number}: a biflow without source or "
                              "destination")
            if self.udp and 239 not in iana:
                self.complain("5103 6.3", f"template {number}: no biflowDirection")

    def judge_length(self, number, element, length):
        kind = KIND_OF.get(element)
        if kind in EXACT and length != EXACT[kind]:
            self.complain("7011 6.2", f"template {number}: element {element} in {length} octets")
        if kind in AT_MOST and not 1 <= length <= AT_MOST[kind]:
            self.complain("7011 6.2", f"template {number}: element {element} in {length} octets")

    def define(self, domain, number, template, captured):
        old = domain.templates.get(number)
        if old and (old.raw != template.raw or old.scopes != template.scopes):
            self.complain("7011 8", f"template {number} is defined anew")
        if not template.fields:
            self.complain("7011 3.4.1", f"template {number} has no fields")
        if old:
            template.time = old.time
        template.seen = captured
        domain.templates[number] = template

    # -- data

    def data_set(self, domain, number, content, time):
        template = domain.templates.get(number)
        if template is None:
            if number in domain.withdrawn:
                self.complain("7011 8.2", f"data of {number}, which was withdrawn")
            else:
                self.complain("7011 8", f"data of {number} before its template")
            return 0
        if time < template.time:
            self.complain("7011 8.2", f"data of {number} are older than its template")
        at = records = 0
        while template.smallest and len(content) - at >= template.smallest:
            end = self.record(number, template, content, at, time)
            if end is None:
                return records
            at = end
            records += 1
        if any(content[at:]):
            self.complain("7011 3.3.1", f"set {number} ends in a part of a record")
        if not records:
            self.complain("7011 3.3.1", f"set {number} has no record")
        return records

    def record(self, number, template, content, at, time):
        for pen, element, length in template.fields:
            if length == VARIABLE:
                length = content[at] if at < len(content) else 255
                at += 1
                if length == 255:
                    if len(content) - at < 2:
                        return self.complain("7011 7", f"set {number}: a length is cut")
                    length, = struct.unpack_from(">H", content, at)
                    at += 2
            if length > len(content) - at:
                return self.complain("7011 7", f"set {number}: a record is cut")
            if pen in (0, REVERSE):
                self.value(number, element, content[at:at + length], time)
            at += length
        return at

    def value(self, number, element, raw, time):
        kind = KIND_OF.get(element)
        n = int.from_bytes(raw, "big")
        low, high = RANGES.get(element, (None, None))
        if low is not None and not low <= n <= high:
            self.complain("7012 2.1", f"set {number}: element {element} is {n}")
        if kind == "bool" and n not in (1, 2):
            self.complain("7011 6.1.5", f"set {number}: boolean {element} is {n}")
        if kind == "string":
            try:
                raw.decode()
            except UnicodeDecodeError:
                self.complain("7011 6.1.6", f"set {number}: element {element} is not UTF-8")
        if element in (152, 153, 323) and n > time * 1000 + DAY_MS:
            self.complain("7011 6.1.8", f"set {number}: element {element} is {n}, the future")
        if element in (152, 153, 323) and n < 946_684_800_000:
            self.complain("7011 6.1.8", f"set {number}: element {element} is {n}, before 2000")
        if kind == "ntp" and (n >> 32) - NTP_EPOCH > time + 86400:
            self.complain("7011 6.1.9", f"set {number}: element {element} is in the future")


def datagrams(data):
    """(time, datagram) from the file format above."""
    at = 0
    while at < len(data):
        time, length = struct.unpack_from(">dI", data, at)
        at += 12
        yield time, data[at:at + length]
        at += length


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--mtu", type=int, default=65535, help="largest message allowed")
    parser.add_argument("--refresh", type=float, help="timed: templates repeat within seconds")
    parser.add_argument("--slack", type=float, default=1.0,
                        help="timed: export time may differ from capture by seconds")
    parser.add_argument("--torn", action="store_true",
                        help="tcp: the session may end inside a message")
    source = parser.add_mutually_exclusive_group(required=True)
    for name in ("tcp", "udp", "timed"):
        source.add_argument(f"--{name}", metavar="FILE")
    args = parser.parse_args()
    checker = Checker("tcp" if args.tcp else "udp", args.mtu, args.refresh, args.slack)
    with open(args.tcp or args.udp or args.timed, "rb") as file:
        data = file.read()
    if args.timed:
        for time, datagram in datagrams(data):
            checker.message(datagram, time)
    else:
        checker.stream(data, args.torn)
    print(*checker.complaints, sep="\n", end="\n" if checker.complaints else "")
    print(f"{checker.count} messages, {checker.records} records, "
          f"{len(checker.complaints)} complaints")
    return 1 if checker.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
