/* Logging in: AUTH PLAIN, LOGIN and SCRAM-SHA-256 (RFC 4954, 4616, 5802, 7677). See smtpd.h.
 *
 * Who fails waits longer each time, by address. A name that does not exist is treated as one that
 * does: a password is checked all the same, and SCRAM goes to its end with a salt made up from the
 * name. What a plain password needs for SCRAM is made ahead, so that time does not tell either.
 */
#include "gateway/base/mem.h"
#include "protocols/smtp/smtpd.h"

enum mechanism { MECH_PLAIN, MECH_LOGIN, MECH_SCRAM };
enum step { STEP_FIRST, STEP_PASSWORD, STEP_FINAL, STEP_END };

struct smtpd_login {
	enum mechanism mech;
	enum step step;
	struct buf text; /* the line that is looked at, decoded */
	char user[SASL_NAME_MOST + 1];
	bool known, challenged;
	struct scram_server scram;
	struct scram_verifier verifier; /* of the exchange */
};

/* Work about a password, slow by intention. */
struct slow {
	struct chore chore; /* first */
	struct smtpd_session *s;
	struct account *account;
	struct scram_verifier v;
	bool fits;
	struct keyed digest;
	char *password;
	size_t password_n;
};

#define REPLY(name, code, status, text) static const struct smtp_reply name = { code, status, text }
REPLY(no_mechanism, 504, "5.5.4", "that mechanism is not offered");
REPLY(in_clear, 538, "5.7.11", "begin TLS first");
REPLY(not_now, 503, "5.5.1", "not now: no second login, and none within a mail");
REPLY(no_hello, 503, "5.5.1", "say EHLO first");
REPLY(cancelled, 501, "5.7.0", "cancelled");
REPLY(garbled, 501, "5.5.2", "that cannot be read");
REPLY(wrong, 535, "5.7.8", "name or password are wrong");
REPLY(other_name, 535, "5.7.8", "nobody may act in the name of somebody else here");
REPLY(not_from, 535, "5.7.8", "this account may not be used from your address");
REPLY(too_many, 454, "4.7.0", "the account has as many sessions as it may");
#undef REPLY

/* ---- what can be offered ---- */

/* SCRAM is honoured for verifiers and plain passwords. Where some are hashes clients would prefer
 * it and fail, unless a verifier says that it is wanted. */
static bool scram_is_honoured(const struct smtpd *srv)
{
	return srv->any_verifier || (srv->any_plain && !srv->any_hash);
}

static bool may_log_in(const struct smtpd_session *s)
{
	if (s->srv->tls_mode == SMTPD_TLS_MUST)
		return s->tls;
	return s->tls || s->loopback || s->srv->conf->auth_in_clear;
}

const char *smtpd_auth_offer(const struct smtpd_session *s)
{
	const struct smtpd *srv = s->srv;

	if (!may_log_in(s) || !(srv->any_plain || srv->any_hash || srv->any_verifier))
		return "";
	return scram_is_honoured(srv) ? "AUTH PLAIN LOGIN SCRAM-SHA-256" : "AUTH PLAIN LOGIN";
}

/* ---- the end of a login ---- */

void smtpd_auth_free(struct smtpd_session *s)
{
	struct smtpd_login *g = s->login;

	if (!g)
		return;
	if (g->text.p)
		explicit_bzero(g->text.p, g->text.cap);
	buf_free(&g->text);
	scram_server_free(&g->scram);
	explicit_bzero(g, sizeof *g);
	mem_free(&s->login);
}

static void give_up(struct smtpd_session *s, const struct smtp_reply *r)
{
	smtpd_auth_free(s);
	if (s->state == SMTPD_AUTH)
		s->state = SMTPD_COMMAND;
	smtpd_say(s, r);
	smtpd_error(s);
}

static void failed(struct smtpd_session *s, const struct smtp_reply *r, const char *why)
{
	struct smtpd *srv = s->srv;
	unsigned held;

	stat_inc(&srv->logins_failed);
	if (log_due(&srv->quiet_auth, &held))
		log_warn("login refused", F_STR("listener", srv->l->name), F_STR("peer", s->peer),
			F_STR("user", s->login->user), F_STR("why", why), F_U64("more", held));
	if (++s->failed_logins < SMTPD_LOGINS) {
		give_up(s, r);
		return;
	}
	smtpd_auth_free(s);
	smtpd_say(s, r);
	smtpd_session_bye(s, "4.7.0", "too many failed logins");
}

