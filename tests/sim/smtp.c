/* posternsim smtp: sessions from accept to close, what is said when, and what goes wrong. */
#include "tests/sim/smtp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

static void count_status(struct sink *k, struct str reply)
{
	uint64_t code = 0;
	if (reply.n < 3 || !str_u64(str_n(reply.p, 3), &code))
		return;
	for (unsigned i = 0; i < k->stats.statuses; i++)
		if (k->stats.status[i].code == code) {
			k->stats.status[i].n++;
			return;
		}
	if (k->stats.statuses < sizeof(k->stats.status) / sizeof(k->stats.status[0])) {
		k->stats.status[k->stats.statuses].code = (unsigned)code;
		k->stats.status[k->stats.statuses++].n = 1;
	}
}

static void session_secure(struct mail_session *s)
{
	s->secure_next = false;
	s->greeted = true;
	s->sink->stats.plaintext_after_starttls += s->conn->in_n > 0;
	sim_conn_secure(s->conn, s->sink->tls);
}

/* The answers to mails that the kernel did not get, of those in `told`. */
static unsigned told_in_vain(const struct mail_session *s)
{
	unsigned n = 0;
	uint64_t end;
	for (size_t i = 0; i < s->told.n; i += sizeof(end)) {
		memcpy(&end, s->told.p + i, sizeof(end));
		n += end > s->conn->sent;
	}
	return n;
}

/* The answer to a mail is behind what is to be sent now. */
static void note_told(struct mail_session *s)
{
	uint64_t end = s->conn->sent + s->conn->out.n - s->conn->out_done;
	if (!told_in_vain(s))
		buf_reset(&s->told);
	buf_add(&s->told, &end, sizeof(end));
	s->for_mail = false;
}

static void session_say(struct mail_session *s)
{
	if (s->conn->is_dead)
		return;
	if (s->reply.n) {
		count_status(s->sink, buf_view(&s->reply));
		buf_str(&s->conn->out, buf_view(&s->reply));
		buf_c(&s->conn->out, "\r\n");
		buf_reset(&s->reply);
		if (s->for_mail)
			note_told(s);
		sim_conn_dirty(s->conn);
	} else if (s->closing) { /* in the middle of it, without a word */
		sim_conn_close(s->conn, "dropped");
		return;
	}
	if (s->closing)
		sim_conn_finish(s->conn);
}

void sink_say_later(struct mail_session *s, uint64_t delay, bool close, const char *fmt, ...)
{
	va_list ap;
	buf_reset(&s->reply);
	va_start(ap, fmt);
	buf_vprintf(&s->reply, fmt, ap);
	va_end(ap);
	s->closing |= close;
	if (!delay) {
		session_say(s);
		return;
	}
	s->waiting = true;
	s->due = s->sink->loop.now + delay;
	if (!s->in_wheel) {
		s->in_wheel = true;
		sim_wheel_add(&s->sink->wheel, s->index, s->due);
	}
}

uint64_t sink_latency(struct mail_session *s)
{
	struct sink *k = s->sink;
	return k->conf.reply_latency.hi ? sim_span_draw(&k->conf.reply_latency, &k->rng) : 0;
}

bool sink_misbehaves(struct mail_session *s, enum sink_stage stage)
{
	struct sink *k = s->sink;
	for (unsigned i = 0; i < k->conf.drops; i++) {
		struct sink_rule *r = &k->conf.drop[i];
		if (r->stage != stage || !r->times || !sim_rng_hit(&k->rng, r->p))
			continue;
		if (r->times != UINT64_MAX)
			r->times--;
		k->stats.drops++;
		sim_conn_close(s->conn, "dropped");
		return true;
	}
	for (unsigned i = 0; i < k->conf.errors; i++) {
		const struct sink_rule *r = &k->conf.error[i];
		if (r->stage != stage || !sim_rng_hit(&k->rng, r->p))
			continue;
		sink_say_later(s, sink_latency(s),
			stage == AT_CONNECT || str_starts(r->reply, STR("421")), "%.*s",
			STR_ARG(r->reply));
		return true;
	}
	return false;
}

void sink_reset(struct mail_session *s)
{
	for (unsigned i = 0; i < s->rcpts; i++) {
		mem_free(&s->rcpt[i].to);
		mem_free(&s->rcpt[i].params);
	}
	s->rcpts = 0;
	mem_free(&s->from);
	mem_free(&s->params);
	s->in_mail = s->chunking = false;
}

