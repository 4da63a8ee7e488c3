/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The NFCT input on the running kernel: each test in a process and a network
 * namespace of its own.  Needs root; without it exit code 77 (skipped), or a
 * failure where CI=true promises that it is there.
 */
#include "ct_msg.h"
#include "live.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#define MSEC UINT64_C(1000000)
#define TICK (50 * MSEC) /* the kernel's clock of timeouts may be as late */

static void
ck_num(const struct ctf_rec *r, ctf_ref f, uint64_t want, const char *name)
{
	ck_assert_msg(ctf_has(r, f), "%s is absent", name);
	ck_assert_msg(ctf_num(r, f) == want, "%s is %llu, not %llu", name,
		      (unsigned long long)ctf_num(r, f), (unsigned long long)want);
}

static const struct ctf_rec *
must_find(const struct live *l, int event, unsigned dport)
{
	const struct ctf_rec *r = live_find(l, event, dport);

	ck_assert_msg(r, "no event %d of port %u among %u", event, dport, l->n);
	return r;
}

static void
ck_between(uint64_t ns, uint64_t from, uint64_t to, const char *name)
{
	ck_assert_msg(from <= ns && ns <= to,
		      "%s is %lld ms from its beginning, %lld from its end", name,
		      ((long long)ns - (long long)from) / (long long)MSEC,
		      ((long long)to - (long long)ns) / (long long)MSEC);
}

/* ---- values ---------------------------------------------------------------------- */

static void
ck_udp(const struct live *l, unsigned dport, uint64_t header, uint64_t begin, uint64_t over)
{
	const struct ct_fields *f = &l->self.in.f;
	const struct ctf_rec *r = must_find(l, CTF_DESTROY, dport);

	ck_num(r, f->orig_proto, 17, "protocol");
	ck_num(r, f->orig_sport, 4000, "sport");
	ck_num(r, f->reply_sport, dport, "reply sport");
	ck_num(r, f->orig_packets, 3, "orig packets");
	ck_num(r, f->orig_bytes, 3 * (100 + header), "orig bytes");
	ck_num(r, f->reply_packets, 2, "reply packets");
	ck_num(r, f->reply_bytes, 2 * (100 + header), "reply bytes");
	ck_num(r, f->event, 4, "event");
	ck_between(ctf_num(r, f->start_ns), begin, over, "start");
	ck_between(ctf_num(r, f->destroy_ns), ctf_num(r, f->start_ns), over, "end");
	ck_assert(ctf_has(r, f->id) && ctf_has(r, f->portid));
}

START_TEST(values)
{
	struct live *l = live_enter();
	const struct ct_fields *f = &l->self.in.f;
	const struct ctf_rec *r;
	uint64_t begin, over;

	l->conf.hash_enable = false;
	live_start(l);
	begin = ctf_now();
	lab_udp_talk(AF_INET, 4000, 5000, 3, 2, 100);
	lab_udp_talk(AF_INET6, 4000, 5001, 3, 2, 100);
	lab_tcp_talk(4002, 5002, 1000);
	lab_flush();
	over = ctf_now();
	ck_assert_uint_eq(live_read_all(l, 6), 6);
	ck_udp(l, 5000, 28, begin, over);
	ck_udp(l, 5001, 48, begin, over);
	ck_assert_int_eq(live_find(l, CTF_DESTROY, 5000)->family, AF_INET);
	ck_assert_mem_eq(live_find(l, CTF_DESTROY, 5000)->v[f->orig_saddr].ip, "\x7f\0\0\1", 4);
	ck_assert_int_eq(live_find(l, CTF_DESTROY, 5001)->family, AF_INET6);
	r = must_find(l, CTF_DESTROY, 5002);
	ck_num(r, f->orig_proto, 6, "protocol");
	ck_assert_uint_ge(ctf_num(r, f->orig_bytes), 1000 + 40 * ctf_num(r, f->orig_packets));
	ck_assert(ctf_has(r, f->tcp_state));
	r = must_find(l, CTF_NEW, 5002);
	ck_assert(!ctf_has(r, f->orig_packets)); /* no zero for the unknown */
	ck_between(r->rx_ns, over, ctf_now(), "receive time");
	ck_assert_uint_eq(live_count(l, "events"), 6);
	ck_assert_uint_eq(live_count(l, "malformed") + live_count(l, "ignored"), 0);
	ck_assert_uint_eq(live_count(l, "no_counters") + live_count(l, "no_start"), 0);
	live_free(l);
}
END_TEST