static void leave(struct smtpd_session *s)
{
	if (!list_linked(&s->mate))
		return;
	list_remove(&s->mate);
	account_sessions(s->account, --smtpd_member(s->account)->n);
}

static void logged_in(struct smtpd_session *s, struct account *a)
{
	struct smtpd_member *m = smtpd_member(a);

	leave(s);
	s->account = a;
	s->authed = true;
	s->over = false;
	list_append(&m->sessions, &s->mate);
	account_sessions(a, ++m->n);
	stat_inc(&s->srv->logins);
	log_debug("logged in", F_STR("listener", s->srv->l->name), F_STR("account", a->name),
		F_STR("peer", s->peer));
	smtpd_auth_free(s);
	s->state = SMTPD_COMMAND;
	s->failed_logins = 0;
	smtpd_reply(s, 235, "2.7.0", "welcome, %s", a->name);
}

/* The password was right or wrong. */
static void verdict(struct smtpd_session *s, bool ok)
{
	struct account *a = account_find(s->srv->l, str_of(s->login->user));

	ok = ok && s->login->known && a;
	login_result(&s->addr.sa, ok && account_allows(a, &s->addr.sa));
	if (!ok)
		failed(s, &wrong, a ? "wrong password" : "no such account");
	else if (!account_allows(a, &s->addr.sa)) /* said only to who knows the password */
		failed(s, &not_from, "address not in the account's allow list");
	else if (smtpd_member(a)->n >= (unsigned)smtpd_account_conf(a)->sessions)
		give_up(s, &too_many);
	else
		logged_in(s, a);
}

/* ---- passwords ---- */

static bool is_verifier(const char *password)
{
	return password && str_starts(str_of(password), STR("SCRAM-SHA-256$"));
}

/* For a name that does not exist, or has no password: another account's that takes as long. */
static struct account *decoy(struct smtpd *srv)
{
	struct account *a = NULL;

	for (size_t i = 0; i < srv->conf->accounts_n; i++) {
		const struct smtpd_account_conf *c = &srv->conf->accounts[i];

		if (c->common.password && (!a || c->common.password[0] == '$'))
			a = account_find(srv->l, str_of(c->user));
	}
	return a;
}

/* NULL: passwords are of other kinds. */
static struct account *first_verifier(struct smtpd *srv)
{
	for (size_t i = 0; i < srv->conf->accounts_n; i++)
		if (is_verifier(srv->conf->accounts[i].common.password))
			return account_find(srv->l, str_of(srv->conf->accounts[i].user));
	return NULL;
}

static void slow_free(struct slow *w)
{
	if (w->password)
		explicit_bzero(w->password, w->password_n);
	mem_free(&w->password);
	explicit_bzero(&w->v, sizeof w->v);
	mem_free(&w);
}

static struct slow *slow_new(struct smtpd_session *s, struct account *a, struct str password,
	void (*call)(struct chore *), void (*done)(struct chore *))
{
	struct slow *w = mem_new(struct slow);

	w->s = s;
	w->account = a;
	w->password = mem_dup(password);
	w->password_n = password.n;
	w->chore.reply = s->srv->l->loop;
	w->chore.call = call;
	w->chore.done = done;
	s->pending++;
	return w;
}

static void fits_call(struct chore *c)
{
	struct slow *w = (struct slow *)c;

	w->fits = scram_verifier_fits(&w->v, str_n(w->password, w->password_n));
}

/* Either kind of checking has come back. */
static void verified(void *ctx, bool ok)
{
	struct smtpd_session *s = ctx;

	if (smtpd_is_alive(s)) {
		s->holds &= ~(unsigned)SMTPD_HOLD_LOGIN;
		verdict(s, ok);
		if (smtpd_is_alive(s))
			smtpd_let_go(s, SMTPD_HOLD_LOGIN);
	}
	smtpd_session_release(s);
}

