/* SPDX-License-Identifier: GPL-2.0-or-later */
/* expr_parse.h - between the grammar (expr_parse.c) and its tests (expr_test.c). */
#ifndef CTF_EXPR_PARSE_H
#define CTF_EXPR_PARSE_H

#include <netinet/in.h>

#include "expr.h"

enum expr_dir { D_EITHER, D_SRC, D_DST, D_ONE /* src or dst */, D_BOTH /* src and dst */ };
enum expr_side { S_PLAIN, S_NAT, S_ANY };

struct expr_subject { /* zeroed: host */
	enum expr_kind kind;
	enum expr_dir dir;
	enum expr_side side;
	enum ctf_subject icmp;
};

struct expr_parser {
	const struct ctf_ctx *ctx;
	const char *opt, *text;
	struct ctf_err *err;
	struct expr_token tok;    /* the one to look at */
	struct expr_subject last; /* what the last test looked at */
	struct ctf_expr *e;
	unsigned depth;
	int failed; /* -errno, err is filled */
};

/* Only the first mistake counts. */
__attribute__((format(printf, 3, 4))) void expr_fail(struct expr_parser *, const char *at,
						     const char *fmt, ...);
/* From the operator or the values on; NULL: failed. */
struct ctf_node *expr_test(struct expr_parser *, const struct expr_subject *);
/* A test for one number. */
struct ctf_node *expr_test_fixed(struct expr_parser *, const struct expr_subject *,
				 uint64_t number);

#endif
