/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The option "preset": other defaults for many options at once. */
#include <check.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diag.h"
#include "graph.h"
#include "opt.h"
#include "plugin.h"
#include "unit.h"

struct sample {
	unsigned preset, proto;
	uint64_t port;
	const char *host;
};

struct other {
	uint64_t queue;
};

#define AT(m) offsetof(struct sample, m)

static const struct ctf_opt opts[] = {
	{ "preset", CTF_OENUM, AT(preset), 0, 0, "none", "none|one|two|bad|wrong", "defaults" },
	{ "proto", CTF_OENUM, AT(proto), 0, 0, "tcp", "udp|tcp", "transport" },
	{ "port", CTF_OUINT, AT(port), 1, 65535, "4739", NULL, "port" },
	{ "host", CTF_OTEXT, AT(host), 1, 99, "localhost", NULL, "collector" },
	{ NULL }
};
static const struct ctf_opt others[] = { { "queue", CTF_OUINT, offsetof(struct other, queue), 0,
					   0, "64", NULL, "room" },
					 { NULL } };
static const char *const presets[] = { "", "proto=udp port=9995 host=there queue=1",
				       " port=2055 ", "depth=5", "port=70000" };

static int
parse(const char *lines, struct sample *s, struct other *o, struct diag *d)
{
	struct opt_set sets[] = { { opts, s, NULL, presets }, { others, o, NULL, NULL } };
	struct conf *c;
	char text[256];
	int ret;

	memset(s, 0, sizeof(*s));
	memset(o, 0, sizeof(*o));
	snprintf(text, sizeof(text), "[s]\n%s", lines);
	ck_assert_int_eq(conf_parse(text, strlen(text), "t.conf", &c, d), 0);
	ret = opt_parse(sets, 2, conf_find(c, "s"), "s", "t.conf", d);
	conf_free(c);
	if (ret == 0)
		free((char *)(uintptr_t)s->host);
	return ret;
}

static const struct {
	const char *lines;
	unsigned preset, proto;
	uint64_t port, queue;
} good[] = {
	{ "", 0, 1, 4739, 64 },
	{ "preset=none\n", 0, 1, 4739, 64 },
	{ "preset=one\n", 1, 0, 9995, 1 },
	{ "preset=ONE\n", 1, 0, 9995, 1 },
	{ "preset=two\n", 2, 1, 2055, 64 },
	/* what is said itself wins, before and behind */
	{ "preset=one\nport=7\n", 1, 0, 7, 1 },
	{ "queue=9\nproto=tcp\npreset=one\n", 1, 1, 9995, 9 },
};

START_TEST(test_good)
{
	struct diag d = { 0 };
	struct sample s;
	struct other o;

	ck_assert_int_eq(parse(good[_i].lines, &s, &o, &d), 0);
	ck_assert_uint_eq(d.n, 0);
	ck_assert_uint_eq(s.preset, good[_i].preset);
	ck_assert_uint_eq(s.proto, good[_i].proto);
	ck_assert_uint_eq(s.port, good[_i].port);
	ck_assert_uint_eq(o.queue, good[_i].queue);
}
END_TEST

static const struct {
	const char *lines, *words;
	unsigned line;
} bad[] = {
	{ "port=1\npreset=three\n", "preset=three: no such choice", 3 },
	{ "preset=one\npreset=two\n", "given again", 3 },
	{ "preset=bad\n", "there is no option depth", 2 },
	{ "preset=wrong\n", "port=70000", 2 },
};

START_TEST(test_bad)
{
	struct diag d = { 0 };
	struct sample s;
	struct other o;

	ck_assert_int_eq(parse(bad[_i].lines, &s, &o, &d), -EINVAL);
	ck_assert_uint_eq(d.n, 1); /* said once */
	ck_assert_msg(strstr(d.item[0].text, bad[_i].words), "%s", d.item[0].text);
	ck_assert_uint_eq(d.item[0].line, bad[_i].line);
	diag_free(&d);
}
END_TEST

static unsigned
choices(const struct ctf_opt *o)
{
	unsigned n = 1;

	for (const char *p = o->choices; (p = strchr(p, '|')); p++)
		n++;
	return n;
}

/* That choice of a plugin's presets makes a valid section, the core's options included. */
static void
check_choice(const struct ctf_plugin *p, const struct ctf_opt *preset, unsigned which)
{
	void *conf = calloc(1, p->conf_size);
	struct out_conf out = { 0 };
	struct opt_set sets[] = { { p->opts, conf, NULL, p->presets },
				  { out_opts, &out, NULL, NULL } };
	const char *name = preset->choices;
	struct diag d = { 0 };
	struct conf *c;
	char text[256];

	for (unsigned i = 0; i < which; i++)
		name = strchr(name, '|') + 1;
	snprintf(text, sizeof(text), "[s]\noid=1\nhost=::1\npreset=%.*s\n",
		 (int)strcspn(name, "|"), name);
	ck_assert_int_eq(conf_parse(text, strlen(text), "t.conf", &c, &d), 0);
	ck_assert_int_eq(opt_parse(sets, 2, conf_find(c, "s"), "s", "t.conf", &d), 0);
	ck_assert_msg(d.n == 0, "%s: %s", text, d.n ? d.item[0].text : "");
	opt_free(sets, 2);
	conf_free(c);
	free(conf);
}

START_TEST(test_plugins)
{
	struct plugin_set *set = plugin_set_new();
	const struct ctf_plugin *p;

	for (unsigned i = 0; (p = plugin_nth(set, i)); i++) {
		const struct ctf_opt *preset = opt_find(p->opts, "preset");

		ck_assert_msg(!preset == !p->presets, "%s", p->name);
		ck_assert_msg(preset || strcmp(p->name, "IPFIX") != 0, "IPFIX has none");
		for (unsigned k = 0; preset && k < choices(preset); k++)
			check_choice(p, preset, k);
	}
	plugin_set_free(set);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_good, 0, COUNT(good));
	tcase_add_loop_test(t, test_bad, 0, COUNT(bad));
	tcase_add_test(t, test_plugins);
}

int
main(void)
{
	return unit_main("preset", add_tests);
}