static void session_greet(struct mail_session *s)
{
	struct sink *k = s->sink;
	if (s->greeted) { /* after STARTTLS nothing is said */
		k->stats.tls++;
		return;
	}
	s->greeted = true;
	k->stats.tls += s->conn->tls != NULL;
	if (k->conf.connections && k->open > k->conf.connections) {
		k->stats.refused_connections++;
		sink_say_later(s, 0, true, "421 4.7.0 %llu connections are enough",
			(unsigned long long)k->conf.connections);
		return;
	}
	if (!sink_misbehaves(s, AT_CONNECT))
		sink_say_later(s, sink_latency(s), false, "220 %.*s ESMTP posternsim",
			STR_ARG(k->conf.hostname));
}

static size_t session_line(struct mail_session *s, const char *p, size_t n)
{
	const char *nl = memchr(p, '\n', n);
	if (!nl) {
		if (n > SINK_LINE)
			sim_conn_close(s->conn, "a line without an end");
		return 0;
	}
	size_t len = (size_t)(nl - p);
	struct str line = str_n(p, len && p[len - 1] == '\r' ? len - 1 : len);
	if (s->mode == MODE_AUTH) {
		s->mode = MODE_LINE;
		sink_auth_line(s, line);
	} else {
		sink_command(s, line);
	}
	return len + 1;
}

static size_t session_data(struct sim_conn *c, const char *p, size_t n)
{
	struct mail_session *s = c->of;
	size_t took = 0;
	s->heard = s->sink->loop.now;
	while (took < n && !c->is_dead && !s->waiting && !s->closing) {
		size_t one = s->mode == MODE_DATA || s->mode == MODE_BDAT
				     ? sink_content(s, p + took, n - took)
				     : session_line(s, p + took, n - took);
		if (!one)
			break;
		took += one;
		if (s->secure_next && !c->is_dead) {
			c->in_n = n - took; /* sent in clear behind STARTTLS: never obeyed */
			session_secure(s);
			return n;
		}
	}
	return s->closing ? n : took;
}

static void session_free(struct mail_session *s)
{
	sink_reset(s);
	mem_free(&s->rcpt);
	mem_free(&s->user);
	EVP_MD_CTX_free(s->digest);
	buf_free(&s->reply);
	buf_free(&s->told);
	buf_free(&s->head);
	buf_free(&s->content);
	buf_free(&s->auth.bare);
	buf_free(&s->auth.server);
	buf_free(&s->auth.channel);
	mem_free(&s);
}

/* A closed session is freed a little later, since a caller further up may hold it, and its index is
 * not given away while the wheel knows it. */
static void session_closed(struct sim_conn *c, const char *why)
{
	struct mail_session *s = c->of;
	struct sink *k = s->sink;
	k->stats.tls_failed += c->handshake;
	k->open--;
	k->stats.unanswered += told_in_vain(s) + s->for_mail;
	s->gone = true;
	s->waiting = false;
	if (!s->in_wheel) {
		k->session[s->index] = NULL;
		s->next_dead = k->dead;
		k->dead = s;
	}
}

static void session_opened(struct sim_conn *c)
{
	session_greet(c->of);
}

static const struct sim_conn_ops session_ops = { session_opened, session_data, session_closed };

static void session_due(void *of, uint32_t index)
{
	struct sink *k = of;
	struct mail_session *s = k->session[index];
	s->in_wheel = false;
	if (s->gone) {
		k->session[index] = NULL;
		s->next_dead = k->dead;
		k->dead = s;
		return;
	}
	if (!s->waiting)
		return;
	if (s->due > k->loop.now + SIM_MS) {
		s->in_wheel = true;
		sim_wheel_add(&k->wheel, index, s->due);
		return;
	}
	s->waiting = false;
	session_say(s);
	if (s->secure_next && !s->conn->is_dead)
		session_secure(s);
	else if (!s->closing)
		sim_conn_again(s->conn);
}

static void sink_accepted(struct sim_listener *l, int fd)
{
	struct sink *k = l->of;
	struct mail_session *s = mem_new(struct mail_session);
	struct sockaddr_in who = { 0 };
	socklen_t len = sizeof(who);
	char a[INET_ADDRSTRLEN];
	uint32_t i = 0;
	while (i < k->sessions && k->session[i])
		i++;
	if (i == k->sessions) {
		k->session =
			mem_grow(k->session, (k->sessions + 1) * sizeof(struct mail_session *));
		k->sessions++;
	}
	k->session[i] = s;
	s->sink = k;
	s->index = i;
	s->heard = k->loop.now;
	if (getpeername(fd, (struct sockaddr *)&who, &len) == 0 && who.sin_family == AF_INET)
		snprintf(s->peer, sizeof(s->peer), "%s:%u",
			inet_ntop(AF_INET, &who.sin_addr, a, sizeof(a)), ntohs(who.sin_port));
	k->stats.connections++;
	k->open++;
	if (k->open > k->stats.most_connected)
		k->stats.most_connected = k->open;
	s->conn = sim_conn_new(
		&k->loop, fd, &session_ops, s, k->conf.tls == SINK_IMPLICIT ? k->tls : NULL);
	if (k->conf.tls != SINK_IMPLICIT)
		session_greet(s);
}

