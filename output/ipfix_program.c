/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ipfix_program.c - templates compiled into the steps that ipfix_encode.c runs. */
#include "ipfix.h"

static uint8_t
kind_of(const struct ipfix_elem *e)
{
	switch (e->op) {
	case IPFIX_MSEC:
		return MSEC;
	case IPFIX_NTP:
		return NTP;
	case IPFIX_WHEN:
		return e->id == 325 ? WHEN_NTP : WHEN_MSEC;
	case IPFIX_BY_EVENT:
		return BY_EVENT;
	case IPFIX_ADDR:
		return e->len == 4 ? ADDR4 : ADDR16;
	case IPFIX_ICMP:
		return ICMP;
	case IPFIX_CONST:
		return CONST;
	}
	return e->len == 8 ? NUM8 : e->len == 4 ? NUM4 : e->len == 2 ? NUM2 : NUM1;
}

static uint8_t
ref_at(const struct ipfix_refs *refs, unsigned off)
{
	return ((const uint8_t *)refs)[off];
}

static void
compile(struct ipfix_program *p, const struct ipfix_template *t, const struct ipfix_refs *refs)
{
	p->id = t->id;
	p->len = t->len;
	p->n = t->n;
	for (unsigned i = 0; i < t->n; i++) {
		const struct ipfix_elem *e = &t->elem[i];
		struct ipfix_step *s = &p->step[i];
		bool plain = e->op == IPFIX_CONST || e->op == IPFIX_BY_EVENT;
		bool two = e->op == IPFIX_ICMP || e->op == IPFIX_MSEC || e->op == IPFIX_NTP ||
			   e->op == IPFIX_WHEN;

		s->kind = kind_of(e);
		s->a = plain ? e->a : ref_at(refs, e->a);
		s->b = two ? ref_at(refs, e->b) : e->b;
	}
}

/*
 * The other direction of a flow: without translation the tuple turned round,
 * else what the replies are before it and after it.
 */
static struct ipfix_refs
turned(const struct ipfix_refs *f, bool nat)
{
	struct ipfix_refs b = *f;

	b.saddr = nat ? f->rsaddr : f->daddr;
	b.daddr = nat ? f->rdaddr : f->saddr;
	b.sport = nat ? f->rsport : f->dport;
	b.dport = nat ? f->rdport : f->sport;
	b.rsaddr = f->saddr;
	b.rdaddr = f->daddr;
	b.rsport = f->sport;
	b.rdport = f->dport;
	b.icmp_id = nat ? f->ricmp_id : f->icmp_id;
	b.bytes = f->rbytes;
	b.packets = f->rpackets;
	return b;
}

static void
compile_back(struct ipfix_program *p, const struct ipfix_template *t,
	     const struct ipfix_refs *f, unsigned shape)
{
	unsigned plain = shape % (IPFIX_V6 - IPFIX_V4);
	struct ipfix_refs back = turned(f, plain == IPFIX_V4_NAT || plain == IPFIX_ICMP4_NAT);

	compile(p, t, &back);
	for (unsigned i = 0; i < p->n; i++)
		if (p->step[i].kind == ICMP)
			p->step[i].kind = shape < IPFIX_V6 ? ICMP_BACK : ICMP6_BACK;
}

static void
compile_events(struct ipfix_programs *ps)
{
	struct ipfix_refs icmp = ps->refs; /* its identifier stands for the port */
	struct ipfix_template t;

	icmp.sport = icmp.icmp_id;
	icmp.rdport = icmp.ricmp_id;
	ipfix_event_template(&t, &ps->form,
			     ps->form.nat_events == IPFIX_EVENTS_MORE ? IPFIX_NAT44_TO
								      : IPFIX_NAT44);
	compile(&ps->nat[0], &t, &ps->refs);
	compile(&ps->nat[1], &t, &icmp);
	ipfix_event_template(&t, &ps->form, IPFIX_EVENT4);
	compile(&ps->event[0], &t, &ps->refs);
	ipfix_event_template(&t, &ps->form, IPFIX_EVENT6);
	compile(&ps->event[1], &t, &ps->refs);
}

static void
need(struct ipfix_programs *ps, ctf_ref f)
{
	ps->need[f >> 6] |= UINT64_C(1) << (f & 63);
}

void
ipfix_programs_make(struct ipfix_programs *ps, const struct ipfix_form *form)
{
	struct ipfix_template t;

	ps->form = *form;
	ps->need[0] = ps->need[1] = 0;
	need(ps, ps->refs.saddr);
	need(ps, ps->refs.daddr);
	need(ps, ps->refs.proto);
	ps->ncases = ps->last = ps->oldest = 0;
	ps->plain = form->flows && !form->uniflow && !form->nat_events && !form->flow_events;
	for (unsigned v = 0; v < IPFIX_VARIANTS; v++)
		for (unsigned s = 0; s < IPFIX_SHAPES; s++) {
			ipfix_template(&t, form, v, s);
			compile(&ps->of[v][s], &t, &ps->refs);
			compile_back(&ps->back[v][s], &t, &ps->refs, s);
		}
	compile_events(ps);
}
