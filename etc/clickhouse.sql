CREATE DATABASE IF NOT EXISTS ctflow;

CREATE TABLE IF NOT EXISTS ctflow.flows_raw (
    outer FixedString(16), outer_port Int32, at_ns Int64, exporter String, nsid Int32,
    id Int64, start_ns Int64, end_ns Int64, stamped UInt8, proto Int16,
    src FixedString(16), sport Int32, dst FixedString(16), dport Int32,
    nat_src FixedString(16), nat_sport Int32, nat_dst FixedString(16), nat_dport Int32,
    icmp_type Int16, icmp_code Int16,
    orig_packets Int64, orig_bytes Int64, reply_packets Int64, reply_bytes Int64,
    mark UInt32, zone UInt16, status Int64, tcp_state Int16, end_reason Int16,
    src_name String, dst_name String
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(toDateTime(intDiv(at_ns, 1000000000)), 'UTC')
ORDER BY (outer, outer_port, at_ns, exporter, nsid, id, start_ns);

CREATE MATERIALIZED VIEW IF NOT EXISTS ctflow.flows_src (
    src FixedString(16), at_ns Int64, outer FixedString(16), outer_port Int32
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(toDateTime(intDiv(at_ns, 1000000000)), 'UTC')
ORDER BY (src, at_ns, outer, outer_port)
AS SELECT src, at_ns, outer, outer_port FROM ctflow.flows_raw;

CREATE MATERIALIZED VIEW IF NOT EXISTS ctflow.flows_dst (
    dst FixedString(16), at_ns Int64, outer FixedString(16), outer_port Int32
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(toDateTime(intDiv(at_ns, 1000000000)), 'UTC')
ORDER BY (dst, at_ns, outer, outer_port)
AS SELECT dst, at_ns, outer, outer_port FROM ctflow.flows_raw;

CREATE TABLE IF NOT EXISTS ctflow.open_raw (
    outer FixedString(16), outer_port Int32, seen_ns Int64, exporter String, nsid Int32,
    id Int64, start_ns Int64, end_ns Int64, stamped UInt8, proto Int16,
    src FixedString(16), sport Int32, dst FixedString(16), dport Int32,
    nat_src FixedString(16), nat_sport Int32, nat_dst FixedString(16), nat_dport Int32,
    icmp_type Int16, icmp_code Int16,
    orig_packets Int64, orig_bytes Int64, reply_packets Int64, reply_bytes Int64,
    mark UInt32, zone UInt16, status Int64, tcp_state Int16, end_reason Int16,
    src_name String, dst_name String,
    source String, version UInt64 DEFAULT toUInt64(seen_ns), state UInt8, lost_ns Int64
) ENGINE = ReplacingMergeTree(version)
ORDER BY (exporter, nsid, start_ns, id, proto, src, sport, dst, dport, icmp_type, icmp_code);

CREATE TABLE IF NOT EXISTS ctflow.gaps_raw (
    exporter String, output String, instance String, nsid Int32, from_ns Int64, cause String,
    concluded UInt8, told_ns Int64, to_ns Int64, count Int64, count_is UInt8, version UInt64,
    gone UInt8
) ENGINE = ReplacingMergeTree(version)
ORDER BY (exporter, output, instance, nsid, from_ns, cause, concluded, told_ns);

CREATE TABLE IF NOT EXISTS ctflow.coverage_raw (
    exporter String, output String, instance String, nsid Int32, from_ns Int64,
    last_alive_ns Int64, to_ns Int64, boot_id String, event_mask UInt32, acct Int8,
    timestamp Int8, events Int8, reliable UInt8, selection String, netns String,
    abilities String, clock_synchronised Int8, clock_error_ns Int64, offload Int8, gro Int8,
    version UInt64
) ENGINE = ReplacingMergeTree(version)
ORDER BY (exporter, output, instance, nsid, from_ns);

CREATE TABLE IF NOT EXISTS ctflow.sweeps (
    exporter String, output String, instance String, nsid Int32, at_ns Int64,
    previous_ns Int64, min_age_ns Int64, complete UInt8
) ENGINE = ReplacingMergeTree
ORDER BY (exporter, output, instance, nsid, at_ns);

CREATE TABLE IF NOT EXISTS ctflow.meta (
    key String, value String
) ENGINE = ReplacingMergeTree
ORDER BY key;

INSERT INTO ctflow.meta VALUES ('format', 'ctflowd'), ('version', '1');

