/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CSV: chosen fields as columns under a header, quoted as RFC 4180 says. */
#include <ctflow/plugin.h>
#include <stdlib.h>

#include "format.h"
#include "stream.h"

struct conf {
	struct stream_conf stream;
	const char *fields;
	bool header;
	unsigned separator;
};

struct csv {
	struct ctf_obj obj;
	struct format format;
	char *header;
};

#define OFF(member) offsetof(struct conf, member)
#define FIELDS \
	"event,flow.start.ns,flow.last.ns,flow.destroy.ns,proto,orig.ip.saddr,orig.l4.sport," \
	"orig.ip.daddr,orig.l4.dport,reply.ip.saddr,reply.l4.sport,reply.ip.daddr," \
	"reply.l4.dport,icmp.type,icmp.code,orig.raw.pktcount,orig.raw.pktlen," \
	"reply.raw.pktcount,reply.raw.pktlen,ct.mark,ct.zone,ct.id"

static const struct ctf_opt opts[] = {
	STREAM_OPTS("/var/log/ctflowd.csv"),
	{ "fields", CTF_OTEXT, OFF(fields), 1, 8000, FIELDS, NULL,
	  "the columns, FIELD[|INSTEAD][:HOW] with commas between them, see FORMATS" },
	{ "header", CTF_OBOOL, OFF(header), 0, 0, "1", NULL,
	  "begin each file with the names of the columns" },
	{ "separator", CTF_OENUM, OFF(separator), 0, 0, "comma", "comma|semicolon|tab|pipe",
	  "what stands between columns" },
	{ NULL },
};

static int
setup(void *self, struct ctf_err *err)
{
	static const char separators[] = ",;\t|";
	struct csv *e = self;
	const struct conf *c = e->obj.conf;

	ctf_frames(e->obj.ctx, STREAM_FRAME, c->stream.sync);
	return format_set_columns(&e->format, e->obj.ctx, "fields", c->fields,
				  separators[c->separator], &e->header, err);
}

static void
release(void *self)
{
	struct csv *e = self;

	format_free(&e->format);
	free(e->header);
}

static enum ctf_put
encode(void *enc, const struct ctf_rec *r, struct ctf_frame *f)
{
	static const struct text_stamp none;
	struct csv *e = enc;

	return format_line(&e->format, &none, r, f);
}

static enum ctf_put
preamble(void *enc, struct ctf_frame *f)
{
	struct csv *e = enc;
	const struct conf *c = e->obj.conf;

	return !c->header || ctf_frame_put(f, e->header, strlen(e->header)) ? CTF_OK : CTF_FULL;
}

CTF_PLUGIN(csv) = {
	.abi = CTF_ABI,
	.role = CTF_OUTPUT,
	.name = "CSV",
	.doc = "chosen fields of a flow as columns, under a header",
	.opts = opts,
	.conf_size = sizeof(struct conf),
	.size = sizeof(struct csv),
	.sink_size = sizeof(struct stream),
	.setup = setup,
	.release = release,
	.encode = encode,
	.preamble = preamble,
	.open = stream_open,
	.usable = stream_usable,
	.deliver = stream_deliver,
	.reopen = stream_reopen,
	.close = stream_close,
	.hand_over = stream_hand_over,
};
