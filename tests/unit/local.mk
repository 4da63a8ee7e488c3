# One program per source file, with libcheck.  A new one is a stanza like the
# first one below.  Tests run in the build folder with $srcdir set.
UNIT_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/unit -DCTF_BUILTIN $(CHECK_CFLAGS)
UNIT_LDADD = $(WHOLE) $(PLUGIN_LIBS) $(MNL_LIBS) $(NFCT_LIB_LIBS) $(CHECK_LIBS)
UNIT_DEPS = libctflow.a libplugins.a
# One plugin wired by the real core (plug.h); before UNIT_LDADD.
WITH_PLUG = libplug.a $(UNIT_LDADD)
PLUG_DEPS = libplug.a $(UNIT_DEPS)

if HAVE_CHECK
check_LIBRARIES += libplug.a
libplug_a_SOURCES = tests/unit/plug.c tests/unit/plug.h
libplug_a_CPPFLAGS = $(UNIT_CPPFLAGS)
endif

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_conf
tests_unit_test_conf_SOURCES = tests/unit/test_conf.c
tests_unit_test_conf_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_conf_LDADD = $(UNIT_LDADD)
tests_unit_test_conf_DEPENDENCIES = $(UNIT_DEPS)
TESTS += tests/unit/test_conf
endif

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_opt
tests_unit_test_opt_SOURCES = tests/unit/test_opt.c
tests_unit_test_opt_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_opt_LDADD = $(UNIT_LDADD)
tests_unit_test_opt_DEPENDENCIES = $(UNIT_DEPS)
TESTS += tests/unit/test_opt
endif

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_log
tests_unit_test_log_SOURCES = tests/unit/test_log.c
tests_unit_test_log_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_log_LDADD = $(UNIT_LDADD)
tests_unit_test_log_DEPENDENCIES = $(UNIT_DEPS)
TESTS += tests/unit/test_log
endif

