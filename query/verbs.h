/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verbs.h - the verbs that ctflow has, in the order of its help. */
VERB(who)
VERB(show)
VERB(tail)
VERB(open)
VERB(long)
VERB(top)
VERB(sum)
VERB(export)
VERB(gaps)
VERB(report)
VERB(status)
VERB(doctor)
