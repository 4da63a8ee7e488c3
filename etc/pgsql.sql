-- SPDX-License-Identifier: GPL-2.0-or-later
-- Tables and functions for the output PGSQL of ctflowd, with the columns and
-- parameters ulogd2's have.  It leaves what is there already: in a database
-- made for ulogd2 it only adds ctflowd_progress and UPSERT_CT.
--
--     psql -d nulog -f pgsql.sql
--
-- as the user that ctflowd logs in as, or else with these at the end:
--
--     GRANT INSERT, SELECT, UPDATE ON ulog2_ct TO nupik;
--     GRANT USAGE ON SEQUENCE ulog2_ct__ct_id_seq TO nupik;
--     GRANT INSERT, SELECT, UPDATE, DELETE ON ctflowd_progress TO nupik;

BEGIN;

CREATE SEQUENCE IF NOT EXISTS ulog2_ct__ct_id_seq;

CREATE TABLE IF NOT EXISTS ulog2_ct (
	_ct_id bigint PRIMARY KEY DEFAULT nextval('ulog2_ct__ct_id_seq'),
	oob_family smallint,            -- 2: IPv4, 10: IPv6
	orig_ip_saddr_str inet,         -- as the one who began the flow sent it
	orig_ip_daddr_str inet,
	orig_ip_protocol smallint,
	orig_l4_sport integer,
	orig_l4_dport integer,
	orig_raw_pktlen bigint DEFAULT 0,
	orig_raw_pktcount bigint DEFAULT 0,
	reply_ip_saddr_str inet,        -- as answers come: other addresses mean NAT
	reply_ip_daddr_str inet,
	reply_ip_protocol smallint,
	reply_l4_sport integer,
	reply_l4_dport integer,
	reply_raw_pktlen bigint DEFAULT 0,
	reply_raw_pktcount bigint DEFAULT 0,
	icmp_code smallint,
	icmp_type smallint,
	ct_mark bigint DEFAULT 0,
	flow_start_sec bigint DEFAULT 0,
	flow_start_usec bigint DEFAULT 0,
	flow_end_sec bigint DEFAULT 0,
	flow_end_usec bigint DEFAULT 0,
	ct_event smallint DEFAULT 0     -- 1: began, 2: changed, 4: has ended
);

-- One index for each question; leave out those you never ask.
CREATE INDEX IF NOT EXISTS ulog2_ct_oob_family ON ulog2_ct (oob_family);
CREATE INDEX IF NOT EXISTS ulog2_ct_orig_ip_saddr ON ulog2_ct (orig_ip_saddr_str);
CREATE INDEX IF NOT EXISTS ulog2_ct_orig_ip_daddr ON ulog2_ct (orig_ip_daddr_str);
CREATE INDEX IF NOT EXISTS ulog2_ct_reply_ip_saddr ON ulog2_ct (reply_ip_saddr_str);
CREATE INDEX IF NOT EXISTS ulog2_ct_reply_ip_daddr ON ulog2_ct (reply_ip_daddr_str);
CREATE INDEX IF NOT EXISTS ulog2_ct_orig_l4_sport ON ulog2_ct (orig_l4_sport);
CREATE INDEX IF NOT EXISTS ulog2_ct_orig_l4_dport ON ulog2_ct (orig_l4_dport);
CREATE INDEX IF NOT EXISTS ulog2_ct_reply_l4_sport ON ulog2_ct (reply_l4_sport);
CREATE INDEX IF NOT EXISTS ulog2_ct_reply_l4_dport ON ulog2_ct (reply_l4_dport);
CREATE INDEX IF NOT EXISTS ulog2_ct_event ON ulog2_ct (ct_event);

-- The last frame of flows each ctflowd has stored, so that none is stored twice.
CREATE TABLE IF NOT EXISTS ctflowd_progress (
	spool text PRIMARY KEY,
	frame bigint NOT NULL,
	at timestamptz NOT NULL
);

-- A row for each record: procedure="INSERT_CT".
CREATE OR REPLACE FUNCTION INSERT_CT(
	_oob_family integer,
	_orig_ip_saddr inet, _orig_ip_daddr inet, _orig_ip_protocol integer,
	_orig_l4_sport integer, _orig_l4_dport integer,
	_orig_raw_pktlen bigint, _orig_raw_pktcount bigint,
	_reply_ip_saddr inet, _reply_ip_daddr inet, _reply_ip_protocol integer,
	_reply_l4_sport integer, _reply_l4_dport integer,
	_reply_raw_pktlen bigint, _reply_raw_pktcount bigint,
	_icmp_code integer, _icmp_type integer, _ct_mark bigint,
	_flow_start_sec bigint, _flow_start_usec bigint,
	_flow_end_sec bigint, _flow_end_usec bigint, _ct_event integer
) RETURNS bigint AS $$
	INSERT INTO ulog2_ct VALUES (DEFAULT, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
		$12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)
	RETURNING _ct_id;
$$ LANGUAGE sql SECURITY INVOKER;

