/* posternsim mail: submits mail through libesmtp, and judges what is answered. The parent starts
 * children (mail_child.c), counts what they tell, and says it as JSON at the end.
 */
#include "tests/sim/mail.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* the values that libesmtp has for them; mail_child.c hands them on */
enum { NOTIFY_NEVER = -1, NOTIFY_SUCCESS = 1, NOTIFY_FAILURE = 2, NOTIFY_DELAY = 4 };
enum { RET_FULL = 1, RET_HDRS = 2 };
enum { CRASHES_MOST = 20 }; /* in a row, without any outcome between */

struct mail {
	struct mail_conf conf;
	struct mail_shared *shared;
	pid_t pid[MAIL_SESSIONS];
	int in, out, living;
	FILE *record;
	struct buf line, one;
	uint64_t kinds[MAIL_KINDS], recipients, tried_again, crashes, crashes_in_row, injected,
		started, last, shown, said;
	struct {
		unsigned code;
		uint64_t n;
	} status[32];
	unsigned statuses;
	struct sim_hist latency;
	bool failed;
};

static struct mail_shared *stop_of; /* for the signal handler */

static void on_signal(int number)
{
	if (stop_of->stop)
		_exit(128 + number);
	stop_of->stop = true;
}

static void start_child(struct mail *m, unsigned i)
{
	pid_t pid = fork();
	if (pid == 0) {
		close(m->in);
		mail_child(&m->conf, m->shared, i, m->out);
	}
	CHECK(pid > 0);
	m->pid[i] = pid;
	m->living++;
}

static void count_status(struct mail *m, unsigned code)
{
	unsigned i = 0;
	while (i < m->statuses && m->status[i].code != code)
		i++;
	if (i == sizeof(m->status) / sizeof(m->status[0]))
		return;
	if (i == m->statuses)
		m->status[m->statuses++].code = code;
	m->status[i].n++;
}

/* time_us id n part from to text, as the ESME's record, so that one proof reads both; the id is the
 * server's word. */
static void record_accepted(struct mail *m, const struct mail_result *r)
{
	struct buf *b = &m->line;
	buf_reset(b);
	buf_printf(b, "%llu\t%s\t%llu\t0\t", (unsigned long long)(sim_wall() / SIM_US), r->text,
		(unsigned long long)r->n);
	mail_pattern(&m->conf, b, m->conf.from, r->n);
	buf_char(b, '\t');
	mail_recipient(&m->conf, b, r->n, 0);
	buf_char(b, '\t');
	buf_reset(&m->one);
	mail_pattern(&m->conf, &m->one, m->conf.subject, r->n);
	sim_hex(b, buf_view(&m->one));
	buf_char(b, '\n');
	fwrite(b->p, 1, b->n, m->record);
}

static void result(struct mail *m, const struct mail_result *r)
{
	bool again = r->session >> 31;
	count_status(m, r->code);
	m->last = sim_mono();
	m->crashes_in_row = 0;
	if (again) {
		m->tried_again++;
		return;
	}
	m->kinds[r->kind]++;
	m->recipients += r->recipients;
	if (r->kind == MAIL_ACCEPTED) {
		sim_hist_add(&m->latency, r->latency);
		if (m->record)
			record_accepted(m, r);
	} else if (m->shown++ < 3) {
		sim_say("mail: message %llu: %u %s", (unsigned long long)r->n, r->code,
			r->code ? r->text
				: (r->kind == MAIL_UNCERTAIN ? "no answer to the content"
							     : "the connection failed before it"));
	}
	if (r->kind == MAIL_UNTRIED && !m->shared->stop) {
		m->failed = true;
		m->shared->stop = true;
	}
}

static void drain(struct mail *m)
{
	struct mail_result r;
	while (read(m->in, &r, sizeof(r)) == (ssize_t)sizeof(r))
		result(m, &r);
}

