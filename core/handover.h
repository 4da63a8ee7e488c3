/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Restart without loss: what the process before left (handover.c), and what
 * this one leaves (legacy.c).
 *
 * In the manager's store lie the descriptors that inputs and sinks keep there
 * and, between two processes, one piece of memory (a memfd) made of the blocks
 * of frame_io.h: a head, then for each input and each sink who it is, what it
 * left, and a sink's frames that are not settled, then the end.
 */
#ifndef CTF_HANDOVER_H
#define CTF_HANDOVER_H

#include <pthread.h>

#include "graph.h"
#include "notify.h"

#define LEGACY_VERSION 1u
#define LEGACY_FD "ctflowd-legacy" /* the memfd's name in the store */
#define LEGACY_PREFIX "ctflowd"    /* begins the names of the others */

/* Names of BYTES blocks; what objects leave begins with BLOB. */
#define LEGACY_HEAD "ctflowd"  /* version (4 bytes), boot id (36), blocks follow */
#define LEGACY_OBJECT "object" /* 'i' or 'o', id, 0, plugin, 0 */
#define LEGACY_SPOOL "spool"   /* spool id, last frame number: 8 bytes each */
#define LEGACY_END "end"       /* number of blocks before it (8) */
#define LEGACY_BLOB '='
#define BOOT_ID_LEN 36u

struct old_blob {
	struct old_blob *next;
	const char *name;
	const uint8_t *p; /* in the memory, or, of a sink, `own` */
	size_t len;
	uint8_t own[];
};

struct old_layout {
	struct old_layout *next;
	struct ctf_layout layout;
	uint8_t p[];
};

struct old_text {
	struct old_text *next;
	char s[];
};

struct old_object {
	struct old_object *next;
	char *id, *plugin;
	bool is_sink, claimed;
	struct old_blob *blobs;
	uint64_t spool, last_number, seen_number;
	size_t begin, end; /* of its blocks in the memory */
	uint64_t frames, recs;
};

struct left { /* by an object of this process */
	struct left *next;
	const struct ctf_ctx *ctx;
	char name[64];
	size_t len;
	uint8_t p[];
};

struct handover {
	struct notify notify;
	int notify_error, inherit_error; /* to be said when there is a log */
	pthread_mutex_t lock;            /* what follows: sinks have threads */
	struct notify_fds fds;
	struct old_object *objects;
	struct old_layout *layouts;
	struct old_text *texts;
	const uint8_t *map; /* the memory, until all have taken their frames */
	size_t map_len;
	bool have_memory; /* in the store, and to be forgotten */
	bool frozen;      /* the store stays as it is */
	struct left *left;
};

struct ctf_legacy {
	struct handover *h;
	const struct ctf_ctx *ctx;
};

/*
 * Takes the environment's word; the very first thing, before other
 * descriptors are opened.  NULL: out of memory.
 */
struct handover *handover_new(void);
void handover_free(struct handover *);
/* There is a manager, so the end is a hand-over. */
bool handover_is_due(const struct handover *);
/* Reads what was left; with the log open, before run_start(). */
void handover_load(struct handover *);
/* What was left for a sink of that name is not for the one that opens next. */
void handover_forget(struct handover *, const struct inst *);
/*
 * What that sink, whose thread is gone, left is for the next one of its name in
 * this process (reload).
 */
void handover_pass(struct handover *, const struct ctf_ctx *);
/* Before the sink's thread is made: the frames left for it go first. */
void handover_feed(struct handover *, struct sink *);
/*
 * The start has failed, and nothing was read or delivered: what the process
 * before left is for the next start to find.
 */
void handover_freeze(struct handover *);
/* All have what they want: closes the rest, and the store forgets it. */
void handover_settle(struct handover *);

/* legacy.c: lets an object leave what it wants; its hand_over()'s answer. */
int handover_leave(struct handover *, struct ctf_ctx *);
/*
 * All that was left, and the frames of all sinks, into memory in the store.
 * ret_recs: flows in these frames.  -errno: nothing is there.
 */
int handover_write(struct handover *, const struct graph *, uint64_t *ret_recs);

/* Reads this machine's boot id. */
void handover_boot_id(char ret_id[BOOT_ID_LEN + 1]);
/* The hand-over an object belongs to, or NULL. */
struct handover *handover_of(const struct ctf_ctx *);

/* heritage.c: the memory's blocks as objects and layouts; -errno, and why. */
int heritage_parse(struct handover *, const uint8_t *p, size_t n, struct ctf_err *err);
void heritage_free(struct handover *);
void heritage_drop_blobs(struct old_object *);
struct old_object *heritage_find(struct handover *, const struct inst *, bool is_sink);
const struct ctf_layout *heritage_layout(const struct handover *, uint64_t id);

#endif
