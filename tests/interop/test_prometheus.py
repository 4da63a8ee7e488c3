#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""An outage as who watches a fleet sees it: Prometheus, its node exporter and
the alert rules of etc/ over the metrics_file of a ctflowd at work.

Nothing is there at first; the collector goes away and comes back, the table
fills, the daemon hangs with the table filling behind it, and its numbers vanish.
The rules are those that are installed, with times and marks made short.  Every
expression of the Grafana dashboard is evaluated over what was recorded meanwhile.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ETC = os.path.join(HERE, "..", "..", "etc")
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]

import lab as labs  # noqa: E402
import prometheus as textformat  # noqa: E402
import scene  # noqa: E402
from daemon import Daemon, configuration, text, until  # noqa: E402
from monitoring import Prometheus  # noqa: E402
from sinks import TcpSink  # noqa: E402

NS, PORT, FEW = "watched", 4739, 500
SHORT = ((r"for: \d+m", "for: 1s"), (r"\[\d+[mh]\]", "[8s]"), (r"> 60 \+ 3", "> 3 + 3"),
         (r"lag_seconds > \d+", "lag_seconds > 2"), (r"fill_ratio > 0.8", "fill_ratio > 0.02"))
AWAY = {"CtflowdCollectorAway", "CtflowdSpoolGrowing", "CtflowdBehind"}
HUNG = {"CtflowdHeartbeatMissing"}
OF_THE_TARGET = ("__name__", "instance", "job", "ctflowd")
MISSING = {"CtflowdMetricsMissing"}
LET_GO = {"CtflowdGuardReleased", "CtflowdLoss"}


def short_rules():
    rules = text(f"{ETC}/prometheus/ctflowd.rules.yml")
    for pattern, to in SHORT:
        rules, n = re.subn(pattern, to, rules)
        if not n:
            raise AssertionError(f"no {pattern} in the rules")
    return rules


class Watched:
    """The daemon, those who watch it, and what was sent."""

    def __init__(self, lab, tmp):
        self.lab, self.made, self.sink = lab, 0, None
        self.flood = labs.helper("flood", tmp)
        self.prom = Prometheus(lab, NS, f"{tmp}/prometheus", short_rules())
        self.file = f"{self.prom.texts}/ctflowd.prom"
        self.listen()
        conf = configuration(tmp, ["ct1:NFCT,out1:IPFIX"], {
            "ct1": "sysctl=ignore\nreliable_fill=3\nnetlink_socket_buffer_size=64K\n",
            "out1": f"oid=7\nhost=127.0.0.1\nport={PORT}\nproto=tcp\nreconnect=200ms\n"
                    f'spool_dir="{tmp}/spool"\nspool_sync=100ms\nspool_max=64M\n'})
        conf = conf.replace("[global]\n", f'[global]\nmetrics_file="{self.file}"\n'
                            "metrics_daemon=gw1\nmetrics_interval=200ms\n")
        self.fires(MISSING)
        os.umask(0o027)  # the unit's
        self.daemon = Daemon(lab, NS, tmp, conf).start()

    def listen(self):
        self.sink = TcpSink(self.lab, NS, PORT)

    def begin(self, count):
        self.lab.run(NS, self.flood, str(count))
        self.made += count

    def end(self):
        self.lab.run(NS, "conntrack", "-F")

    def output(self, name):
        return self.prom.value(f'ctflowd_output_{name}{{output="out1",plugin="IPFIX"}}')

    def input(self, name):
        return self.prom.value(f'ctflowd_input_{name}{{input="ct1",plugin="NFCT"}}')

    def sees(self, name, value, side="output"):
        look = self.output if side == "output" else self.input
        self.prom.reach(f"{name} to be {value}, not {look(name)}", lambda: look(name) == value)

    def fires(self, names):
        self.prom.reach(f"{sorted(names)} to fire", lambda: names <= self.prom.alerts())


def lint(path):
    """What promtool thinks of names, units and texts."""
    done = subprocess.run(["promtool", "check", "metrics"], input=text(path), text=True,
                          capture_output=True, check=False, timeout=300)
    return [f"promtool: {w}" for w in (done.stdout + done.stderr).splitlines()]


def all_well(w):
    w.begin(FEW)
    w.end()
    w.sees("delivered_total", FEW)
    w.sees("lag_seconds", 0)
    yield from lint(w.file)
    seen = {(labels["__name__"], frozenset(v for k, v in labels.items()
                                           if k not in OF_THE_TARGET)): v
            for labels, v in ((dict(k), v) for k, v in
                              w.prom.query('{__name__=~"ctflowd_.*"}').items())}
    written = {(n, frozenset(v for _, v in have)) for n, have in textformat.parse(text(w.file))}
    if set(seen) != written:
        yield f"scraped and not written, or not scraped: {set(seen) ^ written}"
    if w.prom.value("node_textfile_scrape_error") != 0:
        yield "the node exporter dislikes the file"
    if w.output("up") != 1 or w.input("guard_running") != 1:
        yield f"up {w.output('up')}, guard {w.input('guard_running')}"
    w.prom.reach("no alert to fire", lambda: not w.prom.alerts())


