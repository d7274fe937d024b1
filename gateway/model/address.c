/* Addresses: phone numbers, short codes and named senders; the shapes of email and push. See
 * address.h.
 */
#include "gateway/model/address.h"
#include "gateway/model/gsm7.h"
#include "gateway/model/unicode.h"

#include <stdio.h>

enum {
	PHONE_MIN = 7, /* digits of the shortest numbers in use, country code included */
	SHORT_USUAL = 6,
	DIGITS_CAP = 32, /* more than any number with prefixes; what is longer is refused */
};

static bool is_digit(int32_t c)
{
	return c >= '0' && c <= '9';
}

static bool all_digits(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_digit(s.p[i]))
			return false;
	return true;
}

/* The address as an error may show it: short, and without what would disturb a log line. */
static const char *shown(struct str in, char out[static 64])
{
	struct str rest = in;
	size_t n = 0;
	int32_t c;

	while (n < 40 && (c = str_utf8_next(&rest)) != -1) {
		size_t from = in.n - rest.n, len;

		if (c < 0x20 || c == 0x7f) {
			out[n++] = '?';
			continue;
		}
		len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
		memcpy(out + n, in.p + from - len, len);
		n += len;
	}
	out[n] = '\0';
	if (rest.n)
		str_copy(out + n, 64 - n, STR("…"));
	return out;
}

int address_country_check(const struct address_country *c, struct err *e)
{
	const char *const fields[] = { c->code, c->trunk, c->abroad };
	const char *const names[] = { "country code", "trunk prefix", "international prefix" };

	for (int i = 0; i < 3; i++)
		if (!all_digits(str_of(fields[i])))
			return err_set(e, ERR_CONF, "%s \"%s\" holds more than digits", names[i],
				fields[i]);
	if (c->code[0] == '0')
		return err_set(e, ERR_CONF, "country code \"%s\" begins with 0", c->code);
	if (!c->code[0] && (c->trunk[0] || c->digits))
		return err_set(
			e, ERR_CONF, "a trunk prefix or number length without a country code");
	if (c->digits > ADDRESS_PHONE_MAX || c->short_max > ADDRESS_PHONE_MAX)
		return err_set(
			e, ERR_CONF, "no phone number has more than %d digits", ADDRESS_PHONE_MAX);
	return 0;
}

/* ---- phone numbers ------------------------------------------------------------------------ */

/* The digits of what was written, and what stood around them. */
struct dialled {
	char d[DIGITS_CAP + 1];
	size_t n;
	bool plus, punctuation;
	size_t zero; /* place of the 0 of a "(0)" */
	bool has_zero;
};

/* Spaces, dashes, brackets, and the invisible marks that come with copied numbers. */
static bool is_punctuation(int32_t c)
{
	return c == ' ' || c == '-' || c == '.' || c == '/' || c == '(' || c == ')' || c == 0xa0 ||
	       c == 0xad || (c >= 0x2000 && c <= 0x2015) || (c >= 0x202a && c <= 0x202f) ||
	       c == 0x2060 || (c >= 0x2066 && c <= 0x2069) || c == 0x2212 || c == 0xfeff;
}

/* 0, or -1 with the offending character in *bad_r (0: too many digits) and its place, from 1. */
static int read_dialled(struct str in, struct dialled *w, int32_t *bad_r, size_t *place_r)
{
	int32_t c;
	size_t place = 0;

	*w = (struct dialled){ 0 };
	if (in.n >= 4 && str_ieq(str_n(in.p, 4), STR("tel:")))
		in = str_skip(in, 4);
	for (;;) {
		if (!w->has_zero && w->n && str_starts(in, STR("(0)"))) {
			w->has_zero = true;
			w->zero = w->n;
		}
		place++;
		if ((c = str_utf8_next(&in)) == -1)
			return 0;
		*bad_r = c;
		*place_r = place;
		if (is_digit(c)) {
			if (w->n == DIGITS_CAP)
				return *bad_r = 0, -1;
			w->d[w->n++] = (char)c;
		} else if (c == '+' && w->n == 0 && !w->plus) {
			w->plus = true;
		} else if (is_punctuation(c)) {
			w->punctuation = true;
		} else {
			return -1;
		}
	}
}

static int refuse_dialled(struct str in, int32_t bad, size_t place, struct err *e)
{
	char text[64], name[80];

	shown(in, text);
	if (bad == 0)
		return err_set(e, ERR_INPUT, "number \"%s\": more than %d digits", text,
			ADDRESS_PHONE_MAX);
	if (bad < 0)
		return err_set(e, ERR_INPUT, "number \"%s\": not UTF-8 at place %zu", text, place);
	if (bad > 0x20 && bad < 0x7f)
		return err_set(e, ERR_INPUT, "number \"%s\": '%c' at place %zu is no digit", text,
			(char)bad, place);
	unicode_describe((uint32_t)bad, name, sizeof name);
	return err_set(e, ERR_INPUT, "number \"%s\": U+%04X (%s) at place %zu is no digit", text,
		(unsigned)bad, name, place);
}