-- The row of the flow that has begun gets its end; where there is none the end
-- is lost, as with ulogd2.  hash_enable=0 only.  UPSERT_CT is better.
CREATE OR REPLACE FUNCTION INSERT_OR_REPLACE_CT(
	_oob_family integer,
	_orig_ip_saddr inet, _orig_ip_daddr inet, _orig_ip_protocol integer,
	_orig_l4_sport integer, _orig_l4_dport integer,
	_orig_raw_pktlen bigint, _orig_raw_pktcount bigint,
	_reply_ip_saddr inet, _reply_ip_daddr inet, _reply_ip_protocol integer,
	_reply_l4_sport integer, _reply_l4_dport integer,
	_reply_raw_pktlen bigint, _reply_raw_pktcount bigint,
	_icmp_code integer, _icmp_type integer, _ct_mark bigint,
	_flow_start_sec bigint, _flow_start_usec bigint,
	_flow_end_sec bigint, _flow_end_usec bigint, _ct_event integer
) RETURNS bigint AS $$
BEGIN
	IF _ct_event <> 4 THEN
		RETURN INSERT_CT($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
			$15, $16, $17, $18, $19, $20, $21, $22, $23);
	END IF;
	UPDATE ulog2_ct SET orig_raw_pktlen = $7, orig_raw_pktcount = $8,
		reply_raw_pktlen = $14, reply_raw_pktcount = $15, ct_mark = $18,
		flow_end_sec = $21, flow_end_usec = $22, ct_event = $23
	WHERE ct_event < 4 AND oob_family = $1 AND orig_ip_protocol = $4
		AND orig_ip_saddr_str = $2 AND orig_ip_daddr_str = $3
		AND reply_ip_saddr_str = $9 AND reply_ip_daddr_str = $10
		AND reply_ip_protocol = $11
		AND CASE WHEN $4 = 1 THEN icmp_code = $16 AND icmp_type = $17
			ELSE orig_l4_sport = $5 AND orig_l4_dport = $6
				AND reply_l4_sport = $12 AND reply_l4_dport = $13 END;
	RETURN NULL;
END
$$ LANGUAGE plpgsql SECURITY INVOKER;

-- One row for each flow, from its beginning on, and none lost: what is told of a
-- flow whose row is not there becomes one.  hash_enable=0.
CREATE OR REPLACE FUNCTION UPSERT_CT(
	_oob_family integer,
	_orig_ip_saddr inet, _orig_ip_daddr inet, _orig_ip_protocol integer,
	_orig_l4_sport integer, _orig_l4_dport integer,
	_orig_raw_pktlen bigint, _orig_raw_pktcount bigint,
	_reply_ip_saddr inet, _reply_ip_daddr inet, _reply_ip_protocol integer,
	_reply_l4_sport integer, _reply_l4_dport integer,
	_reply_raw_pktlen bigint, _reply_raw_pktcount bigint,
	_icmp_code integer, _icmp_type integer, _ct_mark bigint,
	_flow_start_sec bigint, _flow_start_usec bigint,
	_flow_end_sec bigint, _flow_end_usec bigint, _ct_event integer
) RETURNS bigint AS $$
DECLARE
	_id bigint;
BEGIN
	IF _ct_event <> 1 THEN
		SELECT max(_ct_id) INTO _id FROM ulog2_ct
		WHERE ct_event < 4 AND oob_family = $1 AND orig_ip_protocol = $4
			AND orig_ip_saddr_str = $2 AND orig_ip_daddr_str = $3
			AND orig_l4_sport IS NOT DISTINCT FROM $5
			AND orig_l4_dport IS NOT DISTINCT FROM $6
			AND reply_ip_saddr_str = $9 AND reply_ip_daddr_str = $10
			AND reply_l4_sport IS NOT DISTINCT FROM $12
			AND reply_l4_dport IS NOT DISTINCT FROM $13
			AND icmp_code IS NOT DISTINCT FROM $16
			AND icmp_type IS NOT DISTINCT FROM $17;
	END IF;
	IF _id IS NULL THEN
		RETURN INSERT_CT($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
			$15, $16, $17, $18, $19, $20, $21, $22, $23);
	END IF;
	UPDATE ulog2_ct SET orig_raw_pktlen = $7, orig_raw_pktcount = $8,
		reply_raw_pktlen = $14, reply_raw_pktcount = $15, ct_mark = $18,
		flow_start_sec = CASE WHEN $19 > 0 THEN $19 ELSE flow_start_sec END,
		flow_start_usec = CASE WHEN $19 > 0 THEN $20 ELSE flow_start_usec END,
		flow_end_sec = $21, flow_end_usec = $22, ct_event = $23
	WHERE _ct_id = _id;
	RETURN _id;
END
$$ LANGUAGE plpgsql SECURITY INVOKER;

CREATE OR REPLACE FUNCTION DELETE_CT_FLOW(_ct_packet_id bigint) RETURNS void AS $$
	DELETE FROM ulog2_ct WHERE _ct_id = $1;
$$ LANGUAGE sql SECURITY INVOKER;

COMMIT;
