/* Base64 and the mechanisms of SASL. See sasl.h. */
#include "protocols/smtp/sasl.h"
#include "gateway/base/mem.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

/* ---- base64 ---- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool decode_four(const char *p, bool last, struct buf *out)
{
	int a = str_base64_value(p[0]), b = str_base64_value(p[1]), c = str_base64_value(p[2]),
	    d = str_base64_value(p[3]);

	if (a < 0 || b < 0)
		return false;
	if (last && p[3] == '=' && p[2] == '=' && (b & 15) == 0) {
		buf_u8(out, (uint8_t)(a << 2 | b >> 4));
		return true;
	}
	if (c < 0)
		return false;
	if (last && p[3] == '=' && (c & 3) == 0) {
		buf_u8(out, (uint8_t)(a << 2 | b >> 4));
		buf_u8(out, (uint8_t)(b << 4 | c >> 2));
		return true;
	}
	if (d < 0)
		return false;
	buf_u8(out, (uint8_t)(a << 2 | b >> 4));
	buf_u8(out, (uint8_t)(b << 4 | c >> 2));
	buf_u8(out, (uint8_t)(c << 6 | d));
	return true;
}

bool sasl_base64_decode(struct str in, struct buf *out)
{
	size_t had = out->n;

	if (in.n % 4)
		return false;
	for (size_t i = 0; i < in.n; i += 4) {
		if (decode_four(in.p + i, i + 4 == in.n, out))
			continue;
		out->n = had;
		return false;
	}
	return true;
}

void sasl_base64_encode(struct str in, struct buf *out)
{
	const uint8_t *p = (const uint8_t *)in.p;

	for (size_t i = 0; i < in.n; i += 3) {
		size_t left = in.n - i;
		unsigned v =
			p[i] << 16u | (left > 1 ? p[i + 1] << 8u : 0) | (left > 2 ? p[i + 2] : 0);
		char *to = buf_extend(out, 4);

		to[0] = alphabet[v >> 18];
		to[1] = alphabet[v >> 12 & 63];
		to[2] = left > 1 ? alphabet[v >> 6 & 63] : '=';
		to[3] = left > 2 ? alphabet[v & 63] : '=';
	}
}

/* ---- PLAIN, XOAUTH2 ---- */

void sasl_plain_put(struct str user, struct str password, struct buf *out)
{
	buf_char(out, '\0');
	buf_str(out, user);
	buf_char(out, '\0');
	buf_str(out, password);
}

void sasl_xoauth2_put(struct str user, struct str token, struct buf *out)
{
	buf_c(out, "user=");
	buf_str(out, user);
	buf_c(out, "\1auth=Bearer ");
	buf_str(out, token);
	buf_c(out, "\1\1");
}

bool sasl_plain_parse(
	struct str raw, struct str *authzid_r, struct str *user_r, struct str *password_r)
{
	return memchr(raw.p, '\0', raw.n) && str_cut(&raw, '\0', authzid_r) &&
	       memchr(raw.p, '\0', raw.n) && str_cut(&raw, '\0', user_r) && user_r->n &&
	       (*password_r = raw, !memchr(raw.p, '\0', raw.n));
}

/* ---- SCRAM: keys (RFC 5802 §3) ---- */

static void hmac(const uint8_t key[SCRAM_KEY], struct str text, uint8_t out[SCRAM_KEY])
{
	unsigned n = SCRAM_KEY;

	CHECK(HMAC(EVP_sha256(), key, SCRAM_KEY, (const uint8_t *)text.p, text.n, out, &n));
}

static void salted(struct str password, const uint8_t *salt, size_t salt_n, unsigned rounds,
	uint8_t out[SCRAM_KEY])
{
	CHECK(PKCS5_PBKDF2_HMAC(password.p, (int)password.n, salt, (int)salt_n, (int)rounds,
		      EVP_sha256(), SCRAM_KEY, out) == 1);
}

