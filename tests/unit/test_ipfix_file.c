/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IPFIX files (RFC 5655): whole messages, rotation, full disks, what was there before. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>

#include "ipfix_files.h"
#include "ipfix_peer.h"
#include "unit.h"

#define TIME 1700000000u /* of the first record; 2023-11-14T22:13:20Z */
#define DONE "flows-20231114T221320Z"

/* One file, one session; Export Time is the first record's, not today's. */
START_TEST(appends)
{
	struct walk w;

	start("");
	flows(0, 1000);
	deliver();
	flows(1000, 1001);
	deliver();
	expect(path, 0, 1001);
	read_file(path, &w);
	ck_assert_uint_eq(w.last_time, TIME);
	walk_free(&w);
	ck_assert_uint_eq(files(), 1);
}
END_TEST

/* Domains begin with templates each, and messages do not go back in time. */
START_TEST(domains)
{
	struct walk w;

	start("");
	walk_flows(plug, 0, 10, -1);
	walk_flows(plug, 10, 20, 3);
	walk_flows(plug, 20, 30, -1);
	deliver();
	read_file(path, &w);
	ck_assert_uint_eq(w.domains, 2);
	ck_assert_uint_eq(w.announcements, 2);
	walk_expect(&w, 0, 30);
	walk_free(&w);
}
END_TEST

/* No file gets longer; each can be read by itself; equal times get numbers. */
START_TEST(rotate_size)
{
	char name[64];
	unsigned at = 0, n = 0;
	struct walk w;

	start("rotate_size=8K\nmtu=1000\n");
	for (unsigned i = 0; i < 500; i += 20) {
		flows(i, i + 20);
		if (i % 60 == 40)
			deliver();
	}
	deliver();
	ck_assert_uint_gt(files(), 4);
	ck_assert_uint_eq(*sink()->file.finished, files() - 1);
	while (at < 500 && n < files()) {
		if (++n == files())
			strcpy(name, "flows.ipfix");
		else
			snprintf(name, sizeof(name), n > 1 ? DONE ".%u.ipfix" : DONE ".ipfix",
				 n);
		ck_assert_int_le(size_of(in_dir(name)), 8192);
		read_file(in_dir(name), &w);
		ck_assert_uint_eq(w.announcements, 1);
		ck_assert_uint_eq(w.rest, 0);
		walk_expect(&w, at, at + (unsigned)w.records);
		at += (unsigned)w.records;
		walk_free(&w);
	}
	ck_assert_uint_eq(at, 500);
	ck_assert_uint_eq(n, files());
}
END_TEST

/* In time, too, without anything to write; an empty file stays. */
START_TEST(rotate_time)
{
	struct pollfd p = { .events = POLLIN };
	int e;

	start("rotate_time=1\n");
	flows(0, 10);
	deliver();
	p.fd = sink()->file.timer;
	ck_assert_int_eq(poll(&p, 1, 60000), 1);
	ck_assert_int_eq(ctf_plugin_ipfix.idle(plug_sink(plug), &err), CTF_SENT);
	expect(in_dir(DONE ".ipfix"), 0, 10);
	ck_assert_int_eq(size_of(path), 0);
	e = poll(&p, 1, 1200);
	ck_assert_int_eq(e, 0);
	flows(10, 20);
	deliver();
	sleep_us(1100000);
	flows(20, 30);
	deliver();
	expect(in_dir(DONE ".2.ipfix"), 10, 20);
	expect(path, 20, 30);
}
END_TEST

START_TEST(reopen)
{
	start("");
	flows(0, 10);
	deliver();
	ck_assert_int_eq(ctf_plugin_ipfix.reopen(plug_sink(plug), &err), 0);
	flows(10, 20);
	deliver();
	expect(path, 0, 20);
	ck_assert_int_eq(rename(path, in_dir("moved")), 0);
	flows(20, 30);
	deliver(); /* until it is told */
	expect(in_dir("moved"), 0, 30);
	ck_assert_int_eq(ctf_plugin_ipfix.reopen(plug_sink(plug), &err), 0);
	flows(30, 40);
	deliver();
	expect(in_dir("moved"), 0, 30);
	expect(path, 30, 40);
}
END_TEST

