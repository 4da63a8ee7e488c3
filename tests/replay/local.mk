# Recordings through the whole daemon (run.sh); gen.py makes some of them. bigendian.sh is for make soak.
if STOCK_PLUGINS
TESTS += tests/replay/run.sh
endif
dist_check_SCRIPTS += tests/replay/run.sh tests/replay/bigendian.sh
EXTRA_DIST += tests/replay/gen.py tests/replay/data tests/replay/golden \
	tests/replay/ulogd-samples
