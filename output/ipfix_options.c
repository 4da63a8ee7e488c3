/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipfix_options.c - what was lost and what was watched, as options records.
 *
 * A gap is an Exporting Process Reliability record (RFC 7011 section 4.3): the
 * flows not sent so far, and the time of this loss.  How many this one took,
 * how sure that is, and why, IANA has no elements for; nor has it for events
 * the input never got (section 4.2 counts packets, which conntrack cannot
 * know), and for coverage.  These take the project's enterprise number.
 */
#include "ipfix.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define STRETCHES (sizeof(((struct ipfix_told *)0)->covered) / sizeof(uint64_t))
#define TEXT_MOST 180u /* octets */
#define CAUSE_MOST 64u

/* ---- writing ------------------------------------------------------------------ */

static uint8_t *
put32(uint8_t *p, uint32_t x)
{
	ipfix_put32(p, x);
	return p + 4;
}

static uint8_t *
put64(uint8_t *p, uint64_t x)
{
	return put32(put32(p, (uint32_t)(x >> 32)), (uint32_t)x);
}

static uint8_t *
put_msec(uint8_t *p, uint64_t ns)
{
	return put64(p, ns / 1000000);
}

/* Octets of a text that is cut, if it must be, between two characters (UTF-8). */
static uint8_t
text_len(const char *text, uint32_t most)
{
	size_t n = strnlen(text, most + 1);

	if (n > most)
		for (n = most; n && ((uint8_t)text[n] & 0xc0) == 0x80;)
			n--;
	return (uint8_t)n;
}

