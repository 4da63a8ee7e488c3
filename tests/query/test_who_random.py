#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ctflow who against brute force, on random histories.

What really happened is made first: flows, a daemon that comes and goes and
listens to some of them, looks at the table, losses, reboots.  From that follows
what the database was told.  Then: NONE only where nobody had it, ONE and
certain only where that host alone had it, and all that was told is found.
CTF_HISTORIES=1000 for the long form, CTF_SEED=N for one history.
"""
import os
import random
import sys
import tempfile

import history
from history import SEC, TCP, UDP, History

T = 1_700_000_000 * SEC
SPAN = 4000  # seconds of a history
PUBLIC = [f"203.0.113.{n}" for n in (1, 2)]
PORTS = [1024, 1025, 1026]
OPTIONS = os.environ.get("CTF_HISTORY_OPTIONS", "--spare").split()


class Truth:
    """What happened, in ns after T."""

    def __init__(self, seed):
        self.rng = rng = random.Random(seed)
        self.reboots = sorted(rng.randrange(SPAN * SEC) for _ in range(rng.choice((0, 0, 0, 1))))
        self.runs = self._runs()
        self.flows = [self._flow(n) for n in range(rng.randrange(5, 60))]
        self.now = SPAN * SEC + rng.randrange(200 * SEC)

    def _runs(self):
        """Begin, end and how it ended of each run of the daemon."""
        rng, runs = self.rng, []
        at = rng.randrange(300 * SEC)
        while at < SPAN * SEC:
            end = at + int(rng.choice((400, 4000, 4000)) * SEC * (0.5 + rng.random()))
            end = min([end] + [r for r in self.reboots if r > at])
            runs.append({"from": at, "to": min(end, SPAN * SEC),
                         "clean": rng.random() < 0.5 and end not in self.reboots,
                         "sweeps": rng.random() < 0.85, "every": rng.choice((100, 300, 600)),
                         "select": rng.random() < 0.08, "events": rng.choice((1, 1, 2))})
            at = end + rng.choice((5, 60, 500)) * SEC
        return runs

    def _flow(self, number):
        rng = self.rng
        start = rng.randrange(-500 * SEC, SPAN * SEC)
        lived = int(rng.choice((5, 50, 500, 5000)) * SEC * rng.random()) + SEC // 10
        # With the machine ends what it had.
        end = min([start + lived] + [r for r in self.reboots if r > start])
        host = rng.randrange(6)
        own = rng.random() < 0.1
        public = rng.choice(PUBLIC)
        flow = {"src": public if own else f"10.0.0.{2 + host}", "proto": rng.choice((TCP, UDP)),
                "sport": rng.choice(PORTS) if own else 5000 + host,
                "dst": f"198.51.100.{rng.randrange(3)}", "dport": 443, "id": number + 1,
                "start": T + start}
        if not own:
            flow |= {"nat_src": public, "nat_sport": rng.choice(PORTS)}
        led = end in self.reboots
        return {"flow": flow, "from": start, "to": end, "silent": led,
                "public": (public, flow.get("nat_sport", flow["sport"])), "host": flow["src"]}

    def had(self, public, proto, begin, end):
        """Who had it at any moment of that."""
        return {f["host"] for f in self.flows
                if f["public"][0] == public[0] and public[1] in (None, f["public"][1])
                and (proto is None or f["flow"]["proto"] == proto)
                and f["from"] <= end and f["to"] >= begin}


class Told:
    """What the database was told of it."""

    def __init__(self, truth):
        self.truth, self.rng, self.events = truth, truth.rng, []
        self.ended, self.gaps = [], []
        for run in truth.runs:
            self._run(run)
        self.events.sort(key=lambda e: e[0])

    def _at(self, at, call, *args, **values):
        self.events.append((at, call, args, values))

    def _deaf(self, flow):
        """It began while nobody listened, and the kernel forgot to care."""
        boot = max([r for r in self.truth.reboots if r <= flow["from"]], default=-SPAN * SEC)
        events = 2
        for run in self.truth.runs:
            if run["from"] <= flow["from"] <= run["to"]:
                return False
            if boot <= run["from"] <= flow["from"]:
                events = run["events"]
        return events == 2

    def _run(self, run):
        boot = sum(r <= run["from"] for r in self.truth.reboots)
        same = {"boot_id": f"00000000-0000-0000-0000-{boot:012d}",
                "selection": "tcp" if run["select"] else "", "events": run["events"]}
        rng = self.rng
        lost = []
        if rng.random() < 0.25:
            at = rng.randrange(run["from"], run["to"] + 1)
            lost.append((at, min(at + rng.randrange(60 * SEC), run["to"])))
        self._heartbeats(run, same)
        for flow in self.truth.flows:
            gone = flow["to"]
            if not run["from"] <= gone <= run["to"] or flow["silent"] or \
                    (run["select"] and flow["flow"]["proto"] != TCP) or \
                    self._deaf(flow) or gone > self.alive:
                continue
            if any(a <= gone <= b for a, b in lost):
                continue
            self.ended.append(flow)
            self._at(gone, "flow", **flow["flow"], end=T + gone, destroy=T + gone)
        for a, b in lost:
            self._at(b, "gap", T + a, T + b, cause=rng.choice(("overrun", "valve", "queue")))
        if run["sweeps"]:
            self._sweeps(run)

    def _heartbeats(self, run, same):
        """The last one of a run that died is older than its end."""
        begin, at = run["from"], run["from"]
        self._at(begin, "coverage", T + begin, T + begin, **same)
        step = max(SEC, min(10 * SEC, (run["to"] - begin) // 3))
        while at + step < run["to"]:
            at += step
        self._at(at, "coverage", T + begin, T + at, **same)
        if run["clean"]:
            at = run["to"]
            self._at(at, "coverage", T + begin, T + at, to_ns=T + at, **same)
        self.alive = at

    def _sweeps(self, run):
        at, previous = run["from"], 0
        while at <= self.alive:
            age = 60 * SEC if previous else 0
            complete = self.rng.random() < 0.9
            for flow in self.truth.flows:
                if not flow["from"] <= at - age or flow["to"] <= at or \
                        (run["select"] and flow["flow"]["proto"] != TCP) or \
                        (not complete and self.rng.random() < 0.5):
                    continue
                self._at(at, "living", T + at, **flow["flow"])
            self._at(at + 1, "sweep", T + at, previous_ns=T + previous if previous else 0,
                     min_age_ns=age, complete=int(complete))
            previous = at if complete else previous
            at += run["every"] * SEC

    def write(self, path):
        told = History()
        for _, call, args, values in self.events:
            getattr(told, call)(*args, **values)
            if self.rng.random() < 0.02:
                told.commit()
            if self.rng.random() < 0.02:
                told.spare()
        told.write(path, *OPTIONS)


def question(rng, told):
    """Mostly about a flow that there was, best one that is not in the database."""
    truth, public, proto = told.truth, (rng.choice(PUBLIC), rng.choice(PORTS + [None, 1999])), None
    missing = [f for f in truth.flows if f not in told.ended]
    some = rng.choice(missing if missing and rng.random() < 0.5 else truth.flows)
    if rng.random() < 0.7:
        public, proto = some["public"], rng.choice((None, some["flow"]["proto"]))
    at = rng.choice((some["from"], some["to"], (some["from"] + some["to"]) // 2,
                     rng.randrange(SPAN * SEC))) + rng.randrange(-2 * SEC, 2 * SEC)
    return public, proto, min(at, truth.now - SEC), rng.choice((0, 1, 1, 20)) * SEC


def judge(told, asked, answer):
    """The problem with an answer, or None."""
    public, proto, at, skew = asked
    truth, begin, end = told.truth, at - skew, at + skew
    had = truth.had(public, proto, begin, end)
    sure = {m["host"] for m in answer["matches"] if m["sure"] == "yes"}
    found = {m["host"] for m in answer["matches"]}
    stored = {f["host"] for f in told.ended
              if f["public"][0] == public[0] and public[1] in (None, f["public"][1])
              and proto in (None, f["flow"]["proto"])
              and f["from"] <= end and f["to"] >= begin}
    if answer["verdict"] == "NONE" and had:
        return f"false NONE: {had} had it"
    if not sure <= had:
        return f"surely {sure}, but {had} had it"
    if not stored <= found:
        return f"{stored} are stored, {found} were found"
    if answer["verdict"] == "ONE" and (len(sure) != 1 or len(found) != 1):
        return f"ONE of {found}"
    if answer["verdict"] == "ONE" and answer["certain"] and had != found:
        return f"false certainty of ONE: {had} had it, not only {found}"
    if answer["verdict"] == "SEVERAL" and answer["certain"] and had != found:
        return f"false certainty: {had} had it, {found} were found"
    return None


def one(path, seed, questions, verdicts):
    truth = Truth(seed)
    told = Told(truth)
    told.write(path)
    os.environ["CTFLOW_NOW"] = f"@{(T + truth.now) / SEC:.6f}"
    for n in range(questions):
        public, proto, at, skew = asked = question(truth.rng, told)
        where = public[0] if public[1] is None else f"{public[0]}:{public[1]}"
        words = [where] + ([str(proto)] if proto else []) + \
            ["at", f"@{(T + at) // SEC}.{(T + at) % SEC:09d}", "--skew", str(skew // SEC)]
        answer = history.ctflow(path, "who", *words, "--no-live", want=range(4))
        problem = judge(told, asked, answer)
        if problem:
            raise AssertionError(f"seed {seed}, question {n} ({' '.join(words)}): {problem}: "
                                 f"{answer}")
        word = answer["verdict"] + (" certain" if answer["certain"] else "")
        verdicts[word] = verdicts.get(word, 0) + 1


def main():
    seeds = range(1, 1 + int(os.environ.get("CTF_HISTORIES", "40")))
    verdicts = {}
    if "CTF_SEED" in os.environ:
        seeds = [int(os.environ["CTF_SEED"])]
    with tempfile.TemporaryDirectory(prefix="ctl-who-") as folder:
        for seed in seeds:
            path = os.path.join(folder, "history.db")
            one(path, seed, 6, verdicts)
            for name in os.listdir(folder):
                os.unlink(os.path.join(folder, name))
    print(", ".join(f"{n} {word}" for word, n in sorted(verdicts.items())))
    # A tool that never knows anything would be right all the time.
    total = sum(verdicts.values())
    if total > 100:
        for word, share in (("NONE certain", 0.05), ("ONE certain", 0.05), ("UNKNOWN", 0.05)):
            assert verdicts.get(word, 0) >= share * total, f"too few {word}"
    print("PASS")


if __name__ == "__main__":
    sys.exit(main())