static void fits_done(struct chore *c)
{
	struct slow *w = (struct slow *)c;
	struct smtpd_member *m = smtpd_member(w->account);
	struct smtpd_session *s = w->s;
	bool ok = w->fits;

	if (ok) {
		m->verified_any = true;
		m->verified = w->digest;
	}
	slow_free(w);
	verified(s, ok);
}

static void check_password(struct smtpd_session *s, struct str password)
{
	struct smtpd_login *g = s->login;
	struct account *a = account_find(s->srv->l, str_of(g->user)), *at = a;
	struct smtpd_member *m;
	struct keyed digest;
	struct slow *w;

	g->known = a && a->conf->password;
	if (!g->known)
		at = decoy(s->srv);
	if (!at || !is_verifier(at->conf->password)) {
		s->pending++;
		account_verify(at, password, verified, s);
		return;
	}
	m = smtpd_member(at);
	digest = keyed_digest(str_of(at->conf->password), password);
	if (g->known && m->verified_any && keyed_equal(&m->verified, &digest)) {
		s->pending++;
		verified(s, true);
		return;
	}
	w = slow_new(s, at, password, fits_call, fits_done);
	w->digest = digest;
	scram_verifier_parse(str_of(at->conf->password), &w->v);
	workers_do(&w->chore);
}

/* ---- SCRAM ---- */

/* A salt that stays the same for a name and tells nothing of it. */
static struct keyed salt_of(const char *user)
{
	return keyed_digest(STR("scram salt"), str_of(user));
}

static void challenge(struct smtpd_session *s)
{
	struct smtpd_login *g = s->login;
	struct buf *raw = &s->srv->work, *b = &s->srv->work2;
	char nonce[SCRAM_NONCE];

	buf_reset(raw);
	buf_reset(b);
	scram_nonce(nonce);
	scram_server_challenge(&g->scram, &g->verifier, str_of(nonce), raw);
	buf_c(b, "334 ");
	sasl_base64_encode(buf_view(raw), b);
	buf_c(b, "\r\n");
	g->step = STEP_FINAL;
	smtpd_say_text(s, buf_view(b));
}

static void made(struct smtpd_member *m, const char *password, const struct scram_verifier *v)
{
	m->made_any = true;
	m->made_of = keyed_digest(STR("made of"), str_of(password));
	m->made = *v;
}

static bool is_made(const struct account *a)
{
	const struct smtpd_member *m = smtpd_member(a);
	struct keyed k = keyed_digest(STR("made of"), str_of(a->conf->password));

	return m->made_any && keyed_equal(&m->made_of, &k);
}

static void make_call(struct chore *c)
{
	struct slow *w = (struct slow *)c;

	scram_verifier_make(str_n(w->password, w->password_n), str_n(w->v.salt, w->v.salt_n),
		w->v.rounds, &w->v);
}

static void make_done(struct chore *c)
{
	struct slow *w = (struct slow *)c;
	struct smtpd_session *s = w->s;

	made(smtpd_member(w->account), w->password, &w->v);
	if (smtpd_is_alive(s)) {
		s->login->verifier = w->v;
		challenge(s);
		smtpd_let_go(s, SMTPD_HOLD_LOGIN);
	}
	slow_free(w);
	smtpd_session_release(s);
}

static void scram_begin(struct smtpd_session *s)
{
	struct smtpd_login *g = s->login;
	struct account *a = account_find(s->srv->l, str_of(g->scram.user)), *other;
	const char *password = a ? a->conf->password : NULL;
	struct keyed salt = salt_of(g->scram.user);
	struct scram_verifier like;
	struct slow *w;

	str_copy(g->user, sizeof g->user, str_of(g->scram.user));
	g->known = password && password[0] != '$';
	g->verifier = (struct scram_verifier){ .rounds = SCRAM_ROUNDS, .salt_n = 16 };
	/* Who is not there looks as those do who are: as many rounds, as long a salt. */
	other = g->known ? NULL : first_verifier(s->srv);
	if (other && scram_verifier_parse(str_of(other->conf->password), &like) &&
		like.salt_n <= sizeof salt.octets) {
		g->verifier.rounds = like.rounds;
		g->verifier.salt_n = like.salt_n;
	}
	memcpy(g->verifier.salt, salt.octets, g->verifier.salt_n);
	if (is_verifier(password)) {
		g->known = scram_verifier_parse(str_of(password), &g->verifier);
	} else if (g->known && is_made(a)) {
		g->verifier = smtpd_member(a)->made;
	} else if (g->known) {
		w = slow_new(s, a, str_of(password), make_call, make_done);
		w->v = g->verifier;
		workers_do(&w->chore);
		return;
	}
	challenge(s);
	smtpd_let_go(s, SMTPD_HOLD_LOGIN);
}

