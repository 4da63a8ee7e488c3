/* SPDX-License-Identifier: GPL-2.0-or-later */
/* q_conf.c - which configuration is meant, and the members of its stacks. */
#include <string.h>
#include <unistd.h>

#include "q_conf.h"

const char *
q_conf_path(const struct q *q)
{
	static const char *const places[] = { SYSCONFDIR "/ctflowd.conf", "/etc/ctflowd.conf",
					      "/etc/ulogd.conf" };
	const char *given = q_opt(q, "config");

	for (size_t i = 0; !given && i < sizeof(places) / sizeof(*places); i++)
		if (access(places[i], F_OK) == 0)
			return places[i];
	return given ? given : places[0];
}

static char *
trimmed(char *s)
{
	size_t n;

	s += strspn(s, " \t");
	n = strlen(s);
	while (n && strchr(" \t", s[n - 1]))
		s[--n] = '\0';
	return s;
}

bool
q_conf_member(char *word, const char **ret_id, const char **ret_plugin)
{
	char *colon = strchr(word, ':');

	if (!colon)
		return false;
	*colon = '\0';
	*ret_id = trimmed(word);
	*ret_plugin = trimmed(colon + 1);
	return true;
}

const char *
q_conf_value(const struct conf_section *s, const char *key, const char *otherwise)
{
	const struct conf_entry *e = s ? conf_next(s, key, NULL) : NULL;

	return e ? e->value : otherwise;
}
