/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipfix_sink.c - the session with a collector, for all transports: which
 * templates it knows, how far each observation domain has counted.
 *
 * Nothing outlives a session but the number of the last frame that arrived:
 * a new one begins with templates and sequence number 0.
 */
#include "ipfix.h"
#include "transport.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define FORGOTTEN_MS 1000u /* after a refusal templates are repeated at most so often */
#define TEMPLATE_SET 2u

void
ipfix_clock(struct ipfix_sink *s)
{
	s->now_ms = ctf_mono_ms();
	s->export_time = (uint32_t)(ctf_now() / 1000000000u);
}

/* Survives sessions; NULL: more domains than we count for. */
static struct ipfix_total *
total_of(struct ipfix_sink *s, uint32_t id)
{
	for (unsigned i = 0; i < s->totals; i++)
		if (s->total[i].domain == id)
			return &s->total[i];
	if (s->totals == IPFIX_DOMAINS)
		return NULL;
	s->total[s->totals].domain = id;
	return &s->total[s->totals++];
}

struct ipfix_domain *
ipfix_domain(struct ipfix_sink *s, uint32_t id)
{
	struct ipfix_domain *d;

	for (unsigned i = 0; i < s->domains; i++)
		if (s->domain[i].id == id)
			return &s->domain[i];
	d = reallocarray(s->domain, s->domains + 1, sizeof(*d));
	if (!d)
		return NULL;
	s->domain = d;
	d += s->domains++;
	*d = (struct ipfix_domain){ .id = id, .told_ms = s->now_ms, .total = total_of(s, id) };
	return d;
}

bool
ipfix_templates_due(const struct ipfix_sink *s, const struct ipfix_domain *d,
		    const struct ctf_layout *l)
{
	const struct ipfix_conf *c = s->o.conf;
	uint64_t age = s->now_ms - d->announced_ms;

	if (c->send_template == IPFIX_NEVER)
		return false;
	if (!d->announced || d->layout != l->id)
		return true;
	if (c->send_template == IPFIX_ALWAYS && d->group != s->group)
		return true;
	return c->proto == IPFIX_UDP &&
	       (age >= c->refresh || (d->again && age >= FORGOTTEN_MS) ||
		(c->refresh_packets && d->packets >= c->refresh_packets));
}

bool
ipfix_due(const struct ipfix_sink *s, const struct ipfix_domain *d, const struct ctf_layout *l)
{
	return ipfix_templates_due(s, d, l) || ipfix_statistics_due(s, d);
}

/* Octets of a record by a template record's specifiers; 0: none or variable. */
static uint32_t
specified_len(const uint8_t *p, const uint8_t *end)
{
	unsigned fields = ipfix_get16(p + 2);
	uint32_t sum = 0;

	for (p += 4; fields && end - p >= 4; fields--) {
		uint16_t len = ipfix_get16(p + 2);

		if (len == UINT16_MAX)
			return 0;
		sum += len;
		p += *p & 0x80 ? 8 : 4;
	}
	return fields ? 0 : sum;
}

uint32_t
ipfix_record_len(const struct ctf_layout *l, uint16_t id)
{
	const uint8_t *p = l->p, *end = l->p + l->len;
	uint32_t len;

	/* this plugin's layouts have one template in each set */
	for (; (len = ipfix_set_len(p, end)); p += len)
		if (ipfix_get16(p) == TEMPLATE_SET && len >= 8 && ipfix_get16(p + 4) == id)
			return specified_len(p + 4, p + len);
	return 0;
}

/* ---- callbacks -------------------------------------------------------------- */

static void
make_counters(struct ipfix_sink *s)
{
	if (s->messages)
		return;
	s->messages = ctf_metric_new(s->o.ctx, "messages", CTF_COUNTER, CTF_UNIT_NONE,
				     "messages sent");
	s->templates = ctf_metric_new(s->o.ctx, "announced", CTF_COUNTER, CTF_UNIT_NONE,
				      "times the templates were sent");
	s->refused = ctf_metric_new(s->o.ctx, "refused", CTF_COUNTER, CTF_UNIT_NONE,
				    "messages the collector's host refused");
	s->split = ctf_metric_new(s->o.ctx, "split", CTF_COUNTER, CTF_UNIT_NONE,
				  "messages sent in parts because they were too long");
	s->errors = ctf_metric_new(s->o.ctx, "send_errors", CTF_COUNTER, CTF_UNIT_NONE,
				   "datagrams the system did not take at once");
	s->most = ctf_metric_new(s->o.ctx, "message_limit", CTF_GAUGE, CTF_UNIT_BYTES,
				 "the longest message the path takes, as far as is known");
}

static int
open_file(struct ipfix_sink *s, int *ret_err, struct ctf_err *err)
{
	int r = ipfix_file_open(s, err);

	*ret_err = -r;
	s->up = r == 0;
	return r ? -1 : s->file.timer;
}