START_TEST(another_layout)
{
	start("");
	flows(0, 10);
	deliver();
	sink()->layout ^= 1;
	flows(10, 20);
	deliver();
	expect(in_dir(DONE ".ipfix"), 0, 10);
	expect(path, 10, 20);
}
END_TEST

/* ---- trouble -------------------------------------------------------------------- */

static void
limit_files(rlim_t size)
{
	struct rlimit l = { size, RLIM_INFINITY };

	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &l), 0);
}

/*
 * The disk fills up in the middle of a message, at any byte: readers never see
 * a part of one, and what is written later continues the session.
 */
START_TEST(full_disk)
{
	unsigned whole; /* frames of 6 and 4 flows */
	off_t before;

	signal(SIGXFSZ, SIG_IGN);
	start("mtu=500\n");
	flows(0, 10);
	deliver();
	before = size_of(path);
	for (unsigned i = 10; i < 40; i += 10)
		flows(i, i + 10); /* two messages each */
	/* The checks are written to a file as well: it is longer than the limit, */
	for (unsigned i = 0; i < 300; i++) /* so nothing is written, not a part of one. */
		ck_assert_int_gt(before, 0);
	limit_files((rlim_t)before + 1 + (rlim_t)_i * 97);
	plug_interrupt(plug); /* no second between the attempts */
	ck_assert_int_eq(plug_deliver(plug, &err), CTF_AGAIN);
	limit_files(RLIM_INFINITY);
	whole = 6 - plug_pending(plug);
	ck_assert_uint_gt(*sink()->file.errors, 0);
	ck_assert_uint_eq((uint64_t)size_of(path), sink()->file.off);
	expect(path, 0, 10 + whole / 2 * 10 + whole % 2 * 6);
	deliver();
	expect(path, 0, 40);
}
END_TEST

/* Of a file that is full from the start not even templates remain. */
START_TEST(full_at_once)
{
	signal(SIGXFSZ, SIG_IGN);
	start("");
	flows(0, 10);
	limit_files(100);
	plug_interrupt(plug);
	ck_assert_int_eq(plug_deliver(plug, &err), CTF_AGAIN);
	ck_assert_int_eq(size_of(path), 0);
	limit_files(RLIM_INFINITY);
	deliver();
	expect(path, 0, 10);
}
END_TEST

/* What others do to the file: then another one begins. */
START_TEST(others)
{
	int fd;

	start("");
	flows(0, 10);
	deliver();
	ck_assert_int_eq(truncate(path, 0), 0); /* copytruncate */
	flows(10, 20);
	deliver();
	expect(path, 10, 20);
	ck_assert_int_eq(unlink(path), 0);
	flows(20, 30);
	deliver();
	expect(path, 20, 30);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	ck_assert_int_eq(write(fd, "other\n", 6), 6);
	close(fd);
	flows(30, 40);
	deliver();
	expect(in_dir(DONE ".ipfix"), 20, 30);
	expect(path, 30, 40);
}
END_TEST

/* ---- what is there at the start ----------------------------------------------------- */

/* What a kill leaves, cut at any byte: whole messages get a name, the rest goes. */
START_TEST(torn)
{
	off_t size, cut;
	struct walk w;

	start("mtu=500\n");
	flows(0, 10);
	deliver();
	plug_close(plug);
	size = size_of(path);
	cut = size - 1 - _i * 83;
	ck_assert_int_gt(cut, 0);
	ck_assert_int_eq(truncate(path, cut), 0);
	flows(10, 20);
	deliver();
	expect(path, 10, 20);
	read_file(in_dir(DONE ".ipfix"), &w);
	ck_assert_uint_eq(w.rest, 0);
	ck_assert_uint_eq(w.records, (size_t)(size - cut > 16 + 4 + 4 * 79 ? 0 : 6));
	walk_free(&w);
	ck_assert_uint_eq(files(), 2);
}
END_TEST