/* The default gives one record a flow; a mask is a mask when there is no hash. */
START_TEST(groups)
{
	static const struct {
		unsigned mask, hash, poll, records;
	} t[] = { { 5, 1, 0, 2 }, { 4, 1, 0, 2 }, { 5, 0, 0, 4 },  { 4, 0, 0, 2 },
		  { 1, 0, 0, 2 }, { 1, 0, 9, 4 }, { 255, 1, 0, 2 } };
	struct live *l = live_enter();

	l->conf.event_mask = t[_i].mask;
	l->conf.hash_enable = t[_i].hash;
	l->conf.poll = t[_i].poll * 1000;
	live_start(l);
	lab_udp_flows(2, 4000, 5000);
	lab_flush();
	ck_assert_uint_eq(live_read_all(l, t[_i].records), t[_i].records);
	live_free(l);
}
END_TEST

START_TEST(updates)
{
	struct live *l = live_enter();

	l->conf.event_mask = 7;
	l->conf.hash_enable = false;
	live_start(l);
	lab_tcp_talk(4002, 5002, 1000);
	lab_flush();
	live_read(l, 50);
	must_find(l, CTF_NEW, 5002);
	must_find(l, CTF_UPDATE, 5002);
	must_find(l, CTF_DESTROY, 5002);
	live_free(l);
}
END_TEST

/* What ulogd2's users set for a table we have not got is not ignored in silence. */
START_TEST(useless)
{
	struct live *l = live_enter();

	l->conf.resync_timeout = 10000;
	live_start(l);
	ck_assert(live_said(l, "netlink_resync_timeout have no effect"));
	live_free(l);
}
END_TEST

/* ---- options ---------------------------------------------------------------------------- */

START_TEST(filters)
{
	static const struct {
		const char *src, *dst, *proto;
		bool v4, v6, tcp;
	} t[] = {
		{ "127.0.0.0/8", "", "", true, false, true },
		{ "10.0.0.0/8", "", "", false, false, false },
		{ "10.0.0.0/8,::1/128", "", "", false, true, false },
		{ "", "127.0.0.1/32,::/1", "tcp", false, false, true },
		{ "", "::/125", "udp", false, true, false },
		{ "127.0.0.0/8,::2/128", "", "17", true, false, false },
	};
	struct live *l = live_enter();

	l->conf.accept_src = t[_i].src;
	l->conf.accept_dst = t[_i].dst;
	l->conf.accept_proto = t[_i].proto;
	live_start(l);
	lab_udp_talk(AF_INET, 4000, 5000, 1, 1, 10);
	lab_udp_talk(AF_INET6, 4000, 5001, 1, 1, 10);
	lab_tcp_talk(4002, 5002, 1000);
	lab_flush();
	live_read(l, 50);
	ck_assert_int_eq(!!live_find(l, CTF_DESTROY, 5000), t[_i].v4);
	ck_assert_int_eq(!!live_find(l, CTF_DESTROY, 5001), t[_i].v6);
	ck_assert_int_eq(!!live_find(l, CTF_DESTROY, 5002), t[_i].tcp);
	ck_assert_uint_gt(strlen(l->ctx.cov[0].selection), 10);
	live_free(l);
}
END_TEST

/* Numbers and addresses; text lives no longer than its batch. */
static void
ck_same(const struct ctf_rec *a, const struct ctf_rec *b, ctf_ref f)
{
	static const char *const text[] = { "ct.labels", "ct.helper", "ct.secctx",
					    "flow.end.kind" };
	const char *name = ct_ports[f].name;

	for (unsigned i = 0; i < sizeof(text) / sizeof(*text); i++)
		if (strcmp(name, text[i]) == 0)
			return;
	if (!ctf_has(a, f))
		return;
	if (strstr(name, "addr"))
		ck_assert_mem_eq(a->v[f].ip, b->v[f].ip, a->family == AF_INET ? 4 : 16);
	else
		ck_assert_msg(ctf_num(a, f) == ctf_num(b, f), "%s differs", name);
}

