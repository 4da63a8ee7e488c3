# What gets installed, and what can be built with it; needs no root.
if ALL_PLUGINS
TESTS += tests/package/test_install.py
endif
dist_check_SCRIPTS += tests/package/test_install.py
