#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A demonstration: ctflowd in a NAT gateway with traffic through it.

usage: demo.py CTFLOWD CONFIGURATION      (root; quickstart run calls it)
"""
import sys
import time

import natlab
from lab import Lab, LabError, need_root
from traffic import Traffic

PLAIN, MASQUERADED, POOL = (("10.77.1." + n, "fd77:1::" + n) for n in "234")
SERVER, SERVER6 = "10.77.2.2", "fd77:2::2"
GATEWAY = "10.77.1.1"


def send(lab):
    """Connections of each kind; what is behind NAT goes out from a pool."""
    t = Traffic(lab)
    t.tcp(POOL[0], SERVER, 80, 200, 50000)
    t.tcp(POOL[0], SERVER, 80, 100000, 300)
    t.tcp(POOL[1], SERVER6, 80, 300, 20000)
    t.tcp(PLAIN[0], GATEWAY, 8080, 80, 3000, at=(SERVER, 80))
    t.tcp_refused(PLAIN[1], SERVER6, 443)
    t.udp(MASQUERADED[0], SERVER, 53, [40], [120])
    t.udp(MASQUERADED[1], SERVER6, 53, [60], [400])
    t.ping(MASQUERADED[0], SERVER, 2, 56)
    t.ping(PLAIN[1], SERVER6, 2, 56)


def wait_listening(daemon):
    """Until its event socket has joined a conntrack group."""
    for _ in range(100):
        if daemon.poll() is not None:
            break
        with open(f"/proc/{daemon.pid}/net/netlink", encoding="ascii") as f:
            if any(l.split()[1] == "12" and int(l.split()[3], 16) for l in list(f)[1:]):
                return
        time.sleep(0.1)
    raise LabError("ctflowd did not start")


def wait_ended(lab):
    """Until no flow is left: listing the table takes expired entries out."""
    for _ in range(60):
        for family in ("ipv4", "ipv6"):
            lab.run(natlab.GATEWAY, "conntrack", "-L", "-f", family)
        if lab.count(natlab.GATEWAY) == 0:
            return
        time.sleep(0.5)


def main():
    need_root()
    with Lab() as lab:
        natlab.build(lab)
        lab.sysctl(natlab.GATEWAY, acct=0, timestamp=0)  # as found: ctflowd sets them
        daemon = lab.popen(natlab.GATEWAY, [sys.argv[1], "-c", sys.argv[2]],
                           start_new_session=True)  # Ctrl-C is for us
        try:
            wait_listening(daemon)
            send(lab)
            wait_ended(lab)
        finally:
            daemon.terminate()
            code = daemon.wait(30)
        if code != 0:
            raise LabError(f"ctflowd ended with {code}")


if __name__ == "__main__":
    try:
        main()
    except (LabError, OSError) as e:
        sys.exit(f"demo: {e}")
