/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON to TCP, UDP and unix sockets: whole lines, and peers that go away. */
#include "sample.h"
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/un.h>
#include <unistd.h>

extern const struct ctf_plugin ctf_plugin_json;

#define LINES 6000 /* more than fits into the buffers of a session */
#define EACH 25

static char options[300];
static struct ctf_err err;

/* A socket on the loopback, its port in options. */
static int
listener(int type, const char *mode)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, type, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sin, len), 0);
	if (type == SOCK_STREAM)
		ck_assert_int_eq(listen(fd, 4), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	snprintf(options, sizeof(options), "mode=%s\nport=%u\ntimestamp=0\n", mode,
		 ntohs(sin.sin_port));
	return fd;
}

/* Queues n lines in frames of `each`, numbered by ct.id from `first`. */
static void
make_lines(struct plug *p, unsigned first, unsigned n, unsigned each)
{
	char pad[2000];

	memset(pad, 'x', sizeof(pad) - 1);
	pad[n > 1000 ? sizeof(pad) - 1 : 0] = '\0'; /* enough for any buffer */
	for (unsigned i = 0; i < n; i++) {
		plug_rec(p, AF_INET, CTF_DESTROY, 0);
		plug_num(p, "ct.id", first + i);
		plug_text(p, "print", pad);
		ck_assert_int_eq(plug_encode(p), CTF_OK);
		if ((i + 1) % each == 0)
			plug_seal(p);
	}
}

static unsigned
id_of(const char *line)
{
	const char *at = strstr(line, "\"ct.id\": ");

	ck_assert_msg(line[0] == '{' && at && strchr(line, '}'), "no whole line: %s", line);
	return (unsigned)strtoul(at + 9, NULL, 10);
}

/* Reads what the session holds; each whole line marks its id.  Returns lines. */
static unsigned
read_lines(FILE *in, unsigned char *seen)
{
	char line[4000];
	unsigned n = 0;

	for (; fgets(line, sizeof(line), in) && strchr(line, '\n'); n++)
		seen[id_of(line)]++;
	return n;
}

START_TEST(tcp)
{
	int l = listener(SOCK_STREAM, "tcp");
	struct plug *p = plug_new(&ctf_plugin_json, options);
	unsigned char seen[100] = { 0 };
	FILE *in;

	make_lines(p, 0, 100, 10);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_SENT);
	ck_assert_uint_eq(plug_pending(p), 0);
	in = fdopen(accept(l, NULL, NULL), "r");
	plug_close(p);
	ck_assert_uint_eq(read_lines(in, seen), 100);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_uint_eq(seen[i], 1);
	fclose(in);
	close(l);
	plug_free(p);
}
END_TEST

struct reader {
	int fd;
	unsigned char seen[LINES];
};

static void *
read_session(void *arg)
{
	struct reader *r = arg;
	FILE *in = fdopen(r->fd, "r");

	read_lines(in, r->seen);
	fclose(in);
	return NULL;
}

/* As the core does: the session is over, the next one goes on from what is needed. */
static void
next_session(struct plug *p)
{
	uint64_t needed;

	ck_assert_int_eq(plug_deliver(p, &err), CTF_RETRY);
	ck_assert_str_ne(err.msg, "");
	plug_close(p);
	needed = ctf_plugin_json.needed(plug_sink(p));
	plug_rewind(p, needed ? needed - 1 : 0);
}

/* Delivers the rest to a peer that reads all. */
static void
deliver_rest(int l, struct plug *p, struct reader *r)
{
	enum ctf_sent sent = plug_deliver(p, &err);
	pthread_t thread;

	ck_assert_int_eq(sent, CTF_AGAIN); /* the buffers fill again */
	r->fd = accept(l, NULL, NULL);
	ck_assert_int_eq(pthread_create(&thread, NULL, read_session, r), 0);
	while (sent == CTF_AGAIN)
		sent = plug_deliver(p, &err);
	ck_assert_int_eq(sent, CTF_SENT);
	plug_close(p);
	pthread_join(thread, NULL);
}

/*
 * The peer reads a little, then resets the connection.  The next one gets
 * every frame that it may not have read, from its start, and no line is torn.
 */
