/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctflow/plugin.h - the one header a plugin includes; the others in its folder
 * are parts of it.
 *
 * A plugin is const data: a name, tables (options, fields read and written)
 * and callbacks.  It has no constructor and no writable globals; the core
 * allocates its objects.  There are three roles:
 *
 *   input    reads events into batches of records            (main thread)
 *   filter   annotates or drops records                       (main thread)
 *   output   = encoder: records -> bytes in frames            (main thread)
 *            + sink:    frames -> file, socket, database      (own thread)
 *
 * An output id of the configuration is one sink, however many stacks end in
 * it; each of these stacks has its own encoder.  Encoder and sink share
 * nothing but the options, which are const once probe() has returned.
 *
 * Conventions: functions return 0 (or a count) or -errno unless an enum is
 * named.  Out-parameters begin with ret_ and are untouched on failure.  Times
 * are nanoseconds since 1970-01-01 UTC.  Numbers are host order, addresses
 * and other byte strings network order.
 */
#ifndef CTFLOW_PLUGIN_H
#define CTFLOW_PLUGIN_H

#include <stdbool.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CTF_ABI 1u
#define CTF_API __attribute__((visibility("default")))

struct ctf_ctx; /* one plugin object's handle on the core */

#include "expr.h"
#include "record.h"
#include "report.h"
#include "frame.h"
#include "legacy.h"

/* ---- tables; offsets point into the plugin's own structs ----------------- */

enum { CTF_REQUIRED = 0, CTF_OPTIONAL = 1 };

struct ctf_port { /* one field read or written; a table ends with name NULL */
	const char *name;
	unsigned flags;              /* CTF_REQUIRED or CTF_OPTIONAL (reads only) */
	size_t off;                  /* of a ctf_ref in the instance (output: in the encoder) */
	const struct ctf_field *def; /* for a field this plugin invents */
};

enum ctf_otype {                /* the member an option's offset points to */
		 CTF_OBOOL = 1, /* bool; 0 1 yes no on off true false */
		 CTF_OUINT,     /* uint64_t; decimal, 0x hex, 0 octal, as strtoul */
		 CTF_OSIZE,     /* uint64_t bytes; suffix K M G = 1024^n */
		 CTF_OMSEC,     /* uint64_t milliseconds; plain number = seconds; ms s m h d */
		 CTF_OTEXT,     /* const char *, owned by the core, never NULL */
		 CTF_OENUM,     /* unsigned, index into choices */
		 CTF_OSECRET,   /* as CTF_OTEXT, and shown nowhere */
};

struct ctf_opt { /* a table ends with name NULL */
	const char *name;
	enum ctf_otype type;
	size_t off;          /* in the conf struct */
	uint64_t min, max;   /* numbers, sizes, times; text: of the length; 0 0 = any */
	const char *dflt;    /* NULL: must be given */
	const char *choices; /* CTF_OENUM: "auto|set|warn", case ignored */
	const char *doc;     /* one line, for -i, -n -v and the man page */
};

/* ---- what the core offers ------------------------------------------------ */

/*
 * Every object a plugin asks for (input or filter instance, encoder, sink)
 * begins with this; the core allocates the object zeroed and fills it in.
 */
struct ctf_obj {
	struct ctf_ctx *ctx;
	const void *conf; /* the options, conf_size bytes */
};

struct ctf_err {
	char msg[512];
	const char *file; /* NULL when no line of the configuration is meant */
	unsigned line;
};

