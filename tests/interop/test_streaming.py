#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""The configurations of etc/streaming, as they are but for the broker's port:
real flows as IPFIX through nfacctd, and as JSON through rsyslog, into Kafka.

The broker stands still while the flows come.  Then every flow's values are read
from the topics.
"""
import json
import os
import shutil
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ETC = os.path.join(HERE, "..", "..", "etc", "streaming")
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]

import compare  # noqa: E402
import formats  # noqa: E402
import lab as labs  # noqa: E402
import natlab  # noqa: E402
import pmacct  # noqa: E402
import scene  # noqa: E402
from collectors import Overheard  # noqa: E402
from daemon import text, until  # noqa: E402
from kafka import Broker, Consumer  # noqa: E402
from natlab import GATEWAY  # noqa: E402

STACKS = ["ct1:NFCT,ipfix1:IPFIX", "ct1:NFCT,ip2str1:IP2STR,json1:JSON"]
SECTIONS = {"ipfix1": 'host="127.0.0.1"\npreset="pmacct"\noid=1\n',
            "json1": 'mode="tcp"\nhost="127.0.0.1"\nport="5170"\n'}


def with_port(name, port):
    words = text(f"{ETC}/{name}")
    if "9092" not in words:
        raise AssertionError(f"{name} names no broker")
    return words.replace("9092", str(port))


class Nfacctd:
    def __init__(self, lab, tmp, port):
        self.log = f"{tmp}/nfacctd.log"
        Overheard(lab, GATEWAY, 2100, mtu=1420)
        with open(f"{tmp}/nfacctd.conf", "w", encoding="utf-8") as f:
            f.write(with_port("nfacctd-kafka.conf", port))
        with open(self.log, "wb") as log:
            self.child = lab.popen(GATEWAY, ["nfacctd", "-f", f.name], stdout=log, stderr=log)
        until("nfacctd to listen", lambda: "waiting for" in text(self.log))

    def stop(self):
        self.child.send_signal(signal.SIGINT)
        self.child.wait(150)


class Rsyslog:
    def __init__(self, lab, tmp, port):
        self.log = f"{tmp}/rsyslog.log"
        work = f"{tmp}/rsyslog"
        os.mkdir(work)
        with open(f"{tmp}/ctflow.conf", "w", encoding="utf-8") as f:
            f.write(with_port("rsyslog-kafka.conf", port))
        with open(f"{tmp}/rsyslog.conf", "w", encoding="utf-8") as main:
            main.write(f'global(workDirectory="{work}")\ninclude(file="{f.name}")\n')
        check = lab.run(GATEWAY, "rsyslogd", "-N1", "-f", main.name)
        if "error" in check:
            raise AssertionError(check)
        with open(self.log, "wb") as log:
            self.child = lab.popen(GATEWAY, ["rsyslogd", "-n", "-f", main.name, "-i",
                                             f"{tmp}/rsyslog.pid"], stdout=log, stderr=log)
        until("rsyslogd to listen", lambda: ":1432 " in lab.read(
            GATEWAY, "/proc/thread-self/net/tcp"))

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        self.child.wait(150)


def test(lab, tmp):
    natlab.build(lab)
    broker = Broker(lab, GATEWAY, "ctflow.ipfix", f"{tmp}/ipfix")
    lines = Consumer(lab, GATEWAY, "ctflow.json", f"{tmp}/json", "-b",
                     f"127.0.0.1:{broker.port}")
    nfacctd, rsyslog = Nfacctd(lab, tmp, broker.port), Rsyslog(lab, tmp, broker.port)
    broker.child.send_signal(signal.SIGSTOP)
    flows = scene.standard(lab, tmp, STACKS, SECTIONS)
    broker.child.send_signal(signal.SIGCONT)
    want = pmacct.sent(flows)
    lines.await_messages(len(flows), lambda: text(rsyslog.log))
    broker.await_messages(sum(want.values()), lambda: text(nfacctd.log))
    rsyslog.stop()
    nfacctd.stop()
    got = pmacct.printed(json.loads(m) for m in broker.messages())
    problems = [f"not in ctflow.ipfix: {n} times {row}" for row, n in (want - got).items()]
    problems += [f"not sent: {n} times {row}" for row, n in (got - want).items()]
    problems += compare.differences("ctflow.json", formats.jsons(f"{tmp}/json"), flows)
    lines.stop()
    broker.stop()
    print(f"{len(flows)} flows, {len(broker.messages())} and {len(lines.messages())} messages")
    return problems


labs.need_root()
for program in ("nfacctd", "rsyslogd", "kcat"):
    if not shutil.which(program):
        labs.skip(f"needs the program {program}")
scene.main(test)