static void
peer_breaks(int l, struct plug *p)
{
	struct linger rst = { .l_onoff = 1 };
	struct reader *r = calloc(1, sizeof(*r));
	char some[5000];
	int fd;

	make_lines(p, 0, LINES, EACH);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_AGAIN); /* nobody reads */
	fd = accept(l, NULL, NULL);
	ck_assert_int_gt(read(fd, some, sizeof(some)), 0);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst));
	close(fd);
	next_session(p);
	ck_assert_uint_eq(plug_pending(p), LINES / EACH);
	deliver_rest(l, p, r);
	for (unsigned i = 0; i < LINES; i++)
		ck_assert_uint_eq(r->seen[i], 1);
	free(r);
	plug_free(p);
}

/* Reads until there is nothing more for a while; the bytes. */
static size_t
read_what_is_there(int fd, char **ret_text)
{
	size_t room = 64u << 20, len = 0;
	char *text = malloc(room);
	ssize_t n;

	for (unsigned empty = 0; empty < 5;) {
		n = recv(fd, text + len, room - len - 1, MSG_DONTWAIT);
		len += n > 0 ? (size_t)n : 0;
		empty = n > 0 ? 0 : empty + 1;
		if (n <= 0)
			usleep(20000);
	}
	text[len] = '\0';
	*ret_text = text;
	return len;
}

/*
 * The peer reads all there is, which ends in the middle of a frame and of a
 * line, and closes.  The next one begins with that line: nothing comes twice.
 */
static void
peer_ends(int l, struct plug *p)
{
	struct reader *r = calloc(1, sizeof(*r));
	unsigned lines;
	char *text;
	FILE *in;
	size_t n;
	int fd;

	make_lines(p, 0, LINES, EACH);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_AGAIN);
	fd = accept(l, NULL, NULL);
	n = read_what_is_there(fd, &text);
	close(fd);
	in = fmemopen(text, n, "r");
	lines = read_lines(in, r->seen);
	fclose(in);
	free(text);
	ck_assert_uint_gt(lines, EACH);
	ck_assert_uint_ne(lines % EACH, 0);
	next_session(p);
	ck_assert_uint_eq(plug_pending(p), LINES / EACH - lines / EACH);
	deliver_rest(l, p, r);
	for (unsigned i = 0; i < LINES; i++)
		ck_assert_uint_eq(r->seen[i], 1);
	free(r);
	plug_free(p);
}

START_TEST(tcp_ended)
{
	int l = listener(SOCK_STREAM, "tcp");

	peer_ends(l, plug_new(&ctf_plugin_json, options));
	close(l);
}
END_TEST

START_TEST(tcp_reset)
{
	int l = listener(SOCK_STREAM, "tcp");

	peer_breaks(l, plug_new(&ctf_plugin_json, options));
	close(l);
}
END_TEST

/* It closed in good order while we had nothing to send. */
START_TEST(tcp_closed)
{
	int l = listener(SOCK_STREAM, "tcp"), fd;
	struct plug *p = plug_new(&ctf_plugin_json, options);
	unsigned char seen[2] = { 0 };
	FILE *in;

	make_lines(p, 0, 1, 1);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_SENT);
	fd = accept(l, NULL, NULL);
	ck_assert_int_eq(ctf_plugin_json.idle(plug_sink(p), &err), CTF_SENT);
	ck_assert_int_eq(write(fd, "chatter\n", 8), 8); /* ignored */
	ck_assert_int_eq(ctf_plugin_json.idle(plug_sink(p), &err), CTF_SENT);
	shutdown(fd, SHUT_WR);
	ck_assert_int_eq(ctf_plugin_json.idle(plug_sink(p), &err), CTF_RETRY);
	make_lines(p, 1, 1, 1);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_RETRY); /* not into the void */
	ck_assert_uint_eq(plug_pending(p), 1);
	plug_close(p);
	close(fd);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_SENT);
	in = fdopen(accept(l, NULL, NULL), "r");
	plug_close(p);
	ck_assert_uint_eq(read_lines(in, seen), 1);
	ck_assert_uint_eq(seen[1], 1);
	fclose(in);
	close(l);
	plug_free(p);
}
END_TEST

