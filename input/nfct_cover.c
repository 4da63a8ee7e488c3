/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_cover.c - stretches of coverage. */
#include "nfct.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/timex.h>

/* Whether the clock is kept right by somebody, and by how much it may be off. */
static int8_t
look_at_clock(int64_t *ret_error_ns)
{
	struct timex t = { .modes = 0 };
	int state = adjtimex(&t);

	*ret_error_ns = state < 0 ? -1 : (int64_t)t.maxerror * 1000;
	if (state < 0)
		return -1;
	return !(t.status & STA_UNSYNC);
}

static const char *
netns_text(const struct nfct *s)
{
	return s->ns.heard >= 0 ? "all" : s->ns.path;
}

static void
report(struct nfct *s, uint64_t alive_ns, uint64_t to_ns)
{
	const struct nfct_cover *c = &s->cover;
	char abilities[NFCT_ABILITIES];
	struct ctf_coverage cov = { .from_ns = c->from_ns,
				    .last_alive_ns = alive_ns,
				    .to_ns = to_ns,
				    .exporter = c->host,
				    .instance = ctf_name(nfct_ctx(s)),
				    .boot_id = c->boot,
				    .selection = nfct_selection(s),
				    .netns = netns_text(s),
				    .abilities = abilities,
				    .nsid = -1,
				    .event_mask = s->mask,
				    .acct = c->is.acct,
				    .timestamp = c->is.timestamp,
				    .events = c->is.events,
				    .clock_synchronised = c->is.synchronised,
				    .gro = c->is.gro,
				    .offload = c->is.offload,
				    .reliable = nfct_conf(s)->reliable };

	nfct_probe_words(s->probe.abilities, abilities);
	(void)look_at_clock(&cov.clock_error_ns);
	ctf_report_coverage(nfct_ctx(s), &cov);
}

/* Learning is no change. */
static bool
changed(int was, int is)
{
	return was >= 0 && was != is;
}

static bool
any_changed(const struct nfct_conditions *a, const struct nfct_conditions *b)
{
	return changed(a->acct, b->acct) || changed(a->timestamp, b->timestamp) ||
	       changed(a->events, b->events) || changed(a->synchronised, b->synchronised) ||
	       changed(a->gro, b->gro) || changed(a->offload, b->offload);
}

/* The settings are anybody's to change while we run. */
static struct nfct_conditions
look(struct nfct *s)
{
	struct nfct_sysctls was = s->sys;
	struct nfct_conditions is;
	int64_t error;

	nfct_sysctl_read(s->cover.settings, &s->sys);
	if (nfct_conf(s)->sysctl != NFCT_IGNORE)
		nfct_sysctl_say_changed(nfct_ctx(s), s->ns.path, &was, &s->sys);
	is = (struct nfct_conditions){ .acct = (int8_t)s->sys.acct,
				       .timestamp = (int8_t)s->sys.timestamp,
				       .events = (int8_t)s->sys.events,
				       .synchronised = look_at_clock(&error),
				       .gro = s->host.found.gro,
				       .offload = s->host.found.offload };
	return is;
}

void
nfct_cover_init(struct nfct *s)
{
	for (unsigned i = 0; i < NFCT_SETTINGS; i++)
		s->cover.settings[i] = -1;
}

void
nfct_cover_open(struct nfct *s)
{
	nfct_sysctl_open(s->cover.settings);
	(void)gethostname(s->cover.host, sizeof(s->cover.host) - 1);
	ctf_boot_id(s->cover.boot);
}

void
nfct_cover_start(struct nfct *s)
{
	s->cover.is = look(s);
	report(s, ctf_now(), 0);
	nfct_clock_start(s);
	nfct_probe_start(s);
}

/* The guard says to who comes after us since when there is coverage. */
static void
begin(struct nfct *s, uint64_t ns)
{
	s->cover.from_ns = ns;
	nfct_guard_since(&s->guard, ns);
}

/* Looks at all, and says that we live. */
static void
tell(struct nfct *s)
{
	struct nfct_conditions is = look(s);
	uint64_t now = ctf_now();

	if (any_changed(&s->cover.is, &is)) {
		report(s, now, now); /* the old stretch, as it was */
		begin(s, now);
	}
	s->cover.is = is;
	report(s, now, 0);
}

/* The first look comes after the start, which it would only delay. */
void
nfct_cover_tick(struct nfct *s, bool beat)
{
	bool news = nfct_host_tick(s);

	news |= nfct_probe_tick(s);
	if (beat || s->ticks == 1)
		nfct_host_look(s);
	if (beat || news)
		tell(s);
}

void
nfct_cover_split(struct nfct *s, uint64_t end_ns, uint64_t begin_ns)
{
	report(s, end_ns, end_ns);
	begin(s, begin_ns);
	report(s, begin_ns, 0);
}

void
nfct_cover_end(struct nfct *s)
{
	uint64_t now = ctf_now();

	report(s, now, now);
}

void
nfct_cover_begin(struct nfct *s)
{
	begin(s, ctf_now());
}

void
nfct_cover_told(struct nfct *s)
{
	report(s, s->cover.from_ns, 0);
}

void
nfct_cover_stop(struct nfct *s)
{
	uint64_t now = ctf_now();

	nfct_clock_stop(s);
	nfct_probe_stop(s);
	if (s->cover.from_ns)
		report(s, now, now);
	s->cover.from_ns = 0;
}

void
nfct_cover_close(struct nfct *s)
{
	for (unsigned i = 0; i < NFCT_SETTINGS; i++) {
		if (s->cover.settings[i] >= 0)
			close(s->cover.settings[i]);
		s->cover.settings[i] = -1;
	}
}
