/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line. */
#ifndef CTF_CLI_H
#define CTF_CLI_H

#include <stdbool.h>

enum cli_what {
	CLI_RUN,
	CLI_CHECK,
	CLI_SPLIT,
	CLI_INFO,
	CLI_MAN,
	CLI_HELP,
	CLI_VERSION,
	CLI_BAD
};

struct cli {
	enum cli_what what;
	bool daemon, verbose;
	int loglevel; /* 0: not given */
	const char *conf, *pidfile, *user;
	const char *plugin; /* of -i */
	const char *dir;    /* of --split, and conf is its file */
};

void cli_parse(int argc, char **argv, struct cli *ret_cli);
void cli_usage(const char *argv0);

#endif
