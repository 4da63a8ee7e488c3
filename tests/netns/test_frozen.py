#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""The disk with the state page hangs: ended flows do not stay in the table.

Whoever writes to a file there waits until the disk goes on, in the kernel.  The
guard must not: it lets go, and once the disk works each flow is delivered or
counted.
"""
import contextlib
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import Daemon, configuration, text, until  # noqa: E402

NS = "frozen"
GAP = re.compile(r"\[GAP\] .*CAUSE=(\S+) COUNT=(\d+|\?)")


@contextlib.contextmanager
def disk(tmp):
    """A file system of its own; skips where there can be none."""
    image, at = f"{tmp}/image", f"{tmp}/disk"
    os.mkdir(at)
    with open(image, "wb") as f:
        f.truncate(16 << 20)
    try:
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["mount", "-o", "loop", image, at], check=True)
    except (OSError, subprocess.CalledProcessError) as e:
        labs.skip(f"no loop mounts here: {e}")
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", at], check=False)


@contextlib.contextmanager
def frozen(at):
    subprocess.run(["fsfreeze", "-f", at], check=True)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "-u", at], check=True)


def flows_and_gaps(path):
    said = text(path).splitlines()
    gaps = [GAP.search(x) for x in said if "[GAP]" in x]
    return len(said) - len(gaps), [(g[1], g[2]) for g in gaps]


def test(lab, tmp):
    labs.flood_ns(lab, NS)
    flood, emu = labs.helper("flood", tmp), f"{tmp}/emu"
    with open("/proc/sys/net/netfilter/nf_conntrack_max", encoding="ascii") as f:
        made = int(f.read()) // 100 + 2000  # the mark is 1 %
    with disk(tmp) as at:
        conf = configuration(tmp, ["ct1:NFCT,ip1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU"], {
            "ct1": "netlink_socket_buffer_size=16384\nreliable_fill=1\n",
            "emu1": f'file="{emu}"\nsync=1\n'})
        where = f'state_dir="{tmp}/state"'
        assert where in conf
        daemon = Daemon(lab, NS, tmp, conf.replace(where, f'state_dir="{at}/state"')).start()
        daemon.wait_log("entering main loop")
        with frozen(at):
            lab.run(NS, flood, str(made), timeout=300)
            lab.run(NS, "conntrack", "-F", timeout=300)
            until("the table to be let go of", lambda: lab.count(NS) < 50)
            hangs = daemon.status("State")

        def complete():
            flows, gaps = flows_and_gaps(emu)
            return flows + sum(int(n) for _, n in gaps) >= made
        until("all flows to be accounted for", complete)
        daemon.stop()
        flows, gaps = flows_and_gaps(emu)
    if not hangs.startswith("D"):
        yield f"the daemon did not wait for the disk: {hangs}"
    if [cause for cause, _ in gaps] != ["guard"]:
        yield f"gaps: {gaps}"
    if flows + sum(int(n) for _, n in gaps) != made:
        yield f"{made} flows made, {flows} delivered, gaps {gaps}"


scene.main(lambda lab, tmp: list(test(lab, tmp)))
