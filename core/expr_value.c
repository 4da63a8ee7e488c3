/* SPDX-License-Identifier: GPL-2.0-or-later */
/* expr_value.c - one value of an expression: addresses, numbers and names. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "expr.h"
#include "opt.h"

#define WORD_MAX 128u

struct name {
	const char *name;
	uint64_t number;
};

/* The first name of a number is the one printed.  /etc/protocols may be missing. */
static const struct name protos[] = {
	{ "icmp", IPPROTO_ICMP },        { "igmp", IPPROTO_IGMP },
	{ "tcp", IPPROTO_TCP },          { "udp", IPPROTO_UDP },
	{ "dccp", IPPROTO_DCCP },        { "gre", IPPROTO_GRE },
	{ "esp", IPPROTO_ESP },          { "ah", IPPROTO_AH },
	{ "icmp6", IPPROTO_ICMPV6 },     { "icmpv6", IPPROTO_ICMPV6 },
	{ "ipv6-icmp", IPPROTO_ICMPV6 }, { "sctp", IPPROTO_SCTP },
	{ "udplite", IPPROTO_UDPLITE },
};

static const struct name families[] = {
	{ "ipv4", 4 }, { "ip4", 4 }, { "inet", 4 },  { "ip", 4 },
	{ "ipv6", 6 }, { "ip6", 6 }, { "inet6", 6 },
};