/* Takes n digits away at a place. */
static void strike(struct dialled *w, size_t at, size_t n)
{
	memmove(w->d + at, w->d + at + n, w->n - at - n);
	w->n -= n;
}

static bool begins(const struct dialled *w, const char *prefix)
{
	struct str p = str_of(prefix);

	return p.n && w->n > p.n && str_starts(str_n(w->d, w->n), p);
}

/* A number dialled within the country: by its trunk prefix, its length, or its TON. */
static bool is_national(
	const struct dialled *w, unsigned ton, const struct address_country *country)
{
	size_t trunk = strlen(country->trunk);

	if (!country->code[0])
		return false;
	if (ton == TON_NATIONAL)
		return true;
	if (ton == TON_INTERNATIONAL)
		return country->trunk[0] == '0' && w->d[0] == '0';
	if (begins(w, country->trunk) && (!country->digits || w->n == trunk + country->digits))
		return true;
	return country->digits && w->n == country->digits;
}

/* Makes w an international number, as far as it can be made one. */
static void dial_abroad(struct dialled *w, unsigned ton, const struct address_country *country)
{
	const char *abroad = country->abroad[0] ? country->abroad : "00";
	bool international = w->plus;

	if (!w->plus && begins(w, "00")) {
		strike(w, 0, 2);
		if (w->has_zero)
			w->zero -= 2;
		international = true;
	} else if (!w->plus && ton != TON_INTERNATIONAL && begins(w, abroad)) {
		size_t n = strlen(abroad);

		strike(w, 0, n);
		if (w->has_zero && w->zero >= n)
			w->zero -= n;
		international = true;
	}
	if (!international && is_national(w, ton, country)) {
		size_t code = strlen(country->code), trunk = strlen(country->trunk);

		if (begins(w, country->trunk) && (!country->digits || w->n != country->digits))
			strike(w, 0, trunk);
		if (w->n + code <= DIGITS_CAP) {
			memmove(w->d + code, w->d, w->n);
			memcpy(w->d, country->code, code);
		}
		w->n += code;
		return;
	}
	if (w->has_zero && w->zero < w->n && w->d[w->zero] == '0')
		strike(w, w->zero, 1);
}

static void address_set(struct address *a, enum address_kind kind, struct str s)
{
	a->kind = kind;
	a->n = (uint8_t)s.n;
	str_copy(a->text, sizeof a->text, s);
}

static int phone(struct address *a, struct str in, struct dialled *w, unsigned ton,
	unsigned short_max, const struct address_country *country, struct err *e)
{
	static const struct address_country nowhere;
	char text[64];
	bool bare = !w->plus && !w->punctuation;

	if (!country)
		country = &nowhere;
	if (ton == TON_NETWORK || ton == TON_ABBREVIATED)
		short_max = ADDRESS_SHORT_MAX;
	if (w->n == 0)
		return err_set(e, ERR_INPUT, "number \"%s\": no digits", shown(in, text));
	if (bare && w->n >= ADDRESS_SHORT_MIN && w->n <= short_max &&
		!(w->n > SHORT_USUAL && begins(w, country->trunk))) {
		address_set(a, ADDRESS_SHORT, str_n(w->d, w->n));
		return 0;
	}
	dial_abroad(w, ton, country);
	if (w->n && w->d[0] == '0')
		return err_set(e, ERR_INPUT, "number \"%s\": no country code begins with 0; %s",
			shown(in, text),
			country->code[0] ? "write it with '+' and its country code"
					 : "national numbers need the country setting");
	if (w->n < PHONE_MIN)
		return err_set(e, ERR_INPUT, "number \"%s\": %zu digits are too few",
			shown(in, text), w->n);
	if (w->n > ADDRESS_PHONE_MAX)
		return err_set(e, ERR_INPUT, "number \"%s\": %zu digits; at most %d",
			shown(in, text), w->n, ADDRESS_PHONE_MAX);
	address_set(a, ADDRESS_PHONE, str_n(w->d, w->n));
	return 0;
}

static unsigned short_max_of(const struct address_country *c, unsigned usual)
{
	return c && c->short_max ? c->short_max : usual;
}

int address_destination(struct address *a, struct str in, unsigned ton, unsigned npi,
	const struct address_country *country, struct err *e)
{
	struct dialled w;
	int32_t bad;
	size_t place;

	in = str_trim(in);
	if (in.n == 0)
		return err_set(e, ERR_INPUT, "no destination address");
	if (read_dialled(in, &w, &bad, &place))
		return refuse_dialled(in, bad, place, e);
	return phone(a, in, &w, ton, short_max_of(country, SHORT_USUAL), country, e);
}

