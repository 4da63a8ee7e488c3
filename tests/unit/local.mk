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

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_tables
tests_unit_test_tables_SOURCES = tests/unit/test_tables.c
tests_unit_test_tables_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_tables_LDADD = $(UNIT_LDADD)
tests_unit_test_tables_DEPENDENCIES = $(UNIT_DEPS)
TESTS += tests/unit/test_tables
endif


if HAVE_CHECK
check_PROGRAMS += tests/unit/test_text
tests_unit_test_text_SOURCES = tests/unit/test_text.c
tests_unit_test_text_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_text_LDADD = $(UNIT_LDADD)
tests_unit_test_text_DEPENDENCIES = $(UNIT_DEPS)
TESTS += tests/unit/test_text
endif

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_stream
tests_unit_test_stream_SOURCES = tests/unit/test_stream.c tests/unit/stream_inject.h
tests_unit_test_stream_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_stream_LDADD = $(CHECK_LIBS)
TESTS += tests/unit/test_stream
endif

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_stream_reader
tests_unit_test_stream_reader_SOURCES = tests/unit/test_stream_reader.c tests/unit/stream_inject.h
tests_unit_test_stream_reader_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_stream_reader_LDADD = $(CHECK_LIBS)
TESTS += tests/unit/test_stream_reader
endif

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_ip2str
tests_unit_test_ip2str_SOURCES = tests/unit/test_ip2str.c tests/unit/sample.h
tests_unit_test_ip2str_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_ip2str_LDADD = $(WITH_PLUG)
tests_unit_test_ip2str_DEPENDENCIES = $(PLUG_DEPS)
TESTS += tests/unit/test_ip2str
endif

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_printflow
tests_unit_test_printflow_SOURCES = tests/unit/test_printflow.c tests/unit/sample.h
tests_unit_test_printflow_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_printflow_LDADD = $(WITH_PLUG)
tests_unit_test_printflow_DEPENDENCIES = $(PLUG_DEPS)
TESTS += tests/unit/test_printflow
endif

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_mark
tests_unit_test_mark_SOURCES = tests/unit/test_mark.c tests/unit/sample.h
tests_unit_test_mark_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_mark_LDADD = $(WITH_PLUG)
tests_unit_test_mark_DEPENDENCIES = $(PLUG_DEPS)
TESTS += tests/unit/test_mark
endif

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_logemu
tests_unit_test_logemu_SOURCES = tests/unit/test_logemu.c tests/unit/sample.h
tests_unit_test_logemu_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_logemu_LDADD = $(WITH_PLUG)
tests_unit_test_logemu_DEPENDENCIES = $(PLUG_DEPS)
TESTS += tests/unit/test_logemu
endif

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_gprint
tests_unit_test_gprint_SOURCES = tests/unit/test_gprint.c tests/unit/sample.h
tests_unit_test_gprint_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_gprint_LDADD = $(WITH_PLUG)
tests_unit_test_gprint_DEPENDENCIES = $(PLUG_DEPS)
TESTS += tests/unit/test_gprint
endif

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_json
tests_unit_test_json_SOURCES = tests/unit/test_json.c tests/unit/sample.h
tests_unit_test_json_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_json_LDADD = $(WITH_PLUG)
tests_unit_test_json_DEPENDENCIES = $(PLUG_DEPS)
TESTS += tests/unit/test_json
endif

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_text_outputs
tests_unit_test_text_outputs_SOURCES = tests/unit/test_text_outputs.c tests/unit/sample.h
tests_unit_test_text_outputs_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_text_outputs_LDADD = $(WITH_PLUG)
tests_unit_test_text_outputs_DEPENDENCIES = $(PLUG_DEPS)
TESTS += tests/unit/test_text_outputs
check_PROGRAMS += tests/unit/test_json_peer
tests_unit_test_json_peer_SOURCES = tests/unit/test_json_peer.c tests/unit/sample.h
tests_unit_test_json_peer_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_json_peer_LDADD = $(WITH_PLUG)
tests_unit_test_json_peer_DEPENDENCIES = $(PLUG_DEPS)
TESTS += tests/unit/test_json_peer
endif

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_json_label
tests_unit_test_json_label_SOURCES = tests/unit/test_json_label.c
tests_unit_test_json_label_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_json_label_LDADD = $(UNIT_LDADD)
tests_unit_test_json_label_DEPENDENCIES = $(UNIT_DEPS)
TESTS += tests/unit/test_json_label
endif

