/* One child of posternsim mail: libesmtp, a connection at a time, mails fed to it while it runs.
 *
 * libESMTP 1.1.0 crashes, stalls and misjudges on what servers may do; this is how it is lived
 * with: SIGPIPE ignored; TCP_NODELAY set from outside; CHUNKING and BINARYMIME hidden from it
 * unless asked for, and PIPELINING with several recipients; an SSL_CTX of our own with name and SNI
 * set at the handshake's start; no TLS 1.3, whose tickets stall it; a reply injected behind
 * STARTTLS ends the process; its return value is never a result; its timeouts overridden; a session
 * ended after some mails, since it keeps each.
 */
#include "tests/sim/mail.h"

#include <auth-client.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* after <openssl/ssl.h>, so that it declares smtp_starttls_set_ctx() */
#include <libesmtp.h>

struct job {
	uint64_t n, began, sent;
	smtp_message_t message;
	smtp_recipient_t to[MAIL_RECIPIENTS];
	struct buf content;
	bool content_began, told, sent_event;
};

#ifdef __SANITIZE_ADDRESS__
/* It compares names that it has not terminated; that is its own affair here. */
const char *__asan_default_suppressions(void);
const char *__asan_default_suppressions(void)
{
	return "interceptor_via_lib:libesmtp\n";
}
#endif

static struct child { /* callbacks of the library have too little room for pointers */
	const struct mail_conf *conf;
	struct mail_shared *shared;
	unsigned index;
	int out;
	smtp_session_t session;
	SSL_CTX *tls;
	struct job *jobs;
	unsigned jobs_n;
	uint64_t redo; /* to be sent again, first */
	bool after_starttls;
} me;

static void nap_until(uint64_t due)
{
	uint64_t now = sim_mono();
	while (now < due && !me.shared->stop) {
		uint64_t left = due - now < 50 * SIM_MS ? due - now : 50 * SIM_MS;
		nanosleep(&(struct timespec){ .tv_nsec = (long)left }, NULL);
		now = sim_mono();
	}
}

/* The next number, when its time has come; 0 when there is none. */
static uint64_t take_number(uint64_t *began_r)
{
	const struct mail_conf *c = me.conf;
	struct mail_shared *sh = me.shared;
	uint64_t n = me.redo, zero = 0;
	*began_r = sim_mono();
	me.redo = 0;
	if (sh->stop)
		return 0;
	if (!n) {
		n = atomic_fetch_add(&sh->next, 1);
		if (n >= c->first + c->count)
			return 0;
		if (atomic_compare_exchange_strong(&sh->began, &zero, *began_r))
			zero = *began_r;
		if (c->rate > 0) {
			*began_r = zero + (uint64_t)((double)(n - c->first) * 1e9 / c->rate);
			nap_until(*began_r);
			if (sh->stop)
				return 0;
		}
	}
	sh->at[me.index] = n;
	return n;
}

static const char *content_cb(void **ctx, int *len, void *arg)
{
	struct job *j = arg;
	if (!*ctx &&
		!(*ctx = calloc(1, 1))) /* the library frees it: it says whether all was given */
		abort();
	if (!len) {
		*(char *)*ctx = 0;
		return NULL;
	}
	j->content_began = true;
	if (*(char *)*ctx) {
		*len = 0;
		return NULL;
	}
	*(char *)*ctx = 1;
	*len = (int)j->content.n;
	return j->content.p;
}

static bool job_add(uint64_t n, uint64_t began)
{
	const struct mail_conf *c = me.conf;
	struct job *j = &me.jobs[me.jobs_n++];
	struct buf text = BUF_INIT;
	*j = (struct job){ .n = n, .began = began, .message = smtp_add_message(me.session) };
	mail_content(c, &j->content, n);
	mail_pattern(c, &text, c->from, n);
	bool good = j->message &&
		    smtp_set_reverse_path(j->message, text.n ? buf_cstr(&text) : NULL) &&
		    smtp_set_messagecb(j->message, content_cb, j) &&
		    smtp_size_set_estimate(j->message, j->content.n) &&
		    (!c->eightbit || smtp_8bitmime_set_body(j->message, E8bitmime_8BITMIME)) &&
		    (!c->ret || smtp_dsn_set_ret(j->message, (enum ret_flags)c->ret));
	if (good && c->envid.n) {
		buf_reset(&text);
		mail_pattern(c, &text, c->envid, n);
		good = text.n <= 100 && smtp_dsn_set_envid(j->message, buf_cstr(&text));
	}
	for (unsigned i = 0; good && i < c->recipients; i++) {
		buf_reset(&text);
		mail_recipient(c, &text, n, i);
		good = mail_address_fits(buf_view(&text)) &&
		       (j->to[i] = smtp_add_recipient(j->message, buf_cstr(&text))) &&
		       (!c->notify ||
			       smtp_dsn_set_notify(j->to[i], (enum notify_flags)c->notify)) &&
		       (!c->orcpt || smtp_dsn_set_orcpt(j->to[i], "rfc822", buf_cstr(&text)));
	}
	buf_free(&text);
	return good;
}

