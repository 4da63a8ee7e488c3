/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctflow report: the tables of a page. */
#include "report.h"

static void
section(FILE *f, const char *id, const char *title, const char *says)
{
	fprintf(f,
		"<section aria-labelledby=\"h-%s\"><h2 id=\"h-%s\">%s</h2>\n<p "
		"class=\"soft\">%s"
		"</p>\n",
		id, id, title, says);
}

/* columns: "-" first: numbers; "?" first: left out on a phone. */
static void
table(FILE *f, const char *id, const char *caption, const char *const *columns)
{
	fprintf(f,
		"<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"%s\"><table"
		" id=\"%s\"><caption>%s</caption>\n<thead><tr>",
		caption, id, caption);
	for (; *columns; columns++) {
		const char *c = *columns;
		bool wide = *c == '?', n;

		c += wide;
		n = *c == '-';
		fprintf(f, "<th scope=\"col\" class=\"%s%s\">%s</th>", n ? "n" : "",
			wide ? " wide" : "", c + n);
	}
	fputs("</tr></thead>\n<tbody>\n", f);
}

static void
table_end(FILE *f)
{
	fputs("</tbody></table></div>\n", f);
}

static void
none(FILE *f, const char *says)
{
	fprintf(f, "<p>%s</p>\n", says);
}

/* Two lengths behind each other, as parts of `max`. */
static void
bar(FILE *f, uint64_t a, uint64_t b, uint64_t max)
{
	double one = max ? (double)a / (double)max * 100 : 0;
	double two = max ? (double)b / (double)max * 100 : 0;

	fprintf(f,
		"<td class=\"bar\" aria-hidden=\"true\"><svg viewBox=\"0 0 100 10\""
		" preserveAspectRatio=\"none\"><rect class=\"fa\" x=\"0\" y=\"0\" "
		"width=\"%.2f\""
		" height=\"10\"/><rect class=\"fb\" x=\"%.2f\" y=\"0\" width=\"%.2f\""
		" height=\"10\"/></svg></td>",
		one, one, two);
}

static void
row_head(FILE *f, const char *key, const char *name)
{
	fputs("<tr><th scope=\"row\">", f);
	rp_text(f, key);
	if (name && *name) {
		fputs("<span class=\"name\">", f);
		rp_text(f, name);
		fputs("</span>", f);
	}
	fputs("</th>", f);
}

static void
ranking(FILE *f, const char *id, const char *caption, const char *what, const struct rp_rows *t)
{
	const char *columns[] = { what,        "",          "-Bytes", "?-Original",
				  "?-Replies", "?-Packets", "-Flows", NULL };
	uint64_t max = t->n ? tally_value(&t->at[0].sum, TALLY_BYTES) : 0;
	char shown[RP_TEXT], all[RP_TEXT];

	table(f, id, caption, columns);
	for (size_t i = 0; i < t->n; i++) {
		const struct tally_sum *s = &t->at[i].sum;

		row_head(f, t->at[i].key, t->at[i].name);
		bar(f, s->reply_bytes, s->orig_bytes, max);
		rp_cell_bytes(f, tally_value(s, TALLY_BYTES));
		rp_cell_wide(f, s->orig_bytes, true);
		rp_cell_wide(f, s->reply_bytes, true);
		rp_cell_wide(f, tally_value(s, TALLY_PACKETS), false);
		rp_cell_count(f, s->flows);
		fputs("</tr>\n", f);
	}
	table_end(f);
	rp_count(t->n, shown);
	rp_count(t->all, all);
	if (t->n < t->all)
		fprintf(f, "<p class=\"soft\">The first %s of %s.</p>\n", shown, all);
}

static void
rankings(FILE *f, const struct rp *r)
{
	section(f, "hosts", "Top talkers",
		"The hosts that opened the flows, by bytes both ways.");
	if (r->hosts.n)
		ranking(f, "hosts", "Hosts by bytes", "Host", &r->hosts);
	else
		none(f, "There are none.");
	fputs("</section>\n", f);
	section(f, "services", "Services",
		"Protocol and destination port; ports from 32768 on count as "
		"&quot;other&quot;.");
	if (r->services.n)
		ranking(f, "services", "Services by bytes", "Service", &r->services);
	else
		none(f, "There are none.");
	fputs("</section>\n", f);
}