EXTRA_DIST += tests/replay/ulogd-samples/2.0.8-GPRINT-IP2STR-nohash-NEW.txt \
	tests/replay/ulogd-samples/2.0.8-GPRINT-IP2STR.txt \
	tests/replay/ulogd-samples/2.0.8-GPRINT-timestamp.txt \
	tests/replay/ulogd-samples/2.0.8-JSON-UTC.json \
	tests/replay/ulogd-samples/2.0.8-JSON-eventv1-UTC.json \
	tests/replay/ulogd-samples/2.0.8-JSON-sockets-IST.txt \
	tests/replay/ulogd-samples/2.0.8-LOGEMU-PRINTFLOW-hash.txt \
	tests/replay/ulogd-samples/2.0.8-LOGEMU-PRINTFLOW-nohash.txt \
	tests/replay/ulogd-samples/2.0.8-LOGEMU-SIGUSR2.txt \
	tests/replay/ulogd-samples/HEAD-GPRINT.txt \
	tests/replay/ulogd-samples/HEAD-LOGEMU.txt

if HAVE_CHECK
if BUILTIN_NFCT
check_PROGRAMS += tests/unit/test_nfct_bpf
tests_unit_test_nfct_bpf_SOURCES = tests/unit/test_nfct_bpf.c
tests_unit_test_nfct_bpf_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_nfct_bpf_LDADD = libplugins.a $(CHECK_LIBS)
tests_unit_test_nfct_bpf_DEPENDENCIES = libplugins.a
TESTS += tests/unit/test_nfct_bpf
endif
endif

# The output for IPFIX, also when it is a module.
IPFIX_TESTS =
IPFIX_TEST_LIBS =
if HAVE_CHECK
if SHARED_IPFIX
check_LIBRARIES += libipfix.a
libipfix_a_SOURCES = output/ipfix.c $(ipfix_extra)
libipfix_a_CPPFLAGS = $(AM_CPPFLAGS) -DCTF_BUILTIN
libipfix_a_CFLAGS = $(AM_CFLAGS) $(IPFIX_CFLAGS)
IPFIX_TEST_LIBS += libipfix.a
IPFIX_TESTS += tests/unit/test_ipfix tests/unit/test_ipfix_tcp tests/unit/test_ipfix_udp
endif
if BUILTIN_IPFIX
IPFIX_TESTS += tests/unit/test_ipfix tests/unit/test_ipfix_tcp tests/unit/test_ipfix_udp
endif
endif
check_PROGRAMS += $(IPFIX_TESTS)
TESTS += $(IPFIX_TESTS)
tests_unit_test_ipfix_SOURCES = tests/unit/test_ipfix.c tests/unit/ipfix_read.c \
	tests/unit/ipfix_read.h
tests_unit_test_ipfix_CPPFLAGS = $(UNIT_CPPFLAGS) $(IPFIX_CFLAGS)
tests_unit_test_ipfix_LDADD = $(IPFIX_TEST_LIBS) $(WITH_PLUG) $(IPFIX_LIBS)
tests_unit_test_ipfix_DEPENDENCIES = $(IPFIX_TEST_LIBS) $(PLUG_DEPS)
tests_unit_test_ipfix_tcp_SOURCES = tests/unit/test_ipfix_tcp.c tests/unit/ipfix_peer.c \
	tests/unit/ipfix_peer.h tests/unit/ipfix_walk.c tests/unit/ipfix_walk.h
tests_unit_test_ipfix_tcp_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_ipfix_tcp_LDADD = $(IPFIX_TEST_LIBS) $(WITH_PLUG) $(IPFIX_LIBS)
tests_unit_test_ipfix_tcp_DEPENDENCIES = $(IPFIX_TEST_LIBS) $(PLUG_DEPS)
tests_unit_test_ipfix_udp_SOURCES = tests/unit/test_ipfix_udp.c tests/unit/ipfix_walk.c \
	tests/unit/ipfix_walk.h
tests_unit_test_ipfix_udp_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_ipfix_udp_LDADD = $(IPFIX_TEST_LIBS) $(WITH_PLUG) $(IPFIX_LIBS)
tests_unit_test_ipfix_udp_DEPENDENCIES = $(IPFIX_TEST_LIBS) $(PLUG_DEPS)