/* What became of a mail, from what was answered to it and from nothing else. */
static void job_judge(struct job *j, struct mail_result *r)
{
	const smtp_status_t *from = smtp_reverse_path_status(j->message);
	const smtp_status_t *all = smtp_message_transfer_status(j->message), *worst = NULL;
	unsigned taken = 0;
	for (unsigned i = 0; i < me.conf->recipients; i++) {
		const smtp_status_t *to = smtp_recipient_status(j->to[i]);
		bool good = to && to->code / 100 == 2;
		taken += good && all && all->code / 100 == 2 &&
			 smtp_recipient_check_complete(j->to[i]);
		if (!good && to && to->code >= 400 && (!worst || to->code > worst->code))
			worst = to;
	}
	if (!worst && all && all->code >= 400)
		worst = all;
	if (!worst && from && from->code >= 400)
		worst = from;
	if (taken == me.conf->recipients)
		worst = all, r->kind = MAIL_ACCEPTED;
	else if (taken)
		r->kind = MAIL_PARTLY;
	else if (worst && worst->code / 100 == 4)
		r->kind = worst == from && worst->code == 421 ? MAIL_UNTRIED : MAIL_LATER;
	else if (worst) /* at MAIL these are about who we are, not about the mail */
		r->kind = worst == from && (worst->code == 530 || worst->code == 535)
				  ? MAIL_UNTRIED
				  : MAIL_REFUSED;
	else
		r->kind = j->content_began ? MAIL_UNCERTAIN : MAIL_UNTRIED;
	r->recipients = taken;
	r->code = worst ? (uint32_t)worst->code : 0;
	if (worst && worst->text)
		str_copy(r->text, sizeof(r->text), str_trim(str_of(worst->text)));
}

static enum mail_kind job_tell(struct job *j)
{
	struct mail_result r = { .n = j->n, .session = me.index };
	if (j->told)
		return MAIL_UNTRIED;
	j->told = true;
	job_judge(j, &r);
	r.latency = (j->sent ? j->sent : sim_mono()) - j->began;
	buf_free(&j->content);
	bool again = (r.kind == MAIL_UNTRIED && me.conf->reconnect) ||
		     (r.kind == MAIL_LATER && me.conf->retry) ||
		     (r.kind == MAIL_UNCERTAIN && me.conf->resend);
	if (again && !me.shared->stop)
		me.redo = j->n;
	else
		me.shared->at[me.index] = 0;
	/* told even when it is tried again: the parent counts attempts, too */
	r.session |= me.redo == j->n ? 1U << 31 : 0;
	if (write(me.out, &r, sizeof(r)) != (ssize_t)sizeof(r))
		_exit(SIM_USAGE);
	return (enum mail_kind)r.kind;
}

/* Hidden in the library's own buffer, before it reads it. */
static void hide(char *p, size_t n, const char *word)
{
	size_t len = strlen(word);
	for (char *q = p; (q = memmem(q, n - (size_t)(q - p), word, len)); q++)
		*q = 'X';
}

static void monitor_cb(const char *buf, int len, int writing, void *arg)
{
	union {
		const char *in;
		char *out;
	} p = { .in = buf };
	if (me.conf->monitor)
		fprintf(stderr, "%s %.*s", writing ? ">" : "<", len, buf);
	if (writing) {
		me.after_starttls = len == 10 && memcmp(buf, "STARTTLS\r\n", 10) == 0;
		return;
	}
	if (me.after_starttls) {
		const char *nl = memchr(buf, '\n', (size_t)len);
		if (nl && nl != buf + len - 1)
			_exit(MAIL_INJECTED);
		me.after_starttls = false;
	}
	if (!me.conf->chunking) {
		hide(p.out, (size_t)len, "CHUNKING");
		hide(p.out, (size_t)len, "BINARYMIME");
	}
	if (!me.conf->pipelining || me.conf->recipients > 1)
		hide(p.out, (size_t)len, "PIPELINING");
}

static struct job *job_of(smtp_message_t message)
{
	for (unsigned i = me.jobs_n; i > 0; i--)
		if (me.jobs[i - 1].message == message)
			return &me.jobs[i - 1];
	return NULL;
}

static void feed(void)
{
	uint64_t n, began;
	if (me.jobs_n < me.conf->per_session && (n = take_number(&began)) && !job_add(n, began))
		_exit(SIM_USAGE);
}

static void event_cb(smtp_session_t session, int event, void *arg, ...)
{
	va_list ap;
	va_start(ap, arg);
	switch (event) {
	case SMTP_EV_CONNECT:
		me.shared->connects++;
		for (int fd = 3; fd < 64; fd++) /* whichever it is; others do not mind */
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
		break;
	case SMTP_EV_MESSAGESENT: {
		struct job *j = job_of(va_arg(ap, smtp_message_t));
		if (j) {
			j->sent = sim_mono();
			/* after a refusal the library may have said QUIT already */
			if (job_tell(j) == MAIL_ACCEPTED)
				feed();
		}
		break;
	}
	case SMTP_EV_INVALID_PEER_CERTIFICATE:
		(void)va_arg(ap, long);
		*va_arg(ap, int *) = !me.conf->ca.n;
		break;
	case SMTP_EV_WRONG_PEER_CERTIFICATE: /* OpenSSL has compared the name already */
	case SMTP_EV_NO_PEER_CERTIFICATE:
		*va_arg(ap, int *) = !me.conf->ca.n || event == SMTP_EV_WRONG_PEER_CERTIFICATE;
		break;
	case SMTP_EV_WEAK_CIPHER:
		(void)va_arg(ap, int);
		*va_arg(ap, int *) = 1;
		break;
	case SMTP_EV_NO_CLIENT_CERTIFICATE:
		*va_arg(ap, int *) = 1;
		break;
	default:
		break;
	}
	va_end(ap);
}

