/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ipfix_tls.c - TLS between the session with a collector and its socket. */
#include "ipfix.h"

#include <errno.h>

#define HANDSHAKE_MS 10000
#define PORT 4739u /* RFC 7011 section 10.1 */
#define PORT_SECURE 4740u

uint16_t
ipfix_port(const struct ipfix_conf *c)
{
	if (c->port)
		return (uint16_t)c->port;
	return c->proto == IPFIX_TLS ? PORT_SECURE : PORT;
}

int
ipfix_probe(void *conf, struct ctf_ctx *ctx, struct ctf_err *err)
{
	struct ipfix_conf *c = conf;
	const char *const given[] = { c->tls.ca, c->tls.cert, c->tls.key, c->tls.name };
	static const char *const option[] = { "tls_ca", "tls_cert", "tls_key", "tls_name" };

	c->tls_files = NULL;
	ipfix_doubts(ctx, c);
	if (c->proto == IPFIX_TLS)
		return tls_files_read(ctx, &c->tls, &c->tls_files, err);
	for (unsigned i = 0; i < sizeof(given) / sizeof(*given); i++)
		if (*given[i]) /* whoever gives one does not expect plain text */
			return ctf_fail_opt(ctx, err, option[i], "%s is for proto=tls",
					    option[i]);
	return 0;
}

void
ipfix_unprobe(void *conf)
{
	struct ipfix_conf *c = conf;

	tls_files_free(c->tls_files);
	c->tls_files = NULL;
}

int
ipfix_begin(struct ipfix_sink *s, int fd, const char *host, struct ctf_err *err)
{
	const struct ipfix_conf *c = s->o.conf;
	int r = 0;

	s->tls = NULL;
	if (c->proto == IPFIX_TLS)
		r = tls_open(s->o.ctx, &c->tls, c->tls_files, fd, host, HANDSHAKE_MS, &s->tls,
			     err);
	if (!r)
		session_begin(&s->session, s->o.ctx, fd, c->resend, s->tls ? &tls_io : NULL,
			      s->tls);
	return r;
}

const char *
ipfix_reason(const struct ipfix_sink *s, int error)
{
	if (s->tls)
		return tls_reason(s->tls);
	return error == -EPIPE ? "closed by the collector" : strerror(-error);
}
