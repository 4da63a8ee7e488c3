/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Start, signals, end.  The order of the start: command line, pidfile,
 * background, configuration and graph (nothing opened), inputs, outputs,
 * privileges, and only then the report that all is well.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "background.h"
#include "cli.h"
#include "daemon.h"
#include "handover.h"
#include "info.h"
#include "metrics.h"
#include "opt.h"
#include "pidfile.h"
#include "priv.h"
#include "pulse.h"
#include "reload.h"
#include "run.h"
#include "setup.h"
#include "split.h"

#define HAND_MS 500u /* a hand-over: for outputs of an earlier configuration */

struct daemon {
	struct cli cli;
	struct reload reload;
	struct run run;
	struct priv priv;
	struct handover *handover;
	struct metrics metrics;
	struct pulse *pulse;
	struct loop_fd *sig_watch;
	bool metrics_due; /* another file or interval */
	char *pidfile;    /* absolute, for after chdir() */
	char *conf;       /* the same */
	char *name;       /* of the configuration, which may be a link */
	int sigfd, pid_fd, report_fd;
	unsigned terms; /* SIGTERM and SIGINT so far */
};

static void
on_signal(void *arg)
{
	struct daemon *d = arg;
	struct signalfd_siginfo si;

	while (read(d->sigfd, &si, sizeof(si)) == sizeof(si)) {
		switch (si.ssi_signo) {
		case SIGTERM:
		case SIGINT:
			/* SIGINT is a stop even where the store would keep things. */
			if (!d->terms)
				d->run.handing =
					si.ssi_signo == SIGTERM && handover_is_due(d->handover);
			if (!d->terms++)
				log_notice("Terminal signal received, %s",
					   d->run.handing ? "handing over" : "exiting");
			break;
		case SIGHUP:
			log_notice("signal received, reopening files");
			log_reopen();
			run_reopen(&d->run);
			reload_reopen(&d->reload);
			reload_want(&d->reload);
			break;
		case SIGUSR1:
			run_log_counters(&d->run);
			break;
		case SIGUSR2:
			run_dump(&d->run);
			break;
		default: /* ulogd2 survives them, too */
			log_notice("signal %u received, which does nothing", si.ssi_signo);
		}
	}
}

