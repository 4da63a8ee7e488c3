#!/bin/sh
# lint.sh on a small tree that is right, then on it with one thing wrong at a
# time: each must be found, and named.
set -eu
lint=$(cd "${srcdir:-.}/tests/lint" && pwd)/lint.sh
style=$(cd "${srcdir:-.}" && pwd)/.clang-format
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"

tree() {
	rm -rf core output
	mkdir -p core/include/ctflow output
	cp -f "$style" .clang-format
	echo 'int ctf_now(void);' >core/include/ctflow/plugin.h
	echo 'extern int lines;' >core/log.h
	printf 'int lines = 1;\nstatic const char *const words[] = { "a" };\n' >core/log.c
	printf 'const char *word(int);\nconst char *\nword(int i)\n{\n\treturn words[i];\n}\n' \
		>>core/log.c
	printf 'int ctf_now(void);\nint\nctf_now(void)\n{\n\treturn 1;\n}\n' >core/now.c
	echo 'int text(void);' >output/text.h
	printf '#include <string.h>\n#include <ctflow/plugin.h>\n\n#include "text.h"\n\n' \
		>output/x.c
	printf 'int\ntext(void)\n{\n\treturn ctf_now();\n}\n' >>output/x.c
}

run_lint() {
	for c in core/*.c output/*.c; do
		${CC:-cc} -Icore -Icore/include -fPIE -c "$c" -o "${c%.c}.o"
	done
	sh "$lint" . . >log 2>&1
}

# finds TEXT: the lint fails and says so
finds() {
	if run_lint; then
		echo "not found: $1"
		exit 1
	fi
	grep -qF -- "$1" log || { echo "not said: $1"; cat log; exit 1; }
	echo "ok: $1"
	tree
}

tree
run_lint || { echo "a tree that is right:"; cat log; exit 1; }

echo 'static int seen;' >>output/x.c
printf '\nint *see(void);\nint *\nsee(void)\n{\n\treturn &seen;\n}\n' >>output/x.c
finds "output/x.o: 'seen' is a writable global"

echo 'int shared[2] = { 1, 2 };' >>core/now.c
finds "core/now.o: 'shared' is a writable global"

printf '\n_Thread_local int mine;\n' >>core/now.c
finds "core/now.o: 'mine' is a writable global"

sed -i 's/^int lines/const int lines/; s/extern int/extern const int/' core/log.[ch]
finds "core/log.o has no writable global"

printf 'int secret(void);\nint\nsecret(void)\n{\n\treturn 2;\n}\n' >>core/now.c
sed -i 's/ctf_now();/ctf_now() + secret();/; s/^int$/int secret(void);\nint/' output/x.c
finds "output/x.o: 'secret' is not in plugin.h"

sed -i 's/ctf_now();/ctf_now() + ctf_other();/; s/^int$/int ctf_other(void);\nint/' output/x.c
finds "output/x.o: 'ctf_other' is not in plugin.h"

sed -i 's/"text.h"/"text.h"\n#include "log.h"/' output/x.c
finds "output/x.c: \"log.h\" is not a header of this folder"

sed -i 's/"text.h"/"text.h"\n#include "..\/core\/log.h"/' output/x.c
finds "output/x.c: \"../core/log.h\" is not a header of this folder"

sed -i 's/<string.h>/<log.h>/' output/x.c
finds "output/x.c: <log.h> is a header of the core"

for n in $(seq 501); do echo "int v$n(void);"; done >core/long.h
finds "core/long.h: 501 lines, 500 are allowed"

mkdir -p tests
for n in $(seq 501); do echo "# $n"; done >tests/long.py
finds "tests/long.py: 501 lines, 500 are allowed"
rm -r tests

if ctags --version 2>/dev/null | grep -q Universal; then
	{
		printf '\nint big(int);\nint\nbig(int i)\n{\n'
		for n in $(seq 57); do printf '\ti += i;\n'; done
		printf '\treturn i;\n}\n'
	} >>core/now.c
	finds "big() has 61 lines, 60 are allowed"
elif [ "${CI:-}" = true ]; then
	exit 1
fi

if clang-format --version >/dev/null 2>&1; then
	printf 'int  crooked( void );\n' >>core/now.c
	finds "core/now.c:7:"
elif [ "${CI:-}" = true ]; then
	exit 1
fi

# Without its tools the lint fails under CI=true, and says what it leaves out elsewhere.
mkdir bin
for t in sh awk sed sort comm find grep head wc cat mktemp rm touch xargs seq "${CC:-cc}"; do
	p=$(command -v "${t%% *}") && ln -sf "$p" "bin/$(basename "$p")"
done
run_lint
if PATH=$tmp/bin CI=true sh "$lint" . . >log 2>&1; then
	echo "tools are missing, and the lint passes"
	exit 1
fi
grep -q '^objdump is missing' log && grep -q '^clang-format is missing' log
PATH=$tmp/bin CI= sh "$lint" . . >log 2>&1
grep -q '^no universal-ctags: not checked' log
echo "ok: missing tools"
