#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""debian/tests/smoke, which Debian runs on the installed packages, on what was built."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import build_dir  # noqa: E402

ROOT = os.path.join(HERE, "..", "..")


def test(_lab, tmp):
    labs.host_lock()
    done = subprocess.run([f"{ROOT}/debian/tests/smoke"], check=False, text=True, timeout=300,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | {
                              "PATH": f"{build_dir()}:{os.environ['PATH']}:/usr/sbin",
                              "CTFLOWD_CONF": f"{ROOT}/etc/ctflowd.conf",
                              "AUTOPKGTEST_TMP": tmp})
    print(done.stdout)
    if done.returncode == 77:
        labs.skip(done.stdout)
    return [] if done.returncode == 0 else [f"exit code {done.returncode}"]


scene.main(test)