void sink_drop(struct sink *k)
{
	for (uint32_t i = 0; i < k->sessions; i++)
		if (k->session[i] && !k->session[i]->gone) {
			k->stats.drops++;
			sim_conn_close(k->session[i]->conn, "dropped");
		}
}

static void sink_tick(struct sim_timer *t)
{
	struct sink *k = t->of;
	sim_wheel_turn(&k->wheel, k->loop.now, session_due, k);
	t->due = k->loop.now + (k->wheel.n ? SIM_MS : 5 * SIM_MS);
}

static void sink_quit(void *of)
{
	struct sink *k = of;
	k->loop.stop = true;
}

static void sink_second(struct sim_timer *t)
{
	struct sink *k = t->of;
	for (uint32_t i = 0; i < k->sessions; i++) {
		struct mail_session *s = k->session[i];
		if (s && !s->gone && !s->waiting && k->conf.inactivity &&
			k->loop.now - s->heard > k->conf.inactivity)
			sink_say_later(s, 0, true, "421 4.4.2 Silent for too long");
	}
	if (k->conf.drop_every && k->loop.now >= k->next_drop) {
		if (k->next_drop)
			sink_drop(k);
		k->next_drop = k->loop.now + k->conf.drop_every;
	}
	while (k->dead) {
		struct mail_session *s = k->dead;
		k->dead = s->next_dead;
		session_free(s);
	}
	if (k->record)
		fflush(k->record);
	if (k->conf.run_for && k->loop.now - k->started >= k->conf.run_for)
		sink_quit(k);
	t->due = k->loop.now + SIM_S;
}

static void sink_usr1(void *of)
{
	struct buf out = BUF_INIT;
	sink_stats_json(of, &out);
	fprintf(stderr, "%s\n", buf_cstr(&out));
	buf_free(&out);
}

static int sink_start(struct sink *k, struct err *e)
{
	struct sink_conf *c = &k->conf;
	if (c->tls != SINK_MAY && !c->tls_cert.n)
		return err_set(e, ERR_CONF, "--tls wants --tls-cert");
	if (c->tls_cert.n && !(k->tls = sim_tls_server(c->tls_cert, c->tls_key, e)))
		return -1;
	sim_loop_init(&k->loop);
	sim_rng_seed(&k->rng, c->seed);
	sim_wheel_init(&k->wheel, k->loop.now);
	k->started = k->tokens_at = k->loop.now;
	k->listener.of = k;
	k->listener.accepted = sink_accepted;
	if (c->keep.n && mkdir(c->keep.p, 0700) < 0 && errno != EEXIST)
		return err_set(e, ERR_ENV, "%s: %s", c->keep.p, strerror(errno));
	if (sim_record_open(&k->record, c->record, e) < 0)
		return -1;
	if (sim_listen(&k->loop, &k->listener, &c->listen, e) < 0)
		return -1;
	if (c->control.n && sink_control_start(k, e) < 0)
		return -1;
	sim_loop_timer(&k->loop, &k->tick, sink_tick, k, k->loop.now + SIM_MS);
	sim_loop_timer(&k->loop, &k->second, sink_second, k, k->loop.now + SIM_S);
	sim_loop_signals(&k->loop, sink_quit, sink_usr1, k);
	return sim_port_told(c->port_file, k->listener.port, e);
}

static int sink_end(struct sink *k)
{
	struct buf out = BUF_INIT;
	if (sim_record_close(&k->record, k->conf.record) < 0)
		return SIM_USAGE;
	sink_stats_json(k, &out);
	sim_stats_told(&out, k->conf.stats_json, k->conf.stats_file);
	buf_free(&out);
	return SIM_OK;
}

int sim_smtp_main(int argc, char **argv)
{
	static struct sink k;
	struct err e = { 0 };
	sink_conf_init(&k.conf);
	int r = sim_opt_parse(sink_opts, "smtp [--listen ADDRESS:PORT] [options]: a mail server",
		&k.conf, argc, argv, &e);
	if (r > 0)
		return SIM_OK;
	if (r < 0 || sink_start(&k, &e) < 0) {
		sim_say("smtp: %s", e.text);
		return SIM_USAGE;
	}
	if (!k.conf.quiet)
		sim_say("smtp: listening on %s:%u", k.conf.listen.host, k.listener.port);
	sim_loop_run(&k.loop);
	return sink_end(&k);
}