/* Bits of ct.status; IPS_* of the kernel. */
static const struct name bits[] = {
	{ "expected", 1u << 0 },    { "seen-reply", 1u << 1 },     { "assured", 1u << 2 },
	{ "confirmed", 1u << 3 },   { "snat", 1u << 4 },           { "dnat", 1u << 5 },
	{ "seqadj", 1u << 6 },      { "snat-done", 1u << 7 },      { "dnat-done", 1u << 8 },
	{ "dying", 1u << 9 },       { "fixed-timeout", 1u << 10 }, { "template", 1u << 11 },
	{ "nat-clash", 1u << 12 },  { "helper", 1u << 13 },        { "offload", 1u << 14 },
	{ "hw-offload", 1u << 15 },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *
name_of(const struct name *t, size_t n, uint64_t number)
{
	for (size_t i = 0; i < n; i++)
		if (t[i].number == number)
			return t[i].name;
	return NULL;
}

static int
number_of(const struct name *t, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (!strcasecmp(t[i].name, word))
			return (int)t[i].number;
	return -1;
}

static int
of_token(const struct name *t, size_t n, const struct expr_token *word)
{
	for (size_t i = 0; i < n; i++)
		if (expr_is(word, t[i].name))
			return (int)t[i].number;
	return -1;
}

int
expr_proto(const struct expr_token *t)
{
	return of_token(protos, COUNT(protos), t);
}

int
expr_family(const struct expr_token *t)
{
	return of_token(families, COUNT(families), t);
}

const char *
expr_proto_name(unsigned i)
{
	return i < COUNT(protos) ? protos[i].name : NULL;
}

uint64_t
expr_value_max(enum expr_kind kind)
{
	switch (kind) {
	case K_PORT:
	case K_ZONE:
		return UINT16_MAX;
	case K_PROTO:
	case K_ICMP:
		return UINT8_MAX;
	case K_MARK:
	case K_STATUS:
		return UINT32_MAX;
	default:
		return UINT64_MAX;
	}
}

/* ---- reading --------------------------------------------------------------- */

struct reader {
	enum expr_kind kind;
	char word[WORD_MAX];
	struct expr_value *v;
	char *why;
	size_t size;
};

__attribute__((format(printf, 2, 3))) static int
wrong(const struct reader *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->why, r->size, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int
read_prefix_len(const struct reader *r, const char *text, unsigned most, unsigned *ret_len)
{
	size_t n = strspn(text, "0123456789");
	unsigned len = n && n <= 3 && !text[n] ? (unsigned)atoi(text) : UINT16_MAX;

	if (len > most)
		return wrong(r, "\"%s\" is not a prefix length, 0 to %u", text, most);
	*ret_len = len;
	return 0;
}

static void
put_ip4(struct expr_value *v, const uint8_t *ip, unsigned len)
{
	uint32_t x, rest = len ? (uint32_t)((UINT64_C(1) << (32 - len)) - 1) : UINT32_MAX;

	memcpy(&x, ip, sizeof(x));
	x = ntohl(x);
	v->type = V_NUMBERS;
	v->span.lo = x & ~rest;
	v->span.hi = x | rest;
	v->net = len < 32;
}

static void
put_ip6(struct expr_value *v, const uint8_t *ip, unsigned len)
{
	v->type = V_NET6;
	memcpy(v->net6.ip, ip, 16);
	for (unsigned bit = len; bit < 128; bit++)
		v->net6.ip[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
	v->net6.len = (uint8_t)len;
	v->net = len < 128;
}

static int
read_addr(struct reader *r)
{
	char *slash = strchr(r->word, '/');
	bool six = strchr(r->word, ':') != NULL;
	unsigned most = six ? 128 : 32, len = most;
	uint8_t ip[16];

	if (slash)
		*slash = '\0';
	if (inet_pton(six ? AF_INET6 : AF_INET, r->word, ip) != 1)
		return wrong(r, "\"%s\" is not an IPv4 or IPv6 address%s", r->word,
			     strspn(r->word, "0123456789.") == strlen(r->word)
				     ? "; write all four numbers"
				     : "");
	if (slash && read_prefix_len(r, slash + 1, most, &len) < 0)
		return -EINVAL;
	if (six)
		put_ip6(r->v, ip, len);
	else
		put_ip4(r->v, ip, len);
	return 0;
}

static const char *
what_it_is(enum expr_kind kind)
{
	switch (kind) {
	case K_PORT:
		return "a port, 0 to 65535 or a name of /etc/services";
	case K_PROTO:
		return "a protocol, 0 to 255 or a name of /etc/protocols";
	case K_ICMP:
		return "a number from 0 to 255";
	case K_FAMILY:
		return "a family, ipv4 or ipv6";
	case K_MARK:
		return "a mark, a number of 32 bits or NUMBER/MASK";
	case K_ZONE:
		return "a zone, 0 to 65535";
	case K_STATUS:
		return "a status, a word such as assured or seen-reply, or NUMBER/MASK";
	case K_BYTES:
		return "a size, as 4096, 64K or 1M";
	case K_PACKETS:
		return "a number";
	case K_DURATION:
		return "a time, as 10 (seconds), 500ms or 5m";
	case K_ADDR:
		break;
	}
	return "an address";
}

/* Names where the kind has some; then *ret_x, which may be a bit of many. */
static bool
read_name(const struct reader *r, uint64_t *ret_x)
{
	const struct protoent *proto;
	const struct servent *service;
	int n = -1;

	if (r->kind == K_FAMILY)
		n = number_of(families, COUNT(families), r->word);
	else if (r->kind == K_STATUS)
		n = number_of(bits, COUNT(bits), r->word);
	else if (r->kind == K_PROTO)
		n = number_of(protos, COUNT(protos), r->word);
	if (n < 0 && r->kind == K_PROTO && (proto = getprotobyname(r->word)))
		n = proto->p_proto;
	if (n < 0 && r->kind == K_PORT && (service = getservbyname(r->word, NULL)))
		n = ntohs((uint16_t)service->s_port);
	if (n < 0 || (uint64_t)n > expr_value_max(r->kind))
		return false;
	*ret_x = (uint64_t)n;
	return true;
}

static int
read_number(const struct reader *r, const char *text, uint64_t *ret_x)
{
	enum ctf_otype type = r->kind == K_BYTES      ? CTF_OSIZE
			      : r->kind == K_DURATION ? CTF_OMSEC
						      : CTF_OUINT;
	int ret = opt_number(type, text, ret_x);

	if (ret == -ERANGE || (ret == 0 && *ret_x > expr_value_max(r->kind)) ||
	    (ret == 0 && r->kind == K_FAMILY && *ret_x != 4 && *ret_x != 6))
		return wrong(r, "%s is out of range: expected %s", text, what_it_is(r->kind));
	if (ret < 0)
		return wrong(r, "\"%s\" is not %s", text, what_it_is(r->kind));
	return 0;
}

/* VALUE/MASK */
static int
read_masked(struct reader *r, char *slash)
{
	struct ctf_masked m;

	*slash = '\0';
	if (read_number(r, r->word, &m.value) < 0 || read_number(r, slash + 1, &m.mask) < 0)
		return -EINVAL;
	if (m.value & ~m.mask)
		return wrong(r, "%s has bits outside of the mask %s: it can never fit", r->word,
			     slash + 1);
	r->v->type = V_MASKED;
	r->v->masked = m;
	return 0;
}

static int
read_span(struct reader *r)
{
	struct ctf_span *s = &r->v->span;
	bool words = r->kind == K_FAMILY || r->kind == K_STATUS;
	char *dash = words ? NULL : strchr(r->word, '-');

	if (dash)
		*dash = '\0';
	if (read_number(r, r->word, &s->lo) < 0)
		return -EINVAL;
	s->hi = s->lo;
	if (dash && read_number(r, dash + 1, &s->hi) < 0)
		return -EINVAL;
	if (s->lo > s->hi)
		return wrong(r, "%s-%s is the wrong way round", r->word, dash + 1);
	return 0;
}

static int
no_such_word(const struct reader *r)
{
	const struct name *t = r->kind == K_STATUS  ? bits
			       : r->kind == K_PROTO ? protos
						    : families;
	size_t n = r->kind == K_STATUS   ? COUNT(bits)
		   : r->kind == K_PROTO  ? COUNT(protos)
		   : r->kind == K_FAMILY ? COUNT(families)
					 : 0;
	const char *names[COUNT(bits)], *near;

	_Static_assert(COUNT(bits) >= COUNT(protos), "room in names");
	for (size_t i = 0; i < n; i++)
		names[i] = t[i].name;
	near = n ? opt_nearest(r->word, names, n) : NULL;
	if (near)
		return wrong(r, "\"%s\" is not %s; is \"%s\" meant?", r->word,
			     what_it_is(r->kind), near);
	return wrong(r, "\"%s\" is not %s", r->word, what_it_is(r->kind));
}

int
expr_value(enum expr_kind kind, const char *word, size_t len, struct expr_value *ret_value,
	   char *why, size_t size)
{
	struct expr_value v = { .type = V_NUMBERS };
	struct reader r = { .kind = kind, .v = &v, .why = why, .size = size };
	bool digit = len && *word >= '0' && *word <= '9';
	char *slash;
	int ret = 0;

	if (len >= sizeof(r.word))
		return wrong(&r, "\"%.20s...\" is too long", word);
	memcpy(r.word, word, len);
	r.word[len] = '\0';
	slash = strchr(r.word, '/');
	if (kind == K_ADDR) {
		ret = read_addr(&r);
	} else if (!digit && read_name(&r, &v.span.lo)) {
		v.span.hi = v.masked.value = v.masked.mask = v.span.lo;
		if (kind == K_STATUS)
			v.type = V_MASKED;
	} else if (slash && (kind == K_MARK || kind == K_STATUS)) {
		ret = read_masked(&r, slash);
	} else if (digit) {
		ret = read_span(&r);
	} else {
		ret = no_such_word(&r);
	}
	if (ret == 0)
		*ret_value = v;
	return ret;
}

/* ---- printing ---------------------------------------------------------------- */

static void
addr_text(const struct expr_value *v, char *text, size_t size)
{
	bool six = v->type == V_NET6;
	unsigned len = six ? v->net6.len : 32;
	uint32_t ip4 = htonl((uint32_t)v->span.lo);
	char ip[CTF_FMT_IP + 1];

	for (uint64_t rest = six ? 0 : v->span.hi - v->span.lo; rest; rest >>= 1)
		len--;
	*ctf_fmt_ip(ip, six ? v->net6.ip : (const uint8_t *)&ip4, six ? AF_INET6 : AF_INET) =
		'\0';
	if (v->net)
		snprintf(text, size, "%s/%u", ip, len);
	else
		snprintf(text, size, "%s", ip);
}

static void
number_text(enum expr_kind kind, uint64_t x, char *text, size_t size)
{
	const char *name = kind == K_PROTO    ? name_of(protos, COUNT(protos), x)
			   : kind == K_FAMILY ? name_of(families, COUNT(families), x)
					      : NULL;

	if (name)
		snprintf(text, size, "%s", name);
	else if (kind == K_MARK || kind == K_STATUS)
		snprintf(text, size, "0x%" PRIx64, x);
	else
		snprintf(text, size, "%" PRIu64 "%s", x, kind == K_DURATION ? "ms" : "");
}

void
expr_value_text(enum expr_kind kind, const struct expr_value *v, char *text, size_t size)
{
	char lo[32], hi[32];

	if (kind == K_ADDR) {
		addr_text(v, text, size);
	} else if (v->type == V_MASKED) {
		const struct ctf_masked *m = &v->masked;
		const char *name = m->value == m->mask && kind == K_STATUS
					   ? name_of(bits, COUNT(bits), m->mask)
					   : NULL;

		if (name)
			snprintf(text, size, "%s", name);
		else
			snprintf(text, size, "0x%" PRIx64 "/0x%" PRIx64, m->value, m->mask);
	} else if (v->span.lo == v->span.hi) {
		number_text(kind, v->span.lo, text, size);
	} else { /* names would need blanks around the dash */
		number_text(kind == K_PROTO ? K_PORT : kind, v->span.lo, lo, sizeof(lo));
		number_text(kind == K_PROTO ? K_PORT : kind, v->span.hi, hi, sizeof(hi));
		snprintf(text, size, "%s-%s", lo, hi);
	}
}
