/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CLICKHOUSE: flows into tables of our own on ClickHouse servers, over HTTP.
 *
 * The encoder writes rows as the server takes them (clickhouse_row.c); the sink
 * sends them as they are (clickhouse_sink.c).
 */
#include "clickhouse.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define FRAME (400u << 10) /* of which one deliver() gets 64: a hundred thousand flows */
#define CONF(m) offsetof(struct ch_conf, m)

static const struct ctf_opt opts[] = {
	{ "host", CTF_OTEXT, CONF(host), 1, 2000, NULL, NULL,
	  "server, or several with commas: the next one takes over; name:port, [IPv6]:port" },
	{ "port", CTF_OUINT, CONF(port), 0, 65535, "0", NULL,
	  "HTTP port of a server without one; 0: 8123, with tls 8443" },
	{ "db", CTF_OTEXT, CONF(db), 1, 100, "ctflow", NULL,
	  "database, of letters, digits and _" },
	{ "create", CTF_OBOOL, CONF(create), 0, 0, "no", NULL,
	  "make the database, its tables and views where they are missing" },
	{ "cluster", CTF_OTEXT, CONF(cluster), 0, 100, "", NULL,
	  "cluster of whose servers the tables are made, replicated and distributed" },
	{ "exporter", CTF_OTEXT, CONF(exporter), 0, 255, "", NULL,
	  "what the flows of this daemon are told apart by; empty: the host's name" },
	{ "user", CTF_OTEXT, CONF(user), 1, 200, "default", NULL, "whom to log in as" },
	{ "password_file", CTF_OTEXT, CONF(password_file), 0, 4000, "", NULL,
	  "file whose first line is the password, which is never shown" },
	{ "tls", CTF_OBOOL, CONF(tls), 0, 0, "no", NULL,
	  "HTTPS; the server's certificate and its name are verified" },
	{ "tls_ca", CTF_OTEXT, CONF(tls_ca), 0, 4000, "", NULL,
	  "file of the authorities that may have signed it; empty: the system's" },
	{ "tls_cert", CTF_OTEXT, CONF(tls_cert), 0, 4000, "", NULL,
	  "file of our own certificate, for servers that ask for one" },
	{ "tls_key", CTF_OTEXT, CONF(tls_key), 0, 4000, "", NULL, "file of its private key" },
	{ "batch_rows", CTF_OUINT, CONF(batch_rows), 1, 500000, "100000", NULL,
	  "flows of one insert, at most" },
	{ "batch_time", CTF_OMSEC, CONF(batch_time), 0, 60000, "1", NULL,
	  "how long flows wait for others to make one insert" },
	{ "connect_timeout", CTF_OMSEC, CONF(connect_timeout), 100, 600000, "10", NULL,
	  "how long an attempt to connect may take" },
	{ "timeout", CTF_OMSEC, CONF(timeout), 100, 3600000, "60", NULL,
	  "how long a server may be silent before the insert is tried again" },
	{ .name = NULL },
};

/* ---- probe ------------------------------------------------------------------------- */

static bool
is_name(const char *s, const char *more)
{
	if (isdigit((unsigned char)*s))
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr(more, *s))
			return false;
	return true;
}

static int
hosts_check(const struct ch_conf *c, struct ctf_ctx *ctx, struct ctf_err *err)
{
	struct ch_server server;
	unsigned n = 0;
	int r;

	while ((r = ch_server_nth(c, n, &server)) > 0)
		if (++n > CH_SERVERS)
			return ctf_fail_opt(ctx, err, "host", "host: more than %u servers",
					    CH_SERVERS);
	if (r < 0)
		return ctf_fail_opt(ctx, err, "host", "host: \"%s\" is not a list of servers",
				    c->host);
	return 0;
}

static int
names_check(const struct ch_conf *c, struct ctf_ctx *ctx, struct ctf_err *err)
{
	if (!is_name(c->db, "_"))
		return ctf_fail_opt(ctx, err, "db",
				    "db: \"%s\" is not of letters, digits and _", c->db);
	if (!is_name(c->cluster, "_-."))
		return ctf_fail_opt(ctx, err, "cluster",
				    "cluster: \"%s\" is not of letters, digits, _, - and .",
				    c->cluster);
	for (const char *p = c->user; *p; p++)
		if (iscntrl((unsigned char)*p))
			return ctf_fail_opt(ctx, err, "user", "user: not one line of text");
	return 0;
}

