/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parts of ctflow doctor that not every machine can show: flowtables, rules of
 * iptables, modules that are not there; and words for the shell.
 */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>

#include "doctor.h"
#include "doctor_nft.h"
#include "unit.h"

static void
forget(struct doctor *d)
{
	for (unsigned i = 0; i < d->n; i++) {
		free(d->found[i].what);
		free(d->found[i].fix);
	}
	free(d->found);
	*d = (struct doctor){ .check = "test" };
}

/* ---- messages -------------------------------------------------------------------------- */

static struct nlmsghdr *
begin(char *buf, uint16_t type, uint8_t family)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nlh->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	nfg->nfgen_family = family;
	return nlh;
}

static struct nlmsghdr *
flowtable(char *buf, uint8_t family, uint32_t flags, int32_t priority)
{
	struct nlmsghdr *nlh = begin(buf, NFT_MSG_NEWFLOWTABLE, family);
	struct nlattr *hook;

	mnl_attr_put_strz(nlh, NFTA_FLOWTABLE_TABLE, "filter");
	mnl_attr_put_strz(nlh, NFTA_FLOWTABLE_NAME, "fast");
	mnl_attr_put_u32(nlh, NFTA_FLOWTABLE_FLAGS, htonl(flags));
	hook = mnl_attr_nest_start(nlh, NFTA_FLOWTABLE_HOOK);
	mnl_attr_put_u32(nlh, NFTA_FLOWTABLE_HOOK_NUM, 0);
	mnl_attr_put_u32(nlh, NFTA_FLOWTABLE_HOOK_PRIORITY, htonl((uint32_t)priority));
	mnl_attr_nest_end(nlh, hook);
	return nlh;
}

static const struct {
	uint8_t family;
	uint32_t flags;
	int32_t priority;
	const char *check, *fix; /* NULL: nothing is found */
} tables[] = {
	{ NFPROTO_INET, 0, 0, "offload",
	  "nft 'add flowtable inet filter fast { hook ingress priority 0; counter; }'" },
	{ NFPROTO_IPV4, 0, -5, "offload",
	  "nft 'add flowtable ip filter fast { hook ingress priority -5; counter; }'" },
	{ NFPROTO_IPV6, NFT_FLOWTABLE_COUNTER, 0, NULL, NULL },
	{ NFPROTO_INET, NFT_FLOWTABLE_HW_OFFLOAD | NFT_FLOWTABLE_COUNTER, 0, "offload-hardware",
	  "{ echo flush ruleset; nft -s list ruleset | sed '/flowtable fast {/,/}/s/flags "
	  "offload//'; } | nft -f -" },
};

START_TEST(flowtables)
{
	char buf[1024] __attribute__((aligned(8))) = { 0 };
	struct doctor d = { .check = "test" };
	struct dr_flowtable t;

	ck_assert(dr_see_flowtable(
		flowtable(buf, tables[_i].family, tables[_i].flags, tables[_i].priority), &t));
	dr_tell_flowtable(&d, &t);
	ck_assert_uint_eq(d.n, tables[_i].check ? 1 : 0);
	if (d.n) {
		ck_assert_str_eq(d.found[0].check, tables[_i].check);
		ck_assert_str_eq(d.found[0].fix, tables[_i].fix);
	}
	forget(&d);
}
END_TEST

static void
put_target(struct nlmsghdr *nlh, const char *name, uint16_t flags)
{
	struct nlattr *data = mnl_attr_nest_start(nlh, NFTA_EXPR_DATA);
	uint16_t info[16] = { flags };

	mnl_attr_put_strz(nlh, NFTA_TARGET_NAME, name);
	mnl_attr_put(nlh, NFTA_TARGET_INFO, sizeof(info), info);
	mnl_attr_nest_end(nlh, data);
}

static const struct {
	const char *expr, *target;
	uint16_t flags;
	bool notrack;
} rules[] = {
	{ "notrack", NULL, 0, true },     { "counter", NULL, 0, false },
	{ "target", "CT", 1, true },      { "target", "CT", 0, false },
	{ "target", "NOTRACK", 0, true }, { "target", "LOG", 1, false },
};

static struct nlmsghdr *
rule(char *buf, int i)
{
	struct nlmsghdr *nlh = begin(buf, NFT_MSG_NEWRULE, NFPROTO_INET);
	struct nlattr *list, *one;

	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, "raw");
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, "pre");
	mnl_attr_put_u64(nlh, NFTA_RULE_HANDLE, htobe64(77));
	list = mnl_attr_nest_start(nlh, NFTA_RULE_EXPRESSIONS);
	one = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
	mnl_attr_put_strz(nlh, NFTA_EXPR_NAME, "payload");
	mnl_attr_nest_end(nlh, one);
	one = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
	mnl_attr_put_strz(nlh, NFTA_EXPR_NAME, rules[i].expr);
	if (rules[i].target)
		put_target(nlh, rules[i].target, rules[i].flags);
	mnl_attr_nest_end(nlh, one);
	mnl_attr_nest_end(nlh, list);
	return nlh;
}

START_TEST(rules_without_tracking)
{
	char buf[1024] __attribute__((aligned(8))) = { 0 };
	struct dr_rule r;

	ck_assert_int_eq(dr_see_rule(rule(buf, _i), &r), rules[_i].notrack);
	ck_assert_str_eq(r.family, "inet");
	ck_assert_str_eq(r.table, "raw");
	ck_assert_str_eq(r.chain, "pre");
	ck_assert_uint_eq(r.handle, 77);
}
END_TEST