/* Blocked before any thread is made, so that only the signalfd sees them. */
static int
catch_signals(struct daemon *d)
{
	static const int sigs[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM };
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error of that output */
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(sigs) / sizeof(*sigs); i++)
		sigaddset(&set, sigs[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	d->sigfd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (d->sigfd < 0)
		return -errno;
	return loop_add(d->run.loop, d->sigfd, on_signal, d, &d->sig_watch);
}

static void
look_at_log(void)
{
	char folder[PATH_MAX], path[PATH_MAX];

	if (!log_path(path, sizeof(path)) || priv_may_remake(path, folder, sizeof(folder)))
		return;
	log_warnx("logfile: this user may not make files in %s: after a rotation only a file "
		  "it was given there can be opened",
		  folder);
}

/* Root that stays root loses its capabilities, too. */
static int
become_user(struct daemon *d)
{
	int ret;

	if (d->priv.known && log_fd() >= 0 && fchown(log_fd(), d->priv.uid, d->priv.gid))
		log_warn("log file: cannot be given to user %s", d->priv.name);
	if (d->priv.known && d->pid_fd >= 0 && fchown(d->pid_fd, d->priv.uid, d->priv.gid))
		log_warn("pidfile: cannot be given to user %s", d->priv.name);
	d->priv.keep = d->run.caps;
	ret = priv_drop(&d->priv);
	if (ret) {
		errno = -ret;
		log_fatal("cannot become user %s", d->priv.name);
		return ret;
	}
	if (d->priv.known)
		log_info("running as user %s, with CAP_NET_ADMIN%s at most", d->priv.name,
			 d->priv.keep ? " and what inputs asked for" : "");
	look_at_log();
	return 0;
}

static bool
second_term(void *arg)
{
	return ((const struct daemon *)arg)->terms > 1;
}

static struct setup *
setup(const struct daemon *d)
{
	return &d->reload.gen->setup;
}

static const char *
state_dir(const struct daemon *d)
{
	const char *dir = setup(d)->global.state_dir;

	if (!*dir)
		dir = getenv("STATE_DIRECTORY");
	return dir && *dir ? dir : STATEDIR;
}

/* ---- reload -------------------------------------------------------------------- */

static void
begun(void *arg)
{
	struct daemon *d = arg;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (d->handover)
		notify_send(&d->handover->notify, -1, "RELOADING=1\nMONOTONIC_USEC=%llu\n",
			    (unsigned long long)now.tv_sec * 1000000 +
				    (unsigned long long)now.tv_nsec / 1000);
}

static int
read_again(void *arg, struct setup *s, struct diag *diag)
{
	const struct daemon *d = arg;

	return setup_again(s, d->name, diag);
}

/* The [global] section; what cannot change any more is said. */
static int
settle(void *arg, const struct setup *was, const struct setup *is)
{
	struct daemon *d = arg;
	const struct global_conf *old = &was->global, *new = &is->global;
	int ret = 0;

	if (strcmp(old->logfile, new->logfile) != 0)
		ret = log_open(*new->logfile ? new->logfile : NULL);
	if (ret) {
		errno = -ret;
		log_error("cannot open logfile %s", new->logfile);
		return ret;
	}
	log_set_level(d->cli.loglevel ? d->cli.loglevel : (int)new->loglevel);
	if (strcmp(old->state_dir, new->state_dir) != 0)
		log_notice("%s:%u: state_dir takes effect at the next start", is->conf->file,
			   opt_line(conf_find(is->conf, "global"), "state_dir"));
	if (!metrics_same(old, new))
		d->metrics_due = true;
	return 0;
}

static void
done(void *arg, const struct setup *is, const char *why)
{
	struct daemon *d = arg;

	if (why)
		log_errorx("%s is not used, all goes on as before: %s", d->conf, why);
	d->run.graph = &setup(d)->graph;
	pulse_renew(d->pulse);
	if (d->metrics_due && metrics_change(&d->metrics, &d->run, &is->global))
		log_warnx("no timer for metrics_file");
	d->metrics_due = false;
	if (d->handover)
		notify_send(&d->handover->notify, -1, "READY=1\nSTATUS=%u stacks at work%s%s\n",
			    graph_live_stacks(d->run.graph),
			    why ? "; the configuration was not reloaded: " : "",
			    why ? why : "");
}

static int
start_reload(struct daemon *d)
{
	d->reload.run = &d->run;
	d->reload.begun = begun;
	d->reload.read = read_again;
	d->reload.settle = settle;
	d->reload.done = done;
	d->reload.arg = d;
	return reload_init(&d->reload);
}

/* ---- start and end ------------------------------------------------------------- */

/* From opened log to the main loop; the exit code, 0 when it can run. */
static int
start(struct daemon *d)
{
	int ret;

	log_info("ctflowd Version " VERSION " starting");
	ret = loop_new(&d->run.loop);
	if (!ret)
		ret = catch_signals(d);
	if (ret) {
		errno = -ret;
		log_fatal("event loop");
		return 1;
	}
	d->run.graph = &setup(d)->graph;
	d->run.priv = &d->priv;
	d->run.handover = d->handover;
	ret = start_reload(d);
	if (ret)
		return 1;
	handover_load(d->handover);
	if (!setup(d)->no_stack && kept_wanted(d->run.graph))
		d->run.state = state_open(state_dir(d), d->conf, &d->priv);
	if (setup(d)->no_stack || run_start(&d->run)) {
		log_fatalx("not even a single working plugin stack");
		return 1;
	}
	if (become_user(d))
		return 1;
	run_go(&d->run);
	if (d->run.state)
		d->pulse = pulse_start(&d->run);
	if (metrics_start(&d->metrics, &d->run, &setup(d)->global))
		log_warnx("no timer for metrics_file");
	if (d->pid_fd >= 0 && pidfile_write(d->pid_fd)) {
		log_fatal("pidfile %s", d->cli.pidfile);
		return 1;
	}
	return 0;
}

static void
main_loop(struct daemon *d)
{
	log_info("initialization finished, entering main loop");
	if (d->handover)
		notify_send(&d->handover->notify, -1,
			    "READY=1\nMAINPID=%d\nSTATUS=%u stacks at work\n", (int)getpid(),
			    graph_live_stacks(d->run.graph));
	while (!d->terms && run_alive(&d->run)) {
		int ret = loop_once(d->run.loop, -1);

		if (!d->terms)
			reload_step(&d->reload);
		if (ret) {
			errno = -ret;
			log_fatal("event loop");
			d->run.failed = true;
			return;
		}
	}
}

/* What an earlier configuration has left, then all else, in the time for both. */
static bool
stop_all(struct daemon *d)
{
	uint64_t ms = setup(d)->global.stop_timeout, begin = ctf_mono_ms(), took;
	bool ended;

	if (d->reload.timer)
		reload_end(&d->reload, d->run.handing && ms > HAND_MS ? HAND_MS : ms,
			   second_term, d);
	took = ctf_mono_ms() - begin;
	ended = run_stop(&d->run, ms > took ? ms - took : 0, second_term, d);
	return reload_ended(&d->reload, second_term, d) && ended;
}

static void
end(struct daemon *d, int code)
{
	bool clean = true;

	if (d->handover)
		notify_send(&d->handover->notify, -1, "STOPPING=1\n");
	if (d->run.graph && d->run.graph->run) {
		pulse_phase(d->pulse, PULSE_STOPPING);
		clean = stop_all(d);
		run_log_counters(&d->run);
		metrics_write(&d->metrics);
		pulse_stop(d->pulse, d->run.handing ? PULSE_HANDED : PULSE_STOPPED);
	}
	if (d->pid_fd >= 0)
		pidfile_remove(d->pidfile ? d->pidfile : d->cli.pidfile, d->pid_fd);
	free(d->pidfile);
	if (!clean) {
		log_errorx("exiting without waiting for what hangs");
		_exit(code);
	}
	metrics_end(&d->metrics);
	gen_unref(d->reload.gen);
	state_close(d->run.state);
	loop_free(d->run.loop);
	if (d->sigfd >= 0)
		close(d->sigfd);
	log_close();
}

static int
run_daemon(struct daemon *d)
{
	int code = 0;

	d->sigfd = d->pid_fd = d->report_fd = -1;
	log_set_starting(true);
	log_set_verbose(d->cli.verbose && !d->cli.daemon);
	d->conf = setup_conf_path(d->cli.conf);
	d->name = d->conf ? setup_conf_name(d->cli.conf) : NULL;
	d->reload.gen = d->name ? gen_new() : NULL;
	if (!d->reload.gen) {
		free(d->name);
		free(d->conf);
		return 1;
	}
	if (d->cli.pidfile && pidfile_open(d->cli.pidfile, &d->pid_fd))
		code = 1;
	if (d->pid_fd >= 0)
		d->pidfile = realpath(d->cli.pidfile, NULL);
	if (!code && d->cli.daemon && background_start(&d->report_fd))
		code = 1;
	/* Before any other path is used, so that all of them mean the same. */
	if (!code && d->cli.daemon && chdir("/"))
		log_warn("chdir /");
	if (!code)
		code = setup_load(setup(d), d->conf, d->cli.loglevel, true);
	if (!code && d->cli.verbose && d->cli.daemon)
		log_errorx("suppressing verbose output: not with -d");
	if (!code)
		code = start(d);
	background_done(d->report_fd, code);
	log_set_starting(false);
	if (code)
		handover_freeze(d->handover);
	if (!code) {
		main_loop(d);
		code = d->run.failed ? 1 : 0;
	}
	end(d, code);
	free(d->conf);
	free(d->name);
	return code;
}

/* The exit code, when all went to stdout that should. */
static int
said_all(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	fprintf(stderr, "stdout: %s\n", strerror(errno));
	return 1;
}

static int
check(const struct cli *cli)
{
	struct setup s = { 0 };
	char *conf;
	int code;

	log_open("stderr");
	conf = setup_conf_path(cli->conf);
	code = conf ? setup_load(&s, conf, cli->loglevel, false) : 1;
	if (!code && s.no_stack) {
		log_fatalx("not even a single working plugin stack");
		code = 1;
	}
	if (!code && setup_refused(&s))
		code = 1;
	if (s.global_parsed && cli->verbose && !s.no_stack)
		info_config(stdout, s.conf, &s.global, &s.plan, &s.graph);
	setup_free(&s);
	free(conf);
	return said_all(code);
}

static int
show_plugin(const struct cli *cli)
{
	struct plugin_set *set = plugin_set_new();
	const struct ctf_plugin *p;
	struct ctf_err err = { 0 };
	int code = 0;

	if (!set)
		return 1;
	if (cli->what == CLI_MAN) {
		code = info_man(stdout, set, cli->plugin) ? 1 : 0;
	} else if (strcmp(cli->plugin, "global") == 0) {
		info_global(stdout);
	} else if ((p = setup_plugin(set, cli->plugin, &err))) {
		info_plugin(stdout, p);
	} else {
		fprintf(stderr, "%s\n", err.msg);
	}
	plugin_set_free(set);
	return said_all(code);
}

static int
do_what(struct daemon *d, const char *name)
{
	switch (d->cli.what) {
	case CLI_HELP:
		cli_usage(name);
		return 0;
	case CLI_VERSION:
		printf("ctflowd Version " VERSION "\n"
		       "Licensed under the GNU General Public License, version 2 or later.\n"
		       "There is no warranty.\n");
		return 0;
	case CLI_BAD:
		cli_usage(name);
		return 1;
	case CLI_INFO:
	case CLI_MAN:
		return show_plugin(&d->cli);
	case CLI_CHECK:
		return check(&d->cli);
	case CLI_SPLIT:
		log_open("stderr");
		return said_all(split_conf(d->cli.conf, d->cli.dir, stdout));
	case CLI_RUN:
		break;
	}
	return run_daemon(d);
}

int
ctf_main(int argc, char **argv)
{
	struct daemon d = { .sigfd = -1 };
	int code = 1;

	d.handover = handover_new(); /* before other descriptors are opened */
	background_fill_fds();
	cli_parse(argc, argv, &d.cli);
	if (d.cli.user && priv_lookup(d.cli.user, &d.priv))
		fprintf(stderr, "Unknown user %s.\n", d.cli.user);
	else
		code = do_what(&d, argv[0]);
	handover_free(d.handover);
	return code;
}