static int
password_get(struct ch_conf *c, struct ctf_ctx *ctx, struct ctf_err *err)
{
	int r = *c->password_file ? ch_password_read(c->password_file, &c->password) : 0;

	if (r < 0)
		return ctf_fail_opt(ctx, err, "password_file", "password_file: %s: %s",
				    c->password_file,
				    r == -EINVAL ? "not a line of text" : strerror(-r));
	return 0;
}

static int
tls_check(const struct ch_conf *c, struct ctf_ctx *ctx, struct ctf_err *err)
{
	const char *const name[] = { "tls_ca", "tls_cert", "tls_key" };
	const char *const path[] = { c->tls_ca, c->tls_cert, c->tls_key };

	for (unsigned i = 0; i < 3; i++) {
		if (!*path[i])
			continue;
		if (!c->tls) /* whoever gives one does not expect plain text */
			return ctf_fail_opt(ctx, err, name[i], "%s is for tls=yes", name[i]);
		if (access(path[i], R_OK) < 0)
			return ctf_fail_opt(ctx, err, name[i], "%s: %s: %s", name[i], path[i],
					    strerror(errno));
	}
	if (*c->tls_key && !*c->tls_cert)
		return ctf_fail_opt(ctx, err, "tls_key", "tls_key: a key without tls_cert");
	return 0;
}

/* The library is set up here, on one thread. */
static int
clickhouse_probe(void *conf, struct ctf_ctx *ctx, struct ctf_err *err)
{
	struct ch_conf *c = conf;
	int r = hosts_check(c, ctx, err);

	if (r == 0)
		r = names_check(c, ctx, err);
	if (r == 0)
		r = password_get(c, ctx, err);
	if (r == 0)
		r = tls_check(c, ctx, err);
	if (r == 0 && gethostname(c->host_name, sizeof(c->host_name) - 1) < 0)
		r = ctf_fail_opt(ctx, err, "exporter", "exporter: the host has no name: %s",
				 strerror(errno));
	if (r == 0 && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		r = ctf_fail(err, ENOMEM, "libcurl cannot be set up");
	return r;
}

static void
clickhouse_unprobe(void *conf)
{
	ch_password_forget(&((struct ch_conf *)conf)->password);
}

/* ---- encoder --------------------------------------------------------------------------- */

static int
clickhouse_setup(void *enc, struct ctf_err *err)
{
	struct ch_enc *e = enc;

	e->source = ctf_source(e->obj.ctx);
	ctf_frames(e->obj.ctx, FRAME, false);
	e->interim = ctf_interim(e->obj.ctx, CTF_INTERIM_COUNTERS);
	return ch_fields_want(e, err);
}

static enum ctf_put
clickhouse_encode(void *enc, const struct ctf_rec *r, struct ctf_frame *f)
{
	if (r->kind == CTF_EVENT && r->event != CTF_DESTROY)
		return CTF_SKIP;
	return ch_row_put(enc, r, f) ? CTF_OK : CTF_FULL;
}

static enum ctf_put
clickhouse_gap(void *enc, const struct ctf_gap *g, struct ctf_frame *f)
{
	return sq_gap_put(f, g) ? CTF_OK : CTF_FULL;
}

static enum ctf_put
clickhouse_coverage(void *enc, const struct ctf_coverage *cov, struct ctf_frame *f)
{
	return sq_cover_put(f, cov) ? CTF_OK : CTF_FULL;
}

/* Of use only where the records of the sweep came, too. */
static enum ctf_put
clickhouse_sweep(void *enc, const struct ctf_sweep *sweep, struct ctf_frame *f)
{
	const struct ch_enc *e = enc;

	if (e->interim == CTF_INTERIM_NONE)
		return CTF_SKIP;
	return sq_sweep_put(f, sweep, e->source) ? CTF_OK : CTF_FULL;
}

static enum ctf_put
clickhouse_preamble(void *enc, struct ctf_frame *f)
{
	return ch_layout_put(f) ? CTF_OK : CTF_FULL;
}

CTF_PLUGIN(clickhouse) = {
	.abi = CTF_ABI,
	.role = CTF_OUTPUT,
	.name = "CLICKHOUSE",
	.doc = "flows into tables of its own on ClickHouse servers, over HTTP",
	.opts = opts,
	.conf_size = sizeof(struct ch_conf),
	.size = sizeof(struct ch_enc),
	.sink_size = sizeof(struct ch),
	.probe = clickhouse_probe,
	.unprobe = clickhouse_unprobe,
	.setup = clickhouse_setup,
	.encode = clickhouse_encode,
	.gap = clickhouse_gap,
	.coverage = clickhouse_coverage,
	.sweep = clickhouse_sweep,
	.preamble = clickhouse_preamble,
	.open = ch_open,
	.deliver = ch_deliver,
	.close = ch_close,
};
