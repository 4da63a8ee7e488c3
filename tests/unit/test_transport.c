/* SPDX-License-Identifier: GPL-2.0-or-later */
/* transport.c through JSON's sockets: the address and device a session is from. */
#include "sample.h"
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <unistd.h>

extern const struct ctf_plugin ctf_plugin_json;

static char options[300];
static struct ctf_err err;

/* A listener on 127.0.0.1; options to send to it from there. */
static int
listener(int type, const char *source)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sin, len), 0);
	if (type == SOCK_STREAM)
		ck_assert_int_eq(listen(fd, 4), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	snprintf(options, sizeof(options), "mode=%s\nport=%u\nsource=%s\n",
		 type == SOCK_STREAM ? "tcp" : "udp", ntohs(sin.sin_port), source);
	return fd;
}

static enum ctf_sent
send_line(struct plug *p)
{
	plug_rec(p, AF_INET, CTF_DESTROY, 0);
	plug_num(p, "ct.id", 7);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	plug_seal(p);
	return plug_deliver(p, &err);
}

/* Where the listener sees it come from. */
static const char *
seen_from(int l, int type)
{
	static char text[INET_ADDRSTRLEN];
	struct sockaddr_in from = { 0 };
	socklen_t len = sizeof(from);
	char line[1000];
	int fd = -1;

	if (type == SOCK_STREAM)
		fd = accept(l, (struct sockaddr *)&from, &len);
	else
		ck_assert_int_gt(
			recvfrom(l, line, sizeof(line), 0, (struct sockaddr *)&from, &len), 0);
	if (fd >= 0)
		close(fd);
	ck_assert_ptr_nonnull(inet_ntop(AF_INET, &from.sin_addr, text, sizeof(text)));
	return text;
}

static const struct {
	int type;
	const char *source, *seen;
} ways[] = {
	{ SOCK_STREAM, "\"\"", "127.0.0.1" },      { SOCK_DGRAM, "\"\"", "127.0.0.1" },
	{ SOCK_STREAM, "127.0.0.5", "127.0.0.5" }, { SOCK_DGRAM, "127.0.0.5", "127.0.0.5" },
	{ SOCK_STREAM, "%lo", "127.0.0.1" },       { SOCK_DGRAM, "127.0.0.6%lo", "127.0.0.6" },
};

START_TEST(source)
{
	int l = listener(ways[_i].type, ways[_i].source);
	struct plug *p = plug_new(&ctf_plugin_json, options);

	ck_assert_msg(send_line(p) == CTF_SENT, "%s", err.msg);
	ck_assert_str_eq(seen_from(l, ways[_i].type), ways[_i].seen);
	plug_free(p);
	close(l);
}
END_TEST

static const struct {
	const char *source, *why;
} away[] = {
	{ "192.0.2.77", "Cannot assign requested address" },
	{ "%nosuch0", "No such device" },
	{ "::1", "cannot resolve 127.0.0.1" }, /* the other family */
};

/* It may be there tomorrow: no mistake in the configuration. */
START_TEST(source_is_away)
{
	int l = listener(SOCK_STREAM, away[_i].source), e = 0;
	struct plug *p = plug_new(&ctf_plugin_json, options);

	ck_assert_int_eq(ctf_plugin_json.open(plug_sink(p), &e, &err), -1);
	ck_assert_int_ne(e, EINVAL);
	ck_assert_int_ne(e, ENOENT);
	ck_assert_ptr_nonnull(strstr(err.msg, away[_i].why));
	ck_assert_ptr_nonnull(strstr(err.msg, away[_i].source));
	plug_free(p);
	close(l);
}
END_TEST

static const char *const wrong[] = { "localhost",
				     "127.0.0.1%",
				     "1.2.3.4.5",
				     "%",
				     "%a-name-longer-than-any",
				     "127.0.0.1:80",
				     "2001:0db8:0000:0000:0000:0000:0000:00001:2:3:4:5:6:7" };

START_TEST(source_is_none)
{
	snprintf(options, sizeof(options), "mode=udp\nsource=%s\n", wrong[_i]);
	ck_assert_int_eq(plug_try(&ctf_plugin_json, options, &err), -ENOENT);
	ck_assert_msg(strstr(err.msg, "neither an address nor %device"), "%s", err.msg);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_loop_test(t, source, 0, sizeof(ways) / sizeof(*ways));
	tcase_add_loop_test(t, source_is_away, 0, sizeof(away) / sizeof(*away));
	tcase_add_loop_test(t, source_is_none, 0, sizeof(wrong) / sizeof(*wrong));
}

int
main(void)
{
	return unit_main_net(AF_INET, "transport", add_tests);
}
