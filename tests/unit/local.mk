# One program per source file, with libcheck.  A new one is its name in
# UNIT_TESTS: it is made from test_<name>.c and LDADD.  Helpers come from
# libunit.a.  Tests run in the build folder with $srcdir set.
AM_CPPFLAGS += -I$(srcdir)/tests/unit $(CHECK_CFLAGS)
WHOLE_LIBS = $(WHOLE) $(PLUGIN_LIBS) $(MNL_LIBS) $(NFCT_LIB_LIBS)
LDADD = libunit.a $(WHOLE_LIBS) $(CHECK_LIBS)
# WHOLE hides from make that it names these.
$(check_PROGRAMS) $(EXTRA_PROGRAMS): libctflow.a libplugins.a

libunit_a_SOURCES = tests/unit/box.c tests/unit/unit.c tests/unit/unit.h tests/unit/plug.c tests/unit/plug.h \
	tests/unit/fakes.c tests/unit/fakes_hand.c tests/unit/fakes.h tests/unit/rig.c tests/unit/rig.h \
	tests/unit/ipfix_keep.c tests/unit/ipfix_keep.h tests/unit/ipfix_peer.c \
	tests/unit/ipfix_peer.h tests/unit/ipfix_walk.c \
	tests/unit/ipfix_walk.h tests/unit/ipfix_fields.h tests/unit/ct_msg.h tests/unit/ct_random.h tests/unit/kept_help.h \
	tests/unit/sample.h \
	tests/unit/stream_inject.h tests/unit/bpf_judge.h tests/unit/nfct_plug.h
libunit_a_SOURCES += tests/unit/ipfix_files.h
libunit_a_SOURCES += tests/unit/manager.c tests/unit/manager.h
libunit_a_SOURCES += tests/unit/spool_help.h tests/unit/spool_rig.h tests/unit/store_help.h tests/unit/reload_help.h
libunit_a_CPPFLAGS = $(AM_CPPFLAGS) -DCTF_BUILTIN
libunit_a_CFLAGS = $(AM_CFLAGS) $(IPFIX_CFLAGS) $(SQLITE3_CFLAGS) $(CLICKHOUSE_CFLAGS)

# The core, by itself and around plugins that do as they are told (fakes.h).
UNIT_TESTS = tests/unit/test_background tests/unit/test_batch tests/unit/test_cli \
	tests/unit/test_conf tests/unit/test_ctx tests/unit/test_encoder tests/unit/test_expr tests/unit/test_field \
	tests/unit/test_fmt tests/unit/test_full tests/unit/test_graph tests/unit/test_interim \
	tests/unit/test_kept tests/unit/test_kept_late tests/unit/test_kept_outage tests/unit/test_log \
	tests/unit/test_loop tests/unit/test_opt tests/unit/test_pidfile tests/unit/test_priv \
	tests/unit/test_promise tests/unit/test_queue tests/unit/test_run tests/unit/test_settle tests/unit/test_sink \
	tests/unit/test_state_look \
	tests/unit/test_state
UNIT_TESTS += tests/unit/test_sqldb
UNIT_TESTS += tests/unit/test_frame_io tests/unit/test_handover tests/unit/test_notify
UNIT_TESTS += tests/unit/test_reload tests/unit/test_reload_read tests/unit/test_metrics tests/unit/test_several tests/unit/test_gather
UNIT_TESTS += tests/unit/test_segment tests/unit/test_spool \
	tests/unit/test_spool_again tests/unit/test_spool_disk tests/unit/test_queue_spool tests/unit/test_spool_damage \
	tests/unit/test_store
SPOOL_WRAP = -Wl,--wrap=fsync,--wrap=fdatasync,--wrap=pwrite,--wrap=pread
tests_unit_test_segment_LDFLAGS = $(AM_LDFLAGS) $(SPOOL_WRAP)
tests_unit_test_spool_LDFLAGS = $(AM_LDFLAGS) $(SPOOL_WRAP)
tests_unit_test_queue_spool_LDFLAGS = $(AM_LDFLAGS) $(SPOOL_WRAP)
tests_unit_test_spool_disk_LDFLAGS = $(AM_LDFLAGS) $(SPOOL_WRAP)
tests_unit_test_spool_again_LDFLAGS = $(AM_LDFLAGS) $(SPOOL_WRAP)
tests_unit_test_spool_damage_LDFLAGS = $(AM_LDFLAGS) $(SPOOL_WRAP)
tests_unit_test_store_LDFLAGS = $(AM_LDFLAGS) $(SPOOL_WRAP)
tests_unit_test_settle_LDFLAGS = $(AM_LDFLAGS) $(SPOOL_WRAP)
# modtest calls back into the core.
tests_unit_test_plugin_LDFLAGS = $(AM_LDFLAGS) -rdynamic
tests_unit_test_setup_LDFLAGS = $(AM_LDFLAGS) -rdynamic
tests_unit_test_oom_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=reallocarray,--wrap=strdup

