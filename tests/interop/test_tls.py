#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""IPFIX over TLS: the right collector gets every flow, a wrong one gets nothing.

openssl s_server is the collector that demands a certificate; ipfixDump reads what
it wrote.  Then one that is wrong in every way, one after the other, until it is
right.
"""
import os
import shutil
import signal
import ssl
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]

import captured  # noqa: E402
import collectors  # noqa: E402
import compare  # noqa: E402
import formats  # noqa: E402
import lab as labs  # noqa: E402
import natlab  # noqa: E402
import scene  # noqa: E402
from daemon import Daemon, configuration, until  # noqa: E402
from natlab import GATEWAY  # noqa: E402
from tls_collector import Authority, TlsSink, context  # noqa: E402

NS, FLOWS = "tls", 2000
HANDSHAKE = 8192  # more than any bytes of ours before a session is up


# ---- the right one -----------------------------------------------------------------

def s_server(lab, tmp, ca, pair):
    """openssl s_server that demands a certificate, writing what it gets; on 4740."""
    with open(f"{tmp}/s_server", "wb") as out, open(f"{tmp}/s_server.err", "wb") as err:
        child = lab.popen(GATEWAY, [
            "openssl", "s_server", "-accept", "127.0.0.1:4740", "-cert", pair[0], "-key",
            pair[1], "-CAfile", ca, "-Verify", "1", "-verify_return_error", "-quiet",
            "-naccept", "1"], stdin=subprocess.PIPE, stdout=out, stderr=err)
    until("s_server to listen", lambda: ":1284 " in lab.read(
        GATEWAY, "/proc/thread-self/net/tcp"))
    return child


def right(lab, tmp, ca):
    """Both certificates are right: the standard traffic, value by value."""
    natlab.build(lab)
    cert, key = ca.sign("exporter", "DNS:exporter.example")
    server = s_server(lab, tmp, ca.ca, ca.sign("server", "DNS:flows.example,IP:127.0.0.1"))
    flows = scene.standard(lab, tmp, ["ct1:NFCT,tls1:IPFIX"], {
        "tls1": 'oid=1\nhost="127.0.0.1"\nproto=tls\ntls_name="flows.example"\n'
                f'tls_ca="{ca.ca}"\ntls_cert="{cert}"\ntls_key="{key}"\n'})
    if server.wait(100):
        with open(f"{tmp}/s_server.err", encoding="utf-8") as f:
            return [f"s_server: {f.read()}"]
    with open(f"{tmp}/s_server", "rb") as f:
        captured.keep("s_server", "tcp", f.read())
    dump = collectors.IpfixDump(f"{tmp}/s_server")
    problems = [f"ipfixDump: {w}" for w in dump.finish()]
    problems += compare.differences("ipfixDump", dump.rows(), flows)
    print(f"s_server: {len(flows)} flows")
    return problems


# ---- the wrong ones ----------------------------------------------------------------

def wrong_modes(ca, other):
    """What is wrong with the collector, and the words for it in the log."""
    names = "DNS:localhost"
    good = ca.sign("good", names)
    v2, v3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    yield "plain", "does not speak TLS"
    yield "hang up", "closed the connection in the handshake"
    yield context(other.sign("stranger", names)), "an authority that tls_ca does not name"
    yield context(ca.sign("named", "DNS:other.example,IP:192.0.2.1")), \
        "not for localhost but for other.example, 192.0.2.1"
    yield context(ca.sign("old", names, -1)), "old expired at"
    demands = "; it demands a client certificate, and tls_cert is not given"
    yield context(good, ca.ca, v2), f"'handshake failure'{demands}"
    yield context(good, ca.ca, v3), f"'certificate required'{demands}"
    yield "stop", "no answer to the handshake within 10 s"


def backs_off(sink, daemon, words):
    """Attempts at the same thing, less and less often, and said once."""
    until("attempts", lambda: len(sink.sessions) >= 5, step=0.02)
    at = [s.when for s in sink.sessions[:5]]
    problems = [] if at[4] - at[3] > 2 * min(at[1] - at[0], at[2] - at[1]) else [f"no back-off: {at}"]
    if daemon.log().count(words) != 1:
        problems.append(f"'{words}' is in the log {daemon.log().count(words)} times")
    return problems


def leaked(sink):
    """Sessions with a wrong collector in which flow data left."""
    return [f"flow data at a wrong collector: {s.mode}, {len(s.raw)} bytes, "
            f"{len(s.plain)} of them data" for s in sink.sessions
            if s.plain or len(s.raw) > HANDSHAKE]


def arrived(sink):
    return len(list(formats.ipfix(whole(sink.plain()))))


def whole(data):
    """The whole messages of what has come so far."""
    at = 0
    while at + 4 <= len(data) and at + int.from_bytes(data[at + 2:at + 4], "big") <= len(data):
        at += int.from_bytes(data[at + 2:at + 4], "big")
    return data[:at]


def wrong(lab, tmp, ca, other):
    """All flows are there from the beginning; nobody gets them but the right one."""
    labs.flood_ns(lab, NS)
    modes = list(wrong_modes(ca, other))
    sink = TlsSink(lab, NS, 4740, modes[0][0])
    daemon = Daemon(lab, NS, tmp, configuration(tmp, ["ct1:NFCT,tls1:IPFIX"], {
        "tls1": f'oid=1\nhost=localhost\nproto=tls\nreconnect=100ms\ntls_ca="{ca.ca}"\n'}),
                    name="wrong.conf")
    os.unlink(f"{tmp}/log")
    daemon.start()
    lab.run(NS, labs.helper("flood", tmp), str(FLOWS))
    lab.run(NS, "conntrack", "-F")
    problems = []
    for i, (mode, words) in enumerate(modes):
        sink.mode = mode
        if i:
            daemon.send(signal.SIGHUP)  # an attempt now
        else:
            problems += backs_off(sink, daemon, words)
        daemon.wait_log(words)
    problems += leaked(sink)
    before = len(sink.sessions)
    sink.mode = context(ca.sign("right", "DNS:localhost"))
    daemon.send(signal.SIGHUP)
    until(f"all flows, {arrived(sink)} of {FLOWS} are here", lambda: arrived(sink) >= FLOWS)
    daemon.stop()
    sink.close()
    captured.keep("tls", "tcp", sink.plain())
    if arrived(sink) != FLOWS or sink.sessions[-1].error:
        problems.append(f"{arrived(sink)} flows, {sink.sessions[-1].error}")
    print(f"{before} attempts at wrong collectors, then {arrived(sink)} flows")
    return problems


def test(lab, tmp):
    ca, other = Authority(tmp, "ca"), Authority(tmp, "other")
    return right(lab, tmp, ca) + wrong(lab, tmp, ca, other)


for tool in ("openssl", "ipfixDump"):
    if not shutil.which(tool):
        labs.skip(f"needs the program {tool}")
scene.main(test)
