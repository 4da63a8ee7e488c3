#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""ctflow who on the gateway itself, beside the daemon that writes.

Entries of the connection table are made and deleted one by one, so what each
answer must be is known: while a flow is open and only the kernel knows it,
after its end, with the port reused at once; while the daemon is off, after it
was killed, and with a selection; and that nobody had an address is said only
when the daemon has stored all up to then.
"""
import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import LIMIT, Daemon, build_dir, configuration, until  # noqa: E402

NS = "who"
PUBLIC = "203.0.113.9"


class Gateway:
    """A namespace whose table is ours, and a daemon."""

    def __init__(self, lab, tmp, name, options="", filters=""):
        self.lab, self.dir = lab, os.path.join(tmp, name)
        os.mkdir(self.dir)
        self.db = f"{self.dir}/db"
        self.daemon = Daemon(lab, NS, self.dir, configuration(
            self.dir, [f"ct1:NFCT,{filters}db1:SQLITE3"], {
                "f1": 'expr="tcp"\n', "ct1": f"active_timeout=3600\n{options}",
                "db1": f'db="{self.db}"\ntable="flows"\n'}))

    def start(self):
        self.daemon.start()
        self.daemon.wait_log("entering main loop")

    @staticmethod
    def _tuple(host, port):
        return ["-p", "udp", "-s", host, "-d", "198.51.100.7", "--sport", str(4000 + port),
                "--dport", "53"]

    def begin(self, host, port):
        """host:4000+port is port of the public address from now on."""
        self.lab.run(NS, "conntrack", "-I", *self._tuple(host, port), "-r", "198.51.100.7", "-q",
                     PUBLIC, "--reply-port-src", "53", "--reply-port-dst", str(port), "-t", "300",
                     "-u", "SEEN_REPLY")

    def end(self, host, port):
        self.lab.run(NS, "conntrack", "-D", *self._tuple(host, port))

    def ask(self, port, at, *options, address=PUBLIC, skew=100):
        done = subprocess.run(
            ["nsenter", f"--net={self.lab.path(NS)}", "--", f"{build_dir()}/ctflow", "-d", self.db,
             "-o", "json", "who", f"{address}:{port}", "udp",
             *(("at", f"@{at:.6f}") if at else ()), "--skew", f"{skew}ms", *options], capture_output=True, text=True, timeout=2 * LIMIT, check=False)
        assert not done.stderr, done.stderr
        answer = json.loads(done.stdout)
        code = {"ONE": 0, "NONE": 1, "SEVERAL": 2, "UNKNOWN": 3}[answer["verdict"]]
        assert done.returncode == code, done
        return answer

    def want(self, verdict, port, at, *options, hosts=(), why=None, skew=100):
        answer = self.ask(port, at, "--trust-clock", *options, skew=skew)
        assert answer["verdict"] == verdict, answer
        assert sorted({m["host"] for m in answer["matches"]}) == sorted(hosts), answer
        assert not why or any(why in r["why"] or why in r["text"]
                              for r in answer["reasons"]), answer
        return answer

    def stored(self, port, at):
        """Until the end of a flow is in the database."""
        def there():
            found = self.ask(port, at, "--no-live", "--trust-clock")["matches"]
            return found and found[0]["state"] == "ended"
        until(f"the end of the flow of port {port}", there)


def living(gateway):
    """Open for long, and in no table but the kernel's; then it ends."""
    gateway.begin("10.0.0.5", 1001)
    time.sleep(0.3)
    at = time.time()
    for when in (at, at - 0.2):
        answer = gateway.want("ONE", 1001, when, hosts=["10.0.0.5"])
        assert answer["live"] and answer["matches"][0]["state"] == "open now", answer
    gateway.want("UNKNOWN", 1001, at, "--no-live")
    # Now is now, whatever the clock says.
    answer = gateway.ask(1001, None)
    assert answer["verdict"] == "ONE" and not any(
        "synchronised" in r["why"] for r in answer["reasons"]), answer
    time.sleep(0.3)
    gateway.end("10.0.0.5", 1001)
    over = time.time()
    gateway.stored(1001, at)
    answer = gateway.want("ONE", 1001, at, hosts=["10.0.0.5"])
    assert answer["matches"][0]["state"] == "ended", answer
    assert answer["matches"][0]["host_port"] == 5001, answer
    return at, over


