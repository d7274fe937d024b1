/* AUTH as the sink has it: PLAIN, LOGIN, XOAUTH2 (the password is the token) and SCRAM-SHA-256
 * (RFC 5802, 7677), written apart from the gateway's, so that each proves the other.
 */
#include "tests/sim/smtp.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

enum { SCRAM_ROUNDS = 4096 };

static void put_base64(struct buf *out, struct str s)
{
	char *to = buf_extend(out, (s.n + 2) / 3 * 4 + 1);
	out->n--; /* its NUL */
	EVP_EncodeBlock((unsigned char *)to, (const unsigned char *)s.p, (int)s.n);
}

static bool get_base64(struct buf *out, struct str s)
{
	buf_reset(out);
	if (str_is(s, "="))
		return true;
	if (s.n % 4 || s.n > 8192)
		return false;
	char *to = buf_extend(out, s.n / 4 * 3 + 1);
	int n = EVP_DecodeBlock((unsigned char *)to, (const unsigned char *)s.p, (int)s.n);
	if (n < 0)
		return false;
	for (size_t i = 1; i <= 2 && i <= s.n && s.p[s.n - i] == '='; i++)
		n--;
	out->n = (size_t)n;
	return true;
}

static int login_of(struct mail_session *s, struct str user)
{
	for (unsigned i = 0; i < s->sink->conf.logins; i++)
		if (str_eq(s->sink->conf.login[i].user, user))
			return (int)i;
	return -1;
}

static void auth_done(struct mail_session *s, int login, bool good)
{
	s->auth.step = AUTH_NONE;
	if (login < 0 || !good) {
		s->sink->stats.auths_failed++;
		sink_say_later(s, sink_latency(s), false, "535 5.7.8 That is not so");
		return;
	}
	s->sink->stats.auths++;
	s->authenticated = true;
	mem_free(&s->user);
	s->user = mem_dup(s->sink->conf.login[login].user);
	sink_say_later(s, sink_latency(s), false, "235 2.7.0 Welcome");
}

static void auth_password(struct mail_session *s, struct str user, struct str password)
{
	int i = login_of(s, user);
	auth_done(s, i, i >= 0 && str_eq(s->sink->conf.login[i].password, password));
}

static void auth_ask(struct mail_session *s, int step, struct str challenge)
{
	struct buf b = BUF_INIT;
	s->auth.step = step;
	s->mode = MODE_AUTH;
	put_base64(&b, challenge);
	sink_say_later(s, sink_latency(s), false, "334 %s", buf_cstr(&b));
	buf_free(&b);
}

static void auth_plain(struct mail_session *s, struct str text)
{
	struct str authzid, user = STR_NONE;
	ptrdiff_t nul = str_index(text, 0);
	if (nul < 0) {
		auth_done(s, -1, false);
		return;
	}
	authzid = str_n(text.p, (size_t)nul);
	text = str_skip(text, (size_t)nul + 1);
	str_cut(&text, 0, &user);
	auth_password(s, authzid.n && !str_eq(authzid, user) ? STR_NONE : user, text);
}

/* user=NAME^Aauth=Bearer TOKEN^A^A */
static void auth_xoauth2(struct mail_session *s, struct str text)
{
	struct str part, user = STR_NONE, token = STR_NONE;
	while (str_cut(&text, 1, &part)) {
		if (str_starts(part, STR("user=")))
			user = str_skip(part, 5);
		else if (str_starts(part, STR("auth=Bearer ")))
			token = str_skip(part, 12);
	}
	int i = login_of(s, user);
	if (i >= 0 && str_eq(s->sink->conf.login[i].password, token))
		auth_done(s, i, true);
	else /* the client answers with an empty line, and is refused then */
		auth_ask(s, AUTH_FAILING, STR("{\"status\":\"401\",\"schemes\":\"bearer\"}"));
}

static struct str attribute(struct str text, char name)
{
	struct str part;
	while (str_cut(&text, ',', &part))
		if (part.n >= 2 && part.p[0] == name && part.p[1] == '=')
			return str_skip(part, 2);
	return STR_NONE;
}

/* n,,n=USER,r=NONCE → r=NONCE…,s=SALT,i=ROUNDS */
static void scram_first(struct mail_session *s, struct str text)
{
	struct sink_auth *a = &s->auth;
	struct buf nonce = BUF_INIT;
	uint8_t more[18];
	ptrdiff_t comma = str_index(text, ',');
	ptrdiff_t second = comma < 0 ? -1 : str_index(str_skip(text, (size_t)comma + 1), ',');
	if (second < 0 || (text.p[0] != 'n' && text.p[0] != 'y')) {
		auth_done(s, -1, false);
		return;
	}
	size_t header = (size_t)(comma + 1 + second + 1);
	buf_reset(&a->channel);
	buf_add(&a->channel, text.p, header);
	buf_reset(&a->bare);
	buf_str(&a->bare, str_skip(text, header));
	a->login = login_of(s, attribute(buf_view(&a->bare), 'n'));
	CHECK(RAND_bytes(more, sizeof(more)) == 1 && RAND_bytes(a->salt, sizeof(a->salt)) == 1);
	buf_str(&nonce, attribute(buf_view(&a->bare), 'r'));
	put_base64(&nonce, str_n(more, sizeof(more)));
	buf_reset(&a->server);
	buf_printf(&a->server, "r=%.*s,s=", STR_ARG(buf_view(&nonce)));
	put_base64(&a->server, str_n(a->salt, sizeof(a->salt)));
	buf_printf(&a->server, ",i=%d", SCRAM_ROUNDS);
	buf_free(&nonce);
	auth_ask(s, AUTH_SCRAM_FINAL, buf_view(&a->server));
}

