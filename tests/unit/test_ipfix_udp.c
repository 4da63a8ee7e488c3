/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IPFIX over UDP: datagrams, templates again in time, refusals, a small path. */
#include <arpa/inet.h>
#include <check.h>
#include <linux/icmp.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ipfix.h"
#include "ipfix_keep.h"
#include "ipfix_walk.h"
#include "plug.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_ipfix;

struct fixture {
	int fd; /* the collector */
	uint16_t port;
	struct plug *plug;
	struct walk walk;
	unsigned datagrams;
	size_t largest;
};

static void
listen_on(struct fixture *x, int family, uint16_t port)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	bool v6 = family == AF_INET6;
	struct sockaddr *a = v6 ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4;
	socklen_t len = v6 ? sizeof(a6) : sizeof(a4);
	int large = 4 << 20;

	a6.sin6_addr = in6addr_loopback;
	a4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	x->fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setsockopt(x->fd, SOL_SOCKET, SO_RCVBUF, &large, sizeof(large));
	ck_assert_int_eq(bind(x->fd, a, len), 0);
	getsockname(x->fd, a, &len);
	x->port = ntohs(v6 ? a6.sin6_port : a4.sin_port);
}

static void
start(struct fixture *x, const char *more)
{
	char options[256];

	*x = (struct fixture){ 0 };
	listen_on(x, AF_INET, 0);
	snprintf(options, sizeof(options), "oid=7\nhost=\"127.0.0.1\"\nproto=udp\nport=%u\n%s",
		 x->port, more);
	x->plug = plug_new(&ctf_plugin_ipfix, options);
}

static void
end(struct fixture *x)
{
	plug_free(x->plug);
	walk_free(&x->walk);
	if (x->fd >= 0)
		close(x->fd);
}

static struct ipfix_sink *
sink(struct fixture *x)
{
	return plug_sink(x->plug);
}

static void
flows(struct fixture *x, unsigned from, unsigned to)
{
	walk_flows(x->plug, from, to, -1);
}

/* Sends what is there and reads what arrived. */
static void
deliver(struct fixture *x)
{
	struct ctf_err err = { 0 };
	uint8_t buf[65536];
	ssize_t n;

	ck_assert_msg(plug_deliver(x->plug, &err) == CTF_SENT, "%s", err.msg);
	while (x->fd >= 0 && (n = keep_recv(x->fd, buf, sizeof(buf))) > 0) {
		walk_bytes(&x->walk, buf, (size_t)n);
		ck_assert_uint_eq(x->walk.rest, 0); /* one datagram, one message */
		x->datagrams++;
		if ((size_t)n > x->largest)
			x->largest = (size_t)n;
	}
}

static void
expect(const struct fixture *x, unsigned to)
{
	walk_expect(&x->walk, 0, to);
}

/* The kernel refuses what it would have to fragment, and sets DF. */
static void
expect_whole(struct fixture *x, int level, int name, int want)
{
	socklen_t len = sizeof(int);
	int how = -1;

	ck_assert_int_eq(getsockopt(sink(x)->fd, level, name, &how, &len), 0);
	ck_assert_int_eq(how, want);
}