/* Decoding the recording gives the very records. */
START_TEST(recording)
{
	char path[] = "/tmp/nfct-live-XXXXXX";
	struct live *l = live_enter();
	struct pcap_reader *reader;
	struct pcap_msg msg;
	struct ctf_rec *rec = calloc(1, l->stride);
	struct ctf_err err;
	unsigned n = 0;

	close(mkstemp(path));
	l->conf.record = path;
	l->conf.hash_enable = false;
	live_start(l);
	lab_udp_talk(AF_INET6, 4000, 5001, 1, 1, 10);
	lab_tcp_talk(4002, 5002, 1000);
	lab_flush();
	ck_assert_uint_eq(live_read(l, 50), 4);
	l->ctx.tick(&l->self);
	ck_assert_int_eq(pcap_reader_open(path, &reader, &err), 0);
	while (pcap_reader_next(reader, &msg, &err) == 1) {
		const struct ctf_rec *was = live_rec(l, n++);

		memset(rec, 0, l->stride);
		ck_assert_uint_eq(msg.ns, was->rx_ns);
		ck_assert_int_eq(ct_decode(&l->self.in, msg.p, msg.len, msg.ns, msg.nsid, rec),
				 1);
		ck_assert_mem_eq(rec->set, was->set, sizeof(rec->set));
		for (ctf_ref i = 0; ct_ports[i].name; i++)
			ck_same(rec, was, i);
	}
	ck_assert_uint_eq(n, 4);
	pcap_reader_close(reader);
	free(rec);
	unlink(path);
	live_free(l);
}
END_TEST

START_TEST(settings)
{
	static const struct {
		enum nfct_policy policy;
		int timestamp, acct;
		const char *says;
	} t[] = {
		{ NFCT_AUTO, 1, 0, "sysctl -w net.netfilter.nf_conntrack_acct=1" },
		{ NFCT_SET, 1, 1, "nf_conntrack_acct set to 1" },
		{ NFCT_WARN, 0, 0, "sysctl -w net.netfilter.nf_conntrack_timestamp=1" },
		{ NFCT_IGNORE, 0, 0, "" },
	};
	struct live *l = live_enter();

	lab_sysctl("nf_conntrack_timestamp", 0);
	lab_sysctl("nf_conntrack_acct", 0);
	l->conf.sysctl = t[_i].policy;
	live_start(l);
	ck_assert_int_eq(lab_sysctl_get("nf_conntrack_timestamp"), t[_i].timestamp);
	ck_assert_int_eq(lab_sysctl_get("nf_conntrack_acct"), t[_i].acct);
	ck_assert(live_said(l, t[_i].says));
	ck_assert_int_eq(l->ctx.cov[0].acct, t[_i].acct);
	lab_udp_flows(2, 4000, 5000);
	lab_flush();
	ck_assert_uint_eq(live_read(l, 50), 2);
	ck_assert_uint_eq(live_count(l, "no_counters"), t[_i].acct ? 0 : 2);
	ck_assert_uint_eq(live_count(l, "no_start"), t[_i].timestamp ? 0 : 2);
	ck_assert_int_eq(live_said(l, "flows without packet"), !t[_i].acct && _i != 3);
	if (t[_i].policy == NFCT_IGNORE)
		ck_assert(!live_said(l, "nf_conntrack_"));
	live_free(l);
}
END_TEST

START_TEST(times_of_the_kernel)
{
	struct live *l = live_enter();
	const struct ctf_rec *r;
	uint64_t start;

	lab_sysctl("nf_conntrack_udp_timeout", 7);
	live_start(l);
	lab_udp_flows(1, 4000, 5000);
	lab_flush();
	live_read_all(l, 1);
	r = must_find(l, CTF_DESTROY, 5000);
	start = ctf_num(r, l->self.in.f.start_ns);
	/* removed with 7 s to go, of which the kernel tells whole seconds */
	ck_between(ctf_num(r, l->self.in.f.last_ns), start - TICK, start + 1000 * MSEC + TICK,
		   "last");
	live_free(l);
}
END_TEST

/* Two messages in one batch: the text of the first is still that of the first. */
START_TEST(texts)
{
	static const char *const helper[] = { "ftp", "tftp" };
	struct live *l = live_enter();
	struct msg m;
	int fd[2];

	live_start(l);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fd), 0);
	ck_assert_int_eq(dup2(fd[1], l->self.fd), l->self.fd);
	for (unsigned i = 0; i < 2; i++) {
		size_t nest;

		msg_begin(&m, MSG_NEW, MSG_CREATED, 0, AF_INET);
		nest = msg_nest(&m, CTA_HELP);
		msg_put(&m, CTA_HELP_NAME, helper[i], strlen(helper[i]) + 1);
		msg_end(&m, nest);
		ck_assert_int_eq(send(fd[0], m.p, m.len, 0), (ssize_t)m.len);
	}
	ck_assert_uint_eq(live_read(l, 0), 2);
	for (unsigned i = 0; i < 2; i++) {
		const union ctf_val *v = &live_rec(l, i)->v[l->self.in.f.helper];

		ck_assert_uint_eq(v->s.len, strlen(helper[i]));
		ck_assert_mem_eq(v->s.p, helper[i], v->s.len);
	}
	live_free(l);
}
END_TEST

