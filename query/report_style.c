/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctflow report: how the page looks.  Only shapes are in the SVG, which may so
 * be stretched to any width; the words around it are text of the page and stay
 * readable on a phone.
 */
#include "report.h"

/* clang-format off */
static const char *const style[] = {
":root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1b2330;--soft:#5a6472;"
"--line:#d9dee5;--a:#1f6feb;--b:#c2570c;--good:#2e7d4f;--bad:#c62828;--none:#c3cad4}\n"
"@media(prefers-color-scheme:dark){:root{--bg:#11151b;--card:#1a2029;--ink:#e6eaf0;"
"--soft:#a0abba;--line:#323b48;--a:#6ea8ff;--b:#f2994a;--good:#5cc48a;--bad:#ff6b6b;"
"--none:#465162}}\n"
"*{box-sizing:border-box}\n"
"body{margin:0;background:var(--bg);color:var(--ink);"
"font:16px/1.45 system-ui,-apple-system,\"Segoe UI\",Roboto,\"DejaVu Sans\",sans-serif}\n"
"header,main,footer{max-width:1100px;margin:0 auto;padding:0 16px}\n"
"header{padding-top:20px}\n"
"h1{font-size:1.5rem;margin:0}\n"
"h2{font-size:1.1rem;margin:0 0 4px}\n"
"p{margin:4px 0 10px}\n"
".soft,figcaption,caption,footer{color:var(--soft);font-size:.875rem}\n",

"section{background:var(--card);border:1px solid var(--line);border-radius:8px;"
"padding:14px 16px;margin:14px 0}\n"
".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:10px;"
"margin:14px 0;padding:0}\n"
".tiles div{background:var(--card);border:1px solid var(--line);border-radius:8px;"
"padding:8px 12px}\n"
".tiles dt{color:var(--soft);font-size:.8125rem}\n"
".tiles dd{margin:0;font-size:1.25rem;font-weight:600}\n"
".tiles small{display:block;font-size:.75rem;font-weight:400;color:var(--soft)}\n"
"figure{margin:8px 0}\n"
".chart{display:grid;grid-template-columns:5.2em 1fr;font-size:.75rem;color:var(--soft)}\n"
".y,.x{position:relative}\n"
".y span{position:absolute;right:6px;transform:translateY(-50%);white-space:nowrap}\n"
".plot svg{display:block;width:100%;height:260px}\n"
".x{grid-column:2;height:1.6em}\n"
".x span{position:absolute;transform:translateX(-50%);white-space:nowrap;padding-top:3px}\n"
".x span:first-child{transform:none}\n"
".x span:last-child{transform:translateX(-100%)}\n"
".legend{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:.875rem;margin:6px 0}\n"
".legend i{display:inline-block;width:.9em;height:.9em;border-radius:2px;"
"margin-right:.4em;vertical-align:-.1em}\n",

".fa{fill:var(--a);background:var(--a)}.fb{fill:var(--b);background:var(--b)}\n"
".fg{fill:var(--good);background:var(--good)}.fr{fill:var(--bad);background:var(--bad)}\n"
".fn{fill:var(--none);background:var(--none)}\n"
".hit{fill:transparent}.hit:hover{fill:var(--soft);fill-opacity:.18}\n"
".grid{stroke:var(--line);stroke-width:1;vector-effect:non-scaling-stroke;fill:none}\n"
".zero{stroke:var(--soft);stroke-width:1;vector-effect:non-scaling-stroke}\n"
".strip svg{display:block;width:100%;height:22px;border-radius:3px}\n"
".strip{margin:8px 0 2px}\n"
".ends{display:flex;justify-content:space-between;font-size:.75rem;color:var(--soft)}\n"
".scroll{overflow-x:auto}\n"
"table{border-collapse:collapse;width:100%;font-size:.875rem}\n"
"caption{text-align:left;padding-bottom:4px}\n"
"th,td{text-align:left;padding:4px 10px 4px 0;border-bottom:1px solid var(--line);"
"vertical-align:top}\n"
"th{color:var(--soft);font-weight:600;white-space:nowrap}\n"
"tbody th{color:var(--ink);font-weight:400;overflow-wrap:anywhere;white-space:normal}\n"
"td.n+td,th.n+th{padding-left:10px}\n"
"tr:last-child>*{border-bottom:0}\n"
"td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\n"
"th:last-child,td:last-child{padding-right:0}\n"
"td.bar{width:24%;min-width:60px;padding-top:9px}\n",

"#longest tbody th{min-width:10.5em}\n"
"td.bar svg{display:block;width:100%;height:.75em}\n"
".name{color:var(--soft);display:block;font-size:.8125rem}\n"
".tag{border:1px solid var(--line);border-radius:4px;padding:0 5px;font-size:.75rem}\n"
"details{margin-top:8px}summary{cursor:pointer;color:var(--soft);font-size:.875rem}\n"
"a:focus,summary:focus,.scroll:focus{outline:2px solid var(--a);outline-offset:2px}\n"
"footer{padding-bottom:28px}\n"
"@media(max-width:640px){body{font-size:15px}header,main,footer{padding:0 10px}\n"
"header{padding-top:14px}section{padding:12px 10px}.wide{display:none}\n"
".x span:nth-child(even){display:none}.chart{grid-template-columns:5.6em 1fr}\n"
".plot svg{height:200px}.tiles{grid-template-columns:1fr 1fr}td.bar{width:18%;min-width:40px}}\n"
"@media print{section{break-inside:avoid}body{background:#fff}}\n",
};
/* clang-format on */

void
rp_style(FILE *f)
{
	fputs("<style>\n", f);
	for (size_t i = 0; i < sizeof(style) / sizeof(*style); i++)
		fputs(style[i], f);
	fputs("</style>\n", f);
}
