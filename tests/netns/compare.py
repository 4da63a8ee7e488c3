# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of an output against the manifest of the traffic."""
import collections
import socket

from capture import ICMP, ICMPV6, TCP, UDP
from formats import FIELDS, Row

MS = 1_000_000
NEAR = 250 * MS  # a tick may be late on a busy machine; other timeouts are a second off
PORTS = (TCP, UDP, 136)
NAMES = FIELDS.split()


def expected(flow):
    """All that is known of a flow, as the fullest format has it."""
    ports = (flow.sport, flow.dport, flow.reply_sport, flow.reply_dport)
    sport, dport, rsport, rdport = ports if flow.proto in PORTS else (None,) * 4
    icmp = (flow.icmp_type, flow.icmp_code) if flow.proto in (ICMP, ICMPV6) else None
    return Row(flow.proto, flow.src, sport, flow.dst, dport, flow.reply_src, rsport,
               flow.reply_dst, rdport, flow.opkts, flow.obytes, flow.rpkts, flow.rbytes,
               icmp, flow.mark, flow.first_ns, flow.last_ns)


def for_logemu(flow, row):
    """No mark, no times, and ICMPv6 is just a number."""
    return row._replace(mark=None, start=None, end=None,
                        icmp=None if flow.proto == ICMPV6 else row.icmp)


def for_ulog_ct(flow, row):
    """An INTEGER column has no IPv6 address."""
    return row if flow.family == socket.AF_INET else row._replace(src=None, dst=None)


def _show(row):
    return " ".join(f"{n}={v}" for n, v in zip(NAMES, row) if v is not None)


def _groups(rows):
    groups = collections.defaultdict(list)
    for row in rows:
        groups[row[:len(NAMES)]].append(row)
    return groups


def _times(name, row, want, flow, grain):
    """Start near the truth; the end after it and plausible."""
    if want.start is None:
        return
    if row.start is None or row.end is None and row.destroy is None:
        yield f"{name}: {flow.name}: no start, or no end"
        return
    if abs(row.start - want.start) > NEAR + grain:
        yield f"{name}: {flow.name}: start off by {(row.start - want.start) / 1e6:.1f} ms"
    for what, end in (("end", row.end), ("destroy", row.destroy)):
        if end is not None and end < row.start:
            yield f"{name}: {flow.name}: {what} before start"
    if row.destroy is not None and row.destroy < want.end - NEAR:
        yield f"{name}: {flow.name}: destroyed before its last packet"
    if row.end is None:
        return
    # A connection refused is deleted with its timer still running, and the
    # kernel tells whole seconds: then the last packet is known to 1-2 s only.
    killed = flow.proto == TCP and flow.opkts <= 1 and flow.rpkts == 1
    loose = 2500 * MS if killed else NEAR
    if abs(row.end - want.end) > loose + grain:
        yield f"{name}: {flow.name}: last packet off by {(row.end - want.end) / 1e6:.1f} ms"


def differences(name, rows, flows, adapt=None, grain=0):
    """What is wrong with the rows of one output, as lines of text."""
    rows = list(rows)
    wants = [(expected(f), f) for f in flows]
    if adapt:
        wants = [(adapt(f, w), f) for w, f in wants]
    got = _groups(rows)
    want = collections.defaultdict(list)
    for row, flow in wants:
        want[row[:len(NAMES)]].append((row, flow))
    problems = []
    if len(rows) != len(flows):
        problems.append(f"{name}: {len(rows)} records, {len(flows)} flows")
    for key in want:
        if len(got[key]) != len(want[key]):
            problems.append(f"{name}: {len(got[key])} times instead of {len(want[key])}: "
                            f"{_show(key)} ({want[key][0][1].name})")
    problems += [f"{name}: not sent: {_show(k)}" for k in got if got[k] and k not in want]
    for key, pairs in want.items():
        found = sorted(got[key], key=lambda r: r.start or 0)
        for row, (truth, flow) in zip(found, sorted(pairs, key=lambda p: p[0].start or 0)):
            problems += _times(name, row, truth, flow, grain)
    return problems
