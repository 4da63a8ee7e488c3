/* SPDX-License-Identifier: GPL-2.0-or-later */
/* NAMES: files that change, that fail and that are being written. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "plug.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_names;

#define HOSTS "test_names.hosts"
#define LEASES "test_names.leases"
#define KEA "test_names.csv"
#define FOLDER "test_names.d"
#define KEA_HEAD "address,valid_lifetime,expire,hostname,state\n"

/* Written so long ago that nobody can be at it any more. */
static void
put(const char *path, const char *text, unsigned ago)
{
	struct timespec t[2];

	unit_write(path, text);
	clock_gettime(CLOCK_REALTIME, &t[0]);
	t[0].tv_sec -= ago;
	t[1] = t[0];
	ck_assert_int_eq(utimensat(AT_FDCWD, path, t, 0), 0);
}

static void
clear(void)
{
	static const char *const files[] = {
		HOSTS,        HOSTS "-2",  HOSTS "-d",       LEASES,      KEA,
		KEA ".1",     KEA ".2",    KEA ".completed", FOLDER "/a", FOLDER "/b",
		FOLDER "/.c", FOLDER "/c", FOLDER "/a~"
	};

	for (int i = 0; i < COUNT(files); i++)
		unlink(files[i]);
	rmdir(FOLDER "/d");
	rmdir(FOLDER);
}

static struct plug *
start(const char *options)
{
	char text[500];
	struct ctf_err err = { .msg = "" };
	struct plug *p;

	snprintf(text, sizeof(text), "%s%s", strstr(options, "reread") ? "" : "reread=50ms\n",
		 options);
	p = plug_new(&ctf_plugin_names, text);
	ck_assert_msg(ctf_plugin_names.start(plug_self(p), &err) == 0, "%s", err.msg);
	for (int i = 0; i < 2000 && !ctf_plugin_names.ready(plug_self(p)); i++)
		usleep(10000);
	ck_assert(ctf_plugin_names.ready(plug_self(p)));
	return p;
}

/* The name of a flow's source whose last packet was at `at` (ns); NULL: none. */
static const char *
name_at(struct plug *p, const char *addr, uint64_t at)
{
	plug_rec(p, strchr(addr, ':') ? AF_INET6 : AF_INET, CTF_DESTROY, ctf_now());
	plug_ip(p, "orig.ip.saddr", addr);
	plug_num(p, "flow.last.ns", at);
	ck_assert_int_eq(plug_apply(p), CTF_PASS);
	return plug_get_text(p, "orig.ip.saddr.name");
}

static const char *
name(struct plug *p, const char *addr)
{
	return name_at(p, addr, ctf_now());
}

static void
nap(void)
{
	nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
}

/* Waits until the address has that name (NULL: none). */
static void
await(struct plug *p, const char *addr, const char *want)
{
	const char *is = NULL;

	for (int i = 0; i < 1000; i++, nap()) {
		is = name(p, addr);
		if (want ? is && !strcmp(is, want) : !is)
			return;
	}
	ck_abort_msg("%s is %s, not %s", addr, is ? is : "nobody", want ? want : "nobody");
}

/* Time enough for some looks. */
static void
some_looks(void)
{
	for (int i = 0; i < 25; i++)
		nap();
}

START_TEST(fields)
{
	struct plug *p;

	put(HOSTS, "10.0.0.1 one\nfd00::2 two\n", 10);
	p = start("hosts=" HOSTS);
	plug_rec(p, AF_INET, CTF_DESTROY, ctf_now());
	plug_ip(p, "orig.ip.saddr", "10.0.0.1");
	plug_ip(p, "orig.ip.daddr", "192.0.2.1");
	ck_assert_int_eq(plug_apply(p), CTF_PASS);
	ck_assert_str_eq(plug_get_text(p, "orig.ip.saddr.name"), "one");
	ck_assert(!plug_has(p, "orig.ip.daddr.name"));
	ck_assert(!plug_has(p, "orig.ip.daddr.name.ns"));
	ck_assert(plug_get_num(p, "orig.ip.saddr.name.ns") <= ctf_now() - 9000000000u);
	plug_rec(p, AF_INET6, CTF_NEW, ctf_now());
	plug_ip(p, "orig.ip.saddr", "fd00::1");
	plug_ip(p, "orig.ip.daddr", "fd00::2");
	ck_assert_int_eq(plug_apply(p), CTF_PASS);
	ck_assert(!plug_has(p, "orig.ip.saddr.name"));
	ck_assert_str_eq(plug_get_text(p, "orig.ip.daddr.name"), "two");
	plug_rec(p, AF_INET6, CTF_NEW, ctf_now());
	ck_assert_int_eq(plug_apply(p), CTF_PASS);
	ck_assert(!plug_has(p, "orig.ip.saddr.name"));
	plug_free(p);
}
END_TEST

