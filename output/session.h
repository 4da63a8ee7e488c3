/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * session.h - one connected stream socket after another to a peer, on a sink's
 * thread: what was written, what of it has arrived, and what is to be sent
 * again when it breaks.
 *
 * Bytes that the peer's kernel has acknowledged may never be read: a process
 * that is killed leaves them behind, and its kernel resets the connection.  It
 * sends FIN only if nothing was left.  So after a FIN what was acknowledged has
 * been read, and after any other end the last `resend` bytes of it may not
 * have been; they are never fewer than twice the largest window the peer
 * offered, which is how a buffer relates to the window it is good for.
 *
 * A unix socket is its reader's buffer: what left it was read, `resend` is 0.
 */
#ifndef CTF_OUTPUT_SESSION_H
#define CTF_OUTPUT_SESSION_H

#include <sys/types.h>
#include <sys/uio.h>

#include <ctflow/plugin.h>

/*
 * What stands between payload and socket; each gets session_begin()'s `io`.
 * NULL as a whole: payload goes into the socket as it is.
 */
struct session_io {
	/* Payload bytes taken, > 0, or -errno; -EAGAIN: poll for wants() first. */
	ssize_t (*sendv)(void *io, struct iovec *, size_t n);
	short (*wants)(void *io); /* poll(2) events */
	/*
	 * Reads what the peer says and throws it away: 0; -EPIPE after its
	 * orderly end, which says that it has read all; else -errno.
	 */
	int (*peer)(void *io);
	/* Bytes of the stream that all payload taken so far became, */
	uint64_t (*wrote)(void *io);
	/* of these, where what ended `behind` bytes before the end of the last sendv ends, */
	uint64_t (*at)(void *io, size_t behind);
	/* and those of them that are not in the socket yet; tries to put them there. */
	uint64_t (*held)(void *io);
	void (*finish)(void *io);  /* says the end of ours, and shuts the socket for writing */
	void (*release)(void *io); /* before the socket is closed */
};

enum session_end {
	SESSION_OPEN = 0,
	SESSION_FIN,    /* the peer has read all it acknowledged */
	SESSION_BROKEN, /* it may not have */
};

struct session_mark { /* where in the stream a frame ends */
	uint64_t number, end;
};

struct session {
	struct ctf_ctx *ctx;
	const struct session_io *way;
	void *io;
	int fd;
	bool up, finished; /* finished: we have sent FIN */
	enum session_end end;
	uint64_t resend, window; /* window: the largest one the peer offered */
	uint64_t sent, acked;    /* bytes of this session */
	uint64_t last_end;       /* where the frame settled last ends */
	struct session_mark *mark;
	unsigned marks, first, cap;   /* a ring */
	unsigned arrived;             /* of the marks: acknowledged, maybe needed again */
	uint64_t settled, needed;     /* frame numbers; outlive the session */
	bool tcp;                     /* else a unix socket */
	uint64_t partial, partial_of; /* see session_partial() */
};

/* A connected socket, from here on the session's; resend: see above. */
void session_begin(struct session *, struct ctf_ctx *, int fd, uint64_t resend,
		   const struct session_io *, void *io);

/* Payload bytes taken, or -errno: -EAGAIN, -EINTR, else the session is over. */
ssize_t session_sendv(struct session *, struct iovec *, size_t n);
/* That frame ended `behind` bytes before the end of what sendv took last. */
void session_mark(struct session *, uint64_t number, size_t behind);
/*
 * Until sendv can go on: 0; -EAGAIN it takes long; -EINTR the core wants us
 * back; else the session is over.
 */
int session_room(struct session *);
/* Is it alive?  0; -EPIPE the peer ended it in order; else -errno. */
int session_peer(struct session *);

/* The plugin's callbacks of these names, also after the end. */
uint64_t session_settled(struct session *);
uint64_t session_needed(struct session *);
/*
 * After an orderly end: so many bytes of the first frame not settled were read
 * (0 if that is not known); its number is ret_number, or 0 if it was never
 * marked, being sent when the session ended.
 */
uint64_t session_partial(const struct session *, uint64_t *ret_number);
/* Waits a moment for what is under way to arrive, and closes. */
void session_finish(struct session *);

#endif
