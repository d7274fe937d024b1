/* Message ids in their notations: see msgid.h.
 *
 * Under auto the stored key is always the response's id in lower case without leading zeros
 * (MSGID_BARE), and it is the receipt's id that is rewritten into the response's notation. So what
 * is learned changes which keys are tried, never which are stored.
 */
#include "protocols/smpp/msgid.h"

#include "gateway/base/err.h"

typedef unsigned __int128 u128;

enum { DIGITS_MAX = 40 }; /* 2^128 has 39 */

/* Reads digits of that base. False: none, others, or more than 128 bits. */
static bool number_read(struct str s, unsigned base, u128 *v_r)
{
	const u128 most = ~(u128)0;
	u128 v = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned c = (unsigned char)s.p[i], d;

		if (c >= '0' && c <= '9')
			d = c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			d = (c | 0x20) - 'a' + 10;
		else
			return false;
		if (d >= base || v > (most - d) / base)
			return false;
		v = v * base + d;
	}
	*v_r = v;
	return s.n != 0;
}

static size_t number_write(u128 v, unsigned base, char *to)
{
	char digits[DIGITS_MAX];
	size_t n = 0;

	do {
		digits[n++] = "0123456789abcdef"[(unsigned)(v % base)];
		v /= base;
	} while (v);
	for (size_t i = 0; i < n; i++)
		to[i] = digits[n - 1 - i];
	return n;
}

/* Decimal; a negative one is what a 32-bit SMSC made of an unsigned number. */
static bool decimal_read(struct str s, bool wrap, u128 *v_r)
{
	bool negative = s.n && s.p[0] == '-';

	if (!number_read(negative ? str_skip(s, 1) : s, 10, v_r))
		return false;
	if (negative)
		*v_r = (u128)(uint32_t)(0 - (uint32_t)*v_r);
	else if (wrap)
		*v_r = (uint32_t)*v_r;
	return true;
}

static struct str hex_digits(struct str s)
{
	bool marked = s.n > 2 && s.p[0] == '0' && (s.p[1] | 0x20) == 'x';

	return marked ? str_skip(s, 2) : s;
}

static size_t lower(struct str s, char *to)
{
	for (size_t i = 0; i < s.n; i++) {
		bool upper = s.p[i] >= 'A' && s.p[i] <= 'Z';

		to[i] = upper ? (char)(s.p[i] | 0x20) : s.p[i];
	}
	return s.n;
}

static bool map_id(enum msgid_map map, struct str id, char *to, size_t *n_r)
{
	unsigned base = 10;
	u128 v;

	if (id.n > MSGID_KEY_MAX)
		id.n = MSGID_KEY_MAX;
	switch (map) {
	case MSGID_RAW:
		if (id.n)
			memcpy(to, id.p, id.n);
		*n_r = id.n;
		return true;
	case MSGID_BARE:
		while (id.n > 1 && id.p[0] == '0')
			id = str_skip(id, 1);
		/* fall through */
	case MSGID_LOWER:
		*n_r = lower(id, to);
		return true;
	case MSGID_TO_DEC:
		if (!number_read(hex_digits(id), 16, &v))
			return false;
		break;
	case MSGID_TO_HEX:
		if (!decimal_read(id, false, &v))
			return false;
		base = 16;
		break;
	case MSGID_DEC32:
		if (!decimal_read(id, true, &v))
			return false;
		break;
	case MSGID_HEX32:
		if (!number_read(hex_digits(id), 16, &v))
			return false;
		v = (uint32_t)v;
		base = 16;
		break;
	case MSGID_DEC32_TO_HEX:
		if (!decimal_read(id, true, &v))
			return false;
		base = 16;
		break;
	default:
		CHECK(!"msgid_map");
	}
	*n_r = number_write(v, base, to);
	return true;
}

bool msgid_canonical(enum msgid_map map, struct str id, struct buf *b)
{
	char to[MSGID_KEY_MAX];
	size_t n;

	if (!map_id(map, id, to, &n))
		return false;
	buf_add(b, to, n);
	return true;
}

/* ---- forms ---- */

/* How each side is rewritten when the form is configured. */
static const struct {
	const char *name;
	enum msgid_map resp, receipt;
} forms[MSGID_FORMS] = {
	[MSGID_AUTO] = { "auto", MSGID_BARE, MSGID_BARE },
	[MSGID_SAME] = { "same", MSGID_RAW, MSGID_RAW },
	[MSGID_FOLD] = { "fold", MSGID_LOWER, MSGID_LOWER },
	[MSGID_STRIP] = { "strip", MSGID_BARE, MSGID_BARE },
	[MSGID_HEX_DEC] = { "hex-dec", MSGID_BARE, MSGID_TO_HEX },
	[MSGID_DEC_HEX] = { "dec-hex", MSGID_BARE, MSGID_TO_DEC },
	[MSGID_WRAP] = { "wrap", MSGID_DEC32, MSGID_DEC32 },
	[MSGID_HEX_WRAP] = { "hex-wrap", MSGID_HEX32, MSGID_DEC32_TO_HEX },
};
enum {
	BARE_FORMS = 1 << MSGID_SAME | 1 << MSGID_FOLD | 1 << MSGID_STRIP,
	FAMILY = BARE_FORMS | 1 << MSGID_WRAP, /* one notation on both sides */
};

const char *msgid_form_name(enum msgid_form form)
{
	CHECK((unsigned)form < MSGID_FORMS);
	return forms[form].name;
}

bool msgid_form_by_name(struct str name, enum msgid_form *form_r)
{
	for (int i = 0; i < MSGID_FORMS; i++) {
		if (str_is(name, forms[i].name)) {
			*form_r = (enum msgid_form)i;
			return true;
		}
	}
	return false;
}

