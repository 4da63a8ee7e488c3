# SPDX-License-Identifier: GPL-2.0-or-later
"""Resident memory must not depend on how many flows are alive."""
import time

from setups import Setup

MARK = 1024  # KiB
FEW, MANY = 10, 200000


def resident(setup):
    """Private and shared resident memory in KiB."""
    with open(f"/proc/{setup.child.pid}/smaps_rollup", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Rss:"))


def at_rest(setup):
    """Resident memory once it has not changed for a second."""
    last = resident(setup)
    for _ in range(15):
        time.sleep(1)
        now = resident(setup)
        if now == last:
            break
        last = now
    return last


def test(bench):
    """Few flows, many flows, and a start into many flows."""
    grown = Setup(bench, "ctflowd-mem", "LOGEMU", bench.daemon)
    grown.start()
    bench.fill(grown, FEW)
    few = at_rest(grown)
    bench.fill(grown, MANY)
    many = at_rest(grown)
    grown.child.terminate()
    grown.child.wait(20)

    late = Setup(bench, "ctflowd-late", "LOGEMU", bench.daemon)
    late.ns = grown.ns
    late.start(fresh=False)
    started = at_rest(late)
    print(f"\nresident memory, mark {MARK} KiB of difference")
    good = True
    for what, kib in ((f"{FEW} flows", few), (f"{MANY} flows", many),
                      (f"started with {MANY}", started)):
        verdict = "pass" if abs(kib - few) < MARK else "FAIL"
        good &= abs(kib - few) < MARK
        print(f"{what:22}{kib:8} KiB  {kib - few:+6}  {verdict}")
    return good
