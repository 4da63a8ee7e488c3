# The conformance checker, on good and on broken bytes.
TESTS += tests/interop/test_ipfix_check.py
dist_check_SCRIPTS += tests/interop/test_ipfix_check.py tests/interop/ipfix_check.py

IPFIX_MODULES = tests/interop/ipfix_elements.py tests/interop/ipfix_make.py \
	tests/interop/ipfix_records.py tests/interop/ipfix_reports.py \
	tests/interop/ipfix_rules.py tests/interop/ipfix_templates.py
EXTRA_DIST += $(IPFIX_MODULES)

# What the unit tests send.
if HAVE_CHECK
if ALL_PLUGINS
TESTS += tests/interop/test_ipfix_units.py
endif
endif
dist_check_SCRIPTS += tests/interop/test_ipfix_units.py

# Real collectors on real traffic: needs root, nfdump, tshark, libfixbuf-tools.
INTEROP_TESTS = tests/interop/test_adding_up.py tests/interop/test_collectors.py \
	tests/interop/test_forms.py tests/interop/test_layouts.py tests/interop/test_pmacct.py \
	tests/interop/test_sessions.py tests/interop/test_templates.py \
	tests/interop/test_tls.py
INTEROP_TESTS += tests/interop/test_paths.py tests/interop/test_files.py
INTEROP_TESTS += tests/interop/test_outage.py tests/interop/test_prometheus.py
INTEROP_TESTS += tests/interop/test_streaming.py
INTEROP_TESTS += tests/interop/test_killed.py tests/interop/test_slow.py
if ALL_PLUGINS
TESTS += $(INTEROP_TESTS)
endif
dist_check_SCRIPTS += $(INTEROP_TESTS) tests/interop/slow_collector.py \
	tests/interop/slow_tls_collector.py
EXTRA_DIST += tests/interop/dying.py tests/interop/kafka.py tests/interop/monitoring.py
EXTRA_DIST += tests/interop/collectors.py tests/interop/pmacct.py \
	tests/interop/tls_collector.py

# Beside the real ulogd2: ulogd2, ulogd2-json and ulogd2-sqlite3.
ULOGD2_TESTS = tests/interop/test_ulogd2.py tests/interop/test_confs.py \
	tests/interop/test_split.py
if ALL_PLUGINS
TESTS += $(ULOGD2_TESTS)
endif
dist_check_SCRIPTS += $(ULOGD2_TESTS)
EXTRA_DIST += tests/interop/ulogd2.py tests/interop/confs
# Real database servers, and ulogd2 beside ctflowd.
if SHARED_PGSQL
if ALL_PLUGINS
TESTS += tests/interop/test_pgsql.py
endif
endif
# ctflow on a server, beside files of SQLite.
if SHARED_CLICKHOUSE
if HAVE_SQLITE3
if ALL_PLUGINS
TESTS += tests/interop/test_clickhouse_query.py tests/interop/test_clickhouse_apart.py
endif
endif
endif
dist_check_SCRIPTS += tests/interop/test_clickhouse_query.py tests/interop/test_clickhouse_apart.py
EXTRA_DIST += tests/interop/clickhouse_asked.py
if SHARED_MYSQL
if ALL_PLUGINS
TESTS += tests/interop/test_mysql.py
endif
endif
if SHARED_CLICKHOUSE
if ALL_PLUGINS
TESTS += tests/interop/test_clickhouse.py tests/interop/test_fleet_clickhouse.py
endif
endif
dist_check_SCRIPTS += tests/interop/test_clickhouse.py tests/interop/test_fleet_clickhouse.py
# For make soak: needs zookeeper, too.
dist_check_SCRIPTS += tests/interop/test_clickhouse_cluster.py
EXTRA_DIST += tests/interop/clickhouse.py tests/interop/clickhouse_fakes.py
dist_check_SCRIPTS += tests/interop/test_mysql.py tests/interop/test_pgsql.py
EXTRA_DIST += tests/interop/databases.py tests/interop/mariadb.py
EXTRA_DIST += tests/interop/ulogd2.py tests/interop/ulogd2_texts.py tests/interop/confs
