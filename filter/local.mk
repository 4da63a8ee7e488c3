# One word per plugin (build-aux/plugins.sh).
filter_PLUGINS = ip2str printflow mark
ip2str_common = filter/fmt.h
printflow_common = filter/fmt.h

libplugins_a_SOURCES += filter/fmt.h
