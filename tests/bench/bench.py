# SPDX-License-Identifier: GPL-2.0-or-later
"""CPU per event of the bare receive loop, ctflowd and ulogd2, as ratios.

Each reader has a namespace and a receive buffer of its own.  In a round it is
stopped, N flows are made and destroyed at once, and it is continued: what it
spends until all is drained and written, divided by N, is its cost.  Each drain
has one of the bare loop beside it, in turn before and behind it.  So both meet the
same machine, and what another reader leaves to the disk does not count: before
each drain all is synced and the machine given time to come to rest.  What else
runs on it takes caches and memory from whom it meets, and only ever adds.  So
all readers go before it (nice), and the ratio is that of the cheapest drains of the
reader and of the bare loop beside it.  The median of the ratios, pair by pair, is
shown too: where it differs much the machine was not quiet.  An IPFIX collector is held
until all events are read, as it would be on another machine.  ulogd2 is started when
ours have been measured.
All flows are translated (SNAT): IPFIX has to send its full NAT template.

With --spool there is ctflowd/SPOOL as well: the same as ctflowd/IPFIX, but the
collector is away while the events are read.  They go to the spool on disk;
then it is back and is sent all of them.  The CPU of both together, a flow, is
given as a ratio of that of ctflowd/IPFIX.
"""
import argparse
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "netns"))

import lab as labs  # noqa: E402
import memory  # noqa: E402
from setups import Setup  # noqa: E402

EVENT = 1280  # bytes of kernel memory a queued event takes
MARKS = {"LOGEMU": 2.0, "IPFIX": 1.4, "JSON": 2.4, "SQLITE3": 4.0}
MOST = {"IPFIX": 1.5}  # us of CPU a flow, in all
OURS = ("LOGEMU", "IPFIX", "JSON", "SQLITE3", "GPRINT")
SPOOL_MARK = 2.0  # of what IPFIX takes
IDLE_MARK = 0.2  # percent of a core
NICE = -19
QUIET = 0.03  # of all cores may be busy beside a drain