# The core, with plugins that do as they are told (fakes.h).
if HAVE_CHECK
check_LIBRARIES += libfakes.a
libfakes_a_SOURCES = tests/unit/fakes.c tests/unit/fakes.h tests/unit/rig.c tests/unit/rig.h
libfakes_a_CPPFLAGS = $(UNIT_CPPFLAGS)
WITH_FAKES = libfakes.a $(UNIT_LDADD)
FAKES_DEPS = libfakes.a $(UNIT_DEPS)

check_PROGRAMS += tests/unit/test_queue
tests_unit_test_queue_SOURCES = tests/unit/test_queue.c
tests_unit_test_queue_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_queue_LDADD = $(UNIT_LDADD)
tests_unit_test_queue_DEPENDENCIES = $(UNIT_DEPS)
TESTS += tests/unit/test_queue

check_PROGRAMS += tests/unit/test_graph
tests_unit_test_graph_SOURCES = tests/unit/test_graph.c
tests_unit_test_graph_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_graph_LDADD = $(WITH_FAKES)
tests_unit_test_graph_DEPENDENCIES = $(FAKES_DEPS)
TESTS += tests/unit/test_graph

check_PROGRAMS += tests/unit/test_run
tests_unit_test_run_SOURCES = tests/unit/test_run.c
tests_unit_test_run_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_run_LDADD = $(WITH_FAKES)
tests_unit_test_run_DEPENDENCIES = $(FAKES_DEPS)
TESTS += tests/unit/test_run

check_PROGRAMS += tests/unit/test_full
tests_unit_test_full_SOURCES = tests/unit/test_full.c
tests_unit_test_full_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_full_LDADD = $(WITH_FAKES)
tests_unit_test_full_DEPENDENCIES = $(FAKES_DEPS)
TESTS += tests/unit/test_full
endif

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_batch
tests_unit_test_batch_SOURCES = tests/unit/test_batch.c
tests_unit_test_batch_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_batch_LDADD = $(UNIT_LDADD)
tests_unit_test_batch_DEPENDENCIES = $(UNIT_DEPS)
TESTS += tests/unit/test_batch

check_PROGRAMS += tests/unit/test_fmt
tests_unit_test_fmt_SOURCES = tests/unit/test_fmt.c
tests_unit_test_fmt_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_fmt_LDADD = $(UNIT_LDADD)
tests_unit_test_fmt_DEPENDENCIES = $(UNIT_DEPS)
TESTS += tests/unit/test_fmt

check_PROGRAMS += tests/unit/test_field
tests_unit_test_field_SOURCES = tests/unit/test_field.c
tests_unit_test_field_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_field_LDADD = $(UNIT_LDADD)
tests_unit_test_field_DEPENDENCIES = $(UNIT_DEPS)
TESTS += tests/unit/test_field

check_PROGRAMS += tests/unit/test_loop
tests_unit_test_loop_SOURCES = tests/unit/test_loop.c
tests_unit_test_loop_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_loop_LDADD = $(UNIT_LDADD)
tests_unit_test_loop_DEPENDENCIES = $(UNIT_DEPS)
TESTS += tests/unit/test_loop

check_PROGRAMS += tests/unit/test_pidfile
tests_unit_test_pidfile_SOURCES = tests/unit/test_pidfile.c
tests_unit_test_pidfile_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_pidfile_LDADD = $(UNIT_LDADD)
tests_unit_test_pidfile_DEPENDENCIES = $(UNIT_DEPS)
TESTS += tests/unit/test_pidfile

check_PROGRAMS += tests/unit/test_plugin
tests_unit_test_plugin_SOURCES = tests/unit/test_plugin.c
tests_unit_test_plugin_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_plugin_LDADD = $(UNIT_LDADD)
tests_unit_test_plugin_DEPENDENCIES = $(UNIT_DEPS)
TESTS += tests/unit/test_plugin

# test_plugin loads a module, made as any other.
check_LTLIBRARIES = tests/unit/modtest.la
tests_unit_modtest_la_SOURCES = tests/unit/modtest.c
tests_unit_modtest_la_LDFLAGS = $(MODULE_LDFLAGS) -rpath /nowhere
tests_unit_test_plugin_LDFLAGS = $(AM_LDFLAGS) -rdynamic
endif

# Not run by make check: what encoding a record costs.
EXTRA_PROGRAMS = tests/bench/bench_ipfix
tests_bench_bench_ipfix_SOURCES = tests/bench/bench_ipfix.c
tests_bench_bench_ipfix_CPPFLAGS = $(AM_CPPFLAGS)
tests_bench_bench_ipfix_LDADD = $(IPFIX_TEST_LIBS) $(WITH_PLUG) $(IPFIX_LIBS)
tests_bench_bench_ipfix_DEPENDENCIES = $(IPFIX_TEST_LIBS) $(PLUG_DEPS)

