#!/bin/sh
# From the plugin words in input/, filter/ and output/local.mk this makes what
# autotools cannot loop over: one configure switch and one make rule each.
#
#   <folder>_PLUGINS = a b          one word a plugin: source <folder>/a.c
#   a_extra = folder/x.c   further sources of its own
#   a_common = folder/y.c  sources it shares with others (listed in COMMON)
#   a_needs = sqlite3      pkg-config module; such plugins are modules by default
#   a_optional = yes       without it, nothing is missing: not built then
#   a_libs = $(MNL_LIBS)   what the daemon links anyway, for a module of it
set -e
cd "$(dirname "$0")/.."

var() { sed -n "s/^$2 *= *//p" "$1/local.mk"; }

m4=m4/plugins.m4 mk=plugins.mk tab=core/builtin_table.h known=core/known_table.h
for f in "$m4" "$mk" "$tab" "$known"; do : >"$f.new"; done
echo '/* made by build-aux/plugins.sh */' | tee -a "$known.new" >>"$tab.new"
echo 'AC_DEFUN([CTF_PLUGINS], [' >>"$m4.new"
for dir in input filter output; do
	for p in $(var $dir "${dir}_PLUGINS"); do
		up=$(echo "$p" | tr a-z A-Z)
		needs=$(var $dir "${p}_needs")
		src="$dir/$p.c $(var $dir "${p}_extra")"
		optional=$(var $dir "${p}_optional")
		echo "CTF_PLUGIN([$p], [$up], [$needs], [$optional])" >>"$m4.new"
		printf '#ifdef BUILTIN_%s\nX(%s)\n#endif\n' "$up" "$p" >>"$tab.new"
		echo "KNOWN($p)" >>"$known.new"
		cat >>"$mk.new" <<END
if BUILTIN_$up
libplugins_a_SOURCES += $src
PLUGIN_LIBS += \$(${up}_LIBS)
PLUGIN_CFLAGS += \$(${up}_CFLAGS)
endif
if SHARED_$up
pkglib_LTLIBRARIES += $p.la
${p}_la_SOURCES = $src $(var $dir "${p}_common")
${p}_la_CFLAGS = \$(AM_CFLAGS) \$(${up}_CFLAGS)
${p}_la_LDFLAGS = \$(MODULE_LDFLAGS)
${p}_la_LIBADD = \$(${up}_LIBS) $(var $dir "${p}_libs")
endif
END
	done
done
echo '])' >>"$m4.new"
for f in "$m4" "$mk" "$tab" "$known"; do
	if cmp -s "$f.new" "$f"; then rm "$f.new"; else mv "$f.new" "$f"; fi
done
