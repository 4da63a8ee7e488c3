/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Samples are collected from all objects, then printed by families: one name,
 * one HELP, one TYPE, all samples of it.  Objects of one id count together: to
 * who looks from outside they are one output.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metrics.h"
#include "sink.h"

struct sample {
	const struct inst *inst;
	const struct metric *metric;
	uint64_t value;
	bool printed;
};

struct samples {
	struct sample *at;
	size_t n, room;
	bool failed; /* no memory */
};

/* ---- collecting ---------------------------------------------------------- */

static bool
same_family(const struct sample *a, const struct sample *b)
{
	return a->inst->plugin->role == b->inst->plugin->role &&
	       a->metric->kind == b->metric->kind && a->metric->unit == b->metric->unit &&
	       strcmp(a->metric->name, b->metric->name) == 0;
}

/* One that went on at a reload has the options of another configuration. */
static bool
same_instance(const struct inst *a, const struct inst *b)
{
	return a->plugin == b->plugin && strcmp(a->id, b->id) == 0;
}

static void
add(struct samples *all, const struct inst *inst, const struct metric *m, uint64_t value)
{
	struct sample new = { inst, m, value, false }, *more;

	for (size_t i = 0; i < all->n; i++) {
		if (same_instance(all->at[i].inst, inst) && same_family(&all->at[i], &new)) {
			all->at[i].value += value;
			return;
		}
	}
	if (all->n == all->room) {
		more = realloc(all->at, (all->room + 64) * sizeof(*more));
		if (!more) {
			all->failed = true;
			return;
		}
		all->at = more;
		all->room += 64;
	}
	all->at[all->n++] = new;
}

static void
add_ctx(struct samples *all, const struct ctf_ctx *ctx)
{
	for (const struct counter *c = ctx->counters; c; c = c->next)
		add(all, ctx->inst, &c->metric,
		    atomic_load_explicit(&c->value, memory_order_relaxed));
}

static const struct metric up = { "up", CTF_GAUGE, CTF_UNIT_NONE,
				  "1: the output can be written" };
static const struct metric stalled = { "stalled", CTF_GAUGE, CTF_UNIT_NONE,
				       "1: the output takes nothing at the moment" };
static const struct metric queued = { "queue_flows", CTF_GAUGE, CTF_UNIT_NONE,
				      "flows that wait for the output" };
static const struct metric queue_bytes = { "queue", CTF_GAUGE, CTF_UNIT_BYTES,
					   "memory they take" };
static const struct metric resend = {
	"resend", CTF_GAUGE, CTF_UNIT_BYTES,
	"memory of flows that were delivered and are kept to be sent again"
};
static const struct metric queue_limit = { "queue_limit", CTF_GAUGE, CTF_UNIT_BYTES,
					   "memory both may take (queue=)" };
static const struct metric lag = { "lag", CTF_GAUGE, CTF_UNIT_SECONDS,
				   "how long ago the oldest flow that waits has ended" };
static const struct metric spool_late = { "spool_late", CTF_GAUGE, CTF_UNIT_SECONDS,
					  "how much longer than spool_sync= the oldest flow "
					  "that waits is not on disk" };
static const struct metric reads = { "up", CTF_GAUGE, CTF_UNIT_NONE,
				     "1: the input has not failed" };

/* Of a moment in the past, in ns; 0: there was none. */
static uint64_t
since(uint64_t then_ns, uint64_t now_ns)
{
	return then_ns && now_ns > then_ns ? now_ns - then_ns : 0;
}

static void
add_sink(struct samples *all, struct sink *s, uint64_t now_ns)
{
	struct sink_now now;

	for (const struct encoder *e = s->encoders; e; e = e->next)
		add_ctx(all, &e->ctx);
	add_ctx(all, &s->ctx);
	if (!s->running)
		return;
	sink_look(s, &now);
	add(all, s->inst, &up, now.state != SINK_DOWN);
	add(all, s->inst, &stalled, now.state == SINK_STALLED);
	add(all, s->inst, &queued, now.recs);
	add(all, s->inst, &queue_bytes, now.bytes);
	add(all, s->inst, &resend, now.window);
	add(all, s->inst, &queue_limit, now.limit);
	add(all, s->inst, &lag, since(now.oldest_ns, now_ns));
	if (s->spool)
		add(all, s->inst, &spool_late, now.late_ms * 1000000);
}

