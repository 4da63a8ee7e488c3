/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A spool's files.  The folder of a sink has
 *
 *   spool                        its id and epoch, and a lock (spool_dir.c)
 *   FIRST.open                   the segment being written
 *   FIRST-LAST-FLOWS.seg         one that is complete
 *   either.bad                   one in which there was nothing that could be read
 *
 * with the numbers of its first and last frame and the flows of all of them,
 * hexadecimal: so the start need not look into what lies there.
 *
 * A segment is blocks of frame_io.h: a head (BYTES "spool") that says whose it
 * is, then frames in ascending order, each layout before the first frame that
 * has it.  Segments do not overlap.  It is appended to and synced; what a dead
 * process left is a prefix of that, and half a block at most behind it.
 */
#ifndef CTF_SEGMENT_H
#define CTF_SEGMENT_H

#include "frame_io.h"

#define SEGMENT_MAX (16u << 20)
#define SEGMENT_NAME 64u
#define SEGMENT_BAD (SEGMENT_NAME + 8u)

struct segment {
	struct segment *next; /* ascending */
	uint64_t first, last; /* numbers of frames */
	uint64_t flows;
	uint64_t serial; /* one given up, and the next, may begin with the same frame */
	uint64_t bytes;  /* on disk for certain */
	uint64_t from_ns, to_ns;
	bool open;   /* its name says so */
	bool old;    /* of an earlier run */
	bool doomed; /* to be unlinked */
	bool busy;   /* being read */
	/* What of it is on disk alone; nothing when from > last. */
	uint64_t from, at; /* number of its first frame, or less; where it is */
	uint64_t left;     /* flows from there on */
	uint64_t upto;     /* of the last frame; not of old ones */
	/* Of the gaps in it, as far as this run has written them. */
	uint64_t told;  /* flows they tell of */
	bool uncounted; /* one tells of no number */
};

/* Whose segments. */
struct segment_owner {
	int dir; /* the folder's fd */
	uint64_t spool;
	const char *id, *plugin; /* of the sink */
};

/* A layout as it was stored: frames that were read point to it. */
struct stored_layout {
	struct stored_layout *next;
	struct ctf_layout layout;
	uint8_t p[];
};

void segment_name(const struct segment *, char ret_name[SEGMENT_NAME]);
/* False: not the name of a segment. */
bool segment_parse_name(const char *name, struct segment *ret_segment);
int segment_unlink(const struct segment_owner *, const struct segment *);

/* ---- writing ---- */

struct segment_writer {
	const struct segment_owner *owner;
	struct segment *seg; /* NULL: none is open */
	int fd;
	uint64_t *layouts; /* ids of those in it */
	unsigned nlayouts, room;
	uint8_t *buf;
	size_t len, cap;
	bool head; /* the buffer begins with one */
};

/* The file of that segment, of which first is set; nothing is written yet. */
int segment_create(struct segment_writer *, struct segment *);
/* Into the buffer; *ret_at: where what belongs to it begins in the file. */
int segment_put(struct segment_writer *, const struct qframe *, uint64_t *ret_at);
/*
 * The buffer to disk; the caller counts flows and numbers into the segment, but
 * not its bytes.  After an error nothing of it is there, and the writer closed.
 */
int segment_sync(struct segment_writer *);
/* Gives the file the name of a complete one, or unlinks it when it has no frame. */
int segment_close(struct segment_writer *);
void segment_writer_free(struct segment_writer *);

/* ---- reading: any bytes may come ---- */

struct segment_reader {
	const struct segment_owner *owner;
	uint64_t first, serial; /* of the segment that is open */
	int fd;
	uint8_t *buf;
	size_t cap, have; /* bytes of the file from base on */
	uint64_t base, at, end, number;
	struct stored_layout *layouts; /* all ever read, the latest first */
};

void segment_reader_init(struct segment_reader *, const struct segment_owner *);
void segment_reader_free(struct segment_reader *);
/*
 * Goes to that place of the segment, which is behind frame `number`.  -ENOENT: no
 * such file; -EBADMSG: it cannot be read; else it may be another time.
 */
int segment_seek(struct segment_reader *, const struct segment *, uint64_t at, uint64_t number);
/*
 * The next frame; its layout may be asked for.  1; 0 at the end; -EBADMSG when what
 * follows is damaged, also when it cannot be read; else it may work later.
 */
int segment_next(struct segment_reader *, struct block *ret_block);
const struct ctf_layout *segment_layout(const struct segment_reader *, uint64_t id);
/* A queue's frame with texts of its own; NULL: no memory. */
struct qframe *segment_frame(const struct segment_reader *, const struct block *,
			     struct encoder *enc);

/* Cuts it to what is good of it: `at` bytes up to that frame, with so many flows. */
int segment_cut(const struct segment_owner *, struct segment *, uint64_t at, uint64_t last,
		uint64_t flows);
/*
 * A segment a dead run left open: finds last, flows and bytes, cuts off what is
 * torn (*ret_torn bytes), and names it as complete.  Without a good frame it
 * stays as it is, and its bytes are 0.
 */
int segment_recover(struct segment_reader *, struct segment *, uint64_t *ret_torn);
/* Gives what cannot be read a name that is no segment's; of which nothing is lost. */
int segment_put_aside(const struct segment_owner *, const struct segment *,
		      char ret_name[SEGMENT_BAD]);

#endif
