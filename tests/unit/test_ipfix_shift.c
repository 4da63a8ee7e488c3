/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Over UDP each layout has template ids of its own, and they decode. */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipfix.h"
#include "ipfix_fields.h"
#include "ipfix_read.h"
#include "ipfix_walk.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_ipfix;

#define SEEN 65536u

struct fixture {
	int fd;
	uint16_t port;
	uint8_t bytes[8 * SEEN];
	size_t len;
};

static void
start(struct fixture *x)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);

	x->len = 0;
	x->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(x->fd, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(getsockname(x->fd, (struct sockaddr *)&at, &size), 0);
	x->port = ntohs(at.sin_port);
}

static struct plug *
exporter(const struct fixture *x, const char *more)
{
	char options[256];

	snprintf(options, sizeof(options), BASE "proto=udp\nport=%u\n%s", x->port, more);
	return plug_new(&ctf_plugin_ipfix, options);
}

static void
receive(struct fixture *x)
{
	ssize_t n;

	while ((n = recv(x->fd, x->bytes + x->len, SEEN, 0)) > 0)
		x->len += (size_t)n;
}

/* A flow with that start, made by one, sent by the other: as from a disk spool. */
static void
send_flow(struct fixture *x, struct plug *by, struct plug *made, unsigned start_ms)
{
	struct ctf_frame f;
	const struct ctf_frame *list = &f;
	struct ctf_err err = { 0 };
	static uint64_t number = 1000;
	unsigned taken;
	char fields[512];

	plug_rec(made, AF_INET, CTF_DESTROY, UINT64_C(1700000070000000000));
	snprintf(fields, sizeof(fields), "flow.start.ns=%u000000 %s", start_ms,
		 "flow.last.ns=1700000060456000000 " COUNTS V4 PORTS TCP "ct.status=8 ct.id=1");
	put_fields(made, fields);
	ck_assert_int_eq(plug_encode(made), CTF_OK);
	f = *plug_seal(made);
	f.number = number++;
	ck_assert_int_eq(ctf_plugin_ipfix.deliver(plug_sink(by), &list, 1, &taken, &err),
			 CTF_SENT);
	ck_assert_uint_eq(taken, 1);
	receive(x);
}

static void
open_sink(struct plug *p)
{
	struct ctf_err err;
	int error = 0;

	ck_assert_int_eq(ctf_plugin_ipfix.open(plug_sink(p), &error, &err), -1);
	ck_assert_int_eq(error, 0);
}

/* The flow records among what was received. */
static char *
flows_of(const struct fixture *x)
{
	char *text = ipfix_read(x->bytes, x->len, OWN), *out = calloc(1, strlen(text) + 1);
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (*line == '!' || strstr(line, " 8=10.1.2.3 "))
			strcat(strcat(out, line), "\n");
	free(text);
	return out;
}

#define W_TAIL W_COUNTS W_V4 W_PORTS " 148=1 234=0 21373/4=0"
#define W_PLAIN(id, ms) id " 152=" ms " 153=1700000060456" W_TAIL " 136=1 239=1 4=6\n"
#define W_OWN(id, ms) \
	id " 152=" ms " 153=1700000060456" W_TAIL " 32473/1001=8 136=1 239=1 32473/1004=0 " \
	   "4=6\n"
#define W_NANO(id, ntp) id " 156=" ntp " 157=16788979316086827647" W_TAIL " 136=1 239=1 4=6\n"

/* Every value decodes to what was sent, whatever layout it was made in. */
START_TEST(test_decodes)
{
	static struct fixture x;
	struct plug *plain, *own, *nano;
	char *text;

	start(&x);
	plain = exporter(&x, "");
	own = exporter(&x, "pen=32473\n");
	nano = exporter(&x, "timestamps=ns\n");
	open_sink(plain);
	send_flow(&x, plain, plain, 100);
	send_flow(&x, plain, own, 200);
	send_flow(&x, plain, plain, 300);
	send_flow(&x, plain, nano, 500);
	send_flow(&x, plain, own, 600);
	receive(&x);
	text = flows_of(&x);
	ck_assert_str_eq(text,
			 W_PLAIN("256", "100") W_OWN("384", "200") W_PLAIN("256", "300")
				 W_NANO("512", "9487534655377768448") W_OWN("384", "600"));
	free(text);
	/* the next session goes on with the same */
	ctf_plugin_ipfix.close(plug_sink(plain));
	receive(&x);
	open_sink(plain);
	x.len = 0;
	send_flow(&x, plain, own, 700);
	receive(&x);
	text = flows_of(&x);
	ck_assert_str_eq(text, W_OWN("384", "700"));
	free(text);
	ctf_plugin_ipfix.close(plug_sink(plain));
	plug_free(plain);
	plug_free(own);
	plug_free(nano);
	close(x.fd);
}
END_TEST

