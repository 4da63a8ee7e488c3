/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_reload.c - other options, or other fields, while it listens: the event
 * socket stays, so that nothing is missed.
 */
#include "nfct.h"
#include "nfct_netns.h"

#include <errno.h>
#include <unistd.h>

/* -EOPNOTSUPP: it has to be started anew; -EPERM: that would fail. */
static int
other_namespace(const struct nfct *o, struct ctf_err *err)
{
	int home, ret;

	if (!o->ns.path[0])
		return -EOPNOTSUPP;
	if (nfct_netns_enter(o->ns.path, &home) < 0)
		return ctf_fail(err, errno, "cannot enter network namespace %s: %s%s",
				o->ns.path, strerror(errno),
				errno == EPERM || errno == EACCES
					? " (needs CAP_SYS_ADMIN, so at the next start)"
					: "");
	ret = nfct_netns_return(home);
	return ret < 0 ? ret : -EOPNOTSUPP;
}

static bool
same_selection(const struct nfct_select *a, const struct nfct_select *b)
{
	return a->len == b->len &&
	       (a->len == 0 || memcmp(a->prog, b->prog, a->len * sizeof(*a->prog)) == 0);
}

/* What the options and the graph come to, from setup(). */
static void
exchange(struct nfct *s, struct nfct *o)
{
	struct nfct_select select = s->select;
	const char *path = s->ns.path;
	unsigned mask = s->mask, extra = s->extra;

	s->select = o->select;
	s->ns.path = o->ns.path;
	s->mask = o->mask;
	s->extra = o->extra;
	o->select = select;
	o->ns.path = path;
	o->mask = mask;
	o->extra = extra;
	s->in.flow_end = nfct_conf(s)->flow_end;
}

/* Under the old options: what is known by now of losses, and the stretch ends. */
static void
conclude(struct nfct *s, const struct nfct_conf *was, bool will_keep)
{
	const void *is = s->in.obj.conf;
	struct nfct_mem mem;

	s->in.obj.conf = was;
	nfct_count_retries(s, ctf_now());
	if (nfct_keeps(s) && !will_keep)
		nfct_valve_end(s);
	if (!nfct_keeps(s) && will_keep && nfct_events_mem(s->fd, &mem) == 0 &&
	    mem.drops != s->drops)
		nfct_overrun(s, ctf_now()); /* the socket will not say it any more */
	nfct_cover_end(s);
	s->in.obj.conf = is;
}

static int
set_socket(struct nfct *s, const struct nfct_conf *was, bool kept, struct ctf_err *err)
{
	const struct nfct_conf *is = nfct_conf(s);
	int r = nfct_events_join(s->fd, s->mask, err);

	if (r == 0)
		r = nfct_events_set(s->fd, is->reliable, s->select.prog, s->select.len, s->mask,
				    err);
	if (s->valve.open && kept && nfct_keeps(s))
		(void)nfct_events_keep(s->fd, false);
	else if (!kept && nfct_keeps(s))
		nfct_valve_init(s);
	if (r == 0 && (was->buffer_size != is->buffer_size ||
		       was->buffer_maxsize != is->buffer_maxsize)) {
		r = nfct_set_buffer(s);
		if (r < 0)
			ctf_fail(err, -r, "cannot set the receive buffer: %s", strerror(-r));
	}
	return r;
}

/* As it was. */
static void
set_back(struct nfct *s, struct nfct *o, bool keeps)
{
	const void *is = s->in.obj.conf;

	s->in.obj.conf = o->in.obj.conf;
	exchange(s, o);
	(void)set_socket(s, is, keeps, NULL);
	s->in.obj.conf = is;
	nfct_cover_begin(s);
}

/*
 * The new file, if it is another one; the old one goes on until all else is
 * done, and the other object has it then, in case all is undone.
 */
static int
open_record(const struct nfct *s, const struct nfct *o, struct pcap_writer **ret,
	    struct ctf_err *err)
{
	const char *path = nfct_conf(s)->record;
	struct ctf_err why = { 0 };
	int r = 0;

	if (o->record)
		*ret = o->record;
	else if (path[0] && strcmp(nfct_conf(o)->record, path) != 0)
		r = pcap_writer_open(path, ret, &why);
	return r < 0 ? ctf_fail(err, -r, "cannot record to %s", why.msg) : 0;
}

