/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctflow/expr.h - expressions that choose flows; part of ctflow/plugin.h.
 *
 *   src net 10.0.0.0/8 and (dst port 443 or proto udp) and not mark 0x10/0xf0
 *
 * A test on a field that a record does not have is false; mark, zone and
 * status are 0 then.  ctflowd.conf(5) has the language.
 */
#ifndef CTFLOW_EXPR_H
#define CTFLOW_EXPR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ctf_ctx;
struct ctf_err;
struct ctf_rec;
struct ctf_expr;  /* what was written; never changes */
struct ctf_match; /* the same, bound to the slots of one object */

/*
 * During probe() or setup(): parses `text`, which the option `opt` gave, and
 * reads the files it names.  Returns 0, -ENOMEM, or -EINVAL with the place of
 * the mistake.
 */
CTF_API int ctf_expr_parse(const struct ctf_ctx *, const char *opt, const char *text,
			   struct ctf_expr **ret_expr, struct ctf_err *err);
/* a becomes "a and b", and b is gone; 0, or -ENOMEM: both are as they were. */
CTF_API int ctf_expr_and(struct ctf_expr *a, struct ctf_expr *b);
/* The same in one standard form, which parses back to the same. */
CTF_API const char *ctf_expr_text(const struct ctf_expr *);
CTF_API void ctf_expr_free(struct ctf_expr *); /* NULL: nothing */

/*
 * During setup(): wants the fields the expression looks at, and no others.
 * The match borrows from the expression.  Returns 0, -ENOENT when nobody
 * upstream gives one of them, or -errno.
 */
CTF_API int ctf_expr_bind(struct ctf_ctx *, const struct ctf_expr *,
			  struct ctf_match **ret_match, struct ctf_err *err);
CTF_API bool ctf_match(const struct ctf_match *, const struct ctf_rec *);
CTF_API void ctf_match_free(struct ctf_match *); /* NULL: nothing */

/* ---- a look inside, for those who translate it ---------------------------- */

enum ctf_node_type {
	CTF_ALL, /* of its children; one at least */
	CTF_ANY,
	CTF_NOT, /* of its only child */
	CTF_TEST,
};

/* What a test looks at.  With several, one that fits is enough. */
enum ctf_subject {
	CTF_S_SRC, /* addresses of the original tuple */
	CTF_S_DST,
	CTF_S_NAT_SRC, /* of the translated side: destination of replies */
	CTF_S_NAT_DST,
	CTF_S_SPORT,
	CTF_S_DPORT,
	CTF_S_NAT_SPORT,
	CTF_S_NAT_DPORT,
	CTF_S_PROTO,
	CTF_S_ICMP_TYPE,
	CTF_S_ICMP_CODE,
	CTF_S_ICMP6_TYPE,
	CTF_S_ICMP6_CODE,
	CTF_S_FAMILY, /* 4 or 6 */
	CTF_S_MARK,   /* absent is 0, as are the next two */
	CTF_S_ZONE,
	CTF_S_STATUS,
	CTF_S_BYTES, /* of both directions */
	CTF_S_SRC_BYTES,
	CTF_S_DST_BYTES,
	CTF_S_PACKETS,
	CTF_S_SRC_PACKETS,
	CTF_S_DST_PACKETS,
	CTF_S_DURATION, /* ms */
	CTF_SUBJECTS
};

struct ctf_span {
	uint64_t lo, hi; /* both included */
};

struct ctf_masked {
	uint64_t value, mask; /* (x & mask) == value */
};

struct ctf_net6 {
	uint8_t ip[16]; /* no bit behind the prefix is set */
	uint8_t len;
};

struct ctf_set {                     /* one of these must fit */
	const struct ctf_span *span; /* ascending, apart; of addresses: IPv4 */
	size_t nspans;
	const struct ctf_net6 *net6; /* ascending, none in another */
	size_t nnets6;
	const struct ctf_masked *masked;
	size_t nmasked;
};

struct ctf_node {
	enum ctf_node_type type;
	const struct ctf_node *child; /* the first; NULL: a test */
	const struct ctf_node *next;  /* its next sibling */
	uint32_t of;                  /* bit 1 << CTF_S_x each */
	const struct ctf_set *set;
	const char *text; /* the test as ctf_expr_text() has it */
};

CTF_API const struct ctf_node *ctf_expr_root(const struct ctf_expr *);

#endif
