/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "conf.h"
#include "field.h"
#include "plug.h"
#include "plugin.h"
#include "pump.h"
#include "sink.h"

#define FIELDS 120
#define FRAMES 4096

struct source {
	struct ctf_obj obj;
	ctf_ref ref[FIELDS];
};

struct hole {
	struct ctf_obj obj;
	ctf_ref ref[FIELDS];
};

struct plug {
	const struct ctf_plugin *pl;
	struct ctf_plugin source, hole;
	struct ctf_port writes[FIELDS + 1], reads[FIELDS + 1];
	struct conf *conf;
	struct plugin_set *set;
	struct plan plan;
	struct graph graph;
	struct input *in;
	struct encoder *enc;
	struct sink *sink;
	struct ctf_rec *rec;
	struct qframe *open, *frames[FRAMES];
	unsigned nframes, taken;
	uint64_t before; /* frames forgotten */
	bool up;
	char text[8192];
};

static void
make_source(struct plug *p)
{
	const struct ctf_field *f;
	unsigned n = 0;

	for (; (f = field_nth(n)); n++) {
		ck_assert_uint_lt(n, FIELDS);
		p->writes[n] =
			(struct ctf_port){ f->name, 0, offsetof(struct source, ref) + n, NULL };
	}
	p->source = (struct ctf_plugin){ .abi = CTF_ABI,
					 .role = CTF_INPUT,
					 .name = "SOURCE",
					 .doc = "every field",
					 .writes = p->writes,
					 .size = sizeof(struct source) };
}

static enum ctf_put
hole_encode(void *enc, const struct ctf_rec *r, struct ctf_frame *f)
{
	return CTF_OK;
}

/* Wants what the filter writes. */
static void
make_hole(struct plug *p)
{
	unsigned n = 0;

	for (const struct ctf_port *w = p->pl->writes; w && w->name; w++, n++)
		p->reads[n] =
			(struct ctf_port){ w->name, 0, offsetof(struct hole, ref) + n, NULL };
	p->hole = (struct ctf_plugin){ .abi = CTF_ABI,
				       .role = CTF_OUTPUT,
				       .name = "HOLE",
				       .doc = "nothing",
				       .reads = p->reads,
				       .size = sizeof(struct hole),
				       .encode = hole_encode };
}

static int
build(struct plug *p, const char *options, struct diag *diag)
{
	bool filter = p->pl->role == CTF_FILTER;
	char *text;
	int ret = asprintf(&text, "[global]\nstack=src:SOURCE,x:%s%s\n[x]\n%s\n", p->pl->name,
			   filter ? ",h:HOLE" : "", options);

	ck_assert_int_gt(ret, 0);
	make_source(p);
	make_hole(p);
	p->set = plugin_set_new();
	ck_assert_int_eq(plugin_add(p->set, &p->source), 0);
	ck_assert_int_eq(plugin_add(p->set, &p->hole), 0);
	ck_assert_int_eq(plugin_add(p->set, p->pl), 0);
	ret = conf_parse(text, strlen(text), "test.conf", &p->conf, diag);
	free(text);
	if (!ret)
		ret = plan_make(p->conf, p->set, diag, &p->plan);
	if (!ret)
		ret = graph_build(&p->plan, diag, &p->graph);
	return ret;
}

void
plug_free(struct plug *p)
{
	if (p->up)
		plug_close(p);
	for (unsigned i = 0; i < p->nframes; i++)
		free(p->frames[i]);
	free(p->open);
	graph_free(&p->graph);
	plan_free(&p->plan);
	conf_free(p->conf);
	plugin_set_free(p->set);
	free(p);
}

static void
take_error(const struct diag *diag, struct ctf_err *err)
{
	for (size_t i = 0; i < diag->n; i++) {
		char *t;

		if (diag->item[i].level != CTF_ERROR)
			continue;
		t = diag_text(&diag->item[i]);
		snprintf(err->msg, sizeof(err->msg), "%s", t);
		err->line = diag->item[i].line;
		free(t);
		return;
	}
}

static struct plug *
make(const struct ctf_plugin *pl, const char *options, struct ctf_err *err, int *ret_code)
{
	struct plug *p = calloc(1, sizeof(*p));
	struct diag diag = { 0 };

	p->pl = pl;
	*ret_code = build(p, options, &diag);
	take_error(&diag, err);
	diag_free(&diag);
	return p;
}

