dist_man_MANS += man/ctflowd.8 man/ctflowd.conf.5
dist_man_MANS += man/ctflow.1
EXTRA_DIST += man/ctflowd.conf.5.in
dist_noinst_SCRIPTS += man/gen.sh
if ALL_PLUGINS
TESTS += man/check.sh
endif
dist_check_SCRIPTS += man/check.sh

# The committed page is made from the option tables; check.sh keeps it fresh.
.PHONY: man-page
man-page: ctflowd$(EXEEXT)
	sh $(srcdir)/man/gen.sh ./ctflowd $(srcdir)/man/ctflowd.conf.5.in >ctflowd.conf.5.new
	mv ctflowd.conf.5.new $(srcdir)/man/ctflowd.conf.5
