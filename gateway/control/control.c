/* The control socket. See control.h. Accepts on a loop of its own; each request runs on a worker,
 * which may block and may take its time (a backup).
 */
#include "gateway/control/control.h"
#include "gateway/base/log.h"
#include "gateway/base/mem.h"
#include "gateway/base/waiter.h"
#include "gateway/control/control_read.h"
#include "gateway/control/view.h"
#include "gateway/http/json.h"

#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { REQUEST_MOST = 256 * 1024, REQUEST_WAIT_MS = 5000 };

struct control {
	struct gateway *g;
	struct api *api;
	char *conf_file, *path;
	struct loop *loop;
	struct io io;
	int fd;
	sem_t reloading; /* one at a time */
	_Atomic unsigned running;
};

/* One request, on a worker. */
struct request {
	struct chore work; /* first */
	struct control *c;
	int fd;
	struct control_request said;
	struct buf out;
	bool failed;
};

static const char *arg(const struct request *r, size_t i)
{
	return control_arg(&r->said, i);
}

static const char *option(const struct request *r, const char *name)
{
	return control_option(&r->said, name);
}

static void fail(struct request *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct request *r, const char *fmt, ...)
{
	struct buf text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	buf_reset(&r->out);
	buf_json(&r->out, buf_view(&text));
	buf_free(&text);
	r->failed = true;
}

static bool send_all(int fd, struct str s)
{
	while (s.n) {
		ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			struct pollfd p = { .fd = fd, .events = POLLOUT };

			if (poll(&p, 1, REQUEST_WAIT_MS) <= 0)
				return false;
			continue;
		}
		if (n < 0)
			return false;
		s = str_skip(s, (size_t)n);
	}
	return true;
}

static void say_progress(void *ctx, double share)
{
	struct request *r = ctx;
	struct buf b = BUF_INIT;

	buf_printf(&b, "{\"progress\":%.3f}\n", share);
	send_all(r->fd, buf_view(&b));
	buf_free(&b);
}

static bool message_id(struct request *r, size_t i, uint64_t *id_r)
{
	const char *s = arg(r, i);

	if (s && str_u64(str_of(s), id_r))
		return true;
	fail(r, "a message id (digits) is needed");
	return false;
}

/* ---- verbs ---- */
static void verb_status(struct request *r)
{
	gateway_status(r->c->g, &r->out);
}

static void verb_channels(struct request *r)
{
	gateway_channels(r->c->g, NULL, &r->out);
}

static void verb_channel(struct request *r)
{
	static const char *const words[] = { "hold", "resume", "drain" };
	const char *what = arg(r, 0), *name = arg(r, 1);
	struct err e;

	if (what && !name) {
		if (!gateway_channels(r->c->g, what, &r->out))
			fail(r, "there is no channel \"%s\"", what);
		return;
	}
	for (int i = 0; what && i < 3; i++) {
		if (strcmp(what, words[i]) != 0)
			continue;
		if (gateway_channel_verb(r->c->g, name, (enum gateway_verb)i, &e) != 0) {
			fail(r, "%s", e.text);
			return;
		}
		log_info("channel mode", F_STR("channel", name), F_STR("mode", what));
		gateway_channels(r->c->g, name, &r->out);
		return;
	}
	fail(r, "channel NAME, or channel hold|resume|drain NAME");
}

static void verb_message(struct request *r)
{
	struct store_view v;
	struct err e;
	uint64_t id;
	int found;

	if (!message_id(r, 0, &id))
		return;
	found = store_find(gateway_store(r->c->g), id, false, &v, &e);
	if (found < 0)
		fail(r, "%s", e.text);
	else if (found == 0)
		fail(r, "there is no message %lu", id);
	if (found <= 0)
		return;
	view_put_json(&r->out, r->c->g, &v, false);
	store_view_free(&v);
}

/* Of one command; each piece of it is two seconds at most (store_search). */
#define SEARCH_LONGEST (12 * DUR_S)

struct search {
	struct request *r;
	unsigned n;
};

static bool search_row(void *ctx, const struct store_view *v)
{
	struct search *s = ctx;

	if (s->n++)
		buf_char(&s->r->out, ',');
	view_put_json(&s->r->out, s->r->c->g, v, false);
	return true;
}

/* The number of a name that is asked for; false and the request fails when there is none. */
static bool number_option(
	struct request *r, const char *name, enum store_name_kind kind, uint32_t *number_r)
{
	const char *v = option(r, name);

