/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ct_raw.h - what one message said, before it goes to the slots.  Private to
 * ct_decode.c, ct_plan.c, ct_end.c and ct_ident.c.
 */
#ifndef CT_RAW_H
#define CT_RAW_H

#include "ct_decode.h"

/* Since Linux 6.14; an enumerator where the headers know it, hence the name. */
#define CT_ATTR_TIMESTAMP_EVENT 27

/* Values of one tuple, counted from R_ORIG, R_REPLY or R_MASTER. */
enum {
	T_SADDR,
	T_DADDR,
	T_PROTO,
	T_SPORT, /* GRE keys come as ports, too */
	T_DPORT,
	T_ICMP_ID, /* ICMP and ICMPv6 */
	T_ICMP_TYPE,
	T_ICMP_CODE,
	T_ZONE,
	T_SIZE
};

/* All values a message may hold; those after R_PORTID are not attributes. */
enum {
	R_ORIG = 0,
	R_REPLY = R_ORIG + T_SIZE,
	R_MASTER = R_REPLY + T_SIZE,
	R_STATUS = R_MASTER + T_SIZE,
	R_TIMEOUT,
	R_MARK,
	R_ORIG_PACKETS,
	R_ORIG_BYTES,
	R_REPLY_PACKETS,
	R_REPLY_BYTES,
	R_USE,
	R_ID,
	R_ZONE,
	R_SECCTX,
	R_START,
	R_STOP,
	R_EVENT_NS,
	R_LABELS,
	R_HELPER,
	R_TCP_STATE,
	R_TCP_WSCALE_ORIG,
	R_TCP_WSCALE_REPLY,
	R_TCP_FLAGS_ORIG,
	R_TCP_FLAGS_REPLY,
	R_SCTP_STATE,
	R_SCTP_VTAG_ORIG,
	R_SCTP_VTAG_REPLY,
	R_DCCP_STATE,
	R_DCCP_ROLE,
	R_DCCP_HANDSHAKE,
	R_PORTID,
	R_NSID,
	R_EVENT,
	R_FAMILY,
	R_OOB_PROTOCOL,
	R_N
};
/*
 * Those the decoder itself works with (ct_decode.c, ct_ident.c, ct_end.c); the
 * others are only handed on.
 */
#define CT_RAW_USED \
	(UINT64_C(0x1ff) << R_ORIG | UINT64_C(1) << R_STATUS | UINT64_C(1) << R_TIMEOUT | \
	 UINT64_C(1) << R_ID | UINT64_C(1) << R_ZONE | UINT64_C(1) << R_START | \
	 UINT64_C(1) << R_STOP | UINT64_C(1) << R_EVENT_NS | UINT64_C(1) << R_TCP_STATE | \
	 UINT64_C(1) << R_SCTP_STATE | UINT64_C(1) << R_DCCP_STATE)
_Static_assert(T_SIZE == 9, "the original tuple in CT_RAW_USED");
_Static_assert(R_N <= 64, "one bit of ct_raw.have per value");
_Static_assert(R_REPLY_BYTES == R_ORIG_PACKETS + 3, "the counters are four in a row");

/* Protocol classes of the original tuple: which fields make sense. */
enum {
	L4_ANY = 1,
	L4_PORTS = 2,
	L4_ICMP = 4,
	L4_ICMPV6 = 8,
	L4_GRE = 16,
};
#define L4_REPLY(class) ((class) << 4) /* the same of the reply tuple */

/* ct_plan.derived: flow.start.sec .usec; flow.end and flow.destroy; flow.last ...; slice */
enum {
	D_START = 1,
	D_END = 2,
	D_LAST = 4,
	D_SLICE = 8,
};

union ct_val {
	union ctf_val val;
	uint64_t q[2];
};

struct ct_raw {
	uint64_t have; /* bit n: v[n] holds a value */
	uint64_t rx_ns;
	uint8_t family;
	uint8_t event;
	bool live;    /* an entry of the table, no event */
	uint8_t kind; /* enum ctf_kind */
	union ct_val v[R_N];
};

static inline bool
raw_has(const struct ct_raw *w, unsigned n)
{
	return w->have >> n & 1;
}

/* Who knows what it has may say so, and the question is gone when it is compiled. */
static inline uint64_t
raw_num_of(const struct ct_raw *w, uint64_t have, unsigned n, uint64_t absent)
{
	return have >> n & 1 ? w->v[n].val.u : absent;
}

static inline uint64_t
raw_num_or(const struct ct_raw *w, unsigned n, uint64_t absent)
{
	return raw_num_of(w, w->have, n, absent);
}

static inline void
raw_put(struct ct_raw *w, unsigned n, uint64_t x)
{
	w->v[n].val.u = x;
	w->have |= UINT64_C(1) << n;
}

/* When what it tells of happened: the end of a flow, or the event. */
static inline uint64_t
raw_at(const struct ct_raw *w)
{
	uint64_t ns = raw_num_or(w, w->event == CTF_DESTROY ? R_STOP : R_EVENT_NS, w->rx_ns);

	return ns < w->rx_ns ? ns : w->rx_ns;
}

/* Timeouts run in ticks of up to 10 ms, time stamps do not. */
#define CT_TICKS_NS (20 * UINT64_C(1000000))

struct ct_span {           /* seconds; 0 0: not known */
	uint32_t min, max; /* either of them, */
	bool between;      /* or anything in between */
};

/* ct_times.c: the timeout in force when the entry had its last packet. */
struct ct_span ct_timeout(const struct ct_times *, const struct ct_raw *, uint64_t stop);
/* Who the flow is, of a DESTROY. */
void ct_ident(struct ct_ident *, const struct ct_raw *);
/* The computed fields of a record: start, end, last packet, reason. */
void ct_end(const struct ct_input *, const struct ct_raw *, struct ctf_rec *);

#endif
