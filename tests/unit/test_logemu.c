/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LOGEMU against lines of ulogd2 (no difference but the host name), and what
 * becomes of them in files.
 */
#include "sample.h"
#include "unit.h"

#include <time.h>
#include <unistd.h>

extern const struct ctf_plugin ctf_plugin_logemu;

#define NS UINT64_C(1000000000)

static const struct {
	const char *file;
	uint64_t sec; /* what the lines say, UTC */
} samples[] = {
	{ "2.0.8-LOGEMU-PRINTFLOW-hash.txt", 1795238261 },
	{ "2.0.8-LOGEMU-PRINTFLOW-nohash.txt", 1795238313 },
	{ "HEAD-LOGEMU.txt", 1795239653 },
};

/* The sample was recorded on a machine named vm. */
static void
set_host(char *line)
{
	char host[65] = "", want[80];

	gethostname(host, sizeof(host) - 1);
	host[strcspn(host, ".")] = '\0';
	snprintf(want, sizeof(want), " %s [", host);
	sample_replace(line, " vm [", want);
}

START_TEST(same_as_ulogd2)
{
	struct plug *p = plug_new(&ctf_plugin_logemu, "file=/dev/null\n");

	for (unsigned i = 0; i < COUNT(samples); i++) {
		struct sample *s = sample_read(samples[i].file);

		for (unsigned k = 0; k < s->n; k++) {
			char print[SAMPLE_LINE];

			snprintf(print, sizeof(print), "%s\n", strchr(s->line[k], '['));
			set_host(s->line[k]);
			plug_rec(p, AF_INET, CTF_DESTROY, samples[i].sec * NS + k);
			plug_text(p, "print", print);
			ck_assert_str_eq(sample_line(p), s->line[k]);
		}
		free(s);
	}
	plug_free(p);
}
END_TEST

/* The day is padded with a blank; the cached second is left when time goes on or back. */
START_TEST(times)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = { { 0, "Jan  1 00:00:00 " },
		      { NS - 1, "Jan  1 00:00:00 " },
		      { NS, "Jan  1 00:00:01 " },
		      { 1795238261 * NS, "Nov 21 05:17:41 " },
		      { 5 * NS, "Jan  1 00:00:05 " } };
	struct plug *p = plug_new(&ctf_plugin_logemu, "file=/dev/null\n");

	for (unsigned i = 0; i < COUNT(cases); i++) {
		plug_rec(p, AF_INET, CTF_DESTROY, cases[i].ns);
		plug_text(p, "print", "x \n");
		ck_assert(strncmp(sample_line(p), cases[i].text, 16) == 0);
	}
	plug_free(p);
}
END_TEST

START_TEST(odd_texts)
{
	struct plug *p = plug_new(&ctf_plugin_logemu, "file=/dev/null\n");
	char big[40000];

	plug_rec(p, AF_INET, CTF_DESTROY, 0);
	ck_assert_int_eq(plug_encode(p), CTF_SKIP);
	plug_rec(p, AF_INET, CTF_DESTROY, 0);
	plug_text(p, "print", "no newline");
	ck_assert_ptr_nonnull(strstr(sample_line(p), " no newline"));
	/* two such lines do not fit into a frame: the second goes to the next */
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	for (unsigned i = 0; i < 2; i++) {
		plug_rec(p, AF_INET, CTF_DESTROY, 0);
		plug_text(p, "print", big);
		ck_assert_int_eq(plug_encode(p), CTF_OK);
	}
	ck_assert_uint_eq(plug_seal(p)->recs, 1);
	plug_free(p);
}
END_TEST

/* Lines reach the file; what was there stays. */
START_TEST(appends)
{
	char path[] = "/tmp/test_logemu.XXXXXX", options[64], line[300] = "";
	int fd = mkstemp(path);
	struct ctf_err err;
	struct plug *p;
	FILE *f;

	ck_assert_int_eq(write(fd, "before\n", 7), 7);
	close(fd);
	snprintf(options, sizeof(options), "file=\"%s\"\nsync=1\n", path);
	p = plug_new(&ctf_plugin_logemu, options);
	for (unsigned i = 0; i < 3; i++) {
		plug_rec(p, AF_INET, CTF_NEW, i * NS);
		plug_text(p, "print", "[NEW] text \n");
		ck_assert_int_eq(plug_encode(p), CTF_OK);
		plug_seal(p);
	}
	ck_assert_int_eq(plug_deliver(p, &err), CTF_SENT);
	plug_close(p);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
	ck_assert_str_eq(line, "before\n");
	for (unsigned i = 0; i < 3; i++)
		ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
	ck_assert(strncmp(line, "Jan  1 00:00:02 ", 16) == 0);
	ck_assert_ptr_nonnull(strstr(line, " [NEW] text \n"));
	ck_assert_ptr_null(fgets(line, sizeof(line), f));
	fclose(f);
	remove(path);
	plug_free(p);
}
END_TEST

static void
check_fails(const char *options, const char *why)
{
	struct plug *p = plug_new(&ctf_plugin_logemu, options);
	struct ctf_err err = { .msg = "" };

	plug_rec(p, AF_INET, CTF_NEW, 0);
	plug_text(p, "print", "[NEW] text \n");
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	plug_seal(p);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_RETRY);
	ck_assert_msg(strstr(err.msg, why) != NULL, "%s: %s", options, err.msg);
	plug_close(p);
	plug_free(p);
}

START_TEST(broken_files)
{
	struct ctf_err err = { .msg = "" };

	check_fails("file=/dev/full\n", "No space left");
	check_fails("file=/tmp\n", "/tmp: Is a directory");
	check_fails("file=/nonexistent/x\n", "/nonexistent/x: No such file");
	ck_assert_int_lt(plug_try(&ctf_plugin_logemu, "file=\"\"\n", &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "file"));
}
END_TEST

static void
add_tests(TCase *t)
{
	setenv("TZ", "UTC", 1);
	tcase_add_test(t, same_as_ulogd2);
	tcase_add_test(t, times);
	tcase_add_test(t, odd_texts);
	tcase_add_test(t, appends);
	tcase_add_test(t, broken_files);
}

int
main(void)
{
	return unit_main("logemu", add_tests);
}
