# One word per plugin (build-aux/plugins.sh).
filter_PLUGINS = ip2str ip2bin ip2hbin printflow mark filter names
names_extra = filter/names.h filter/names_kea.c filter/names_merge.c filter/names_parse.c filter/names_parts.c filter/names_set.c filter/names_source.c filter/names_watch.c
