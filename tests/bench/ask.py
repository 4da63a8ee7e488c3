#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Questions to a big history: how long each takes, against its limit.

A day of flows is made by the SQLITE3 plugin itself; each question is a whole
run of ctflow, asked several times, and the median counts: the file is warm, as
the limits are meant.  Those are for 10 million rows: of more only `who` has one, as other
answers grow with them.  Where the CPU time is far below it, the machine was busy with
something else.  Beside it nfdump, if it is there, is
asked the same of the same flows, which our own IPFIX output wrote and nfcapd
took.  It reads all of a day for each question; half the time for half a day.

Build first: make ctflow tests/query/history tests/bench/history_ipfix
"""
import argparse
import json
import os
import random
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

SEC = 10 ** 9
DAY = 86400
PORT = 4799  # of nfcapd, on the loopback
LIMITED = 10_000_000  # rows
RATE = 5000  # flows a second of the writer


def arguments():
    p = argparse.ArgumentParser(prog="ask.py", description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", nargs="?", default=".", help="build tree (a release build)")
    p.add_argument("-n", "--rows", type=int, default=10_000_000)
    p.add_argument("-r", "--rounds", type=int, default=7, help="how often each is asked")
    p.add_argument("--dir", help="keeps what is made there, and uses what is there")
    p.add_argument("--no-nfdump", action="store_true", help="without nfdump")
    return p.parse_args()


class Bench:
    def __init__(self, args, where):
        self.args, self.dir = args, where
        self.build = os.path.abspath(args.build)
        self.day = int(time.time()) // DAY * DAY - DAY  # yesterday
        self.fill = f"fill count={args.rows} from={self.day * SEC} to={(self.day + DAY) * SEC}\n"
        self.db = f"{where}/flows.db"
        self.failed, self.spent = [], []
        self.rng = random.Random(1)
        self.span = ["since", f"@{self.day}", "until", f"@{self.day + DAY}"]
        # With those whose last packet was before that day.
        self.all = ["since", f"@{self.day - 3600}", "until", f"@{self.day + DAY}"]

    def program(self, name, out, *options, lines):
        subprocess.run([f"{self.build}/{name}", out, *options], input=lines, text=True,
                       check=True, stdout=subprocess.DEVNULL)

    def make(self):
        if not os.path.exists(self.db):
            self.program("tests/query/history", self.db, "--spare", lines=self.fill +
                         f"coverage from_ns={(self.day - DAY) * SEC}"
                         f" last_alive_ns={(self.day + DAY) * SEC}\nspare\n")
        size = os.path.getsize(self.db)
        print(f"{self.args.rows:,} rows, {size / self.args.rows:.0f} bytes each")

    def ask(self, *words, want=(0,), fmt="ndjson"):
        """Rows of the answer, and how many ms it took."""
        begin, cpu = time.monotonic(), self.cpu()
        done = subprocess.run([f"{self.build}/ctflow", "-d", self.db, "-o", fmt, *words],
                              capture_output=True, text=True, check=False)
        took = (time.monotonic() - begin) * 1000
        self.spent.append((self.cpu() - cpu) * 1000)
        if done.returncode not in want:
            raise RuntimeError(f"{words}: {done.returncode}: {done.stderr}")
        return json.loads(done.stdout) if fmt == "json" else done.stdout.splitlines(), took

    @staticmethod
    def cpu():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def judge(self, what, times, limit, more=""):
        """The median decides (no limit: nothing to decide), without the first rounds."""
        median = statistics.median(times)
        good = limit is None or median < limit
        mark = f"limit {limit} ms" if limit else "no limit"
        word = "    " if limit is None else "pass" if good else "FAIL"
        print(f"{word}  {what}: median {median:.1f} ms, worst "
              f"{max(times):.1f}, CPU "
              f"{statistics.median(self.spent[-len(times):]):.1f} ms, {mark}{more}",
              flush=True)
        if not good:
            self.failed.append(what)

    def question(self, what, limit, *words, **how):
        """The same question again and again; its answer."""
        rows, _ = self.ask(*words, **how)
        times = [self.ask(*words, **how)[1] for _ in range(self.args.rounds)]
        self.judge(what, times, limit if self.args.rows <= LIMITED else None,
                   f"; {len(rows)} rows")
        return rows

    def someone(self):
        """A flow of a random second of the day."""
        while True:
            at = self.day + self.rng.randrange(DAY - 60)
            rows, _ = self.ask("show", "since", f"@{at}", "until", f"@{at + 20}", "limit", "20")
            if rows:
                return json.loads(self.rng.choice(rows))


def middle(flow):
    """A moment at which the flow was there."""
    at = flow["end"][:-1]  # UTC, nanoseconds
    return at[:26] + "Z"


def who_words(flow):
    proto = {6: "tcp", 17: "udp"}[flow["proto"]]
    return ["who", f"{flow['nat_src']}:{flow['nat_sport']}", proto, "at", middle(flow), "--no-live"]


def says(answer, src):
    return any(r.get("src") == src for r in answer["matches"])


def who(b):
    """Of 20 different flows, each when its pages have been read once."""
    limit = 50 if b.args.rows <= LIMITED else 200
    asked = [b.someone() for _ in range(20)]
    times = []
    for flow in asked:
        words = who_words(flow)
        b.ask(*words, want=(0, 2), fmt="json")
        answer, took = b.ask(*words, want=(0, 2), fmt="json")
        if not says(answer, flow["src"]):
            raise RuntimeError(f"{words} does not know {flow['src']}: {answer}")
        times.append(took)
    b.judge("who", times, limit)
    return asked


class Writer:
    """The plugin in a process of its own, RATE flows a second, ending now."""

    def __init__(self, b):
        self.proc = subprocess.Popen([f"{b.build}/tests/query/history", b.db],
                                     stdin=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL)
        self.stop, self.last, self.made = threading.Event(), None, 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        before, n = time.time_ns(), 0
        while not self.stop.wait(0.1):
            now, n = time.time_ns(), n + 1
            count = (now - before) * RATE // SEC
            known = (f"10.9.{n // 250 % 250}.{n % 250}", 1024 + n % 60000, now)
            self.proc.stdin.write(
                f"fill count={count} from={before} to={now} seed={n} id={n * 100000}\n"
                f"flow proto=6 src={known[0]} sport=5 dst=45.0.0.1 dport=443"
                f" nat_src=203.0.113.250 nat_sport={known[1]} start={before} end={now}"
                f" destroy={now} id={n}\ncommit\n")
            self.proc.stdin.flush()
            before, self.made = now, self.made + count
            self.last = known

    def end(self):
        self.stop.set()
        self.thread.join()
        self.proc.stdin.close()
        if self.proc.wait(120):
            raise RuntimeError("the writer failed")


def who_fresh(b):
    """Rows of the last second, the writer beside it."""
    w, times, began = Writer(b), [], time.monotonic()
    try:
        while len(times) < 20:
            time.sleep(0.5)
            src, port, at = w.last
            answer, took = b.ask("who", f"203.0.113.250:{port}", "tcp", "at",
                                 f"@{at // SEC}.{at % SEC:09}", "--no-live", want=(0, 1, 2, 3),
                                 fmt="json")
            if says(answer, src):
                times.append(took)
            elif time.monotonic() > began + 60:
                raise RuntimeError(f"{src} is not found: {answer}")
        rate = w.made / (time.monotonic() - began)
    finally:
        w.end()
    b.judge("who, rows of the last second", times, 80, f"; writer {rate:.0f} flows/s")


class Nfdump:
    """nfcapd's files of the same flows."""

    def __init__(self, b):
        self.b, self.dir = b, f"{b.dir}/nfdump"
        if not os.path.isdir(self.dir):
            self.make()

    def make(self):
        b, ipfix = self.b, f"{self.b.dir}/flows.ipfix"
        b.program("tests/bench/history_ipfix", ipfix, lines=b.fill)
        os.mkdir(self.dir)
        child = subprocess.Popen(["nfcapd", "-b", "127.0.0.1", "-p", str(PORT), "-w", self.dir,
                                  "-t", "3600", "-B", "4000000"], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        try:
            time.sleep(1)
            self.send(ipfix)
        finally:
            child.terminate()
            child.wait()
        os.unlink(ipfix)
        found = self.ask("-I")[0]
        if f"Flows: {b.args.rows}" not in found:
            raise RuntimeError(f"nfcapd has not all flows: {found}")
        size = sum(e.stat().st_size for e in os.scandir(self.dir))
        print(f"nfdump: {size / b.args.rows:.0f} bytes a flow")

    @staticmethod
    def waiting():
        with open("/proc/net/udp", encoding="ascii") as f:
            for line in f:
                if line.split()[1].endswith(f":{PORT:04X}"):
                    return int(line.split()[4].split(":")[1], 16)
        raise RuntimeError("nfcapd does not listen")

    def send(self, path):
        """The messages of the file, no faster than they are read."""
        to = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        to.connect(("127.0.0.1", PORT))
        with open(path, "rb") as f:
            while head := f.read(4):
                to.send(head + f.read(int.from_bytes(head[2:], "big") - 4))
                while self.waiting() > 100000:
                    time.sleep(0.001)
        while self.waiting():
            time.sleep(0.01)
        time.sleep(1)

    def ask(self, *words):
        begin = time.monotonic()
        done = subprocess.run(["nfdump", "-R", self.dir, *words], capture_output=True, text=True,
                              check=True)
        return done.stdout, (time.monotonic() - begin) * 1000

    def question(self, what, *words):
        self.ask(*words)
        times = [self.ask(*words)[1] for _ in range(min(3, self.b.args.rounds))]
        print(f"      nfdump, {what}: {statistics.median(times):.0f} ms", flush=True)
        return self.ask(*words)[0]


def compare(what, ours, theirs):
    if ours != theirs:
        raise RuntimeError(f"{what}: {ours} here, {theirs} of nfdump")


def list_of_addresses(b):
    """10,000 remote addresses, most of them of few flows or none."""
    path = f"{b.dir}/addresses"
    rng = random.Random(2)
    with open(path, "w", encoding="ascii") as f:
        for n in sorted(rng.sample(range(1 << 24), 10000)):
            f.write(f"45.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}\n")
    return path


def flows_found(text):
    """Of nfdump -q -o csv: all lines."""
    return len([line for line in text.splitlines() if line.strip()])


def run(b):
    b.make()
    asked = who(b)
    src = asked[0]["src"]
    top = b.question("top 10 src by bytes of a day", 300, "top", "10", "src", "by", "bytes",
                     *b.span)
    some = b.question("a selective show", 300, "show", f"src {src} and dst port 22", *b.all)
    path = list_of_addresses(b)
    listed = b.question("10,000 addresses from a file", 2000, "show", f"dst @{path}", *b.all)
    if shutil.which("nfdump") and not b.args.no_nfdump and b.args.rows <= 10_000_000:
        n = Nfdump(b)
        quiet = ("-q", "-o", "csv")
        one = asked[0]
        n.question("who", *quiet, f"src xip {one['nat_src']} and src xport {one['nat_sport']}")
        n.question("top 10 src by bytes", "-n", "10", "-s", "srcip/bytes")
        compare("a selective show", len(some), flows_found(n.question(
            "a selective show", *quiet, f"src ip {src} and dst port 22")))
        with open(path, encoding="ascii") as f, open(f"{path}.nf", "w", encoding="ascii") as out:
            out.write("dst ip in [" + " ".join(f.read().split()) + "]\n")
        compare("10,000 addresses", len(listed), flows_found(n.question(
            "10,000 addresses", *quiet, "-f", f"{path}.nf")))
    else:
        print("nfdump is not asked")
    if len(top) != 10:
        raise RuntimeError(f"top 10 has {len(top)} rows")
    who_fresh(b)


def main():
    args = arguments()
    where = args.dir or tempfile.mkdtemp(prefix="ctl-ask-")
    os.makedirs(where, exist_ok=True)
    bench = Bench(args, where)
    try:
        run(bench)
    finally:
        if not args.dir:
            shutil.rmtree(where, ignore_errors=True)
    sys.exit(bool(bench.failed))


main()