def arguments():
    p = argparse.ArgumentParser(prog="run", description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", nargs="?", default=".", help="build tree (a release build)")
    p.add_argument("-n", "--events", type=int, default=200000, help="events per round")
    p.add_argument("-r", "--rounds", type=int, default=5)
    p.add_argument("-s", "--sqlite-events", type=int, default=2000,
                   help="events per round for ulogd2's SQLITE3")
    p.add_argument("-o", "--only", default="", help="only readers whose name has this, or this,that")
    p.add_argument("--idle", type=float, default=20.0, help="seconds of idling, 0: skip")
    p.add_argument("-a", "--against", metavar="TREE",
                   help="another build tree, measured in the same rounds")
    p.add_argument("--spool", action="store_true",
                   help="measure an outage as well, as a ratio of IPFIX: spool and replay")
    p.add_argument("--no-ulogd", action="store_true", help="without ulogd2")
    p.add_argument("--no-memory", action="store_true", help="without the memory test")
    p.add_argument("--profile", metavar="READER",
                   help="perf record the drains of this reader into perf.data")
    return p.parse_args()


class Bench:
    def __init__(self, args, lab, tmp):
        self.args, self.lab, self.tmp = args, lab, tmp
        self.buf = max(args.events * EVENT * 5 // 4, 8 << 20)
        self.flood = labs.compile_helper(os.path.join(HERE, "../netns/flood.c"), tmp)
        self.loop = labs.compile_helper(os.path.join(HERE, "recvloop.c"), tmp)
        self.daemon = os.path.abspath(os.path.join(args.build, "ctflowd"))
        labs.raise_conntrack_max(lab, args.events + 1000)

    def readers(self):
        """The bare loop, then everything asked for that is there."""
        chosen = []
        ours = OURS + ("SPOOL",) if self.args.spool else OURS
        if os.access(self.daemon, os.X_OK):
            chosen += [Setup(self, f"ctflowd/{k}", k, self.daemon) for k in ours]
        else:
            print(f"no {self.daemon}: ctflowd is not measured")
        if self.args.against:
            other = os.path.abspath(os.path.join(self.args.against, "ctflowd"))
            chosen += [Setup(self, f"other/ctflowd/{k}", k, other) for k in ours]
        ulogd = shutil.which("ulogd", path=os.environ["PATH"])
        if ulogd and not self.args.no_ulogd:
            chosen += [Setup(self, f"ulogd2/{k}", k, ulogd)
                       for k in ("LOGEMU", "GPRINT", "JSON", "IPFIX", "SQLITE3")]
        elif not self.args.no_ulogd:
            print("no ulogd in the path: ulogd2 is not measured")
        return [Setup(self, "bare loop", "bare", self.loop)] + \
            [s for s in chosen if any(o in s.name for o in self.args.only.split(","))]

    def events(self, setup):
        slow = setup.name == "ulogd2/SQLITE3"
        return min(self.args.sqlite_events, self.args.events) if slow else self.args.events

    def fill(self, setup, n):
        self.lab.run(setup.ns, self.flood, str(n), timeout=120)

    def round(self, setup):
        """Queues n events on the stopped reader and lets it drain them."""
        n = self.events(setup)
        self.fill(setup, n)
        drops = setup.drops()
        setup.stop()
        self.lab.run(setup.ns, "conntrack", "-F", timeout=60)
        if setup.queued() < n * EVENT or setup.drops() != drops:
            raise RuntimeError(f"{setup.name}: {setup.queued() // EVENT} of {n} events queued, "
                               f"{setup.drops() - drops} dropped")
        if setup.kind == "SPOOL":
            setup.sink.end()
        before = setup.cpu()
        profile = self.start_profile(setup)
        after = self.drain(setup, n)
        if profile:
            profile.send_signal(signal.SIGINT)
            profile.wait()
        got = setup.delivered() if setup.kind != "SPOOL" else n
        # ulogd2 keeps its last 4096 bytes, and IPFIX messages that are not full
        kept = 0 if setup.ours else 100
        if got is not None and not n - kept <= got <= n + kept:
            raise RuntimeError(f"{setup.name}: {got} records of {n} delivered")
        return (after - before) / n / 1000

    def drain(self, setup, n):
        """Until all is read, and what has to be sent is at the collector."""
        held = setup.sink and setup.kind != "SPOOL"
        if held:
            setup.sink.hold()
        setup.child.send_signal(signal.SIGCONT)
        after = self.settle(setup)
        if held:
            setup.sink.go_on()
            after = self.settle(setup)
        return self.replay(setup, n) if setup.kind == "SPOOL" else after

    def replay(self, setup, n):
        """The collector is back: waits until it has got all n."""
        if not setup.spooled():
            raise RuntimeError(f"{setup.name}: nothing is on disk")
        setup.sink.begin()
        got, end = 0, time.monotonic() + 120
        while got < n and time.monotonic() < end:
            time.sleep(0.5)
            got += setup.delivered()
        if got != n:
            raise RuntimeError(f"{setup.name}: {got} records of {n} replayed")
        return self.settle(setup)

    def start_profile(self, setup):
        if setup.name != self.args.profile:
            return None
        child = self.lab.popen(None, ["perf", "record", "-q", "-g", "-o", "perf.data", "-p",
                                      str(setup.child.pid)])
        time.sleep(1)
        return child

    def settle(self, setup):
        """Waits until nothing is queued and the CPU clock stands still."""
        last, since, end = 0, time.monotonic(), time.monotonic() + 300
        while time.monotonic() < end:
            now = setup.cpu()
            if now - last > 3_000_000 or setup.queued():
                last, since = now, time.monotonic()
            elif time.monotonic() - since > 1.6:
                return now
            time.sleep(0.1)
        raise RuntimeError(f"{setup.name} does not come to rest")


def busy():
    """Jiffies that the machine's cores were busy, and all."""
    with open("/proc/stat", encoding="ascii") as f:
        times = list(map(int, f.readline().split()[1:9]))
    idle_ = times[3]  # waiting for the disk is none: what is awaited disturbs
    return sum(times) - idle_, sum(times)


def quiet(seconds=10):
    """Waits until the machine has nothing to do and to write; False: it has still."""
    os.sync()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        before, since = busy()
        time.sleep(0.3)
        after, now = busy()
        if after - before <= QUIET * (now - since):
            return True
    return False


def ratio(setup):
    return min(setup.costs) / min(setup.beside)


class Pairs:
    """Drains of readers, each beside one of the bare loop."""

    def __init__(self, bench, bare):
        self.bench, self.bare = bench, bare
        self.noisy = self.drains = 0
        bare.start()

    def drain(self, setup):
        self.drains += 1
        self.noisy += not quiet()
        return self.bench.round(setup)

    def pair(self, setup, i):
        if i % 2:
            bare, cost = self.drain(self.bare), self.drain(setup)
        else:
            cost, bare = self.drain(setup), self.drain(self.bare)
        print(f"round {i} {setup.name:16} {cost:8.3f} us/event, bare loop {bare:8.3f}", flush=True)
        if i:  # the first one warms up
            setup.costs.append(cost)
            setup.beside.append(bare)
            self.bare.costs.append(bare)
            self.bare.beside.append(bare)

    def measure(self, setups):
        for setup in setups:
            setup.start()
        for i in range(self.bench.args.rounds + 1):
            for setup in setups:
                self.pair(setup, i)


def verdicts(s, cost, setups):
    """What is promised of a reader: (value, mark, unit)."""
    if s.name == "ctflowd/SPOOL":
        plain = [statistics.median(p.costs) for p in setups if p.name == "ctflowd/IPFIX"]
        return [(cost / p, SPOOL_MARK, " x IPFIX") for p in plain]
    if not s.name.startswith("ctflowd"):
        return []
    both = [(ratio(s), MARKS.get(s.kind), ""), (cost, MOST.get(s.kind), " us")]
    return [v for v in both if v[1]]


def report(setups, pairs):
    """Prints the table; true when every mark was met."""
    good = True
    print(f"\n{'reader':18}{'us/event':>10}{'spread':>16}{'ratio':>8}{'pairs':>8}")
    for s in setups:
        if not s.costs:
            continue
        cost = statistics.median(s.costs)
        pairs_ratio = statistics.median(c / b for c, b in zip(s.costs, s.beside))
        words = ""
        for value, mark, unit in verdicts(s, cost, setups):
            good &= value <= mark
            words += f"  {value:.2f}{unit}, mark {mark:.1f}: " \
                     f"{'pass' if value <= mark else 'FAIL'}"
        spread = f"{min(s.costs):.3f}-{max(s.costs):.3f}"
        print(f"{s.name:18}{cost:10.3f}{spread:>16}{ratio(s):8.2f}"
              f"{pairs_ratio:8.2f}{words}")
    if pairs.noisy:
        print(f"\n{pairs.noisy} of {pairs.drains} drains were beside other work on the machine")
    return good


def idle(bench, setups):
    """CPU of the quiet daemons, which are all still running."""
    ours = [s for s in setups if s.name.startswith("ctflowd")]
    if not ours or bench.args.idle <= 0:
        return True
    before, start = [s.cpu() for s in ours], time.monotonic()
    time.sleep(bench.args.idle)
    took = (time.monotonic() - start) * 1e9
    good = True
    print(f"\nidle for {took / 1e9:.0f} s, mark {IDLE_MARK} % of a core")
    for s, b in zip(ours, before):
        percent = 100 * (s.cpu() - b) / took
        good &= percent <= IDLE_MARK
        print(f"{s.name:18}{percent:8.3f} %  {'pass' if percent <= IDLE_MARK else 'FAIL'}")
    return good


def main():
    args = arguments()
    labs.need_root()
    os.setpriority(os.PRIO_PROCESS, 0, NICE)
    tmp = tempfile.mkdtemp(prefix="ctl-bench-")
    try:
        with labs.Lab() as lab:
            bench = Bench(args, lab, tmp)
            setups = bench.readers()
            pairs = Pairs(bench, setups[0])
            pairs.measure([s for s in setups[1:] if s.ours])
            good = idle(bench, setups)
            pairs.measure([s for s in setups if not s.ours])
            good &= report(setups, pairs)
            if not args.no_memory and os.access(bench.daemon, os.X_OK):
                good &= memory.test(bench)
    finally:
        shutil.rmtree(tmp)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