static void scram_end(struct smtpd_session *s)
{
	struct smtpd_login *g = s->login;
	struct buf *raw = &s->srv->work, *b = &s->srv->work2;

	buf_reset(raw);
	buf_reset(b);
	if (!scram_server_final(&g->scram, &g->verifier, buf_view(&g->text), raw) || !g->known) {
		verdict(s, false);
		return;
	}
	buf_c(b, "334 ");
	sasl_base64_encode(buf_view(raw), b);
	buf_c(b, "\r\n");
	g->step = STEP_END;
	smtpd_say_text(s, buf_view(b));
}

/* All plain passwords, once, behind each other. */
struct warm {
	struct chore chore; /* first */
	struct smtpd *srv;
	size_t n;
	struct {
		struct account *account;
		char *password;
		struct scram_verifier v;
	} x[];
};

static void warm_call(struct chore *c)
{
	struct warm *w = (struct warm *)c;

	for (size_t i = 0; i < w->n; i++)
		scram_verifier_make(str_of(w->x[i].password),
			str_n(w->x[i].v.salt, w->x[i].v.salt_n), w->x[i].v.rounds, &w->x[i].v);
}

static void warm_done(struct chore *c)
{
	struct warm *w = (struct warm *)c;
	struct smtpd *srv = w->srv;

	for (size_t i = 0; i < w->n; i++) {
		made(smtpd_member(w->x[i].account), w->x[i].password, &w->x[i].v);
		explicit_bzero(w->x[i].password, strlen(w->x[i].password));
		mem_free(&w->x[i].password);
	}
	mem_free(&w);
	srv->tasks--;
	smtpd_check_closed(srv);
}

void smtpd_auth_warm(struct smtpd *srv)
{
	const struct smtpd_conf *c = srv->conf;
	struct warm *w;
	struct keyed salt;

	if (!scram_is_honoured(srv) || !srv->any_plain)
		return;
	w = mem_alloc(sizeof *w + c->accounts_n * sizeof w->x[0]);
	for (size_t i = 0; i < c->accounts_n; i++) {
		const char *password = c->accounts[i].common.password;
		struct account *a = account_find(srv->l, str_of(c->accounts[i].user));

		if (!a || !password || password[0] == '$' || is_verifier(password) || is_made(a))
			continue;
		salt = salt_of(a->name);
		w->x[w->n].account = a;
		w->x[w->n].password = mem_dup(str_of(password));
		w->x[w->n].v = (struct scram_verifier){ .rounds = SCRAM_ROUNDS, .salt_n = 16 };
		memcpy(w->x[w->n++].v.salt, salt.octets, 16);
	}
	if (w->n == 0) {
		mem_free(&w);
		return;
	}
	w->srv = srv;
	w->chore.reply = srv->l->loop;
	w->chore.call = warm_call;
	w->chore.done = warm_done;
	srv->tasks++;
	workers_do(&w->chore);
}

/* ---- the exchange ---- */

static void ask(struct smtpd_session *s, enum step next, const char *line)
{
	s->login->step = next;
	s->state = SMTPD_AUTH;
	smtpd_say_text(s, str_of(line));
}

/* NULL: it is read. */
static const struct smtp_reply *plain_read(struct smtpd_login *g, struct str *password_r)
{
	struct str authzid, user;

	if (!sasl_plain_parse(buf_view(&g->text), &authzid, &user, password_r) ||
		user.n > SASL_NAME_MOST)
		return &garbled;
	str_copy(g->user, sizeof g->user, user);
	return authzid.n && !str_eq(authzid, user) ? &other_name : NULL;
}