	if (v && !(*number_r = gateway_number(r->c->g, kind, str_of(v)))) {
		fail(r, "there is no %s \"%s\"", name, v);
		return false;
	}
	return true;
}

/* Rows, and beside them that there may be more. */
static void found_so_far(struct request *r, uint64_t next)
{
	struct buf rows = r->out;

	r->out = (struct buf)BUF_INIT;
	fail(r, "searched down to %lu only; --before %lu goes on from there", next, next);
	buf_c(&r->out, ",\"out\":");
	buf_str(&r->out, buf_view(&rows));
	buf_free(&rows);
}

static void verb_messages(struct request *r)
{
	struct store_filter f;
	struct search s = { r, 0 };
	mono_t end = clock_mono() + SEARCH_LONGEST;
	struct address to;
	uint64_t next = 0;
	unsigned most;
	struct err e;

	if (control_filter_read(&r->said, clock_wall(), &f, &e) != 0) {
		fail(r, "%s", e.text);
		return;
	}
	if (!number_option(r, "channel", STORE_CHANNEL, &f.channel) ||
		!number_option(r, "submitter", STORE_SUBMITTER, &f.submitter))
		return;
	buf_char(&r->out, '[');
	f.down_to = &next;
	most = f.most;
	f.to = view_number(r->c->g, f.to, &to);
	do {
		if (store_search(gateway_store(r->c->g), &f, search_row, &s, &e) < 0) {
			fail(r, "%s", e.text);
			return;
		}
		f.before_id = next;
		f.most = most - s.n;
	} while (next && s.n < most && clock_mono() < end);
	buf_char(&r->out, ']');
	if (next && s.n < most)
		found_so_far(r, next);
}

static void verb_cancel(struct request *r)
{
	enum reason why;
	uint64_t id;

	if (!message_id(r, 0, &id))
		return;
	why = gateway_cancel(r->c->g, id, 0);
	if (why != REASON_NONE)
		fail(r, "message %lu: %s", id, reason_text(why));
	else
		buf_printf(&r->out, "{\"cancelled\":\"%lu\"}", id);
}

static void verb_requeue(struct request *r)
{
	struct err e = { 0 };
	uint64_t id;

	if (!message_id(r, 0, &id))
		return;
	if (gateway_requeue(r->c->g, id, option(r, "channel"), &e) != REASON_NONE)
		fail(r, "%s", e.text);
	else
		buf_printf(&r->out, "{\"requeued\":\"%lu\"}", id);
}

static void verb_backup(struct request *r)
{
	const char *path = arg(r, 0);
	struct err e;

	if (!path || path[0] != '/') {
		fail(r, "backup FILE: an absolute path is needed");
		return;
	}
	if (store_backup(gateway_store(r->c->g), path, say_progress, r, &e) != 0) {
		fail(r, "%s", e.text);
		return;
	}
	buf_c(&r->out, "{\"backup\":");
	buf_json(&r->out, str_of(path));
	buf_char(&r->out, '}');
}

static void verb_log(struct request *r)
{
	enum log_level l;
	const char *want = arg(r, 0);

	if (want && !log_level_parse(str_of(want), &l)) {
		fail(r, "\"%s\" is not a level (error, warn, info, debug)", want);
		return;
	}
	if (want) {
		log_set_level(l);
		log_info("log level", F_STR("level", want));
	}
	buf_printf(&r->out, "{\"level\":\"%s\"}", log_level_name(log_level_now()));
}

static void verb_reload(struct request *r)
{
	struct buf said = BUF_INIT;
	bool dry = option(r, "dry-run") != NULL;
	int result = control_reload(r->c, dry, &said);

	if (result != 0) {
		fail(r, "%.*s", STR_ARG(buf_view(&said)));
	} else {
		buf_printf(&r->out, "{\"dry_run\":%s,\"changes\":", dry ? "true" : "false");
		buf_json(&r->out, buf_view(&said));
		buf_char(&r->out, '}');
	}
	buf_free(&said);
}

static void verb_metrics(struct request *r)
{
	struct buf b = BUF_INIT;

	stat_put_prometheus(&b);
	buf_json(&r->out, buf_view(&b));
	buf_free(&b);
}

static void verb_send(struct request *r)
{
	struct buf text = BUF_INIT;
	struct err e = { 0 };

	json_write(&text, r->said.options);
	if (api_submit_text(r->c->api, buf_view(&text), &r->out, &e) != 0)
		fail(r, "%s", e.text);
	buf_free(&text);
}

