# The alert rules and the dashboard, by themselves; with a real Prometheus:
# tests/interop/test_prometheus.py.
FLEET_TESTS = tests/fleet/test_dashboard.py tests/fleet/test_rules.py
TESTS += $(FLEET_TESTS)
dist_check_SCRIPTS += $(FLEET_TESTS)
EXTRA_DIST += tests/fleet/rules.test.yml
