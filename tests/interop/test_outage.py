#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""A collector that is away for long, and a daemon that does not stay the same.

Killed during the outage: what was in the spool arrives, the rest is a counted
gap.  Restarted with other settings, so that the records in the spool have
templates the new configuration does not: every value still decodes to what was
sent, over TCP and UDP.
"""
import os
import signal
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]

import collectors  # noqa: E402
import ipfix_wire  # noqa: E402
import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import Daemon, configuration, until  # noqa: E402
from sinks import TcpSink, UdpSink  # noqa: E402

NS, PORT, AWAY = "outage", 4739, "192.0.2.9"
PEN = 32473  # RFC 5612: for examples
OVER = 28  # octets of IPv4 and UDP header
LISTENS = "entering main loop"
NTP = 2_208_988_800
NEAR = 0.5  # seconds between a flow's first packet and when it was sent
# One after the other: what the output is told, and the kernel.
CONFIGURATIONS = {
    "tcp": [("", 1), (f"pen={PEN}\n", 1), ("timestamps=ns\n", 0), ("", 1)],
    "udp": [("", 1), (f"pen={PEN}\ntimestamps=ns\n", 0), ("", 1)]}


class Truth:
    """What was sent, by destination port, which no two flows share."""

    def __init__(self, lab):
        self.lab, self.next = lab, 10000
        self.sent = {}  # port: (octets, time, acct)
        self.sock = lab.socket(NS, socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("10.66.0.1", 5000))

    def flows(self, n, acct=1):
        """Makes that many, ends them all."""
        for _ in range(n):
            octets = 1 + self.next % 997
            self.sent[self.next] = octets + OVER, time.time(), acct
            self.sock.sendto(bytes(octets), ("10.66.1.1", self.next))
            self.next += 1
        self.lab.run(NS, "conntrack", "-F")

    def wrong(self, port, values):
        """What is not as it was sent in one record."""
        octets, when, acct = self.sent[port]
        if values["src"] != "10.66.0.1" or values["dst"] != "10.66.1.1":
            yield f"{port}: {values['src']} > {values['dst']}"
        if (values["octets"], values["packets"]) != ((octets, 1) if acct else (None, None)):
            yield f"{port}: {values['octets']} octets in {values['packets']}, sent {octets}"
        if not -NEAR < values["start"] - when < NEAR:
            yield f"{port}: started at {values['start']}, sent at {when}"


def decode(v):
    """The values of a record, whichever template it has."""
    def number(element):
        return int.from_bytes(v[0, element], "big") if (0, element) in v else None
    start = number(152) / 1e3 if (0, 152) in v else number(156) / 2**32 - NTP
    return {"src": socket.inet_ntoa(v[0, 8]), "dst": socket.inet_ntoa(v[0, 12]),
            "octets": number(1), "packets": number(2), "start": start}


class Collected:
    """Flows and losses of all sessions so far, incomplete last messages left out."""

    def __init__(self, sessions):
        self.flows = {}  # port: values of each record
        self.lost = 0
        for session in sessions:
            reader = ipfix_wire.Reader()
            for message in ipfix_wire.messages(whole(session)):
                for _, v in reader.records(message):
                    self.flows.setdefault(int.from_bytes(v[0, 11], "big"), []).append(decode(v))
            reader = ipfix_wire.Reader()
            for message in ipfix_wire.messages(whole(session)):
                for _, v in reader.records(message, options=True):
                    self.lost = max(self.lost, int.from_bytes(v.get((0, 166), b""), "big"))


def whole(data):
    at = 0
    while at + 4 <= len(data) and at + int.from_bytes(data[at + 2:at + 4], "big") <= len(data):
        at += int.from_bytes(data[at + 2:at + 4], "big")
    return bytes(data[:at])


def daemon(lab, tmp, host, proto, more="", input_=""):
    """Started, its collector at host; spool and state stay from one to the next."""
    d = Daemon(lab, NS, tmp, configuration(tmp, ["ct1:NFCT,out1:IPFIX"], {
        "ct1": input_, "out1": f"oid=7\nhost={host}\nport={PORT}\nproto={proto}\n"
        f'reconnect=100ms\nspool_dir="{tmp}/spool"\nspool_sync=100ms\n{more}'}))
    before = d.log().count(LISTENS)
    d.start(wait=False)  # the socket in the namespace may be its dead predecessor's
    until("ctflowd to listen", lambda: d.log().count(LISTENS) > before)
    return d


def folder(tmp, name):
    path = f"{tmp}/{name}"
    os.mkdir(path)
    os.chmod(path, 0o755)
    return path


def killed(lab, tmp):
    """SIGKILL while nobody listens, flows in the spool and flows that are not yet."""
    tmp, truth = folder(tmp, "killed"), Truth(lab)
    d = daemon(lab, tmp, "127.0.0.1", "tcp")
    truth.flows(2000)
    d.await_spool("out1:IPFIX", 2000, f"{tmp}/spool")
    safe = set(truth.sent)
    truth.flows(1000)
    d.send(signal.SIGKILL)
    d.wait()
    truth.flows(10)  # nobody hears them
    unheard = set(list(truth.sent)[-10:])
    sink = TcpSink(lab, NS, PORT)
    d = daemon(lab, tmp, "127.0.0.1", "tcp")
    truth.flows(100)
    after = set(truth.sent) - unheard - safe
    due = safe | set(list(truth.sent)[-100:])
    until("what was safe", lambda: due <= set(Collected(sink.sessions).flows), step=0.3)
    d.stop()
    sink.close()
    got = Collected(sink.sessions)
    missing = (safe | after) - set(got.flows)
    print(f"killed: {len(got.flows)} flows arrived, {len(missing)} did not, "
          f"{got.lost} told lost")
    problems = [w for port, values in got.flows.items() for v in values
                for w in truth.wrong(port, v)]
    problems += [f"{port} came {len(v)} times" for port, v in got.flows.items()
                 if len(v) > 1 and port in safe]
    if len(missing) > got.lost:
        problems.append(f"{len(missing)} flows are missing, {got.lost} were told lost")
    if got.lost > 2 * (len(after) + len(unheard)):
        problems.append(f"{got.lost} told lost of {len(after)} that could have been")
    return problems


def changed(lab, tmp, proto):
    """Other templates after each restart, then the collector comes back."""
    tmp, truth = folder(tmp, proto), Truth(lab)
    for i, (more, acct) in enumerate(CONFIGURATIONS[proto]):
        lab.sysctl(NS, acct=acct)
        d = daemon(lab, tmp, AWAY, proto, more, "sysctl=warn\n")
        truth.flows(200, acct)
        if i % 2:
            d.stop()
        else:
            d.await_spool("out1:IPFIX", 200, f"{tmp}/spool")
            d.send(signal.SIGKILL)
            d.wait()
    lab.run(NS, "ip", "addr", "add", f"{AWAY}/32", "dev", "lo")
    sink = (TcpSink if proto == "tcp" else UdpSink)(lab, NS, PORT, AWAY)
    sessions = (lambda: sink.sessions) if proto == "tcp" else \
        (lambda: [b"".join(sink.messages())])
    d = daemon(lab, tmp, AWAY, proto, CONFIGURATIONS[proto][-1][0])
    until("all flows", lambda: set(truth.sent) <= set(Collected(sessions()).flows), step=0.3)
    d.stop()
    got = Collected(sessions())
    sink.close()
    lab.run(NS, "ip", "addr", "del", f"{AWAY}/32", "dev", "lo")
    problems = [w for port, values in got.flows.items() for v in values
                for w in truth.wrong(port, v)]
    problems += [f"{port} came {len(v)} times" for port, v in got.flows.items() if len(v) > 1]
    for i, session in enumerate(sessions()):
        with open(f"{tmp}/{i}.ipfix", "wb") as f:
            f.write(whole(session))
        problems += [f"ipfixDump: {w}" for w in collectors.IpfixDump(f"{tmp}/{i}.ipfix").finish()]
    if got.lost:
        problems.append(f"{got.lost} flows told lost")
    print(f"changed, {proto}: {len(got.flows)} flows in {len(sessions())} sessions")
    return [f"{proto}: {p}" for p in problems[:20]]


def test(lab, tmp):
    labs.flood_ns(lab, NS)
    return killed(lab, tmp) + changed(lab, tmp, "tcp") + changed(lab, tmp, "udp")


scene.main(test)