static const struct verb {
	const char *name;
	void (*run)(struct request *r);
} verbs[] = {
	{ "status", verb_status },
	{ "channels", verb_channels },
	{ "channel", verb_channel },
	{ "queue", verb_channel },
	{ "message", verb_message },
	{ "messages", verb_messages },
	{ "cancel", verb_cancel },
	{ "requeue", verb_requeue },
	{ "backup", verb_backup },
	{ "log", verb_log },
	{ "reload", verb_reload },
	{ "metrics", verb_metrics },
	{ "send", verb_send },
};

/* ---- verbs of plugins ---- */
static const char *words_option(const struct plugin_words *w, const char *name)
{
	const struct request *r = w->private;

	return option(r, name);
}

static void words_progress(const struct plugin_words *w, double share)
{
	say_progress(w->private, share);
}

static const struct plugin_verb *verb_of_plugin(const struct request *r, struct plugin_host **h_r)
{
	for (size_t i = 0; (*h_r = gateway_plugin_at(r->c->g, i)) != NULL; i++)
		for (const struct plugin_verb *v = (*h_r)->plugin->verbs; v && v->name; v++)
			if (strcmp(v->name, r->said.verb) == 0)
				return v;
	return NULL;
}

static void run_plugin_verb(struct request *r, const struct plugin_verb *v, struct plugin_host *h)
{
	size_t n = json_array_size(r->said.args);
	const char **args = mem_alloc((n + 1) * sizeof *args);
	struct buf out = BUF_INIT;
	struct err e = { 0 };
	int rc;
	struct plugin_words w = { .host = h,
		.args_n = n,
		.args = args,
		.option = words_option,
		.progress = words_progress,
		.as_json = option(r, "json") != NULL,
		.out = &out,
		.private = r };

	for (size_t i = 0; i < n; i++)
		args[i] = arg(r, i) ? arg(r, i) : "";
	rc = v->run(&w, &e);
	if (rc != 0)
		fail(r, "%s", e.text[0] ? e.text : "refused");
	if (rc > 0)
		buf_c(&r->out, ",\"out\":");
	if (rc >= 0 && w.as_json && out.n)
		buf_str(&r->out, buf_view(&out));
	else if (rc >= 0 && w.as_json)
		buf_c(&r->out, "{}");
	else if (rc >= 0)
		buf_json(&r->out, buf_view(&out));
	buf_free(&out);
	mem_free(&args);
}

/* ---- requests ---- */
static bool read_line(int fd, struct buf *b)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (b->n > REQUEST_MOST || poll(&p, 1, REQUEST_WAIT_MS) <= 0)
			return false;
		buf_reserve(b, 4096);
		n = recv(fd, b->p + b->n, 4096, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return false;
		b->n += (size_t)n;
		if (memchr(b->p + b->n - n, '\n', (size_t)n))
			return true;
	}
}

static void answer_request(struct request *r, struct str line)
{
	size_t i = 0, n = sizeof verbs / sizeof verbs[0];
	const struct plugin_verb *of_plugin;
	struct plugin_host *h;
	struct err e;

	if (control_request_read(&r->said, line, &e) != 0) {
		fail(r, "%s", e.text);
		return;
	}
	while (i < n && strcmp(verbs[i].name, r->said.verb) != 0)
		i++;
	if (i < n)
		verbs[i].run(r);
	else if ((of_plugin = verb_of_plugin(r, &h)) != NULL)
		run_plugin_verb(r, of_plugin, h);
	else
		fail(r, "unknown verb \"%s\"", r->said.verb);
	control_request_free(&r->said);
}

static void request_call(struct chore *w)
{
	struct request *r = (struct request *)w;
	struct buf in = BUF_INIT, out = BUF_INIT;

	if (read_line(r->fd, &in)) {
		answer_request(r, buf_view(&in));
		buf_c(&out, r->failed ? "{\"error\":" : "{\"ok\":");
		buf_str(&out, buf_view(&r->out));
		buf_c(&out, "}\n");
		send_all(r->fd, buf_view(&out));
	}
	close(r->fd);
	buf_free(&in);
	buf_free(&out);
	buf_free(&r->out);
}

static void request_done(struct chore *w)
{
	struct request *r = (struct request *)w;

	atomic_fetch_sub(&r->c->running, 1);
	mem_free(&r);
}