START_TEST(changes)
{
	struct plug *p;
	uint64_t before;

	put(HOSTS, "10.0.0.1 one\n", 10);
	p = start("hosts=" HOSTS "," HOSTS "-2");
	ck_assert_str_eq(name(p, "10.0.0.1"), "one");
	ck_assert_ptr_null(name(p, "10.0.0.2"));
	before = ctf_now();
	nap();
	unit_write(HOSTS, "10.0.0.1 other\n");
	await(p, "10.0.0.1", "other");
	ck_assert_str_eq(name_at(p, "10.0.0.1", before), "one");
	/* A second file appears; and one that replaces another. */
	put(HOSTS "-2", "10.0.0.2 two\n10.0.0.1 hidden\n", 1);
	await(p, "10.0.0.2", "two");
	ck_assert_str_eq(name(p, "10.0.0.1"), "other");
	put(HOSTS "-d", "10.0.0.1 moved\n", 1);
	ck_assert_int_eq(rename(HOSTS "-d", HOSTS), 0);
	await(p, "10.0.0.1", "moved");
	plug_free(p);
}
END_TEST

START_TEST(written_slowly)
{
	struct plug *p;
	FILE *f;

	put(HOSTS, "10.0.0.1 one\n10.0.0.2 two\n", 10);
	p = start("hosts=" HOSTS "\nreread=300ms");
	f = fopen(HOSTS, "w");
	for (int i = 0; i < 40; i++, nap()) { /* shorter than its names all the time */
		fprintf(f, "# line %d\n", i);
		fflush(f);
		ck_assert_str_eq(name(p, "10.0.0.2"), "two");
	}
	fprintf(f, "10.0.0.2 too\n");
	fclose(f);
	await(p, "10.0.0.2", "too");
	await(p, "10.0.0.1", NULL);
	plug_free(p);
}
END_TEST

START_TEST(cut_short)
{
	struct plug *p;

	put(LEASES, "0 m 10.0.0.1 one *\n0 m 10.0.0.2 two *\n", 10);
	p = start("hosts=\"\"\ndnsmasq=" LEASES);
	ck_assert_str_eq(name(p, "10.0.0.2"), "two");
	/* The disk is full: the file ends somewhere, or is empty. */
	put(LEASES, "0 m 10.0.0.1 uno *\n0 m 10.0.0.2 tw", 1);
	await(p, "10.0.0.1", "uno");
	ck_assert_str_eq(name(p, "10.0.0.2"), "two");
	put(LEASES, "", 2);
	some_looks();
	ck_assert_str_eq(name(p, "10.0.0.1"), "uno");
	ck_assert_str_eq(name(p, "10.0.0.2"), "two");
	put(LEASES, "0 m 10.0.0.1 un *\n", 3);
	await(p, "10.0.0.2", NULL);
	ck_assert_str_eq(name(p, "10.0.0.1"), "un");
	plug_free(p);
}
END_TEST

START_TEST(fails)
{
	struct plug *p;

	put(HOSTS, "10.0.0.1 one\n", 10);
	p = start("hosts=" HOSTS);
	put(HOSTS, "{ \"this\": \"is something else\" }\n", 1);
	some_looks();
	ck_assert_str_eq(name(p, "10.0.0.1"), "one");
	unlink(HOSTS);
	ck_assert_int_eq(mkfifo(HOSTS, 0600), 0);
	some_looks();
	ck_assert_str_eq(name(p, "10.0.0.1"), "one");
	unlink(HOSTS);
	put(HOSTS, "10.0.0.1 back\n", 1);
	await(p, "10.0.0.1", "back");
	plug_free(p);
}
END_TEST

START_TEST(gone)
{
	struct plug *p;

	put(HOSTS, "10.0.0.1 one\n", 10);
	p = start("hosts=" HOSTS);
	unlink(HOSTS);
	nap();
	ck_assert_str_eq(name(p, "10.0.0.1"), "one"); /* it may be on its way */
	await(p, "10.0.0.1", NULL);
	plug_free(p);
}
END_TEST

