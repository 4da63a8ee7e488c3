# SPDX-License-Identifier: GPL-2.0-or-later
"""All IPFIX that the collectors of a scene got goes through ipfix_check.py.

The sinks of sinks.py are judged when the scene ends (scene.main); what other
collectors got is handed to keep().
"""
import os
import struct
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))

from ipfix_check import Checker  # noqa: E402

SHOWN = 5  # complaints about one session
_sinks = []
_sessions = []  # (name, Checker, data, torn)


def watch(sink):
    """Judged at the end; sink.captured() yields arguments of keep()."""
    _sinks.append(sink)


def keep(name, transport, data, torn=False, **rules):
    """One session: bytes of a stream, or [(time, datagram)]; rules: of Checker."""
    _sessions.append((name, Checker(transport, **rules), data, torn))


def _complaints(name, checker, data, torn):
    if isinstance(data, list):
        for time, datagram in data:
            checker.message(datagram, time)
        checker.finish()
    else:
        checker.stream(data, torn)
    return [f"{name}: {what}" for what in checker.complaints[:SHOWN]]


def _save(directory, number, name, data):
    """For ipfix_check.py by hand."""
    if isinstance(data, list):
        data = b"".join(struct.pack(">dI", t, len(d)) + d for t, d in data)
    with open(f"{directory}/captured{number}.{name.replace(' ', '-')}", "wb") as f:
        f.write(data)


def judge(directory):
    """Complaints about all there is, once."""
    for sink in _sinks:
        for arguments, rules in sink.captured():
            keep(*arguments, **rules)
    problems = []
    for i, (name, checker, data, torn) in enumerate(_sessions):
        found = _complaints(name, checker, data, torn)
        if found:
            _save(directory, i, name, data)
        problems += found
    if _sessions:
        print(f"conformance: {len(_sessions)} sessions, "
              f"{sum(c.count for _, c, _, _ in _sessions)} messages, "
              f"{sum(c.records for _, c, _, _ in _sessions)} records")
    _sinks.clear()
    _sessions.clear()
    return problems