# The output for SQLite, also when it is a module.
SQLITE3_TESTS =
SQLITE3_TEST_LIBS =
if HAVE_CHECK
if SHARED_SQLITE3
check_LIBRARIES += libsqlite3test.a
libsqlite3test_a_SOURCES = output/sqlite3.c $(sqlite3_extra)
libsqlite3test_a_CPPFLAGS = $(AM_CPPFLAGS) -DCTF_BUILTIN
libsqlite3test_a_CFLAGS = $(AM_CFLAGS) $(SQLITE3_CFLAGS)
SQLITE3_TEST_LIBS += libsqlite3test.a
SQLITE3_TESTS += tests/unit/test_sqlite3 tests/unit/test_sqlite3_foreign \
	tests/unit/test_sqlite3_fault
endif
if BUILTIN_SQLITE3
SQLITE3_TESTS += tests/unit/test_sqlite3 tests/unit/test_sqlite3_foreign \
	tests/unit/test_sqlite3_fault
endif
endif
check_PROGRAMS += $(SQLITE3_TESTS)
TESTS += $(SQLITE3_TESTS)
SQLITE3_HELP = tests/unit/sqlite3_help.c tests/unit/sqlite3_help.h
tests_unit_test_sqlite3_SOURCES = tests/unit/test_sqlite3.c $(SQLITE3_HELP)
tests_unit_test_sqlite3_CPPFLAGS = $(UNIT_CPPFLAGS) $(SQLITE3_CFLAGS)
tests_unit_test_sqlite3_LDADD = $(SQLITE3_TEST_LIBS) $(WITH_PLUG) $(SQLITE3_LIBS)
tests_unit_test_sqlite3_DEPENDENCIES = $(SQLITE3_TEST_LIBS) $(PLUG_DEPS)
tests_unit_test_sqlite3_foreign_SOURCES = tests/unit/test_sqlite3_foreign.c $(SQLITE3_HELP)
tests_unit_test_sqlite3_foreign_CPPFLAGS = $(UNIT_CPPFLAGS) $(SQLITE3_CFLAGS)
tests_unit_test_sqlite3_foreign_LDADD = $(SQLITE3_TEST_LIBS) $(WITH_PLUG) $(SQLITE3_LIBS)
tests_unit_test_sqlite3_foreign_DEPENDENCIES = $(SQLITE3_TEST_LIBS) $(PLUG_DEPS)
tests_unit_test_sqlite3_fault_SOURCES = tests/unit/test_sqlite3_fault.c $(SQLITE3_HELP)
tests_unit_test_sqlite3_fault_CPPFLAGS = $(UNIT_CPPFLAGS) $(SQLITE3_CFLAGS)
tests_unit_test_sqlite3_fault_LDADD = $(SQLITE3_TEST_LIBS) $(WITH_PLUG) $(SQLITE3_LIBS)
tests_unit_test_sqlite3_fault_DEPENDENCIES = $(SQLITE3_TEST_LIBS) $(PLUG_DEPS)

if HAVE_CHECK
CT_TESTS = tests/unit/test_ct_decode tests/unit/test_ct_end tests/unit/test_ct_bad \
	tests/unit/test_ct_diff tests/unit/test_pcap tests/unit/test_replay
check_PROGRAMS += $(CT_TESTS)
TESTS += $(CT_TESTS)
tests_unit_test_ct_decode_SOURCES = tests/unit/test_ct_decode.c tests/unit/ct_msg.h
tests_unit_test_ct_decode_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_ct_decode_LDADD = $(UNIT_LDADD)
tests_unit_test_ct_decode_DEPENDENCIES = $(UNIT_DEPS)
tests_unit_test_ct_end_SOURCES = tests/unit/test_ct_end.c tests/unit/ct_msg.h
tests_unit_test_ct_end_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_ct_end_LDADD = $(UNIT_LDADD)
tests_unit_test_ct_end_DEPENDENCIES = $(UNIT_DEPS)
tests_unit_test_ct_bad_SOURCES = tests/unit/test_ct_bad.c tests/unit/ct_msg.h \
	tests/unit/ct_random.h
