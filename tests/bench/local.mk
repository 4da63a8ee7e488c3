# Run by hand, "sudo tests/bench/run BUILD-TREE": nothing timed is in make check.
dist_noinst_SCRIPTS += tests/bench/run tests/bench/ingest.py tests/bench/clickhouse.py
EXTRA_DIST += tests/bench/bench.py tests/bench/memory.py tests/bench/setups.py \
	tests/bench/recvloop.c
# Questions to a big history: tests/bench/ask.py, see its --help.
dist_noinst_SCRIPTS += tests/bench/ask.py tests/bench/sizes.py

# What decoding and encoding a record costs: "make tests/bench/bench_decode",
# then run it on a recording; bench_ipfix needs none.
EXTRA_PROGRAMS = tests/bench/bench_decode tests/bench/bench_ipfix
tests_bench_bench_decode_LDADD = $(WHOLE_LIBS)
tests_bench_bench_ipfix_LDADD = $(LDADD) $(IPFIX_LIBS)
# What retention and sums cost: "make tests/bench/bench_keep".  How much the whole
# daemon stores: "make tests/bench/gateway_pcap tests/bench/insertloop", then ingest.py.
SQLITE3_BENCHES = tests/bench/bench_keep tests/bench/gateway_pcap tests/bench/insertloop
if HAVE_CHECK
if BUILTIN_SQLITE3
EXTRA_PROGRAMS += $(SQLITE3_BENCHES)
endif
if SHARED_SQLITE3
EXTRA_PROGRAMS += $(SQLITE3_BENCHES)
endif
endif
tests_bench_bench_keep_LDADD = $(LDADD) $(SQLITE3_LIBS) -lm
tests_bench_gateway_pcap_SOURCES = tests/bench/gateway_pcap.c
tests_bench_gateway_pcap_LDADD = $(WHOLE_LIBS) -lm
tests_bench_insertloop_SOURCES = tests/bench/insertloop.c
tests_bench_insertloop_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE3_CFLAGS)
tests_bench_insertloop_LDADD = $(SQLITE3_LIBS)
# The flows of tests/query/history as IPFIX, for others to be asked the same.
if HAVE_CHECK
EXTRA_PROGRAMS += tests/bench/history_ipfix
endif
tests_bench_history_ipfix_SOURCES = $(tests_query_history_SOURCES)
tests_bench_history_ipfix_CPPFLAGS = $(AM_CPPFLAGS) -DHISTORY_PLUGIN=ctf_plugin_ipfix \
	-DHISTORY_FILE='"file"' -DHISTORY_DEFAULT='"oid=1\nproto=file\n"' -DHISTORY_OPTION='"--proto"'
tests_bench_history_ipfix_LDADD = $(LDADD) $(IPFIX_LIBS)
