/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctflow/record.h - part of ctflow/plugin.h: fields, records, batches. */
#ifndef CTFLOW_RECORD_H
#define CTFLOW_RECORD_H

typedef uint8_t ctf_ref; /* slot number in a record, fixed at graph build */
#define CTF_SLOTS 127u   /* fields the records of one input may carry */
#define CTF_NONE 127u    /* the slot of a field nobody gives or nobody wants */

enum ctf_type {
	CTF_U8 = 1,
	CTF_U16,
	CTF_U32,
	CTF_U64,
	CTF_TIME,  /* ns since 1970 in .u */
	CTF_IP,    /* .ip: 4 or 16 bytes by the record's family */
	CTF_TEXT,  /* .s: UTF-8 not guaranteed, not NUL-terminated */
	CTF_BYTES, /* .s */
};

enum {
	CTF_F_ULOGD = 1, /* one of ulogd2's keys: wildcard outputs take it */
	CTF_F_ZERO = 2,  /* ulogd2 prints 0 when absent; so do its text formats */
};

#define CTF_PEN_REVERSE 29305u /* RFC 5103 section 6.1 */
#define CTF_PEN_NETFILTER 21373u

struct ctf_field {        /* one entry of the field dictionary, core/field.c */
	const char *name; /* "orig.ip.saddr" */
	enum ctf_type type;
	unsigned flags;    /* CTF_F_* */
	uint16_t ie4, ie6; /* IPFIX element, 0 = none; ie6 only for CTF_IP */
	uint32_t pen;      /* 0 = IANA */
	const char *cim;   /* the name ulogd2's JSON gives it, or NULL */
	const char *doc;   /* one line */
};

union ctf_val {
	uint64_t u;
	uint8_t ip[16];
	struct {
		const void *p; /* borrowed until the end of the batch */
		uint32_t len;
	} s;
};

enum { CTF_NEW = 1, CTF_UPDATE = 2, CTF_DESTROY = 4 }; /* as ct.event */

/*
 * Why there is a record.  While a long flow lives, sweeps over the table make
 * records of it whose event is CTF_UPDATE; an output gets at most one of the
 * two kinds, as its option `interim` says.
 */
enum ctf_kind {
	CTF_EVENT,    /* something happened to the flow: ctf_rec.event */
	CTF_PRESENCE, /* it lives; without counters, as consumers add them up */
	CTF_COUNTERS, /* it lives, and has counted so much since it began */
	CTF_DELTA,    /* the same since the sweep before; DESTROY has the remainder */
	CTF_EXTRA,    /* as CTF_EVENT, for outputs alone that called ctf_want_events() */
	CTF_KINDS
};

struct ctf_rec {         /* one event; only wanted fields have a slot */
	uint64_t set[2]; /* bit n: v[n] holds a value; bit 127 stays 0 */
	uint64_t rx_ns;  /* when the event was received */
	uint64_t at_ns;  /* when it happened, not after rx_ns; 0: not known */
	uint8_t family;  /* AF_INET or AF_INET6, of both tuples */
	uint8_t event;   /* CTF_NEW, CTF_UPDATE or CTF_DESTROY */
	uint8_t kind;    /* enum ctf_kind */
	union ctf_val v[];
};

struct ctf_batch; /* records, and the memory they borrow from */

static inline bool
ctf_has(const struct ctf_rec *r, ctf_ref f)
{
	return r->set[f >> 6] >> (f & 63) & 1;
}

/* Only after ctf_has() said yes. */
static inline uint64_t
ctf_num(const struct ctf_rec *r, ctf_ref f)
{
	return r->v[f].u;
}

/* The number, or `absent` where the record has none. */
static inline uint64_t
ctf_num_or(const struct ctf_rec *r, ctf_ref f, uint64_t absent)
{
	return ctf_has(r, f) ? r->v[f].u : absent;
}

static inline void
ctf_mark_set(struct ctf_rec *r, ctf_ref f)
{
	r->set[f >> 6] |= UINT64_C(1) << (f & 63);
}

static inline void
ctf_put_num(struct ctf_rec *r, ctf_ref f, uint64_t x)
{
	if (f != CTF_NONE) { /* an unwanted result costs one compare */
		r->v[f].u = x;
		ctf_mark_set(r, f);
	}
}

/* Copies len (4 or 16) bytes. */
static inline void
ctf_put_ip(struct ctf_rec *r, ctf_ref f, const void *ip, size_t len)
{
	if (f != CTF_NONE) {
		memcpy(r->v[f].ip, ip, len);
		ctf_mark_set(r, f);
	}
}

/* Borrows p until the end of the batch. */
static inline void
ctf_put_bytes(struct ctf_rec *r, ctf_ref f, const void *p, uint32_t len)
{
	if (f != CTF_NONE) {
		r->v[f].s.p = p;
		r->v[f].s.len = len;
		ctf_mark_set(r, f);
	}
}

#endif
