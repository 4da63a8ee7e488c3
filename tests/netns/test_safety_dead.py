#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""ctflowd is killed: no connection is refused, each is in the books.

Killed with its program gone, so that nobody starts it for a while; killed
with a start that takes longer than the table takes to fill.  Whatever was lost
from the death to the first read is one gap.  As test_safety.
"""
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import calls  # noqa: E402
import lab as labs  # noqa: E402
import safety  # noqa: E402
import scene  # noqa: E402
from daemon import until  # noqa: E402

GONE = 5.0  # seconds; with a slow start less than the guard stays, which is ten
SLOW = 12  # seconds a start takes; the table would be full after 9


def kill(daemon):
    daemon.send(signal.SIGKILL)
    daemon.child.wait()


def program_gone(gateway):
    program = calls.public_binary()
    daemon = safety.start(gateway, "gone", program=program).start()
    with gateway.traffic():
        time.sleep(2)
        os.rename(program, program + "-away")
        kill(daemon)
        time.sleep(GONE)
        os.rename(program + "-away", program)
        daemon.start()
        time.sleep(2)
    safety.settle(daemon, "gone", gateway)
    problems = list(gateway.problems("gone"))
    problems += safety.Database(daemon).problems("gone", gateway, ["restart"])
    return problems


def module(tmp):
    """An input whose start() sleeps, as one may that waits for something."""
    source = os.path.join(HERE, "slowstart.c")
    built = os.path.join(tmp, "slowstart.so")
    subprocess.run([*os.environ.get("CC", "cc").split(), "-std=c11", "-D_GNU_SOURCE",
                    "-shared", "-fPIC", "-I", f"{HERE}/../../core/include", "-o", built,
                    source], check=True, timeout=300)
    return built


def slow_start(gateway):
    options = "netlink_socket_buffer_size=1M\n"
    daemon = safety.start(gateway, "slow", options).start()
    with gateway.traffic():
        time.sleep(2)
        kill(daemon)
        daemon = safety.start(
            gateway, "slow", options, stacks=["slow1:SLOWSTART,gp1:GPRINT"],
            sections={"slow1": f"seconds={SLOW}\n", "gp1": f'file="{gateway.tmp}/gprint"\n'},
            plugin=module(gateway.tmp)).start()
        until("the slow start to end", step=0.1,
              condition=lambda: daemon.log().count("entering main loop") == 2)
        time.sleep(2)
    safety.settle(daemon, "slow", gateway)
    problems = list(gateway.problems("slow"))
    problems += safety.Database(daemon).problems("slow", gateway, ["restart"])
    return problems


def test(lab, tmp):
    labs.host_lock(exclusive=True)
    gateway = safety.Gateway(lab, tmp)
    return program_gone(gateway) + slow_start(gateway)


scene.main(test)
