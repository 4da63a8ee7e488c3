# Tests on a real kernel; they need root and make their own namespaces.

# The NFCT input alone; tests/netns/live.c stands in for the core.
if HAVE_CHECK
if BUILTIN_NFCT
check_PROGRAMS += tests/netns/test_nfct_live
tests_netns_test_nfct_live_SOURCES = tests/netns/test_nfct_live.c tests/netns/live.c \
	tests/netns/live.h tests/netns/live_lab.c tests/netns/live_loss.c
tests_netns_test_nfct_live_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_netns_test_nfct_live_LDADD = libplugins.a libctflow.a $(MNL_LIBS) $(CHECK_LIBS)
tests_netns_test_nfct_live_DEPENDENCIES = libplugins.a libctflow.a
TESTS += tests/netns/test_nfct_live
endif
endif