void scram_verifier_make(
	struct str password, struct str salt, unsigned rounds, struct scram_verifier *v_r)
{
	uint8_t key[SCRAM_KEY], client[SCRAM_KEY];

	CHECK(salt.n && salt.n <= SCRAM_SALT_MOST && rounds);
	v_r->rounds = rounds;
	v_r->salt_n = salt.n;
	memcpy(v_r->salt, salt.p, salt.n);
	salted(password, v_r->salt, v_r->salt_n, rounds, key);
	hmac(key, STR("Client Key"), client);
	SHA256(client, SCRAM_KEY, v_r->stored);
	hmac(key, STR("Server Key"), v_r->server);
	explicit_bzero(key, sizeof key);
	explicit_bzero(client, sizeof client);
}

bool scram_verifier_fits(const struct scram_verifier *v, struct str password)
{
	struct scram_verifier made;

	scram_verifier_make(password, str_n(v->salt, v->salt_n), v->rounds, &made);
	return str_eq_secret(str_n(made.stored, SCRAM_KEY), str_n(v->stored, SCRAM_KEY));
}

static bool key_parse(struct str text, uint8_t *out, size_t least, size_t most, size_t *n_r)
{
	struct buf b = BUF_INIT;
	bool ok = text.n <= 256 && sasl_base64_decode(text, &b) && b.n >= least && b.n <= most;

	if (ok) {
		memcpy(out, b.p, b.n);
		*n_r = b.n;
	}
	buf_free(&b);
	return ok;
}

bool scram_verifier_parse(struct str text, struct scram_verifier *v_r)
{
	struct str rounds, salt, stored;
	uint64_t n;
	size_t len;

	*v_r = (struct scram_verifier){ 0 };
	if (!str_starts(text, STR("SCRAM-SHA-256$")))
		return false;
	text = str_skip(text, 14);
	if (!str_cut(&text, ':', &rounds) || !str_cut(&text, '$', &salt) ||
		!str_cut(&text, ':', &stored) || !str_u64(rounds, &n) || n < 1 ||
		n > SCRAM_ROUNDS_MOST)
		return false;
	v_r->rounds = (unsigned)n;
	return key_parse(salt, v_r->salt, 1, SCRAM_SALT_MOST, &v_r->salt_n) &&
	       key_parse(stored, v_r->stored, SCRAM_KEY, SCRAM_KEY, &len) &&
	       key_parse(text, v_r->server, SCRAM_KEY, SCRAM_KEY, &len);
}

void scram_verifier_put(const struct scram_verifier *v, struct buf *out)
{
	buf_printf(out, "SCRAM-SHA-256$%u:", v->rounds);
	sasl_base64_encode(str_n(v->salt, v->salt_n), out);
	buf_char(out, '$');
	sasl_base64_encode(str_n(v->stored, SCRAM_KEY), out);
	buf_char(out, ':');
	sasl_base64_encode(str_n(v->server, SCRAM_KEY), out);
}

/* ---- SCRAM: messages (RFC 5802 §7) ---- */

static bool printable(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x21 || s.p[i] > 0x7e || s.p[i] == ',')
			return false;
	return s.n > 0;
}

/* The next attribute, which must be that one. */
static bool attribute(struct str *rest, char name, struct str *value_r)
{
	struct str part;

	if (!str_cut(rest, ',', &part) || part.n < 2 || part.p[0] != name || part.p[1] != '=')
		return false;
	*value_r = str_skip(part, 2);
	return true;
}

/* "=2C" and "=3D" stand for a comma and an equals sign. */
static bool name_decode(struct str in, char out[SASL_NAME_MOST + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];

		if (c == '=') {
			struct str code = str_n(in.p + i, in.n - i < 3 ? in.n - i : 3);

			if (!str_is(code, "=2C") && !str_is(code, "=3D"))
				return false;
			c = code.p[1] == '2' ? ',' : '=';
			i += 2;
		}
		if (c == '\0' || n == SASL_NAME_MOST)
			return false;
		out[n++] = c;
	}
	out[n] = '\0';
	return n > 0;
}

