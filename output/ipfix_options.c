/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipfix_options.c - what was lost and what was watched, as options records.
 *
 * A gap is an Exporting Process Reliability record (RFC 7011 section 4.3): the
 * flows not sent so far, and the time of this loss.  How many this one took,
 * how sure that is, and why, IANA has no elements for; nor has it for
 * coverage.  These take the project's enterprise number.
 */
#include "ipfix.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define STRETCHES (sizeof(((struct ipfix_told *)0)->covered) / sizeof(uint64_t))
#define TEXT_MOST 180u /* octets */

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

/* Below 255 octets the length is one octet (RFC 7011 section 7). */
static uint8_t *
put_text(uint8_t *p, const char *text, uint8_t len)
{
	*p = len;
	memcpy(p + 1, text, len);
	return p + 1 + len;
}

static uint32_t
domain_of(const struct ipfix_conf *c, int nsid)
{
	return (uint32_t)(nsid < 0 ? c->oid : c->oid + 1 + (unsigned)nsid);
}

/* ---- gaps ---------------------------------------------------------------------- */

enum ctf_put
ipfix_gap(struct ipfix_told *told, const struct ipfix_conf *c, const struct ctf_gap *g,
	  struct ctf_frame *f)
{
	uint8_t cause = text_len(g->cause, TEXT_MOST);
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

enum ctf_put
ipfix_coverage(struct ipfix_told *told, const struct ipfix_conf *conf,
	       const struct ctf_coverage *c, struct ctf_frame *f)
{
	const char *selection = c->selection ? c->selection : "";
	char text[512];
	/* both texts fit the smallest message */
	uint32_t fixed = IPFIX_HEADER + IPFIX_SET + 4 + 8 + 8 + 1 + 1;
	uint32_t most = (f->cap - fixed) / 2 < TEXT_MOST ? (f->cap - fixed) / 2 : TEXT_MOST;
	uint8_t chosen = text_len(selection, most), said;
	uint64_t h;
	uint8_t *p;

	if (!conf->pen)
		return CTF_SKIP;
	describe(c, text, sizeof(text));
	h = stretch_of(c, text);
	if (is_known(told, c, h))
		return CTF_SKIP;
	said = text_len(text, most);
	p = ipfix_room(f, IPFIX_COVERAGE_ID, 4u + 8 + 8 + 1 + chosen + 1 + said);
	if (!p)
		return CTF_FULL;
	told->covered[told->n++ % STRETCHES] = h;
	f->stream = domain_of(conf, c->nsid);
	p = put32(p, f->stream);
	p = put_msec(p, c->from_ns);
	p = put_msec(p, c->to_ns ? c->to_ns : c->last_alive_ns);
	p = put_text(p, selection, chosen);
	put_text(p, text, said);
	return CTF_OK;
}