/* Of a first message that is torn nothing remains. */
START_TEST(torn_at_once)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	ck_assert_int_eq(write(fd, "\0\12\1\0\0", (size_t)_i), _i);
	close(fd);
	start("");
	flows(0, 10);
	deliver();
	expect(path, 0, 10);
	ck_assert_uint_eq(files(), 1);
}
END_TEST

static void
put_text(const char *text)
{
	FILE *f = fopen(path, "we");

	fputs(text, f);
	fclose(f);
}

START_TEST(no_ipfix)
{
	put_text("root:x:0:0:root:/root:/bin/bash\n");
	start("");
	ck_assert_int_eq(open_errno(), EINVAL);
	ck_assert_ptr_nonnull(strstr(err.msg, "is no IPFIX file"));
	ck_assert_int_eq(size_of(path), 32);
	unlink(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(open_errno(), EINVAL);
	ck_assert_ptr_nonnull(strstr(err.msg, "not a regular file"));
	unlink(path);
	rmdir(dir);
	ck_assert_int_eq(open_errno(), ENOENT);
}
END_TEST

/* Two outputs with one file would destroy each other's. */
START_TEST(one_writer)
{
	char options[300];
	struct plug *other;

	start("");
	flows(0, 10);
	deliver();
	options_for(options, sizeof(options), "");
	other = plug_new(&ctf_plugin_ipfix, options);
	walk_flows(other, 0, 1, -1);
	ck_assert_int_eq(plug_deliver(other, &err), CTF_RETRY);
	ck_assert_ptr_nonnull(strstr(err.msg, "written by another"));
	expect(path, 0, 10);
	plug_free(other);
}
END_TEST

/* Where nothing can be renamed the old file goes on. */
START_TEST(stuck)
{
	char moved[200];

	snprintf(moved, sizeof(moved), "%s.moved", dir);
	start("rotate_size=2K\nmtu=1000\n");
	flows(0, 10);
	deliver();
	ck_assert_int_eq(rename(dir, moved), 0);
	for (unsigned i = 10; i < 100; i += 10) {
		flows(i, i + 10);
		deliver();
	}
	ck_assert_int_eq(rename(moved, dir), 0);
	expect(path, 0, 100);
	sink()->file.stuck_ms = 0;
	flows(100, 110);
	deliver();
	expect(in_dir(DONE ".ipfix"), 0, 100);
	expect(path, 100, 110);
}
END_TEST

static const struct {
	const char *options, *why;
} wrong[] = {
	{ "oid=1\nproto=file\n", "file: it is missing" },
	{ "oid=1\nproto=tcp\n", "host: the collector is missing" },
	{ "oid=1\nproto=file\nfile=/tmp/x\nsend_template=never\n", "cannot be read" },
	{ "oid=1\nproto=file\nfile=/tmp/x\nrotate_time=5ms\n", "a second at least" },
};

START_TEST(refused_options)
{
	ck_assert_int_lt(plug_try(&ctf_plugin_ipfix, wrong[_i].options, &err), 0);
	ck_assert_msg(strstr(err.msg, wrong[_i].why), "%s", err.msg);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, appends);
	tcase_add_test(t, domains);
	tcase_add_test(t, rotate_size);
	tcase_add_test(t, rotate_time);
	tcase_add_test(t, reopen);
	tcase_add_test(t, another_layout);
	tcase_add_loop_test(t, full_disk, 0, 26);
	tcase_add_test(t, full_at_once);
	tcase_add_test(t, others);
	tcase_add_loop_test(t, torn, 0, 10);
	tcase_add_loop_test(t, torn_at_once, 1, 6);
	tcase_add_test(t, no_ipfix);
	tcase_add_test(t, one_writer);
	tcase_add_test(t, stuck);
	tcase_add_loop_test(t, refused_options, 0, sizeof(wrong) / sizeof(*wrong));
}

int
main(void)
{
	return unit_main("ipfix_file", add_tests);
}
