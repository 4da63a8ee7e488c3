#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The golden replays on a machine of 32 bits with the other byte order: PowerPC,
# cross-compiled and run by qemu.  Needs gcc-powerpc-linux-gnu,
# libc6-dev-powerpc-cross and qemu-user-static.  NFCT and the modules, whose
# libraries Debian does not have for it, are left out.
set -eu
src=$(cd "${srcdir:-.}" && pwd)
host=powerpc-linux-gnu
root=/usr/$host
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

for tool in $host-gcc qemu-ppc-static; do
	command -v $tool >/dev/null || {
		echo "no $tool: not tested"
		exit 77
	}
done
cd "$build"
"$src/configure" -q --host=$host --enable-werror CFLAGS='-O1 -g' \
	--with-plugin-nfct=no --with-plugin-sqlite3=no --with-plugin-ipfix=no \
	MNL_CFLAGS=' ' MNL_LIBS=' ' NFCT_LIB_CFLAGS=' ' NFCT_LIB_LIBS=' '
make -s -j "$(nproc)" ctflowd
mv ctflowd ctflowd.$host
printf '#!/bin/sh\nexec qemu-ppc-static -L %s %s/ctflowd.%s "$@"\n' \
	$root "$build" $host >ctflowd
chmod +x ctflowd
./ctflowd -V
CI='' srcdir=$src "$src/tests/replay/run.sh"
