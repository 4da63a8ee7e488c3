/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_plug.h - the NFCT input as the core sets it up from a configuration,
 * with an output that wants nothing.  Not started.
 */
#ifndef NFCT_PLUG_H
#define NFCT_PLUG_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "graph.h"
#include "nfct.h"

extern const struct ctf_plugin ctf_plugin_nfct;

struct nfct_plug {
	struct ctf_plugin hole;
	struct plugin_set *set;
	struct conf *conf;
	struct plan plan;
	struct graph graph;
	struct diag diag;
	struct nfct *nfct; /* NULL: it was refused, see diag */
	union {
		struct ctf_rec rec;
		uint8_t room[sizeof(struct ctf_rec) + CTF_SLOTS * sizeof(union ctf_val)];
	};
};

static inline enum ctf_put
nfct_plug_encode(void *enc, const struct ctf_rec *r, struct ctf_frame *f)
{
	return CTF_OK;
}

/* options: lines; section [ct1] begins in line 3. */
static inline void
nfct_plug_new(struct nfct_plug *p, const char *options)
{
	char *text;
	int ret = asprintf(&text, "[global]\nstack=ct1:NFCT,h:HOLE\n[ct1]\n%s\n", options);

	ck_assert_int_gt(ret, 0);
	memset(p, 0, sizeof(*p));
	p->hole = (struct ctf_plugin){ .abi = CTF_ABI,
				       .role = CTF_OUTPUT,
				       .name = "HOLE",
				       .doc = "nothing",
				       .encode = nfct_plug_encode };
	p->set = plugin_set_new();
	ck_assert_int_eq(plugin_add(p->set, &p->hole), 0);
	ck_assert_int_eq(plugin_add(p->set, &ctf_plugin_nfct), 0);
	ck_assert_int_eq(conf_parse(text, strlen(text), "test.conf", &p->conf, &p->diag), 0);
	free(text);
	ret = plan_make(p->conf, p->set, &p->diag, &p->plan);
	if (ret == 0)
		ret = graph_build(&p->plan, &p->diag, &p->graph);
	if (ret == 0) {
		p->nfct = p->graph.inputs->ctx.obj;
		ct_times_default(&p->nfct->in.t);
		ct_prepare(&p->nfct->in);
	}
}

static inline void
nfct_plug_free(struct nfct_plug *p)
{
	diag_free(&p->diag);
	graph_free(&p->graph);
	plan_free(&p->plan);
	conf_free(p->conf);
	plugin_set_free(p->set);
}

/* The first problem as the daemon says it; "": none. */
static inline const char *
nfct_plug_error(const struct nfct_plug *p, char *text, size_t size)
{
	char *t = p->diag.n ? diag_text(&p->diag.item[0]) : NULL;

	snprintf(text, size, "%s", t ? t : "");
	free(t);
	return text;
}

/* Whether the evaluator chooses what the message becomes. */
static inline bool
nfct_plug_selects(struct nfct_plug *p, const void *msg, size_t len)
{
	p->rec.set[0] = p->rec.set[1] = 0;
	ck_assert_int_eq(ct_decode(&p->nfct->in, msg, len, 1, -1, &p->rec), 1);
	return nfct_selected(p->nfct, &p->rec);
}

#endif
