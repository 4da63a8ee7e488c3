/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of every plugin that is linked in hold together. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "field.h"
#include "opt.h"
#include "plugin.h"
#include "unit.h"

static struct plugin_set *set;

static void
setup(void)
{
	set = plugin_set_new();
	ck_assert_ptr_nonnull(set);
}

static void
teardown(void)
{
	plugin_set_free(set);
}

static size_t
type_size(enum ctf_otype type)
{
	switch (type) {
	case CTF_OBOOL:
		return sizeof(bool);
	case CTF_OUINT:
	case CTF_OSIZE:
	case CTF_OMSEC:
		return sizeof(uint64_t);
	case CTF_OTEXT:
	case CTF_OSECRET:
		return sizeof(const char *);
	case CTF_OENUM:
		return sizeof(unsigned);
	}
	ck_abort_msg("unknown type %d", (int)type);
}

static void
check_option(const struct ctf_plugin *p, const struct ctf_opt *o)
{
	const char *end = o->doc ? o->doc + strlen(o->doc) : NULL;

	ck_assert_msg(o->off + type_size(o->type) <= p->conf_size, "%s %s: beyond conf_size",
		      p->name, o->name);
	ck_assert_msg(end && end > o->doc, "%s %s: no doc", p->name, o->name);
	ck_assert_msg(end[-1] != '.' && !strchr(o->doc, '\n'), "%s %s: doc ends with a dot",
		      p->name, o->name);
	ck_assert_msg((o->type == CTF_OENUM) == (o->choices != NULL), "%s %s: choices", p->name,
		      o->name);
	ck_assert_msg(opt_find(p->opts, o->name) == o, "%s %s: twice", p->name, o->name);
}

/* A section with a value for all that is mandatory. */
static char *
least_section(const struct ctf_plugin *p)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	fputs("[s]\n", f);
	for (const struct ctf_opt *o = p->opts; o && o->name; o++)
		if (!o->dflt)
			fprintf(f, "%s=%.*s\n", o->name,
				o->choices ? (int)strcspn(o->choices, "|") : 1,
				o->choices ? o->choices : "1");
	fclose(f);
	return text;
}

/* Defaults are valid, and what is printed parses back to the same. */
static void
check_values(const struct ctf_plugin *p)
{
	void *a = calloc(2, p->conf_size + 1), *b = (char *)a + p->conf_size;
	struct opt_set sa = { p->opts, a }, sb = { p->opts, b };
	struct diag d = { 0 };
	struct conf *c = NULL, *again = NULL;
	char *text = least_section(p), *printed = NULL;
	size_t len;
	FILE *f = open_memstream(&printed, &len);

	ck_assert_int_eq(conf_parse(text, strlen(text), "t", &c, &d), 0);
	opt_parse(&sa, 1, conf_find(c, "s"), "s", "t", &d);
	ck_assert_msg(d.n == 0, "%s: %s", p->name, d.n ? d.item[0].text : "");
	fputs("[s]\n", f);
	opt_print(f, &sa, 1);
	fclose(f);
	ck_assert_int_eq(conf_parse(printed, len, "p", &again, &d), 0);
	opt_parse(&sb, 1, conf_find(again, "s"), "s", "p", &d);
	ck_assert_msg(d.n == 0, "%s: %s", p->name, d.n ? d.item[0].text : "");
	ck_assert_msg(opt_equal(p->opts, a, b), "%s: %s", p->name, printed);
	opt_free(&sa, 1);
	opt_free(&sb, 1);
	conf_free(c);
	conf_free(again);
	free(text);
	free(printed);
	free(a);
}

START_TEST(options)
{
	const struct ctf_plugin *p;
	unsigned n = 0;

	for (; (p = plugin_nth(set, n)); n++) {
		for (const struct ctf_opt *o = p->opts; o && o->name; o++)
			check_option(p, o);
		check_values(p);
	}
	ck_assert_uint_gt(n, 0);
}
END_TEST

static void
check_ports(const struct ctf_plugin *p, const struct ctf_port *port, size_t size)
{
	for (; port && port->name; port++) {
		const struct ctf_field *f = port->def ? port->def : field_find(port->name);

		ck_assert_msg(f != NULL, "%s: no field %s", p->name, port->name);
		ck_assert_str_eq(f->name, port->name);
		ck_assert_msg(port->off + sizeof(ctf_ref) <= size, "%s %s: beyond size",
			      p->name, port->name);
	}
}

START_TEST(ports)
{
	const struct ctf_plugin *p;

	for (unsigned i = 0; (p = plugin_nth(set, i)); i++) {
		check_ports(p, p->reads, p->size);
		check_ports(p, p->writes, p->size);
	}
}
END_TEST

START_TEST(callbacks)
{
	const struct ctf_plugin *p;

	for (unsigned i = 0; (p = plugin_nth(set, i)); i++) {
		bool in = p->role == CTF_INPUT, out = p->role == CTF_OUTPUT;

		ck_assert_uint_eq(p->abi, CTF_ABI);
		ck_assert_msg(p->doc && *p->doc, "%s: no doc", p->name);
		ck_assert_msg(!in == !p->read && !in == !p->fd, "%s: read, fd", p->name);
		ck_assert_msg(!out == !p->encode && !out == !p->deliver, "%s: encode, deliver",
			      p->name);
		ck_assert_msg((p->role == CTF_FILTER) == (p->apply != NULL), "%s: apply",
			      p->name);
		ck_assert_msg(p->size >= sizeof(struct ctf_obj), "%s: size", p->name);
		ck_assert_msg(!out || p->sink_size >= sizeof(struct ctf_obj), "%s: sink_size",
			      p->name);
	}
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, options);
	tcase_add_test(t, ports);
	tcase_add_test(t, callbacks);
}

int
main(void)
{
	return unit_main("tables", add_tests);
}
