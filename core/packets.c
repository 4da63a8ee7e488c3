/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "packets.h"

static const struct {
	const char *name, *what;
} others[] = {
	{ "NFLOG", "reads packets" },
	{ "ULOG", "reads packets" },
	{ "UNIXSOCK", "reads packets" },
	{ "NFACCT", "reads the counters of iptables' nfacct" },
	{ "BASE", "takes packets apart" },
	{ "HWHDR", "prints the link layer of packets" },
	{ "IFINDEX", "names the interfaces of packets" },
	{ "PRINTPKT", "prints packets" },
	{ "PWSNIFF", "looks for passwords in packets" },
	{ "PCAP", "writes packets" },
	{ "GRAPHITE", "sends the counters of iptables' nfacct" },
	{ "DBI", "writes through libdbi, which ctflowd does not use" },
};

/* What the plugin of that name is for; NULL: none of those. */
static const char *
find(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (strlen(others[i].name) == len && memcmp(others[i].name, name, len) == 0)
			return others[i].what;
	return NULL;
}

bool
packets_file(const char *path)
{
	const char *tail = strrchr(path, '_');

	return tail && find(tail + 1, strcspn(tail + 1, "."));
}

bool
packets_in(const char *stack, char *ret_text, size_t size)
{
	for (const char *p = stack; *p; p += strcspn(p, ","), p += *p == ',') {
		size_t len = strcspn(p, ","), id = strcspn(p, ":,");
		const char *name = p + id + 1, *what = NULL;

		if (id < len)
			what = find(name, len - id - 1);
		if (!what)
			continue;
		snprintf(ret_text, size, "%.*s %s", (int)(len - id - 1), name, what);
		return true;
	}
	return false;
}
