/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_valve.c - reliable delivery must not fill the connection table.
 *
 * What the kernel keeps for us stays in the table, and a full table refuses
 * connections.  So when it is nearly full, and the drop counter shows that
 * ended flows are waiting for us, the valve opens: the kernel is told on the
 * live socket to keep nothing more, and the table is free of them some
 * milliseconds later.  From then on the drop counter counts flows lost.  When
 * there is room again, both in the table and in the receive buffer, the valve
 * closes.
 */
#include "nfct.h"

#include <errno.h>

#define LOOK 10u                /* ms between looks while it matters */
#define CALM 120u               /* looks; the kernel's first retry comes after a second */
#define OTHERS 100u             /* looks between two at who else listens */
#define HYSTERESIS 10           /* percent of the table */
#define FULL_FOR UINT64_C(1000) /* ms, without a guard that would say it */

void
nfct_valve_init(struct nfct *s)
{
	s->valve = (struct nfct_valve){ .seen = s->drops, .calm = CALM };
}

/* ---- how full the table is ---------------------------------------------------- */

static int
look_at_table(struct nfct *s, struct nfct_fill *ret_fill)
{
	/* pollinterval's dump or that of the end is under way: it goes on */
	int r = nfct_req_step(&s->req, 64) ? nfct_req_fill(&s->req, ret_fill) : -EBUSY;

	if (r < 0 && r != -EBUSY && !s->valve.said) {
		s->valve.said = true;
		ctf_log(nfct_ctx(s), CTF_WARNING,
			"cannot see how full the connection table is (%s): reliable_fill has "
			"no effect",
			strerror(-r));
	}
	return r;
}

static bool
is_filled(const struct nfct *s, const struct nfct_fill *f)
{
	return f->max && (uint64_t)f->count * 100 >= f->max * nfct_conf(s)->reliable_fill;
}

/* A low mark has no room for the whole distance: half of it will do. */
static bool
has_drained(const struct nfct *s, const struct nfct_fill *f)
{
	uint64_t fill = nfct_conf(s)->reliable_fill;
	uint64_t half_percents = fill > 2 * HYSTERESIS ? 2 * (fill - HYSTERESIS) : fill;

	return f->max == 0 || (uint64_t)f->count * 200 < f->max * half_percents;
}

/* ---- the valve ------------------------------------------------------------------ */

/* The drop counter may grow while the option changes: by retries, or by losses. */
static int
change(struct nfct *s, bool keep, struct nfct_mem *ret_before, struct nfct_mem *ret_after)
{
	int r = nfct_events_mem(s->fd, ret_before);

	if (r == 0)
		r = nfct_events_keep(s->fd, keep);
	return r < 0 ? r : nfct_events_mem(s->fd, ret_after);
}

static bool
open_valve(struct nfct *s)
{
	struct nfct_valve *v = &s->valve;
	struct nfct_mem before, after;

	if (!nfct_guard_claim(&s->guard))
		return false;
	if (change(s, false, &before, &after) < 0) {
		nfct_guard_closed(&s->guard);
		return false;
	}
	ctf_count(s->retries, before.drops - s->drops);
	s->drops = v->base = before.drops;
	v->open = true;
	v->guard = false;
	v->exact = before.drops == after.drops && nfct_drops_mean(s) == CTF_EXACT;
	v->from_ns = s->calm_ns;
	v->open_ns = ctf_now();
	v->lost = v->looks = 0;
	nfct_guard_opened(s);
	ctf_count(s->valve_opened, 1);
	return true;
}

static void
open_for_own(struct nfct *s, const struct nfct_fill *f)
{
	if (open_valve(s))
		ctf_log(nfct_ctx(s), CTF_WARNING,
			"the connection table is filled to %u of %u, and ended flows wait "
			"there to be read: until it has drained they are lost instead (find "
			"what keeps ctflowd from reading, or raise nf_conntrack_max or "
			"netlink_socket_buffer_size)",
			f->count, f->max);
}

static uint64_t
full_for(const struct nfct *s)
{
	uint64_t timeout = nfct_conf(s)->guard_timeout;

	return timeout ? timeout : FULL_FOR;
}

static void
open_for_others(struct nfct *s)
{
	if (open_valve(s))
		ctf_log(nfct_ctx(s), CTF_WARNING,
			"the receive buffer has been more than half full for %llu ms, and the "
			"connection tables of other namespaces may fill with ended flows: "
			"until it has drained they are lost instead",
			(unsigned long long)full_for(s));
}

static void
count_lost(struct nfct *s, uint32_t drops)
{
	uint32_t n = drops - s->drops;

	s->drops = drops;
	s->valve.lost += n;
	ctf_count(s->lost, n);
}

static enum ctf_count_is
lost_is(const struct nfct *s)
{
	return s->valve.exact && nfct_drops_mean(s) == CTF_EXACT ? CTF_EXACT : CTF_AT_MOST;
}

