/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The folder of one sink's spool, below spool_dir: locked, named after id and
 * plugin, with the segments and a small file that has the spool's id and epoch.
 * The epoch is counted up at each start, and makes the upper half of the frames'
 * numbers: none is used twice, whatever was lost.
 */
#ifndef CTF_SPOOL_DIR_H
#define CTF_SPOOL_DIR_H

#include "priv.h"
#include "segment.h"

#define SPOOL_EPOCH_BITS 32u
#define SPOOL_DIR_NAME 256u

struct spool_dir {
	struct segment_owner owner;
	int meta; /* locked while it is open */
	uint64_t seq;
	uint32_t epoch;
	uint64_t settled;  /* number of the last one, when a run ended in order */
	uint64_t since_ns; /* when it was last begun or ended; 0: not known */
	bool known;        /* it was there before, and readable */
	bool clean;        /* and the run before had ended in order */
};

/* The name of the folder below spool_dir. */
void spool_dir_name(const char *id, const char *plugin, char ret_name[SPOOL_DIR_NAME]);
/*
 * Opens and locks it; what is missing of folders is made, but for what is above
 * `top`.  -EBUSY: another process has it.  id and plugin are borrowed.
 */
int spool_dir_open(struct spool_dir *, const char *top, const char *id, const char *plugin,
		   const struct priv *, struct ctf_err *);
void spool_dir_close(struct spool_dir *);
/* What lies there, ascending; to be freed by the caller. */
int spool_dir_list(struct spool_dir *, const struct priv *, struct segment **ret_list);
void spool_list_free(struct segment *);
/*
 * A new epoch, above that number and those of the list, on disk when it returns;
 * a lost id is taken from the list, or is new.
 */
int spool_dir_begin(struct spool_dir *, const struct segment *list, uint64_t above);
/* After an end: it is not the end. */
int spool_dir_go_on(struct spool_dir *);
/* All that was given to it and not settled is on disk. */
int spool_dir_end(struct spool_dir *, uint64_t settled);

/* The first number of the epoch, less one: a multiple of GROUP. */
static inline uint64_t
spool_base(const struct spool_dir *d)
{
	return (uint64_t)d->epoch << SPOOL_EPOCH_BITS;
}

/*
 * Calls fn for each folder below top that holds segments, belongs to no living
 * process, and is not `mine`.
 */
void spool_leftovers(const char *top, bool (*mine)(const char *name, void *arg),
		     void (*fn)(const char *name, uint64_t bytes, uint64_t flows, void *arg),
		     void *arg);

#endif