static void tls_began(const SSL *ssl, int where, int ret)
{
	union {
		const SSL *in;
		SSL *out;
	} s = { .in = ssl };
	char host[sizeof(me.conf->connect.host)];
	if (!(where & SSL_CB_HANDSHAKE_START))
		return;
	str_copy(host, sizeof(host), str_of(me.conf->connect.host));
	if (strspn(host, "0123456789.") != strlen(host)) {
		SSL_set_tlsext_host_name(s.out, host);
		if (me.conf->ca.n)
			SSL_set1_host(s.out, host);
	} else if (me.conf->ca.n) {
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s.out), host);
	}
}

static int interact_cb(auth_client_request_t request, char **result, int fields, void *arg)
{
	static char user[256], password[256];
	str_copy(user, sizeof(user), me.conf->user);
	str_copy(password, sizeof(password), me.conf->password);
	for (int i = 0; i < fields; i++) {
		if (request[i].flags & AUTH_PASS)
			result[i] = password;
		else if (request[i].flags & AUTH_USER)
			result[i] = user;
		else
			result[i] = NULL;
	}
	return 1;
}

static void timeouts(void)
{
	static const int which[] = { Timeout_GREETING, Timeout_ENVELOPE, Timeout_DATA,
		Timeout_TRANSFER, Timeout_DATA2 };
	for (size_t i = 0; i < sizeof(which) / sizeof(which[0]); i++)
		smtp_set_timeout(me.session, which[i] | Timeout_OVERRIDE_RFC2822_MINIMUM,
			(long)(me.conf->timeout / SIM_MS));
}

/* One connection, from its first mail to its last. */
static void run_session(void)
{
	const struct mail_conf *c = me.conf;
	char server[160];
	auth_context_t auth = NULL;
	uint64_t began, n = take_number(&began);
	if (!n)
		return;
	snprintf(server, sizeof(server), "%s:%s", c->connect.host, c->connect.port);
	me.session = smtp_create_session();
	me.jobs_n = 0;
	if (!me.session || !smtp_set_server(me.session, server) || !job_add(n, began)) {
		sim_say("mail: libesmtp does not take message %llu: is an address as it should be?",
			(unsigned long long)n);
		_exit(SIM_USAGE);
	}
	smtp_set_hostname(me.session, c->helo.p);
	smtp_set_eventcb(me.session, event_cb, NULL);
	smtp_set_monitorcb(me.session, monitor_cb, NULL, 0);
	timeouts();
	if (me.tls) {
		smtp_starttls_set_ctx(me.session, me.tls);
		smtp_starttls_enable(
			me.session, c->tls == MAIL_TLS_MUST ? Starttls_REQUIRED : Starttls_ENABLED);
	}
	if (c->user.n) {
		auth = auth_create_context();
		auth_set_mechanism_flags(auth, AUTH_PLUGIN_PLAIN, 0);
		auth_set_interact_cb(auth, interact_cb, NULL);
		smtp_auth_set_context(me.session, auth);
	}
	smtp_start_session(me.session);
	for (unsigned i = 0; i < me.jobs_n; i++)
		job_tell(&me.jobs[i]);
	smtp_destroy_session(me.session);
	if (auth)
		auth_destroy_context(auth);
	if (me.redo)
		nap_until(sim_mono() + c->reconnect_delay);
}

void mail_child(const struct mail_conf *c, struct mail_shared *sh, unsigned index, int out)
{
	struct err e = { 0 };
	me = (struct child){ .conf = c, .shared = sh, .index = index, .out = out };
	me.redo = sh->at[index]; /* whoever was here before left it */
	me.jobs = mem_alloc(c->per_session * sizeof(*me.jobs));
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	auth_client_init();
	if (c->tls != MAIL_TLS_NONE) {
		me.tls = sim_tls_client(c->ca, STR_NONE, STR_NONE, c->ca.n > 0, &e);
		if (!me.tls) {
			sim_say("mail: %s", e.text);
			_exit(SIM_USAGE);
		}
		SSL_CTX_set_info_callback(me.tls, tls_began);
		/* With TLS 1.3 it reads a reply before it has asked, whenever tickets come. */
		SSL_CTX_set_max_proto_version(me.tls, TLS1_2_VERSION);
	}
	while (!sh->stop && (me.redo || sh->next < c->first + c->count)) {
		uint64_t connects = sh->connects;
		run_session();
		if (sh->connects == connects && !c->reconnect)
			break;
	}
	_exit(SIM_OK);
}
