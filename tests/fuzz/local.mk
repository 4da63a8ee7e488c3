# Fuzz targets.  Each is one int LLVMFuzzerTestOneInput(const uint8_t *, size_t)
# in tests/fuzz/fuzz_<what>.c and a folder tests/fuzz/corpus/<what>/ with at
# least one file.  Without --with-fuzzer it is linked with main.c, which runs
# each file of its corpus; `make check` does so with all of them (run.sh).
# A new one is a stanza like the first one below.
check_LIBRARIES += tests/fuzz/libfuzzmain.a
tests_fuzz_libfuzzmain_a_SOURCES = tests/fuzz/main.c

FUZZ_CPPFLAGS = $(AM_CPPFLAGS) -DCTF_BUILTIN
FUZZ_LDADD = $(FUZZ_ENGINE) $(WHOLE) $(PLUGIN_LIBS) $(MNL_LIBS) $(NFCT_LIB_LIBS)
FUZZ_DEPS = tests/fuzz/libfuzzmain.a libctflow.a libplugins.a

TESTS += tests/fuzz/run.sh
dist_check_SCRIPTS += tests/fuzz/run.sh
EXTRA_DIST += tests/fuzz/corpus

check_PROGRAMS += tests/fuzz/fuzz_conf
tests_fuzz_fuzz_conf_SOURCES = tests/fuzz/fuzz_conf.c
tests_fuzz_fuzz_conf_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_conf_LDADD = $(FUZZ_LDADD)
tests_fuzz_fuzz_conf_DEPENDENCIES = $(FUZZ_DEPS)


check_PROGRAMS += tests/fuzz/fuzz_decode tests/fuzz/fuzz_pcap
tests_fuzz_fuzz_decode_SOURCES = tests/fuzz/fuzz_decode.c
tests_fuzz_fuzz_decode_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_decode_LDADD = $(FUZZ_LDADD)
tests_fuzz_fuzz_decode_DEPENDENCIES = $(FUZZ_DEPS)
tests_fuzz_fuzz_pcap_SOURCES = tests/fuzz/fuzz_pcap.c
tests_fuzz_fuzz_pcap_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_pcap_LDADD = $(FUZZ_LDADD)
tests_fuzz_fuzz_pcap_DEPENDENCIES = $(FUZZ_DEPS)

check_PROGRAMS += tests/fuzz/fuzz_elf
tests_fuzz_fuzz_elf_SOURCES = tests/fuzz/fuzz_elf.c
tests_fuzz_fuzz_elf_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_elf_LDADD = $(FUZZ_LDADD)
tests_fuzz_fuzz_elf_DEPENDENCIES = $(FUZZ_DEPS)