START_TEST(old_entries)
{
	static const int events[] = { 2, 0 };
	struct live *l = live_enter();

	lab_sysctl("nf_conntrack_events", events[_i]);
	lab_udp_flows(3, 4000, 5000);
	live_start(l);
	live_until(l, !l->self.sweep.now);
	ck_assert_uint_eq(live_count(l, "unreported"), 3);
	ck_assert(live_said(l, "can never report their end"));
	ck_assert_int_eq(lab_sysctl_get("nf_conntrack_events"), 1);
	live_free(l);
}
END_TEST

START_TEST(other_namespace)
{
	char path[64], before[64] = "", after[64] = "";
	struct live *l = live_enter();
	int there = open("/proc/thread-self/ns/net", O_RDONLY);

	lab_sysctl("nf_conntrack_timestamp", 0);
	ck_assert_int_eq(lab_enter(), 0);
	lab_sysctl("nf_conntrack_timestamp", 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", there);
	l->conf.netns = path;
	ck_assert_int_gt(readlink("/proc/thread-self/ns/net", before, 63), 0);
	live_start(l);
	ck_assert_int_gt(readlink("/proc/thread-self/ns/net", after, 63), 0);
	ck_assert_str_eq(before, after);
	ck_assert_int_eq(lab_sysctl_get("nf_conntrack_timestamp"), 0);
	lab_udp_flows(2, 4000, 5000); /* here: not heard */
	lab_flush();
	ck_assert_int_eq(setns(there, CLONE_NEWNET), 0);
	ck_assert_int_eq(lab_sysctl_get("nf_conntrack_timestamp"), 1);
	lab_udp_flows(3, 4000, 6000);
	lab_flush();
	ck_assert_uint_eq(live_read(l, 50), 3);
	must_find(l, CTF_DESTROY, 6002);
	live_free(l);
	close(there);
}
END_TEST

/* ---- what cannot work ------------------------------------------------------------------ */

static void
ck_refused(struct live *l, const char *blamed, const char *says)
{
	ck_assert_int_lt(live_try(l), 0);
	ck_assert_str_eq(l->ctx.blamed, blamed);
	ck_assert_msg(strstr(l->err.msg, says), "%s", l->err.msg);
	live_free(l);
}

START_TEST(errors)
{
	struct live *l = live_enter();

	l->conf.accept_src = "10.0.0.0";
	ck_refused(l, "accept_src_filter", "no prefix length");
	l = live_new();
	l->conf.accept_proto = "nosuch";
	ck_refused(l, "accept_proto_filter", "\"nosuch\"");
	l = live_new();
	l->conf.event_mask = 1;
	ck_refused(l, "event_mask", "gives no records");
	l = live_new();
	l->conf.netns = "/run/netns/nosuch";
	ck_refused(l, "network_namespace_path", "/run/netns/nosuch");
	l = live_new();
	l->conf.record = "/nosuch/file";
	ck_refused(l, "record", "cannot record to /nosuch/file");
	l = live_new();
	ck_assert_int_eq(seteuid(65534), 0);
	ck_refused(l, "", "needs CAP_NET_ADMIN (root)");
	ck_assert_int_eq(seteuid(0), 0);
	prctl(PR_SET_DUMPABLE, 1); /* or the leak sanitizer cannot work */
}
END_TEST

static int
allowed(void)
{
	int status = 1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(lab_enter() == 0 ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_test(t, values);
	tcase_add_loop_test(t, groups, 0, 7);
	tcase_add_test(t, updates);
	live_loss_tests(t);
	live_ns_tests(t);
	live_valve_tests(t);
	live_sweep_tests(t);
	live_times_tests(t);
	live_dump_tests(t);
	tcase_add_loop_test(t, filters, 0, 6);
	tcase_add_test(t, recording);
	tcase_add_test(t, useless);
	tcase_add_loop_test(t, settings, 0, 4);
	tcase_add_test(t, times_of_the_kernel);
	tcase_add_test(t, texts);
	tcase_add_loop_test(t, old_entries, 0, 2);
	tcase_add_test(t, other_namespace);
	live_cover_tests(t);
	tcase_add_test(t, errors);
}

int
main(void)
{
	const char *ci = getenv("CI");

	if (!allowed()) {
		fprintf(stderr, "needs root, network namespaces and nft\n");
		return ci && strcmp(ci, "true") == 0 ? 1 : 77;
	}
	lab_host_lock();
	setenv("CK_FORK", "yes", 1); /* a namespace each */
	return unit_main("nfct_live", add_tests);
}
