# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages of IPFIX made by hand, right and wrong, for test_ipfix_check.py."""
import struct

from ipfix_elements import REVERSE, TYPE_OF, VARIABLE

NOW = 1_700_000_000
MS = NOW * 1000
PEN = 32473  # RFC 5612: for examples
FLOW = [(0, 152, 8), (0, 153, 8), (0, 1, 8), (0, 2, 8), (REVERSE, 1, 8), (0, 8, 4), (0, 12, 4),
        (0, 7, 2), (0, 11, 2), (0, 136, 1), (0, 239, 1), (0, 4, 1)]
VALUES = [MS - 5, MS, 100, 2, 50, 0x0A000001, 0x0A000002, 1000, 80, 1, 1, 6]


def message(sequence, *sets, time=NOW, odid=7, version=10, length=None):
    body = b"".join(sets)
    return struct.pack(">HHIII", version, 16 + len(body) if length is None else length, time,
                       sequence, odid) + body


def a_set(number, *content, length=None):
    content = b"".join(content)
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


def pack(fields, values):
    """A record; text is put in as it is."""
    return b"".join(v if isinstance(v, bytes) else v.to_bytes(length, "big")
                    for (_, _, length), v in zip(fields, values))


def text(words):
    """A value of variable length."""
    words = words.encode() if isinstance(words, str) else words
    return bytes([len(words)]) + words


def flow(**changed):
    """A record of FLOW; e136=0 changes the value of element 136."""
    values = [changed.get(f"e{element}", v) if pen == 0 else v
              for (pen, element, _), v in zip(FLOW, VALUES)]
    return pack(FLOW, values)


def record_of(fields, *values, number=256, odid=7):
    """A session of one record of a template of its own."""
    return message(0, a_set(2, template(number, fields)), a_set(number, pack(fields, values)),
                   odid=odid)


def options_of(fields, scopes, *records, number=300, odid=7, before=b""):
    """A session: one options template, and records of it."""
    return before + message(0, a_set(3, options(number, scopes, fields)),
                            *(a_set(number, pack(fields, r)) for r in records), odid=odid)


def standard(elements):
    """Fields in the length of their type."""
    length = {"u8": 1, "u16": 2, "u32": 4, "ip4": 4, "seconds": 4, "ip6": 16, "string": VARIABLE,
              "bool": 1}
    return [(0, e, length.get(TYPE_OF[e], 8)) for e in elements]


TYPE_FIELDS = standard((303, 346, 339, 344, 345, 342, 343)) + [(0, 341, VARIABLE),
                                                               (0, 340, VARIABLE)]


def type_record(element=1001, pen=PEN, kind=3, semantics=0, name="ctStatus", description=""):
    return (element, pen, kind, semantics, 0, 0, 0, text(name), text(description))


def types(*records, scopes=2, fields=None):
    return options_of(fields or TYPE_FIELDS, scopes, *records, number=303)
