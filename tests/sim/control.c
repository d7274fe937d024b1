/* The control socket of the stand-ins that are commanded while they run. */
#include "tests/sim/control.h"

#include <string.h>

void sim_json_n(struct buf *b, const char *name, uint64_t v)
{
	buf_printf(
		b, "%s\"%s\":%llu", b->p[b->n - 1] == '{' ? "" : ",", name, (unsigned long long)v);
}

static size_t control_data(struct sim_conn *c, const char *p, size_t n)
{
	struct sim_control *k = c->of;
	size_t took = 0;
	const char *nl;
	while ((nl = memchr(p + took, '\n', n - took))) {
		k->line(k->of, str_trim(str_n(p + took, (size_t)(nl - p) - took)), &c->out);
		took = (size_t)(nl - p) + 1;
	}
	sim_conn_dirty(c);
	return took;
}

static void control_closed(struct sim_conn *c, const char *why) {}

static const struct sim_conn_ops control_ops = { NULL, control_data, control_closed };

static void control_accepted(struct sim_listener *l, int fd)
{
	sim_conn_new(l->loop, fd, &control_ops, l->of, NULL);
}

int sim_control_start(struct sim_control *c, struct sim_loop *l, struct str path,
	void (*line)(void *of, struct str line, struct buf *out), void *of, struct err *e)
{
	c->line = line;
	c->of = of;
	c->listener.of = c;
	c->listener.accepted = control_accepted;
	return sim_listen_unix(l, &c->listener, path.p, e);
}
