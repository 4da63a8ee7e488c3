# A unit test may take long where others work beside it.
AM_TESTS_ENVIRONMENT = CC='$(CC)'; CK_DEFAULT_TIMEOUT=60; CK_TIMEOUT_MULTIPLIER=3; \
	export CC CK_DEFAULT_TIMEOUT CK_TIMEOUT_MULTIPLIER;

include tests/unit/local.mk
include tests/fuzz/local.mk
include tests/lint/local.mk
include tests/conf/local.mk
include tests/netns/local.mk
include tests/interop/local.mk
include tests/bench/local.mk
include tests/replay/local.mk
include tests/query/local.mk
include tests/fleet/local.mk
include tests/package/local.mk