/* Fills err, returns -errnum.  err may be NULL. */
CTF_API int ctf_fail(struct ctf_err *err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The same, blaming the line that gave option `name` (or the section). */
CTF_API int ctf_fail_opt(const struct ctf_ctx *, struct ctf_err *err, const char *name,
			 const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* probe(): option `name` has no effect, or not the one it looks like; unless it is the default. */
CTF_API void ctf_doubt_opt(const struct ctf_ctx *, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

enum ctf_level { /* ulogd2's numbers */
		 CTF_DEBUG = 1,
		 CTF_INFO = 3,
		 CTF_NOTICE = 5,
		 CTF_WARNING = 6,
		 CTF_ERROR = 7,
		 CTF_FATAL = 8,
};
/* Any thread.  The line is prefixed with the instance's name. */
CTF_API void ctf_log(const struct ctf_ctx *, enum ctf_level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

CTF_API const char *ctf_name(const struct ctf_ctx *); /* instance id, "ct1" */
/* Encoder or sink: which of the sinks of its id it belongs to, from 0. */
CTF_API unsigned ctf_sink_nth(const struct ctf_ctx *);
/* Encoder: the instance id of the input its records come from. */
CTF_API const char *ctf_source(const struct ctf_ctx *);
CTF_API uint64_t ctf_now(void);     /* CLOCK_REALTIME, ns */
CTF_API uint64_t ctf_mono_ms(void); /* CLOCK_MONOTONIC, ms; async-signal-safe */

#define CTF_HASH UINT64_C(14695981039346656037)
/* Goes on from h, CTF_HASH at first.  Not against an attacker; the same on any host. */
CTF_API uint64_t ctf_hash(uint64_t h, const void *p, size_t n);

#define CTF_BOOT_ID 37u /* bytes, with the NUL */
/* Of /proc/sys/kernel/random/boot_id; "" when it cannot be read. */
CTF_API void ctf_boot_id(char ret_id[CTF_BOOT_ID]);

/*
 * A number of this object, shown by SIGUSR1, at the end and in metrics_file.
 * Name and help (one line, or NULL) are borrowed.  Never fails.
 */
enum ctf_metric { CTF_COUNTER, CTF_GAUGE }; /* only grows; as it is now */
enum ctf_unit {
	CTF_UNIT_NONE,
	CTF_UNIT_BYTES,
	CTF_UNIT_SECONDS, /* the number is ns */
	CTF_UNIT_PERCENT, /* Prometheus gets the ratio */
};
typedef _Atomic uint64_t ctf_counter;
CTF_API ctf_counter *ctf_metric_new(struct ctf_ctx *, const char *name, enum ctf_metric,
				    enum ctf_unit, const char *help);
static inline ctf_counter *
ctf_counter_new(struct ctf_ctx *ctx, const char *name)
{
	return ctf_metric_new(ctx, name, CTF_COUNTER, CTF_UNIT_NONE, NULL);
}
static inline void
ctf_gauge_set(ctf_counter *c, uint64_t n)
{
	atomic_store_explicit(c, n, memory_order_relaxed);
}
static inline void
ctf_count(ctf_counter *c, uint64_t n)
{
	atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

/*
 * During setup(): binds a field by name to the nearest producer upstream, which
 * for an input is itself.
 * Returns 0; -ENOENT when no plugin upstream can produce it (err says so
 * unless NULL); -E2BIG when the records are full.  ret_field may be NULL.
 */
CTF_API int ctf_want(struct ctf_ctx *, const char *name, ctf_ref *ret_ref,
		     const struct ctf_field **ret_field, struct ctf_err *err);
/*
 * During setup(): the i-th of ulogd2's keys upstream, input first, then the
 * filters, each in its own order.  Returns 1, 0 after the last, or -errno.
 */
CTF_API int ctf_want_nth(struct ctf_ctx *, unsigned i, ctf_ref *ret_ref,
			 const struct ctf_field **ret_field, struct ctf_err *err);
/*
 * The dictionary's entry of that name; or NULL, and *ret_near is the name that
 * was meant, if one is near enough.  ret_near may be NULL.
 */
CTF_API const struct ctf_field *ctf_field_find(const char *name, const char **ret_near);
/*
 * During setup() of an encoder: the largest frame in bytes (default 64 KiB)
 * and whether frames are sealed at the end of each batch (`sync`) instead of
 * when they are full or one second old.
 */
CTF_API void ctf_frames(struct ctf_ctx *, uint32_t limit, bool sync);

/* What an output makes of flows that live on; its option `interim`. */
enum ctf_interim { CTF_INTERIM_NONE, CTF_INTERIM_PRESENCE, CTF_INTERIM_COUNTERS };
/*
 * During setup() of an encoder: what interim=auto means; else it is presence.
 * Returns what it is now, by the configuration or by this.
 */
CTF_API enum ctf_interim ctf_interim(struct ctf_ctx *, enum ctf_interim automatic);
/*
 * Input, from setup() on: bit 1 << CTF_INTERIM_x for every x some output fed
 * by this input has chosen; those of all inputs with `all`.
 */
CTF_API unsigned ctf_interim_wanted(const struct ctf_ctx *, bool all);

/*
 * During setup() of an encoder: it wants records of these events, CTF_NEW |
 * CTF_UPDATE, though the input may have been told to combine all of a flow into
 * one.  Other outputs do not see such records (CTF_EXTRA).
 */
CTF_API void ctf_want_events(struct ctf_ctx *, unsigned events);
/* Input, from setup() on: the events that some output fed by it wants. */
CTF_API unsigned ctf_events_wanted(const struct ctf_ctx *);

/* Input, in read(): the next record, nothing set; NULL when the batch is full. */
CTF_API struct ctf_rec *ctf_batch_add(struct ctf_batch *);
CTF_API void ctf_batch_drop(struct ctf_batch *); /* takes the record added last back */
CTF_API unsigned ctf_batch_left(const struct ctf_batch *); /* records there is room for */
/*
 * Input, in read(): n bytes to receive into, aligned to 8; NULL when the
 * batch is full.  Only what ctf_batch_keep() keeps outlives the next call.
 */
CTF_API void *ctf_batch_room(struct ctf_batch *, size_t n);
CTF_API void ctf_batch_keep(struct ctf_batch *, size_t used);
/* Filter, in apply(): n bytes that live until the end of the batch, or NULL. */
CTF_API void *ctf_batch_mem(struct ctf_batch *, size_t n);

/* Input: calls fn(self) every msec milliseconds from now on; 0 = no more. */
CTF_API int ctf_every(struct ctf_ctx *, uint64_t msec, void (*fn)(void *self));

/*
 * Input: whenever fd is readable, calls fill(self, batch), which does as read()
 * does with a fd of its own; CTF_READ_END and -errno end this watch alone.
 * Paused and drained with the input.  The fd stays the plugin's; forget it with
 * fill NULL before closing it.
 */
CTF_API int ctf_watch(struct ctf_ctx *, int fd, int (*fill)(void *self, struct ctf_batch *));

/*
 * Input, in start(): with -u the daemon keeps this capability (its number in
 * linux/capability.h) as well as CAP_NET_ADMIN.
 */
CTF_API void ctf_keep_capability(struct ctf_ctx *, unsigned number);

/*
 * Sink, on its thread: waits for poll(2) events on fd.  Returns the revents,
 * 0 on timeout, -EINTR when the core wants deliver() or open() to return at
 * once, else -errno.  timeout_ms < 0 waits for ever.
 */
CTF_API int ctf_wait(struct ctf_ctx *, int fd, short events, int timeout_ms);

/*
 * Sink, in open() or reopen(): gives a file it has just made to the user the
 * daemon is going to run as (-u), so that it can be reopened later.
 */
CTF_API int ctf_own(const struct ctf_ctx *, int fd);
/*
 * Sink, in open(): reopening, rotating or reconnecting makes files at that path
 * or beside it.  At the start it is said if the daemon's user may not.
 */
CTF_API void ctf_will_remake(struct ctf_ctx *, const char *path);

/*
 * Text: both write at p, where the caller has made room, and return the end;
 * nothing is terminated.  Addresses as RFC 5952 has them (and inet_ntop(3)).
 */
#define CTF_FMT_NUM 20u /* the most ctf_fmt_num() writes */
#define CTF_FMT_IP 45u
CTF_API char *ctf_fmt_num(char *p, uint64_t x);
CTF_API char *ctf_fmt_ip(char *p, const uint8_t *ip, int family);

/*
 * Memory that outlives the daemon, kill -9 included: `size` bytes of this
 * object's own, in the state page of the configuration (state_dir).  Parts of
 * an object each have a name.  For an input from start() on, for a sink from
 * its first open() on (any thread); the address stays until the object is
 * gone.  New memory is zeroed; *ret_kept: it holds what an earlier run left,
 * which is to be looked at as input from outside.  Without a page, and for
 * other objects, it is plain memory.  Either is shared with forked processes.
 * Write as often as need be: it is memory.  NULL: out of memory.
 */
CTF_API void *ctf_state(struct ctf_ctx *, const char *part, size_t size, bool *ret_kept);
/*
 * What the earlier run left under that name, itself and not the copy of it: a
 * process forked then that lives on still shares it.  NULL: nothing, or no
 * such process can be.
 */
CTF_API void *ctf_state_before(struct ctf_ctx *, const char *part, size_t size);

enum ctf_ended {                        /* how the earlier run of this input or sink ended */
		 CTF_ENDED_UNKNOWN = 0, /* there was none that we know of */
		 CTF_ENDED_DIED,        /* not in order */
		 CTF_ENDED_CLEAN,       /* input: it left its groups and was read out */
		 CTF_ENDED_HANDED,      /* input: its sockets are to come back */
};
struct ctf_earlier {
	enum ctf_ended ended;
	uint64_t last_ns; /* input: up to then it had read all; 0 unknown */
	bool same_boot;   /* the machine was not started anew since */
};
/*
 * Sink, in open(): of what the earlier run was about to deliver everything up
 * to that ctf_frame.upto did arrive, be it in the middle of a frame; exact:
 * and nothing else.  What is missing becomes a gap, before anything new.
 */
CTF_API void ctf_found(struct ctf_ctx *, uint64_t upto, bool exact);
/* Sink, in deliver(): so many flows of a frame were refused for good, a gap. */
CTF_API void ctf_refused(struct ctf_ctx *, const struct ctf_frame *, uint64_t flows);
/*
 * Sink, in open(): frames may wait that many milliseconds for others, so that
 * deliver() gets many at once; not those of a long queue, nor at the end.
 */
CTF_API void ctf_gather(struct ctf_ctx *, uint64_t msec);
/* Input, from start() on. */
CTF_API struct ctf_earlier ctf_earlier(const struct ctf_ctx *);
/* Input, outside read(): up to now nothing is missing (last_ns of the next run). */
CTF_API void ctf_alive(const struct ctf_ctx *);

/* ---- the plugin ------------------------------------------------------------- */

enum ctf_role { CTF_INPUT = 1, CTF_FILTER, CTF_OUTPUT };
enum ctf_verdict { CTF_PASS, CTF_DROP };

enum ctf_read {                    /* read(): what the input has after this batch */
		CTF_READ_IDLE = 0, /* nothing until fd() is readable again */
		CTF_READ_MORE = 1, /* maybe more: ask again */
		CTF_READ_END = 2,  /* never anything again (end of a replay) */
};

enum ctf_put {
	CTF_OK,
	CTF_FULL, /* no room: the core seals the frame and asks again */
	CTF_SKIP, /* this output does not carry such a record */
};

enum ctf_sent {
	CTF_SENT,   /* *ret_taken frames were taken */
	CTF_AGAIN,  /* cannot now (busy); the core asks again soon */
	CTF_RETRY,  /* the session is broken: close, back off, open, go on */
	CTF_POISON, /* the first frame not taken can never be delivered: drop it */
};

struct ctf_plugin {
	uint32_t abi; /* CTF_ABI */
	enum ctf_role role;
	const char *name;           /* "LOGEMU" */
	const char *doc;            /* one line */
	const struct ctf_opt *opts; /* may be NULL */
	/* For each choice of the enum "preset": other defaults, "key=value key=value". */
	const char *const *presets;
	const struct ctf_port *reads, *writes; /* may be NULL */
	size_t conf_size; /* options: parsed once per id, const after probe() */
	size_t size;      /* input or filter instance; output: the encoder */
	size_t sink_size; /* output: the sink */
	bool pure;        /* filter: only annotates; idle if unwanted, shared if equal */

	/*
	 * Before setup(), also under -n: read-only, bounded (2 s).  May
	 * complete conf, e.g. with the columns of a table; memory put there is
	 * released by unprobe().
	 */
	int (*probe)(void *conf, struct ctf_ctx *, struct ctf_err *);
	void (*unprobe)(void *conf);

	/*
	 * Output: how many sinks such an id is, each with all flows, a queue of its
	 * own and, from the second on, a name like ipfix1.2; NULL: one.  After
	 * probe(), also of options that setup() will refuse.
	 */
	unsigned (*sinks)(const void *conf);

	/* Instance or encoder: checks options, wants fields.  No I/O. */
	int (*setup)(void *self, struct ctf_err *);
	void (*release)(void *self); /* undoes setup(); called once, also if it failed */

	/*
	 * This process ends and another one follows: leaves it what it needs
	 * (legacy.h).  Input, between two batches: 0, and stop() comes next, which
	 * must not undo what the successor relies on; -EAGAIN: not yet, it is
	 * read on meanwhile and asked again soon; else, and with NULL, it is
	 * drained and stopped as ever.  Sink, on its thread, before close() if it
	 * is open.
	 */
	int (*hand_over)(void *self, struct ctf_legacy *);

	/* -- input -- */
	int (*start)(void *self, struct ctf_err *); /* opens things */
	int (*fd)(void *self);                      /* one pollable fd */
	/*
	 * Fills the batch without blocking: enum ctf_read; or -errno: given up,
	 * having logged why.
	 */
	int (*read)(void *self, struct ctf_batch *);
	/* Percent of the receive buffer in use; the core pauses below 50 only. */
	unsigned (*backlog)(void *self);
	/* The end has begun.  True: nothing comes after what is queued; now: that must be so. */
	bool (*drain)(void *self, bool now);
	void (*stop)(void *self); /* undoes start() */
	/* Somebody is about to look at its numbers: bring them up to date; may be NULL. */
	void (*observe)(void *self);
	void (*dump)(void *self); /* SIGUSR2: records of all that lives; NULL: cannot */
	/*
	 * Input or filter, between two batches: the configuration was read again and
	 * has set up `other`, which is not started.  self has its options and the
	 * fields of its tables already, and other those self had; the plugin exchanges
	 * the rest, so that called once more it undoes that.  0: self goes on, other is
	 * released; -EOPNOTSUPP, or NULL: other is started in its place; else (err): not
	 * possible while it runs.  A filter is asked only if its options are the same.
	 * Encoder: other is an earlier one, whose totals go on; asked again at its end.
	 */
	int (*reload)(void *self, void *other, struct ctf_err *err);
	/* Input: it does go on, in the new graph, for others that it feeds now. */
	void (*reloaded)(void *self);

	/*
	 * -- filter; start() is called as well, if there is one, with the rights
	 * the daemon has from then on, and does not wait.  It may begin a thread,
	 * which release() ends; a reload calls drain() before, until there is nothing
	 * to wait for.  If it fails that is said, and apply() is called nevertheless.
	 */
	bool (*ready)(void *self); /* the first records can come; NULL: at once */
	enum ctf_verdict (*apply)(void *self, struct ctf_rec *, struct ctf_batch *);

	/* -- output: encoder; never blocks -- */
	/* The stream of a record, e.g. its observation domain; NULL: one. */
	uint32_t (*stream)(void *enc, const struct ctf_rec *);
	enum ctf_put (*encode)(void *enc, const struct ctf_rec *, struct ctf_frame *);
	/* NULL, or CTF_SKIP: not written.  The frame is empty. */
	enum ctf_put (*gap)(void *enc, const struct ctf_gap *, struct ctf_frame *);
	enum ctf_put (*coverage)(void *enc, const struct ctf_coverage *, struct ctf_frame *);
	enum ctf_put (*sweep)(void *enc, const struct ctf_sweep *, struct ctf_frame *);
	void (*seal)(void *enc, struct ctf_frame *); /* NULL: nothing to complete */
	/* The layout; once, after setup.  NULL: an empty one. */
	enum ctf_put (*preamble)(void *enc, struct ctf_frame *);

	/* -- output: sink; on its own thread, interrupt() apart -- */
	/*
	 * Returns an fd that becomes readable when the peer ends the session,
	 * or -1 with *ret_err 0 when there is none to watch; -1 with *ret_err an
	 * errno (and err filled) when it failed: the core backs off and tries
	 * again.  At the start of the daemon alone, one of EACCES EPERM EROFS
	 * ENOENT ENOTDIR EISDIR ENAMETOOLONG EINVAL means that the
	 * configuration is wrong and refuses the stacks that end here; so a
	 * peer that is merely not there yet is ECONNREFUSED or the like.
	 */
	int (*open)(void *sink, int *ret_err, struct ctf_err *err);
	/*
	 * A reload, while the sink before may still have it open: 0, or what open() would
	 * fail with at the start (err); changes nothing.  NULL: that is seen then.
	 */
	int (*usable)(void *sink, struct ctf_err *err);
	/* n >= 1 consecutive frames; ret_taken says how many were taken, 0..n. */
	enum ctf_sent (*deliver)(void *sink, const struct ctf_frame *const *, unsigned n,
				 unsigned *ret_taken, struct ctf_err *err);
	/*
	 * Number up to which all has arrived as far as one can tell, also right
	 * after close(); NULL: what was taken.
	 */
	uint64_t (*settled)(void *sink);
	/*
	 * Number of the first frame that may have to be sent again should the
	 * session break, be it settled; right after close(), where the next
	 * session begins.  The core keeps these frames as long as there is room
	 * for them.  Never more than one above settled(), which NULL means.
	 */
	uint64_t (*needed)(void *sink);
	/* The watched fd is readable while nothing is to be sent: SENT or RETRY. */
	enum ctf_sent (*idle)(void *sink, struct ctf_err *err);
	/*
	 * Its output is up, and the next frame is not there yet, or may wait: does
	 * a little of what has no hurry, at most 50 ms.  Returns in how many ms it
	 * wants to be called again, 0: after the next frames; -1: not before some
	 * were taken.  Not when the daemon is about to end.
	 */
	int (*spare)(void *sink);
	void (*interrupt)(
		void *sink); /* any thread: make deliver() return; NULL: ctf_wait() does */
	int (*reopen)(void *sink, struct ctf_err *err); /* SIGHUP; NULL: nothing */
	void (*close)(void *sink);
};

/*
 * The same source is linked in (CTF_BUILTIN) or built as a loadable module.
 * A module carries its ABI number in an ELF note, so that a foreign file is
 * refused before any of its code runs.
 */
#ifdef CTF_BUILTIN
#define CTF_PLUGIN(n) \
	extern const struct ctf_plugin ctf_plugin_##n; \
	const struct ctf_plugin ctf_plugin_##n
#else
struct ctf_note {
	uint32_t namesz, descsz, type;
	char name[8];
	uint32_t abi;
};
#define CTF_PLUGIN(n) \
	__attribute__((section(".note.ctflow"), used, \
		       aligned(4))) static const struct ctf_note ctf_abi_note = { 8, 4, 1, \
										  "ctflow", \
										  CTF_ABI }; \
	extern CTF_API const struct ctf_plugin ctf_plugin; \
	const struct ctf_plugin ctf_plugin
#endif

#endif