void scram_server_free(struct scram_server *s)
{
	buf_free(&s->header);
	buf_free(&s->text);
	buf_free(&s->nonce);
}

bool scram_server_first(struct scram_server *s, struct str message)
{
	struct str rest = message, binding, authzid, name, nonce;

	/* "n": the client cannot bind channels; "y": it can and thinks that we cannot, as is so. */
	if (message.n > 2048 || !str_cut(&rest, ',', &binding) ||
		!(str_is(binding, "n") || str_is(binding, "y")) || !str_cut(&rest, ',', &authzid))
		return false;
	if (!rest.n || (authzid.n && !str_starts(authzid, STR("a="))))
		return false;
	buf_reset(&s->header);
	buf_add(&s->header, message.p, (size_t)(rest.p - message.p));
	buf_reset(&s->text);
	buf_str(&s->text, rest);
	if (!attribute(&rest, 'n', &name) || !name_decode(name, s->user) ||
		!attribute(&rest, 'r', &nonce) || !printable(nonce))
		return false;
	buf_reset(&s->nonce);
	buf_str(&s->nonce, nonce);
	/* To act for somebody else is nobody's right here. */
	if (authzid.n) {
		char other[SASL_NAME_MOST + 1];

		if (!name_decode(str_skip(authzid, 2), other) || strcmp(other, s->user) != 0)
			return false;
	}
	return true;
}

void scram_server_challenge(
	struct scram_server *s, const struct scram_verifier *v, struct str nonce, struct buf *out)
{
	size_t at = out->n;

	buf_str(&s->nonce, nonce);
	buf_c(out, "r=");
	buf_str(out, buf_view(&s->nonce));
	buf_c(out, ",s=");
	sasl_base64_encode(str_n(v->salt, v->salt_n), out);
	buf_printf(out, ",i=%u", v->rounds);
	buf_char(&s->text, ',');
	buf_add(&s->text, out->p + at, out->n - at);
}

/* Is it "c=" with the header that the exchange began with? */
static bool binding_fits(const struct scram_server *s, struct str c)
{
	struct buf b = BUF_INIT;
	bool ok = sasl_base64_decode(c, &b) && str_eq(buf_view(&b), buf_view(&s->header));

	buf_free(&b);
	return ok;
}

bool scram_server_final(
	struct scram_server *s, const struct scram_verifier *v, struct str message, struct buf *out)
{
	struct str rest = message, c, nonce, proof = STR_NONE;
	uint8_t given[SCRAM_KEY], signature[SCRAM_KEY], key[SCRAM_KEY], stored[SCRAM_KEY];
	size_t n;

	if (message.n > 2048 || !attribute(&rest, 'c', &c) || !attribute(&rest, 'r', &nonce))
		return false;
	/* Extensions may stand in between; the proof is the last. */
	while (rest.n) {
		const char *at = rest.p;

		if (attribute(&rest, 'p', &proof)) {
			buf_char(&s->text, ',');
			buf_add(&s->text, message.p, (size_t)(at - message.p) - 1);
			break;
		}
	}
	if (rest.n || !key_parse(proof, given, SCRAM_KEY, SCRAM_KEY, &n) || !binding_fits(s, c) ||
		!str_eq(nonce, buf_view(&s->nonce)))
		return false;
	hmac(v->stored, buf_view(&s->text), signature);
	for (size_t i = 0; i < SCRAM_KEY; i++)
		key[i] = given[i] ^ signature[i];
	SHA256(key, SCRAM_KEY, stored);
	explicit_bzero(key, sizeof key);
	if (!str_eq_secret(str_n(stored, SCRAM_KEY), str_n(v->stored, SCRAM_KEY)))
		return false;
	hmac(v->server, buf_view(&s->text), signature);
	buf_c(out, "v=");
	sasl_base64_encode(str_n(signature, SCRAM_KEY), out);
	return true;
}

