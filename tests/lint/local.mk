TESTS += tests/lint/lint.sh tests/lint/selftest.sh
dist_check_SCRIPTS += tests/lint/lint.sh tests/lint/selftest.sh
