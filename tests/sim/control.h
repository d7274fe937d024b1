/* A control socket: a line in, a line out. All take
 *   stats | set OPTION VALUE | drop | quit
 * and who has one says how, and what else it takes.
 */
#ifndef POSTERN_SIM_CONTROL_H
#define POSTERN_SIM_CONTROL_H

#include "tests/sim/loop.h"
#include "tests/sim/opt.h"

struct sim_control_ops {
	const struct sim_opt *opts; /* of `set` */
	void (*stats)(void *of, struct buf *out);
	void (*drop)(void *of);
	/* Any other verb; NULL: there is none. 1: not known, -1: *e says what is wrong. */
	int (*more)(void *of, struct str verb, struct str rest, struct err *e);
	const char *commands; /* all that are taken, in words */
};

struct sim_control {
	struct sim_listener listener;
	const struct sim_control_ops *ops;
	void *of, *conf;
	struct arena *kept; /* the values of options, which may be slices of them */
};

int sim_control_start(struct sim_control *c, struct sim_loop *l, struct str path,
	const struct sim_control_ops *ops, void *of, void *conf, struct err *e);

/* ,"name":v behind what is already there */
void sim_json_n(struct buf *b, const char *name, uint64_t v);

#endif
