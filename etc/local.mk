# The shipped configuration is the tested example: a copy among the documents,
# and the default file of this prefix unless one is there already.
dist_doc_DATA = README.md docs/compatibility.md etc/ctflowd.conf etc/ctflowd-namespaces.conf
dist_doc_DATA += etc/mysql.sql etc/pgsql.sql
EXTRA_DIST += .ci/run tests/netns/demo.py

install-data-local:
	$(MKDIR_P) '$(DESTDIR)$(sysconfdir)' '$(DESTDIR)$(localstatedir)/lib/ctflowd'
	sed 's,/var/,$(localstatedir)/,' '$(srcdir)/etc/ctflowd.conf' >etc-ctflowd.conf
	test -e '$(DESTDIR)$(sysconfdir)/ctflowd.conf' || \
		$(INSTALL_DATA) etc-ctflowd.conf '$(DESTDIR)$(sysconfdir)/ctflowd.conf'
	rm -f etc-ctflowd.conf

# An edited configuration and a folder with databases stay.
uninstall-local:
	sed 's,/var/,$(localstatedir)/,' '$(srcdir)/etc/ctflowd.conf' >etc-ctflowd.conf
	! cmp -s etc-ctflowd.conf '$(DESTDIR)$(sysconfdir)/ctflowd.conf' || \
		rm -f '$(DESTDIR)$(sysconfdir)/ctflowd.conf'
	rm -f etc-ctflowd.conf
	rmdir '$(DESTDIR)$(localstatedir)/lib/ctflowd' 2>/dev/null || :

EXTRA_DIST += etc/ctflowd.service.in
CLEANFILES += etc/ctflowd.service
etc/ctflowd.service: etc/ctflowd.service.in
	@$(MKDIR_P) etc
	$(AM_V_GEN)sed 's,[@]sbindir[@],$(sbindir),' '$(srcdir)/etc/ctflowd.service.in' >$@
if SYSTEMD
systemdsystemunit_DATA = etc/ctflowd.service
endif

if ALL_PLUGINS
TESTS += etc/check.sh
endif
dist_check_SCRIPTS += etc/check.sh
