/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A sink that writes frames of whole lines as bytes: to a file, a FIFO, a
 * terminal, the standard output or a connected socket.  A frame begun is
 * continued where it stopped; nothing is written twice, and no call blocks
 * where ctf_wait() could not end it.
 */
#ifndef CTF_OUTPUT_STREAM_H
#define CTF_OUTPUT_STREAM_H

#include <ctflow/plugin.h>

struct stream_conf { /* the first member of the conf of its users */
	const char *file;
	bool sync;
};

/* Their options, offsets being those of stream_conf. */
#define STREAM_OPTS(path) \
	{ "file", \
	  CTF_OTEXT, \
	  offsetof(struct stream_conf, file), \
	  1, \
	  4095, \
	  path, \
	  NULL, \
	  "what lines are appended to: a file, a FIFO, a terminal, /dev/stdout" }, \
	{ \
		"sync", CTF_OBOOL, offsetof(struct stream_conf, sync), 0, 0, "0", NULL, \
			"write after each batch of events, not when 64 KiB are full or a " \
			"second old" \
	}

enum stream_kind {
	STREAM_CLOSED = 0,
	STREAM_FILE,   /* writes end by themselves */
	STREAM_PIPE,   /* FIFO, terminal: a non-blocking description of our own */
	STREAM_SHARED, /* the same, but not ours to make non-blocking */
	STREAM_SOCKET,
};

struct stream { /* begins the sink */
	struct ctf_obj obj;
	enum stream_kind kind;
	int fd;
	const char *name;  /* file or host, for messages */
	uint64_t dev, ino; /* of what was open last */
	uint32_t off;      /* bytes written of the frame begun, the rest is to follow */
	uint32_t len;      /* these three tell which one it is */
	uint64_t number, last_ns;
	struct stream_written *written; /* in the state page; NULL: a socket */
	uint64_t upto;                  /* ctf_frame.upto of what was written whole */
	bool torn;                      /* the output ends within a line of it */
	bool heal;                      /* end a torn line first: its rest will not come */
	bool fresh;                     /* something else was opened since */
	bool tail;                      /* and its last line was torn */
	bool looked_back;               /* at what the process before left */
	uint64_t head;                  /* layout that the output begins with; 0: not known */
	uint32_t head_left;             /* bytes of it to be written before the next frame */
	struct stream_header *header;   /* in the state page */
};

/* These are callbacks of struct ctf_plugin. */
int stream_open(void *sink, int *ret_err, struct ctf_err *);
int stream_usable(void *sink, struct ctf_err *);
enum ctf_sent stream_deliver(void *sink, const struct ctf_frame *const *, unsigned n,
			     unsigned *ret_taken, struct ctf_err *);
int stream_reopen(void *sink, struct ctf_err *);
void stream_close(void *sink);

int stream_open_path(struct stream *, const char *path, struct ctf_err *);
/*
 * stream_hand.c, a callback too; and at the first open: where the process
 * before stopped.
 */
int stream_hand_over(void *sink, struct ctf_legacy *);
void stream_hand_take(struct stream *);
/* Takes fd over and closes what was open; the name is borrowed. */
void stream_use(struct stream *, int fd, enum stream_kind, const char *name);
/* Until fd can be written: SENT; AGAIN when it takes too long; RETRY on errors. */
enum ctf_sent stream_wait(struct stream *, struct ctf_err *);

/* Where the line begins in which the first n bytes of the frame end. */
uint32_t stream_line_start(const struct ctf_frame *f, uint32_t n);
/* Whether f is the frame that s->off bytes are written of. */
bool stream_is_begun(const struct stream *s, const struct ctf_frame *f);
/* Notes that w more bytes of f are written. */
void stream_note(struct stream *s, const struct ctf_frame *f, size_t w);

/*
 * stream_head.c: whether the layout has to be written before this frame, and
 * how many frames have that layout.
 */
void stream_head_look(struct stream *s, const struct ctf_frame *);
/* It is all written: for whoever goes on with that file. */
void stream_head_note(struct stream *s);
unsigned stream_head_run(const struct ctf_frame *const *, unsigned n);

/*
 * stream_kept.c: what a killed daemon had written.  Before each write the
 * state page is told where it begins and what it holds, after it what came of
 * it, so that the next run can tell the flows that arrived from the lost.
 */
void stream_kept_open(struct stream *s);
void stream_kept_begin(struct stream *s, const struct ctf_frame *const *, unsigned n);
/* `done` of them are complete now, and s->off bytes of the next one. */
void stream_kept_end(struct stream *s, const struct ctf_frame *const *, unsigned n,
		     unsigned done);

#define STREAM_IOVS 16u          /* frames of a write */
#define STREAM_FRAME (64u << 10) /* bytes of a frame */

#endif