# The decoder.
UNIT_TESTS += tests/unit/test_ct_bad tests/unit/test_ct_decode tests/unit/test_ct_diff \
	tests/unit/test_ct_end tests/unit/test_ct_ident tests/unit/test_ct_live tests/unit/test_ct_shape tests/unit/test_ct_times tests/unit/test_pcap

# Plugins that are linked in, and the core around them.
if STOCK_PLUGINS
UNIT_TESTS += tests/unit/test_ipfix_case tests/unit/test_keyset tests/unit/test_ticker
UNIT_TESTS += tests/unit/test_daemon tests/unit/test_info tests/unit/test_nfct_bpf \
	tests/unit/test_nfct_burst tests/unit/test_nfct_repeat tests/unit/test_nfct_select \
	tests/unit/test_oom tests/unit/test_plugin tests/unit/test_preset tests/unit/test_replay tests/unit/test_setup \
	tests/unit/test_tables
UNIT_TESTS += tests/unit/test_filter tests/unit/test_format tests/unit/test_gprint tests/unit/test_ip2bin tests/unit/test_ip2str tests/unit/test_json \
	tests/unit/test_json_keys tests/unit/test_json_label tests/unit/test_json_peer tests/unit/test_logemu \
	tests/unit/test_mark tests/unit/test_names tests/unit/test_names_parse \
	tests/unit/test_names_table tests/unit/test_nacct tests/unit/test_oprint tests/unit/test_printflow tests/unit/test_session tests/unit/test_stream \
	tests/unit/test_stream_hand tests/unit/test_stream_kept \
	tests/unit/test_stream_reader tests/unit/test_syslog tests/unit/test_text tests/unit/test_text_outputs
UNIT_TESTS += tests/unit/test_transport tests/unit/test_xml
endif
# These have a core of their own.
tests_unit_test_stream_LDADD = libunit.a libctflow.a $(CHECK_LIBS)
tests_unit_test_stream_hand_LDADD = $(tests_unit_test_stream_LDADD)
tests_unit_test_stream_kept_LDADD = $(tests_unit_test_stream_LDADD)
tests_unit_test_stream_reader_LDADD = $(tests_unit_test_stream_LDADD)

# Outputs that may be modules; what is tested is linked in.
IPFIX_TESTS = tests/unit/test_ipfix tests/unit/test_ipfix_forms tests/unit/test_ipfix_layout \
	tests/unit/test_ipfix_options tests/unit/test_ipfix_shift tests/unit/test_ipfix_statistics tests/unit/test_ipfix_tcp \
	tests/unit/test_ipfix_udp tests/unit/test_tls tests/unit/test_tls_why tests/unit/test_ipfix_tls
tests_unit_test_ipfix_SOURCES = tests/unit/test_ipfix.c tests/unit/ipfix_read.c \
	tests/unit/ipfix_read.h
tests_unit_test_ipfix_CPPFLAGS = $(AM_CPPFLAGS) $(IPFIX_CFLAGS)
tests_unit_test_ipfix_LDADD = $(LDADD) $(IPFIX_LIBS)
tests_unit_test_ipfix_forms_SOURCES = tests/unit/test_ipfix_forms.c tests/unit/ipfix_read.c \
	tests/unit/ipfix_read.h
tests_unit_test_ipfix_forms_CPPFLAGS = $(AM_CPPFLAGS) $(IPFIX_CFLAGS)
tests_unit_test_ipfix_forms_LDADD = $(LDADD) $(IPFIX_LIBS)
tests_unit_test_ipfix_layout_SOURCES = tests/unit/test_ipfix_layout.c tests/unit/ipfix_read.c \
	tests/unit/ipfix_read.h
tests_unit_test_ipfix_layout_CPPFLAGS = $(AM_CPPFLAGS) $(IPFIX_CFLAGS)
tests_unit_test_ipfix_layout_LDADD = $(LDADD) $(IPFIX_LIBS)
tests_unit_test_ipfix_options_SOURCES = tests/unit/test_ipfix_options.c tests/unit/ipfix_read.c \
	tests/unit/ipfix_read.h
tests_unit_test_ipfix_options_CPPFLAGS = $(AM_CPPFLAGS) $(IPFIX_CFLAGS)
tests_unit_test_ipfix_options_LDADD = $(LDADD) $(IPFIX_LIBS)
tests_unit_test_ipfix_shift_SOURCES = tests/unit/test_ipfix_shift.c tests/unit/ipfix_read.c \
	tests/unit/ipfix_read.h