START_TEST(kea_files)
{
	struct plug *p;
	FILE *f;

	put(KEA ".2", KEA_HEAD "10.0.0.1,60,4000000000,one,0\n10.0.0.2,60,4000000000,two,0\n",
	    9);
	put(KEA ".1", KEA_HEAD "10.0.0.2,60,4000000000,deux,0\n", 8);
	put(KEA, KEA_HEAD "10.0.0.3,60,4000000000,three,0\n", 7);
	p = start("hosts=\"\"\nkea=" KEA);
	ck_assert_str_eq(name(p, "10.0.0.1"), "one");
	ck_assert_str_eq(name(p, "10.0.0.2"), "deux");
	ck_assert_str_eq(name(p, "10.0.0.3"), "three");
	/* The clean-up is through: .completed counts, not what it was made of. */
	put(KEA ".completed",
	    KEA_HEAD "10.0.0.1,60,4000000000,uno,0\n10.0.0.2,60,4000000000,due,0\n", 6);
	await(p, "10.0.0.2", "due");
	unlink(KEA ".1");
	unlink(KEA ".2");
	ck_assert_int_eq(rename(KEA ".completed", KEA ".2"), 0);
	some_looks();
	ck_assert_str_eq(name(p, "10.0.0.1"), "uno");
	/* The journal goes on; its last line is being written. */
	f = fopen(KEA, "a");
	fprintf(f, "10.0.0.1,60,4000000000,,2\n10.0.0.4,60,4000000000,four,0\n10.0.0.2,60");
	fflush(f);
	await(p, "10.0.0.4", "four");
	ck_assert_ptr_null(name(p, "10.0.0.1"));
	ck_assert_str_eq(name(p, "10.0.0.2"), "due");
	fprintf(f, ",4000000000,two,0\n");
	fclose(f);
	await(p, "10.0.0.2", "two");
	plug_free(p);
}
END_TEST

START_TEST(folder)
{
	struct plug *p;

	ck_assert_int_eq(mkdir(FOLDER, 0700), 0);
	put(FOLDER "/b", "10.0.0.1 hidden\n10.0.0.2 two\n", 9);
	put(FOLDER "/a", "10.0.0.1 one\n", 9);
	put(FOLDER "/.c", "10.0.0.3 temporary\n", 9);
	put(FOLDER "/a~", "10.0.0.4 backup\n", 9);
	ck_assert_int_eq(mkdir(FOLDER "/d", 0700), 0);
	p = start("hosts=" FOLDER);
	ck_assert_str_eq(name(p, "10.0.0.1"), "one");
	ck_assert_str_eq(name(p, "10.0.0.2"), "two");
	ck_assert_ptr_null(name(p, "10.0.0.3"));
	ck_assert_ptr_null(name(p, "10.0.0.4"));
	ck_assert_int_eq(rename(FOLDER "/.c", FOLDER "/c"), 0);
	await(p, "10.0.0.3", "temporary");
	unlink(FOLDER "/a");
	await(p, "10.0.0.1", "hidden");
	plug_free(p);
}
END_TEST

START_TEST(lease_ends)
{
	char text[200];
	struct plug *p;
	uint64_t end = ctf_now() / 1000000000 + 5;

	snprintf(text, sizeof(text), "%llu m 10.0.0.1 guest *\n", (unsigned long long)end);
	put(LEASES, text, 10);
	p = start("dnsmasq=" LEASES);
	ck_assert_str_eq(name(p, "10.0.0.1"), "guest");
	await(p, "10.0.0.1", NULL);
	ck_assert_uint_ge(ctf_now() / 1000000000, end);
	ck_assert_uint_eq(plug_get_num(p, "orig.ip.saddr.name.ns"), end * 1000000000);
	ck_assert_str_eq(name_at(p, "10.0.0.1", end * 1000000000 - 1), "guest");
	plug_free(p);
}
END_TEST

START_TEST(options)
{
	struct ctf_err err;

	ck_assert_int_ne(plug_try(&ctf_plugin_names, "hosts=\"\"\n", &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "none of file, hosts"));
	ck_assert_int_ne(plug_try(&ctf_plugin_names, "kea=/\n", &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "kea: / is not a regular file"));
	ck_assert_uint_eq(err.line, 4);
	ck_assert_int_ne(plug_try(&ctf_plugin_names, "reread=1ms\n", &err), 0);
	ck_assert_int_ne(plug_try(&ctf_plugin_names, "max_names=0\n", &err), 0);
	ck_assert_int_eq(plug_try(&ctf_plugin_names, "hosts= /nowhere/a , /nowhere/b,\n", &err),
			 0);
}
END_TEST

START_TEST(most)
{
	struct plug *p;

	put(HOSTS, "10.0.0.1 one\n10.0.0.2 two\n10.0.0.3 three\n", 10);
	p = start("hosts=" HOSTS "\nmax_names=2");
	ck_assert_str_eq(name(p, "10.0.0.2"), "two");
	ck_assert_ptr_null(name(p, "10.0.0.3"));
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_checked_fixture(t, clear, clear);
	tcase_add_test(t, fields);
	tcase_add_test(t, changes);
	tcase_add_test(t, written_slowly);
	tcase_add_test(t, cut_short);
	tcase_add_test(t, fails);
	tcase_add_test(t, gone);
	tcase_add_test(t, kea_files);
	tcase_add_test(t, folder);
	tcase_add_test(t, lease_ends);
	tcase_add_test(t, options);
	tcase_add_test(t, most);
}

int
main(void)
{
	return unit_main("names", add_tests);
}