START_TEST(test_session)
{
	struct fixture x;

	start(&x, "");
	flows(&x, 0, 1000);
	deliver(&x);
	expect(&x, 1000);
	ck_assert_uint_eq(x.walk.announcements, 2);
	ck_assert_uint_gt(x.walk.template_messages, 10); /* they do not fit one datagram */
	ck_assert_uint_le(x.largest, 512 - 48);
	ck_assert_uint_eq(x.walk.messages, 1000 / 5);
	expect_whole(&x, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
	flows(&x, 1000, 1100);
	deliver(&x);
	expect(&x, 1100);
	ck_assert_uint_eq(x.walk.announcements, 2);
	ck_assert_uint_le(x.walk.last_time, ctf_now() / 1000000000);
	ck_assert_uint_ge(x.walk.last_time + 60, ctf_now() / 1000000000);
	end(&x);
}
END_TEST

/* As if the templates had gone out that much earlier. */
static void
later(struct fixture *x, unsigned ms)
{
	sink(x)->domain[0].announced_ms -= ms;
}

/* One more flow; announcements (of `once` messages each) before and after it. */
static void
step(struct fixture *x, unsigned once, unsigned times)
{
	unsigned n = (unsigned)x->walk.records;

	flows(x, n, n + 1);
	deliver(x);
	ck_assert_uint_eq(x->walk.announcements, times * once);
	expect(x, n + 1);
}

/* New templates: twice at once, again a second later; then in time. */
START_TEST(test_refresh)
{
	struct fixture x;
	unsigned once;

	start(&x, "template_refresh=60\n");
	flows(&x, 0, 1);
	deliver(&x);
	once = x.walk.announcements / 2;
	ck_assert_uint_gt(once, 0);
	step(&x, once, 2);
	later(&x, 1000);
	step(&x, once, 3);
	later(&x, 59000);
	step(&x, once, 3);
	later(&x, 1000);
	step(&x, once, 4);
	later(&x, 59000);
	step(&x, once, 4);
	sink(&x)->domain[0].layout ^= 1; /* the frames' layout is another one now */
	step(&x, once, 6);
	later(&x, 1000);
	step(&x, once, 7);
	end(&x);
}
END_TEST

/* template_refresh_packets: after so many messages, in the middle of a burst, too. */
START_TEST(test_refresh_packets)
{
	struct fixture x;
	unsigned once;

	start(&x, "template_refresh_packets=10\n");
	flows(&x, 0, 5);
	deliver(&x);
	once = x.walk.announcements / 2;
	for (unsigned i = 1; i < 10; i++) {
		flows(&x, 5 * i, 5 * i + 5);
		deliver(&x);
		ck_assert_uint_eq(x.walk.announcements, 2 * once);
	}
	flows(&x, 50, 55);
	deliver(&x);
	ck_assert_uint_eq(x.walk.announcements, 3 * once);
	flows(&x, 55, 55 + 35 * 5); /* 35 messages: 1 + 35 since then */
	deliver(&x);
	ck_assert_uint_eq(x.walk.announcements, 6 * once);
	expect(&x, 55 + 35 * 5);
	end(&x);
}
END_TEST

START_TEST(test_always)
{
	struct fixture x;
	unsigned once;

	start(&x, "send_template=always\nmtu=65535\n");
	flows(&x, 0, 10);
	deliver(&x);
	once = x.walk.announcements;
	ck_assert_uint_eq(once, 2);
	flows(&x, 10, 20);
	deliver(&x);
	ck_assert_uint_eq(x.walk.announcements, 3);
	expect(&x, 20);
	end(&x);
}
END_TEST

/* Refusals end nothing; when the collector is back it gets templates again. */
START_TEST(test_refused)
{
	struct fixture x;
	uint32_t sent;

	start(&x, "options_interval=0\n");
	flows(&x, 0, 100);
	deliver(&x);
	keep_nothing(); /* some are lost */
	close(x.fd);
	x.fd = -1;
	for (unsigned i = 1; i < 5; i++) {
		flows(&x, 100 * i, 100 * i + 100);
		deliver(&x);
	}
	ck_assert_uint_gt(*sink(&x)->refused, 0);
	listen_on(&x, AF_INET, x.port);
	walk_free(&x.walk);
	x.walk = (struct walk){ 0 };
	sent = x.walk.domain[0].sequence = sink(&x)->domain[0].sequence;
	x.walk.domain[0].id = 7;
	x.walk.domains = 1;
	ck_assert_uint_eq(sent, 500); /* what was lost still counts */
	sink(&x)->domain[0].announced_ms -= 2000;
	flows(&x, 500, 600);
	deliver(&x);
	ck_assert_uint_eq(x.walk.records, 100);
	ck_assert_uint_gt(x.walk.announcements, 0);
	end(&x);
}
END_TEST

/* Messages larger than the path takes are cut between records. */
START_TEST(test_small_path)
{
	struct fixture x;

	start(&x, "mtu=1400\n");
	flows(&x, 0, 1);
	deliver(&x);
	sink(&x)->limit = 300;
	sink(&x)->domain[0].announced = false;
	x.largest = 0;
	flows(&x, 1, 100);
	deliver(&x);
	expect(&x, 100);
	ck_assert_uint_le(x.largest, 300);
	ck_assert_uint_gt(*sink(&x)->split, 0);
	later(&x, 600000); /* the path may be better by now */
	flows(&x, 100, 200);
	deliver(&x);
	expect(&x, 200);
	ck_assert_uint_gt(x.largest, 1200);
	ck_assert_uint_le(x.largest, 1400 - 48);
	ck_assert_uint_eq(*sink(&x)->most, 1400 - 48);
	end(&x);
}
END_TEST

/* The largest payload UDP has over IPv4, and above: the kernel says EMSGSIZE. */
START_TEST(test_too_large)
{
	struct fixture x;
	struct ctf_err err = { 0 };

	start(&x, "mtu=65535\n");
	flows(&x, 0, 1000);
	deliver(&x);
	expect(&x, 1000);
	flows(&x, 1000, 1001);
	sink(&x)->limit = 70; /* not even one record */
	ck_assert_int_eq(plug_deliver(x.plug, &err), CTF_POISON);
	end(&x);
}
END_TEST

/* A network of our own, so that what we tell it stays there. */
static bool
own_network(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
	close(fd);
	return true;
}

/* What a router says of a datagram that does not fit the next link. */
static void
router_says(const struct fixture *x, uint16_t mtu)
{
	struct sockaddr_in from, to = { .sin_family = AF_INET };
	struct {
		struct icmphdr icmp;
		struct iphdr ip;
		struct udphdr udp;
	} m = { .icmp = { .type = ICMP_DEST_UNREACH, .code = ICMP_FRAG_NEEDED },
		.ip = { .version = 4, .ihl = 5, .protocol = IPPROTO_UDP } };
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	socklen_t len = sizeof(from);
	uint16_t words[sizeof(m) / 2];
	uint32_t sum = 0;

	getsockname(((struct ipfix_sink *)plug_sink(x->plug))->fd, (struct sockaddr *)&from,
		    &len);
	to.sin_addr.s_addr = m.ip.saddr = m.ip.daddr = htonl(INADDR_LOOPBACK);
	m.icmp.un.frag.mtu = htons(mtu);
	m.ip.tot_len = htons(1400);
	m.udp.source = from.sin_port;
	m.udp.dest = htons(x->port);
	memcpy(words, &m, sizeof(m));
	for (unsigned i = 0; i < sizeof(m) / 2; i++)
		sum += words[i];
	sum = (sum >> 16) + (sum & 0xffff);
	m.icmp.checksum = (uint16_t) ~(sum + (sum >> 16));
	ck_assert_int_eq(sendto(fd, &m, sizeof(m), 0, (struct sockaddr *)&to, sizeof(to)),
			 sizeof(m));
	close(fd);
}

/* That comes late, with a datagram that does fit, and the templates are gone. */
START_TEST(test_path_shrinks)
{
	struct fixture x;
	unsigned once;

	if (!own_network())
		return;
	start(&x, "mtu=1400\n");
	flows(&x, 0, 17);
	deliver(&x);
	once = x.walk.announcements;
	for (unsigned i = 0; i < 3; i++) {
		router_says(&x, 600);
		sink(&x)->domain[0].announced_ms -= 2000;
		flows(&x, 17 + 5 * i, 22 + 5 * i);
		deliver(&x);
	}
	flows(&x, 32, 100);
	x.largest = 0;
	deliver(&x);
	expect(&x, 100);
	ck_assert_uint_gt(x.walk.announcements, once);
	ck_assert_uint_le(x.largest, 572);
	ck_assert_uint_gt(x.largest, 400);
	ck_assert_uint_eq(*sink(&x)->most, 572);
	ck_assert_uint_gt(*sink(&x)->errors, 0);
	end(&x);
}
END_TEST

START_TEST(test_ipv6)
{
	struct fixture x = { 0 };
	char options[128];

	listen_on(&x, AF_INET6, 0);
	snprintf(options, sizeof(options), "oid=7\nhost=\"::1\"\nproto=udp\nport=%u\n", x.port);
	x.plug = plug_new(&ctf_plugin_ipfix, options);
	flows(&x, 0, 20);
	deliver(&x);
	expect(&x, 20);
	expect_whole(&x, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO);
	end(&x);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 30);
	tcase_add_test(t, test_session);
	tcase_add_test(t, test_refresh);
	tcase_add_test(t, test_refresh_packets);
	tcase_add_test(t, test_always);
	tcase_add_test(t, test_refused);
	tcase_add_test(t, test_small_path);
	tcase_add_test(t, test_too_large);
	tcase_add_test(t, test_path_shrinks);
	tcase_add_test(t, test_ipv6);
}

int
main(void)
{
	return unit_main_net(AF_INET6, "ipfix_udp", add_tests);
}