static bool in_family(enum msgid_form form)
{
	return (FAMILY & 1 << form) != 0;
}

/* By map, or bare where the id is not of that notation. */
static void key_set(struct msgid_key *k, enum msgid_map map, struct str id)
{
	if (!map_id(map, id, k->p, &k->n))
		map_id(MSGID_BARE, id, k->p, &k->n);
}

void msgid_resp_key(enum msgid_form configured, struct str resp_id, struct msgid_key *key_r)
{
	key_r->forms = 1u << configured;
	key_set(key_r, forms[configured].resp, resp_id);
}

/* Adds a key; one that is there already only gets another reason. */
static void keys_add(struct msgid_keys *keys, enum msgid_map map, struct str id, unsigned why)
{
	struct msgid_key *k = &keys->key[keys->n];

	if (!map_id(map, id, k->p, &k->n))
		return;
	k->forms = why;
	for (unsigned i = 0; i < keys->n; i++) {
		if (str_eq(msgid_key_str(&keys->key[i]), msgid_key_str(k))) {
			keys->key[i].forms |= why;
			return;
		}
	}
	keys->n++;
}

void msgid_receipt_keys(
	const struct msgid_learner *l, struct str receipt_id, struct msgid_keys *keys_r)
{
	enum msgid_form form = msgid_learner_form(l);
	bool negative = receipt_id.n && receipt_id.p[0] == '-';

	keys_r->n = 0;
	if (l->configured != MSGID_AUTO || l->learned == MSGID_HEX_DEC ||
		l->learned == MSGID_DEC_HEX) {
		keys_r->key[0].forms = 1u << form;
		key_set(&keys_r->key[0], forms[form].receipt, receipt_id);
		keys_r->n = 1;
		return;
	}
	/* What the last receipts suggest comes first. */
	if (l->suspected == MSGID_HEX_DEC)
		keys_add(keys_r, MSGID_TO_HEX, receipt_id, 1u << MSGID_HEX_DEC);
	else if (l->suspected == MSGID_DEC_HEX)
		keys_add(keys_r, MSGID_TO_DEC, receipt_id, 1u << MSGID_DEC_HEX);
	keys_add(keys_r, MSGID_BARE, receipt_id, BARE_FORMS);
	if (negative)
		keys_add(keys_r, MSGID_DEC32, receipt_id, 1u << MSGID_WRAP);
	if (l->learned != MSGID_AUTO)
		return;
	keys_add(keys_r, MSGID_TO_HEX, receipt_id, 1u << MSGID_HEX_DEC);
	keys_add(keys_r, MSGID_TO_DEC, receipt_id, 1u << MSGID_DEC_HEX);
}

/* ---- learning ---- */

void msgid_learner_init(struct msgid_learner *l, enum msgid_form configured)
{
	*l = (struct msgid_learner){ .configured = configured };
}

enum msgid_form msgid_learner_form(const struct msgid_learner *l)
{
	return l->configured != MSGID_AUTO ? l->configured : l->learned;
}

/* The one form that a key's hit speaks for, or MSGID_AUTO when it is not one. */
static enum msgid_form form_of_hit(
	const struct msgid_key *k, struct str receipt_id, struct str awaited)
{
	struct msgid_key a, b;

	switch (k->forms) {
	case 1 << MSGID_HEX_DEC:
		return MSGID_HEX_DEC;
	case 1 << MSGID_DEC_HEX:
		return MSGID_DEC_HEX;
	case 1 << MSGID_WRAP:
		return MSGID_WRAP;
	case BARE_FORMS:
		break;
	default: /* small numbers are the same in hex and decimal */
		return MSGID_AUTO;
	}
	if (str_eq(receipt_id, awaited))
		return MSGID_SAME;
	key_set(&a, MSGID_LOWER, receipt_id);
	key_set(&b, MSGID_LOWER, awaited);
	return str_eq(msgid_key_str(&a), msgid_key_str(&b)) ? MSGID_FOLD : MSGID_STRIP;
}

/* A receipt was found by a form that is already learned. */
static bool learned_again(struct msgid_learner *l, enum msgid_form form)
{
	/* Within the family the loosest that was needed stays. */
	if (!in_family(l->learned) || !in_family(form) || form <= l->learned)
		return false;
	l->learned = l->suspected = form;
	return true;
}

bool msgid_learn(struct msgid_learner *l, const struct msgid_keys *keys, struct str receipt_id,
	unsigned hits, struct str awaited)
{
	enum msgid_form form;

	if (l->configured != MSGID_AUTO)
		return false;
	if (!hits) {
		if (l->learned == MSGID_AUTO || ++l->missed < MSGID_FORGET_AFTER)
			return false;
		msgid_learner_init(l, MSGID_AUTO);
		return true;
	}
	l->missed = 0;
	if (hits & (hits - 1)) /* two awaited ids fit: no evidence */
		return false;
	form = form_of_hit(&keys->key[__builtin_ctz(hits)], receipt_id, awaited);
	if (form == MSGID_AUTO)
		return false;
	if (l->learned != MSGID_AUTO)
		return learned_again(l, form);
	if (in_family(form) && in_family(l->suspected)) {
		l->agreed++;
		if (form > l->suspected)
			l->suspected = form;
	} else if (form == l->suspected) {
		l->agreed++;
	} else {
		l->suspected = form;
		l->agreed = 1;
	}
	if (l->agreed < MSGID_LEARN_AFTER)
		return false;
	l->learned = l->suspected;
	return true;
}
