/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipfix_announce.c - what goes out before the flows: templates, and what the
 * sink itself has to say in options records.
 *
 * pmacct wants one Options Template a message, and other readers none beside
 * data; so templates, each Options Template, and records have messages of
 * their own.
 */
#include "ipfix.h"

#include <errno.h>
#include <stdlib.h>

enum kind { TEMPLATES = 2, OPTIONS_TEMPLATE = 3, RECORDS };

enum { S_DOMAIN = 4, S_MESSAGES = 8, S_RECORDS = 16, S_OCTETS = 24, S_LEN = 32 };
/* what is not of the layout: statistics, their template, two records known */
#define MORE_MOST (4 * (IPFIX_HEADER + IPFIX_SET + IPFIX_KNOWN_MOST))

struct build {
	uint8_t *out;
	uint32_t limit, domain;
	uint32_t at, n, records; /* of the message being filled */
	enum kind kind;
};

static enum kind
kind_of(const uint8_t *set)
{
	uint16_t id = ipfix_get16(set);

	return id < RECORDS ? (enum kind)id : RECORDS;
}

/* A message holds the number of its records where the sequence number belongs. */
static uint8_t *
add_set(struct build *b, const uint8_t *set, uint32_t len, uint32_t records)
{
	enum kind kind = kind_of(set);

	if (b->n && (b->n + len > b->limit || kind != b->kind || kind == OPTIONS_TEMPLATE)) {
		b->at += b->n;
		b->n = 0;
	}
	if (!b->n) {
		b->n = IPFIX_HEADER;
		b->records = 0;
		b->kind = kind;
	}
	memcpy(b->out + b->at + b->n, set, len);
	b->n += len;
	b->records += records;
	ipfix_put16(b->out + b->at, 10);
	ipfix_put16(b->out + b->at + 2, (uint16_t)b->n);
	ipfix_put32(b->out + b->at + 4, 0);
	ipfix_put32(b->out + b->at + 8, b->records);
	ipfix_put32(b->out + b->at + 12, b->domain);
	return b->out + b->at + b->n - len;
}

uint32_t
ipfix_set_len(const uint8_t *p, const uint8_t *end)
{
	uint32_t len = end - p >= (ptrdiff_t)IPFIX_SET ? ipfix_get16(p + 2) : 0;

	return len > IPFIX_SET && len <= (size_t)(end - p) ? len : 0;
}

/* ---- statistics: RFC 7011 section 4.1 ------------------------------------------ */

static void
add_statistics_template(struct build *b)
{
	static const uint8_t set[] = { 0, 3, 0, 26, IPFIX_STATISTICS_ID >> 8,
				       IPFIX_STATISTICS_ID & 0xff, 0, 4, 0, 1,
				       /* observationDomainId: messages, flow records, octets */
				       0, 149, 0, 4, 0, 41, 0, 8, 0, 42, 0, 8, 0, 40, 0, 8 };

	add_set(b, set, sizeof(set), 0);
}

/* What it says is filled in by ipfix_stamp(). */
static void
add_statistics(struct build *b)
{
	uint8_t set[S_LEN] = { 0 };

	ipfix_put16(set, IPFIX_STATISTICS_ID);
	ipfix_put16(set + 2, S_LEN);
	ipfix_put32(set + S_DOMAIN, b->domain);
	add_set(b, set, S_LEN, 1);
}

static void
put64(uint8_t *p, uint64_t x)
{
	ipfix_put32(p, (uint32_t)(x >> 32));
	ipfix_put32(p + 4, (uint32_t)x);
}

/* Of all before this message. */
static void
tell_totals(const struct ipfix_total *t, uint8_t *msg)
{
	const uint8_t *end = msg + ipfix_get16(msg + 2);
	uint32_t len;

	for (uint8_t *p = msg + IPFIX_HEADER; (len = ipfix_set_len(p, end)); p += len) {
		if (ipfix_get16(p) != IPFIX_STATISTICS_ID)
			continue;
		put64(p + S_MESSAGES, t->messages);
		put64(p + S_RECORDS, t->flows);
		put64(p + S_OCTETS, t->octets);
	}
}

bool
ipfix_statistics_due(const struct ipfix_sink *s, const struct ipfix_domain *d)
{
	const struct ipfix_conf *c = s->o.conf;

	return c->options_interval && d->announced && d->total &&
	       s->now_ms - d->told_ms >= c->options_interval;
}

uint32_t
ipfix_parting(struct ipfix_sink *s, struct ipfix_domain *d, uint8_t out[IPFIX_PARTING])
{
	const struct ipfix_conf *c = s->o.conf;
	struct build b = { .out = out, .limit = UINT16_MAX, .domain = d->id };

	if (!c->options_interval || !d->announced || !d->total)
		return 0;
	add_statistics(&b);
	ipfix_stamp(s, d, out, out);
	return b.n;
}

/* ---- what the encoder said, once ------------------------------------------------ */

static void
keep(struct ipfix_known *k, uint64_t layout, const uint8_t *set, uint32_t len)
{
	if (len > sizeof(k->set))
		return;
	memcpy(k->set, set, len);
	k->len = len;
	k->layout = layout;
}