static void
set_record(struct nfct *s, struct nfct *o, struct pcap_writer *record)
{
	if (strcmp(nfct_conf(o)->record, nfct_conf(s)->record) == 0)
		return;
	o->record = s->record;
	s->record = record;
}

void
nfct_record_end(struct nfct *s)
{
	int r = pcap_writer_close(s->record);

	if (r < 0)
		ctf_log(nfct_ctx(s), CTF_ERROR, "recording to %s is incomplete: %s",
			nfct_conf(s)->record, strerror(-r));
	s->record = NULL;
}

/* Whoever was not asked about ends before may be told of them twice. */
static void
set_repeats(struct nfct *s, const struct nfct_conf *was, unsigned mask)
{
	struct nfct_fill fill = { 0 };

	if (was->repeat_memory != nfct_conf(s)->repeat_memory)
		ctf_log(nfct_ctx(s), CTF_NOTICE,
			"repeat_memory takes effect at the next start");
	if (mask & CTF_DESTROY || !(s->mask & CTF_DESTROY))
		return;
	if (nfct_req_step(&s->req, 64))
		(void)nfct_req_fill(&s->req, &fill);
	nfct_repeat_stop(s);
	if (nfct_repeat_start(s, fill.max) < 0)
		ctf_log(nfct_ctx(s), CTF_ERROR, "no memory for ends that may be repeated");
}

static bool
same_guard(const struct nfct_conf *a, const struct nfct_conf *b)
{
	return a->reliable == b->reliable && a->guard_timeout == b->guard_timeout &&
	       a->reliable_fill == b->reliable_fill;
}

static bool
same_text(const char *a, const char *b)
{
	return strcmp(a, b) == 0 && !strchr(a, '@'); /* that names a file */
}

/* It is asked because of others: what it hears, and how, stays as it is. */
static bool
same_options(const struct nfct *s, const struct nfct *o)
{
	const struct nfct_conf *a = nfct_conf(s), *b = nfct_conf(o);

	return s->mask == o->mask && s->extra == o->extra &&
	       memcmp(a, b, offsetof(struct nfct_conf, select)) == 0 &&
	       same_text(a->select, b->select) && same_text(a->accept_src, b->accept_src) &&
	       same_text(a->accept_dst, b->accept_dst) &&
	       same_text(a->accept_proto, b->accept_proto) && strcmp(a->record, b->record) == 0;
}

/* Fields of the table that records are written to. */
static void
set_fields(struct nfct *s)
{
	nfct_choose_tick(s);
	nfct_choose_checks(s);
	ct_prepare(&s->in);
}

int
nfct_reload(void *self, void *other, struct ctf_err *err)
{
	struct nfct *s = self, *o = other;
	const struct nfct_conf *was = nfct_conf(o), *is = nfct_conf(s);
	bool kept = was->reliable && s->mask & CTF_DESTROY;
	struct pcap_writer *record = NULL;
	unsigned mask = s->mask;
	int r;

	if (strcmp(s->ns.path, o->ns.path) != 0 || s->ns.all != o->ns.all)
		return other_namespace(o, err);
	if (same_options(s, o)) { /* no stretch of coverage ends */
		exchange(s, o);
		set_fields(s);
		return 0;
	}
	r = open_record(s, o, &record, err);
	if (r < 0)
		return r;
	conclude(s, was, is->reliable && o->mask & CTF_DESTROY);
	exchange(s, o);
	r = set_socket(s, was, kept, err);
	if (r < 0) {
		set_back(s, o, nfct_keeps(s));
		if (record != o->record)
			(void)pcap_writer_close(record);
		return r;
	}
	if (mask != s->mask || !same_selection(&s->select, &o->select))
		s->hand.judge = true; /* what is queued may not be wanted any more */
	set_repeats(s, was, mask);
	if (mask != s->mask || !same_guard(was, is))
		nfct_guard_renew(s);
	set_record(s, o, record);
	if (was->sysctl != is->sysctl && !s->ns.path[0])
		nfct_sysctl_apply(nfct_ctx(s), is->sysctl, s->ns.path, &s->sys);
	set_fields(s);
	nfct_cover_begin(s);
	return 0;
}

void
nfct_reloaded(void *self)
{
	struct nfct *s = self;

	nfct_sweep_renew(s);
	nfct_cover_told(s);
}
