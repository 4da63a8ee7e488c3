#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""The numbers ctflowd gives of itself and of the kernel are true.

Read from metrics_file, which belongs to the user of -u, and compared with what
the test has made, conntrack(8) and /proc/net/netlink.
"""
import os
import pwd
import re
import signal
import socket
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
import prometheus  # noqa: E402
import scene  # noqa: E402
from daemon import Daemon, Failed, configuration, text, until  # noqa: E402
from sleeper import Sleeper  # noqa: E402

NS, FLOWS, BAD = "metrics", 1000, 7
NOBODY = pwd.getpwnam("nobody").pw_uid
KERNEL = ("invalid", "insert_failed", "drop", "early_drop", "error", "search_restart",
          "clash_resolve")


class Numbers:
    """What metrics_file says."""

    def __init__(self, daemon):
        self.daemon, self.path = daemon, os.path.join(daemon.dir, "texts", "x.prom")

    def all(self):
        return prometheus.parse(text(self.path))

    def get(self, name, **labels):
        return prometheus.value(self.all(), f"ctflowd_{name}", **labels)

    def input(self, name):
        return self.get(f"input_{name}", input="ct1", plugin="NFCT")

    def reach(self, name, want):
        """Waits until the input's number is that."""
        try:
            until(name, lambda: self.input(name) == want)
        except Failed:
            raise Failed(f"{name} is {self.input(name)}, not {want}: "
                         f"{self.daemon.words()}") from None


