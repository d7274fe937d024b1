/* The control socket of the stand-ins that are commanded while they run. */
#include "tests/sim/control.h"

#include <string.h>

void sim_json_n(struct buf *b, const char *name, uint64_t v)
{
	buf_printf(
		b, "%s\"%s\":%llu", b->p[b->n - 1] == '{' ? "" : ",", name, (unsigned long long)v);
}

static void control_line(struct sim_control *k, struct str line, struct buf *out)
{
	struct str verb, name;
	struct err e = { 0 };
	int r = 0;
	str_cut(&line, ' ', &verb);
	line = str_trim(line);
	if (str_is(verb, "stats")) {
		k->ops->stats(k->of, out);
		buf_char(out, '\n');
		return;
	}
	if (str_is(verb, "set")) {
		str_cut(&line, ' ', &name);
		line = arena_str(k->kept, str_trim(line));
		r = sim_opt_set(k->ops->opts, k->conf, name, line, &e);
	} else if (str_is(verb, "drop")) {
		k->ops->drop(k->of);
	} else if (str_is(verb, "quit")) {
		k->listener.loop->stop = true;
	} else {
		r = k->ops->more ? k->ops->more(k->of, verb, line, &e) : 1;
		if (r > 0)
			r = err_set(&e, ERR_INPUT, "commands: %s", k->ops->commands);
	}
	buf_printf(out, "%s%s\n", r < 0 ? "error: " : "ok", r < 0 ? e.text : "");
}

static size_t control_data(struct sim_conn *c, const char *p, size_t n)
{
	struct sim_control *k = c->of;
	size_t took = 0;
	const char *nl;
	while ((nl = memchr(p + took, '\n', n - took))) {
		control_line(k, str_trim(str_n(p + took, (size_t)(nl - p) - took)), &c->out);
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
	const struct sim_control_ops *ops, void *of, void *conf, struct err *e)
{
	c->ops = ops;
	c->of = of;
	c->conf = conf;
	c->kept = arena_new();
	c->listener.of = c;
	c->listener.accepted = control_accepted;
	return sim_listen_unix(l, &c->listener, path.p, e);
}
