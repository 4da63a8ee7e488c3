# SPDX-License-Identifier: GPL-2.0-or-later
"""Histories in a database, random ones too, and questions to ctflow.

A flow is a dict with the keys of tests/query/history (history_line.c): src,
dst, nat_src ... start, end, destroy in ns.  What is written is kept in a
History, so that a test can count by brute force what ctflow should say.
"""
import json
import os
import random
import subprocess

SEC = 10 ** 9
T0 = 1795238256 * SEC  # 2026-11-21 about 05:17 UTC
UDP, TCP, ICMP = 17, 6, 1


def build(name):
    """A program of the build tree."""
    path = os.path.join(os.path.abspath(os.environ.get("CTF_BUILD", ".")), name)
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"no {path}: run in the build tree, or set CTF_BUILD")
    return path


def _word(key, value):
    text = str(int(value)) if isinstance(value, bool) else str(value)
    return f'{key}="{text}"' if not text or " " in text else f"{key}={text}"


class History:
    """What was told, as lines; write() makes the database of it."""

    def __init__(self):
        self.told, self.flows, self.seen = [], [], []
        self.gaps, self.coverages, self.sweeps = [], [], []

    def _line(self, kind, keep, values):
        values = {k: v for k, v in values.items() if v is not None}
        keep.append(values)
        self.told.append(" ".join([kind] + [_word(*v) for v in values.items()]))
        return values

    def flow(self, **values):
        """A flow that ended; its end was received with destroy (or rx)."""
        return self._line("flow", self.flows, values)

    def living(self, at, **values):
        """A sweep met a flow."""
        return self._line("seen", self.seen, values | {"at": at})

    def gap(self, from_ns, to_ns, **values):
        return self._line("gap", self.gaps, {"from_ns": from_ns, "to_ns": to_ns} | values)

    def coverage(self, from_ns, last_alive_ns, **values):
        return self._line("coverage", self.coverages,
                          {"from_ns": from_ns, "last_alive_ns": last_alive_ns} | values)

    def sweep(self, at_ns, **values):
        return self._line("sweep", self.sweeps, {"at_ns": at_ns} | values)

    def commit(self):
        """What came before is a transaction of its own."""
        self.told.append("commit")

    def spare(self):
        """The sink works off what it has put aside, as when nothing comes."""
        self.told.append("spare")

    def fill(self, count, from_ns, to_ns, **values):
        """Random flows made by the program itself: quick, but not in self.flows."""
        self.told.append(" ".join(["fill"] + [_word(k, v) for k, v in (
            {"count": count, "from": from_ns, "to": to_ns} | values).items()]))

    def write(self, path, *options):
        """Adds what was told since the last time; options: "--profile", "nat", "--spare"."""
        write(path, self.told, *options)
        self.told = []


def write(path, lines, *options, timeout=600):
    """Lines of tests/query/history into a database."""
    done = subprocess.run([build("tests/query/history"), path, *options],
                          input="".join(line + "\n" for line in lines), text=True,
                          capture_output=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise AssertionError(f"history: {done.stdout}{done.stderr}")


def random_flow(rng, destroy, hosts=20, public=2, ports=8, longest=3600):
    """A flow that ended then; few addresses and ports, so that they meet."""
    host, port = rng.randrange(hosts), 1024 + rng.randrange(ports)
    idle = rng.randrange(0, 120 * SEC) if rng.random() < 0.7 else rng.randrange(3 * SEC)
    lived = int(rng.random() ** 3 * longest * SEC)
    flow = {"src": f"10.0.{host // 250}.{2 + host % 250}", "sport": port,
            "dst": f"198.51.100.{1 + rng.randrange(30)}", "dport": rng.choice((53, 80, 443)),
            "proto": rng.choice((UDP, TCP, TCP)), "start": destroy - idle - lived,
            "end": destroy - idle, "destroy": destroy, "id": rng.getrandbits(32),
            "packets": 1 + rng.randrange(1000), "rpackets": rng.randrange(1000),
            "status": 0x39e, "reason": rng.randrange(1, 4)}
    flow |= {"bytes": flow["packets"] * rng.randrange(40, 1500),
             "rbytes": flow["rpackets"] * rng.randrange(40, 1500)}
    if rng.random() < 0.8:
        flow |= {"nat_src": f"203.0.113.{1 + rng.randrange(public)}",
                 "nat_sport": 1024 + rng.randrange(ports)}
    if rng.random() < 0.1:
        flow |= {"nat_dst": f"10.0.0.{2 + rng.randrange(hosts)}", "nat_dport": 8080}
    if rng.random() < 0.2:
        flow["mark"] = rng.randrange(1, 300)
    return flow


def random_history(seed, count, span=7200, **how):
    """Flows that ended within `span` seconds after T0, covered without a gap."""
    rng, made = random.Random(seed), History()
    ends = sorted(T0 + rng.randrange(span * SEC) for _ in range(count))
    made.coverage(T0 - 86400 * SEC, T0 + span * SEC)
    for end in ends:
        made.flow(**random_flow(rng, end, **how))
    return made


def ctflow(path, *arguments, fmt="json", want=(0,), **options):
    """What ctflow answers: parsed if JSON.  want: exit codes; None: any."""
    paths = [path] if isinstance(path, str) else path
    databases = [word for p in paths for word in ("-d", p)]
    done = subprocess.run([build("ctflow"), *databases, "-o", fmt, *map(str, arguments)],
                          text=True, capture_output=True, timeout=120, check=False, **options)
    if want is not None and done.returncode not in want:
        raise AssertionError(f"ctflow {arguments}: exit code {done.returncode}: "
                             f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return json.loads(done.stdout) if fmt == "json" else done.stdout
