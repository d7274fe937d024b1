/* postern: the composition root. Reads the command line, checks the configuration, starts things
 * in order and ends them in the other. Exit status: 0 stopped as asked, 1 configuration fault,
 * 2 the environment (a port taken, the store not usable).
 */
#include "gateway/base/fault.h"
#include "gateway/base/log.h"
#include "gateway/control/api.h"
#include "gateway/control/control.h"
#include "gateway/flow/gateway.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum { EXIT_CONF = 1, EXIT_ENV = 2 };

static void usage(FILE *to)
{
	fputs("usage: postern -c FILE           run in the foreground, log to stderr\n"
	      "       postern -t -c FILE        check the configuration: every fault, FILE:LINE: "
	      "message\n"
	      "       postern -t --defaults     every key with type, unit and default;\n"
	      "                                 --defaults=offers: of that plugin's files\n"
	      "       postern -V                version\n"
	      "See postern(8) and postern.conf(5).\n",
		to);
}

struct options {
	const char *file;
	const char *plugin; /* whose rows */
	bool check, defaults, man_rows;
};

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "test", no_argument, NULL, 't' },
		{ "defaults", optional_argument, NULL, 'd' },
		{ "man-rows", optional_argument, NULL, 'm' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:tVh", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->file = optarg;
			break;
		case 't':
			o->check = true;
			break;
		case 'd':
			o->defaults = true;
			o->plugin = optarg;
			break;
		case 'm':
			o->man_rows = true;
			o->plugin = optarg;
			break;
		case 'V':
			puts("postern " POSTERN_VERSION);
			exit(0);
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			return -1;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "postern: what is \"%s\"?\n", argv[optind]);
		usage(stderr);
		return -1;
	}
	if (!o->file && !o->defaults && !o->man_rows) {
		fputs("postern: -c FILE is needed\n", stderr);
		usage(stderr);
		return -1;
	}
	return 0;
}

static struct settings *load(const char *file)
{
	struct conf_faults f = { 0 };
	struct settings *s = settings_load(file, &f);

	conf_faults_print(&f, stderr);
	conf_faults_free(&f);
	return s;
}

/* Descriptors are what a busy host runs out of first. */
static void raise_limits(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static void block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigprocmask(SIG_BLOCK, set, NULL); /* before any thread: all inherit it */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit on files is to the store what a full disk is */
}

/* Until asked to stop. A reload runs here, on the main thread. */
static void serve(struct control *ctl, const sigset_t *set)
{
	for (;;) {
		int sig = sigwaitinfo(set, NULL);

		if (sig == SIGHUP) {
			struct buf said = BUF_INIT;

			sd_notify(0, "RELOADING=1");
			control_reload(ctl, false, &said);
			sd_notify(0, "READY=1");
			buf_free(&said);
		} else if (sig > 0) {
			return;
		} else {
			CHECK(errno == EINTR);
		}
	}
}

static int run(const char *file)
{
	struct settings *s = load(file);
	struct err e = { 0 };
	struct gateway *g;
	struct control *ctl = NULL;
	struct api *api = NULL;
	sigset_t set;
	int status = EXIT_ENV;

	if (!s)
		return EXIT_CONF;
	log_set_level((enum log_level)s->log.level);
	log_set_json(s->log.json);
	block_signals(&set);
	raise_limits();
	g = gateway_new(s, &e);
	if (!g) {
		log_error("cannot start", F_ERR(&e));
		settings_free(&s);
		return EXIT_ENV;
	}
	if (gateway_start(g, &e) != 0 || !(api = api_start(g, &e)) ||
		!(ctl = control_start(g, file, api, &e))) {
		log_error("cannot start", F_ERR(&e));
		goto stop;
	}
	log_info("ready", F_STR("version", POSTERN_VERSION), F_STR("node", s->node),
		F_STR("state", s->state));
	sd_notify(0, "READY=1");
	serve(ctl, &set);
	sd_notify(0, "STOPPING=1");
	status = 0;
stop:
	control_stop(ctl);
	api_stop_accepting(api);
	gateway_stop(g);
	api_stop(&api);
	control_free(&ctl);
	gateway_free(&g);
	if (status == 0)
		log_info("stopped");
	return status;
}

/* The rows that are to be printed, NULL: there are none such. */
static const struct conf_item *rows_asked(const struct options *o)
{
	const struct plugin *p = o->plugin ? plugin_by_name(str_of(o->plugin)) : NULL;

	if (!o->plugin)
		return settings_rows;
	if (!p || !p->files)
		fprintf(stderr, "postern: there are no files of a plugin \"%s\"\n", o->plugin);
	return p ? p->files : NULL;
}

int main(int argc, char **argv)
{
	struct options o = { 0 };
	struct settings *s;

	if (parse_options(argc, argv, &o) != 0)
		return EXIT_CONF;
	fault_init(NULL);
	if (o.defaults || o.man_rows) {
		const struct conf_item *rows = rows_asked(&o);

		if (!rows)
			return EXIT_CONF;
		(o.defaults ? conf_print_defaults : conf_print_man)(stdout, rows);
		return 0;
	}
	if (!o.check)
		return run(o.file);
	s = load(o.file);
	if (!s)
		return EXIT_CONF;
	printf("%s: ok\n", o.file);
	settings_free(&s);
	return 0;
}
