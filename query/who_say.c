/* SPDX-License-Identifier: GPL-2.0-or-later */
/* who_say.c - the answer, in words and rows. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "engine.h"
#include "who.h"
#include "who_rows.h"

static const char *const roles[] = { [WHO_NAT] = "translated",
				     [WHO_OWN] = "own address",
				     [WHO_FORWARD] = "port forward",
				     [WHO_INSIDE] = "inside",
				     [WHO_SERVED] = "inside, port forward",
				     [WHO_ANSWERED] = "own address, answered" };

/* That of a server is the first. */
static const struct q_col cols[] = {
	{ "exporter", Q_TEXT, "EXPORTER" },
	{ "host", Q_ADDR, "HOST" },
	{ "host_port", Q_INT, "PORT" },
	{ "name", Q_TEXT, "NAME" },
	{ "role", Q_TEXT, "ROLE" },
	{ "outside", Q_ADDR, "OUTSIDE" },
	{ "outside_port", Q_INT, "PORT" },
	{ "proto", Q_PROTO, "PROTO" },
	{ "start", Q_TIME, "START", Q_C_FRACTION },
	{ "until", Q_TIME, "UNTIL", Q_C_FRACTION },
	{ "sure", Q_TEXT, "SURE" },
	{ "state", Q_TEXT, "STATE", Q_C_WIDE },
	{ "src", Q_ADDR, NULL, Q_C_NEVER },
	{ "sport", Q_INT, NULL, Q_C_NEVER },
	{ "dst", Q_ADDR, "DESTINATION", Q_C_WIDE },
	{ "dport", Q_INT, "PORT", Q_C_WIDE },
	{ "nat_src", Q_ADDR, NULL, Q_C_NEVER },
	{ "nat_sport", Q_INT, NULL, Q_C_NEVER },
	{ "nat_dst", Q_ADDR, NULL, Q_C_NEVER },
	{ "nat_dport", Q_INT, NULL, Q_C_NEVER },
	{ "end", Q_TIME, NULL, Q_C_NEVER },
	{ "seen", Q_TIME, NULL, Q_C_NEVER },
	{ "mark", Q_INT, "MARK", Q_C_WIDE },
	{ "zone", Q_INT, "ZONE", Q_C_WIDE },
	{ "nsid", Q_INT, "NSID", Q_C_WIDE },
	{ "id", Q_INT, NULL, Q_C_NEVER },
	{ "doubt", Q_TEXT, NULL, Q_C_NEVER },
};

/* ---- rows ------------------------------------------------------------------------ */

static void
port_cell(struct q *q, int port)
{
	if (port < 0)
		q_cell_null(q);
	else
		q_cell_int(q, port);
}

static void
flow_port(struct q *q, const struct q_flow *f, unsigned bit, uint16_t port)
{
	port_cell(q, f->has & bit ? port : -1);
}

/* What the host was called then; the kernel's table knows no names. */
static const char *
name_of(const struct who_match *m)
{
	return m->f.db ? q_flow_name(&m->f, &m->host) : NULL;
}

static const char *
state(const struct who_match *m)
{
	return m->live ? "open now" : m->f.open ? "open" : m->f.lost ? "lost" : "ended";
}

static void
number_cell(struct q *q, bool is, int64_t n)
{
	if (is)
		q_cell_int(q, n);
	else
		q_cell_null(q);
}

static int
row(struct q *q, const struct who_match *m)
{
	const struct q_flow *f = &m->f;
	bool all = q->format != Q_TABLE;

	if (q_has_server(q))
		q_cell_text(q, f->exporter);
	q_cell_addr(q, &m->host);
	port_cell(q, m->hport);
	q_cell_text(q, name_of(m));
	q_cell_text(q, roles[m->role]);
	q_cell_addr(q, &m->out);
	port_cell(q, m->oport);
	number_cell(q, f->has & Q_H_PROTO, f->proto);
	q_cell_time(q, f->start_ns);
	q_cell_time(q, f->open || f->lost ? Q_NEVER : f->at_ns);
	q_cell_text(q, m->sure ? "yes" : "no");
	q_cell_text(q, state(m));
	q_cell_addr(q, &f->src);
	flow_port(q, f, Q_H_SPORT, f->sport);
	q_cell_addr(q, &f->dst);
	flow_port(q, f, Q_H_DPORT, f->dport);
	q_cell_addr(q, &f->nat_src);
	flow_port(q, f, Q_H_NAT_SPORT, f->nat_sport);
	q_cell_addr(q, &f->nat_dst);
	flow_port(q, f, Q_H_NAT_DPORT, f->nat_dport);
	q_cell_time(q, f->end_ns);
	q_cell_time(q, f->seen_ns);
	number_cell(q, all || f->mark, f->mark);
	number_cell(q, all || f->zone, f->zone);
	number_cell(q, f->nsid >= 0, f->nsid);
	number_cell(q, f->has & Q_H_ID, f->id);
	q_cell_text(q, m->sure ? NULL : m->doubt);
	return q_row_end(q);
}

