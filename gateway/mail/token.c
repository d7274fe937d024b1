/* Signed tokens: return paths and links for unsubscribing. See mail.h. Pure; any thread.
 *
 * What is signed begins with a word that says what it is for, so that one kind never passes for the
 * other. Octets are compared in constant time; 80 bits make guessing hopeless, and a wrong guess
 * tells the guesser nothing.
 */
#include "gateway/base/err.h"
#include "gateway/base/mem.h"
#include "gateway/mail/mail.h"

#include <openssl/hmac.h>

enum {
	MAC = 10,            /* octets of the signature */
	SECRET_LEAST = 16,   /* a shorter secret is none */
	VERSION = 1,         /* of both forms */
	BOUNCE_SIGNED = 12,  /* id, hours and version */
	BOUNCE_LETTERS = 35, /* of 5 bits: 64 id, 27 hours, 4 version, 80 signature */
	LINK_HEAD = 14,      /* version, hours, id, length of row */
	LINK_MOST = LINK_HEAD + 31 + 255 + MAC,
};
static const char letters[33] = "abcdefghijklmnopqrstuvwxyz234567";
static const char url_letters[65] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static bool usable(const char *secret)
{
	return secret && strlen(secret) >= SECRET_LEAST;
}

static void sign(const char *secret, struct str use, const uint8_t *p, size_t n, uint8_t mac_r[MAC])
{
	uint8_t text[16 + LINK_MOST], full[EVP_MAX_MD_SIZE];
	unsigned full_n = 0;

	CHECK(use.n <= 16 && n <= LINK_MOST);
	memcpy(text, use.p, use.n);
	memcpy(text + use.n, p, n);
	CHECK(HMAC(EVP_sha256(), secret, (int)strlen(secret), text, use.n + n, full, &full_n));
	memcpy(mac_r, full, MAC);
}

/* Is it signed by the secret of today, or by one that is still taken? All are tried, so that time
 * does not tell which. */
static bool is_signed(const struct mail_conf *c, struct str use, const uint8_t *p, size_t n,
	const uint8_t mac[MAC])
{
	bool good = false;
	uint8_t own[MAC];

	for (size_t i = 0; i <= c->old_secrets_n; i++) {
		const char *secret = i ? c->old_secrets[i - 1] : c->secret;

		if (!usable(secret))
			continue;
		sign(secret, use, p, n, own);
		good |= str_eq_secret(str_n(own, MAC), str_n(mac, MAC));
	}
	return good;
}

/* The first full hour at or after which the token is worth nothing. */
static uint32_t end_hour(wall_t now, dur_t life)
{
	wall_t end;

	if (__builtin_add_overflow(now, life, &end))
		end = INT64_MAX;
	return end <= 0 ? 0 : (uint32_t)((end - 1) / DUR_HOUR + 1);
}

static bool is_over(uint32_t hour, wall_t now)
{
	return now >= 0 && (uint64_t)now / (uint64_t)DUR_HOUR >= hour;
}

static void put_be64(uint8_t *p, uint64_t v)
{
	put_be32(p, (uint32_t)(v >> 32));
	put_be32(p + 4, (uint32_t)v);
}

static uint64_t be64(const uint8_t *p)
{
	return (uint64_t)be32(p) << 32 | be32(p + 4);
}

/* ---- return paths ------------------------------------------------------------------------ */

static const struct str bounce_use = { "bounce:", 7 };

/* The numbers of a token, as they are signed. */
static void bounce_signed(uint64_t msg, uint32_t hour, uint8_t out[BOUNCE_SIGNED])
{
	put_be64(out, msg);
	put_be32(out + 8, hour << 4 | VERSION);
}

bool mail_bounce_token(
	const struct mail_conf *c, uint64_t msg, wall_t now, char token_r[MAIL_TOKEN])
{
	uint8_t bits[BOUNCE_SIGNED + MAC], mac[MAC];
	uint32_t hour, acc = 0;
	size_t at = 0;
	unsigned have = 0;

	token_r[0] = '\0';
	if (!c || !usable(c->secret) || c->bounce_life <= 0)
		return false;
	hour = end_hour(now, c->bounce_life) & 0x7ffffff;
	bounce_signed(msg, hour, bits);
	sign(c->secret, bounce_use, bits, BOUNCE_SIGNED, mac);
	/* 31 bits of the second number: its first is always 0. */
	put_be32(bits + 8, (hour << 4 | VERSION) << 1);
	memcpy(bits + BOUNCE_SIGNED, mac, MAC);
	for (size_t i = 0; i < sizeof bits * 8; i++) {
		if (i == 95) /* the bit that the shift left over */
			continue;
		acc = acc << 1 | (bits[i / 8] >> (7 - i % 8) & 1);
		if (++have == 5) {
			token_r[at++] = letters[acc];
			acc = have = 0;
		}
	}
	CHECK(at == BOUNCE_LETTERS && have == 0);
	token_r[at] = '\0';
	return true;
}

static int letter_value(char ch)
{
	if (ch >= 'A' && ch <= 'Z')
		return ch - 'A';
	if (ch >= 'a' && ch <= 'z')
		return ch - 'a';
	return ch >= '2' && ch <= '7' ? ch - '2' + 26 : -1;
}

