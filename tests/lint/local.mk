TESTS += tests/lint/lint.sh tests/lint/selftest.sh
dist_check_SCRIPTS += tests/lint/lint.sh tests/lint/selftest.sh

# The base daemon, without the libraries of plugins linked in.
if SHARED_SQLITE3
if SHARED_IPFIX
TESTS += tests/lint/binary.sh
endif
endif
dist_check_SCRIPTS += tests/lint/binary.sh
