# SPDX-License-Identifier: GPL-2.0-or-later
"""A small IPFIX reader: messages, templates, records.  Values, not verdicts."""
import struct

PEN_REVERSE = 29305
HEADER = struct.Struct(">HHIII")
SPEC = struct.Struct(">HH")
VARIABLE = 65535


def messages(stream):
    """Splits a byte stream into messages."""
    at = 0
    while at < len(stream):
        version, length = struct.unpack_from(">HH", stream, at)
        if version != 10 or length < 16 or at + length > len(stream):
            raise ValueError(f"no IPFIX message at byte {at}")
        yield stream[at:at + length]
        at += length


def _template(body, at, options):
    """One (options) template record; returns id, fields, next position."""
    tid, count = SPEC.unpack_from(body, at)
    at += 4 + (2 if options and count else 0)
    fields = []
    for _ in range(count):
        element, length = SPEC.unpack_from(body, at)
        at += 4
        pen = 0
        if element & 0x8000:
            pen, = struct.unpack_from(">I", body, at)
            at += 4
        fields.append(((pen, element & 0x7FFF), length))
    return tid, fields, at


def _record(body, at, fields):
    values = {}
    for name, length in fields:
        if length == VARIABLE:
            length = body[at]
            at += 1
            if length == 255:
                length, = struct.unpack_from(">H", body, at)
                at += 2
        values[name] = bytes(body[at:at + length])
        at += length
    return values, at


class Reader:
    """Decodes messages of one session; keeps its templates."""

    def __init__(self):
        self.templates = {}
        self.options = set()
        self.seen = {}  # flow records counted so far, by template

    def sets(self, message):
        """(set id, body) of a message, templates learnt on the way."""
        at = HEADER.size
        while at < len(message):
            sid, length = SPEC.unpack_from(message, at)
            if length < 4 or at + length > len(message):
                raise ValueError(f"bad set length {length}")
            body = message[at + 4:at + length]
            if sid in (2, 3):
                self._learn(body, sid == 3)
            else:
                yield sid, body
            at += length

    def _learn(self, body, options):
        at = 0
        while at + 4 <= len(body):
            tid, fields, at = _template(body, at, options)
            self.templates[tid] = fields
            (self.options.add if options else self.options.discard)(tid)

    def records(self, message, options=False):
        """(template id, {(pen, element): bytes}) of every flow or options record."""
        for sid, body in self.sets(message):
            fields = self.templates[sid]
            least = sum(1 if n == VARIABLE else n for _, n in fields)
            at = 0
            while at + least <= len(body):
                values, at = _record(body, at, fields)
                if (sid in self.options) == options:
                    yield sid, values

    def count(self, message):
        """Flow records in a message, without decoding fixed-size ones."""
        total = 0
        for sid, body in self.sets(message):
            if sid not in self.options:
                n = len(body) // sum(n for _, n in self.templates[sid])
                self.seen[sid] = self.seen.get(sid, 0) + n
                total += n
        return total
