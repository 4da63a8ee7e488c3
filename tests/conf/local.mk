# Configuration files and what is read from them (run.sh).
check_PROGRAMS += tests/conf/dump
tests_conf_dump_SOURCES = tests/conf/dump.c
tests_conf_dump_CPPFLAGS = $(AM_CPPFLAGS)
tests_conf_dump_LDADD = libctflow.a
TESTS += tests/conf/run.sh tests/conf/test_split.py
dist_check_SCRIPTS += tests/conf/run.sh tests/conf/test_split.py
EXTRA_DIST += tests/conf/cases
if ALL_PLUGINS
TESTS += tests/conf/test_options.py
endif
dist_check_SCRIPTS += tests/conf/test_options.py