/* A child that crashed leaves the number that it was at: nobody knows what became of that mail. */
static void reap(struct mail *m)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		unsigned i = 0;
		while (i < m->conf.sessions && m->pid[i] != pid)
			i++;
		if (i == m->conf.sessions)
			continue;
		m->living--;
		m->pid[i] = 0;
		drain(m); /* what it said before */
		if (WIFEXITED(status) && WEXITSTATUS(status) == SIM_OK)
			continue;
		if (WIFEXITED(status) && WEXITSTATUS(status) == SIM_USAGE) {
			m->shared->stop = true;
			m->failed = true;
			continue;
		}
		if (WIFEXITED(status) && WEXITSTATUS(status) == MAIL_INJECTED)
			m->injected++;
		else
			m->crashes++;
		if (m->shared->at[i] && !m->conf.resend) {
			m->kinds[MAIL_UNCERTAIN]++;
			m->shared->at[i] = 0;
		}
		if (++m->crashes_in_row >= CRASHES_MOST && !m->shared->stop) {
			sim_say("mail: libesmtp does nothing but crash");
			m->shared->stop = true;
			m->failed = true;
		}
		if (!m->shared->stop)
			start_child(m, i);
	}
}

static int conf_connect(void *conf, struct str v, struct err *e)
{
	return sim_addr_parse(&((struct mail_conf *)conf)->connect, v, e);
}

static int conf_notify(void *conf, struct str v, struct err *e)
{
	struct mail_conf *c = conf;
	struct str word;
	c->notify = 0;
	if (str_is(v, "never"))
		c->notify = NOTIFY_NEVER;
	else
		while (str_cut(&v, ',', &word)) {
			int bit = str_is(word, "success")   ? NOTIFY_SUCCESS
				  : str_is(word, "failure") ? NOTIFY_FAILURE
				  : str_is(word, "delay")   ? NOTIFY_DELAY
							    : 0;
			if (!bit)
				return err_set(e, ERR_CONF,
					"wants never, or some of success,failure,delay");
			c->notify |= bit;
		}
	return 0;
}

static int conf_ret(void *conf, struct str v, struct err *e)
{
	struct mail_conf *c = conf;
	c->ret = str_is(v, "full") ? RET_FULL : str_is(v, "hdrs") ? RET_HDRS : 0;
	return c->ret ? 0 : err_set(e, ERR_CONF, "wants full or hdrs");
}

static int conf_tls(void *conf, struct str v, struct err *e)
{
	struct mail_conf *c = conf;
	c->tls = str_is(v, "must")  ? MAIL_TLS_MUST
		 : str_is(v, "may") ? MAIL_TLS_MAY
				    : MAIL_TLS_NONE;
	return c->tls || str_is(v, "none") ? 0 : err_set(e, ERR_CONF, "wants none, may or must");
}

