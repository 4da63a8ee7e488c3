# Tests on a real kernel; they need root and make their own namespaces.

# The NFCT input alone; tests/netns/live.c stands in for the core.
if HAVE_CHECK
if STOCK_PLUGINS
check_PROGRAMS += tests/netns/test_nfct_live
tests_netns_test_nfct_live_SOURCES = tests/netns/test_nfct_live.c tests/netns/live.c \
	tests/netns/live.h tests/netns/live_lab.c tests/netns/live_loss.c \
	tests/netns/live_cover.c tests/netns/live_ns.c tests/netns/live_repeat.c \
	tests/netns/live_sweep.c tests/netns/live_times.c tests/netns/live_valve.c tests/netns/live_wire.c
tests_netns_test_nfct_live_SOURCES += tests/netns/live_dump.c
tests_netns_test_nfct_live_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=send,--wrap=sendto,--wrap=sendmsg,--wrap=clock_gettime
tests_netns_test_nfct_live_LDADD = libunit.a libplugins.a libctflow.a $(MNL_LIBS) $(CHECK_LIBS)
check_PROGRAMS += tests/netns/test_nfct_guard
tests_netns_test_nfct_guard_SOURCES = tests/netns/test_nfct_guard.c tests/netns/live.c \
	tests/netns/live.h tests/netns/live_lab.c tests/netns/live_guard_dead.c tests/netns/live_guard_proc.c \
	tests/netns/live_guard.h
tests_netns_test_nfct_guard_LDADD = $(tests_netns_test_nfct_live_LDADD)
TESTS += tests/netns/test_nfct_live tests/netns/test_nfct_guard
endif
endif

# The whole daemon in namespaces: needs root, and python3.
NETNS_TESTS = tests/netns/test_cli.py tests/netns/test_bad_input.py tests/netns/test_flows.py \
	tests/netns/test_burst.py tests/netns/test_crash.py tests/netns/test_clock.py tests/netns/test_namespaces.py \
	tests/netns/test_settings.py \
	tests/netns/test_open_flows.py tests/netns/test_privs.py tests/netns/test_reliable.py \
	tests/netns/test_select.py tests/netns/test_stalled.py
NETNS_TESTS += tests/netns/test_repeat.py tests/netns/test_spool.py
NETNS_TESTS += tests/netns/test_faults.py
NETNS_TESTS += tests/netns/test_frozen.py
NETNS_TESTS += tests/netns/test_metrics.py
NETNS_TESTS += tests/netns/test_status.py tests/netns/test_doctor.py
NETNS_TESTS += tests/netns/test_names.py tests/netns/test_texts.py
NETNS_TESTS += tests/netns/test_who.py
# Looks at the table, and times.
NETNS_TESTS += tests/netns/test_sweep.py tests/netns/test_times.py
NETNS_MODULES = tests/netns/calls.py tests/netns/capture.py tests/netns/captured.py \
	tests/netns/compare.py tests/netns/daemon.py tests/netns/formats.py \
	tests/netns/ipfix_wire.py tests/netns/lab.py tests/netns/natlab.py \
	tests/netns/recording.py tests/netns/scene.py tests/netns/sinks.py tests/netns/traffic.py
NETNS_MODULES += tests/netns/prometheus.py tests/netns/sleeper.py tests/netns/tables.py
NETNS_TESTS += tests/netns/test_smoke.py tests/netns/test_restart.py tests/netns/test_reload.py tests/netns/test_reload_waits.py
NETNS_MODULES += tests/netns/fdstore.py tests/netns/numbered.py tests/netns/reloaded.py tests/netns/trier.c
NETNS_TESTS += tests/netns/test_safety.py tests/netns/test_safety_dead.py
NETNS_MODULES += tests/netns/safety.py tests/netns/slowstart.c
check_PROGRAMS += tests/netns/flood tests/netns/pace
tests_netns_flood_LDADD =
tests_netns_pace_LDADD =
# A sanitizer takes more memory than this one allows.
MEMORY_TESTS = tests/netns/test_memory.py
if ALL_PLUGINS
TESTS += $(NETNS_TESTS)
if !SANITIZED
TESTS += $(MEMORY_TESTS)
endif
endif
dist_check_SCRIPTS += $(NETNS_TESTS) $(MEMORY_TESTS)
EXTRA_DIST += $(NETNS_MODULES)

# The long forms; never part of make check.
.PHONY: soak
soak: all $(check_PROGRAMS)
	$(srcdir)/tests/replay/bigendian.sh
	CTF_BURST=1000000 $(srcdir)/tests/netns/test_burst.py
	CTF_HISTORIES=1000 $(srcdir)/tests/query/test_who_random.py
	CTF_RELIABLE=20000 $(srcdir)/tests/netns/test_reliable.py
	CTF_RELOADS=2000 CTF_SECONDS=600 $(srcdir)/tests/netns/test_reload.py
	CTF_KILLS=20 $(srcdir)/tests/interop/test_killed.py
	CTF_SEEDS="`seq -s ' ' 100 199`" $(srcdir)/tests/netns/test_faults.py
	$(srcdir)/tests/interop/test_clickhouse_cluster.py || test $$? = 77
	for i in 1 2 3 4 5 6 7 8 9 10; do $(srcdir)/tests/netns/test_flows.py && \
		$(srcdir)/tests/netns/test_stalled.py && \
		$(srcdir)/tests/netns/test_safety.py && \
		$(srcdir)/tests/netns/test_safety_dead.py && \
		$(srcdir)/tests/interop/test_collectors.py || exit 1; done