static void hmac(uint8_t out_r[32], const uint8_t key[32], struct str text)
{
	unsigned n = 32;
	CHECK(HMAC(EVP_sha256(), key, 32, (const uint8_t *)text.p, text.n, out_r, &n));
}

/* c=CHANNEL,r=NONCE,p=PROOF → v=SIGNATURE */
static void scram_final(struct mail_session *s, struct str text)
{
	struct sink_auth *a = &s->auth;
	struct buf message = BUF_INIT, proof = BUF_INIT, channel = BUF_INIT;
	uint8_t salted[32], client[32], stored[32], server[32], signature[32];
	bool good = a->login >= 0;
	ptrdiff_t p = str_find(text, STR(",p="));
	if (p >= 0 && good) {
		struct str password = s->sink->conf.login[a->login].password;
		struct str without = str_n(text.p, (size_t)p);
		CHECK(PKCS5_PBKDF2_HMAC(password.p, (int)password.n, a->salt, sizeof(a->salt),
			SCRAM_ROUNDS, EVP_sha256(), 32, salted));
		hmac(client, salted, STR("Client Key"));
		hmac(server, salted, STR("Server Key"));
		EVP_Digest(client, 32, stored, NULL, EVP_sha256(), NULL);
		buf_printf(&message, "%.*s,%.*s,%.*s", STR_ARG(buf_view(&a->bare)),
			STR_ARG(buf_view(&a->server)), STR_ARG(without));
		hmac(signature, stored, buf_view(&message));
		good = get_base64(&proof, attribute(text, 'p')) && proof.n == 32 &&
		       str_eq(attribute(text, 'r'), attribute(buf_view(&a->server), 'r')) &&
		       get_base64(&channel, attribute(text, 'c')) &&
		       str_eq(buf_view(&channel), buf_view(&a->channel));
		for (int i = 0; i < 32 && good; i++)
			good = ((uint8_t)proof.p[i] ^ signature[i]) == client[i];
	} else {
		good = false;
	}
	if (good) {
		hmac(signature, server, buf_view(&message));
		buf_reset(&message);
		buf_c(&message, "v=");
		put_base64(&message, str_n(signature, 32));
		auth_ask(s, AUTH_SCRAM_DONE, buf_view(&message));
	} else {
		auth_done(s, -1, false);
	}
	buf_free(&message);
	buf_free(&proof);
	buf_free(&channel);
}

static void auth_step(struct mail_session *s, struct str text)
{
	struct sink_auth *a = &s->auth;
	switch (a->step) {
	case AUTH_PLAIN:
		auth_plain(s, text);
		return;
	case AUTH_LOGIN_USER:
		str_copy(a->user, sizeof(a->user), text);
		auth_ask(s, AUTH_LOGIN_PASS, STR("Password:"));
		return;
	case AUTH_LOGIN_PASS:
		auth_password(s, str_of(a->user), text);
		return;
	case AUTH_XOAUTH2:
		auth_xoauth2(s, text);
		return;
	case AUTH_SCRAM_FIRST:
		scram_first(s, text);
		return;
	case AUTH_SCRAM_FINAL:
		scram_final(s, text);
		return;
	case AUTH_SCRAM_DONE:
		auth_done(s, a->login, true);
		return;
	case AUTH_FAILING:
	case AUTH_NONE:
		break;
	}
	auth_done(s, -1, false);
}

void sink_auth_line(struct mail_session *s, struct str line)
{
	struct buf text = BUF_INIT;
	if (str_is(line, "*")) {
		s->auth.step = AUTH_NONE;
		sink_say_later(s, 0, false, "501 5.7.0 As you like");
	} else if (!get_base64(&text, line)) {
		s->auth.step = AUTH_NONE;
		sink_say_later(s, 0, false, "501 5.5.2 That is no base64");
	} else {
		auth_step(s, buf_view(&text));
	}
	buf_free(&text);
}

void sink_auth_begin(struct mail_session *s, struct str mechanism, struct str initial, bool has)
{
	s->auth.login = -1;
	if (str_ieq(mechanism, STR("LOGIN"))) {
		s->auth.step = AUTH_LOGIN_USER;
		if (!has)
			auth_ask(s, AUTH_LOGIN_USER, STR("Username:"));
	} else {
		s->auth.step = str_ieq(mechanism, STR("PLAIN"))     ? AUTH_PLAIN
			       : str_ieq(mechanism, STR("XOAUTH2")) ? AUTH_XOAUTH2
								    : AUTH_SCRAM_FIRST;
		if (!has)
			auth_ask(s, s->auth.step, STR_NONE);
	}
	if (has)
		sink_auth_line(s, initial);
}
