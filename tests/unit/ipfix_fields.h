/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ipfix_fields.h - pieces of flows as text, and what they are on the wire. */
#ifndef IPFIX_FIELDS_H
#define IPFIX_FIELDS_H

#include <stdlib.h>
#include <string.h>

#include "plug.h"

#define BASE "oid=7\nhost=\"127.0.0.1\"\n"
#define PEN "pen=32473\n"
#define OWN 32473u
/* pieces of flows: field=value, separated by blanks */
#define TIMES "flow.start.ns=1700000000123999999 flow.last.ns=1700000060456000000 "
#define COUNTS \
	"orig.raw.pktlen=18446744073709551615 orig.raw.pktcount=4294967296 " \
	"reply.raw.pktlen=77 reply.raw.pktcount=0 "
#define V4 "orig.ip.saddr=10.1.2.3 orig.ip.daddr=192.0.2.1 "
#define V4_BACK "reply.ip.saddr=192.0.2.1 reply.ip.daddr=10.1.2.3 "
#define V4_NAT "reply.ip.saddr=10.9.9.9 reply.ip.daddr=203.0.113.7 "
#define V6 "orig.ip.saddr=fd00::1 orig.ip.daddr=2001:db8::ff "
#define V6_BACK "reply.ip.saddr=2001:db8::ff reply.ip.daddr=fd00::1 "
#define V6_NAT "reply.ip.saddr=2001:db8::ff reply.ip.daddr=2001:db8::7 "
#define PORTS "orig.l4.sport=40000 orig.l4.dport=443 "
#define PORTS_BACK "reply.l4.sport=443 reply.l4.dport=40000 "
#define PORTS_NAT "reply.l4.sport=8443 reply.l4.dport=1024 "
#define META "ct.id=4000000001 ct.zone=9 ct.mark=66 flow.end.reason=3 "
#define TCP "orig.ip.protocol=6 "

/* and what they are on the wire */
#define W_TIMES " 152=1700000000123 153=1700000060456"
#define W_COUNTS " 1=18446744073709551615 2=4294967296 29305/1=77 29305/2=0"
#define W_TOTALS " 85=18446744073709551615 86=4294967296 29305/85=77 29305/86=0"
#define W_V4 " 8=10.1.2.3 12=192.0.2.1"
#define W_V6 " 27=fd00::1 28=2001:db8::ff"
#define W_PORTS " 7=40000 11=443"
#define W_META " 148=4000000001 234=9 21373/4=66 136=3 239=1"
#define W_NAT4 " 225=203.0.113.7 226=10.9.9.9"
#define W_NAT6 " 281=2001:db8::7 282=2001:db8::ff"
#define W_NATP " 227=1024 228=8443"

/* Into the current record. */
static inline void
put_fields(struct plug *p, const char *fields)
{
	char *copy = strdup(fields), *save = NULL;

	for (char *f = strtok_r(copy, " ", &save); f; f = strtok_r(NULL, " ", &save)) {
		char *value = strchr(f, '=');

		*value++ = '\0';
		if (strstr(f, ".ip.saddr") || strstr(f, ".ip.daddr"))
			plug_ip(p, f, value);
		else
			plug_num(p, f, strtoull(value, NULL, 10));
	}
	free(copy);
}

#endif
