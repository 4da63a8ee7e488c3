/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipfix_peers.c - the collectors of host=, and which of them a session is with.
 *
 * mode=all: the core makes a sink of each.  mode=failover: a session goes to
 * the first that can be reached and has not failed within the last minute; so
 * one that takes connections and breaks them does not keep it from the next,
 * and the first one in the list has it again after the next break.
 */
#include "ipfix.h"
#include "transport.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define LATELY_MS 60000u

/* ---- the list ------------------------------------------------------------------- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
take(char *to, size_t size, const char *p, const char *end)
{
	size_t len = (size_t)(end - p);

	if (!len || len >= size)
		return false;
	memcpy(to, p, len);
	to[len] = '\0';
	return !strpbrk(to, " \t[]");
}

static bool
take_port(struct ipfix_peer *peer, const char *p, const char *end)
{
	unsigned n = 0;

	if (end - p < 1 || end - p > 5)
		return false;
	for (; p < end; p++) {
		if (*p < '0' || *p > '9')
			return false;
		n = n * 10 + (unsigned)(*p - '0');
	}
	snprintf(peer->port, sizeof(peer->port), "%u", n);
	return n >= 1 && n <= 65535;
}

/* name, name:port, 192.0.2.1:port, 2001:db8::1, [2001:db8::1]:port */
static bool
parse_one(const char *p, const char *end, struct ipfix_peer *peer)
{
	const char *bracket = *p == '[' ? memchr(p, ']', (size_t)(end - p)) : NULL;
	const char *colon = memchr(p, ':', (size_t)(end - p));

	if (bracket) {
		if (bracket + 1 < end &&
		    (bracket[1] != ':' || !take_port(peer, bracket + 2, end)))
			return false;
		return take(peer->host, sizeof(peer->host), p + 1, bracket);
	}
	if (colon && !memchr(colon + 1, ':', (size_t)(end - colon - 1))) {
		if (!take_port(peer, colon + 1, end))
			return false;
		end = colon;
	}
	return take(peer->host, sizeof(peer->host), p, end);
}

int
ipfix_peer_nth(const struct ipfix_conf *c, unsigned nth, struct ipfix_peer *ret_peer)
{
	const char *p = c->host, *end;
	struct ipfix_peer peer;

	for (; nth; nth--) {
		p = strchr(p, ',');
		if (!p)
			return 0;
		p++;
	}
	while (is_blank(*p))
		p++;
	end = p + strcspn(p, ",");
	while (end > p && is_blank(end[-1]))
		end--;
	snprintf(peer.port, sizeof(peer.port), "%u", ipfix_port(c));
	if (!parse_one(p, end, &peer))
		return -EINVAL;
	*ret_peer = peer;
	return 1;
}

int
ipfix_peers(const struct ipfix_conf *c)
{
	struct ipfix_peer peer;
	unsigned n = 0;
	int r;

	while ((r = ipfix_peer_nth(c, n, &peer)) > 0)
		if (++n > IPFIX_PEERS)
			return -E2BIG;
	return r < 0 ? r : (int)n;
}

unsigned
ipfix_sinks(const void *conf)
{
	const struct ipfix_conf *c = conf;
	int n = c->mode == IPFIX_MODE_ALL && c->proto != IPFIX_FILE ? ipfix_peers(c) : 1;

	return n > 1 ? (unsigned)n : 1;
}

/* ---- connecting ------------------------------------------------------------------ */

static int
connect_to(struct ipfix_sink *s, unsigned i, struct ctf_err *err)
{
	const struct ipfix_conf *c = s->o.conf;
	bool stream = ipfix_is_stream(c);
	struct ipfix_peer peer;
	int fd, r = ipfix_peer_nth(c, i, &peer);

	if (r <= 0)
		return ctf_fail(err, EHOSTUNREACH, "host: no collector %u", i + 1);
	fd = transport_open(s->o.ctx,
			    &(struct transport_to){ peer.host, peer.port, c->source, stream },
			    err);
	if (fd < 0)
		return fd;
	r = stream ? ipfix_begin(s, fd, peer.host, err) : 0;
	if (r) {
		close(fd);
		return r;
	}
	s->peer = i;
	return fd;
}

static void
say_switched(struct ipfix_sink *s, unsigned n, const struct ctf_err *why)
{
	struct ipfix_peer peer;

	if (s->peer == s->peer_said)
		return;
	s->peer_said = s->peer;
	if (ipfix_peer_nth(s->o.conf, s->peer, &peer) > 0)
		ctf_log(s->o.ctx, CTF_NOTICE, "%s%sgoes to %s port %s now, collector %u of %u",
			why->msg, *why->msg ? "; " : "", peer.host, peer.port, s->peer + 1, n);
}

static bool
failed_lately(const struct ipfix_sink *s, unsigned i, uint64_t now)
{
	return s->peer_failed_ms[i] && now - s->peer_failed_ms[i] < LATELY_MS;
}

/* The first of those that can be reached; the ones that failed lately come last. */
static int
connect_first(struct ipfix_sink *s, unsigned n, struct ctf_err *err)
{
	uint64_t now = ctf_mono_ms();
	struct ctf_err why = { 0 };
	unsigned order[IPFIX_PEERS], len = 0;
	int fd = -EHOSTUNREACH;

	for (unsigned late = 0; late < 2; late++)
		for (unsigned i = 0; i < n; i++)
			if (failed_lately(s, i, now) == (late > 0))
				order[len++] = i;
	for (unsigned k = 0; k < len; k++) {
		fd = connect_to(s, order[k], err);
		if (fd >= 0) {
			say_switched(s, n, &why);
			return fd;
		}
		if (fd == -EINTR)
			break;
		s->peer_failed_ms[order[k]] = ctf_mono_ms();
		why = *err;
	}
	return fd;
}

int
ipfix_connect(struct ipfix_sink *s, struct ctf_err *err)
{
	const struct ipfix_conf *c = s->o.conf;
	int n = c->mode == IPFIX_MODE_FAILOVER ? ipfix_peers(c) : 1;

	if (n > 1)
		return connect_first(s, (unsigned)n, err);
	return connect_to(s, ctf_sink_nth(s->o.ctx), err);
}

void
ipfix_peer_failed(struct ipfix_sink *s)
{
	s->peer_failed_ms[s->peer] = ctf_mono_ms();
}
