# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules ipfix_check.py knows, each with the section it is from.

Those of "collectors" are in no standard: bytes that are allowed, and that one
of the collectors in use reads wrongly.
"""

RULES = {
    # messages and sets
    "version": "7011 3.1",
    "length": "7011 3.1",
    "stream": "7011 10.4.3",
    "size": "7011 10.3.3",
    "export-time": "7011 3.1",
    "sequence": "7011 3.1",
    "sequence-start": "7011 10.3.2",
    "set-id": "7011 3.3.2",
    "set-length": "7011 3.3.2",
    "set-empty": "7011 3.3.1",
    "set-rest": "7011 3.1",
    "set-record": "7011 3.3.1",
    "padding": "7011 3.3.1",
    "padding-long": "7011 3.3.1",
    # templates
    "template-id": "7011 3.4.1",
    "template-cut": "7011 3.4.1",
    "template-kind": "7011 3.4.1",
    "template-changed": "7011 8.1",
    "template-soon": "7011 8.4",
    "refresh": "7011 8.4",
    "withdraw-udp": "7011 8.4",
    "withdraw-unknown": "7011 8.1",
    "withdraw-kind": "7011 8.1",
    "withdraw-all": "7011 8.1",
    "enterprise": "7011 3.2",
    "enterprise-cut": "7011 3.2",
    "element": "7011 3.2",
    "element-length": "7011 6.2",
    "element-empty": "7011 3.2",
    "scopes": "7011 3.4.2.2",
    "scope-order": "7011 3.4.2.1",
    # data
    "data-unknown": "7011 8",
    "data-withdrawn": "7011 8.2",
    "data-older": "7011 8.2",
    "record-cut": "7011 7",
    "boolean": "7011 6.1.5",
    "text": "7011 6.1.6",
    "seconds": "7011 6.1.7",
    "milliseconds": "7011 6.1.8",
    "microseconds": "7011 6.1.9",
    "microseconds-low": "7011 6.1.9",
    "nanoseconds": "7011 6.1.10",
    "range": "7012 2.1",
    # biflows
    "reverse-key": "5103 4",
    "reverse-of": "5103 6.1",
    "reverse-length": "5103 6.1",
    "direction": "5103 6.3",
    # reports of the exporter about itself
    "report-domain": "7011 4.1",
    "report-exporter": "7011 4.3",
    "report-times": "7011 4.2, 4.3",
    "report-interval": "7011 8",
    "total-falls": "7011 4",
    "total-wrong": "7011 4",
    "keys-scope": "7011 4.4",
    "keys-template": "7011 4.4",
    "keys-unused": "7011 4.4",
    "keys-reverse": "6728 4.3.3",
    # types of enterprise elements
    "type-scope": "5610 3.9",
    "type-value": "5610 3",
    "type-semantics": "5610 3.10",
    "type-name": "5610 4, 7012 2.3",
    "type-bit": "5610 3.7",
    "type-iana": "5610 3.9",
    "type-changed": "5610 3.9",
    "type-again": "5610 3.9",
    "type-missing": "5610 3.9",
    "type-length": "5610 3.1, 7011 6.2",
    # events of address translation
    "nat-fields": "8158 4.6",
    "nat-historic": "8158 4.3",
    "nat-both": "8158 4.6.1",
    "nat-ports": "8158 4.6.10",
    "nat-destination": "8158 4.1",
    # files
    "file-order": "5655 7.2",
    "file-withdrawal": "5655 7.2",
    "file-scope": "5655 8",
    "window-twice": "5655 8.1.2",
    "window-outside": "5655 8.1.2",
    "md5-twice": "5655 8.1.1",
    "md5": "5655 8.1.1",
    # what collectors in use read wrongly
    "options-apart": "collectors: pmacct",
    "icmp-ports": "collectors: nfdump",
    "number-twice": "collectors: pmacct",
    "two-counters": "collectors: nfdump",
    "two-times": "collectors: goflow2",
    "type-late": "collectors: libfixbuf",
    "start-end": "collectors: end before start",
}


class Checks:
    """Part of the checker: keeps what is wrong."""

    def __init__(self):
        self.complaints = []
        self.broken = []  # rule of each complaint
        self.count = 0  # messages

    def complain(self, rule, what):
        self.complaints.append(f"message {self.count}: {RULES[rule]}: {what} ({rule})")
        self.broken.append(rule)