/* ---- senders ------------------------------------------------------------------------------ */

static int named(struct address *a, struct str in, struct err *e)
{
	struct str rest = in;
	unsigned septets = 0;
	char text[64], name[80];
	int32_t c;

	while ((c = str_utf8_next(&rest)) != -1) {
		unsigned code = c < 0x20 ? GSM7_NONE : gsm7_code_default((uint32_t)c);

		if (c < 0)
			return err_set(e, ERR_INPUT, "sender \"%s\" is not UTF-8", shown(in, text));
		if (code == GSM7_NONE) {
			unicode_describe((uint32_t)c, name, sizeof name);
			return err_set(e, ERR_INPUT,
				"sender \"%s\": U+%04X (%s) is not in the GSM alphabet",
				shown(in, text), (unsigned)c, name);
		}
		septets += code > 0x7f ? 2 : 1;
	}
	if (septets > ADDRESS_ALNUM_MAX)
		return err_set(e, ERR_INPUT, "sender \"%s\" takes %u characters; at most %d",
			shown(in, text), septets, ADDRESS_ALNUM_MAX);
	address_set(a, ADDRESS_ALNUM, in);
	return 0;
}

int address_source(struct address *a, struct str in, unsigned ton, unsigned npi,
	const struct address_country *country, struct err *e)
{
	struct dialled w;
	int32_t bad;
	size_t place;

	in = str_trim(in);
	if (in.n == 0)
		return err_set(e, ERR_INPUT, "no source address");
	/* Clients that leave TON at 5 for everything send full numbers with it, too. */
	if (ton == TON_ALPHANUMERIC && !(all_digits(in) && in.n > ADDRESS_ALNUM_MAX))
		return named(a, in, e);
	if (read_dialled(in, &w, &bad, &place))
		return bad == 0 ? refuse_dialled(in, bad, place, e) : named(a, in, e);
	/* "24-7" is a name; "070-123 45 67" is a number. */
	if (!w.plus && (w.punctuation || w.n < ADDRESS_SHORT_MIN) && w.n < PHONE_MIN)
		return named(a, in, e);
	return phone(a, in, &w, ton, short_max_of(country, ADDRESS_SHORT_MAX), country, e);
}

struct ton_npi address_source_ton(const struct address_numbering *n, const struct address *a)
{
	return a->kind == ADDRESS_ALNUM   ? n->source_alnum
	       : a->kind == ADDRESS_SHORT ? n->source_short
					  : n->source_other;
}

struct ton_npi address_destination_ton(const struct address_numbering *n, const struct address *a)
{
	return a->kind == ADDRESS_SHORT ? n->destination_short : n->destination;
}

int address_source_octets(
	const struct address *a, enum text_form form, struct buf *out, struct err *e)
{
	struct str rest = address_str(a);
	size_t before = out->n;
	int32_t c;

	if (form == TEXT_FORM_UTF8) {
		buf_str(out, rest);
		return 0;
	}
	if (form == TEXT_FORM_GSM || form == TEXT_FORM_PACKED) {
		if (a->kind != ADDRESS_ALNUM) {
			buf_str(out, rest);
			return 0;
		}
		if (str_index(rest, '@') >= 0)
			return err_set(e, ERR_INPUT,
				"sender \"%s\": '@' is a zero octet in GSM and cannot be sent",
				a->text);
		return gsm7_encode(rest, GSM7_DEFAULT, GSM7_DEFAULT, out, NULL);
	}
	while ((c = str_utf8_next(&rest)) >= 0) {
		if (c > (form == TEXT_FORM_ASCII ? 0x7f : 0xff)) {
			out->n = before;
			return err_set(e, ERR_INPUT, "sender \"%s\": U+%04X is not in %s", a->text,
				(unsigned)c, form == TEXT_FORM_ASCII ? "ASCII" : "Latin-1");
		}
		buf_u8(out, (uint8_t)c);
	}
	return 0;
}

/* ---- email and push ---------------------------------------------------------------------- */