static int
rows(struct q *q, const struct who_answer *w)
{
	const bool server = q_has_server(q);
	int end, r = q_out_begin(q, server ? cols : cols + 1,
				 sizeof(cols) / sizeof(*cols) - !server);

	for (unsigned i = 0; i < w->found.n && r == 0; i++)
		r = row(q, &w->found.m[i]);
	end = q_out_end(q);
	return r ? r : end;
}

/* ---- words ------------------------------------------------------------------------- */

#define TEXT 160u

static void
addr_text(const struct q_addr *a, int port, char text[TEXT])
{
	char ip[INET6_ADDRSTRLEN] = "?";

	if (a->family)
		inet_ntop(a->family, a->ip, ip, sizeof(ip));
	if (port < 0)
		snprintf(text, TEXT, "%s", ip);
	else
		snprintf(text, TEXT, a->family == AF_INET6 ? "[%s]:%d" : "%s:%d", ip, port);
}

/* " (laptop), mark 5, zone 7" */
static void
more_text(const struct who_match *m, char text[TEXT])
{
	const char *name = name_of(m);
	int n = name ? snprintf(text, TEXT, " (%.80s)", name) : 0;

	text[n] = '\0';
	if (m->f.mark)
		n += snprintf(text + n, TEXT - (size_t)n, ", mark %u", m->f.mark);
	if (m->f.zone)
		n += snprintf(text + n, TEXT - (size_t)n, ", zone %u", m->f.zone);
	if (m->f.nsid >= 0)
		n += snprintf(text + n, TEXT - (size_t)n, ", namespace %lld",
			      (long long)m->f.nsid);
	if (m->f.exporter && (size_t)n < TEXT)
		snprintf(text + n, TEXT - (size_t)n, ", at %.60s", m->f.exporter);
}

static void
period_text(const struct q *q, const struct who_match *m, char text[TEXT])
{
	char from[Q_TIME_TEXT] = "an unknown time", to[Q_TIME_TEXT];

	if (m->f.start_ns != Q_NEVER)
		q_time_text(q, m->f.start_ns, true, from);
	q_time_text(q, m->f.open || m->f.lost ? m->f.seen_ns : m->f.at_ns, true, to);
	snprintf(text, TEXT, "from %s to %s%s", from, to,
		 m->live     ? " (it is open now)"
		 : m->f.open ? " (it was open then)"
		 : m->f.lost ? " (seen last; its end is not known)"
			     : "");
}

/* Of a host known for sure, or the first that may be. */
static const struct who_match *
spokesman(const struct who_answer *w)
{
	for (unsigned i = 0; i < w->found.n; i++)
		if (w->found.m[i].sure)
			return &w->found.m[i];
	return w->found.n ? &w->found.m[0] : NULL;
}

static void
say_match(const struct q *q, const struct who_answer *w, const struct who_match *m)
{
	char host[TEXT], out[TEXT], more[TEXT], period[TEXT];

	addr_text(&m->host, m->hport, host);
	addr_text(&m->out, m->oport, out);
	more_text(m, more);
	period_text(q, m, period);
	switch (m->role) {
	case WHO_OWN:
		printf("%s%s had it itself, not translated, %s", host, more, period);
		break;
	case WHO_ANSWERED:
		printf("%s%s had it itself, and was spoken to, %s", host, more, period);
		break;
	case WHO_FORWARD:
		printf("%s led to %s%s (port forward), %s", out, host, more, period);
		break;
	case WHO_INSIDE:
		printf("%s%s was %s outside, %s", host, more, out, period);
		break;
	case WHO_SERVED:
		printf("%s%s was reached as %s (port forward), %s", host, more, out, period);
		break;
	default:
		printf("%s%s had %s, %s", host, more, out, period);
	}
	if (w->found.n > 1 && w->verdict == WHO_ONE)
		printf("; %u flows", w->found.n);
}

static void
asked_text(const struct q *q, const struct who_ask *a, char *text, size_t size)
{
	char addr[TEXT], at[Q_TIME_TEXT], skew[Q_TIME_TEXT];

	addr_text(&a->addr, a->port, addr);
	q_time_text(q, a->at_ns, true, at);
	q_length_text(a->skew_ns, skew);
	snprintf(text, size, "%s at %s +- %s", addr, at, skew);
}

