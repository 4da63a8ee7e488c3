# SPDX-License-Identifier: GPL-2.0-or-later
"""ctflowd in the gateway while the standard traffic passes."""
import contextlib
import os
import shutil
import sys
import tempfile
import traceback

import captured
import lab as labs
import traffic
from daemon import Daemon, configuration, until
from natlab import GATEWAY


@contextlib.contextmanager
def scene():
    """A lab and a directory; the directory stays only when the test fails."""
    labs.need_root()
    labs.host_lock()
    tmp = tempfile.mkdtemp(prefix="ctl-test-")
    os.chmod(tmp, 0o755)
    try:
        with labs.Lab() as lab:
            yield lab, tmp
    except Exception:
        print(f"files kept in {tmp}", file=sys.stderr)
        raise
    except BaseException:  # interrupted or skipped
        shutil.rmtree(tmp, ignore_errors=True)
        raise
    shutil.rmtree(tmp, ignore_errors=True)


def main(test):
    """Runs test(lab, directory); prints what went wrong, exits 0 or 1."""
    try:
        with scene() as (lab, tmp):
            problems = (test(lab, tmp) or []) + captured.judge(tmp)
            if problems:
                raise AssertionError("\n".join(problems))
    except Exception as e:  # a test reports, whatever it was
        traceback.print_exc()
        print(f"FAIL: {e}")
        sys.exit(1)
    print("PASS")


def all_gone(lab, ns):
    """Makes the kernel reap what has expired; true when nothing is left."""
    lab.run(ns, "conntrack", "-L")
    return lab.count(ns) == 0


def standard(lab, tmp, stacks, sections, during=None):
    """Daemon up, traffic, all flows ended, daemon down: the manifest.

    natlab.build() comes first.  during(daemon, flows) is called when all flows
    have ended, before the stop.
    """
    daemon = Daemon(lab, GATEWAY, tmp, configuration(tmp, stacks, sections))
    daemon.start()
    made = traffic.Traffic(lab)
    traffic.standard(made)
    flows = made.manifest()
    until("all flows to end", lambda: all_gone(lab, GATEWAY), step=0.3)
    if during:
        during(daemon, flows)
    daemon.stop()
    return flows