static void accept_ready(struct io *io, unsigned what)
{
	struct control *c = CONTAINER(io, struct control, io);
	int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);
	struct request *r;

	if (fd < 0)
		return;
	r = mem_new(struct request);
	r->c = c;
	r->fd = fd;
	r->work.reply = c->loop;
	r->work.call = request_call;
	r->work.done = request_done;
	atomic_fetch_add(&c->running, 1);
	workers_do(&r->work);
}

/* ---- reload ---- */
int control_reload(struct control *c, bool dry, struct buf *said)
{
	struct conf_faults f = { 0 };
	struct settings *s;
	struct err e = { 0 };
	int result = -1;

	while (sem_wait(&c->reloading) != 0)
		;
	s = settings_load(c->conf_file, &f);
	conf_faults_text(&f, said);
	if (!s) {
		size_t i = 0;

		while (i < f.n && f.v[i].warning)
			i++;
		log_error("reload refused", F_U64("faults", f.errors), F_STR("file", c->conf_file),
			F_STR("at", i < f.n ? f.files[f.v[i].file] : ""),
			F_U64("line", i < f.n ? f.v[i].line : 0),
			F_STR("first", i < f.n ? f.v[i].text : ""));
	} else if (gateway_reload(c->g, s, dry, said, &e) != 0) {
		log_error("reload failed", F_ERR(&e));
		buf_c(said, e.text);
	} else if (dry) {
		result = 0;
	} else {
		struct settings *taken = s;

		s = NULL; /* the gateway's now */
		result = api_reload(c->api, taken, &e);
		if (result != 0) {
			log_error("reload of the HTTP API failed", F_ERR(&e));
			buf_c(said, e.text);
		} else {
			log_info("reloaded", F_STR("file", c->conf_file));
		}
	}
	settings_free(&s);
	conf_faults_free(&f);
	sem_post(&c->reloading);
	return result;
}

/* ---- life ---- */
static int open_socket(struct control *c, int mode, struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (strlen(c->path) >= sizeof sa.sun_path)
		return err_set(e, ERR_CONF, "%s: too long for a socket's path", c->path);
	str_copy(sa.sun_path, sizeof sa.sun_path, str_of(c->path));
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return err_set(e, ERR_ENV, "control socket: %m");
	/* The lock on the state directory has made sure that no other daemon uses it. */
	unlink(c->path);
	if (bind(c->fd, (struct sockaddr *)&sa, sizeof sa) != 0 ||
		chmod(c->path, (mode_t)mode) != 0 || listen(c->fd, 64) != 0) {
		err_set(e, ERR_ENV, "%s: %m", c->path);
		close(c->fd);
		return -1;
	}
	return 0;
}

static void io_start(void *arg_)
{
	struct control *c = arg_;

	io_open(c->loop, &c->io, c->fd, accept_ready);
	io_wait_for(&c->io, IO_READ);
}

static void io_end(void *arg_)
{
	struct control *c = arg_;

	io_close(&c->io);
}

struct control *control_start(
	struct gateway *g, const char *conf_file, struct api *api, struct err *e)
{
	struct control *c = mem_new(struct control);
	const struct settings *s = gateway_settings(g);
	struct buf path = BUF_INIT;

	c->g = g;
	c->api = api;
	c->conf_file = mem_dup(str_of(conf_file));
	buf_printf(&path, "%s/control.sock", s->state);
	c->path = mem_dup(buf_view(&path));
	buf_free(&path);
	sem_init(&c->reloading, 0, 1);
	if (open_socket(c, s->control_mode, e) != 0)
		goto fail;
	c->loop = loop_new("control");
	if (loop_start(c->loop, e) != 0)
		goto fail;
	loop_call(c->loop, io_start, c);
	return c;
fail:
	mem_free(&c->path);
	mem_free(&c->conf_file);
	mem_free(&c);
	return NULL;
}

void control_stop(struct control *c)
{
	if (!c)
		return;
	loop_call(c->loop, io_end, c);
	unlink(c->path);
	close(c->fd);
	while (atomic_load(&c->running)) /* requests under way end by themselves */
		poll(NULL, 0, 1);
	loop_stop(c->loop);
	loop_join(c->loop);
}

void control_free(struct control **cp)
{
	struct control *c = *cp;

	if (!c)
		return;
	loop_free(&c->loop);
	sem_destroy(&c->reloading);
	mem_free(&c->path);
	mem_free(&c->conf_file);
	mem_free(cp);
}
