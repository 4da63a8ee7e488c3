# Fuzz targets.  Each is one int LLVMFuzzerTestOneInput(const uint8_t *, size_t)
# in tests/fuzz/fuzz_<what>.c and a folder tests/fuzz/corpus/<what>/ with at
# least one file.  Without --with-fuzzer it is linked with main.c, which runs
# each file of its corpus; `make check` does so with all of them (run.sh).
# A new one is its name in FUZZ_TARGETS and its LDADD.
check_LIBRARIES += tests/fuzz/libfuzzmain.a
tests_fuzz_libfuzzmain_a_SOURCES = tests/fuzz/main.c

FUZZ_TARGETS = tests/fuzz/fuzz_conf tests/fuzz/fuzz_decode tests/fuzz/fuzz_expr tests/fuzz/fuzz_pcap \
	tests/fuzz/fuzz_elf
FUZZ_TARGETS += tests/fuzz/fuzz_frame
FUZZ_TARGETS += tests/fuzz/fuzz_names
FUZZ_TARGETS += tests/fuzz/fuzz_spool
if HAVE_SQLITE3
FUZZ_TARGETS += tests/fuzz/fuzz_query
endif
tests_fuzz_fuzz_query_CPPFLAGS = $(AM_CPPFLAGS) $(QUERY_CFLAGS)
tests_fuzz_fuzz_query_LDADD = libctquery.a $(FUZZ_LDADD) $(QUERY_LIBS) -lm
FUZZ_LDADD = $(FUZZ_ENGINE) $(WHOLE_LIBS)
$(FUZZ_TARGETS): tests/fuzz/libfuzzmain.a
check_PROGRAMS += $(FUZZ_TARGETS)
tests_fuzz_fuzz_conf_LDADD = $(FUZZ_LDADD)
tests_fuzz_fuzz_decode_LDADD = $(FUZZ_LDADD)
tests_fuzz_fuzz_expr_LDADD = $(FUZZ_LDADD)
tests_fuzz_fuzz_pcap_LDADD = $(FUZZ_LDADD)
tests_fuzz_fuzz_elf_LDADD = $(FUZZ_LDADD)
tests_fuzz_fuzz_frame_LDADD = $(FUZZ_LDADD)
tests_fuzz_fuzz_names_LDADD = $(FUZZ_LDADD)
tests_fuzz_fuzz_spool_LDADD = $(FUZZ_LDADD)

TESTS += tests/fuzz/run.sh
dist_check_SCRIPTS += tests/fuzz/run.sh
EXTRA_DIST += tests/fuzz/corpus
