/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctflow report: traffic over time, and when somebody was watching. */
#include <inttypes.h>
#include <math.h>

#include "report.h"

#define HEIGHT 260.0
#define WIDE 1000.0
#define LABELS 6u /* of the time axis */

struct scale {
	double step, up, down; /* bits per second */
};

static double
rate(const struct rp *r, size_t slot, uint64_t bytes)
{
	int64_t ns = r->cuts[slot + 1] - r->cuts[slot];

	return ns > 0 ? (double)bytes * 8e9 / (double)ns : 0;
}

static struct scale
scale_of(const struct rp *r)
{
	double up = 0, down = 0;
	struct scale s;

	for (size_t i = 0; i < r->nslots; i++) {
		up = fmax(up, rate(r, i, r->slots[i].reply_bytes));
		down = fmax(down, rate(r, i, r->slots[i].orig_bytes));
	}
	s.step = rp_step(up + down, 5);
	s.up = ceil(up / s.step) * s.step;
	s.down = ceil(down / s.step) * s.step;
	if (s.up + s.down <= 0)
		s.up = s.step;
	return s;
}

static double
y_of(const struct scale *s, double value)
{
	return (s->up - value) / (s->up + s->down) * HEIGHT;
}

static double
x_of(const struct rp *r, int64_t ns)
{
	return (double)(ns - r->cuts[0]) / (double)(r->cuts[r->nslots] - r->cuts[0]) * WIDE;
}

/* One shape of all slots: up or down from the zero line. */
static void
shape(FILE *f, const struct rp *r, const struct scale *s, bool up)
{
	double zero = y_of(s, 0);

	fprintf(f, "<path class=\"%s\" d=\"M0 %.1f", up ? "fa" : "fb", zero);
	for (size_t i = 0; i < r->nslots; i++) {
		double x = up ? rate(r, i, r->slots[i].reply_bytes)
			      : -rate(r, i, r->slots[i].orig_bytes);

		fprintf(f, "V%.1fH%.1f", y_of(s, x), x_of(r, r->cuts[i + 1]));
	}
	fprintf(f, "V%.1fZ\"/>\n", zero);
}

/* What a slot says under the pointer. */
static void
hit(FILE *f, const struct rp *r, size_t i)
{
	char when[RP_TEXT], up[RP_TEXT], down[RP_TEXT], flows[RP_TEXT];
	double x = x_of(r, r->cuts[i]);

	rp_when(r, r->cuts[i], false, when);
	rp_human(rate(r, i, r->slots[i].reply_bytes), "bit/s", up);
	rp_human(rate(r, i, r->slots[i].orig_bytes), "bit/s", down);
	rp_count(r->slots[i].flows, flows);
	fprintf(f,
		"<rect class=\"hit\" x=\"%.2f\" y=\"0\" width=\"%.2f\" height=\"%.0f\">"
		"<title>%s: replies %s, original direction %s, %s flows</title></rect>\n",
		x, x_of(r, r->cuts[i + 1]) - x, HEIGHT, when, up, down, flows);
}

static void
y_axis(FILE *f, const struct scale *s)
{
	char text[RP_TEXT];

	fputs("<div class=\"y\" aria-hidden=\"true\">", f);
	for (double v = -s->down; v <= s->up + s->step / 2; v += s->step) {
		rp_human(fabs(v), "bit/s", text);
		fprintf(f, "<span style=\"top:%.2f%%\">%s</span>", y_of(s, v) / HEIGHT * 100,
			fabs(v) < s->step / 2 ? "0" : text);
	}
	fputs("</div>\n", f);
}

static void
x_axis(FILE *f, const struct rp *r)
{
	size_t every = (r->nslots + LABELS - 1) / LABELS;
	int64_t span = r->cuts[r->nslots] - r->cuts[0];
	char text[RP_TEXT];

	fputs("<div class=\"x\" aria-hidden=\"true\">", f);
	for (size_t i = 0; i <= r->nslots; i += every) {
		if (i + every > r->nslots && i < r->nslots && i + every / 2 >= r->nslots)
			i = r->nslots; /* no two at the end that touch each other */
		rp_when(r, r->cuts[i], false, text);
		/* The day or the time of day: the page's head has the rest. */
		fprintf(f, "<span style=\"left:%.2f%%\">%.5s</span>",
			x_of(r, r->cuts[i]) / WIDE * 100,
			span > INT64_C(3) * 86400 * 1000000000 ? text + 5 : text + 11);
	}
	fputs("</div>\n", f);
}

static void
plot(FILE *f, const struct rp *r)
{
	struct scale s = scale_of(r);

	fputs("<div class=\"chart\">\n", f);
	y_axis(f, &s);
	fprintf(f,
		"<div class=\"plot\"><svg viewBox=\"0 0 %.0f %.0f\" "
		"preserveAspectRatio=\"none\""
		" role=\"img\" aria-label=\"Bits per second over time; the table below has the"
		" numbers\">\n",
		WIDE, HEIGHT);
	for (double v = -s.down; v <= s.up + s.step / 2; v += s.step)
		fprintf(f, "<path class=\"grid\" d=\"M0 %.1fH%.0f\"/>\n", y_of(&s, v), WIDE);
	shape(f, r, &s, true);
	shape(f, r, &s, false);
	fprintf(f, "<path class=\"zero\" d=\"M0 %.1fH%.0f\"/>\n", y_of(&s, 0), WIDE);
	for (size_t i = 0; i < r->nslots; i++)
		hit(f, r, i);
	fputs("</svg></div>\n", f);
	x_axis(f, r);
	fputs("</div>\n", f);
}

