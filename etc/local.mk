# The shipped configuration is the tested example: a copy among the documents,
# and the default file of this prefix unless one is there already.
dist_doc_DATA = README.md docs/compatibility.md docs/scale.md docs/streaming.md etc/ctflowd.conf etc/ctflowd-namespaces.conf
dist_doc_DATA += etc/mysql.sql etc/pgsql.sql etc/clickhouse.sql etc/clickhouse-retention.sh
dist_doc_DATA += etc/prometheus/ctflowd.rules.yml etc/grafana/ctflowd-dashboard.json \
	etc/streaming/nfacctd-kafka.conf etc/streaming/rsyslog-kafka.conf
EXTRA_DIST += .ci/run tests/netns/demo.py

install-data-local:
	$(MKDIR_P) '$(DESTDIR)$(sysconfdir)'
	$(MKDIR_P) -m 0750 '$(DESTDIR)$(localstatedir)/lib/ctflowd' \
		'$(DESTDIR)$(localstatedir)/log/ctflowd'
	sed 's,/var/,$(localstatedir)/,' '$(srcdir)/etc/ctflowd.conf' >etc-ctflowd.conf
	test -e '$(DESTDIR)$(sysconfdir)/ctflowd.conf' || \
		$(INSTALL_DATA) etc-ctflowd.conf '$(DESTDIR)$(sysconfdir)/ctflowd.conf'
	rm -f etc-ctflowd.conf

# An edited configuration and folders with databases and logs stay.
uninstall-local:
	sed 's,/var/,$(localstatedir)/,' '$(srcdir)/etc/ctflowd.conf' >etc-ctflowd.conf
	! cmp -s etc-ctflowd.conf '$(DESTDIR)$(sysconfdir)/ctflowd.conf' || \
		rm -f '$(DESTDIR)$(sysconfdir)/ctflowd.conf'
	rm -f etc-ctflowd.conf
	rmdir '$(DESTDIR)$(localstatedir)/lib/ctflowd' '$(DESTDIR)$(localstatedir)/log/ctflowd' \
		2>/dev/null || :

# What belongs to the system.
EXTRA_DIST += etc/ctflowd.service.in etc/sysctl.conf etc/modules-load.conf etc/sysusers.conf.in \
	etc/tmpfiles.conf.in etc/logrotate.in
CLEANFILES += etc/ctflowd.service etc/sysusers.conf etc/tmpfiles.conf etc/logrotate/ctflowd

FILL_IN = sed -e 's,[@]sbindir[@],$(sbindir),g' -e 's,[@]localstatedir[@],$(localstatedir),g'
etc/ctflowd.service: etc/ctflowd.service.in
	@$(MKDIR_P) etc
	$(AM_V_GEN)$(FILL_IN) '$(srcdir)/etc/ctflowd.service.in' >$@
etc/sysusers.conf: etc/sysusers.conf.in
	@$(MKDIR_P) etc
	$(AM_V_GEN)$(FILL_IN) '$(srcdir)/etc/sysusers.conf.in' >$@
etc/tmpfiles.conf: etc/tmpfiles.conf.in
	@$(MKDIR_P) etc
	$(AM_V_GEN)$(FILL_IN) '$(srcdir)/etc/tmpfiles.conf.in' >$@
etc/logrotate/ctflowd: etc/logrotate.in
	@$(MKDIR_P) etc/logrotate
	$(AM_V_GEN)$(FILL_IN) '$(srcdir)/etc/logrotate.in' >$@

logrotatedir = $(sysconfdir)/logrotate.d
logrotate_DATA = etc/logrotate/ctflowd
sbincompletiondir = $(datadir)/bash-completion/completions
dist_sbincompletion_DATA = etc/completion/ctflowd

if SYSTEMD
systemdsystemunit_DATA = etc/ctflowd.service
install-data-hook: etc/sysusers.conf etc/tmpfiles.conf
	$(MKDIR_P) $(SYSTEM_FOLDERS:%='$(DESTDIR)$(prefix)/lib/%')
	$(INSTALL_DATA) '$(srcdir)/etc/sysctl.conf' '$(DESTDIR)$(prefix)/lib/sysctl.d/50-ctflowd.conf'
	$(INSTALL_DATA) '$(srcdir)/etc/modules-load.conf' \
		'$(DESTDIR)$(prefix)/lib/modules-load.d/ctflowd.conf'
	$(INSTALL_DATA) etc/sysusers.conf '$(DESTDIR)$(prefix)/lib/sysusers.d/ctflowd.conf'
	$(INSTALL_DATA) etc/tmpfiles.conf '$(DESTDIR)$(prefix)/lib/tmpfiles.d/ctflowd.conf'

uninstall-hook:
	rm -f '$(DESTDIR)$(prefix)/lib/sysctl.d/50-ctflowd.conf' \
		$(SYSTEM_FOLDERS:%='$(DESTDIR)$(prefix)/lib/%/ctflowd.conf')
endif
SYSTEM_FOLDERS = sysctl.d modules-load.d sysusers.d tmpfiles.d

if ALL_PLUGINS
TESTS += etc/check.sh
endif
dist_check_SCRIPTS += etc/check.sh