def reused(gateway):
    middles, ends, begins = [], [], []
    for host in ("10.0.0.5", "10.0.0.6"):
        gateway.begin(host, 1002)
        begins.append(time.time())
        time.sleep(0.3)
        middles.append(time.time())
        time.sleep(0.3)
        ends.append(time.time())
        gateway.end(host, 1002)
    first, middle = middles
    # between the end of one and the beginning of the next, and as near to both
    seam, apart = (ends[0] + begins[1]) / 2, begins[1] - ends[0]
    gateway.stored(1002, middle)
    gateway.want("ONE", 1002, first, hosts=["10.0.0.5"])
    gateway.want("ONE", 1002, middle, hosts=["10.0.0.6"])
    gateway.want("SEVERAL", 1002, seam, hosts=["10.0.0.5", "10.0.0.6"],
                 skew=100 + int(apart * 1000))


def nobody(gateway, at, over):
    """It waits for the daemon's word; other clocks and namespaces prove nothing."""
    gateway.want("UNKNOWN", 1999, time.time(), "--no-wait", why="too recent")
    answer = gateway.want("NONE", 1999, at)
    assert answer["certain"] and answer["proven"], answer
    gateway.want("NONE", 1001, over + 0.5)
    answer = gateway.want("ONE", 1001, at, hosts=["10.0.0.5"])
    synchronised = {row["clock_synchronised"] for row in answer["coverage"]}
    said = gateway.ask(1999, at, "--no-wait")["reasons"]
    assert any("synchronised" in r["why"] for r in said) == (synchronised != {1}), said


def off(gateway, number):
    """Stopped in order, or killed: then nobody knows."""
    gateway.begin("10.0.0.5", 1003)
    if number == signal.SIGKILL:
        gateway.daemon.send(number)
        gateway.daemon.wait()
    else:
        gateway.daemon.stop()
    time.sleep(0.3)
    at = time.time()
    gateway.end("10.0.0.5", 1003)
    gateway.want("UNKNOWN", 1003, at, why="nobody listened")
    time.sleep(0.3)
    gateway.start()
    until("the coverage of the new run", lambda: any(
        r["why"] == "nobody listened" and r["to"]
        for r in gateway.ask(1003, at, "--trust-clock")["reasons"]))
    gateway.want("UNKNOWN", 1003, at, why="nobody listened")


def selected(gateways, at):
    """In the kernel, or by a filter behind it."""
    for says, gateway in gateways.items():
        until("coverage", lambda g=gateway: any(
            r["then"] for r in g.ask(1004, at, "--trust-clock")["reasons"]))
        gateway.want("UNKNOWN", 1004, at, why="excluded by selection")
        gateway.want("UNKNOWN", 1004, at, why=says)
        gateway.daemon.stop()


def test(lab, tmp):
    labs.flood_ns(lab, NS)
    gateway = Gateway(lab, tmp, "all")
    others = {
        "leaves flows out: proto tcp": Gateway(lab, tmp, "select", options="select=tcp\n"),
        "passed by f1:FILTER": Gateway(lab, tmp, "filter", filters="f1:FILTER,")}
    for g in (gateway, *others.values()):
        g.start()
    gateway.begin("10.0.0.5", 1004)
    time.sleep(0.3)
    excluded = time.time()
    gateway.end("10.0.0.5", 1004)
    reused(gateway)
    at, over = living(gateway)
    nobody(gateway, at, over)
    off(gateway, signal.SIGTERM)
    off(gateway, signal.SIGKILL)
    gateway.daemon.stop()
    selected(others, excluded)


if __name__ == "__main__":
    scene.main(test)