tests_unit_test_ipfix_shift_CPPFLAGS = $(AM_CPPFLAGS) $(IPFIX_CFLAGS)
tests_unit_test_ipfix_shift_LDADD = $(LDADD) $(IPFIX_LIBS)
tests_unit_test_ipfix_statistics_LDADD = $(LDADD) $(IPFIX_LIBS)
TLS_LAB = tests/unit/tls_lab.c tests/unit/tls_lab.h
tests_unit_test_tls_SOURCES = tests/unit/test_tls.c $(TLS_LAB)
tests_unit_test_tls_CPPFLAGS = $(AM_CPPFLAGS) $(IPFIX_CFLAGS)
tests_unit_test_tls_LDADD = $(LDADD) $(IPFIX_LIBS)
tests_unit_test_ipfix_tls_SOURCES = tests/unit/test_ipfix_tls.c $(TLS_LAB)
tests_unit_test_ipfix_tls_CPPFLAGS = $(AM_CPPFLAGS) $(IPFIX_CFLAGS)
tests_unit_test_ipfix_tls_LDADD = $(LDADD) $(IPFIX_LIBS)
tests_unit_test_tls_why_SOURCES = tests/unit/test_tls_why.c $(TLS_LAB)
tests_unit_test_tls_why_CPPFLAGS = $(AM_CPPFLAGS) $(IPFIX_CFLAGS)
tests_unit_test_tls_why_LDADD = $(LDADD) $(IPFIX_LIBS)
tests_unit_test_ipfix_tcp_LDADD = $(LDADD) $(IPFIX_LIBS)
tests_unit_test_ipfix_udp_LDADD = $(LDADD) $(IPFIX_LIBS)
IPFIX_TESTS += tests/unit/test_doubts
tests_unit_test_doubts_LDADD = $(LDADD) $(IPFIX_LIBS)
IPFIX_TESTS += tests/unit/test_ipfix_peers tests/unit/test_ipfix_file tests/unit/test_ipfix_file_kept
tests_unit_test_ipfix_peers_LDADD = $(LDADD) $(IPFIX_LIBS)
tests_unit_test_ipfix_file_LDADD = $(LDADD) $(IPFIX_LIBS)
tests_unit_test_ipfix_file_kept_LDADD = $(tests_unit_test_stream_LDADD)
if BUILTIN_IPFIX
UNIT_TESTS += $(IPFIX_TESTS)
endif
if SHARED_IPFIX
UNIT_TESTS += $(IPFIX_TESTS)
libunit_a_SOURCES += output/ipfix.c $(ipfix_extra)
endif

SQLITE3_TESTS = tests/unit/test_sqlite3 tests/unit/test_sqlite3_aside \
	tests/unit/test_sqlite3_days tests/unit/test_sqlite3_every tests/unit/test_sqlite3_fault \
	tests/unit/test_sqlite3_foreign tests/unit/test_sqlite3_keep tests/unit/test_sqlite3_lost \
	tests/unit/test_sqlite3_names tests/unit/test_sqlite3_notes tests/unit/test_sqlite3_old \
	tests/unit/test_sqlite3_open tests/unit/test_sqlite3_parts tests/unit/test_sqlite3_rollup \
	tests/unit/test_sqlite3_size tests/unit/test_sqlite3_wal