/* Whatever is cut off or turned over: no crash, and nothing is made up. */
START_TEST(broken_messages)
{
	char buf[1024] __attribute__((aligned(8))) = { 0 };
	struct nlmsghdr *nlh = rule(buf, 2);
	uint32_t len = nlh->nlmsg_len;
	struct dr_rule r;
	struct dr_flowtable t;

	ck_assert(!dr_see_flowtable(nlh, &t));
	for (uint32_t n = sizeof(*nlh); n < len; n++) {
		nlh->nlmsg_len = n;
		(void)dr_see_rule(nlh, &r);
	}
	nlh = flowtable(buf, NFPROTO_INET, 0, 0);
	ck_assert(!dr_see_rule(nlh, &r));
	for (uint32_t i = sizeof(*nlh); i < nlh->nlmsg_len; i++) {
		buf[i] = (char)~buf[i];
		(void)dr_see_flowtable(nlh, &t);
		buf[i] = (char)~buf[i];
	}
}
END_TEST

/* ---- modules ---------------------------------------------------------------------------- */

#define ROOT "test_doctor_parts.d"

static void
file(const char *path, const char *text)
{
	char full[300], *slash;

	snprintf(full, sizeof(full), ROOT "%s", path);
	for (slash = strchr(full, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(full, 0755);
		*slash = '/';
	}
	unit_write(full, text);
}

static const struct {
	const char *max, *modules, *dep, *builtin, *fix; /* files that are there, or NULL */
	const char *more, *other;                        /* file of some system */
} kernels[] = {
	{ "1", "nf_conntrack_netlink 1 0\n", "", "", NULL, NULL, NULL },
	{ "1", "x 1\n", "kernel/net/netfilter/nf_conntrack_netlink.ko.xz: a\n", "", NULL, NULL,
	  NULL },
	{ "1", "x 1\n", "a: b\n", "kernel/net/netfilter/nf_conntrack_netlink.ko\n", NULL, NULL,
	  NULL },
	{ "1", "x 1\n", "a: b\n", "b\n", "apt-get install --reinstall linux-image-6.1", NULL,
	  NULL },
	{ "1", "x 1\n", "a: b\n", "b\n", "opkg install kmod-nf-conntrack-netlink",
	  "/etc/openwrt_release", NULL },
	{ "1", "x 1\n", NULL, NULL, NULL, NULL, NULL }, /* of a container */
	{ "1", NULL, NULL, NULL, NULL, NULL, NULL },    /* without modules */
	{ NULL, NULL, NULL, NULL, "modprobe nf_conntrack", NULL, NULL },
};

START_TEST(modules)
{
	struct doctor d = { .check = "test" };

	ck_assert_int_eq(system("rm -rf " ROOT), 0);
	if (kernels[_i].max)
		file("/proc/sys/net/netfilter/nf_conntrack_max", kernels[_i].max);
	if (kernels[_i].modules)
		file("/proc/modules", kernels[_i].modules);
	if (kernels[_i].dep)
		file("/lib/modules/6.1/modules.dep", kernels[_i].dep);
	if (kernels[_i].builtin)
		file("/lib/modules/6.1/modules.builtin", kernels[_i].builtin);
	if (kernels[_i].more)
		file(kernels[_i].more, "");
	dr_modules_below(&d, ROOT, "6.1");
	ck_assert_uint_eq(d.n, kernels[_i].fix ? 1 : 0);
	if (d.n) {
		ck_assert_int_eq(d.found[0].level, DR_ERROR);
		ck_assert_str_eq(d.found[0].fix, kernels[_i].fix);
	}
	forget(&d);
	ck_assert_int_eq(system("rm -rf " ROOT), 0);
}
END_TEST

/* ---- words ------------------------------------------------------------------------------- */

static const char *const words[] = {
	"/etc/ctflowd.conf",   "",        "a b", "it's", "'",
	"$HOME `id` \"x\" \\", "a;b|c&d", "-rf", "*",    "~",
};

START_TEST(words_survive_the_shell)
{
	char buf[DR_WORD], command[DR_WORD + 64], got[256] = "";
	FILE *p;

	snprintf(command, sizeof(command), "printf %%s %s", dr_word(buf, words[_i]));
	p = popen(command, "r");
	ck_assert_ptr_nonnull(p);
	if (!fgets(got, sizeof(got), p)) /* of the empty word */
		got[0] = '\0';
	ck_assert_int_eq(pclose(p), 0);
	ck_assert_str_eq(got, words[_i]);
}
END_TEST

START_TEST(what_is_not_wanted_is_left_out)
{
	struct doctor d = { .skip = "clock,acct", .check = "settings" };

	dr_find(&d, DR_WARNING, "acct", "a");
	dr_fix(&d, "b");
	ck_assert_uint_eq(d.n, 0);
	dr_find(&d, DR_WARNING, "acc", "a");
	dr_fix(&d, "b %d", 1);
	ck_assert_uint_eq(d.n, 1);
	ck_assert_str_eq(d.found[0].fix, "b 1");
	d.check = "clock";
	dr_find(&d, DR_WARNING, "other", "a");
	ck_assert_uint_eq(d.n, 1);
	forget(&d);
}
END_TEST

static void
add_tests(TCase *tc)
{
	tcase_add_loop_test(tc, flowtables, 0, COUNT(tables));
	tcase_add_loop_test(tc, rules_without_tracking, 0, COUNT(rules));
	tcase_add_test(tc, broken_messages);
	tcase_add_loop_test(tc, modules, 0, COUNT(kernels));
	tcase_add_loop_test(tc, words_survive_the_shell, 0, COUNT(words));
	tcase_add_test(tc, what_is_not_wanted_is_left_out);
}

int
main(void)
{
	return unit_main("doctor_parts", add_tests);
}