def invalid_packets(lab, count):
    """TCP with SYN and FIN: conntrack makes nothing of it."""
    with lab.socket(NS, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as s:
        for i in range(count):
            s.sendto(struct.pack("!HHIIBBHHH", 1000 + i, 80, 1, 0, 5 << 4, 3, 1024, 0, 0),
                     ("10.66.1.1", 0))


def kernel_says(lab):
    out = lab.run(NS, "conntrack", "-S")
    return {k: sum(map(int, re.findall(rf"\b{k}=(\d+)", out))) for k in KERNEL}


def drops(daemon):
    """Of the socket that hears events."""
    return sum(int(r[8]) for r in daemon.netlink() if int(r[3], 16) & 4)


def table_and_events(lab, numbers, flood):
    lab.run(NS, flood, str(FLOWS))
    numbers.reach("table_entries", FLOWS)
    if numbers.input("events_total") or lab.count(NS) != FLOWS:
        yield "events before the end"
    most = int(lab.read(NS, "/proc/sys/net/netfilter/nf_conntrack_max"))
    if (numbers.input("table_max"), numbers.input("table_fill_ratio")) != \
            (most, FLOWS * 100 // most / 100):
        yield f"table_max is {numbers.input('table_max')}, not {most}"
    lab.run(NS, "conntrack", "-F")
    numbers.reach("events_total", FLOWS)
    numbers.reach("table_entries", 0)
    until("the output", lambda: numbers.get("output_delivered_total", output="emu1") == FLOWS)
    if numbers.get("output_up", output="emu1", plugin="LOGEMU") != 1:
        yield "the output is not up"


def kernel_statistics(lab, numbers):
    before = numbers.input("kernel_invalid_total")
    invalid_packets(lab, BAD)
    numbers.reach("kernel_invalid_total", before + BAD)
    until(f"the kernel's statistics, {kernel_says(lab)}", lambda: kernel_says(lab) == {
        k: numbers.input(f"kernel_{k}_total") for k in KERNEL})


def socket_drops(lab, numbers, flood):
    """Stopped with a small receive buffer, which is full then."""
    daemon = numbers.daemon
    daemon.send(signal.SIGSTOP)
    until("it to stop", lambda: daemon.status("State").startswith("T"))
    lab.run(NS, flood, str(FLOWS))
    lab.run(NS, "conntrack", "-F")
    daemon.send(signal.SIGCONT)
    numbers.reach("events_total", 2 * FLOWS)
    numbers.reach("dying", 0)
    count = drops(daemon)
    numbers.reach("socket_drops_total", count)
    if not count or numbers.input("buffer_size_bytes") != 2 * 65536:
        yield f"{count} drops, a buffer of {numbers.input('buffer_size_bytes')}"


def kept_for_another(lab, numbers, flood):
    """All that is in the table has ended, and waits for a listener that sleeps."""
    sleeper = Sleeper(lab, NS, 16384)
    lab.run(NS, flood, str(FLOWS))
    lab.run(NS, "conntrack", "-F")
    numbers.reach("dying", lab.count(NS))
    kept = numbers.input("dying")
    if kept < FLOWS - 100 or numbers.input("table_entries") != kept:
        yield f"{kept} dying, {numbers.input('table_entries')} in the table"
    sleeper.fd.close()
    numbers.reach("dying", 0)
    if not numbers.input("repeats_total"):
        yield "no repeats"


def the_same_in_the_log(numbers):
    numbers.daemon.send(signal.SIGUSR1)
    for name in ("events", "table_max", "socket_drops", "repeats", "kernel_invalid"):
        suffix = "" if name == "table_max" else "_total"
        numbers.daemon.wait_log(f" {name}={numbers.input(name + suffix):.0f}")


def the_file(numbers, started):
    """Its owner, that it is made anew, and what it says of the daemon."""
    st = os.stat(numbers.path)
    if (st.st_uid, st.st_mode & 0o777) != (NOBODY, 0o644):
        yield f"owner {st.st_uid}, mode {st.st_mode:o} by the umask of the unit"
    until("a new file", lambda: os.stat(numbers.path).st_ino != st.st_ino, step=0.01)
    if abs(numbers.get("start_time_seconds") - started) > 20:
        yield f"started at {numbers.get('start_time_seconds')}"
    if numbers.get("build_info") != 1:
        yield "build_info"
    if abs(numbers.get("heartbeat_timestamp_seconds") - time.time()) > 10 or \
            numbers.get("heartbeat_interval_seconds") != 0.1:
        yield f"heartbeat {numbers.all()}"
    said = [numbers.input(n) for n in ("up", "valve_open", "guard_wanted", "guard_running")]
    if said != [1, 0, 1, 1]:
        yield f"up, valve, guard wanted and running: {said}"
    if os.listdir(os.path.dirname(numbers.path)).count("x.prom.new") > 1:
        yield "temporary files stay"


def test(lab, tmp):
    labs.host_lock()
    labs.flood_ns(lab, NS)
    flood = labs.helper("flood", tmp)
    os.chown(tmp, NOBODY, -1)
    conf = configuration(tmp, ["ct1:NFCT,ip1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU"], {
        "ct1": "sysctl=ignore\nnetlink_socket_buffer_size=64K\n",
        "emu1": f'file="{tmp}/emu"\n'})
    conf = conf.replace("[global]\n", f'[global]\nmetrics_file="{tmp}/texts/x.prom"\n'
                        "metrics_interval=100ms\n")
    os.mkdir(f"{tmp}/texts", 0o755)  # root's, as the node exporter's package makes it
    subprocess.run(["install", "-d", "-g", "nogroup", "-m", "1775", f"{tmp}/texts"], check=True)
    os.umask(0o027)
    started = time.time()
    daemon = Daemon(lab, NS, tmp, conf).start("-u", "nobody")
    daemon.wait_log("entering main loop")
    numbers = Numbers(daemon)
    problems = [*table_and_events(lab, numbers, flood)]
    kernel_statistics(lab, numbers)
    problems += [*the_file(numbers, started), *socket_drops(lab, numbers, flood),
                 *kept_for_another(lab, numbers, flood)]
    the_same_in_the_log(numbers)
    daemon.stop()
    told = numbers.get("output_delivered_total", output="emu1")
    twice = numbers.input("maybe_repeated_total")  # the first repeats may go unnoticed
    if told - twice != 3 * FLOWS or twice > FLOWS // 50:
        problems.append(f"the last file does not say all: {told}, {twice} twice")
    return problems


scene.main(test)
