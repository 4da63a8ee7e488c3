#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""nfacctd with preset = pmacct: both directions of every flow, as they were.

It knows no reverse elements, so each direction is a record of its own.  It has
no names for marks and translated IPv6 addresses.
"""
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]

import lab as labs  # noqa: E402
import natlab  # noqa: E402
import pmacct  # noqa: E402
import scene  # noqa: E402
from daemon import until  # noqa: E402
from natlab import GATEWAY  # noqa: E402


def test(lab, tmp):
    natlab.build(lab)
    nfacctd = pmacct.Nfacctd(lab, GATEWAY, 2100, f"{tmp}/pmacct", mtu=1420)
    flows = scene.standard(lab, tmp, ["ct1:NFCT,pm1:IPFIX"], {
        "pm1": 'oid=1\nhost="127.0.0.1"\npreset=pmacct\n'})
    want = pmacct.sent(flows)
    until("all rows", lambda: sum(pmacct.printed(nfacctd.rows()).values()) >= sum(want.values()),
          step=0.5)
    problems = [f"nfacctd says: {w}" for w in nfacctd.finish()]
    got = pmacct.printed(nfacctd.rows())
    problems += [f"not there: {n} times {row}" for row, n in (want - got).items()]
    problems += [f"not sent: {n} times {row}" for row, n in (got - want).items()]
    print(f"{len(flows)} flows, {sum(got.values())} rows")
    return problems


if not shutil.which("nfacctd", path=os.environ["PATH"] + ":/usr/sbin"):
    labs.skip("needs nfacctd of pmacct")
scene.main(test)