tests_unit_test_ct_bad_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_ct_bad_LDADD = $(UNIT_LDADD)
tests_unit_test_ct_bad_DEPENDENCIES = $(UNIT_DEPS)
tests_unit_test_ct_diff_SOURCES = tests/unit/test_ct_diff.c tests/unit/ct_msg.h \
	tests/unit/ct_random.h
tests_unit_test_ct_diff_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_ct_diff_LDADD = $(UNIT_LDADD)
tests_unit_test_ct_diff_DEPENDENCIES = $(UNIT_DEPS)
tests_unit_test_pcap_SOURCES = tests/unit/test_pcap.c tests/unit/ct_msg.h
tests_unit_test_pcap_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_pcap_LDADD = $(UNIT_LDADD)
tests_unit_test_pcap_DEPENDENCIES = $(UNIT_DEPS)
tests_unit_test_replay_SOURCES = tests/unit/test_replay.c tests/unit/ct_msg.h
tests_unit_test_replay_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_replay_LDADD = $(UNIT_LDADD)
tests_unit_test_replay_DEPENDENCIES = $(UNIT_DEPS)
endif

# What every source file of the core promises by itself, and all of it under faults.
if HAVE_CHECK
CORE_TESTS = tests/unit/test_sink \
	tests/unit/test_promise \
	tests/unit/test_oom \
	tests/unit/test_ctx \
	tests/unit/test_priv \
	tests/unit/test_info \
	tests/unit/test_setup \
	tests/unit/test_cli \
	tests/unit/test_background \
	tests/unit/test_encoder \
	tests/unit/test_daemon
check_PROGRAMS += $(CORE_TESTS)
TESTS += $(CORE_TESTS)
tests_unit_test_sink_SOURCES = tests/unit/test_sink.c
tests_unit_test_sink_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_sink_LDADD = $(WITH_FAKES)
tests_unit_test_sink_DEPENDENCIES = $(FAKES_DEPS)
tests_unit_test_promise_SOURCES = tests/unit/test_promise.c
tests_unit_test_promise_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_promise_LDADD = $(WITH_FAKES)
tests_unit_test_promise_DEPENDENCIES = $(FAKES_DEPS)
tests_unit_test_oom_SOURCES = tests/unit/test_oom.c
tests_unit_test_oom_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_oom_LDADD = $(WITH_FAKES)
tests_unit_test_oom_DEPENDENCIES = $(FAKES_DEPS)
tests_unit_test_ctx_SOURCES = tests/unit/test_ctx.c
tests_unit_test_ctx_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_ctx_LDADD = $(WITH_FAKES)
tests_unit_test_ctx_DEPENDENCIES = $(FAKES_DEPS)
tests_unit_test_priv_SOURCES = tests/unit/test_priv.c
tests_unit_test_priv_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_priv_LDADD = $(WITH_FAKES)
tests_unit_test_priv_DEPENDENCIES = $(FAKES_DEPS)
tests_unit_test_info_SOURCES = tests/unit/test_info.c
tests_unit_test_info_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_info_LDADD = $(WITH_FAKES)
tests_unit_test_info_DEPENDENCIES = $(FAKES_DEPS)
tests_unit_test_setup_SOURCES = tests/unit/test_setup.c
tests_unit_test_setup_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_setup_LDADD = $(WITH_FAKES)
tests_unit_test_setup_DEPENDENCIES = $(FAKES_DEPS)
tests_unit_test_cli_SOURCES = tests/unit/test_cli.c
tests_unit_test_cli_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_cli_LDADD = $(WITH_FAKES)
tests_unit_test_cli_DEPENDENCIES = $(FAKES_DEPS)
tests_unit_test_background_SOURCES = tests/unit/test_background.c
tests_unit_test_background_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_background_LDADD = $(WITH_FAKES)
tests_unit_test_background_DEPENDENCIES = $(FAKES_DEPS)
tests_unit_test_encoder_SOURCES = tests/unit/test_encoder.c
tests_unit_test_encoder_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_encoder_LDADD = $(WITH_FAKES)
tests_unit_test_encoder_DEPENDENCIES = $(FAKES_DEPS)
tests_unit_test_daemon_SOURCES = tests/unit/test_daemon.c
tests_unit_test_daemon_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_daemon_LDADD = $(WITH_FAKES)
tests_unit_test_daemon_DEPENDENCIES = $(FAKES_DEPS)
# modtest.so calls back into the core.
tests_unit_test_setup_LDFLAGS = $(AM_LDFLAGS) -rdynamic
tests_unit_test_oom_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=reallocarray,--wrap=strdup
endif
