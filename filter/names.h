/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NAMES: what its files share.
 *
 *   names_parse.c  lines of a source -> struct names_set
 *   names_set.c    a set of addresses and prefixes with their names
 *   names_merge.c  the sets of all sources -> the table flows are looked up in
 *   names_parts.c  which files a source is made of
 *   names_source.c whether they changed, reading them
 *   names_watch.c  the thread that does all this
 *
 * IPv4 addresses are kept as ::ffff:a.b.c.d, prefixes with their length in
 * that form.
 */
#ifndef CTF_FILTER_NAMES_H
#define CTF_FILTER_NAMES_H

#include <ctflow/plugin.h>
#include <sys/stat.h>

#define NAMES_LEN 253u /* bytes of a name; longer ones are cut */
#define NAMES_NEVER UINT64_MAX

/* ---- a set ----------------------------------------------------------------- */

struct names_entry {
	uint8_t ip[16];
	uint64_t until_ns; /* of a lease: its end, or NAMES_NEVER */
	uint64_t since_ns; /* table: nobody says it was so before */
	uint32_t name;     /* where in text */
	uint32_t older;    /* table: what it was before, 1 + its place; 0: not known */
	uint8_t len;       /* of the prefix; 128: an address */
	uint8_t name_len;  /* 0: none (any more) */
};

struct names_set { /* zeroed: empty */
	struct names_entry *at;
	uint32_t n, room;
	uint32_t *slot; /* 1 + place in at; 0: free */
	uint32_t slots; /* a power of 2, or 0 */
	char *text;
	uint32_t text_len, text_room;
	uint64_t lens[3]; /* of the prefixes in it, a bit each */
	uint64_t seed[2];
	uint32_t most;    /* names it may hold */
	uint32_t named;   /* that many it holds */
	uint64_t refused; /* those above */
};

struct names_key {
	uint8_t ip[16];
	uint8_t len;
};

/* Makes a prefix of at most 128 bits of it. */
void names_shorten(struct names_key *, unsigned len);

struct names_word { /* borrowed */
	const char *p;
	size_t len;
};

void names_set_init(struct names_set *, uint32_t most);
void names_set_free(struct names_set *);
/* NULL: not there.  Prefixes are not looked at unless key->len is theirs. */
struct names_entry *names_set_find(const struct names_set *, const struct names_key *);
/*
 * The entry of that key, made (without a name) if need be: 0, -ENOMEM, or
 * -ENOSPC when there are too many, which is counted.
 */
int names_set_get(struct names_set *, const struct names_key *, struct names_entry **ret_e);
/* Names it; 0 or -ENOMEM.  Length 0: it has none. */
int names_set_name(struct names_set *, struct names_entry *, struct names_word);
/* One more entry that only `older` leads to; 0 or -ENOMEM.  Entries may move. */
int names_set_aside(struct names_set *, const struct names_entry *, struct names_word,
		    uint32_t *ret_place);
static inline struct names_word
names_word(const struct names_set *s, const struct names_entry *e)
{
	return (struct names_word){ s->text + e->name, e->name_len };
}

/* ---- the table -------------------------------------------------------------- */

struct names_answer {
	struct names_word name; /* len 0: none */
	bool known;             /* something was ever said of the address */
	uint64_t since_ns;      /* then: since when it is so; later than asked for: assumed */
};

/* Who had that address (4 or 16 bytes) at t. */
void names_lookup(const struct names_set *, const uint8_t *ip, int family, uint64_t t,
		  struct names_answer *ret_answer);

struct names_times {
	uint64_t now_ns;
	uint64_t changed_ns;  /* when what is new was written; not after now */
	uint64_t remember_ns; /* so long is known what was before */
};
/*
 * Makes a table of sets, the first that names an address wins, and of the table
 * before (NULL: none).  0 or -ENOMEM.
 */
int names_merge(struct names_set *table, const struct names_set *const *sets, unsigned n,
		const struct names_set *before, const struct names_times *);

/* ---- lines (names_parse.c) --------------------------------------------------- */

enum names_kind {
	NAMES_FILE,
	NAMES_HOSTS,
	NAMES_DNSMASQ,
	NAMES_ODHCPD,
	NAMES_KEA,
	NAMES_KINDS
};

