# Run by hand, "sudo tests/bench/run BUILD-TREE": nothing timed is in make check.
dist_noinst_SCRIPTS += tests/bench/run
EXTRA_DIST += tests/bench/bench.py tests/bench/memory.py tests/bench/setups.py \
	tests/bench/recvloop.c
