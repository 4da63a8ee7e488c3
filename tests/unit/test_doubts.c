/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is configured in vain is said, with its line; what is not is not. */
#include <check.h>
#include <stdlib.h>

#include "fakes.h"
#include "graph.h"
#include "opt.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_ipfix, ctf_plugin_json;

/* The doubts about a section, each with a line feed behind it. */
static void
doubts_of(const struct ctf_plugin *pl, const char *lines, char *ret_text)
{
	struct inst in = { .plugin = pl, .file = "t.conf", .conf = calloc(1, pl->conf_size) };
	struct opt_set sets[] = { { pl->opts, in.conf, NULL, pl->presets },
				  { out_opts, &in.out, NULL, NULL } };
	struct diag d = { 0 };
	struct ctf_ctx ctx = { .inst = &in, .diag = &d };
	struct ctf_err err = { 0 };
	struct conf *c;
	char text[512];

	snprintf(text, sizeof(text), "[s]\n%s\n", lines);
	ck_assert_int_eq(conf_parse(text, strlen(text), "t.conf", &c, &d), 0);
	in.sec = conf_find(c, "s");
	ck_assert_int_eq(opt_parse(sets, 2, in.sec, "s", "t.conf", &d), 0);
	ck_assert_int_eq(pl->probe(in.conf, &ctx, &err), 0);
	ck_assert_uint_eq(d.errors, 0);
	*ret_text = '\0';
	for (size_t i = 0; i < d.n; i++) {
		char *said = diag_text(&d.item[i]);

		strcat(strcat(ret_text, said), "\n");
		free(said);
	}
	if (pl->unprobe)
		pl->unprobe(in.conf);
	opt_free(sets, 2);
	free(in.conf);
	conf_free(c);
	diag_free(&d);
}

#define ONLY(line, name, with) \
	"t.conf:" #line ": " name ": it has a meaning with " with " only\n"
#define NETWORK "proto=udp, tcp or tls"
#define IPFIX "oid=1\nhost=a\n" /* options begin in line 4 */
#define INTO_FILE "oid=1\nfile=f\nproto=file\n"

static const struct {
	const char *lines, *doubts;
} ipfix[] = {
	{ IPFIX, "" },
	{ IPFIX "proto=udp\nport=1\nsource=::1\nmtu=1500\ntemplate_refresh=90\n"
		"template_refresh_packets=20",
	  "" },
	{ IPFIX "resend=1M", "" },
	{ IPFIX "proto=udp\nresend=1M", ONLY(5, "resend", "proto=tcp or tls") },
	{ IPFIX "template_refresh=90\ntemplate_refresh_packets=5",
	  ONLY(4, "template_refresh", "proto=udp")
		  ONLY(5, "template_refresh_packets", "proto=udp") },
	{ IPFIX "proto=tls\ntemplate_refresh=90", ONLY(5, "template_refresh", "proto=udp") },
	{ IPFIX "preset=nfdump\nsend_template=always\ntemplate_refresh=90",
	  ONLY(6, "template_refresh", "send_template=once") },
	{ IPFIX "file=f\nrotate_size=1M\nrotate_time=1h",
	  ONLY(4, "file", "proto=file") ONLY(5, "rotate_size", "proto=file")
		  ONLY(6, "rotate_time", "proto=file") },
	{ INTO_FILE "rotate_size=1M\nrotate_time=1h\nmtu=1000", "" },
	{ INTO_FILE "host=a\nport=9\nsource=::1\nmode=failover",
	  ONLY(5, "host", NETWORK) ONLY(6, "port", NETWORK) ONLY(8, "mode", NETWORK)
		  ONLY(7, "source", NETWORK) },
	/* of a preset nothing is in vain that nobody has written */
	{ "oid=1\nproto=file\nfile=f\npreset=nfdump", "" },
	{ IPFIX "mode=failover", ONLY(4, "mode", "several collectors") },
	{ "oid=1\nhost=\"a, b\"\nmode=failover", "" },
	{ "oid=1\nhost=\"a, b, A:4739\"",
	  "t.conf:3: host: collector 3 is the same as 1, A port 4739: it gets all flows "
	  "again\n" },
	{ "oid=1\nhost=\"a, a:4740\"\nmode=failover", "" },
	{ "oid=1\nhost=\"::1, [::1]:4739\"\nmode=failover",
	  "t.conf:3: host: collector 2 is the same as 1, ::1 port 4739\n" },
	{ IPFIX "mtu=300", "" },
	{ IPFIX "proto=udp\nmtu=300",
	  "t.conf:5: mtu: 300 is too small for a record, it is 304\n" },
	{ IPFIX "zone_names=\"1=a\"\npreset=nfdump",
	  ONLY(4, "zone_names", "options_interval other than 0") },
	{ IPFIX "send_template=never",
	  "t.conf:4: send_template: a collector that does not know the templates cannot read "
	  "anything\n" },
};