#define AT(field) offsetof(struct mail_conf, field)
static const struct sim_opt mail_opts[] = {
	{ OPT_GROUP, "Connecting" },
	{ OPT_CALL, "connect", "HOST:PORT", "the SMTP server (127.0.0.1:2525)",
		.call = conf_connect },
	{ OPT_STR, "helo", "NAME", "our name in EHLO", AT(helo) },
	{ OPT_U64, "sessions", "N", "connections, a process each (4)", AT(sessions) },
	{ OPT_U64, "per-session", "N", "mails over a connection (200)", AT(per_session) },
	{ OPT_CALL, "tls", "MODE", "none (default), may or must: STARTTLS", .call = conf_tls },
	{ OPT_STR, "ca-file", "FILE", "trust this CA and check certificate and name", AT(ca) },
	{ OPT_STR, "user", "NAME", "for AUTH (PLAIN or LOGIN)", AT(user) },
	{ OPT_STR, "password", "WORD", "for AUTH", AT(password) },
	{ OPT_FLAG, "reconnect", NULL, "come back when a connection is lost", AT(reconnect) },
	{ OPT_DUR, "reconnect-delay", "TIME", "after that long (100ms)", AT(reconnect_delay) },
	{ OPT_DUR, "timeout", "TIME", "for each answer (60s)", AT(timeout) },
	{ OPT_FLAG, "pipelining", NULL, "use it where offered (yes)", AT(pipelining) },
	{ OPT_FLAG, "chunking", NULL, "use it where offered: BDAT, at libesmtp's risk",
		AT(chunking) },
	{ OPT_GROUP, "Load" },
	{ OPT_U64, "count", "N", "mails (1)", AT(count) },
	{ OPT_U64, "first", "N", "number of the first (1)", AT(first) },
	{ OPT_F64, "rate", "N/s", "mails/s (open loop); without: as fast as it goes", AT(rate) },
	{ OPT_DUR, "run-for", "TIME", "end after that", AT(run_for) },
	{ OPT_FLAG, "retry", NULL, "submit again what got 4xx", AT(retry) },
	{ OPT_FLAG, "resend", NULL, "submit again what was unanswered when a connection broke",
		AT(resend) },
	{ OPT_GROUP, "Mails (patterns know {n} {n:7} {r:7} {time} {now})" },
	{ OPT_STR, "from", "PATTERN", "envelope and header; empty: <>", AT(from) },
	{ OPT_STR, "to", "PATTERN", "recipient", AT(to) },
	{ OPT_U64, "recipients", "N", "of a mail (1); numbered through", AT(recipients) },
	{ OPT_STR, "subject", "PATTERN", "Message {n} of posternsim", AT(subject) },
	{ OPT_STR, "text", "PATTERN", "its first line", AT(text) },
	{ OPT_U64, "size", "OCTETS", "of the whole mail, filled up with lines", AT(size) },
	{ OPT_STR, "file", "FILE", "the whole content instead, with its header", AT(file) },
	{ OPT_FLAG, "8bit", NULL, "UTF-8 in the text, BODY=8BITMIME", AT(eightbit) },
	{ OPT_CALL, "notify", "WORDS", "DSN: never, or success,failure,delay",
		.call = conf_notify },
	{ OPT_CALL, "ret", "WORD", "DSN: full or hdrs", .call = conf_ret },
	{ OPT_STR, "envid", "PATTERN", "DSN: the envelope's id", AT(envid) },
	{ OPT_FLAG, "orcpt", NULL, "DSN: say the original recipient", AT(orcpt) },
	{ OPT_U64, "seed", "N", "of the chances (1)", AT(seed) },
	{ OPT_GROUP, "Judging" },
	{ OPT_FLAG, "expect-accepted", NULL, "exit 1 unless every mail was accepted",
		AT(expect_accepted) },
	{ OPT_STR, "record", "FILE", "a line per accepted mail", AT(record) },
	{ OPT_FLAG, "progress", NULL, "a line a second on stderr", AT(progress) },
	{ OPT_FLAG, "monitor", NULL, "the conversation on stderr", AT(monitor) },
	{ .name = NULL },
};

