AM_TESTS_ENVIRONMENT = CC='$(CC)'; export CC;

include tests/unit/local.mk
include tests/fuzz/local.mk
include tests/lint/local.mk
include tests/conf/local.mk
include tests/netns/local.mk
include tests/interop/local.mk
include tests/bench/local.mk
include tests/replay/local.mk
include tests/query/local.mk
