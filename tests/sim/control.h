/* A control socket: a line in, a line out. Who has one gives the function that answers a line. */
#ifndef POSTERN_SIM_CONTROL_H
#define POSTERN_SIM_CONTROL_H

#include "tests/sim/loop.h"

struct sim_control {
	struct sim_listener listener;
	void (*line)(void *of, struct str line, struct buf *out);
	void *of;
};

int sim_control_start(struct sim_control *c, struct sim_loop *l, struct str path,
	void (*line)(void *of, struct str line, struct buf *out), void *of, struct err *e);

/* ,"name":v behind what is already there */
void sim_json_n(struct buf *b, const char *name, uint64_t v);

#endif
