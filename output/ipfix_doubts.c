/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ipfix_doubts.c - what can be configured, but is hardly what was meant. */
#include "ipfix.h"
#include "moot.h"

#include <strings.h>

#define UDP (1u << IPFIX_UDP)
#define STREAM (1u << IPFIX_TCP | 1u << IPFIX_TLS)
#define FILES (1u << IPFIX_FILE)
#define NETWORK "proto=udp, tcp or tls"

static const struct moot of_proto[] = {
	{ "host", UDP | STREAM, NETWORK },
	{ "port", UDP | STREAM, NETWORK },
	{ "mode", UDP | STREAM, NETWORK },
	{ "source", UDP | STREAM, NETWORK },
	{ "resend", STREAM, "proto=tcp or tls" },
	{ "file", FILES, "proto=file" },
	{ "rotate_size", FILES, "proto=file" },
	{ "rotate_time", FILES, "proto=file" },
	{ "template_refresh", UDP, "proto=udp" },
	{ "template_refresh_packets", UDP, "proto=udp" },
	{ NULL },
};

/* The number of an earlier one that is the same, from 1; 0: there is none. */
static int
same_before(const struct ipfix_conf *c, unsigned nth, const struct ipfix_peer *peer)
{
	struct ipfix_peer other;

	for (unsigned i = 0; i < nth; i++)
		if (ipfix_peer_nth(c, i, &other) > 0 && !strcasecmp(other.host, peer->host) &&
		    strcmp(other.port, peer->port) == 0)
			return (int)i + 1;
	return 0;
}

static void
doubt_hosts(const struct ctf_ctx *ctx, const struct ipfix_conf *c)
{
	int n = *c->host ? ipfix_peers(c) : 0;
	struct ipfix_peer peer;

	if (n == 1)
		ctf_doubt_opt(ctx, "mode", "it has a meaning with several collectors only");
	for (unsigned i = 1; n > 1 && ipfix_peer_nth(c, i, &peer) > 0; i++) {
		int before = same_before(c, i, &peer);

		if (before)
			ctf_doubt_opt(
				ctx, "host", "collector %u is the same as %d, %s port %s%s",
				i + 1, before, peer.host, peer.port,
				c->mode == IPFIX_MODE_ALL ? ": it gets all flows again" : "");
	}
}

void
ipfix_doubts(const struct ctf_ctx *ctx, const struct ipfix_conf *c)
{
	uint32_t least = IPFIX_MTU_MIN + (c->proto == IPFIX_UDP ? IPFIX_UDP_HEADERS : 0);

	say_moot(ctx, of_proto, c->proto);
	if (c->proto != IPFIX_FILE)
		doubt_hosts(ctx, c);
	if (!c->options_interval)
		ctf_doubt_opt(ctx, "zone_names",
			      "it has a meaning with options_interval other than 0 only");
	if (c->mtu && c->mtu < least)
		ctf_doubt_opt(ctx, "mtu", "%llu is too small for a record, it is %u",
			      (unsigned long long)c->mtu, least);
	if (c->send_template == IPFIX_NEVER)
		ctf_doubt_opt(
			ctx, "send_template",
			"a collector that does not know the templates cannot read anything");
	if (c->proto != IPFIX_UDP || c->send_template == IPFIX_ONCE)
		return;
	ctf_doubt_opt(ctx, "template_refresh", "it has a meaning with send_template=once only");
	ctf_doubt_opt(ctx, "template_refresh_packets",
		      "it has a meaning with send_template=once only");
}
