# Run by hand, "sudo tests/bench/run BUILD-TREE": nothing timed is in make check.
dist_noinst_SCRIPTS += tests/bench/run
EXTRA_DIST += tests/bench/bench.py tests/bench/memory.py tests/bench/setups.py \
	tests/bench/recvloop.c

# "make tests/bench/bench_decode", then run it on a recording.
EXTRA_PROGRAMS += tests/bench/bench_decode
tests_bench_bench_decode_SOURCES = tests/bench/bench_decode.c
tests_bench_bench_decode_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_bench_bench_decode_LDADD = $(UNIT_LDADD)
tests_bench_bench_decode_DEPENDENCIES = $(UNIT_DEPS)