static void
nat(FILE *f, const struct rp *r)
{
	static const char *const columns[] = { "Outside address", "",  "-Flows", "-Ports used",
					       "-Most at once",   NULL };
	char step[RP_TEXT];

	section(f, "nat", "NAT pool",
		"Outside addresses that sources were translated to. Ports used: different pairs"
		" of protocol and port. The bar is the most flows at once of 65536.");
	if (r->nnat == 0) {
		none(f, "No source was translated.");
	} else {
		table(f, "nat", "Outside addresses by flows at once", columns);
		for (size_t i = 0; i < r->nnat; i++) {
			row_head(f, r->nat[i].addr, NULL);
			bar(f, r->nat[i].peak < 65536 ? r->nat[i].peak : 65536, 0, 65536);
			rp_cell_count(f, r->nat[i].flows);
			rp_cell_count(f, r->nat[i].ports);
			rp_cell_count(f, r->nat[i].peak);
			fputs("</tr>\n", f);
		}
		table_end(f);
		rp_length(r->nat_step_ns, step);
		fprintf(f,
			"<p class=\"soft\">%zu of %zu addresses. At once: within the same %s;"
			" of the flows that ended in this time or are open.</p>\n",
			r->nnat, r->nat_all, step);
		if (r->nat_more)
			fprintf(f,
				"<p class=\"soft\">%llu flows of further addresses are not"
				" here.</p>\n",
				(unsigned long long)r->nat_more);
	}
	fputs("</section>\n", f);
}

static void
longest(FILE *f, const struct rp *r)
{
	static const char *const columns[] = { "From",    "To",     "Protocol", "?Began",
					       "-Lasted", "-Bytes", NULL };
	char length[RP_TEXT];

	section(f, "long", "Longest flows", "From the first packet to the last one.");
	if (r->nlongest == 0) {
		none(f, "There are none whose begin is known.");
		fputs("</section>\n", f);
		return;
	}
	table(f, "longest", "Flows by duration", columns);
	for (size_t i = 0; i < r->nlongest; i++) {
		const struct rp_long *l = &r->longest[i];

		row_head(f, l->from, l->name);
		fputs("<td>", f);
		rp_text(f, l->to);
		fputs("</td><td>", f);
		rp_text(f, l->proto);
		fputs("</td><td class=\"wide\">", f);
		rp_time(f, r, l->start_ns, true);
		rp_length(l->length_ns, length);
		fprintf(f, "</td><td class=\"n\"><data value=\"%.3f\">%s</data>%s</td>",
			(double)l->length_ns / 1e9, length,
			l->open ? " <span class=\"tag\">open</span>" : "");
		rp_cell_bytes(f, l->bytes);
		fputs("</tr>\n", f);
	}
	table_end(f);
	fputs("</section>\n", f);
}

static void
gap_rows(FILE *f, const struct rp *r)
{
	static const char *const columns[] = { "From", "?To",    "-Lasted", "Cause",
					       "Lost", "?Where", NULL };
	char length[RP_TEXT];

	table(f, "gaps", "Gaps", columns);
	for (size_t i = 0; i < r->ngaps; i++) {
		const struct rp_gap *g = &r->gaps[i];

		fputs("<tr><th scope=\"row\">", f);
		rp_time(f, r, g->from_ns, true);
		fputs("</th><td class=\"wide\">", f);
		rp_time(f, r, g->to_ns, true);
		rp_length(g->to_ns - g->from_ns, length);
		fprintf(f, "</td><td class=\"n\">%s</td><td>", length);
		rp_text(f, g->cause);
		fputs("</td><td>", f);
		rp_text(f, g->lost);
		fputs("</td><td class=\"wide\">", f);
		rp_text(f, g->where);
		fputs("</td></tr>\n", f);
	}
	table_end(f);
	if (r->ngaps < r->gaps_all)
		fprintf(f, "<p class=\"soft\">The first %zu of %zu.</p>\n", r->ngaps,
			r->gaps_all);
}

static void
gaps(FILE *f, const struct rp *r)
{
	section(f, "gaps", "Gaps and coverage",
		"When this history was being written, and when something was lost.");
	rp_coverage(f, r);
	if (r->ngaps)
		gap_rows(f, r);
	else
		none(f, "No gap is recorded in this time.");
	fputs("</section>\n", f);
}

static void
databases(FILE *f, const struct rp *r)
{
	static const char *const columns[] = { "File",   "Table", "-Size", "-Rows",
					       "?First", "?Last", "?Form", NULL };

	section(f, "dbs", "Database", "What this page was made from.");
	table(f, "dbs", "Databases", columns);
	for (size_t i = 0; i < r->ndbs; i++) {
		const struct rp_db *d = &r->dbs[i];

		row_head(f, d->path, NULL);
		fputs("<td>", f);
		rp_text(f, d->table);
		fputs("</td>", f);
		rp_cell_bytes(f, d->size > 0 ? (uint64_t)d->size : 0);
		if (d->rows >= 0)
			rp_cell_count(f, (uint64_t)d->rows);
		else
			fputs("<td class=\"n\">?</td>", f);
		fputs("<td class=\"wide\">", f);
		if (d->first_ns != INT64_MIN)
			rp_time(f, r, d->first_ns, false);
		fputs("</td><td class=\"wide\">", f);
		if (d->last_ns != INT64_MIN)
			rp_time(f, r, d->last_ns, false);
		fputs("</td><td class=\"wide\">", f);
		rp_text(f, d->state);
		fputs("</td></tr>\n", f);
	}
	table_end(f);
	fputs("</section>\n", f);
}

void
rp_tables(FILE *f, const struct rp *r)
{
	rankings(f, r);
	nat(f, r);
	longest(f, r);
	gaps(f, r);
	databases(f, r);
}