static void
headline(const struct q *q, const struct who_answer *w)
{
	const struct who_match *m = spokesman(w);
	unsigned hosts = who_hosts(&w->found, false);
	char asked[3 * TEXT];

	asked_text(q, &w->ask, asked, sizeof(asked));
	printf("%s: ", who_verdict_words[w->verdict]);
	switch (w->verdict) {
	case WHO_ONE:
		say_match(q, w, m);
		printf(w->certain ? "; certain\n" : "; nobody else is known, but:\n");
		break;
	case WHO_SEVERAL:
		printf("%s%u hosts may be meant by %s%s\n", w->certain ? "" : "at least ",
		       hosts, asked, w->ask.port < 0 ? "; a port would tell more" : "");
		break;
	case WHO_NONE:
		printf("nobody had %s; that is all there was on %s\n", asked, w->cover.watched);
		break;
	default:
		if (m && m->sure) {
			printf("at least ");
			say_match(q, w, m);
			printf("; but there may be others:\n");
		} else if (m) {
			printf("%u hosts may have had %s:\n", hosts, asked);
		} else {
			printf("who had %s cannot be told:\n", asked);
		}
	}
}

static void
reasons(const struct who_answer *w)
{
	for (unsigned i = 0; i < w->cover.n && !w->certain; i++)
		printf("  %s: %s\n", who_why_word(w->cover.reasons[i].why),
		       w->cover.reasons[i].text);
	if (w->found.more)
		puts("  there are more flows than are listed");
	if (w->found.partly)
		puts("  not stored by this profile: what was not translated was not searched "
		     "for");
	if (!w->certain && w->live.why[0])
		printf("  the kernel's connection table was not read: %s\n", w->live.why);
}

/* ---- JSON ---------------------------------------------------------------------------- */

static void
json_time(const char *key, int64_t ns)
{
	char text[Q_TIME_TEXT];

	if (ns == Q_NEVER || ns == INT64_MIN || ns == INT64_MAX) {
		printf(",\"%s\":null", key);
		return;
	}
	q_time_iso(ns, text);
	printf(",\"%s\":\"%s\"", key, text);
}

static void
json_asked(const struct who_ask *a)
{
	char addr[TEXT];

	addr_text(&a->addr, -1, addr);
	printf(",\"asked\":{\"addr\":\"%s\"", addr);
	if (a->port >= 0)
		printf(",\"port\":%d", a->port);
	if (a->proto >= 0)
		printf(",\"proto\":%d", a->proto);
	if (a->dst.family) {
		addr_text(&a->dst, -1, addr);
		printf(",\"dst\":\"%s\"", addr);
	}
	if (a->dport >= 0)
		printf(",\"dport\":%d", a->dport);
	json_time("at", a->at_ns);
	json_time("from", a->from_ns);
	json_time("to", a->to_ns);
	printf("}");
}

static void
json_reasons(const struct who_cover *c)
{
	printf(",\"reasons\":[");
	for (unsigned i = 0; i < c->n; i++) {
		const struct who_reason *r = &c->reasons[i];

		printf("%s{\"why\":\"%s\",\"text\":", i ? "," : "", who_why_word(r->why));
		q_json_text(r->text);
		printf(",\"then\":%s", r->then ? "true" : "false");
		json_time("from", r->from_ns);
		json_time("to", r->to_ns);
		printf("}");
	}
	printf("]");
}

static int
say_json(struct q *q, const struct who_answer *w, struct ctf_err *err)
{
	int r;

	printf("{\"verdict\":\"%s\",\"certain\":%s,\"hosts\":%u", who_verdict_words[w->verdict],
	       w->certain ? "true" : "false", who_hosts(&w->found, false));
	json_asked(&w->ask);
	json_time("proven", w->cover.proven_ns);
	printf(",\"live\":%s", w->live.read ? "true" : "false");
	json_reasons(&w->cover);
	printf(",\"matches\":");
	r = rows(q, w);
	if (r == 0)
		r = who_rows_json(q, w, err);
	puts("}");
	return r;
}

int
who_say(struct q *q, const struct who_answer *w, struct ctf_err *err)
{
	if (q->format == Q_JSON)
		return say_json(q, w, err);
	if (q->format == Q_TABLE) {
		headline(q, w);
		reasons(w);
		if (w->found.n == 0)
			return 0;
		puts("");
	}
	return rows(q, w);
}
