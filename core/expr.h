/* SPDX-License-Identifier: GPL-2.0-or-later */
/* expr.h - what the parts of the expression language share. */
#ifndef CTF_EXPR_H
#define CTF_EXPR_H

#include <ctflow/plugin.h>

struct ctf_expr {
	struct expr_mem *mem;
	const struct ctf_node *root;
	char *text;
};

/* n bytes, zeroed, that live as long as the expression; or NULL. */
void *expr_alloc(struct ctf_expr *, size_t n);
/* The standard form of the tree, to be freed; or NULL. */
char *expr_print(const struct ctf_node *);

/* ---- words (expr_lex.c) ------------------------------------------------- */

enum expr_sign {
	X_END,
	X_WORD, /* also a value, or @FILE */
	X_AND,  /* and && */
	X_OR,   /* or || */
	X_NOT,  /* not ! */
	X_EQ,   /* = == */
	X_NE,
	X_LT,
	X_LE,
	X_GT,
	X_GE,
	X_COMMA,
	X_OPEN, /* ( */
	X_CLOSE,
	X_LIST, /* { [ */
	X_ENDLIST,
	X_BAD, /* a character that belongs nowhere */
};

struct expr_token {
	enum expr_sign sign;
	const char *p;
	size_t len;
};

struct expr_token expr_next(const char *text);
bool expr_is(const struct expr_token *, const char *word);

/* ---- values (expr_value.c) ------------------------------------------------ */

enum expr_kind { /* of what a test looks at */
		 K_ADDR,
		 K_PORT,
		 K_PROTO,
		 K_ICMP,
		 K_FAMILY,
		 K_MARK,
		 K_ZONE,
		 K_STATUS,
		 K_BYTES,
		 K_PACKETS,
		 K_DURATION,
};

struct expr_value {
	enum { V_NUMBERS, V_MASKED, V_NET6 } type;
	struct ctf_span span; /* IPv4 prefixes, too */
	struct ctf_masked masked;
	struct ctf_net6 net6;
	bool net; /* an address with a prefix that is not the whole */
};

/* On failure `why` says what is wrong with the word. */
int expr_value(enum expr_kind, const char *word, size_t len, struct expr_value *ret_value,
	       char *why, size_t size);
/* As it is printed. */
void expr_value_text(enum expr_kind, const struct expr_value *, char *text, size_t size);
/* The largest number that makes sense. */
uint64_t expr_value_max(enum expr_kind);
/* The number of a protocol's name that may stand alone; or -1. */
int expr_proto(const struct expr_token *);
/* 4, 6 or -1. */
int expr_family(const struct expr_token *);
/* Protocols, for suggestions. */
const char *expr_proto_name(unsigned i);

/* ---- sets (expr_set.c) -------------------------------------------------- */

struct expr_set { /* as it is being made; zeroed */
	struct ctf_span *span;
	struct ctf_net6 *net6;
	struct ctf_masked *masked;
	size_t nspans, nnets6, nmasked;
	size_t room[3];
};

int expr_set_add(struct expr_set *, const struct expr_value *);
/* All of a file, one value a word; `why` names file and line. */
int expr_set_file(struct expr_set *, enum expr_kind, const char *path, bool *ret_net, char *why,
		  size_t size);
/* In order, in the memory of the expression; the other is empty again.  NULL: no memory. */
const struct ctf_set *expr_set_done(struct expr_set *, struct ctf_expr *);
void expr_set_free(struct expr_set *);
bool expr_in_spans(const struct ctf_set *, uint64_t x);
bool expr_in_nets6(const struct ctf_set *, const uint8_t *ip);

#endif
