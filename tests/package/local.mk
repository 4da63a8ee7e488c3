# What gets installed, and what can be built with it; needs no root.
if ALL_PLUGINS
TESTS += tests/package/test_install.py
endif
dist_check_SCRIPTS += tests/package/test_install.py

# The Debian packages in a fresh root: needs root and a mirror, and takes minutes.
EXTRA_DIST += tests/package/check-deb tests/package/machine.py
EXTRA_DIST += debian/changelog debian/control debian/copyright debian/ctflowd.install \
	debian/ctflowd-dev.install debian/ctflowd-extra.install debian/ctflowd-ipfix.install \
	debian/ctflowd-clickhouse.install \
	debian/ctflowd-mysql.install debian/ctflowd-pgsql.install debian/ctflowd-sqlite3.install \
	debian/not-installed debian/rules debian/source/format \
	debian/tests/control debian/tests/smoke
.PHONY: check-deb
check-deb: dist
	$(srcdir)/tests/package/check-deb $(distdir).tar.gz
