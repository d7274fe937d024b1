/* Command-line options by table: one row parses, checks and documents an option. Rows marked live
 * may also be set while the program runs (`set NAME VALUE` on its control socket).
 */
#ifndef POSTERN_SIM_OPT_H
#define POSTERN_SIM_OPT_H

#include "tests/sim/sim.h"

enum sim_opt_type {
	OPT_FLAG,  /* bool; no value */
	OPT_STR,   /* struct str into argv */
	OPT_U64,   /* uint64_t */
	OPT_F64,   /* double ≥ 0 */
	OPT_SHARE, /* double 0…1, also "1%" */
	OPT_DUR,   /* uint64_t ns: 50us 20ms 3s 5m 2h 14d */
	OPT_SPAN,  /* struct sim_span: 20ms, or 10ms..50ms drawn evenly */
	OPT_CALL,  /* `call` takes the value; may be given several times */
	OPT_GROUP, /* a heading in --help */
};

struct sim_opt {
	enum sim_opt_type type;
	const char *name, *arg, *help;
	size_t offset;
	int (*call)(void *conf, struct str value, struct err *e);
	bool live;
};

/* Fills conf from argv[1…]. 0: go on; 1: --help was printed; -1: *e says what is wrong. */
int sim_opt_parse(const struct sim_opt *opts, const char *usage, void *conf, int argc, char **argv,
	struct err *e);
/* Sets one option while running; -1 when it is unknown, not live, or its value is wrong. The value
 * of an OPT_STR must stay where it is. */
int sim_opt_set(
	const struct sim_opt *opts, void *conf, struct str name, struct str value, struct err *e);
int sim_opt_duration(struct str s, uint64_t *ns_r); /* -1 when it is none */
int sim_opt_share(struct str s, double *share_r);
int sim_opt_number(struct str s, uint64_t *v_r); /* decimal or 0x… */

#endif
