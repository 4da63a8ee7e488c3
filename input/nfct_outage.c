/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_outage.c - see nfct_outage.h. */
#include "nfct.h"

#include <errno.h>

#define LIMIT_MS 5000u /* outputs that lost something as well wait for it */

static void
begin(struct nfct *s)
{
	if (!s->outage.pending)
		ctf_outage_begin(nfct_ctx(s));
	s->outage.pending = true;
}

int
nfct_outage_start(struct nfct *s)
{
	struct nfct_outage *o = &s->outage;
	enum ctf_ended ended = ctf_earlier(nfct_ctx(s)).ended;
	bool kept;

	o->pending = false;
	o->since_ms = 0;
	if (!o->owed)
		o->owed = ctf_state(nfct_ctx(s), "outage", sizeof(*o->owed), &kept);
	if (!o->owed)
		return -ENOMEM;
	if (atomic_load(&o->owed->count) || ended == CTF_ENDED_DIED ||
	    ended == CTF_ENDED_HANDED)
		begin(s);
	return 0;
}

void
nfct_outage_add(struct nfct *s, uint64_t from_ns, uint64_t count, enum ctf_count_is is)
{
	struct nfct_owed *o = s->outage.owed;
	uint64_t before = atomic_load(&o->count);

	if (is == CTF_UNCOUNTED) {
		nfct_report_gap(s, "restart", from_ns, count, is);
		return;
	}
	begin(s);
	if (!before || from_ns < atomic_load(&o->from_ns))
		atomic_store(&o->from_ns, from_ns);
	atomic_store(&o->exact, is == CTF_EXACT && (!before || atomic_load(&o->exact)));
	atomic_store(&o->to_ns, ctf_now());
	atomic_store(&o->count, before + count);
}

void
nfct_outage_tell(struct nfct *s)
{
	struct nfct_owed *o = s->outage.owed;
	struct ctf_gap gap = { .cause = "restart", .instance = ctf_name(nfct_ctx(s)) };

	if (!s->outage.pending)
		return;
	s->outage.pending = false;
	gap.from_ns = atomic_load(&o->from_ns);
	gap.to_ns = atomic_load(&o->to_ns);
	gap.count = atomic_load(&o->count);
	gap.count_is = atomic_load(&o->exact) ? CTF_EXACT : CTF_AT_MOST;
	gap.nsid = -1;
	ctf_outage_end(nfct_ctx(s), gap.count ? &gap : NULL);
	atomic_store(&o->count, 0);
}

unsigned
nfct_outage_look(struct nfct *s)
{
	struct nfct_outage *o = &s->outage;

	if (!o->pending)
		return 0;
	if (!o->since_ms)
		o->since_ms = ctf_mono_ms();
	nfct_valve_adopt(s);
	if (s->valve.open && ctf_mono_ms() - o->since_ms < LIMIT_MS)
		return NFCT_OUTAGE_MS; /* its loss is part of it */
	if (s->valve.open)
		nfct_valve_part(s);
	nfct_outage_tell(s);
	return 0;
}
