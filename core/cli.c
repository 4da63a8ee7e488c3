/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include <ctflow/plugin.h>

#include "cli.h"

static const struct option longopts[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ "daemon", no_argument, NULL, 'd' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "loglevel", required_argument, NULL, 'l' },
	{ "configfile", required_argument, NULL, 'c' },
	{ "pidfile", required_argument, NULL, 'p' },
	{ "uid", required_argument, NULL, 'u' },
	{ "info", required_argument, NULL, 'i' },
	{ "check", no_argument, NULL, 'n' },
	{ "split", required_argument, NULL, 'S' },
	{ "man", required_argument, NULL, 'M' },
	{ NULL, 0, NULL, 0 },
};

void
cli_usage(const char *argv0)
{
	printf("Usage: %s [options]\n"
	       "  -h, --help              this text\n"
	       "  -V, --version           version and licence\n"
	       "  -d, --daemon            run in the background\n"
	       "  -v, --verbose           log to stderr as well; with -n: print everything\n"
	       "  -l, --loglevel N        1 debug 3 info 5 notice 6 warning 7 error 8 fatal\n"
	       "  -c, --configfile FILE   instead of /etc/ctflowd.conf or /etc/ulogd.conf\n"
	       "  -p, --pidfile FILE      write the process id, refuse to run twice\n"
	       "  -u, --uid USER          name or number to run as after the start\n"
	       "  -i, --info PLUGIN       options and fields of a plugin\n"
	       "  -n, --check             check the configuration; with -v print what it "
	       "means\n"
	       "      --split FILE DIR    divide an ulogd.conf: DIR/ctflowd.conf has its "
	       "flows,\n"
	       "                          DIR/ulogd.conf its packets, DIR/split.txt says what "
	       "differs\n",
	       argv0);
}

/* 0 is "not given", as with ulogd2. */
static void
take_level(struct cli *c)
{
	char *end;
	long n = strtol(optarg, &end, 0);

	if (end == optarg || *end || n < 0 || n > CTF_FATAL) {
		fprintf(stderr, "-l %s: a level is 0 to %d\n", optarg, CTF_FATAL);
		c->what = CLI_BAD;
		return;
	}
	c->loglevel = (int)n;
}

static void
take(struct cli *c, int opt)
{
	switch (opt) {
	case 'd':
		c->daemon = true;
		break;
	case 'v':
		c->verbose = true;
		break;
	case 'l':
		take_level(c);
		break;
	case 'c':
		c->conf = optarg;
		break;
	case 'p':
		c->pidfile = optarg;
		break;
	case 'u':
		c->user = optarg;
		break;
	case 'n':
		c->what = CLI_CHECK;
		break;
	}
}

/* Its second word is the one that follows. */
static void
take_split(struct cli *c, int argc, char **argv)
{
	c->what = optind < argc ? CLI_SPLIT : CLI_BAD;
	c->conf = optarg;
	c->dir = c->what == CLI_SPLIT ? argv[optind++] : NULL;
	if (!c->dir)
		fprintf(stderr, "--split %s: the folder to write to is missing\n", optarg);
}

/* As with ulogd2, -h, -V and -i win as soon as they are met. */
void
cli_parse(int argc, char **argv, struct cli *ret_cli)
{
	int opt;

	*ret_cli = (struct cli){ .what = CLI_RUN };
	while ((opt = getopt_long(argc, argv, "hVdvl:c:p:u:i:n", longopts, NULL)) != -1) {
		switch (opt) {
		case 'h':
			ret_cli->what = CLI_HELP;
			return;
		case 'V':
			ret_cli->what = CLI_VERSION;
			return;
		case 'i':
		case 'M':
			ret_cli->what = opt == 'i' ? CLI_INFO : CLI_MAN;
			ret_cli->plugin = optarg;
			return;
		case 'S':
			take_split(ret_cli, argc, argv);
			return;
		case '?':
			ret_cli->what = CLI_BAD;
			return;
		default:
			take(ret_cli, opt);
			if (ret_cli->what == CLI_BAD)
				return;
		}
	}
}