static void
report(struct nfct *s)
{
	struct nfct_valve *v = &s->valve;
	uint64_t now = ctf_now(), msec = now > v->open_ns ? (now - v->open_ns) / 1000000 : 0;
	bool exact = lost_is(s) == CTF_EXACT;

	v->open = false;
	s->calm_ns = now;
	if (v->lost && s->outage.pending)
		nfct_outage_add(s, v->from_ns, v->lost, lost_is(s));
	else if (v->lost)
		nfct_report_gap(s, v->guard ? "guard" : "valve", v->from_ns, v->lost,
				lost_is(s));
	nfct_outage_tell(s);
	ctf_log(nfct_ctx(s), CTF_NOTICE,
		"the kernel has not kept ended flows for %llu.%03llu s: %s%llu lost",
		(unsigned long long)(msec / 1000), (unsigned long long)(msec % 1000),
		exact ? "" : "up to ", (unsigned long long)v->lost);
}

static void
close_valve(struct nfct *s)
{
	struct nfct_mem before, after;

	if (change(s, true, &before, &after) < 0)
		return;
	s->valve.exact &= before.drops == after.drops;
	count_lost(s, after.drops);
	s->valve.seen = after.drops;
	nfct_guard_closed(&s->guard);
	report(s);
}

/*
 * How full the tables of other namespaces are cannot be asked from here; a
 * socket that stays half full while the kernel retries speaks for them.
 */
static bool
others_wait(struct nfct *s, const struct nfct_mem *mem)
{
	struct nfct_valve *v = &s->valve;
	uint64_t now = ctf_mono_ms();

	if (s->ns.heard < 0 || mem->used <= mem->rcvbuf / 2) {
		v->full_since = 0;
		return false;
	}
	if (!v->full_since)
		v->full_since = now;
	return now - v->full_since >= full_for(s) && v->calm < CALM;
}

static void
adopt(struct nfct *s)
{
	struct nfct_valve *v = &s->valve;

	nfct_guard_keep(&s->guard);
	s->drops = v->base;
	v->open = v->guard = true;
	v->lost = v->looks = v->calm = 0;
	ctf_count(s->guard_released, 1);
	ctf_log(nfct_ctx(s), CTF_WARNING,
		"ctflowd did not read while the connection table filled up; so its guard let "
		"go of the ended flows that waited there: until the table has drained they "
		"are lost (find what kept ctflowd from running)");
}

void
nfct_valve_adopt(struct nfct *s)
{
	const struct nfct_note *n = s->guard.note;
	struct nfct_valve *v = &s->valve;

	if (v->open || !nfct_guard_released(&s->guard))
		return;
	v->base = atomic_load(&n->base);
	v->exact = atomic_load(&n->exact) && nfct_drops_mean(s) == CTF_EXACT;
	v->from_ns = atomic_load(&n->from_ns);
	v->open_ns = atomic_load(&n->let_go_ns);
	adopt(s);
}

/* A guard nobody could greet, for want of a state page, had the socket as well. */
static void
adopt_from_unknown(struct nfct *s)
{
	struct nfct_valve *v = &s->valve;

	if (v->open || nfct_events_kept(s->fd) || !nfct_guard_claim(&s->guard))
		return;
	v->base = s->drops;
	v->exact = false;
	v->from_ns = s->calm_ns;
	v->open_ns = ctf_now();
	nfct_guard_opened(s);
	adopt(s);
}

/* Somebody may come and go while it is open. */
static void
look_at_others(struct nfct *s)
{
	struct nfct_valve *v = &s->valve;

	if (v->exact && ++v->looks % OTHERS == 0)
		v->exact = nfct_drops_mean(s) == CTF_EXACT;
}

unsigned
nfct_valve_look(struct nfct *s)
{
	struct nfct_valve *v = &s->valve;
	struct nfct_fill f;
	struct nfct_mem mem;
	bool grown, others;

	if (!nfct_keeps(s) || s->left || nfct_events_mem(s->fd, &mem) < 0)
		return 0;
	nfct_valve_adopt(s);
	adopt_from_unknown(s);
	grown = mem.drops != v->seen;
	v->seen = mem.drops;
	v->calm = grown ? 0 : v->calm + (v->calm < CALM);
	others = others_wait(s, &mem);
	if (v->open) {
		count_lost(s, mem.drops);
		look_at_others(s);
	}
	if (look_at_table(s, &f) == 0) {
		if (v->open && has_drained(s, &f) && mem.used <= mem.rcvbuf / 2)
			close_valve(s);
		else if (!v->open && grown && is_filled(s, &f))
			open_for_own(s, &f);
	}
	if (others && !v->open)
		open_for_others(s);
	return v->open || v->calm < CALM ? LOOK : 0;
}

void
nfct_valve_part(struct nfct *s)
{
	struct nfct_valve *v = &s->valve;
	struct nfct_mem mem;

	if (nfct_events_mem(s->fd, &mem) == 0)
		count_lost(s, mem.drops);
	if (v->lost)
		nfct_outage_add(s, v->from_ns, v->lost, lost_is(s));
	v->base = s->drops;
	v->from_ns = ctf_now();
	v->lost = 0;
	nfct_guard_opened(s);
}

void
nfct_valve_end(struct nfct *s)
{
	struct nfct_mem mem;

	nfct_valve_adopt(s);
	if (!s->valve.open)
		return;
	if (nfct_events_mem(s->fd, &mem) == 0)
		count_lost(s, mem.drops);
	report(s);
}