SQLITE3_HELP = tests/unit/sqlite3_help.c tests/unit/sqlite3_help.h tests/unit/gateway.h
tests_unit_test_sqlite3_aside_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE3_CFLAGS)
tests_unit_test_sqlite3_aside_LDADD = $(LDADD) $(SQLITE3_LIBS)
tests_unit_test_sqlite3_old_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE3_CFLAGS)
tests_unit_test_sqlite3_old_LDADD = $(LDADD) $(SQLITE3_LIBS)
tests_unit_test_sqlite3_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE3_CFLAGS)
tests_unit_test_sqlite3_LDADD = $(LDADD) $(SQLITE3_LIBS)
tests_unit_test_sqlite3_every_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE3_CFLAGS)
tests_unit_test_sqlite3_every_LDADD = $(LDADD) $(SQLITE3_LIBS)
tests_unit_test_sqlite3_days_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE3_CFLAGS)
tests_unit_test_sqlite3_days_LDADD = $(LDADD) $(SQLITE3_LIBS)
tests_unit_test_sqlite3_keep_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE3_CFLAGS)
tests_unit_test_sqlite3_keep_LDADD = $(LDADD) $(SQLITE3_LIBS)
tests_unit_test_sqlite3_rollup_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE3_CFLAGS)
tests_unit_test_sqlite3_rollup_LDADD = $(LDADD) $(SQLITE3_LIBS)
tests_unit_test_sqlite3_parts_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE3_CFLAGS)
tests_unit_test_sqlite3_parts_LDADD = $(LDADD) $(SQLITE3_LIBS)
tests_unit_test_sqlite3_size_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE3_CFLAGS)
tests_unit_test_sqlite3_size_LDADD = $(LDADD) $(SQLITE3_LIBS) -lm
tests_unit_test_sqlite3_wal_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE3_CFLAGS)
tests_unit_test_sqlite3_wal_LDADD = $(LDADD) $(SQLITE3_LIBS)
tests_unit_test_sqlite3_fault_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE3_CFLAGS)
tests_unit_test_sqlite3_fault_LDADD = $(LDADD) $(SQLITE3_LIBS)
tests_unit_test_sqlite3_foreign_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE3_CFLAGS)
tests_unit_test_sqlite3_foreign_LDADD = $(LDADD) $(SQLITE3_LIBS)
tests_unit_test_sqlite3_lost_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE3_CFLAGS)
tests_unit_test_sqlite3_lost_LDADD = $(LDADD) $(SQLITE3_LIBS)
tests_unit_test_sqlite3_notes_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE3_CFLAGS)
tests_unit_test_sqlite3_notes_LDADD = $(LDADD) $(SQLITE3_LIBS)
tests_unit_test_sqlite3_names_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE3_CFLAGS)
tests_unit_test_sqlite3_names_LDADD = $(LDADD) $(SQLITE3_LIBS)
tests_unit_test_sqlite3_open_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE3_CFLAGS)
tests_unit_test_sqlite3_open_LDADD = $(LDADD) $(SQLITE3_LIBS)
# Both sides of a database.
if HAVE_SQLITE3
SQLITE3_TESTS += tests/unit/test_query_expr
endif
tests_unit_test_query_expr_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE3_CFLAGS)
tests_unit_test_query_expr_LDADD = libctquery.a $(LDADD) $(SQLITE3_LIBS) -lm
if BUILTIN_SQLITE3
UNIT_TESTS += $(SQLITE3_TESTS)
libunit_a_SOURCES += $(SQLITE3_HELP)
endif
if SHARED_SQLITE3
UNIT_TESTS += $(SQLITE3_TESTS)
libunit_a_SOURCES += $(SQLITE3_HELP) output/sqlite3.c $(sqlite3_extra)
endif

CLICKHOUSE_TESTS = tests/unit/test_clickhouse
tests_unit_test_clickhouse_CPPFLAGS = $(AM_CPPFLAGS) $(CLICKHOUSE_CFLAGS)
tests_unit_test_clickhouse_LDADD = $(LDADD) $(CLICKHOUSE_LIBS)
if BUILTIN_CLICKHOUSE
UNIT_TESTS += $(CLICKHOUSE_TESTS)
endif
if SHARED_CLICKHOUSE
UNIT_TESTS += $(CLICKHOUSE_TESTS)
libunit_a_SOURCES += output/clickhouse.c $(clickhouse_extra)
endif

if HAVE_SQLITE3
QUERY_TESTS = tests/unit/test_query_answer tests/unit/test_query_clickhouse tests/unit/test_query_out tests/unit/test_query_time
QUERY_LDADD = libctquery.a $(LDADD) $(QUERY_LIBS) -lm
tests_unit_test_query_answer_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/query $(QUERY_CFLAGS)
tests_unit_test_query_answer_LDADD = $(QUERY_LDADD)
tests_unit_test_query_clickhouse_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/query $(QUERY_CFLAGS)
tests_unit_test_query_clickhouse_LDADD = $(QUERY_LDADD)
tests_unit_test_query_out_CPPFLAGS = $(AM_CPPFLAGS) $(QUERY_CFLAGS)
tests_unit_test_query_out_LDADD = $(QUERY_LDADD)
tests_unit_test_query_time_CPPFLAGS = $(AM_CPPFLAGS) $(QUERY_CFLAGS)
tests_unit_test_query_time_LDADD = $(QUERY_LDADD)
UNIT_TESTS += $(QUERY_TESTS)
endif

if HAVE_CHECK
check_LIBRARIES += libunit.a
check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(UNIT_TESTS)
# A module, made as any other.
check_LTLIBRARIES = tests/unit/modtest.la
tests_unit_modtest_la_SOURCES = tests/unit/modtest.c
tests_unit_modtest_la_LDFLAGS = $(MODULE_LDFLAGS) -rpath /nowhere
endif
