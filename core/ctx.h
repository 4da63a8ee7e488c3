/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTF_CTX_H
#define CTF_CTX_H

#include <ctflow/plugin.h>

#include "log.h"
#include "state.h"

struct metric {
	const char *name;
	enum ctf_metric kind;
	enum ctf_unit unit;
	const char *help; /* or NULL */
};

struct counter {
	_Atomic(struct counter *) next; /* a sink's thread adds, the main thread reads */
	struct metric metric;
	uint64_t passed_on; /* to a successor */
	ctf_counter value;
};

/* A plugin object's handle on the core: who it is, where it sits. */
struct ctf_ctx {
	struct inst *inst;
	struct diag *diag; /* while it is probed */
	void *obj;         /* the object, begins with struct ctf_obj */
	_Atomic(struct counter *) counters;
	ctf_counter spare;         /* counts, but is not shown: no memory for more */
	struct state_plain *plain; /* of ctf_state() without a page */
	struct input *input;       /* of an input, filter or encoder */
	struct encoder *enc;
	struct sink *sink;
	struct stack *stack; /* while it is being wired */
	bool set_up;         /* setup() was called: release() must be */
	bool pinned;         /* ctf_pin() */
	unsigned pos;        /* member number in it */
};

/* Allocates the object and binds it; 0 or -ENOMEM. */
int ctx_init(struct ctf_ctx *, struct inst *, size_t size);
void ctx_free(struct ctf_ctx *);
/* What `from` has counted since the last time is counted by `to` as well, by name. */
void ctx_pass_on(struct ctf_ctx *to, struct ctf_ctx *from);
/* All numbers that are not 0 in the log, as many to a line as fit. */
void ctx_log_counters(const struct ctf_ctx *);

#endif