int
ipfix_usable(void *sink, struct ctf_err *err)
{
	const struct ipfix_conf *c = ((struct ipfix_sink *)sink)->o.conf;

	return c->proto == IPFIX_FILE ? ctf_may_write(c->file_path, err) : 0;
}

int
ipfix_open(void *sink, int *ret_err, struct ctf_err *err)
{
	struct ipfix_sink *s = sink;
	const struct ipfix_conf *c = s->o.conf;
	bool tcp = ipfix_is_stream(c);
	int fd;

	make_counters(s);
	if (c->proto == IPFIX_FILE)
		return open_file(s, ret_err, err);
	fd = ipfix_connect(s, err);
	if (fd < 0) {
		*ret_err = -fd;
		return -1;
	}
	s->fd = fd;
	s->up = true;
	s->own_end = false;
	if (!tcp)
		ipfix_udp_measure(s);
	*ret_err = 0;
	return tcp ? fd : -1;
}

enum ctf_sent
ipfix_deliver(void *sink, const struct ctf_frame *const *frames, unsigned n,
	      unsigned *ret_taken, struct ctf_err *err)
{
	struct ipfix_sink *s = sink;
	const struct ipfix_conf *c = s->o.conf;
	unsigned taken = 0;
	enum ctf_sent r;

	s->group++;
	if (ipfix_is_stream(c))
		r = ipfix_tcp_deliver(s, frames, n, &taken, err);
	else if (c->proto == IPFIX_FILE)
		r = ipfix_file_deliver(s, frames, n, &taken, err);
	else
		r = ipfix_udp_deliver(s, frames, n, &taken, err);
	for (unsigned i = 0; i < taken; i++)
		ipfix_learn(s, frames[i]);
	ctf_count(s->messages, taken);
	*ret_taken = taken;
	return r;
}

uint64_t
ipfix_settled(void *sink)
{
	struct ipfix_sink *s = sink;
	const struct ipfix_conf *c = s->o.conf;

	return ipfix_is_stream(c) ? session_settled(&s->session) : s->settled;
}

uint64_t
ipfix_needed(void *sink)
{
	struct ipfix_sink *s = sink;
	const struct ipfix_conf *c = s->o.conf;

	return ipfix_is_stream(c) ? session_needed(&s->session) : s->settled + 1;
}

enum ctf_sent
ipfix_idle(void *sink, struct ctf_err *err)
{
	struct ipfix_sink *s = sink;
	const struct ipfix_conf *c = s->o.conf;
	int r;

	if (c->proto == IPFIX_FILE)
		return ipfix_file_idle(s, err);
	r = session_peer(&s->session);
	if (!r)
		return CTF_SENT;
	ctf_fail(err, -r, "connection to the collector lost: %s", ipfix_reason(s, r));
	return CTF_RETRY;
}

int
ipfix_reopen(void *sink, struct ctf_err *err)
{
	struct ipfix_sink *s = sink;
	const struct ipfix_conf *c = s->o.conf;

	return s->up && c->proto == IPFIX_FILE ? ipfix_file_reopen(s, err) : 0;
}

/* The last statistics, if they can be sent at once, and not inside a message. */
static void
part(struct ipfix_sink *s)
{
	const struct ipfix_conf *c = s->o.conf;
	bool tcp = ipfix_is_stream(c);

	if (c->proto == IPFIX_FILE)
		return;
	if (tcp && (s->session.end != SESSION_OPEN || s->begun_done ||
		    s->announcement_done < s->announcement_len))
		return;
	ipfix_clock(s);
	for (unsigned i = 0; i < s->domains; i++) {
		uint8_t msg[IPFIX_PARTING];
		struct iovec iov = { msg, ipfix_parting(s, &s->domain[i], msg) };
		ssize_t len = (ssize_t)iov.iov_len, sent = 0;

		if (len && ctf_wait(s->o.ctx, s->fd, POLLOUT, 0) == POLLOUT)
			sent = tcp ? session_sendv(&s->session, &iov, 1)
				   : transport_sendv(s->fd, &iov, 1);
		if (sent != len)
			return;
	}
}

void
ipfix_close(void *sink)
{
	struct ipfix_sink *s = sink;
	const struct ipfix_conf *c = s->o.conf;

	if (!s->up)
		return;
	part(s);
	if (!s->own_end && c->proto != IPFIX_FILE)
		ipfix_peer_failed(s);
	if (ipfix_is_stream(c))
		session_finish(&s->session);
	else if (c->proto == IPFIX_FILE)
		ipfix_file_close(s);
	else
		close(s->fd);
	s->tls = NULL; /* the session has released it */
	free(s->domain);
	free(s->announcement);
	free(s->shifted);
	s->domain = NULL;
	s->announcement = s->shifted = NULL;
	s->domains = s->announcement_len = s->announcement_done = s->begun_done = 0;
	s->up = s->has_layout = false;
}
