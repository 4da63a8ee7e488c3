/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ct_decode.h - one ctnetlink message becomes one record.
 *
 * No I/O, no allocation.  An input's instance begins with struct ct_input and
 * gives ct_ports as its .writes; it calls ct_times_default() and
 * ct_prepare() in setup() or start(), ct_decode() for each message.
 */
#ifndef CT_DECODE_H
#define CT_DECODE_H

#include <ctflow/plugin.h>
#include "ct_times.h"

struct ct_fields { /* where the fields go; one slot each, see ct_ports */
	ctf_ref orig_saddr, orig_daddr, orig_proto, orig_sport, orig_dport;
	ctf_ref orig_bytes, orig_packets;
	ctf_ref reply_saddr, reply_daddr, reply_proto, reply_sport, reply_dport;
	ctf_ref reply_bytes, reply_packets;
	ctf_ref icmp_code, icmp_type, icmpv6_code, icmpv6_type;
	ctf_ref mark, id, event;
	ctf_ref start_sec, start_usec, end_sec, end_usec;
	ctf_ref oob_family, oob_protocol;

	ctf_ref start_ns, last_ns, last_sec, last_usec;
	ctf_ref destroy_ns, destroy_sec, destroy_usec;
	ctf_ref duration, event_ns, end_kind, end_reason, slice_ns;
	ctf_ref zone, zone_reply, nsid, netns;
	ctf_ref status, timeout, use, portid, labels, helper, secctx;
	ctf_ref tcp_state, tcp_wscale_orig, tcp_wscale_reply, tcp_flags_orig, tcp_flags_reply;
	ctf_ref sctp_state, sctp_vtag_orig, sctp_vtag_reply;
	ctf_ref dccp_state, dccp_role, dccp_handshake;
	ctf_ref orig_icmp_id, reply_icmp_id;
	ctf_ref orig_gre_skey, orig_gre_dkey, reply_gre_skey, reply_gre_dkey;
	ctf_ref master_saddr, master_daddr, master_proto, master_sport, master_dport;
};

/* ---- decoding ------------------------------------------------------------- */

#define CT_PUTS 80u

struct ct_plan {          /* what the slots ask for, worked out once */
	uint32_t attrs;   /* bit n: attribute n is of interest */
	uint32_t derived; /* which computed groups are of interest */
	unsigned n;
	struct {
		uint8_t from;  /* value of the message */
		uint16_t only; /* protocols it makes sense for */
		ctf_ref to;    /* slot */
	} put[CT_PUTS];
};

/*
 * The last complete sweep that set counters back to 0: those of a flow that
 * was in it, because it began at or before upto_ns, count from at_ns on.
 */
struct ct_slice {
	uint64_t at_ns, upto_ns; /* 0 0: there was none */
};

enum ct_flow_end { CT_DESTROY, CT_LAST_PACKET }; /* what ulogd2's flow.end means */
#define CT_FLOW_ENDS "destroy|last-packet"

struct ct_shapes;

/*
 * What tells a flow from every other: namespace, id, start and original tuple,
 * the zone included, as one number.  Two given flows have the same one with
 * probability 2^-64 over the seeds, whoever chose them.
 */
#define CT_IDENT_WORDS 14u

struct ct_ident {
	uint64_t seed[2][CT_IDENT_WORDS + 1]; /* random */
	/* A table in which the key will be looked for is fetched in time; or NULL. */
	const uint64_t *table;
	uint64_t mask; /* of its size */

	/* of the DESTROY decoded last */
	uint64_t key;  /* 0: the kernel did not say when it began */
	uint64_t stop; /* when it ended */
	uint64_t sent; /* when the kernel sent this message, or it was received */
};

struct ct_input { /* the head of an input's instance */
	struct ctf_obj obj;
	struct ct_fields f; /* bound by the core through ct_ports */
	struct ct_times t;
	struct ct_slice slice;
	enum ct_flow_end flow_end; /* set before ct_prepare() */
	struct ct_plan plan;
	struct ct_ident *ident; /* NULL: not asked for; set it before ct_prepare() */
	/* Of messages seen, for speed alone; NULL: none. */
	struct ct_shapes *shapes;
};

/* NULL: no memory. */
struct ct_shapes *ct_shapes_new(void);
void ct_shapes_free(struct ct_shapes *);

/* Offsets are into struct ct_input. */
extern const struct ctf_port ct_ports[];

/* After the fields are bound (setup), before the first ct_decode(). */
void ct_prepare(struct ct_input *);

/*
 * msg: one netlink message, host byte order; rec: nothing set yet.  Text in
 * the record borrows from msg.  nsid is -1 for the own network namespace.
 * Returns 1: a record; 0: not a conntrack event, the record is unusable;
 * -EBADMSG: malformed, the record is unusable.
 */
int ct_decode(const struct ct_input *, const void *msg, size_t len, uint64_t rx_ns, int nsid,
	      struct ctf_rec *rec);

/* ---- entries of the table -------------------------------------------------- */

/*
 * The same of an entry that lives, out of a dump: its event is CTF_UPDATE.
 * CTF_PRESENCE has no counters; CTF_EVENT has no reason of its own.
 */
int ct_decode_live(const struct ct_input *, const void *msg, size_t len, uint64_t rx_ns,
		   enum ctf_kind kind, struct ctf_rec *rec);

struct ct_attr { /* with its header; NULL: absent */
	const uint8_t *p;
	size_t len;
};

struct ct_entry { /* what a sweep looks at before all else */
	uint8_t family;
	uint32_t id;
	uint64_t start_ns; /* 0: unknown */
	struct ct_attr tuple, zone;
};

/* Returns as ct_decode(); the attributes lie in msg. */
int ct_entry(const void *msg, size_t len, struct ct_entry *ret_entry);

#endif
