# One word per plugin (build-aux/plugins.sh).
output_PLUGINS = logemu gprint oprint nacct syslog xml csv json sqlite3 ipfix pgsql mysql clickhouse
logemu_common = output/text.c output/text.h output/stream.c output/stream.h output/stream_hand.c output/stream_head.c output/stream_kept.c output/format.c output/format.h output/format_put.c output/format_time.c
csv_common = output/text.c output/text.h output/stream.c output/stream.h output/stream_hand.c output/stream_head.c output/stream_kept.c output/format.c output/format.h output/format_put.c output/format_time.c
xml_common = output/text.c output/text.h output/stream.c output/stream.h output/stream_hand.c output/stream_head.c output/stream_kept.c
xml_extra = output/xml.h output/xml_sink.c
gprint_common = output/columns.c output/columns.h output/text.c output/text.h output/stream.c output/stream.h output/stream_hand.c output/stream_head.c output/stream_kept.c output/format.c output/format.h output/format_put.c output/format_time.c
oprint_common = output/columns.c output/columns.h output/text.c output/text.h output/stream.c output/stream.h output/stream_hand.c output/stream_head.c output/stream_kept.c
nacct_common = output/text.c output/text.h output/stream.c output/stream.h output/stream_hand.c output/stream_head.c output/stream_kept.c
json_common = output/text.c output/text.h output/stream.c output/stream.h output/stream_hand.c output/stream_head.c output/stream_kept.c output/session.c output/session.h output/transport.c output/transport.h output/peer.c output/peer.h
syslog_common = output/text.c output/text.h output/stream.c output/stream.h output/stream_hand.c output/stream_head.c output/stream_kept.c output/session.c output/session.h output/transport.c output/transport.h output/peer.c output/peer.h output/format.c output/format.h output/format_put.c output/format_time.c
json_extra = output/json_keys.c output/json_keys.h output/moot.h
sqlite3_extra = output/sqlite3_aside.c output/sqlite3_clock.c output/sqlite3_clock.h output/sqlite3_close.c output/sqlite3_conn.c output/sqlite3_cover.c output/sqlite3_days.c output/sqlite3_db.h output/sqlite3_flow.c output/sqlite3_flow.h output/sqlite3_foreign.c output/sqlite3_group.c output/sqlite3_index.c output/sqlite3_join.c output/sqlite3_keep.c output/sqlite3_keep.h output/sqlite3_keep_clock.c output/sqlite3_keep_cut.c output/sqlite3_keep_notes.c output/sqlite3_keys.c output/sqlite3_make.c output/sqlite3_meta.c output/sqlite3_meta.h output/sqlite3_names.c output/sqlite3_names.h output/sqlite3_native.c output/sqlite3_old.c output/sqlite3_open.c output/sqlite3_part.c output/sqlite3_past.c output/sqlite3_rollup.c output/sqlite3_rollup.h output/sqlite3_rollup_key.c output/sqlite3_rollup_put.c output/sqlite3_rollup_step.c output/sqlite3_run.c output/sqlite3_schema.c output/sqlite3_sink.c output/sqlite3_slice.c output/sqlite3_spare.c output/sqlite3_spare.h output/sqlite3_sums.c output/sqlite3_view.c output/sqlite3_wal.c
sqlite3_common = output/past.c output/past.h output/sqcolumn.c output/sqcolumn.h output/sqlite3_note.c output/sqlite3_row.c output/sqlite3_row.h
sqlite3_needs = sqlite3
ipfix_extra = output/ipfix.h output/ipfix_announce.c output/ipfix_case.c output/ipfix_doubts.c output/ipfix_encode.c output/moot.h output/ipfix_file.c output/ipfix_file.h output/ipfix_file_open.c output/ipfix_layout.c output/ipfix_options.c output/ipfix_own.c output/ipfix_peers.c output/ipfix_program.c output/ipfix_shift.c output/ipfix_sink.c output/ipfix_tcp.c output/ipfix_tls.c output/ipfix_template.c output/ipfix_template.h output/ipfix_udp.c output/ipfix_zones.c output/tls.c output/tls.h output/tls_files.c output/tls_impl.h output/tls_io.c output/tls_session.c output/tls_why.c
ipfix_common = output/session.c output/session.h output/transport.c output/transport.h
ipfix_needs = libfixbuf openssl >= 3.0
pgsql_extra = output/pgsql.h output/pgsql_conn.c output/pgsql_rows.c
pgsql_common = output/buf.c output/buf.h output/resolve.c output/resolve.h output/sqldb.c output/sqldb.h output/sqldb_sink.c output/sqldb_text.c output/past.c output/past.h output/sqcolumn.c output/sqcolumn.h output/sqlite3_row.c output/sqlite3_row.h
pgsql_needs = libpq >= 14
pgsql_optional = yes
mysql_extra = output/mysql.h output/mysql_conn.c output/mysql_rows.c
mysql_common = output/buf.c output/buf.h output/resolve.c output/resolve.h output/sqldb.c output/sqldb.h output/sqldb_sink.c output/sqldb_text.c output/past.c output/past.h output/sqcolumn.c output/sqcolumn.h output/sqlite3_row.c output/sqlite3_row.h
mysql_needs = libmariadb
mysql_optional = yes
clickhouse_extra = output/clickhouse.h output/clickhouse_conn.c output/clickhouse_ddl.c output/clickhouse_delta.c output/clickhouse_http.c output/clickhouse_http.h output/clickhouse_note.c output/clickhouse_note.h output/clickhouse_open.c output/clickhouse_row.c output/clickhouse_schema.c output/clickhouse_sink.c output/clickhouse_wire.c
clickhouse_common = output/buf.c output/buf.h output/past.c output/past.h output/sqlite3_note.c output/sqlite3_row.c output/sqlite3_row.h
clickhouse_needs = libcurl >= 7.85
clickhouse_optional = yes

libplugins_a_SOURCES += output/format.c output/format.h output/format_put.c output/format_time.c output/peer.c output/peer.h output/columns.c output/columns.h output/text.c output/text.h output/stream.c output/stream.h output/stream_hand.c output/stream_head.c output/stream_kept.c output/session.c output/session.h output/transport.c output/transport.h
libplugins_a_SOURCES += output/past.c output/past.h output/sqcolumn.c output/sqcolumn.h output/sqlite3_note.c output/sqlite3_row.c output/sqlite3_row.h
libplugins_a_SOURCES += output/buf.c output/buf.h output/resolve.c output/resolve.h output/sqldb.c output/sqldb.h output/sqldb_sink.c output/sqldb_text.c