/* ---- the client ---- */

void scram_client_free(struct scram_client *c)
{
	buf_free(&c->text);
	buf_free(&c->nonce);
	explicit_bzero(c->server, sizeof c->server);
}

void scram_client_first(struct scram_client *c, struct str user, struct str nonce, struct buf *out)
{
	buf_reset(&c->text);
	buf_c(&c->text, "n=");
	for (size_t i = 0; i < user.n; i++) {
		if (user.p[i] == ',' || user.p[i] == '=')
			buf_c(&c->text, user.p[i] == ',' ? "=2C" : "=3D");
		else
			buf_char(&c->text, user.p[i]);
	}
	buf_c(&c->text, ",r=");
	buf_str(&c->text, nonce);
	buf_reset(&c->nonce);
	buf_str(&c->nonce, nonce);
	buf_c(out, "n,,");
	buf_str(out, buf_view(&c->text));
}

int scram_client_final(struct scram_client *c, struct str password, struct str message,
	struct buf *out, struct err *e)
{
	struct str rest = message, nonce, salt64, rounds64;
	uint8_t salt[SCRAM_SALT_MOST], salt_key[SCRAM_KEY], key[SCRAM_KEY], stored[SCRAM_KEY],
		signature[SCRAM_KEY];
	size_t salt_n, at = out->n;
	uint64_t rounds;

	if (message.n > 2048 || !attribute(&rest, 'r', &nonce) || !attribute(&rest, 's', &salt64) ||
		!attribute(&rest, 'i', &rounds64) || !str_u64(rounds64, &rounds))
		return err_set(e, ERR_INPUT, "SCRAM: the server's challenge cannot be read");
	if (!str_starts(nonce, buf_view(&c->nonce)) || nonce.n == c->nonce.n || !printable(nonce))
		return err_set(e, ERR_INPUT, "SCRAM: the server's nonce does not continue ours");
	if (!key_parse(salt64, salt, 1, SCRAM_SALT_MOST, &salt_n) || rounds < 1 ||
		rounds > SCRAM_ROUNDS_MOST)
		return err_set(e, ERR_INPUT, "SCRAM: salt or rounds are not usable");
	salted(password, salt, salt_n, (unsigned)rounds, salt_key);
	hmac(salt_key, STR("Client Key"), key);
	SHA256(key, SCRAM_KEY, stored);
	buf_c(out, "c=biws,r="); /* "n,," */
	buf_str(out, nonce);
	buf_char(&c->text, ',');
	buf_str(&c->text, message);
	buf_char(&c->text, ',');
	buf_add(&c->text, out->p + at, out->n - at);
	hmac(stored, buf_view(&c->text), signature);
	for (size_t i = 0; i < SCRAM_KEY; i++)
		key[i] ^= signature[i];
	buf_c(out, ",p=");
	sasl_base64_encode(str_n(key, SCRAM_KEY), out);
	hmac(salt_key, STR("Server Key"), key);
	hmac(key, buf_view(&c->text), c->server);
	explicit_bzero(salt_key, sizeof salt_key);
	explicit_bzero(key, sizeof key);
	return 0;
}

bool scram_client_done(struct scram_client *c, struct str message)
{
	struct str rest = message, v;
	uint8_t given[SCRAM_KEY];
	size_t n;

	return attribute(&rest, 'v', &v) && key_parse(v, given, SCRAM_KEY, SCRAM_KEY, &n) &&
	       str_eq_secret(str_n(given, SCRAM_KEY), str_n(c->server, SCRAM_KEY));
}

void scram_nonce(char nonce_r[SCRAM_NONCE])
{
	uint8_t raw[SCRAM_NONCE - 1];

	CHECK(RAND_bytes(raw, sizeof raw) == 1);
	for (size_t i = 0; i < sizeof raw; i++)
		nonce_r[i] = alphabet[raw[i] & 63];
	nonce_r[SCRAM_NONCE - 1] = '\0';
}