START_TEST(tcp_refused)
{
	struct plug *p;

	close(listener(SOCK_STREAM, "tcp"));
	p = plug_new(&ctf_plugin_json, options);
	make_lines(p, 0, 1, 1);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_RETRY);
	ck_assert_ptr_nonnull(strstr(err.msg, "Connection refused"));
	ck_assert_ptr_nonnull(strstr(err.msg, "127.0.0.1"));
	plug_free(p);
}
END_TEST

/* The system forbids it today: no mistake in the configuration. */
START_TEST(forbidden)
{
	struct plug *p = plug_new(&ctf_plugin_json, "mode=udp\nhost=127.255.255.255\n");
	int e = 0;

	ck_assert_int_eq(ctf_plugin_json.open(plug_sink(p), &e, &err), -1);
	ck_assert_int_eq(e, EHOSTUNREACH);
	ck_assert_ptr_nonnull(strstr(err.msg, "127.255.255.255 port 12345"));
	plug_free(p);
}
END_TEST

START_TEST(udp)
{
	int l = listener(SOCK_DGRAM, "udp");
	struct plug *p = plug_new(&ctf_plugin_json, options);
	char line[1000];
	ssize_t n;

	make_lines(p, 0, 30, 10);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_SENT);
	for (unsigned i = 0; i < 30; i++) {
		n = recv(l, line, sizeof(line) - 1, MSG_DONTWAIT);
		ck_assert_int_gt(n, 0);
		line[n] = '\0';
		ck_assert_ptr_eq(strchr(line, '\n'), line + n - 1);
		ck_assert_uint_eq(id_of(line), i);
	}
	ck_assert_int_lt(recv(l, line, 1, MSG_DONTWAIT), 0);
	/* nobody listens any more: survived */
	close(l);
	make_lines(p, 0, 30, 10);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_SENT);
	plug_free(p);
}
END_TEST

static int
unix_listener(char *dir, struct sockaddr_un *sun)
{
	int l = socket(AF_UNIX, SOCK_STREAM, 0);

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(sun->sun_path, sizeof(sun->sun_path), "%s/sock", dir);
	ck_assert_int_eq(bind(l, (struct sockaddr *)sun, sizeof(*sun)), 0);
	ck_assert_int_eq(listen(l, 4), 0);
	snprintf(options, sizeof(options), "mode=unix\nfile=\"%s\"\n", sun->sun_path);
	return l;
}

START_TEST(unix_socket)
{
	char dir[] = "/tmp/test_json.XXXXXX";
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct plug *p = plug_new(&ctf_plugin_json, "mode=unix\nfile=/nonexistent/sock\n");
	int l = unix_listener(dir, &sun), e = 0;

	make_lines(p, 0, 1, 1);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_RETRY);
	ck_assert_ptr_nonnull(strstr(err.msg, "/nonexistent/sock: No such file"));
	ck_assert_int_eq(ctf_plugin_json.open(plug_sink(p), &e, &err), -1);
	ck_assert_int_eq(e, ECONNREFUSED); /* it may come yet */
	plug_free(p);
	peer_breaks(l, plug_new(&ctf_plugin_json, options));
	peer_ends(l, plug_new(&ctf_plugin_json, options));
	close(l);
	remove(sun.sun_path);
	rmdir(dir);
}
END_TEST

START_TEST(interrupted)
{
	int l = listener(SOCK_STREAM, "tcp");
	struct plug *p = plug_new(&ctf_plugin_json, options);

	make_lines(p, 0, LINES, EACH);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_AGAIN);
	plug_interrupt(p);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_AGAIN);
	plug_free(p);
	close(l);
}
END_TEST

static void
add_tests(TCase *t)
{
	signal(SIGPIPE, SIG_IGN);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, tcp);
	tcase_add_test(t, tcp_reset);
	tcase_add_test(t, tcp_ended);
	tcase_add_test(t, tcp_closed);
	tcase_add_test(t, tcp_refused);
	tcase_add_test(t, forbidden);
	tcase_add_test(t, udp);
	tcase_add_test(t, unix_socket);
	tcase_add_test(t, interrupted);
}

int
main(void)
{
	return unit_main_net(AF_INET6, "json_peer", add_tests);
}