unsigned
ipfix_char(const uint8_t *p, unsigned left)
{
	unsigned n = *p < 0x80   ? 1
		     : *p < 0xc2 ? 0
		     : *p < 0xe0 ? 2
		     : *p < 0xf0 ? 3
		     : *p < 0xf5 ? 4
				 : 0;

	if (n > left)
		return 0;
	for (unsigned i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) ||
	    (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

/*
 * Below 255 octets the length is one octet (RFC 7011 section 7).  What is not
 * UTF-8 becomes question marks (section 6.1.6).
 */
static uint8_t *
put_text(uint8_t *p, const char *text, uint8_t len)
{
	uint8_t *end = p + 1 + len;

	*p++ = len;
	memcpy(p, text, len);
	while (p < end) {
		unsigned n = ipfix_char(p, (unsigned)(end - p));

		if (!n)
			*p = '?';
		p += n ? n : 1;
	}
	return end;
}

static uint32_t
domain_of(const struct ipfix_conf *c, int nsid)
{
	return (uint32_t)(nsid < 0 ? c->oid : c->oid + 1 + (unsigned)nsid);
}

void
ipfix_told_init(struct ipfix_told *told, const char *self)
{
	struct timespec up = { 0 };

	(void)clock_gettime(CLOCK_BOOTTIME, &up);
	told->self = self;
	(void)gethostname(told->host, sizeof(told->host) - 1);
	told->boot_ns = ctf_now() - (uint64_t)up.tv_sec * 1000000000u - (uint64_t)up.tv_nsec;
}

/* ---- gaps ---------------------------------------------------------------------- */

/* Of a domain; NULL: too many. */
static struct ipfix_lost *
lost_of(struct ipfix_told *told, uint32_t domain)
{
	for (unsigned i = 0; i < told->nlost; i++)
		if (told->by[i].domain == domain)
			return &told->by[i];
	if (told->nlost == IPFIX_DOMAINS)
		return NULL;
	told->by[told->nlost].domain = domain;
	return &told->by[told->nlost++];
}

void
ipfix_told_go_on(struct ipfix_told *told, struct ipfix_told *before)
{
	told->lost += before->lost - before->passed;
	before->passed = before->lost;
	for (unsigned i = 0; i < before->nlost; i++) {
		struct ipfix_lost *b = &before->by[i], *l = lost_of(told, b->domain);

		if (!l)
			continue;
		if (b->first_ns && (!l->first_ns || b->first_ns < l->first_ns))
			l->first_ns = b->first_ns;
		l->last_ns = l->last_ns > b->last_ns ? l->last_ns : b->last_ns;
		l->flows += b->flows - b->passed;
		b->passed = b->flows;
	}
}

/* What the input lost, in this domain and so far: section 4.2. */
static void
tell_metering(struct ipfix_told *told, const struct ctf_gap *g, struct ctf_frame *f)
{
	struct ipfix_lost *l = lost_of(told, f->stream);
	uint8_t *p = l ? ipfix_room(f, IPFIX_METERING_ID, 4 + 4 + 8 + 8 + 8) : NULL;

	if (!p)
		return;
	if (!l->first_ns || g->from_ns < l->first_ns)
		l->first_ns = g->from_ns;
	if (g->to_ns > l->last_ns)
		l->last_ns = g->to_ns;
	if (g->count != CTF_UNKNOWN)
		l->flows += g->count - g->told;
	p = put32(p, f->stream);
	p = put32(p, (uint32_t)getpid());
	p = put_msec(p, l->first_ns);
	p = put_msec(p, l->last_ns);
	put64(p, l->flows);
}

enum ctf_put
ipfix_gap(struct ipfix_told *told, const struct ipfix_conf *c, const struct ctf_gap *g,
	  struct ctf_frame *f)
{
	uint8_t cause = text_len(g->cause, CAUSE_MOST);
	uint32_t len = 4 + 8 + 8 + 8 + (c->pen ? 8 + 1 + 1 + cause : 0);
	uint8_t *p = ipfix_room(f, IPFIX_GAP_ID, len);

	if (!p)
		return CTF_FULL;
	if (g->count != CTF_UNKNOWN)
		told->lost += g->count - g->told;
	f->stream = domain_of(c, g->nsid);
	p = put32(p, (uint32_t)getpid());
	p = put64(p, told->lost);
	p = put_msec(p, g->from_ns);
	p = put_msec(p, g->to_ns);
	if (!c->pen)
		return CTF_OK;
	p = put64(p, g->count);
	*p++ = (uint8_t)g->count_is;
	put_text(p, g->cause, cause);
	if (g->count && strcmp(g->instance, told->self) != 0)
		tell_metering(told, g, f);
	return CTF_OK;
}

#define TOTAL_AT (IPFIX_HEADER + IPFIX_SET + 4u) /* octets into a frame */

void
ipfix_gap_total(const struct ctf_frame *f, uint64_t *most)
{
	uint64_t total;

	if (f->len < TOTAL_AT + 8 || ipfix_get16(f->p + IPFIX_HEADER) != IPFIX_GAP_ID)
		return;
	total = (uint64_t)ipfix_get32(f->p + TOTAL_AT) << 32 | ipfix_get32(f->p + TOTAL_AT + 4);
	if (total < *most)
		put64(f->p + TOTAL_AT, *most);
	else
		*most = total;
}

/* ---- coverage ------------------------------------------------------------------- */

/* The same stretch is told once, not at every sign of life. */
static bool
is_known(const struct ipfix_told *told, const struct ctf_coverage *c, uint64_t h)
{
	for (unsigned i = 0; i < STRETCHES && i < told->n; i++)
		if (told->covered[i] == h && !c->to_ns)
			return true;
	return false;
}

static uint64_t
stretch_of(const struct ctf_coverage *c, const char *text)
{
	uint64_t h = ctf_hash(CTF_HASH, text, strlen(text));

	h = ctf_hash(h, c->instance, strlen(c->instance));
	h = ctf_hash(h, &c->nsid, sizeof(c->nsid));
	return ctf_hash(h, &c->from_ns, sizeof(c->from_ns));
}

static const char *
word(const char *text)
{
	return text && *text ? text : "?";
}

static void
describe(const struct ctf_coverage *c, char *text, size_t size)
{
	snprintf(text, size,
		 "exporter=%s input=%s netns=%s events=%" PRIu32
		 " acct=%d timestamp=%d ctevents=%d reliable=%d gro=%d offload=%d clock=%d"
		 " boot=%.8s kernel=%s",
		 word(c->exporter), word(c->instance), word(c->netns), c->event_mask, c->acct,
		 c->timestamp, c->events, c->reliable, c->gro, c->offload,
		 c->clock_synchronised, word(c->boot_id), word(c->abilities));
}

/* Who watches: the host, or a namespace of it. */
static uint8_t
name_of(const struct ctf_coverage *c, char *name, size_t size)
{
	const char *netns = word(c->netns), *base = strrchr(netns, '/');
	bool named = c->netns && *c->netns;

	if (!c->exporter || !*c->exporter || (c->nsid >= 0 && !named))
		return 0;
	snprintf(name, size, "%s%s%s", c->exporter, named ? "/" : "",
		 !named ? ""
		 : base ? base + 1
			: netns);
	return text_len(name, IPFIX_NAME_MOST);
}

/* The name of the frame's domain, when it is new. */
static bool
tell_name(struct ipfix_told *told, const char *name, uint8_t len, struct ctf_frame *f)
{
	uint64_t h = ctf_hash(ctf_hash(CTF_HASH, &f->stream, sizeof(f->stream)), name, len);
	uint8_t *p;

	for (unsigned i = 0; i < STRETCHES && i < told->nnamed; i++)
		if (told->named[i] == h)
			return false;
	p = len ? ipfix_room(f, IPFIX_NAME_ID, 4u + 8 + 1 + len) : NULL;
	if (!p)
		return false;
	told->named[told->nnamed++ % STRETCHES] = h;
	p = put32(p, f->stream);
	p = put_msec(p, told->boot_ns);
	put_text(p, name, len);
	return true;
}

bool
ipfix_tell_netns(struct ipfix_told *told, const union ctf_val *netns, struct ctf_frame *f)
{
	char name[2 * IPFIX_NAME_MOST + sizeof(told->host)];

	if (!*told->host || !netns->s.len)
		return false;
	snprintf(name, sizeof(name), "%s/%.*s", told->host,
		 (int)(netns->s.len < IPFIX_NAME_MOST ? netns->s.len : IPFIX_NAME_MOST),
		 (const char *)netns->s.p);
	return tell_name(told, name, text_len(name, IPFIX_NAME_MOST), f);
}

void
ipfix_untell_name(struct ipfix_told *told)
{
	told->named[--told->nnamed % STRETCHES] = 0;
}

static bool
tell_coverage(struct ipfix_told *told, const struct ctf_coverage *c, struct ctf_frame *f)
{
	const char *selection = c->selection ? c->selection : "";
	char text[512];
	/* both texts fit the smallest message */
	uint32_t used = (f->len ? f->len : IPFIX_HEADER) + IPFIX_SET + 4 + 8 + 8 + 1 + 1;
	uint32_t most = (f->cap - used) / 2 < TEXT_MOST ? (f->cap - used) / 2 : TEXT_MOST;
	uint8_t chosen = text_len(selection, most), said;
	uint64_t h;
	uint8_t *p;

	describe(c, text, sizeof(text));
	h = stretch_of(c, text);
	if (is_known(told, c, h))
		return false;
	said = text_len(text, most);
	p = ipfix_room(f, IPFIX_COVERAGE_ID, 4u + 8 + 8 + 1 + chosen + 1 + said);
	if (!p)
		return false;
	told->covered[told->n++ % STRETCHES] = h;
	p = put32(p, f->stream);
	p = put_msec(p, c->from_ns);
	p = put_msec(p, c->to_ns ? c->to_ns : c->last_alive_ns);
	p = put_text(p, selection, chosen);
	put_text(p, text, said);
	return true;
}

enum ctf_put
ipfix_coverage(struct ipfix_told *told, const struct ipfix_conf *conf,
	       const struct ctf_coverage *c, struct ctf_frame *f)
{
	char name[2 * IPFIX_NAME_MOST];
	bool told_it;

	f->stream = domain_of(conf, c->nsid);
	told_it = conf->options_interval &&
		  tell_name(told, name, name_of(c, name, sizeof(name)), f);
	if (conf->pen && tell_coverage(told, c, f))
		told_it = true;
	return told_it ? CTF_OK : CTF_SKIP;
}