static int mail_start(struct mail *m, struct err *e)
{
	struct mail_conf *c = &m->conf;
	int fd[2];
	if (!c->sessions || c->sessions > MAIL_SESSIONS || !c->recipients ||
		c->recipients > MAIL_RECIPIENTS || !c->per_session || c->per_session > 100000)
		return err_set(e, ERR_CONF,
			"--sessions is 1 to %d, --recipients 1 to %d, --per-session 1 to 100000",
			MAIL_SESSIONS, MAIL_RECIPIENTS);
	if (!c->first || c->size > 256 << 20 || c->user.n > 255 || c->password.n > 255)
		return err_set(e, ERR_CONF,
			"--first is 1 or more, --size 256 MiB at most, a name or password 255 "
			"octets");
	if (c->file.n && mail_content_read(c, e) < 0)
		return -1;
	if (sim_record_open(&m->record, c->record, e) < 0)
		return -1;
	m->shared = mmap(NULL, sizeof(*m->shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (m->shared == MAP_FAILED || pipe2(fd, O_CLOEXEC) < 0)
		return err_set(e, ERR_ENV, "%s", strerror(errno));
	m->in = fd[0];
	m->out = fd[1];
	fcntl(m->in, F_SETFL, O_NONBLOCK);
	m->shared->next = c->first;
	m->started = sim_mono();
	stop_of = m->shared;
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	for (unsigned i = 0; i < c->sessions && i < c->count; i++)
		start_child(m, i);
	return 0;
}

static void mail_run(struct mail *m)
{
	while (m->living > 0) {
		struct pollfd pfd = { .fd = m->in, .events = POLLIN };
		poll(&pfd, 1, 50);
		drain(m);
		reap(m);
		uint64_t now = sim_mono();
		if (m->conf.run_for && now - m->started >= m->conf.run_for)
			m->shared->stop = true;
		if (now - m->said > SIM_S) {
			m->said = now;
			if (m->record)
				fflush(m->record);
			if (m->conf.progress)
				sim_say("mail: %llu accepted",
					(unsigned long long)m->kinds[MAIL_ACCEPTED]);
		}
	}
	drain(m);
}

static double cpu_of_children(void)
{
	struct rusage u;
	getrusage(RUSAGE_CHILDREN, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void mail_summary(struct mail *m, struct buf *b)
{
	static const char *const words[MAIL_KINDS] = { "accepted", "partly", "refused", "later",
		"uncertain", "untried" };
	uint64_t took = m->last > m->shared->began ? m->last - m->shared->began : 1;
	uint64_t accepted = m->kinds[MAIL_ACCEPTED];
	double cpu = cpu_of_children() + (double)sim_cpu() / 1e9;
	buf_char(b, '{');
	for (unsigned i = 0; i < MAIL_KINDS; i++)
		buf_printf(b, "%s\"%s\":%llu", i ? "," : "", words[i],
			(unsigned long long)m->kinds[i]);
	buf_printf(b,
		",\"recipients\":%llu,\"tried_again\":%llu,\"crashes\":%llu,\"injected\":%llu,"
		"\"connects\":%llu,\"status\":{",
		(unsigned long long)m->recipients, (unsigned long long)m->tried_again,
		(unsigned long long)m->crashes, (unsigned long long)m->injected,
		(unsigned long long)m->shared->connects);
	for (unsigned i = 0; i < m->statuses; i++)
		buf_printf(b, "%s\"%u\":%llu", i ? "," : "", m->status[i].code,
			(unsigned long long)m->status[i].n);
	buf_c(b, "},\"latency\":");
	sim_hist_json(b, &m->latency);
	buf_printf(b, ",\"seconds\":%.3f,\"accept_rate\":%.0f,\"cpu_s\":%.3f,\"cpu_us\":%.2f}",
		(double)(sim_mono() - m->started) / 1e9, (double)accepted * 1e9 / (double)took, cpu,
		accepted ? cpu * 1e6 / (double)accepted : 0);
}

int sim_mail_main(int argc, char **argv)
{
	static struct mail m;
	struct err e = { 0 };
	struct buf out = BUF_INIT;
	m.conf = (struct mail_conf){ .connect = { "127.0.0.1", "2525" },
		.helo = STR("posternsim.example"),
		.from = STR("shop@shop.example"),
		.to = STR("user{n:7}@users.example"),
		.subject = STR("Message {n} of posternsim"),
		.text = STR("This is message {n}."),
		.sessions = 4,
		.per_session = 200,
		.count = 1,
		.first = 1,
		.recipients = 1,
		.reconnect_delay = 100 * SIM_MS,
		.timeout = 60 * SIM_S,
		.pipelining = true,
		.seed = 1 };
	int r = sim_opt_parse(mail_opts,
		"mail [--connect HOST:PORT] [options]: submits mail through libesmtp", &m.conf,
		argc, argv, &e);
	if (r > 0)
		return SIM_OK;
	if (r < 0 || mail_start(&m, &e) < 0) {
		sim_say("mail: %s", e.text);
		return SIM_USAGE;
	}
	mail_run(&m);
	mail_summary(&m, &out);
	printf("%s\n", buf_cstr(&out));
	buf_free(&out);
	if (sim_record_close(&m.record, m.conf.record) < 0)
		return SIM_USAGE;
	if (m.conf.expect_accepted && m.kinds[MAIL_ACCEPTED] != m.conf.count) {
		sim_say("mail: expected otherwise: %llu of %llu accepted",
			(unsigned long long)m.kinds[MAIL_ACCEPTED],
			(unsigned long long)m.conf.count);
		return SIM_FAILED;
	}
	return m.failed ? SIM_FAILED : SIM_OK;
}
