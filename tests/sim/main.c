/* posternsim: stand-ins for the far side of a messaging gateway. One program, a subcommand each;
 * see posternsim(1).
 */
#include "tests/sim/sim.h"

#include <stdio.h>

const struct sim_command sim_commands[] = {
	{ "smsc", "an SMSC: takes submit_sm, gives receipts and subscribers' messages",
		sim_smsc_main },
	{ "esme", "an ESME: submits, and checks that each message gets its one receipt",
		sim_esme_main },
	{ "http", "an HTTP client: POST /v1/messages, or any GET, as load", sim_http_main },
	{ "webhook", "a receiver of webhooks that checks their signatures", sim_webhook_main },
	{ "smtp", "a mail server: takes mail and tells what it took", sim_smtp_main },
	{ "mail", "a submitter of mail, through libesmtp", sim_mail_main },
	{ "ceiling", "ESME straight to SMSC: what these tools can do at most", sim_ceiling_main },
	{ "prove", "holds what was acknowledged against what smsc or smtp took", sim_prove_main },
	{ "control", "a command to a running smsc or smtp", sim_control_main },
	{ "codecs", "our quick codec held against libsmpp34", sim_codecs_main },
	{ .name = NULL },
};

static void usage(FILE *to)
{
	fputs("usage: posternsim COMMAND [options]; posternsim COMMAND --help tells its "
	      "options\n\n",
		to);
	for (const struct sim_command *c = sim_commands; c->name; c++)
		fprintf(to, "  %-10s %s\n", c->name, c->summary);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return SIM_USAGE;
	}
	struct str name = str_of(argv[1]);
	if (str_is(name, "--help") || str_is(name, "-h") || str_is(name, "help")) {
		usage(stdout);
		return SIM_OK;
	}
	if (str_is(name, "-V") || str_is(name, "--version")) {
		printf("posternsim %s\n", POSTERN_VERSION);
		return SIM_OK;
	}
	for (const struct sim_command *c = sim_commands; c->name; c++)
		if (str_is(name, c->name))
			return c->run(argc - 1, argv + 1);
	sim_say("there is no \"%s\"", argv[1]);
	usage(stderr);
	return SIM_USAGE;
}
