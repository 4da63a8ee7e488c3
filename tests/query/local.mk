# A history in a database, made by the SQLITE3 plugin out of lines of text.
if HAVE_CHECK
if BUILTIN_SQLITE3
check_PROGRAMS += tests/query/history
endif
if SHARED_SQLITE3
check_PROGRAMS += tests/query/history
endif
endif
tests_query_history_SOURCES = tests/query/history.c tests/query/history.h \
	tests/query/history_line.c tests/query/history_fill.c
tests_query_history_LDADD = $(LDADD) $(SQLITE3_LIBS)
EXTRA_DIST += tests/query/history.py tests/query/chromium.py

# What of doctor not every machine can show.
if HAVE_CHECK
if HAVE_SQLITE3
check_PROGRAMS += tests/query/test_doctor_parts
TESTS += tests/query/test_doctor_parts
endif
endif
tests_query_test_doctor_parts_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/query $(QUERY_CFLAGS)
tests_query_test_doctor_parts_LDADD = libunit.a libctquery.a libctflow.a $(QUERY_LIBS) \
	$(MNL_LIBS) $(CHECK_LIBS) -lm
# Questions to ctflow.
CTFLOW_TESTS = tests/query/test_completion.py tests/query/test_live.py tests/query/test_show.py
CTFLOW_TESTS += tests/query/test_names.py tests/query/test_report.py tests/query/test_sums.py
CTFLOW_TESTS += tests/query/test_index.py tests/query/test_old.py tests/query/test_man.py
EXTRA_DIST += tests/query/version2.sql tests/query/version2.lines
if HAVE_CHECK
if HAVE_SQLITE3
if ALL_PLUGINS
TESTS += $(CTFLOW_TESTS)
endif
endif
endif
dist_check_SCRIPTS += $(CTFLOW_TESTS)
if HAVE_CHECK
if ALL_PLUGINS
TESTS += tests/query/test_who.py tests/query/test_who_random.py
endif
endif
dist_check_SCRIPTS += tests/query/test_who.py tests/query/test_who_random.py
# The same history on a server of ClickHouse.
if HAVE_CHECK
if SHARED_CLICKHOUSE
check_PROGRAMS += tests/query/history_clickhouse
endif
endif
tests_query_history_clickhouse_SOURCES = $(tests_query_history_SOURCES) output/clickhouse.c \
	$(clickhouse_extra)
tests_query_history_clickhouse_CPPFLAGS = $(AM_CPPFLAGS) $(CLICKHOUSE_CFLAGS) -DCTF_BUILTIN \
	-DHISTORY_PLUGIN=ctf_plugin_clickhouse -DHISTORY_FILE='"host"' \
	-DHISTORY_DEFAULT='"create=yes\n"' -DHISTORY_OPTION='"--create"'
tests_query_history_clickhouse_LDADD = $(LDADD) $(CLICKHOUSE_LIBS)