enum names_column { /* of Kea's files */
		    KEA_ADDRESS,
		    KEA_EXPIRE,
		    KEA_HOSTNAME, /* these three must be there */
		    KEA_LIFETIME,
		    KEA_STATE,
		    KEA_TYPE,
		    KEA_PREFIX_LEN,
		    KEA_COLUMNS
};

#define NAMES_LINE 4096u /* what is longer is not looked at */

struct names_parser {
	enum names_kind kind;
	struct names_set *set;
	uint64_t line; /* being read, from 1 */
	char buf[NAMES_LINE];
	size_t len;
	int column[KEA_COLUMNS]; /* -1: it has none */
	bool header;             /* Kea's was seen */
	bool unfinished;         /* names_parse_end(): the last line has no end */
	uint64_t bad, bad_line;  /* lines that make no sense, and the first of them */
	char why[80];            /* what is wrong with that */
};

void names_parse_begin(struct names_parser *, enum names_kind, struct names_set *);
/* The bytes of a file in any portions: 0 or -ENOMEM. */
int names_parse(struct names_parser *, const char *p, size_t n);
/*
 * The end of it.  A last line without an end is taken where people write the
 * file, else left alone.  0, -ENOMEM, or -EBADMSG: it is no such file (why).
 */
int names_parse_end(struct names_parser *);

/* What the line parsers use. */
int names_bad(struct names_parser *, const char *why);
struct names_word names_next(struct names_word *rest);
/* An address, or with `net` a prefix; false: it is none. */
bool names_address(struct names_word, bool net, struct names_key *ret_key);
bool names_number(struct names_word, uint64_t *ret_x);
/* Cleans the name and puts it in.  keep: the first of an address wins. */
int names_say(struct names_parser *, const struct names_key *, struct names_word name,
	      uint64_t until_ns, bool keep);
/* names_kea.c */
int names_kea_line(struct names_parser *, struct names_word line);

/* ---- which files (names_parts.c) ------------------------------------------------ */

#define NAMES_PARTS 64u

struct names_part {
	char *path;
	int err; /* errno of stat(); or */
	struct stat st;
};

struct names_parts { /* in the order they are to be read */
	struct names_part at[NAMES_PARTS];
	unsigned n;
	bool more; /* than these */
};

/*
 * The files that are there: that of the path, those in that folder, or those of
 * Kea's that belong to it.
 */
void names_parts_find(struct names_parts *, enum names_kind, const char *path);
void names_parts_free(struct names_parts *);
/* Sources of that kind may be folders. */
bool names_may_be_folder(enum names_kind);

/* ---- files (names_source.c) --------------------------------------------------- */

struct names_source {
	enum names_kind kind;
	char *path;
	struct names_set set; /* what it says */
	uint32_t most;
	uint64_t quiet_ns; /* so long nobody must have written to it */
	uint64_t sign;     /* of the files as they were read */
	uint64_t mtime_ns; /* the same */
	uint64_t since_ms; /* changed, but not read yet; 0: no */
	uint64_t said;     /* hash of the last complaint */
};

/*
 * Looks whether it has changed, and reads it if so.  True: set is another.
 * What fails is said once, and the set stays.
 */
bool names_source_look(struct names_source *, const struct ctf_ctx *, bool first);
void names_source_free(struct names_source *);

/* ---- the thread (names_watch.c) ------------------------------------------------ */

struct names_conf {
	const char *list[NAMES_KINDS]; /* paths, by kind */
	uint64_t reread, remember;     /* ms */
	uint64_t most;
};

struct names_watch;
/* The next path of a list, taken off; length 0: there is none. */
struct names_word names_path(const char **list);
/* 0 or -errno. */
int names_watch_start(struct ctf_ctx *, const struct names_conf *,
		      struct names_watch **ret_watch);
/* All was read once. */
bool names_watch_ready(struct names_watch *);
/* It is to end; true: names_watch_stop() will not wait. */
bool names_watch_ends(struct names_watch *);
void names_watch_stop(struct names_watch *); /* NULL: nothing */
/* Main thread: the table as it is, until the next call.  NULL: none yet. */
const struct names_set *names_watch_table(struct names_watch *);

#endif
