/* SPDX-License-Identifier: GPL-2.0-or-later */
/* XML: its options, and the sink, which gives each session a file of its own. */
#ifndef CTF_OUTPUT_XML_H
#define CTF_OUTPUT_XML_H

#include "stream.h"

#define XML_HEAD "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<conntrack>\n"
#define XML_FOOT "</conntrack>\n"
#define XML_NAME 64u /* ulogd-flow-21112026-051736-99.xml */

struct xml_conf {
	struct stream_conf stream; /* file: the folder */
	bool to_stdout;
};

struct xml_sink {
	struct stream stream;
	char *name; /* of the file begun, in the state page; "": none */
	char path[2][4096 + XML_NAME];
	unsigned turn;    /* path[turn] is the one open */
	bool in_document; /* stdout: begun in this run */
};

int xml_usable(void *sink, struct ctf_err *);
int xml_open(void *sink, int *ret_err, struct ctf_err *);
enum ctf_sent xml_deliver(void *sink, const struct ctf_frame *const *, unsigned n,
			  unsigned *ret_taken, struct ctf_err *);
int xml_reopen(void *sink, struct ctf_err *);
void xml_close(void *sink);

#endif