enum {
	LOCAL_MAX = 64,
	DOMAIN_MAX = 253,
	LABEL_MAX = 63,
	CHANNEL_MAX = 64,
};

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* RFC 5322 atext, and everything beyond ASCII (RFC 6531). */
static bool is_atom(char c)
{
	return is_alnum(c) || (unsigned char)c >= 0x80 || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static const char *local_fault(struct str s)
{
	if (s.n == 0)
		return "nothing before the @";
	if (s.n > LOCAL_MAX)
		return "more than 64 octets before the @";
	if (s.p[0] == '"') {
		if (s.n < 3 || s.p[s.n - 1] != '"')
			return "the quoted part is not closed";
		for (size_t i = 1; i < s.n - 1; i++) {
			if (s.p[i] == '\\' && i + 1 == s.n - 1)
				return "the quoted part is not closed";
			if (s.p[i] == '\\')
				i++;
			else if (s.p[i] == '"')
				return "a quotation mark inside the quoted part";
			if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
				return "a control character";
		}
		return NULL;
	}
	for (size_t i = 0; i < s.n; i++) {
		bool dot = s.p[i] == '.';

		if (dot && (i == 0 || i + 1 == s.n || s.p[i - 1] == '.'))
			return "a dot out of place before the @";
		if (!dot && !is_atom(s.p[i]))
			return s.p[i] == '@'   ? "more than one @"
			       : s.p[i] == ' ' ? "a space before the @"
					       : "a character before the @ that needs quotes";
	}
	return NULL;
}

static const char *label_fault(struct str s)
{
	if (s.n == 0)
		return "an empty label in the domain";
	if (s.n > LABEL_MAX)
		return "a label of more than 63 octets in the domain";
	if (s.p[0] == '-' || s.p[s.n - 1] == '-')
		return "a label of the domain begins or ends with a hyphen";
	for (size_t i = 0; i < s.n; i++)
		if (!is_alnum(s.p[i]) && s.p[i] != '-' && (unsigned char)s.p[i] < 0x80)
			return "a character in the domain that no host name has";
	return NULL;
}

static const char *domain_fault(struct str s)
{
	struct str rest = s, label;
	const char *fault;

	if (s.n == 0)
		return "nothing after the @";
	if (s.n > DOMAIN_MAX)
		return "a domain of more than 253 octets";
	if (s.p[0] == '[') {
		if (s.n < 4 || s.p[s.n - 1] != ']')
			return "the bracketed address is not closed";
		for (size_t i = 1; i < s.n - 1; i++)
			if (!is_alnum(s.p[i]) && s.p[i] != '.' && s.p[i] != ':')
				return "a character in the bracketed address that is out of place";
		return NULL;
	}
	while (str_cut(&rest, '.', &label))
		if ((fault = label_fault(label)))
			return fault;
	return NULL;
}

/* Place of the @ that ends the local part; -1 when there is none. */
static ptrdiff_t find_at(struct str s)
{
	ptrdiff_t at = -1;

	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '@')
			at = (ptrdiff_t)i;
	return at;
}

int address_email(struct str in, struct err *e)
{
	ptrdiff_t at = find_at(in);
	const char *fault = NULL;
	char text[64];

	if (in.n == 0)
		fault = "it is empty";
	else if (in.n > ADDRESS_EMAIL_MAX)
		fault = "more than 254 octets";
	else if (!str_utf8_valid(in))
		fault = "it is not UTF-8";
	else if (at < 0)
		fault = "there is no @";
	else if (!(fault = local_fault(str_n(in.p, (size_t)at))))
		fault = domain_fault(str_skip(in, (size_t)at + 1));
	if (!fault)
		return 0;
	return err_set(e, ERR_INPUT, "email address \"%s\": %s", shown(in, text), fault);
}

int address_push(struct str in, struct str *channel_r, struct str *token_r, struct err *e)
{
	ptrdiff_t colon = str_index(in, ':');
	struct str channel = colon < 0 ? STR_NONE : str_n(in.p, (size_t)colon);
	struct str token = colon < 0 ? in : str_skip(in, (size_t)colon + 1);

	if (colon == 0)
		return err_set(e, ERR_INPUT, "push address: no channel before the ':'");
	if (channel.n > CHANNEL_MAX)
		return err_set(
			e, ERR_INPUT, "push address: a channel name of %zu octets", channel.n);
	for (size_t i = 0; i < channel.n; i++)
		if (!is_alnum(channel.p[i]) &&
			(channel.p[i] == '\0' || !strchr("-_.", channel.p[i])))
			return err_set(e, ERR_INPUT,
				"push address: place %zu is no character of a channel name", i + 1);
	if (token.n == 0)
		return err_set(e, ERR_INPUT, "push address: no token%s",
			colon < 0 ? "" : " after the ':'");
	if (token.n > ADDRESS_PUSH_MAX)
		return err_set(e, ERR_INPUT, "push address: a token of %zu octets; at most %d",
			token.n, ADDRESS_PUSH_MAX);
	for (size_t i = 0; i < token.n; i++)
		if (token.p[i] <= 0x20 || token.p[i] >= 0x7f)
			return err_set(e, ERR_INPUT,
				"push address: place %zu of the token is no printable ASCII "
				"character",
				i + 1);
	*channel_r = channel;
	*token_r = token;
	return 0;
}
