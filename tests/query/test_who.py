#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ctflow who: scenes with the verdict they must have, on histories as told.

What needs a kernel is in tests/netns/test_who.py, random histories are in
test_who_random.py.
"""
import contextlib
import itertools
import os
import sqlite3
import subprocess
import sys
import tempfile

import history
from history import SEC, TCP, UDP, History

T = 1_700_000_000 * SEC  # in the past of any clock, as the sink looks at it
PUBLIC = "203.0.113.9"
DAY = 86400
IDS = itertools.count(1)


def sure(history_, begin=0, end=1000, **more):
    """A daemon that came at `begin`, looked at the table, and was alive at `end`."""
    history_.coverage(T + begin * SEC, T + begin * SEC, **more)
    history_.sweep(T + begin * SEC + 1)
    history_.commit()
    if end is not None:
        history_.coverage(T + begin * SEC, T + end * SEC, **more)


def flow(start, destroy, host="10.0.0.5", port=1055, **more):
    """One of a host inside, seconds after T."""
    return {"src": host, "sport": 4000, "dst": "198.51.100.7", "dport": 443, "proto": TCP,
            "nat_src": PUBLIC, "nat_sport": port, "start": T + int(start * SEC),
            "end": T + int(destroy * SEC) - SEC // 2, "destroy": T + int(destroy * SEC),
            "id": next(IDS)} | more


class Scene:
    """A database, and what is asked of it."""

    def __init__(self, folder, name):
        self.path = os.path.join(folder, name.replace(" ", "-") + ".db")
        self.name, self.told, self.now = name, History(), 1100

    def write(self, *options):
        self.told.write(self.path, *options)

    def ask(self, at, verdict, why=(), hosts=None, words=f"{PUBLIC}:1055 tcp", options=(),
            certain=None):
        """Seconds after T; why: words that the reasons must contain."""
        if self.told.told:
            self.told.write(self.path)
        os.environ["CTFLOW_NOW"] = f"@{T // SEC + self.now}"
        answer = history.ctflow(self.path, "who", *words.split(), "at",
                                f"@{T / SEC + at:.3f}", "--no-live", *options, want=None)
        told = f"{self.name}: at {at}: {answer}"
        assert answer["verdict"] == verdict, told
        for word in [why] if isinstance(why, str) else why:
            assert any(word in f"{r['why']}: {r['text']}" for r in answer["reasons"]), \
                f"no \"{word}\" in {told}"
        if hosts is not None:
            assert sorted({m["host"] for m in answer["matches"]}) == sorted(hosts), told
        if certain is not None:
            assert answer["certain"] == certain, told
        return answer


# ---- scenes ---------------------------------------------------------------------------

def ended(s):
    sure(s.told)
    s.told.flow(**flow(100, 200))
    s.told.sweep(T + 300 * SEC, previous_ns=T + 1, min_age_ns=20 * SEC)
    s.told.coverage(T, T + 1000 * SEC)
    for at in (99.5, 101, 150, 199, 200.5):
        s.ask(at, "ONE", hosts=["10.0.0.5"], certain=True)
    for at in (98, 201.5, 250):
        s.ask(at, "NONE")
    # After the last packet the mapping lives on, up to destroy.
    s.ask(199.9, "ONE", options=("--skew", "0"))
    # Long enough before a sweep met what lives: then nothing can be missing.
    s.ask(270, "NONE")
    s.ask(290, "UNKNOWN", why="flows may still be open")
    s.ask(150, "NONE", words=f"{PUBLIC}:1056 tcp")
    s.ask(150, "NONE", words=f"{PUBLIC}:1055 udp")
    s.ask(150, "NONE", words="203.0.113.77")
    s.ask(150, "ONE", words=f"{PUBLIC}:1055", options=("--dst", "198.51.100.7:443"))
    s.ask(150, "NONE", words=f"{PUBLIC}:1055", options=("--dst", "198.51.100.8:443"))
    s.ask(150, "ONE", words="10.0.0.5:4000", hosts=["10.0.0.5"])
    s.ask(203, "ONE", options=("--skew", "5s"), hosts=["10.0.0.5"])


def open_long(s):
    """Seen by sweeps, not ended: in open_flows."""
    sure(s.told)
    s.told.living(T + 300 * SEC, **{k: v for k, v in flow(100, 100).items()
                                    if k not in ("end", "destroy")})
    s.told.sweep(T + 300 * SEC, previous_ns=T + 1, min_age_ns=60 * SEC)
    s.told.coverage(T, T + 1000 * SEC)
    s.ask(150, "ONE", hosts=["10.0.0.5"], certain=True)
    s.ask(99.5, "ONE", hosts=["10.0.0.5"])
    s.ask(98, "NONE")
    # Seen at 300 and nothing was lost since: it lives.
    assert s.ask(600, "ONE", hosts=["10.0.0.5"])["matches"][0]["sure"] == "yes"


def open_lost(s):
    """Nobody saw its end: until then it is known, later it may be."""
    row = {k: v for k, v in flow(100, 100).items() if k not in ("end", "destroy")}
    sure(s.told)
    s.told.living(T + 300 * SEC, **row)
    s.told.sweep(T + 300 * SEC, previous_ns=T + 1, min_age_ns=60 * SEC)
    s.told.sweep(T + 600 * SEC, previous_ns=T + 300 * SEC, min_age_ns=60 * SEC)
    s.told.sweep(T + 900 * SEC, previous_ns=T + 600 * SEC, min_age_ns=60 * SEC)
    s.told.coverage(T, T + 1000 * SEC)
    s.ask(200, "ONE", hosts=["10.0.0.5"])
    s.ask(400, "UNKNOWN", why="nobody saw its end", hosts=["10.0.0.5"])


def daemon_off(s):
    sure(s.told, 0, None)
    s.told.flow(**flow(10, 50))
    s.told.coverage(T, T + 100 * SEC, to_ns=T + 100 * SEC)
    sure(s.told, 200, 1000)
    s.ask(30, "ONE", why="did not run", hosts=["10.0.0.5"], certain=False)
    s.ask(150, "UNKNOWN", why="did not run")
    s.ask(60, "UNKNOWN", why="did not run")  # what lived then may have ended in between
    s.ask(-5, "UNKNOWN", why="before the first record")


def power_cut(s):
    boots = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
    sure(s.told, 0, 100, boot_id=boots[0])
    sure(s.told, 200, 1000, boot_id=boots[1])
    s.told.sweep(T + 400 * SEC, previous_ns=T + 200 * SEC + 1, min_age_ns=60 * SEC)
    s.told.coverage(T + 200 * SEC, T + 1000 * SEC, boot_id=boots[1])
    s.ask(150, "UNKNOWN", why="nobody listened")
    s.ask(50, "UNKNOWN", why="nobody listened")
    s.ask(300, "NONE")
    # Of other namespaces than its own a daemon sees ends, but not what lives.
    every = Scene(os.path.dirname(s.path), "all namespaces")
    sure(every.told, netns="all")
    every.told.sweep(T + 400 * SEC, previous_ns=T + 1, min_age_ns=60 * SEC)
    every.told.coverage(T, T + 1000 * SEC, netns="all")
    every.ask(300, "UNKNOWN", why="flows may still be open")
    # And while nobody came after it.
    dead = Scene(os.path.dirname(s.path), "power cut, for good")
    sure(dead.told, 0, 100)
    dead.ask(500, "UNKNOWN", why="has not been heard since")


def selection(s):
    sure(s.told, selection="dst port 443")
    s.told.flow(**flow(100, 200))
    s.told.sweep(T + 300 * SEC, previous_ns=T + 1, min_age_ns=20 * SEC)
    s.told.coverage(T, T + 1000 * SEC, selection="dst port 443")
    s.ask(150, "UNKNOWN", why="excluded by selection", words=f"{PUBLIC}:1056 tcp")
    s.ask(150, "UNKNOWN", why="excluded by selection", hosts=["10.0.0.5"])
    # Nobody else can have answered to that tuple.
    s.ask(150, "ONE", certain=True, options=("--dst", "198.51.100.7:443"))


def rollup(s):
    """Only sums are kept: of a flow that ended there is nothing."""
    sure(s.told)
    s.told.flow(**flow(100, 200))
    s.told.sweep(T + 300 * SEC, previous_ns=T + 1, min_age_ns=20 * SEC)
    s.told.coverage(T, T + 1000 * SEC)
    s.write("--profile", "rollup")
    s.ask(150, "UNKNOWN", why="profile=rollup")


def profile_nat(s):
    """Without destinations and counters; what was not translated is there, too."""
    sure(s.told)
    s.told.flow(**flow(100, 200))
    s.told.flow(**flow(100, 200, "10.0.0.6", 1056))
    s.told.flow(**flow(100, 200, nat_src=None, nat_sport=None, src="10.0.0.8", sport=1055))
    s.told.flow(**flow(100, 200, src="192.0.2.1", sport=999, dst=PUBLIC, dport=8080,
                       nat_src=None, nat_sport=None, nat_dst="10.0.0.7", nat_dport=80))
    s.told.sweep(T + 300 * SEC, previous_ns=T + 1, min_age_ns=20 * SEC)
    s.told.coverage(T, T + 1000 * SEC)
    s.write("--profile", "nat", "--spare")
    s.ask(150, "ONE", hosts=["10.0.0.5"])
    s.ask(150, "NONE", words=f"{PUBLIC}:1057")
    s.ask(150, "ONE", hosts=["10.0.0.7"], words=f"{PUBLIC}:8080")
    s.ask(150, "ONE", hosts=["10.0.0.6"], words="10.0.0.6:4000")
    s.ask(150, "ONE", hosts=["10.0.0.8"], words="10.0.0.8:1055")
    s.ask(150, "UNKNOWN", words=f"{PUBLIC}:1055", options=("--dst", "198.51.100.8"),
          why="does not store destinations")


def deleted(s):
    """By retention: what ended before is gone, and with it the proof."""
    sure(s.told, 0, None)
    s.told.flow(**flow(100, 200))
    s.told.coverage(T, T + 10 * DAY * SEC)
    s.told.flow(**flow(10 * DAY - 100, 10 * DAY - 50, "10.0.0.6"))
    s.told.sweep(T + (10 * DAY - 20) * SEC, previous_ns=T + 1, min_age_ns=20 * SEC)
    s.told.coverage(T, T + 10 * DAY * SEC)
    s.now = 10 * DAY + 5
    s.ask(150, "ONE", hosts=["10.0.0.5"])
    s.ask(300, "NONE")
    with contextlib.closing(sqlite3.connect(s.path)) as db:  # as retention does it
        db.execute("DELETE FROM flows_20231114")
        db.execute("INSERT INTO meta VALUES('kept_from:flows', ?)", (T + 5 * DAY * SEC,))
        db.commit()
    s.ask(150, "UNKNOWN", why="deleted by retention", hosts=[])
    s.ask(300, "UNKNOWN", why="deleted by retention")
    s.ask(10 * DAY - 75, "ONE", hosts=["10.0.0.6"], certain=True)
    s.ask(10 * DAY - 110, "NONE")


def version_1(s):
    """It knew less: the same flows, and less certainty."""
    ended(s)
    with contextlib.closing(sqlite3.connect(s.path)) as db:
        for column in ("netns", "abilities", "clock_synchronised", "clock_error_ns", "offload",
                       "gro"):
            db.execute(f"ALTER TABLE coverage DROP COLUMN {column}")
        db.execute("DROP TABLE sweeps")
        db.execute("UPDATE meta SET value = '1' WHERE key = 'version'")
        db.commit()
    s.ask(150, "UNKNOWN", hosts=["10.0.0.5"], why="clock")
    s.ask(150, "ONE", hosts=["10.0.0.5"], options=("--trust-clock",), certain=False)
    s.ask(98, "UNKNOWN", options=("--trust-clock",))


def valve(s):
    sure(s.told)
    s.told.flow(**flow(100, 200))
    s.told.gap(T + 140 * SEC, T + 160 * SEC, cause="valve", count=12, count_is="exact")
    s.told.sweep(T + 300 * SEC, previous_ns=T + 1, min_age_ns=20 * SEC)
    s.told.coverage(T, T + 1000 * SEC)
    s.ask(150, "UNKNOWN", why=("flows were lost", "cause valve, 12 flows"),
          hosts=["10.0.0.5"])
    s.ask(150, "UNKNOWN", why="cause valve", words=f"{PUBLIC}:1056 tcp")
    s.ask(50, "UNKNOWN", why="cause valve")  # of then, and ended in it
    s.ask(180, "ONE", certain=True)
    s.ask(220, "NONE")
    s.ask(150, "ONE", certain=True, options=("--dst", "198.51.100.7:443"))


def clock_back(s):
    sure(s.told, 0, None)
    s.told.coverage(T, T + 300 * SEC, to_ns=T + 300 * SEC)
    s.told.gap(T + 300 * SEC, T + 200 * SEC, cause="clock_step", count=0, count_is="exact")
    s.told.coverage(T + 200 * SEC, T + 200 * SEC)
    s.told.flow(**flow(290, 210))  # as stamped: it ended before it began
    s.told.sweep(T + 500 * SEC, previous_ns=T + 1, min_age_ns=60 * SEC)
    s.told.coverage(T + 200 * SEC, T + 1000 * SEC)
    s.ask(250, "UNKNOWN", why="the clock was set back")
    s.ask(205, "UNKNOWN", why="the clock was set back", hosts=["10.0.0.5"])
    s.ask(250, "UNKNOWN", why="the clock was set back", options=("--dst", "198.51.100.7:443"))
    s.ask(400, "NONE")
    unsynchronised = Scene(os.path.dirname(s.path), "clock not synchronised")
    sure(unsynchronised.told, clock_synchronised=0)
    unsynchronised.told.flow(**flow(100, 200))
    unsynchronised.told.sweep(T + 500 * SEC, previous_ns=T + 1, min_age_ns=60 * SEC)
    unsynchronised.told.coverage(T, T + 1000 * SEC, clock_synchronised=0)
    unsynchronised.ask(300, "UNKNOWN", why="clock not synchronised")
    unsynchronised.ask(150, "UNKNOWN", why="clock not synchronised", hosts=["10.0.0.5"])
    other_side = ("--dst", "198.51.100.7:443")
    unsynchronised.ask(150, "UNKNOWN", why="clock not synchronised", options=other_side)
    unsynchronised.ask(999.5, "UNKNOWN", why="clock not synchronised")
    unsynchronised.ask(150, "ONE", options=("--trust-clock", *other_side), certain=True)
    unsynchronised.ask(300, "NONE", options=("--trust-clock",))
    unsynchronised.ask(150, "ONE", options=("--trust-clock",), certain=True)


def reused(s):
    sure(s.told)
    s.told.flow(**flow(100, 200, "10.0.0.5"))
    s.told.flow(**flow(200.1, 300, "10.0.0.6"))
    s.told.sweep(T + 400 * SEC, previous_ns=T + 1, min_age_ns=20 * SEC)
    s.told.coverage(T, T + 1000 * SEC)
    s.ask(200, "SEVERAL", hosts=["10.0.0.5", "10.0.0.6"], certain=True)
    s.ask(198, "ONE", hosts=["10.0.0.5"], certain=True)
    s.ask(202, "ONE", hosts=["10.0.0.6"], certain=True)
    s.ask(200.05, "NONE", options=("--skew", "10ms"))
    s.ask(200.05, "SEVERAL", options=("--skew", "5s"))


def no_port(s):
    sure(s.told)
    s.told.flow(**flow(100, 200, "10.0.0.5", 1055))
    s.told.flow(**flow(100, 200, "10.0.0.6", 1056))
    s.told.flow(**flow(100, 200, "10.0.0.6", 1057, dst="198.51.100.8"))
    s.told.sweep(T + 400 * SEC, previous_ns=T + 1, min_age_ns=20 * SEC)
    s.told.coverage(T, T + 1000 * SEC)
    s.ask(150, "SEVERAL", hosts=["10.0.0.5", "10.0.0.6"], words=PUBLIC)
    s.ask(150, "ONE", hosts=["10.0.0.6"], words=PUBLIC, options=("--dst", "198.51.100.8"))
    s.ask(150, "ONE", hosts=["10.0.0.6"], words=f"{PUBLIC}:1056")


def roles(s):
    six = "2001:db8::9"
    sure(s.told)
    s.told.flow(**flow(100, 200, nat_src=None, nat_sport=None, src=PUBLIC, sport=1055))
    s.told.flow(**flow(100, 200, src="192.0.2.1", sport=999, dst=PUBLIC, dport=8080,
                       nat_src=None, nat_sport=None, nat_dst="10.0.0.7", nat_dport=80))
    for last, status in ((80, 0x18e), (81, 0x18a)):
        s.told.flow(**flow(100, 200, src="192.0.2.1", dst=f"192.0.2.{last}", nat_src=None,
                           nat_sport=None, status=status))
    s.told.flow(**flow(100, 200, src="fd00::5", dst="2001:db8:1::1", nat_src=six, proto=UDP))
    s.told.sweep(T + 400 * SEC, previous_ns=T + 1, min_age_ns=20 * SEC)
    s.told.coverage(T, T + 1000 * SEC)
    own = s.ask(150, "ONE", hosts=[PUBLIC], certain=True)
    assert own["matches"][0]["role"] == "own address", own
    led = s.ask(150, "ONE", hosts=["10.0.0.7"], words=f"{PUBLIC}:8080 tcp")
    assert (led["matches"][0]["role"], led["matches"][0]["host_port"]) == ("port forward", 80)
    s.ask(150, "ONE", hosts=["10.0.0.7"], words="10.0.0.7:80")
    s.ask(150, "ONE", hosts=["10.0.0.7"], words=f"{PUBLIC}:8080",
          options=("--dst", "192.0.2.1:999"))
    s.ask(150, "ONE", hosts=["fd00::5"], words=f"[{six}]:1055 udp")
    # Whom others spoke to had the port; whom they only knocked at need not.
    s.ask(150, "ONE", hosts=["192.0.2.80"], words="192.0.2.80:443 tcp")
    s.ask(150, "NONE", words="192.0.2.81:443 tcp")
    s.ask(150, "ONE", hosts=["fd00::5"], words=six)


def no_timestamps(s):
    sure(s.told, timestamp=0)
    s.told.flow(**(flow(100, 200) | {"start": None, "destroy": None, "end": None,
                                      "rx": T + 200 * SEC}))
    s.told.sweep(T + 400 * SEC, previous_ns=T + 1, min_age_ns=20 * SEC)
    s.told.coverage(T, T + 1000 * SEC, timestamp=0)
    s.ask(150, "UNKNOWN", why="no timestamps", hosts=["10.0.0.5"])
    s.ask(250, "NONE")
    s.ask(150, "NONE", words=f"{PUBLIC}:1056")


def leftovers(s):
    """No look at the table when the daemon came: older flows may never end."""
    s.told.coverage(T, T + 10 * SEC, events=2)
    s.told.sweep(T + 500 * SEC, previous_ns=0, min_age_ns=60 * SEC)
    s.told.coverage(T, T + 1000 * SEC, events=2)
    s.ask(300, "UNKNOWN", why="flows from before the daemon")
    s.ask(600, "UNKNOWN", why="flows may still be open")
    off = Scene(os.path.dirname(s.path), "events off")
    sure(off.told, events=0)
    off.told.sweep(T + 500 * SEC, previous_ns=T + 1, min_age_ns=60 * SEC)
    off.told.coverage(T, T + 1000 * SEC, events=0)
    off.ask(300, "UNKNOWN", why="told of no ends")


def two_files(s):
    """One has the flow, the other one the rest of the time."""
    other = Scene(os.path.dirname(s.path), "other file")
    sure(s.told, 0, None)
    s.told.flow(**flow(100, 200))
    s.told.coverage(T, T + 250 * SEC, to_ns=T + 250 * SEC)
    s.told.write(s.path)
    other.told.coverage(T + 250 * SEC, T + 250 * SEC)
    other.told.flow(**flow(100, 300, "10.0.0.6"))
    other.told.sweep(T + 400 * SEC, previous_ns=T + 1, min_age_ns=20 * SEC)
    other.told.coverage(T + 250 * SEC, T + 1000 * SEC)
    other.told.write(other.path)
    s.ask(150, "ONE", hosts=["10.0.0.5"], why="flows may still be open", certain=False)
    s.path = [s.path, other.path]
    s.ask(150, "SEVERAL", hosts=["10.0.0.5", "10.0.0.6"], certain=True)
    s.ask(50, "NONE")


def evidence(s):
    sure(s.told)
    s.told.flow(**flow(100, 200))
    s.told.gap(T + 140 * SEC, T + 160 * SEC, cause="overrun", count=3)
    s.told.coverage(T, T + 1000 * SEC)
    paper = s.path + ".evidence"
    s.ask(150, "UNKNOWN", options=("--evidence", paper))
    with open(paper, encoding="utf-8") as f:
        lines = f.read().splitlines()
    rows = [line for line in lines if line.startswith("flow ")]
    assert len(rows) == 1 and "host=10.0.0.5 host_port=4000" in rows[0], lines
    assert f"{T + 200 * SEC}" in rows[0], rows  # the row as it is
    assert any("cause=overrun" in line for line in lines), lines
    assert any("boot_id=" in line for line in lines), lines
    assert any(line.startswith("verdict: UNKNOWN") for line in lines), lines
    # By the tools of anybody, and by our own.
    def summed(shell):
        return subprocess.run(["sh", "-c", f"{shell} | sha256sum", "sh", paper], text=True,
                              check=True, capture_output=True).stdout.split()[0]
    assert "sha256-flows " + summed("grep '^flow ' $1") in lines
    assert lines[-1] == "sha256 " + summed("sed '$d' $1"), lines[-1]
    verify = [history.build("ctflow"), "who", "--verify", paper]
    assert subprocess.run(verify, check=False, capture_output=True).returncode == 0
    with open(paper, "w", encoding="utf-8") as f:
        f.write("\n".join(lines).replace("10.0.0.5", "10.0.0.6") + "\n")
    done = subprocess.run(verify, check=False, capture_output=True, text=True)
    assert done.returncode == 1 and "CHANGED" in done.stdout, done
    done = history.ctflow(s.path, "who", PUBLIC, "at", "now", "--evidence", paper, want=(4,),
                          fmt="table")


def words(s):
    """As people read it, and what is no question."""
    sure(s.told)
    s.told.flow(**flow(100, 200, mark=5, zone=7))
    s.told.write(s.path)
    os.environ["CTFLOW_NOW"] = f"@{T // SEC + 1100}"
    text = history.ctflow(s.path, "--utc", "who", f"{PUBLIC}:1055", "tcp", "at",
                          "2023-11-14", "22:15:50Z", "--no-live", fmt="table")
    first = text.splitlines()[0]
    assert first.startswith("ONE: 10.0.0.5:4000, mark 5, zone 7 had 203.0.113.9:1055, from "
                            "2023-11-14 22:15:00"), first
    rows = history.ctflow(s.path, "who", PUBLIC, "at", f"@{T // SEC + 150}", "--no-live",
                          fmt="csv").splitlines()
    assert rows[0].startswith("host,host_port") and rows[1].startswith("10.0.0.5,4000"), rows
    for wrong in ([], ["10.0.0.300"], ["10.0.0.5:70000"], ["10.0.0.5", "tpc", "at", "now"],
                  ["10.0.0.5", "tcp", "now"], ["10.0.0.5", "at"], ["10.0.0.5", "at", "never"],
                  ["10.0.0.5", "at", "now+1h"], ["10.0.0.5", "at", "now", "--skew", "-1s"],
                  ["10.0.0.5", "at", "now", "--dst", "x"]):
        history.ctflow(s.path, "who", *wrong, want=(64,), fmt="table")


SCENES = (ended, open_long, open_lost, daemon_off, power_cut, selection, rollup, profile_nat,
          deleted, version_1, valve, clock_back,
          reused, no_port, roles, no_timestamps, leftovers, two_files, evidence, words)


def main():
    with tempfile.TemporaryDirectory(prefix="ctl-who-") as folder:
        for scene in SCENES:
            if sys.argv[1:] and scene.__name__ not in sys.argv[1:]:
                continue
            scene(Scene(folder, scene.__name__.replace("_", " ")))
    print("PASS")


if __name__ == "__main__":
    main()