enum mail_token_fault mail_bounce_check(
	const struct mail_conf *c, struct str token, wall_t now, uint64_t *msg_r)
{
	uint8_t bits[BOUNCE_SIGNED + MAC] = { 0 }, sent[BOUNCE_SIGNED];
	uint32_t second;
	size_t at = 0;

	*msg_r = 0;
	if (!c || token.n != BOUNCE_LETTERS)
		return MAIL_TOKEN_FORGED;
	for (size_t i = 0; i < token.n; i++) {
		int v = letter_value(token.p[i]);

		if (v < 0)
			return MAIL_TOKEN_FORGED;
		for (int b = 4; b >= 0; b--) {
			if (at == 95)
				at++;
			bits[at / 8] |= (uint8_t)((v >> b & 1) << (7 - at % 8));
			at++;
		}
	}
	second = be32(bits + 8) >> 1;
	bounce_signed(be64(bits), second >> 4, sent);
	if ((second & 15) != VERSION ||
		!is_signed(c, bounce_use, sent, BOUNCE_SIGNED, bits + BOUNCE_SIGNED))
		return MAIL_TOKEN_FORGED;
	*msg_r = be64(bits);
	return is_over(second >> 4, now) ? MAIL_TOKEN_EXPIRED : MAIL_TOKEN_GOOD;
}

/* ---- links for unsubscribing ------------------------------------------------------------- */

static const struct str link_use = { "unsubscribe:", 12 };

static size_t url64_put(const uint8_t *p, size_t n, char *out)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) |
			     (i + 2 < n ? p[i + 2] : 0);
		unsigned k = n - i >= 3 ? 4 : (unsigned)(n - i) + 1;

		for (unsigned j = 0; j < k; j++)
			out[at++] = url_letters[v >> (18 - 6 * j) & 63];
	}
	out[at] = '\0';
	return at;
}

static int url_value(char ch)
{
	return ch == '-' ? 62 : ch == '_' ? 63 : ch == '+' || ch == '/' ? -1 : str_base64_value(ch);
}

/* Octets, or -1: other letters, bits left over, or more than cap. */
static ptrdiff_t url64_get(struct str s, uint8_t *out, size_t cap)
{
	uint32_t acc = 0;
	unsigned have = 0;
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		int v = url_value(s.p[i]);

		if (v < 0)
			return -1;
		acc = (acc << 6 | (uint32_t)v) & 0xffffff;
		have += 6;
		if (have < 8)
			continue;
		if (n == cap)
			return -1;
		have -= 8;
		out[n++] = (uint8_t)(acc >> have);
	}
	return have >= 6 || (acc & ((1u << have) - 1)) ? -1 : (ptrdiff_t)n;
}

bool mail_unsubscribe_token(const struct mail_conf *c, uint64_t msg, struct str address,
	struct str row, wall_t now, char token_r[MAIL_UNSUBSCRIBE_TOKEN])
{
	uint8_t t[LINK_MOST];
	struct mail_unsubscribe *u;
	size_t n = LINK_HEAD;

	token_r[0] = '\0';
	if (!c || !usable(c->secret) || c->unsubscribe_life <= 0 || address.n == 0 ||
		address.n >= sizeof u->address || row.n >= sizeof u->row)
		return false;
	t[0] = VERSION;
	put_be32(t + 1, end_hour(now, c->unsubscribe_life));
	put_be64(t + 5, msg);
	t[13] = (uint8_t)row.n;
	memcpy(t + n, row.p, row.n);
	n += row.n;
	memcpy(t + n, address.p, address.n);
	n += address.n;
	sign(c->secret, link_use, t, n, t + n);
	CHECK(url64_put(t, n + MAC, token_r) < MAIL_UNSUBSCRIBE_TOKEN);
	return true;
}

enum mail_token_fault mail_unsubscribe_check(
	const struct mail_conf *c, struct str token, wall_t now, struct mail_unsubscribe *u_r)
{
	uint8_t t[LINK_MOST];
	ptrdiff_t got;
	size_t n, row;

	*u_r = (struct mail_unsubscribe){ 0 };
	if (!c || token.n >= MAIL_UNSUBSCRIBE_TOKEN)
		return MAIL_TOKEN_FORGED;
	got = url64_get(token, t, sizeof t);
	if (got < LINK_HEAD + 1 + MAC)
		return MAIL_TOKEN_FORGED;
	n = (size_t)got - MAC;
	row = t[13];
	if (t[0] != VERSION || row >= sizeof u_r->row || LINK_HEAD + row >= n ||
		n - LINK_HEAD - row >= sizeof u_r->address || !is_signed(c, link_use, t, n, t + n))
		return MAIL_TOKEN_FORGED;
	u_r->msg = be64(t + 5);
	str_copy(u_r->row, sizeof u_r->row, str_n(t + LINK_HEAD, row));
	str_copy(
		u_r->address, sizeof u_r->address, str_n(t + LINK_HEAD + row, n - LINK_HEAD - row));
	return is_over(be32(t + 1), now) ? MAIL_TOKEN_EXPIRED : MAIL_TOKEN_GOOD;
}
