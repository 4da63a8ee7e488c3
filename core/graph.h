/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a configuration becomes: instances (an id and its options), and the
 * graph of inputs, filters, encoders and sinks that its stacks are wired to.
 * Building it does no I/O, probes apart.
 */
#ifndef CTF_GRAPH_H
#define CTF_GRAPH_H

#include <ctflow/plugin.h>

#include "batch.h"
#include "conf.h"
#include "ctx.h"
#include "diag.h"
#include "kept.h"
#include "plugin.h"

#define STACK_MAX 64u  /* members of one stack */
#define STREAM_MAX 64u /* open frames of one encoder */
#define BATCH_RECS 64u /* records of a batch: bits of a stack's mask */

/* The options every output has besides its own. */
struct out_conf {
	uint64_t queue;     /* bytes */
	unsigned overflow;  /* enum out_overflow */
	uint64_t reconnect; /* ms */
	bool gaps;
	const char *spool_dir; /* "": no spool */
	uint64_t spool_max;    /* bytes */
	uint64_t spool_sync;   /* ms */
	uint64_t replay_rate;  /* records a second, 0: any */
	unsigned interim;      /* 0 auto, else 1 + enum ctf_interim */
};
enum out_overflow { OVERFLOW_AUTO, OVERFLOW_DROP_OLD, OVERFLOW_BLOCK };
extern const struct ctf_opt out_opts[];

/* An id with its plugin and its parsed options. */
struct inst {
	struct inst *next;
	const struct inst *of; /* it is another sink of that one; */
	unsigned nth;          /* which, from 0 */
	char *id;
	const struct ctf_plugin *plugin;
	const char *file;               /* of the configuration */
	const struct conf_section *sec; /* NULL: defaults only */
	void *conf;                     /* plugin->conf_size bytes */
	struct out_conf out;
	struct gen *conf_gen; /* whose is conf, and what probe() made; NULL: ours */
	bool bad;             /* its options or its probe failed; said already */
	bool probed;
};

struct gen;

struct want { /* who reads what from whom; for -n -v */
	const struct ctf_ctx *reader, *writer;
	ctf_ref slot;
};

struct watch { /* another fd of an input */
	struct watch *next;
	struct input *input;
	int fd;
	int (*fill)(void *self, struct ctf_batch *);
	struct loop_fd *loop;
};

struct input {
	struct input *next;
	struct ctf_ctx ctx;
	struct inst *inst;
	struct graph *graph;
	const struct ctf_field *slots[CTF_SLOTS];
	unsigned nslots;
	struct want *wants;
	unsigned nwants;
	struct stack **stacks;
	unsigned nstacks;
	struct ctf_batch batch;
	struct loop_fd *watch; /* its fd in the loop; NULL: not polled */
	struct loop_fd *timer; /* of ctf_every() */
	void (*every)(void *self);
	struct watch *watches;   /* ctf_watch() */
	struct kept_input *keep; /* in the state page; from start() on */
	struct ctf_earlier earlier;
	bool was_reading; /* when the earlier run died */
	bool started, failed, ended, paused;
	bool handed;        /* its end is a hand-over */
	struct gen *gen;    /* reload.h: its options are of that one; NULL: of the graph's */
	bool absorbed;      /* by the one before, which goes on (reload) */
	struct input *heir; /* which starts once this one has left */
	uint64_t leave_ms;  /* it is leaving, and has until then */
	bool outage;        /* what was lost before the start is not yet known */
};

struct filter {
	struct filter *next;
	struct ctf_ctx ctx;
	struct inst *inst;
	struct input *input;
	struct filter *prev;             /* nearest upstream filter that writes fields */
	struct filter *needs[STACK_MAX]; /* filters it reads from */
	unsigned nneeds;
	struct gen *gen; /* as of an input */
	bool ready;      /* setup() was called */
	bool begun;      /* start() as well */
	uint64_t leave_ms;
	uint64_t done; /* records of this batch it has annotated */
};

struct open_frame {
	uint32_t stream;
	struct ctf_frame *frame;
};

struct encoder {
	struct encoder *next; /* of the same sink */
	struct ctf_ctx ctx;
	struct stack *stack;
	struct sink *sink;
	const struct ctf_layout *layout; /* its sink's */
	uint32_t limit;
	bool sync;
	enum ctf_interim interim;
	unsigned events; /* wanted besides what the input gives to all */
	struct open_frame open[STREAM_MAX];
	unsigned nopen, last;
	uint64_t n_records, n_flows, n_skipped; /* of this batch */
	ctf_counter *records, *skipped, *not_encoded;
};

struct stack {
	struct stack *next;
	const struct stack *of; /* a copy of it, for another sink of its output */
	char *own_text;
	const char *text; /* "ct1:NFCT,...", as configured */
	unsigned line;
	struct inst *member[STACK_MAX];
	unsigned n; /* members */
	struct input *input;
	struct filter *chain[STACK_MAX]; /* [i] is member i + 1 */
	bool needed[STACK_MAX];          /* chain[i] has something to do */
	unsigned nchain;
	struct encoder *enc;
	bool bad, dead; /* refused at build; its sink could not be opened */
	bool foreign;   /* bad, as it is for packets */
};

struct graph {
	struct input *inputs;
	struct filter *filters;
	struct sink *sinks;
	struct stack *stacks; /* of the configuration, in its order */
	struct run *run;      /* once it is started */
	struct encoder *idle; /* of sinks that go on without them (reload) */
	bool open_frames;     /* something waits to be sealed */
	bool pinned;          /* a filter that is freed still needs its options */
};

/* The instances and stacks of a configuration; problems go to diag. */
struct plan {
	struct gen *before; /* in force: an output with the same options is not probed again */
	const struct conf *conf;
	struct inst *insts;
	struct stack *stacks;
};

/* Of a field and the plugin that wants it. */
#define FIELD_MISSING "cannot find key `%s' in stack: no plugin before %s gives it"

int plan_make(const struct conf *, struct plugin_set *, struct diag *, struct plan *ret_plan);
void plan_free(struct plan *);
/* several.c: puts copies behind a stack whose output is several sinks; 0 or -errno. */
int plan_several(struct plan *, struct stack *, struct diag *);
/* The nth sink of an output as an instance: 0; -EEXIST: its name is taken. */
int plan_copy_inst(struct plan *, const struct inst *of, unsigned nth, struct inst **ret_inst);
/* The sections as they are in force; parses back to the same. */
void plan_print(FILE *, const struct plan *);

/*
 * Wires the good stacks of the plan.  A stack that cannot be wired is marked
 * bad, reported, and leaves no trace in the graph.
 */
int graph_build(struct plan *, struct diag *, struct graph *ret_graph);
void graph_free(struct graph *);
/* Once privileges are dropped; waits for those that need a moment. */
void graph_start_filters(struct graph *);
void filter_start(struct filter *);
/* All that were started have what they need, see ready() of a plugin. */
bool graph_filters_ready(const struct graph *);
/* No more time: says of which that is not so. */
void graph_filters_late(const struct graph *);
/* Frees one that is in no graph any more. */
void input_free(struct input *);
/* True: it stays for ever, with its options, see ctf_pin(). */
bool filter_free(struct filter *);
unsigned graph_live_stacks(const struct graph *);

/* wire.c: binds the fields of one stack, whose objects exist. */
int wire_stack(struct stack *, struct ctf_err *);
/* No field of a fresh object is bound to a slot. */
void wire_clear(struct ctf_ctx *);

#endif
