# The command ctflow.  A verb is one source here, and its name in verbs.h.
if HAVE_SQLITE3
noinst_LIBRARIES += libctquery.a
libctquery_a_SOURCES = query/given.h query/layout.h query/open.h query/out.h query/query.h \
	query/scan.h query/show.h query/sql.h query/verbs.h \
	query/q_base.c query/q_conf.c query/q_conf.h query/q_find.c query/q_flow.c query/q_func.c query/q_index.c \
	query/q_layout.c query/q_open.c query/q_out.c query/q_out_table.c query/q_scan.c query/q_show.c \
	query/q_sql.c query/q_stream.c query/q_time.c query/q_words.c
libctquery_a_SOURCES += query/status.c query/status.h query/status_conf.c query/status_conf.h \
	query/status_db.c query/status_json.c query/status_judge.c query/status_metrics.c \
	query/status_out.c query/status_out.h query/status_page.c query/status_print.c \
	query/status_spool.c
libctquery_a_SOURCES += query/doctor.c query/doctor.h query/doctor_conf.c query/doctor_daemon.c \
	query/doctor_db.c query/doctor_hooks.c query/doctor_host.c query/doctor_kernel.c query/doctor_listen.c \
	query/doctor_mend.c query/doctor_nft.c query/doctor_nft.h query/doctor_spool.c \
	input/nfct_diag.c input/nfct_host_ask.c input/nfct_whose.c
libctquery_a_SOURCES += query/gaps.c query/long.c query/show.c query/tail.c
libctquery_a_SOURCES += query/q_name.c
libctquery_a_SOURCES += query/who.c query/who.h query/who_cover.c query/who_evidence.c \
	query/who_find.c query/who_live.c query/who_match.c query/who_rows.c query/who_rows.h query/who_say.c \
	query/who_watch.c query/who_watch.h query/who_why.c query/sha256.c query/sha256.h
libctquery_a_SOURCES += query/rollup.c query/sums.c query/sums_gone.c query/sums.h query/sums_out.c query/tally.c \
	query/tally.h query/tally_top.c query/top.c
libctquery_a_SOURCES += query/report.c query/report.h query/report_chart.c query/report_cover.c query/report_db.c \
	query/report_flows.c query/report_page.c query/report_part.c query/report_style.c \
	query/report_sums.c query/report_text.c
libctquery_a_SOURCES += query/engine.h query/q_sqlite.c query/ch.h query/ch_answer.c query/ch_engine.c \
	query/ch_engine.h query/ch_find.c query/ch_json.c query/ch_json.h query/ch_kept.c query/ch_notes.c query/ch_scan.c \
	query/ch_settings.c query/ch_sql.c query/ch_sql.h query/ch_sums.c query/ch_text.c query/ch_url.c query/http.h
libctquery_a_CPPFLAGS = $(AM_CPPFLAGS) $(QUERY_CFLAGS)

bin_PROGRAMS += ctflow
ctflow_SOURCES = query/main.c
ctflow_CPPFLAGS = $(libctquery_a_CPPFLAGS)
ctflow_LDADD = libctquery.a libctflow.a $(QUERY_LIBS) $(NFCT_LIB_LIBS) $(MNL_LIBS) -lm
ctflow_LDFLAGS = $(AM_LDFLAGS) -pie -Wl,--as-needed
if HAVE_CURL
# What ctflow needs to ask a server, loaded when it does.
pkglib_LTLIBRARIES += ctflow-clickhouse.la
ctflow_clickhouse_la_SOURCES = query/ch_curl.c query/http.h
ctflow_clickhouse_la_CFLAGS = $(AM_CFLAGS) $(CURL_CFLAGS)
ctflow_clickhouse_la_LDFLAGS = $(MODULE_LDFLAGS)
ctflow_clickhouse_la_LIBADD = $(CURL_LIBS)
endif
bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = query/completion/ctflow
endif
