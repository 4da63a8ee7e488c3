-- SPDX-License-Identifier: GPL-2.0-or-later
-- Table, view and functions for the output MYSQL of ctflowd, with the columns
-- and parameters ulogd2's have.  It leaves what is there already: in a database
-- made for ulogd2 it only adds ctflowd_progress and UPSERT_CT.
--
--     mariadb nulog < mysql.sql
--
-- as the user that ctflowd logs in as, or else with these at the end:
--
--     GRANT SELECT, INSERT, UPDATE ON nulog.* TO nupik;
--     GRANT DELETE ON nulog.ctflowd_progress TO nupik;
--     GRANT EXECUTE ON nulog.* TO nupik;
--
-- For MySQL leave out the IF NOT EXISTS of views, functions and procedures.

CREATE TABLE IF NOT EXISTS ulog2_ct (
	_ct_id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
	oob_family tinyint unsigned,      -- 2: IPv4, 10: IPv6
	orig_ip_saddr binary(16),         -- as the one who began the flow sent it;
	orig_ip_daddr binary(16),         -- INET6_NTOA() makes it readable
	orig_ip_protocol tinyint unsigned,
	orig_l4_sport int,
	orig_l4_dport int,
	orig_bytes bigint DEFAULT 0,
	orig_packets bigint DEFAULT 0,
	reply_ip_saddr binary(16),        -- as answers come: other addresses mean NAT
	reply_ip_daddr binary(16),
	reply_ip_protocol tinyint unsigned,
	reply_l4_sport int,
	reply_l4_dport int,
	reply_bytes bigint DEFAULT 0,
	reply_packets bigint DEFAULT 0,
	icmp_code tinyint unsigned,
	icmp_type tinyint unsigned,
	ct_mark bigint DEFAULT 0,
	flow_start_sec int unsigned DEFAULT 0,
	flow_start_usec int DEFAULT 0,
	flow_end_sec int unsigned DEFAULT 0,
	flow_end_usec int DEFAULT 0,
	state tinyint unsigned DEFAULT 0, -- 1: began, 2: changed, 4: has ended; 0: not told
	KEY orig_ip_saddr (orig_ip_saddr), -- one for each question; leave out those
	KEY orig_ip_daddr (orig_ip_daddr), -- you never ask
	KEY reply_ip_saddr (reply_ip_saddr),
	KEY reply_ip_daddr (reply_ip_daddr),
	KEY orig_l4_sport (orig_l4_sport),
	KEY orig_l4_dport (orig_l4_dport),
	KEY reply_l4_sport (reply_l4_sport),
	KEY reply_l4_dport (reply_l4_dport),
	KEY state (state)
) ENGINE=InnoDB;

-- The columns by the names of the fields, the stack being NFCT,IP2BIN,MYSQL:
-- table="conntrack".  ulogd2 shows none of its rows here, as their state is 0.
CREATE SQL SECURITY INVOKER VIEW IF NOT EXISTS conntrack AS
	SELECT _ct_id, oob_family,
		orig_ip_saddr AS orig_ip_saddr_bin, orig_ip_daddr AS orig_ip_daddr_bin,
		orig_ip_protocol, orig_l4_sport, orig_l4_dport,
		orig_bytes AS orig_raw_pktlen, orig_packets AS orig_raw_pktcount,
		reply_ip_saddr AS reply_ip_saddr_bin, reply_ip_daddr AS reply_ip_daddr_bin,
		reply_ip_protocol, reply_l4_sport, reply_l4_dport,
		reply_bytes AS reply_raw_pktlen, reply_packets AS reply_raw_pktcount,
		icmp_code, icmp_type, ct_mark,
		flow_start_sec, flow_start_usec, flow_end_sec, flow_end_usec
	FROM ulog2_ct;

-- The same with the event, which UPSERT_CT wants: table="conntrack_event".
CREATE SQL SECURITY INVOKER VIEW IF NOT EXISTS conntrack_event AS
	SELECT c.*, u.state AS ct_event
	FROM conntrack AS c JOIN ulog2_ct AS u ON u._ct_id = c._ct_id;

-- The last frame of flows each ctflowd has stored, so that none is stored twice.
CREATE TABLE IF NOT EXISTS ctflowd_progress (
	spool varchar(100) CHARACTER SET ascii PRIMARY KEY,
	frame bigint unsigned NOT NULL,
	at datetime NOT NULL
) ENGINE=InnoDB;

DELIMITER $$