static void
add_graph(struct samples *all, const struct graph *g, uint64_t now_ns)
{
	for (const struct input *in = g->inputs; in; in = in->next) {
		add_ctx(all, &in->ctx);
		add(all, in->ctx.inst, &reads, !in->failed);
	}
	for (const struct filter *f = g->filters; f; f = f->next)
		add_ctx(all, &f->ctx);
	for (struct sink *s = g->sinks; s; s = s->next)
		add_sink(all, s, now_ns);
}

/* ---- printing ------------------------------------------------------------ */

/* Length of the UTF-8 sequence at p, or 0: it is none. */
static size_t
utf8_len(const char *p)
{
	unsigned char c = (unsigned char)*p;
	size_t n = c < 0x80                ? 1
		   : c >= 0xc2 && c < 0xe0 ? 2
		   : (c & 0xf0) == 0xe0    ? 3
		   : c >= 0xf0 && c < 0xf5 ? 4
					   : 0;

	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* As the format wants it between quotes, or (help) without them. */
static void
print_text(FILE *f, const char *p, bool quoted)
{
	for (size_t n; *p; p += n ? n : 1) {
		n = utf8_len(p);
		if (*p == '\n')
			fputs("\\n", f);
		else if (*p == '\\' || (*p == '"' && quoted))
			fprintf(f, "\\%c", *p);
		else if (n)
			fwrite(p, 1, n, f);
		else
			fputc('?', f);
	}
}

static const char *
role_name(const struct sample *s)
{
	static const char *const names[] = {
		[CTF_INPUT] = "input", [CTF_FILTER] = "filter", [CTF_OUTPUT] = "output"
	};

	return names[s->inst->plugin->role];
}

/* ctflowd_input_events_total; characters a name must not have become '_'. */
static void
print_name(FILE *f, const struct sample *s)
{
	static const char *const units[] = { [CTF_UNIT_NONE] = "",
					     [CTF_UNIT_BYTES] = "_bytes",
					     [CTF_UNIT_SECONDS] = "_seconds",
					     [CTF_UNIT_PERCENT] = "_ratio" };

	fprintf(f, "ctflowd_%s_", role_name(s));
	for (const char *p = s->metric->name; *p; p++)
		fputc((*p | 32) >= 'a' && (*p | 32) <= 'z'    ? *p
		      : (*p >= '0' && *p <= '9') || *p == '_' ? *p
							      : '_',
		      f);
	fprintf(f, "%s%s", units[s->metric->unit],
		s->metric->kind == CTF_COUNTER ? "_total" : "");
}

static void
print_value(FILE *f, enum ctf_unit unit, uint64_t v)
{
	unsigned long long n = v;

	if (unit == CTF_UNIT_SECONDS)
		fprintf(f, "%llu.%09llu\n", n / 1000000000, n % 1000000000);
	else if (unit == CTF_UNIT_PERCENT)
		fprintf(f, "%llu.%02llu\n", n / 100, n % 100);
	else
		fprintf(f, "%llu\n", n);
}

static void
print_header(FILE *f, const struct sample *s)
{
	fputs("# HELP ", f);
	print_name(f, s);
	fputc(' ', f);
	if (s->metric->help)
		print_text(f, s->metric->help, false);
	else
		fprintf(f, "%s of %s", s->metric->name, s->inst->plugin->name);
	fputs("\n# TYPE ", f);
	print_name(f, s);
	fprintf(f, " %s\n", s->metric->kind == CTF_COUNTER ? "counter" : "gauge");
}

static void
print_label(FILE *f, const char *name, const char *value)
{
	fprintf(f, "%s=\"", name);
	print_text(f, value, true);
	fputc('"', f);
}

/* Which of the daemons of a host; NULL: there is one. */
static void
print_which(FILE *f, const char *before, const char *daemon, const char *after)
{
	if (!daemon)
		return;
	fputs(before, f);
	print_label(f, "daemon", daemon);
	fputs(after, f);
}

static void
print_sample(FILE *f, const struct sample *s, const char *daemon)
{
	print_name(f, s);
	fputc('{', f);
	print_label(f, role_name(s), s->inst->id);
	fputc(',', f);
	print_label(f, "plugin", s->inst->plugin->name);
	print_which(f, ",", daemon, "");
	fputs("} ", f);
	print_value(f, s->metric->unit, s->value);
}

static void
print_families(FILE *f, struct samples *all, const char *daemon)
{
	for (size_t i = 0; i < all->n; i++) {
		if (all->at[i].printed)
			continue;
		print_header(f, &all->at[i]);
		for (size_t k = i; k < all->n; k++) {
			if (!same_family(&all->at[i], &all->at[k]))
				continue;
			print_sample(f, &all->at[k], daemon);
			all->at[k].printed = true;
		}
	}
}

static void
print_gauge(FILE *f, const struct metrics *m, const char *name, const char *help, uint64_t ns)
{
	fprintf(f, "# HELP ctflowd_%s %s\n# TYPE ctflowd_%s gauge\nctflowd_%s", name, help,
		name, name);
	print_which(f, "{", m->daemon, "}");
	fputc(' ', f);
	print_value(f, CTF_UNIT_SECONDS, ns);
}

static void
print_daemon(FILE *f, const struct metrics *m, uint64_t now_ns)
{
	fputs("# HELP ctflowd_build_info what runs; the value is always 1\n"
	      "# TYPE ctflowd_build_info gauge\n"
	      "ctflowd_build_info{version=\"" VERSION "\"",
	      f);
	print_which(f, ",", m->daemon, "");
	fputs("} 1\n", f);
	print_gauge(f, m, "start_time_seconds", "when it was started, seconds since 1970",
		    m->start_ns);
	print_gauge(f, m, "heartbeat_timestamp_seconds",
		    "when these numbers were taken, seconds since 1970", now_ns);
	print_gauge(f, m, "heartbeat_interval_seconds",
		    "how often they are (metrics_interval=)", m->msec * 1000000);
}

char *
metrics_text(const struct metrics *m, uint64_t now_ns)
{
	struct samples all = { 0 };
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	add_graph(&all, m->run->graph, now_ns);
	print_daemon(f, m, now_ns);
	print_families(f, &all, m->daemon);
	free(all.at);
	if (fclose(f) == 0 && !all.failed)
		return text;
	free(text);
	return NULL;
}

/* ---- the file ------------------------------------------------------------- */

static int
write_all(int fd, const char *text)
{
	for (size_t len = strlen(text); len;) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/*
 * A reader sees the old file or the new one.  O_EXCL, because who else may
 * write in that folder must not choose where we write.  For all to read,
 * whatever the umask: who collects these numbers is another user.
 */
static int
replace(const char *path, const char *text)
{
	char tmp[PATH_MAX];
	int fd, ret, n = snprintf(tmp, sizeof(tmp), "%s.new", path);

	if (n < 0 || (size_t)n >= sizeof(tmp))
		return -ENAMETOOLONG;
	(void)unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	ret = fchmod(fd, 0644) < 0 ? -errno : write_all(fd, text);
	if (close(fd) < 0 && !ret)
		ret = -errno;
	if (!ret && rename(tmp, path) < 0)
		ret = -errno;
	if (ret)
		(void)unlink(tmp);
	return ret;
}

void
metrics_write(struct metrics *m)
{
	char *text;
	int ret;

	if (!m->path)
		return;
	run_observe(m->run);
	text = metrics_text(m, ctf_now());
	ret = text ? replace(m->path, text) : -ENOMEM;
	free(text);
	errno = -ret;
	if (ret && !m->failing)
		log_warn("metrics_file %s cannot be written, will be tried again", m->path);
	else if (!ret && m->failing)
		log_notice("metrics_file %s is written again", m->path);
	m->failing = ret != 0;
}

static void
on_timer(void *arg)
{
	metrics_write(arg);
}

int
metrics_start(struct metrics *m, struct run *r, const struct global_conf *c)
{
	int ret;

	if (!*c->metrics_file)
		return 0;
	*m = (struct metrics){ .run = r,
			       .path = strdup(c->metrics_file),
			       .msec = c->metrics_interval,
			       .start_ns = m->start_ns ? m->start_ns : ctf_now() };
	if (*c->metrics_daemon)
		m->daemon = strdup(c->metrics_daemon);
	ret = m->path && (m->daemon || !*c->metrics_daemon)
		      ? loop_timer(r->loop, on_timer, m, &m->timer)
		      : -ENOMEM;
	if (ret) {
		metrics_end(m);
		return ret;
	}
	timer_set(m->timer, c->metrics_interval, c->metrics_interval);
	metrics_write(m);
	return 0;
}

int
metrics_change(struct metrics *m, struct run *r, const struct global_conf *c)
{
	if (m->timer)
		loop_del(m->timer);
	metrics_end(m);
	return metrics_start(m, r, c);
}

bool
metrics_same(const struct global_conf *a, const struct global_conf *b)
{
	return strcmp(a->metrics_file, b->metrics_file) == 0 &&
	       strcmp(a->metrics_daemon, b->metrics_daemon) == 0 &&
	       a->metrics_interval == b->metrics_interval;
}

void
metrics_end(struct metrics *m)
{
	free(m->path);
	free(m->daemon);
	m->path = m->daemon = NULL;
	m->timer = NULL;
}