/* Time has passed as it should before a login from there; what was said is looked at. */
static void look(struct smtpd_session *s)
{
	struct smtpd_login *g = s->login;
	struct str password = buf_view(&g->text);
	const struct smtp_reply *why;

	switch (g->mech) {
	case MECH_PLAIN:
		why = plain_read(g, &password);
		if (why) {
			give_up(s, why);
			break;
		}
		check_password(s, password);
		return;
	case MECH_LOGIN:
		check_password(s, password);
		return;
	case MECH_SCRAM:
		scram_begin(s);
		return;
	}
	if (smtpd_is_alive(s))
		smtpd_let_go(s, SMTPD_HOLD_LOGIN);
}

void smtpd_auth_timer(struct smtpd_session *s)
{
	/* Only the wait before a login sets it; a check that takes long is waited for. */
	if (s->login && !s->login->challenged) {
		s->login->challenged = true;
		look(s);
	} else {
		timer_in(s->srv->l->loop, &s->timer, s->srv->conf->command_wait);
	}
}

static void look_later(struct smtpd_session *s)
{
	dur_t wait = login_delay(&s->addr.sa);

	smtpd_hold(s, SMTPD_HOLD_LOGIN);
	if (wait > 0 && !s->leaving) {
		timer_in(s->srv->l->loop, &s->timer, wait);
	} else {
		s->login->challenged = true;
		look(s);
	}
}

/* What the client said, decoded in g->text. */
static void take(struct smtpd_session *s)
{
	struct smtpd_login *g = s->login;

	switch (g->step) {
	case STEP_FIRST:
		if (g->mech == MECH_LOGIN) {
			if (g->text.n == 0 || g->text.n > SASL_NAME_MOST ||
				memchr(g->text.p, '\0', g->text.n)) {
				give_up(s, &garbled);
				return;
			}
			str_copy(g->user, sizeof g->user, buf_view(&g->text));
			ask(s, STEP_PASSWORD, "334 UGFzc3dvcmQ6\r\n");
			return;
		}
		if (g->mech == MECH_SCRAM && !scram_server_first(&g->scram, buf_view(&g->text))) {
			give_up(s, &garbled);
			return;
		}
		s->state = SMTPD_AUTH;
		look_later(s);
		return;
	case STEP_PASSWORD:
		look_later(s);
		return;
	case STEP_FINAL:
		scram_end(s);
		return;
	case STEP_END:
		if (g->text.n)
			give_up(s, &garbled);
		else
			verdict(s, true);
		return;
	}
}

static void decode(struct smtpd_session *s, struct str line)
{
	buf_reset(&s->login->text);
	if (sasl_base64_decode(line, &s->login->text))
		take(s);
	else
		give_up(s, &garbled);
}

void smtpd_auth_line(struct smtpd_session *s, struct str line)
{
	if (str_is(line, "*"))
		give_up(s, &cancelled);
	else
		decode(s, line);
}

void smtpd_auth(struct smtpd_session *s, const struct smtp_command *c)
{
	const struct smtp_reply *why = NULL;
	enum mechanism mech = MECH_PLAIN;

	if (str_ieq(c->mechanism, STR("LOGIN")))
		mech = MECH_LOGIN;
	else if (str_ieq(c->mechanism, STR("SCRAM-SHA-256")))
		mech = MECH_SCRAM;
	else if (!str_ieq(c->mechanism, STR("PLAIN")))
		why = &no_mechanism;
	if (mech == MECH_SCRAM && !scram_is_honoured(s->srv))
		why = &no_mechanism;
	if (!may_log_in(s))
		why = &in_clear;
	else if (!s->esmtp)
		why = &no_hello;
	else if (s->authed || s->mail)
		why = &not_now;
	else if (!smtpd_auth_offer(s)[0])
		why = &no_mechanism;
	if (why) {
		smtpd_say(s, why);
		smtpd_error(s);
		return;
	}
	s->login = mem_new(struct smtpd_login);
	s->login->mech = mech;
	if (c->has_initial)
		decode(s, c->initial);
	else
		ask(s, STEP_FIRST, mech == MECH_LOGIN ? "334 VXNlcm5hbWU6\r\n" : "334 \r\n");
}