-- A row for each record: procedure="INSERT_CT", table="conntrack".
CREATE FUNCTION IF NOT EXISTS INSERT_CT(
	_oob_family bigint, _orig_ip_saddr binary(16), _orig_ip_daddr binary(16),
	_orig_ip_protocol tinyint unsigned, _orig_l4_sport int, _orig_l4_dport int,
	_orig_bytes bigint, _orig_packets bigint,
	_reply_ip_saddr binary(16), _reply_ip_daddr binary(16),
	_reply_ip_protocol tinyint unsigned, _reply_l4_sport int, _reply_l4_dport int,
	_reply_bytes bigint, _reply_packets bigint,
	_icmp_code tinyint unsigned, _icmp_type tinyint unsigned, _ct_mark bigint,
	_flow_start_sec int unsigned, _flow_start_usec int,
	_flow_end_sec int unsigned, _flow_end_usec int
) RETURNS bigint unsigned MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
	INSERT INTO ulog2_ct VALUES (DEFAULT, _oob_family, _orig_ip_saddr, _orig_ip_daddr,
		_orig_ip_protocol, _orig_l4_sport, _orig_l4_dport, _orig_bytes, _orig_packets,
		_reply_ip_saddr, _reply_ip_daddr, _reply_ip_protocol, _reply_l4_sport,
		_reply_l4_dport, _reply_bytes, _reply_packets, _icmp_code, _icmp_type, _ct_mark,
		_flow_start_sec, _flow_start_usec, _flow_end_sec, _flow_end_usec, DEFAULT);
	RETURN LAST_INSERT_ID();
END $$

-- One row for each flow, from its beginning on, and none lost: what is told of a
-- flow whose row is not there becomes one.  procedure="UPSERT_CT",
-- table="conntrack_event", hash_enable=0.
CREATE FUNCTION IF NOT EXISTS UPSERT_CT(
	_oob_family bigint, _orig_ip_saddr binary(16), _orig_ip_daddr binary(16),
	_orig_ip_protocol tinyint unsigned, _orig_l4_sport int, _orig_l4_dport int,
	_orig_bytes bigint, _orig_packets bigint,
	_reply_ip_saddr binary(16), _reply_ip_daddr binary(16),
	_reply_ip_protocol tinyint unsigned, _reply_l4_sport int, _reply_l4_dport int,
	_reply_bytes bigint, _reply_packets bigint,
	_icmp_code tinyint unsigned, _icmp_type tinyint unsigned, _ct_mark bigint,
	_flow_start_sec int unsigned, _flow_start_usec int,
	_flow_end_sec int unsigned, _flow_end_usec int, _ct_event tinyint unsigned
) RETURNS bigint unsigned MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
	DECLARE _id bigint unsigned DEFAULT NULL;
	IF _ct_event <> 1 THEN
		SET _id = (SELECT max(_ct_id) FROM ulog2_ct
			WHERE state BETWEEN 1 AND 3 AND oob_family = _oob_family
				AND orig_ip_protocol = _orig_ip_protocol
				AND orig_ip_saddr = _orig_ip_saddr
				AND orig_ip_daddr = _orig_ip_daddr
				AND orig_l4_sport <=> _orig_l4_sport
				AND orig_l4_dport <=> _orig_l4_dport
				AND reply_ip_saddr = _reply_ip_saddr
				AND reply_ip_daddr = _reply_ip_daddr
				AND reply_l4_sport <=> _reply_l4_sport
				AND reply_l4_dport <=> _reply_l4_dport
				AND icmp_code <=> _icmp_code AND icmp_type <=> _icmp_type);
	END IF;
	IF _id IS NULL THEN
		SET _id = INSERT_CT(_oob_family, _orig_ip_saddr, _orig_ip_daddr,
			_orig_ip_protocol, _orig_l4_sport, _orig_l4_dport, _orig_bytes,
			_orig_packets, _reply_ip_saddr, _reply_ip_daddr, _reply_ip_protocol,
			_reply_l4_sport, _reply_l4_dport, _reply_bytes, _reply_packets,
			_icmp_code, _icmp_type, _ct_mark, _flow_start_sec, _flow_start_usec,
			_flow_end_sec, _flow_end_usec);
	END IF;
	UPDATE ulog2_ct SET orig_bytes = _orig_bytes, orig_packets = _orig_packets,
		reply_bytes = _reply_bytes, reply_packets = _reply_packets, ct_mark = _ct_mark,
		flow_start_sec = IF(_flow_start_sec > 0, _flow_start_sec, flow_start_sec),
		flow_start_usec = IF(_flow_start_sec > 0, _flow_start_usec, flow_start_usec),
		flow_end_sec = _flow_end_sec, flow_end_usec = _flow_end_usec, state = _ct_event
	WHERE _ct_id = _id;
	RETURN _id;
END $$

CREATE PROCEDURE IF NOT EXISTS DELETE_CT_FLOW(IN _ct_packet_id bigint unsigned)
MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
	DELETE FROM ulog2_ct WHERE _ct_id = _ct_packet_id;
END $$

DELIMITER ;
