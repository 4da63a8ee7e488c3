# The conformance checker, on good and on broken bytes.
TESTS += tests/interop/test_ipfix_check.py
dist_check_SCRIPTS += tests/interop/test_ipfix_check.py tests/interop/ipfix_check.py
