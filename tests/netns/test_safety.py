#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""ctflowd hangs, or an output does: no connection is refused, each is in the books.

Stopped for 20 s under 3,000 new connections a second and a table of 30,000:
the guard lets go before the table is full.  An output on a FIFO nobody opens:
the other output has all, and this one says what it lost.  Without ctflowd the
same traffic must leave no trace either, or the test shows nothing.
"""
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
import safety  # noqa: E402
import scene  # noqa: E402
from daemon import until  # noqa: E402

STOPPED = 20.0


def control(gateway):
    """Nobody listens."""
    with gateway.traffic():
        time.sleep(4)
    return list(gateway.problems("control"))


def guard_of(daemon):
    """The process id of its guard, or None."""
    with open(f"/proc/{daemon.pid}/task/{daemon.pid}/children", encoding="ascii") as f:
        for pid in f.read().split():
            with open(f"/proc/{pid}/comm", encoding="ascii") as comm:
                if comm.read() == "ctflow-guard\n":
                    return int(pid)
    return None


def another_guard(daemon):
    """Kills the one it has: what follows is the work of one made later."""
    first = until("a guard", lambda: guard_of(daemon))
    os.kill(first, signal.SIGKILL)
    until("another guard", lambda: guard_of(daemon) not in (None, first))
    daemon.wait_log("the guard process has died")


def stopped(gateway):
    daemon = safety.start(gateway, "stopped").start()
    daemon.wait_log("entering main loop")
    another_guard(daemon)
    with gateway.traffic():
        time.sleep(1.5)
        daemon.send(signal.SIGSTOP)
        time.sleep(STOPPED)
        daemon.send(signal.SIGCONT)
        time.sleep(2)
    safety.settle(daemon, "stopped", gateway)
    problems = list(gateway.problems("stopped"))
    problems += safety.Database(daemon).problems("stopped", gateway, ["guard"])
    return problems


def fifo(gateway):
    """Queue, pause and drop; what fits into the socket of a paused input is read late."""
    path = f"{gateway.tmp}/nobody-opens-it"
    os.mkfifo(path)
    daemon = safety.start(
        gateway, "fifo", stacks=["ct1:NFCT,ip1:IP2STR,json1:JSON"],
        sections={"json1": f'file="{path}"\nqueue=256K\n'}).start()
    with gateway.traffic():
        time.sleep(5)
    problems = list(gateway.problems("fifo"))
    problems += read_fifo(gateway, daemon, path)
    safety.settle(daemon, "fifo", gateway)
    return problems + list(
        safety.Database(daemon).problems("fifo, beside it", gateway, []))


def read_fifo(gateway, daemon, path):
    books = safety.Lines()
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def complete():
        books.read(fd)
        return books.total() >= gateway.made
    until("the rest to come out of the FIFO", complete)
    os.close(fd)
    return list(books.problems("fifo", gateway, ["queue"]))


def test(lab, tmp):
    labs.host_lock(exclusive=True)
    gateway = safety.Gateway(lab, tmp)
    return control(gateway) + stopped(gateway) + fifo(gateway)


scene.main(test)