START_TEST(of_ipfix)
{
	char text[2048];

	doubts_of(&ctf_plugin_ipfix, ipfix[_i].lines, text);
	ck_assert_str_eq(text, ipfix[_i].doubts);
}
END_TEST

static const struct {
	const char *lines, *doubts;
} json[] = {
	{ "file=f\nsync=1", "" },
	{ "mode=stdout\nsync=1\nfile=f", ONLY(4, "file", "mode=file or unix") },
	{ "mode=unix\nfile=f\nresend=1M", ONLY(4, "resend", "mode=tcp") },
	{ "mode=tcp\nhost=a\nport=1\nsource=::1\nresend=1M", "" },
	{ "mode=udp\nhost=a\nport=1\nresend=1M\nsync=1",
	  ONLY(6, "sync", "mode=file or stdout") ONLY(5, "resend", "mode=tcp") },
	{ "host=a\nport=1\nsource=::1",
	  ONLY(2, "host", "mode=tcp or udp") ONLY(3, "port", "mode=tcp or udp")
		  ONLY(4, "source", "mode=tcp or udp") },
};

START_TEST(of_json)
{
	char text[2048];

	doubts_of(&ctf_plugin_json, json[_i].lines, text);
	ck_assert_str_eq(text, json[_i].doubts);
}
END_TEST

#define NO_SPOOL ": it has no meaning without spool_dir"

/* Of the core's options, and once though the output is several. */
START_TEST(of_the_spool)
{
	struct diag d = { 0 };
	struct setup s;
	struct box box;

	box_init(&box);
	box.many = 3;
	ck_assert_int_eq(fakes_setup(&s,
				     "[global]\nstack=a:FEED,k:MANY\n[a]\n%B\n[k]\n%B\n"
				     "spool_max=1M\nreplay_rate=5\nspool_sync=2\n",
				     &box, &d),
			 0);
	ck_assert_uint_eq(d.n, 2);
	ck_assert_str_eq(d.item[0].text, "spool_max" NO_SPOOL);
	ck_assert_uint_eq(d.item[0].line, 7);
	ck_assert_str_eq(d.item[1].text, "spool_sync" NO_SPOOL);
	ck_assert_uint_eq(d.item[1].line, 9);
	setup_free(&s);
	diag_free(&d);

	ck_assert_int_eq(fakes_setup(&s,
				     "[global]\nstack=a:FEED,k:KEEP\n[a]\n%B\n[k]\n%B\n"
				     "spool_dir=here\nspool_max=1M\nspool_sync=2\n",
				     &box, &d),
			 0);
	ck_assert_uint_eq(d.n, 0);
	setup_free(&s);
	box_free(&box);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_loop_test(t, of_ipfix, 0, COUNT(ipfix));
	tcase_add_loop_test(t, of_json, 0, COUNT(json));
	tcase_add_test(t, of_the_spool);
}

int
main(void)
{
	return unit_main("doubts", add_tests);
}
