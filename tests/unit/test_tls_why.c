/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Collectors a session must not begin with, and files it cannot begin with.
 * Not a plain byte may have reached the first, and the reason must be told.
 */
#include <check.h>
#include <errno.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plug.h"
#include "tls.h"
#include "tls_lab.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_ipfix;

#define TIMEOUT_MS 400

static char dir[40];
static struct cert ca, other, ours, foreign;
static struct plug *plug;

static struct ctf_ctx *
ctx(void)
{
	return ((struct ctf_obj *)plug_sink(plug))->ctx;
}

/* A path in the folder; four live at a time. */
static const char *
in_dir(const char *name)
{
	static char path[4][80];
	static unsigned i;

	i = (i + 1) % 4;
	snprintf(path[i], sizeof(path[i]), "%s/%s", dir, name);
	return path[i];
}

static void
setup(void)
{
	strcpy(dir, "/tmp/test_tls_why.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ca = cert_make("the right authority", NULL, NULL, -DAY, DAY);
	other = cert_make("another authority", NULL, NULL, -DAY, DAY);
	ours = cert_make("an exporter", "DNS:exporter", &ca, -DAY, DAY);
	foreign = cert_make("a stranger", "DNS:exporter", &other, -DAY, DAY);
	cert_write(in_dir("ca.pem"), &ca, "c");
	cert_write(in_dir("ours.pem"), &ours, "ck");
	cert_write(in_dir("foreign.pem"), &foreign, "ck");
	plug = plug_new(&ctf_plugin_ipfix, "oid=1\nhost=\"localhost\"\n");
}

static void
teardown(void)
{
	char command[80];

	plug_free(plug);
	cert_free(&ca);
	cert_free(&other);
	cert_free(&ours);
	cert_free(&foreign);
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	ck_assert_int_eq(system(command), 0);
}

/* ---- collectors --------------------------------------------------------------------------- */

struct scene {
	const char *names; /* of the server's certificate */
	const char *host, *name, *cert;
	long from, to;      /* its validity in days; 0 0: now */
	bool foreign, self; /* who has signed it */
	struct tls_server server;
	const char *says[3];
};

static const struct scene scenes[] = {
	{ "DNS:other.example,DNS:*.wild.example,IP:192.0.2.7", .host = "localhost",
	  .says = { "not for localhost", "other.example, *.wild.example, 192.0.2.7" } },
	{ "DNS:localhost,IP:127.0.0.1", .host = "localhost", .name = "flows.example",
	  .says = { "not for flows.example but for localhost, 127.0.0.1" } },
	{ "DNS:localhost", .host = "127.0.0.1",
	  .says = { "not for 127.0.0.1 but for localhost" } },
	{ "DNS:127.0.0.1", .host = "127.0.0.1", .says = { "not for 127.0.0.1" } },
	{ "DNS:l*.example", .host = "localhost.example",
	  .says = { "not for localhost.example" } },
	{ "-", .host = "a collector", .says = { "no name at all", "a collector" } },
	{ "DNS:localhost", .host = "localhost", .from = -10, .to = -1,
	  .says = { "a collector expired at 20", "UTC" } },
	{ "DNS:localhost", .host = "localhost", .from = 1, .to = 10,
	  .says = { "a collector is not valid before 20", "UTC" } },
	{ "DNS:localhost", .host = "localhost", .foreign = true,
	  .says = { "a collector is from an authority that tls_ca does not name",
		    "another authority" } },
	{ "DNS:localhost", .host = "localhost", .self = true,
	  .says = { "a collector is from an authority that tls_ca does not name" } },
	{ "DNS:localhost", .host = "localhost", .server = { .version = TLS1_1_VERSION },
	  .says = { "protocol version", "TLS 1.2" } },
	{ "DNS:localhost", .host = "localhost", .server = { .behaviour = SPEAK_PLAIN },
	  .says = { "does not speak TLS" } },
	{ "DNS:localhost", .host = "localhost", .server = { .behaviour = SILENT },
	  .says = { "no answer", "does it speak TLS" } },
	{ "DNS:localhost", .host = "localhost", .server = { .behaviour = STOP_MIDWAY },
	  .says = { "no answer" } },
	{ "DNS:localhost", .host = "localhost", .server = { .behaviour = HANG_UP },
	  .says = { "closed the connection in the handshake" } },
	{ "DNS:localhost", .host = "localhost", .server = { .behaviour = RESET },
	  .says = { "reset by peer" } },
	{ "DNS:localhost", .host = "localhost",
	  .server = { .demand = true, .version = TLS1_2_VERSION },
	  .says = { "refused with the alert", "demands a client certificate" } },
	{ "DNS:localhost", .host = "localhost",
	  .server = { .demand = true, .version = TLS1_3_VERSION },
	  .says = { "refused with the alert", "demands a client certificate" } },
	{ "DNS:localhost", .host = "localhost",
	  .server = { .demand = true, .version = TLS1_2_VERSION }, .cert = "foreign.pem",
	  .says = { "'unknown CA'", "does not accept the certificate in tls_cert" } },
	{ "DNS:localhost", .host = "localhost",
	  .server = { .demand = true, .version = TLS1_3_VERSION }, .cert = "foreign.pem",
	  .says = { "'unknown CA'", "does not accept the certificate in tls_cert" } },
};

static int
attempt(struct tls_server *server, const struct tls_conf *conf, const char *host,
	struct tls **ret_tls, struct ctf_err *err)
{
	struct tls_files *files;
	int fd, r;

	ck_assert_msg(!tls_files_read(ctx(), conf, &files, err), "%s", err->msg);
	server_start(server);
	fd = server_connect(server, 0);
	r = tls_open(ctx(), conf, files, fd, host, TIMEOUT_MS, ret_tls, err);
	tls_files_free(files);
	if (r)
		close(fd);
	return r ? r : fd;
}

START_TEST(test_refused)
{
	const struct scene *s = &scenes[_i];
	struct tls_conf conf = { in_dir("ca.pem"), s->cert ? in_dir(s->cert) : "", "",
				 s->name ? s->name : "" };
	struct tls_server server = s->server;
	struct ctf_err err = { 0 };
	struct tls *tls = NULL;
	int r;

	server.tickets = -1;
	server.ca = ca;
	server.cert = cert_make("a collector", s->names,
				s->self      ? NULL
				: s->foreign ? &other
					     : &ca,
				s->to ? s->from * DAY : -DAY, s->to ? s->to * DAY : DAY);
	r = attempt(&server, &conf, s->host, &tls, &err);
	server_join(&server);
	ck_assert_int_lt(r, 0);
	ck_assert_ptr_null(tls);
	/* never one that would mean a mistake in the configuration */
	ck_assert(r != -EACCES && r != -EPERM && r != -ENOENT && r != -EINVAL);
	for (unsigned i = 0; i < 3 && s->says[i]; i++)
		ck_assert_msg(strstr(err.msg, s->says[i]), "'%s' is not in '%s'", s->says[i],
			      err.msg);
	ck_assert_uint_eq(server.len, 0);
	cert_free(&server.cert);
	server_free(&server);
}
END_TEST

/* The same with what is right: it was not something else that was refused. */
START_TEST(test_accepted)
{
	static const struct {
		const char *names, *host, *name, *cert;
		bool demand;
		int version, tickets;
	} good[] = {
		{ "DNS:localhost", "localhost", "", "", false, TLS1_2_VERSION, -1 },
		{ "DNS:localhost", "localhost.", "", "", false, TLS1_3_VERSION, -1 },
		{ "DNS:*.flows.example", "a.flows.example", "", "", false, 0, -1 },
		{ "IP:127.0.0.1", "127.0.0.1", "", "", false, 0, -1 },
		{ "IP:fe80::1", "fe80::1%eth0", "", "", false, 0, -1 },
		{ "DNS:flows.example", "127.0.0.1", "flows.example", "", false, 0, -1 },
		{ "DNS:localhost", "localhost", "", "ours.pem", true, TLS1_2_VERSION, -1 },
		{ "DNS:localhost", "localhost", "", "ours.pem", true, TLS1_3_VERSION, -1 },
		{ "DNS:localhost", "localhost", "", "ours.pem", true, TLS1_3_VERSION, 0 },
	};
	struct tls_server server = { .demand = good[_i].demand,
				     .version = good[_i].version,
				     .tickets = good[_i].tickets,
				     .ca = ca };
	struct tls_conf conf = { in_dir("ca.pem"), *good[_i].cert ? in_dir(good[_i].cert) : "",
				 "", good[_i].name };
	struct iovec iov = { (char[]){ "flows" }, 5 };
	struct ctf_err err = { 0 };
	struct tls *tls;
	int fd;

	server.cert = cert_make("a collector", good[_i].names, &ca, -DAY, DAY);
	fd = attempt(&server, &conf, good[_i].host, &tls, &err);
	ck_assert_msg(fd >= 0, "%s", err.msg);
	ck_assert_int_eq(tls_sendv(tls, &iov, 1), 5);
	ck_assert_int_eq(tls_end(tls, 2000), 0);
	tls_free(tls);
	close(fd);
	server_join(&server);
	ck_assert_uint_eq(server.len, 5);
	ck_assert_mem_eq(server.bytes, "flows", 5);
	ck_assert_str_eq(server.subject, *good[_i].cert ? "/CN=an exporter" : "");
	cert_free(&server.cert);
	server_free(&server);
}
END_TEST

/* ---- files -------------------------------------------------------------------------------------- */

static void
write_encrypted(const char *path)
{
	FILE *f = fopen(path, "w");

	PEM_write_X509(f, ours.x);
	PEM_write_PKCS8PrivateKey(f, ours.key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL);
	fclose(f);
}

/* Each as the only mistake: names the option, its line and the file. */
START_TEST(test_files)
{
	static const struct {
		const char *option, *file, *says;
	} bad[] = {
		{ "tls_ca", "nothing", "No such file" },
		{ "tls_ca", "", "not a regular file" },
		{ "tls_ca", "fifo", "not a regular file" },
		{ "tls_ca", "empty", "no certificate in it" },
		{ "tls_ca", "text", "no certificate in it" },
		{ "tls_ca", "broken", "bad base64" },
		{ "tls_cert", "empty", "no certificate in it" },
		{ "tls_cert", "key.pem", "no certificate in it" },
		{ "tls_key", "ca.pem", "no private key in it" },
		{ "tls_key", "foreign.pem", "not the key of the certificate" },
		{ "tls_key", "encrypted", "passphrase" },
	};
	const char *cert;
	char options[400], want[120];
	struct ctf_err err = { 0 };

	unit_write(in_dir("empty"), "");
	unit_write(in_dir("text"), "what is a certificate?\n");
	unit_write(in_dir("broken"), "-----BEGIN CERTIFICATE-----\n!!!!\n"
				     "-----END CERTIFICATE-----\n");
	cert_write(in_dir("key.pem"), &ours, "k");
	write_encrypted(in_dir("encrypted"));
	ck_assert_int_eq(mkfifo(in_dir("fifo"), 0600), 0);
	cert = strcmp(bad[_i].option, "tls_key") ? "" : in_dir("ours.pem");
	snprintf(options, sizeof(options),
		 "oid=1\nhost=\"localhost\"\nproto=tls\n%s%s%s%s=\"%s/%s\"\n",
		 *cert ? "tls_cert=\"" : "\n", cert, *cert ? "\"\n" : "", bad[_i].option, dir,
		 bad[_i].file);
	ck_assert_int_lt(plug_try(&ctf_plugin_ipfix, options, &err), 0);
	snprintf(want, sizeof(want), "%s: %s/%s: ", bad[_i].option, dir, bad[_i].file);
	ck_assert_msg(strstr(err.msg, want) && strstr(err.msg, bad[_i].says), "%s", err.msg);
}
END_TEST

/*
 * New files are used from the next connection on; wrong ones, or none, are not,
 * and what was read before does.
 */
START_TEST(test_changed)
{
	struct tls_conf conf = { in_dir("ca.pem"), in_dir("own.pem"), "", "" };
	static const char *const subjects[] = { "an exporter", "a stranger", "a stranger",
						"a stranger", "an exporter" };
	struct tls_files *files;
	struct ctf_err err = { 0 };

	cert_write(conf.cert, &ours, "ck");
	ck_assert_int_eq(tls_files_read(ctx(), &conf, &files, &err), 0);
	for (unsigned i = 0; i < 5; i++) {
		struct tls_server server = { .tickets = -1, .ask = true };
		struct tls *tls;
		char want[40];
		int fd;

		if (i == 1)
			cert_write(conf.cert, &foreign, "ckc");
		else if (i == 2)
			unit_write(conf.cert, "being written");
		else if (i == 3)
			unlink(conf.cert);
		else if (i == 4)
			cert_write(conf.cert, &ours, "ck");
		server.cert = cert_make("a collector", "DNS:localhost", &ca, -DAY, DAY);
		server_start(&server);
		fd = server_connect(&server, 0);
		ck_assert_msg(!tls_open(ctx(), &conf, files, fd, "localhost", 2000, &tls, &err),
			      "%s", err.msg);
		tls_end(tls, 1000);
		tls_free(tls);
		close(fd);
		server_join(&server);
		snprintf(want, sizeof(want), "/CN=%s", subjects[i]);
		ck_assert_str_eq(server.subject, want);
		cert_free(&server.cert);
		server_free(&server);
	}
	tls_files_free(files);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, test_refused, 0, COUNT(scenes));
	tcase_add_loop_test(t, test_accepted, 0, 9);
	tcase_add_loop_test(t, test_files, 0, 11);
	tcase_add_test(t, test_changed);
}

int
main(void)
{
	return unit_main_net(AF_INET, "tls_why", add_tests);
}
