/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctflow report: the frame of the page, and the numbers at its head. */
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "report.h"

/* Nothing may be asked for over the network, whatever slipped in. */
static const char head[] =
	"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';"
	" style-src 'unsafe-inline'; img-src data:\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<meta name=\"color-scheme\" content=\"light dark\">\n"
	"<meta name=\"referrer\" content=\"no-referrer\">\n"
	"<link rel=\"icon\" href=\"data:,\">\n<title>";

static void
zone_name(const struct rp *r, char text[RP_TEXT])
{
	time_t t = (time_t)(r->until_ns / 1000000000);
	struct tm tm;

	if (r->utc || !localtime_r(&t, &tm) || strftime(text, RP_TEXT, "UTC%z (%Z)", &tm) == 0)
		snprintf(text, RP_TEXT, "UTC");
}

static void
page_head(FILE *f, const struct rp *r)
{
	char zone[RP_TEXT], length[RP_TEXT];

	fputs(head, f);
	rp_text(f, r->title);
	fputs("</title>\n", f);
	rp_style(f);
	fputs("</head>\n<body>\n<header><h1>", f);
	rp_text(f, r->title);
	fputs("</h1>\n<p>", f);
	rp_time(f, r, r->since_ns, true);
	fputs(" to ", f);
	rp_time(f, r, r->until_ns, true);
	rp_length(r->until_ns - r->since_ns, length);
	zone_name(r, zone);
	fprintf(f, " <span class=\"soft\">(%s; times in %s)</span></p>\n</header>\n<main>\n",
		length, zone);
}

static void
tile(FILE *f, const char *id, const char *name, const char *value, const char *more)
{
	fprintf(f, "<div id=\"t-%s\"><dt>%s</dt><dd>%s<small>%s</small></dd></div>\n", id, name,
		value, more);
}

static void
tile_traffic(FILE *f, const struct rp *r)
{
	uint64_t bytes = tally_value(&r->total, TALLY_BYTES);
	double s = (double)(r->until_ns - r->since_ns) / 1e9;
	char text[RP_TEXT], rate[RP_TEXT], value[2 * RP_TEXT], more[2 * RP_TEXT];

	rp_human((double)bytes, "B", text);
	rp_human(s > 0 ? (double)bytes * 8 / s : 0, "bit/s", rate);
	snprintf(value, sizeof(value), "<data value=\"%llu\">%s</data>",
		 (unsigned long long)bytes, text);
	snprintf(more, sizeof(more), "%s on average", rate);
	tile(f, "bytes", "Traffic, both ways", value, more);
}

static void
tile_count(FILE *f, const char *id, const char *name, uint64_t x, const char *more)
{
	char text[RP_TEXT], value[2 * RP_TEXT];

	rp_count(x, text);
	snprintf(value, sizeof(value), "<data value=\"%llu\">%s</data>", (unsigned long long)x,
		 text);
	tile(f, id, name, value, more);
}

static void
tiles(FILE *f, const struct rp *r)
{
	double all = (double)(r->until_ns - r->since_ns);
	double share = all > 0 ? (double)r->seen_ns / all * 100 : 0;
	char more[2 * RP_TEXT], packets[RP_TEXT], value[RP_TEXT];

	fputs("<dl class=\"tiles\">\n", f);
	tile_traffic(f, r);
	rp_human((double)tally_value(&r->total, TALLY_PACKETS), "packets", packets);
	tile_count(f, "flows", "Flows", r->total.flows, packets);
	if (r->alive.flows) {
		rp_human((double)tally_value(&r->alive, TALLY_BYTES), "B", packets);
		snprintf(more, sizeof(more), "%s so far", packets);
		tile_count(f, "alive", "Still open", r->alive.flows, more);
	}
	tile_count(f, "hosts", "Hosts", r->hosts.all, "that opened flows");
	snprintf(more, sizeof(more), "%zu gap%s", r->gaps_all, r->gaps_all == 1 ? "" : "s");
	/* 99.99 is not to look like all of it. */
	snprintf(value, sizeof(value), "%.*f %%", share < 100 && share > 99 ? 2 : 0,
		 floor(share * 100) / 100);
	tile(f, "seen", "Time watched", value, more);
	fputs("</dl>\n", f);
}

void
rp_page(FILE *f, const struct rp *r)
{
	page_head(f, r);
	tiles(f, r);
	rp_traffic(f, r);
	rp_tables(f, r);
	fputs("</main>\n<footer><p>Flows are counted when they end", f);
	if (r->flows_from) {
		fputs("; ", f);
		rp_text(f, r->flows_from);
	}
	fputs(". Made by ctflow ", f);
	rp_time(f, r, r->made_ns, true);
	fputs(".</p></footer>\n</body>\n</html>\n", f);
}

static void
rows_free(struct rp_rows *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->at[i].key);
		free(t->at[i].name);
	}
	free(t->at);
}

static void
longest_free(struct rp *r)
{
	for (size_t i = 0; i < r->nlongest; i++) {
		free(r->longest[i].proto);
		free(r->longest[i].from);
		free(r->longest[i].to);
		free(r->longest[i].name);
	}
	free(r->longest);
}

static void
gaps_free(struct rp *r)
{
	for (size_t i = 0; i < r->ngaps; i++) {
		free(r->gaps[i].cause);
		free(r->gaps[i].where);
		free(r->gaps[i].lost);
	}
	free(r->gaps);
	for (size_t i = 0; i < r->nstrips; i++) {
		free(r->strips[i].name);
		free(r->strips[i].seen);
		free(r->strips[i].gaps);
		free(r->strips[i].lossy);
	}
	free(r->strips);
}

void
rp_free(struct rp *r)
{
	rows_free(&r->hosts);
	rows_free(&r->services);
	longest_free(r);
	gaps_free(r);
	for (size_t i = 0; i < r->nnat; i++)
		free(r->nat[i].addr);
	free(r->nat);
	for (size_t i = 0; i < r->ndbs; i++) {
		free(r->dbs[i].path);
		free(r->dbs[i].table);
		free(r->dbs[i].state);
	}
	free(r->dbs);
	free(r->title);
	free(r->from);
	free(r->flows_from);
	free(r->cuts);
	free(r->slots);
	*r = (struct rp){ 0 };
}