/* Flow keys are of the templates as they are announced. */
START_TEST(test_keys)
{
	static struct fixture x;
	struct plug *plain, *own;
	char *text;

	start(&x);
	plain = exporter(&x, "");
	own = exporter(&x, "pen=32473\n");
	open_sink(plain);
	send_flow(&x, plain, plain, 100);
	send_flow(&x, plain, own, 200);
	receive(&x);
	text = ipfix_read(x.bytes, x.len, OWN);
	ck_assert_ptr_nonnull(strstr(text, "\n304 145=257 173=35776\n"));
	ck_assert_ptr_nonnull(strstr(text, "\n432 145=386 173=134080\n"));
	ck_assert_ptr_nonnull(strstr(text, "\n431 303=1001 346=32473 "));
	free(text);
	ctf_plugin_ipfix.close(plug_sink(plain));
	plug_free(plain);
	plug_free(own);
	close(x.fd);
}
END_TEST

/* Larger than the path takes: the parts have the ids, too. */
START_TEST(test_split)
{
	static struct fixture x;
	struct plug *plain, *own;
	char *text;

	start(&x);
	plain = exporter(&x, "");
	own = exporter(&x, "pen=32473\n");
	open_sink(plain);
	send_flow(&x, plain, plain, 100);
	((struct ipfix_sink *)plug_sink(plain))->limit = 110;
	send_flow(&x, plain, own, 200);
	receive(&x);
	text = flows_of(&x);
	ck_assert_str_eq(text, W_PLAIN("256", "100") W_OWN("384", "200"));
	free(text);
	ctf_plugin_ipfix.close(plug_sink(plain));
	plug_free(plain);
	plug_free(own);
	close(x.fd);
}
END_TEST

/* What was said of a domain once is said in each session, behind its template. */
START_TEST(test_known)
{
	static struct fixture x;
	struct ctf_coverage c = {
		.exporter = "gw", .instance = "ct1", .nsid = -1, .event_mask = CTF_DESTROY
	};
	struct ctf_gap g = { 1000000, 2000000, 3, CTF_EXACT, "overrun", "ct1", -1, 0 };
	struct ctf_err err;
	struct plug *p, *nano;
	char *text;

	start(&x);
	p = exporter(&x, "pen=32473\n");
	ck_assert_int_eq(plug_coverage(p, &c), CTF_OK);
	ck_assert_int_eq(plug_gap(p, &g), CTF_OK);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_SENT);
	receive(&x);
	plug_close(p);
	for (unsigned session = 0; session < 2; session++) {
		receive(&x);
		x.len = 0;
		plug_rec(p, AF_INET, CTF_DESTROY, 1);
		put_fields(p, COUNTS V4 PORTS TCP);
		ck_assert_int_eq(plug_encode(p), CTF_OK);
		plug_seal(p);
		ck_assert_int_eq(plug_deliver(p, &err), CTF_SENT);
		receive(&x);
		text = ipfix_read(x.bytes, x.len, OWN);
		ck_assert_ptr_nonnull(strstr(text, " 300='gw'\n"));
		ck_assert_ptr_nonnull(strstr(text, " 323=1 323=2 32473/1014=3\n"));
		ck_assert_ptr_null(strchr(text, '!'));
		ck_assert_ptr_null(strstr(text, "\n302 ")); /* a gap is told once */
		free(text);
		plug_close(p);
	}
	/* in another layout it is said by another template, which its encoder uses */
	nano = exporter(&x, "timestamps=ns\n");
	open_sink(p);
	x.len = 0;
	send_flow(&x, p, nano, 100);
	text = ipfix_read(x.bytes, x.len, OWN);
	ck_assert_ptr_null(strstr(text, " 300='gw'"));
	free(text);
	ctf_plugin_ipfix.close(plug_sink(p));
	plug_free(nano);
	plug_free(p);
	close(x.fd);
}
END_TEST

/* After 32 generations it starts over; what is still known keeps its ids. */
START_TEST(test_wraps)
{
	static struct fixture x;
	struct ctf_layout l = { 0 };
	struct plug *p;

	start(&x);
	p = exporter(&x, "");
	open_sink(p);
	for (unsigned i = 0; i < 32; i++) {
		l.id = 1000 + i;
		ck_assert_uint_eq(ipfix_shift(plug_sink(p), &l), 128 * i);
	}
	l.id = 1000;
	ck_assert_uint_eq(ipfix_shift(plug_sink(p), &l), 0);
	l.id = 5000;
	ck_assert_uint_eq(ipfix_shift(plug_sink(p), &l), 128); /* the first is in use */
	l.id = 1002;
	ck_assert_uint_eq(ipfix_shift(plug_sink(p), &l), 256);
	l.id = 1001;
	ck_assert_uint_eq(ipfix_shift(plug_sink(p), &l), 3 * 128);
	ctf_plugin_ipfix.close(plug_sink(p));
	plug_free(p);
	close(x.fd);
}
END_TEST

/* A stream is over with its templates: no shift. */
START_TEST(test_stream)
{
	struct plug *p = plug_new(&ctf_plugin_ipfix, BASE "proto=tcp\n");
	struct ctf_layout l = { 0 };

	for (l.id = 1; l.id < 4; l.id++)
		ck_assert_uint_eq(ipfix_shift(plug_sink(p), &l), 0);
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, test_decodes);
	tcase_add_test(t, test_keys);
	tcase_add_test(t, test_split);
	tcase_add_test(t, test_known);
	tcase_add_test(t, test_wraps);
	tcase_add_test(t, test_stream);
}

int
main(void)
{
	return unit_main_net(AF_INET, "ipfix_shift", add_tests);
}