int
plug_try(const struct ctf_plugin *pl, const char *options, struct ctf_err *ret_err)
{
	int ret;

	memset(ret_err, 0, sizeof(*ret_err));
	plug_free(make(pl, options, ret_err, &ret));
	return ret;
}

struct plug *
plug_new(const struct ctf_plugin *pl, const char *options)
{
	struct ctf_err err = { .msg = "" };
	int ret;
	struct plug *p = make(pl, options, &err, &ret);

	ck_assert_msg(ret == 0, "%s", err.msg);
	p->in = p->graph.inputs;
	p->sink = p->graph.sinks;
	p->enc = p->sink->encoders;
	p->sink->intr = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ck_assert_int_eq(batch_init(&p->in->batch, p->in->nslots), 0);
	return p;
}

void *
plug_self(struct plug *p)
{
	return p->pl->role == CTF_FILTER ? p->graph.filters->ctx.obj : p->enc->ctx.obj;
}

void *
plug_sink(struct plug *p)
{
	return p->sink->ctx.obj;
}

/* ---- records ---- */

struct ctf_rec *
plug_rec(struct plug *p, int family, int event, uint64_t rx_ns)
{
	batch_reset(&p->in->batch);
	p->rec = ctf_batch_add(&p->in->batch);
	p->rec->family = (uint8_t)family;
	p->rec->event = (uint8_t)event;
	p->rec->rx_ns = rx_ns;
	return p->rec;
}

ctf_ref
plug_slot(const struct plug *p, const char *field)
{
	for (unsigned i = p->in->nslots; i-- > 0;)
		if (strcmp(p->in->slots[i]->name, field) == 0)
			return (ctf_ref)i;
	if (!field_find(field) && !p->pl->writes)
		ck_abort_msg("no field %s", field);
	return CTF_NONE;
}

void
plug_num(struct plug *p, const char *field, uint64_t value)
{
	ctf_put_num(p->rec, plug_slot(p, field), value);
}

void
plug_ip(struct plug *p, const char *field, const char *addr)
{
	uint8_t ip[16];

	ck_assert_int_eq(inet_pton(p->rec->family, addr, ip), 1);
	ctf_put_ip(p->rec, plug_slot(p, field), ip, p->rec->family == AF_INET ? 4 : 16);
}

void
plug_bytes(struct plug *p, const char *field, const void *bytes, uint32_t len)
{
	void *mem = ctf_batch_mem(&p->in->batch, len);

	memcpy(mem, bytes, len);
	ctf_put_bytes(p->rec, plug_slot(p, field), mem, len);
}

void
plug_text(struct plug *p, const char *field, const char *text)
{
	plug_bytes(p, field, text, (uint32_t)strlen(text));
}

enum ctf_verdict
plug_apply(struct plug *p)
{
	return p->pl->apply(plug_self(p), p->rec, &p->in->batch);
}

bool
plug_has(struct plug *p, const char *field)
{
	return ctf_has(p->rec, plug_slot(p, field));
}

uint64_t
plug_get_num(struct plug *p, const char *field)
{
	ck_assert(plug_has(p, field));
	return ctf_num(p->rec, plug_slot(p, field));
}

const char *
plug_get_text(struct plug *p, const char *field)
{
	ctf_ref s = plug_slot(p, field);
	uint32_t len;

	if (!ctf_has(p->rec, s))
		return NULL;
	len = p->rec->v[s].s.len;
	ck_assert_uint_lt(len, sizeof(p->text));
	memcpy(p->text, p->rec->v[s].s.p, len);
	p->text[len] = '\0';
	return p->text;
}

/* ---- frames ---- */

static struct qframe *
fresh(struct plug *p)
{
	struct qframe *q = qframe_new(p->enc, p->enc->limit);

	q->f.layout = p->enc->layout;
	return q;
}

static void
queue(struct plug *p, struct qframe *q)
{
	if (p->pl->seal)
		p->pl->seal(p->enc->ctx.obj, &q->f);
	ck_assert_uint_lt(p->nframes, FRAMES);
	q->f.number = p->before + p->nframes + 1;
	p->frames[p->nframes++] = q;
}

const struct ctf_frame *
plug_seal(struct plug *p)
{
	struct qframe *q = p->open;

	if (!q)
		return NULL;
	p->open = NULL;
	queue(p, q);
	return &q->f;
}