void
ipfix_learn(struct ipfix_sink *s, const struct ctf_frame *f)
{
	const uint8_t *p = f->p + IPFIX_HEADER, *end = f->p + f->len;
	const struct ipfix_domain *d;
	uint32_t len;

	if ((f->recs && !ipfix_is_named(f)) || !(d = ipfix_domain(s, f->stream)) || !d->total)
		return;
	for (; (len = ipfix_set_len(p, end)); p += len)
		if (ipfix_get16(p) == IPFIX_NAME_ID)
			keep(&d->total->name, f->layout->id, p, len);
		else if (ipfix_get16(p) == IPFIX_METERING_ID)
			keep(&d->total->lost, f->layout->id, p, len);
}

/* Its template is another one in another layout. */
static void
add_known(struct build *b, const struct ipfix_known *k, uint64_t layout, uint16_t shift)
{
	if (k->len && k->layout == layout)
		ipfix_shift_set(add_set(b, k->set, k->len, 1), shift);
}

/* ---- templates ------------------------------------------------------------------ */

/* A stream needs types once, not in each domain (RFC 5610 section 3.9). */
static bool
types_known(const struct ipfix_sink *s)
{
	for (unsigned i = 0; i < s->domains; i++)
		if (s->domain[i].announced)
			return ipfix_is_stream(s->o.conf);
	return false;
}

static void
add_layout(struct build *b, const struct ctf_layout *l, uint16_t shift, bool types)
{
	const uint8_t *p = l->p, *end = l->p + l->len;
	uint32_t len;

	for (; (len = ipfix_set_len(p, end)); p += len)
		if (types || ipfix_get16(p) != IPFIX_TYPE_ID)
			ipfix_shift_set(add_set(b, p, len, kind_of(p) == RECORDS), shift);
}

static void
announced(struct ipfix_sink *s, struct ipfix_domain *d, const struct ctf_layout *l)
{
	d->announced = true;
	d->again = false;
	d->layout = l->id;
	d->announced_ms = s->now_ms;
	d->packets = 0;
	d->group = s->group;
	ctf_count(s->templates, 1);
}

int
ipfix_announce(struct ipfix_sink *s, struct ipfix_domain *d, const struct ctf_layout *l,
	       uint32_t limit)
{
	const struct ipfix_conf *c = s->o.conf;
	bool templates = ipfix_templates_due(s, d, l), told = ipfix_statistics_due(s, d);
	/* at worst each set, 5 bytes or more, has a message of its own */
	uint32_t most = l->len + (l->len / IPFIX_SET + 1) * IPFIX_HEADER + MORE_MOST;
	uint16_t shift = ipfix_shift(s, l);
	uint8_t *out = realloc(s->announcement, most);
	struct build b = { .out = out, .limit = limit, .domain = d->id };

	if (!out)
		return -ENOMEM;
	s->announcement = out;
	if (templates)
		add_layout(&b, l, shift, !types_known(s));
	if (templates && c->options_interval)
		add_statistics_template(&b);
	if (templates && d->total)
		add_known(&b, &d->total->name, l->id, shift);
	if ((templates || told) && d->total)
		add_known(&b, &d->total->lost, l->id, shift);
	if (told) {
		add_statistics(&b);
		d->told_ms = s->now_ms;
	}
	s->announcement_len = b.at + b.n;
	s->announcement_done = 0;
	if (templates)
		announced(s, d, l);
	return 0;
}

/* ---- headers ---------------------------------------------------------------------- */

void
ipfix_head(struct ipfix_sink *s, struct ipfix_domain *d, uint32_t len, uint32_t records,
	   uint32_t flows, uint8_t head[IPFIX_HEADER])
{
	ipfix_put16(head, 10);
	ipfix_put16(head + 2, (uint16_t)len);
	ipfix_put32(head + 4, s->export_time);
	ipfix_put32(head + 8, d->sequence);
	ipfix_put32(head + 12, d->id);
	d->sequence += records;
	d->packets++;
	if (!d->total)
		return;
	d->total->messages++;
	d->total->octets += len;
	d->total->flows += flows;
}

void
ipfix_unhead(struct ipfix_domain *d, uint32_t len, uint32_t records, uint32_t flows)
{
	d->sequence -= records;
	d->packets--;
	if (!d->total)
		return;
	d->total->messages--;
	d->total->octets -= len;
	d->total->flows -= flows;
}

uint32_t
ipfix_stamp(struct ipfix_sink *s, struct ipfix_domain *d, uint8_t *msg,
	    uint8_t head[IPFIX_HEADER])
{
	uint32_t records = ipfix_get32(msg + 8);

	if (d->total)
		tell_totals(d->total, msg);
	ipfix_head(s, d, ipfix_get16(msg + 2), records, 0, head);
	d->packets--; /* is not what the templates wait for */
	return records;
}

void
ipfix_unstamp(struct ipfix_domain *d, uint32_t len, uint32_t records)
{
	ipfix_unhead(d, len, records, 0);
	d->packets++;
}

void
ipfix_stamp_all(struct ipfix_sink *s, struct ipfix_domain *d)
{
	s->announcement_records = 0;
	for (uint32_t at = 0; at < s->announcement_len;) {
		uint8_t *msg = s->announcement + at;

		s->announcement_records += ipfix_stamp(s, d, msg, msg);
		at += ipfix_get16(msg + 2);
	}
}

void
ipfix_unstamp_all(struct ipfix_sink *s, struct ipfix_domain *d)
{
	for (uint32_t at = 0; at < s->announcement_len;) {
		uint32_t len = ipfix_get16(s->announcement + at + 2);

		ipfix_unstamp(d, len, 0);
		at += len;
	}
	d->sequence -= s->announcement_records;
	d->announced = false;
}
