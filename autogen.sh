#!/bin/sh
# Makes ./configure.  Run once in a fresh clone, and again after a plugin was
# added to a local.mk.
set -e
cd "$(dirname "$0")"
sh build-aux/plugins.sh
exec autoreconf -fi
