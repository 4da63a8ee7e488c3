/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * REPLAY: conntrack events from a recording, through the decoder NFCT uses.
 * An event is received at the time its packet says, so that text made from a
 * recording is the same each time.
 */
#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "ct_decode.h"
#include "pcap.h"

#define NS_PER_SEC UINT64_C(1000000000)

enum { SPEED_MAX, SPEED_RECORDED };

struct conf {
	const char *file;
	unsigned speed;
	bool stop_at_end;
	uint64_t event_mask;
	unsigned flow_end;
};

struct replay {
	struct ct_input in; /* first */
	struct pcap_reader *reader;
	int timer;    /* readable when there is something to do */
	bool over;    /* no more messages */
	int error;    /* what read() still has to return */
	bool waiting; /* msg is to be delivered */
	struct pcap_msg msg;
	bool paced; /* first_ns and first_mono are known */
	uint64_t first_ns, first_mono;
	ctf_counter *events, *malformed, *other;
};

static uint64_t
mono_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

/* Makes fd() readable at that time; 0: never. */
static void
wake_at(const struct replay *r, uint64_t mono)
{
	struct itimerspec t = { { 0, 0 },
				{ (time_t)(mono / NS_PER_SEC), (long)(mono % NS_PER_SEC) } };

	(void)timerfd_settime(r->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static int
replay_probe(void *conf, struct ctf_ctx *ctx, struct ctf_err *err)
{
	const struct conf *c = conf;
	struct pcap_reader *reader;
	struct ctf_err why;
	int e = pcap_reader_open(c->file, &reader, &why);

	if (e < 0)
		return ctf_fail_opt(ctx, err, "file", "%s", why.msg);
	pcap_reader_close(reader);
	return 0;
}

static int
replay_setup(void *self, struct ctf_err *err)
{
	struct replay *r = self;
	const struct conf *c = r->in.obj.conf;
	unsigned missing = ctf_events_wanted(r->in.obj.ctx) & ~(unsigned)c->event_mask;

	if (missing)
		ctf_log(r->in.obj.ctx, CTF_WARNING,
			"an output wants events (%u) that event_mask = %u leaves out", missing,
			(unsigned)c->event_mask);
	r->timer = -1;
	ct_times_default(&r->in.t);
	r->events = ctf_metric_new(r->in.obj.ctx, "events", CTF_COUNTER, CTF_UNIT_NONE,
				   "messages read");
	r->malformed = ctf_metric_new(r->in.obj.ctx, "malformed", CTF_COUNTER, CTF_UNIT_NONE,
				      "messages that make no sense");
	r->other = ctf_metric_new(r->in.obj.ctx, "other", CTF_COUNTER, CTF_UNIT_NONE,
				  "packets of the file that are no netfilter messages");
	return 0;
}

static void
replay_stop(void *self)
{
	struct replay *r = self;

	pcap_reader_close(r->reader);
	r->reader = NULL;
	ct_shapes_free(r->in.shapes);
	r->in.shapes = NULL;
	if (r->timer >= 0)
		close(r->timer);
	r->timer = -1;
}

static int
replay_start(void *self, struct ctf_err *err)
{
	struct replay *r = self;
	const struct conf *c = r->in.obj.conf;
	int e;

	r->in.flow_end = c->flow_end;
	r->in.shapes = ct_shapes_new();
	ct_prepare(&r->in);
	r->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (r->timer < 0)
		return ctf_fail(err, errno, "timerfd: %s", strerror(errno));
	e = pcap_reader_open(c->file, &r->reader, err);
	if (e < 0) {
		replay_stop(r);
		return e;
	}
	wake_at(r, 1);
	return 0;
}

/* Other fields alone: another recording, or another way to read it, is begun anew. */
static int
replay_reload(void *self, void *other, struct ctf_err *err)
{
	struct replay *r = self, *o = other;
	const struct conf *is = r->in.obj.conf, *was = o->in.obj.conf;

	if (strcmp(is->file, was->file) != 0 || is->speed != was->speed ||
	    is->stop_at_end != was->stop_at_end || is->event_mask != was->event_mask)
		return -EOPNOTSUPP;
	r->in.flow_end = is->flow_end;
	ct_prepare(&r->in);
	return 0;
}

static int
replay_fd(void *self)
{
	return ((struct replay *)self)->timer;
}

/* Has the time come to deliver the message?  If not, sets the alarm. */
static bool
due(struct replay *r)
{
	const struct conf *c = r->in.obj.conf;
	uint64_t now, at;

	if (c->speed == SPEED_MAX)
		return true;
	now = mono_ns();
	if (!r->paced) {
		r->paced = true;
		r->first_ns = r->msg.ns;
		r->first_mono = now;
	}
	at = r->first_mono + (r->msg.ns > r->first_ns ? r->msg.ns - r->first_ns : 0);
	if (at <= now)
		return true;
	wake_at(r, at);
	return false;
}

/* 1: taken (as a record or not); 0: the batch is full. */
static int
deliver(struct replay *r, struct ctf_batch *batch)
{
	const struct conf *c = r->in.obj.conf;
	void *room = ctf_batch_room(batch, r->msg.len);
	struct ctf_rec *rec = room ? ctf_batch_add(batch) : NULL;
	int n;

	if (!rec)
		return 0;
	/* The record borrows text from it. */
	memcpy(room, r->msg.p, r->msg.len);
	n = ct_decode(&r->in, room, r->msg.len, r->msg.ns, r->msg.nsid, rec);
	if (n == 1 && !(rec->event & c->event_mask))
		n = 0;
	if (n == 1)
		ctf_batch_keep(batch, r->msg.len);
	else
		ctf_batch_drop(batch);
	ctf_count(n == 1 ? r->events : n == 0 ? r->other : r->malformed, 1);
	return 1;
}

/* Sees to it that a message is waiting.  1, or 0 at the end. */
static int
next(struct replay *r)
{
	struct ctf_err err;
	int n;

	if (r->waiting)
		return 1;
	n = pcap_reader_next(r->reader, &r->msg, &err);
	if (n == 1) {
		r->waiting = true;
		return 1;
	}
	if (n < 0) {
		ctf_log(r->in.obj.ctx, CTF_ERROR, "%s", err.msg);
		r->error = n;
	}
	r->over = true;
	wake_at(r, 0);
	return 0;
}

static int
ended(const struct replay *r)
{
	const struct conf *c = r->in.obj.conf;

	if (r->error)
		return r->error;
	return c->stop_at_end ? CTF_READ_END : CTF_READ_IDLE;
}

static int
replay_read(void *self, struct ctf_batch *batch)
{
	struct replay *r = self;
	unsigned taken = 0;

	while (!r->over && next(r)) {
		if (!due(r))
			return CTF_READ_IDLE;
		if (deliver(r, batch)) {
			taken++;
		} else if (taken) {
			return CTF_READ_MORE;
		} else { /* not even an empty batch holds it */
			ctf_count(r->malformed, 1);
		}
		r->waiting = false;
	}
	return ended(r);
}

static const struct ctf_opt opts[] = {
	{ "file", CTF_OTEXT, offsetof(struct conf, file), 1, 4095, NULL, NULL,
	  "recording: pcap, link type 253 (netlink)" },
	{ "speed", CTF_OENUM, offsetof(struct conf, speed), 0, 0, "max", "max|recorded",
	  "as fast as possible, or as it was recorded" },
	{ "event_mask", CTF_OUINT, offsetof(struct conf, event_mask), 1, 7, "7", NULL,
	  "events to deliver: 1 NEW + 2 UPDATE + 4 DESTROY" },
	{ "stop_at_end", CTF_OBOOL, offsetof(struct conf, stop_at_end), 0, 0, "yes", NULL,
	  "the daemon ends when all its inputs have ended" },
	{ "flow_end", CTF_OENUM, offsetof(struct conf, flow_end), 0, 0, "destroy", CT_FLOW_ENDS,
	  "flow.end.sec and .usec are the end of the conntrack entry, or the last packet" },
	{ NULL },
};

CTF_PLUGIN(replay) = {
	.abi = CTF_ABI,
	.role = CTF_INPUT,
	.name = "REPLAY",
	.doc = "conntrack events from a recording",
	.opts = opts,
	.writes = ct_ports,
	.conf_size = sizeof(struct conf),
	.size = sizeof(struct replay),
	.probe = replay_probe,
	.setup = replay_setup,
	.start = replay_start,
	.fd = replay_fd,
	.read = replay_read,
	.stop = replay_stop,
	.reload = replay_reload,
};