enum ctf_put
plug_encode(struct plug *p)
{
	uint32_t stream = p->pl->stream ? p->pl->stream(p->enc->ctx.obj, p->rec) : 0;
	enum ctf_put put = CTF_FULL;

	if (p->open && p->open->f.stream != stream)
		plug_seal(p);
	for (int tries = 0; put == CTF_FULL && tries < 2; tries++) {
		if (!p->open)
			p->open = fresh(p);
		p->open->f.stream = stream;
		put = p->pl->encode(p->enc->ctx.obj, p->rec, &p->open->f);
		if (put == CTF_FULL && p->open->f.recs)
			plug_seal(p);
	}
	if (put == CTF_OK) {
		if (!p->open->f.recs++)
			p->open->f.first_ns = p->rec->rx_ns;
		p->open->f.last_ns = p->rec->rx_ns;
	}
	return put;
}

static enum ctf_put
aside(struct plug *p, struct qframe *q, enum ctf_put put)
{
	if (put == CTF_OK)
		queue(p, q);
	else
		free(q);
	return put;
}

bool
plug_sync(const struct plug *p)
{
	return p->enc->sync;
}

enum ctf_put
plug_gap(struct plug *p, const struct ctf_gap *gap)
{
	struct qframe *q;

	plug_seal(p);
	q = fresh(p);
	return aside(p, q, p->pl->gap ? p->pl->gap(p->enc->ctx.obj, gap, &q->f) : CTF_SKIP);
}

enum ctf_put
plug_coverage(struct plug *p, const struct ctf_coverage *cov)
{
	struct qframe *q;

	plug_seal(p);
	q = fresh(p);
	return aside(p, q,
		     p->pl->coverage ? p->pl->coverage(p->enc->ctx.obj, cov, &q->f) : CTF_SKIP);
}

const struct ctf_frame *
plug_frame(struct plug *p, unsigned n)
{
	ck_assert_uint_lt(n, p->nframes);
	return &p->frames[n]->f;
}

enum ctf_put
plug_sweep(struct plug *p, const struct ctf_sweep *sweep)
{
	struct qframe *q;

	plug_seal(p);
	q = fresh(p);
	return aside(p, q,
		     p->pl->sweep ? p->pl->sweep(p->enc->ctx.obj, sweep, &q->f) : CTF_SKIP);
}

const struct ctf_layout *
plug_layout(struct plug *p)
{
	return p->enc->layout;
}

/* ---- delivery ---- */

static int
open_sink(struct plug *p, struct ctf_err *err)
{
	int failed = 0;

	if (p->up)
		return 0;
	if (p->pl->open)
		p->pl->open(plug_sink(p), &failed, err);
	p->up = !failed;
	return failed;
}

enum ctf_sent
plug_deliver(struct plug *p, struct ctf_err *ret_err)
{
	const struct ctf_frame *frames[GROUP];
	enum ctf_sent r = CTF_SENT;

	memset(ret_err, 0, sizeof(*ret_err));
	if (open_sink(p, ret_err))
		return CTF_RETRY;
	while (r == CTF_SENT && p->taken < p->nframes) {
		unsigned n = 0, taken = 0;

		while (n < GROUP && p->taken + n < p->nframes) {
			frames[n] = &p->frames[p->taken + n]->f;
			if (frames[n++]->number % GROUP == 0)
				break;
		}
		r = p->pl->deliver(plug_sink(p), frames, n, &taken, ret_err);
		ck_assert_uint_le(taken, n);
		p->taken += taken;
	}
	return r;
}

int
plug_spare(struct plug *p)
{
	struct ctf_err err;

	ck_assert_int_eq(open_sink(p, &err), 0);
	return p->pl->spare(plug_sink(p));
}

unsigned
plug_pending(struct plug *p)
{
	return p->nframes - p->taken;
}

void
plug_forget(struct plug *p)
{
	for (unsigned i = 0; i < p->taken; i++)
		free(p->frames[i]);
	memmove(p->frames, p->frames + p->taken, (p->nframes - p->taken) * sizeof(*p->frames));
	p->before += p->taken;
	p->nframes -= p->taken;
	p->taken = 0;
}

void
plug_rewind(struct plug *p, uint64_t number)
{
	p->taken = (unsigned)number;
}

void
plug_interrupt(struct plug *p)
{
	eventfd_write(p->sink->intr, 1);
	if (p->pl->interrupt)
		p->pl->interrupt(plug_sink(p));
}

void
plug_close(struct plug *p)
{
	if (p->up && p->pl->close)
		p->pl->close(plug_sink(p));
	p->up = false;
}