static void
slot_table(FILE *f, const struct rp *r)
{
	fputs("<details><summary>The numbers as a table</summary>\n<div class=\"scroll\""
	      " tabindex=\"0\" role=\"region\" aria-label=\"Traffic over time\"><table"
	      " id=\"slots\"><caption>Bytes, packets and flows from each time to the next"
	      "</caption>\n<thead><tr><th scope=\"col\">From</th><th scope=\"col\" class=\"n\">"
	      "Original direction</th><th scope=\"col\" class=\"n\">Replies</th><th "
	      "scope=\"col\""
	      " class=\"n\">Packets</th><th scope=\"col\" class=\"n\">Flows</th></tr></thead>\n"
	      "<tbody>\n",
	      f);
	for (size_t i = 0; i < r->nslots; i++) {
		fputs("<tr><th scope=\"row\">", f);
		rp_time(f, r, r->cuts[i], false);
		fputs("</th>", f);
		rp_cell_bytes(f, r->slots[i].orig_bytes);
		rp_cell_bytes(f, r->slots[i].reply_bytes);
		rp_cell_count(f, r->slots[i].orig_packets + r->slots[i].reply_packets);
		rp_cell_count(f, r->slots[i].flows);
		fputs("</tr>\n", f);
	}
	fputs("</tbody></table></div></details>\n", f);
}

void
rp_traffic(FILE *f, const struct rp *r)
{
	fputs("<section aria-labelledby=\"h-traffic\"><h2 id=\"h-traffic\">Traffic over time"
	      "</h2>\n",
	      f);
	if (r->nslots == 0 || r->cuts[r->nslots] <= r->cuts[0]) {
		fputs("<p>There is none in this time.</p></section>\n", f);
		return;
	}
	fputs("<figure>\n<div class=\"legend\" aria-hidden=\"true\"><span><i class=\"fa\"></i>"
	      "replies: to who opened the flow (above)</span><span><i class=\"fb\"></i>original"
	      " direction: from who opened it (below)</span></div>\n",
	      f);
	plot(f, r);
	fputs("<figcaption>", f);
	rp_text(f, r->from);
	fputs("</figcaption></figure>\n", f);
	slot_table(f, r);
	fputs("</section>\n", f);
}

/* ---- coverage --------------------------------------------------------------------- */

static void
strip_part(FILE *f, const struct rp *r, const struct rp_span *s, const char *class,
	   const char *what)
{
	double all = (double)(r->until_ns - r->since_ns);
	int64_t from = s->from_ns > r->since_ns ? s->from_ns : r->since_ns;
	int64_t to = s->to_ns < r->until_ns ? s->to_ns : r->until_ns;
	double x = (double)(from - r->since_ns) / all * WIDE;
	double width = fmax((double)(to - from) / all * WIDE, 1.5); /* to be seen at all */
	char begin[RP_TEXT], end[RP_TEXT];

	if (from > to)
		return;
	rp_when(r, s->from_ns, true, begin);
	rp_when(r, s->to_ns, true, end);
	fprintf(f,
		"<rect class=\"%s\" x=\"%.2f\" y=\"0\" width=\"%.2f\" height=\"10\"><title>%s: "
		"%s"
		" to %s</title></rect>\n",
		class, fmin(x, WIDE - 1.5), width, what, begin, end);
}

static void
strip(FILE *f, const struct rp *r, const struct rp_strip *s)
{
	fputs("<div class=\"strip\"><p class=\"soft\">", f);
	rp_text(f, s->name);
	fprintf(f,
		"</p><svg viewBox=\"0 0 %.0f 10\" preserveAspectRatio=\"none\" role=\"img\""
		" aria-label=\"When somebody was watching\">\n"
		"<rect class=\"fn\" x=\"0\" y=\"0\" width=\"%.0f\" height=\"10\"><title>nobody "
		"was"
		" watching</title></rect>\n",
		WIDE, WIDE);
	for (size_t i = 0; i < s->nseen; i++)
		strip_part(f, r, &s->seen[i], "fg", "watching");
	for (size_t i = 0; i < s->ngaps; i++)
		strip_part(f, r, &s->gaps[i], "fr", "gap");
	fputs("</svg></div>\n", f);
}

void
rp_coverage(FILE *f, const struct rp *r)
{
	char from[RP_TEXT], to[RP_TEXT];

	rp_when(r, r->since_ns, false, from);
	rp_when(r, r->until_ns, false, to);
	fputs("<figure><div class=\"legend\" aria-hidden=\"true\"><span><i class=\"fg\"></i>"
	      "watching</span><span><i class=\"fr\"></i>gap: something was lost</span><span>"
	      "<i class=\"fn\"></i>nobody was watching</span></div>\n",
	      f);
	for (size_t i = 0; i < r->nstrips; i++)
		strip(f, r, &r->strips[i]);
	fprintf(f, "<div class=\"ends\"><span>%s</span><span>%s</span></div></figure>\n", from,
		to);
}