def collector_away(w):
    w.sink.hang_up()
    end = time.monotonic() + 300
    while not AWAY <= w.prom.alerts():
        if time.monotonic() > end:
            w.fires(AWAY)
        w.begin(FEW)
        w.end()
        time.sleep(0.3)
    waits = w.made - FEW
    w.prom.reach(f"{waits} flows to wait", lambda: w.prom.value(
        "ctflowd_output_queue_flows + ctflowd_output_spool_flows") == waits)
    if w.output("up") != 0 or w.output("delivered_total") != FEW:
        yield f"up {w.output('up')}, delivered {w.output('delivered_total')}"
    size = sum(os.path.getsize(os.path.join(d, f))
               for d, _, files in os.walk(f"{w.daemon.dir}/spool") for f in files)
    if not 0 < w.output("spool_bytes") <= size or w.output("spool_limit_bytes") != 64 << 20:
        yield f"{w.output('spool_bytes')} of {w.output('spool_limit_bytes')} bytes, " \
              f"{size} on disk"
    if w.prom.alerts() - AWAY - {"CtflowdSpoolFilling"}:
        yield f"other alerts: {w.prom.alerts()}"


def daemon_hangs(w):
    """While what lives ends: more than the table may hold for who does not read."""
    most = int(w.lab.read(NS, "/proc/sys/net/netfilter/nf_conntrack_max"))
    count = most * 6 // 100
    w.begin(count)
    w.fires({"CtflowdTableFilling"})
    if w.input("table_fill_ratio") != count * 100 // most / 100:
        yield f"{w.input('table_fill_ratio')} of the table, made {count} of {most}"
    w.daemon.send(signal.SIGSTOP)
    w.end()
    w.fires(HUNG)
    until("the guard to let go", lambda: w.lab.count(NS) < most * 3 // 100)
    w.daemon.send(signal.SIGCONT)
    w.fires(LET_GO)
    w.sees("guard_released_total", 1, "input")
    if not 0 < w.input("lost_total") <= count:
        yield f"{w.input('lost_total')} lost of {count}"


def collector_back(w):
    w.listen()
    heard = w.made - w.input("lost_total")
    w.sees("delivered_total", heard)
    w.sees("lag_seconds", 0)
    w.prom.reach("all alerts to end", lambda: not w.prom.alerts())
    past = {dict(k)["alertname"] for k in w.prom.query(
        'count_over_time(ALERTS{alertstate="pending"}[10m])')}
    if not AWAY | HUNG <= past:
        yield f"only {past} were pending before they fired"


def gone(w):
    w.daemon.stop()
    said = textformat.value(textformat.parse(text(w.file)), "ctflowd_output_delivered_total")
    if said != w.output("delivered_total"):
        yield f"{said} delivered at the end"
    os.unlink(w.file)
    w.fires({"CtflowdMetricsGone"} | MISSING)


def filled(expression):
    """As Grafana fills the variables in."""
    for name, value in (("$__rate_interval", "5s"), ("$__range", "2m"), ("$instance", ".*"),
                        ("$output", ".*")):
        expression = expression.replace(name, value)
    if "$" in expression:
        raise AssertionError(f"a variable nobody knows in {expression}")
    return expression


def dashboard(w, since):
    """Everything its panels show was there at some moment; its notes are valid."""
    d = json.loads(text(f"{ETC}/grafana/ctflowd-dashboard.json"))

    def results(expression):
        return w.prom.ask("query_range", query=filled(expression), start=since,
                          end=time.time(), step=0.5)["result"]
    for panel in d["panels"]:
        for target in panel.get("targets", []):
            if not results(target["expr"]):
                yield f"{panel['title']}: no data for {target['expr']}"
    for note in d["annotations"]["list"]:
        results(note["expr"])


def test(lab, tmp):
    labs.flood_ns(lab, NS)
    since = time.time()
    w = Watched(lab, tmp)
    problems = []
    for part in (all_well, collector_away, daemon_hangs, collector_back, gone):
        problems += [f"{part.__name__}: {p}" for p in part(w)]
        print(f"{part.__name__}: {time.time() - since:.1f} s")
    problems += dashboard(w, since)
    problems += w.prom.stop()
    w.sink.close()
    return problems


labs.need_root()
for program in ("prometheus", "prometheus-node-exporter", "promtool"):
    if not shutil.which(program):
        labs.skip(f"needs the program {program}")
scene.main(test)
