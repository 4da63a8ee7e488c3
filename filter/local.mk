# One word per plugin (build-aux/plugins.sh).
filter_PLUGINS = ip2str printflow mark filter
