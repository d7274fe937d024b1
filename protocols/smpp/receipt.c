/* Receipts: see receipt.h. The text is 3.4's Appendix B, "typical", of which no two operators
 * send the same: keys in any order and case, any of them missing, words of their own. So the
 * text is cut at the keys that we know, wherever they stand, and each value is what lies between.
 */
#include "protocols/smpp/receipt.h"

#include "protocols/smpp/smpp_time.h"

enum {
	UDH_MAX = 140,
	NETWORK_TYPE_MC = 8, /* 5.0 §4.8.4.42: message centre specific */
	NETWORK_ERROR_SIZE = 3,
	TEXT_OUT = 20,
	COUNT_MAX = 999,
};

enum key { KEY_ID, KEY_SUB, KEY_DLVRD, KEY_SUBMIT, KEY_DONE, KEY_STAT, KEY_ERR, KEY_TEXT, KEYS };

/* Two words of a key may stand together or be joined by any one of " _-". */
static const struct {
	const char *first, *second;
} key_words[KEYS] = {
	[KEY_ID] = { "id", NULL },
	[KEY_SUB] = { "sub", NULL },
	[KEY_DLVRD] = { "dlvrd", NULL },
	[KEY_SUBMIT] = { "submit", "date" },
	[KEY_DONE] = { "done", "date" },
	[KEY_STAT] = { "stat", NULL },
	[KEY_ERR] = { "err", NULL },
	[KEY_TEXT] = { "text", NULL },
};

/* ---- the text ---- */

static bool is_gap(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == 0 || c == ',' || c == ';';
}

static struct str trim_gaps(struct str s)
{
	while (s.n && is_gap(s.p[0]))
		s = str_skip(s, 1);
	while (s.n && is_gap(s.p[s.n - 1]))
		s.n--;
	return s;
}

static bool take_word(struct str *s, const char *word)
{
	struct str w = str_of(word);

	if (s->n < w.n || !str_ieq(str_n(s->p, w.n), w))
		return false;
	*s = str_skip(*s, w.n);
	return true;
}

static void skip_spaces(struct str *s)
{
	while (s->n && (s->p[0] == ' ' || s->p[0] == '\t'))
		*s = str_skip(*s, 1);
}

/* Does s begin with a key and its colon? Then *value_r is what follows the colon. */
static bool key_at(struct str s, enum key *key_r, struct str *value_r)
{
	for (int k = 0; k < KEYS; k++) {
		struct str rest = s;

		if (!take_word(&rest, key_words[k].first))
			continue;
		if (key_words[k].second) {
			if (rest.n && (rest.p[0] == '_' || rest.p[0] == '-'))
				rest = str_skip(rest, 1);
			skip_spaces(&rest);
			if (!take_word(&rest, key_words[k].second))
				continue;
		}
		skip_spaces(&rest);
		if (!rest.n || rest.p[0] != ':')
			continue;
		*key_r = (enum key)k;
		*value_r = str_skip(rest, 1);
		return true;
	}
	return false;
}

/* The values between the keys; of a key that comes twice the first. Everything after "text:" is
 * the message's, whatever it looks like. *first_r: octets before the first key. */
static unsigned cut_keys(struct str text, struct str value[KEYS], size_t *first_r)
{
	unsigned have = 0;
	bool open = false, gap = true;
	enum key current = KEY_ID, key;
	const char *start = text.p;
	struct str s = text, after;

	while (s.n) {
		if (!gap || !key_at(s, &key, &after)) {
			gap = is_gap(s.p[0]);
			s = str_skip(s, 1);
			continue;
		}
		if (!have)
			*first_r = (size_t)(s.p - text.p);
		if (open)
			value[current] = trim_gaps(str_n(start, (size_t)(s.p - start)));
		open = !(have & 1u << key);
		have |= 1u << key;
		current = key;
		start = after.p;
		s = after;
		gap = true;
		if (key == KEY_TEXT)
			break;
	}
	if (open && current == KEY_TEXT)
		value[KEY_TEXT] = s;
	else if (open)
		value[current] = trim_gaps(str_n(start, (size_t)(text.p + text.n - start)));
	return have;
}

/* A value's first word: "DELIVRD (ok)" is DELIVRD. */
static struct str first_word(struct str s)
{
	size_t n = 0;

	while (n < s.n && !is_gap(s.p[n]))
		n++;
	return str_n(s.p, n);
}

static int count_of(struct str s)
{
	uint64_t v;

	return str_u64(first_word(s), &v) && v <= INT32_MAX ? (int)v : -1;
}

/* Text in UTF-16BE of nothing but the lowest 256 code points, with or without a mark. */
static bool is_wide(struct str s)
{
	if (s.n >= 2 && (uint8_t)s.p[0] == 0xfe && (uint8_t)s.p[1] == 0xff)
		s = str_skip(s, 2);
	if (s.n < 4)
		return false;
	for (size_t i = 0; i < s.n; i += 2) {
		if (s.p[i])
			return false;
	}
	return true;
}

static struct str narrow(struct str s, char *to, size_t cap)
{
	size_t n = 0;

	if ((uint8_t)s.p[0] == 0xfe)
		s = str_skip(s, 2);
	for (size_t i = 1; i < s.n && n < cap; i += 2)
		to[n++] = s.p[i];
	return str_n(to, n);
}

static struct str readable(struct str text, char *plain)
{
	if (is_wide(text))
		return narrow(text, plain, RECEIPT_TEXT_MAX);
	return text.n > RECEIPT_TEXT_MAX ? str_n(text.p, RECEIPT_TEXT_MAX) : text;
}

bool receipt_looks_like(struct str text)
{
	char plain[RECEIPT_TEXT_MAX];
	struct str value[KEYS] = { { 0 } };
	size_t first = 0;
	unsigned have;

	text = trim_gaps(readable(text, plain));
	have = cut_keys(text, value, &first);
	return first == 0 && (have & 1u << KEY_ID) && (have & 1u << KEY_STAT) && value[KEY_ID].n &&
	       value[KEY_STAT].n;
}

/* ---- states ---- */

bool smpp_state_final(enum smpp_state state)
{
	switch (state) {
	case SMPP_STATE_DELIVERED:
	case SMPP_STATE_EXPIRED:
	case SMPP_STATE_DELETED:
	case SMPP_STATE_UNDELIVERABLE:
	case SMPP_STATE_REJECTED:
	case SMPP_STATE_SKIPPED:
		return true;
	case SMPP_STATE_SCHEDULED:
	case SMPP_STATE_ENROUTE:
	case SMPP_STATE_ACCEPTED:
	case SMPP_STATE_UNKNOWN:
		break;
	}
	return false;
}

static const struct {
	const char *name, *stat;
} state_words[] = {
	[SMPP_STATE_SCHEDULED] = { "scheduled", "ENROUTE" },
	[SMPP_STATE_ENROUTE] = { "enroute", "ENROUTE" },
	[SMPP_STATE_DELIVERED] = { "delivered", "DELIVRD" },
	[SMPP_STATE_EXPIRED] = { "expired", "EXPIRED" },
	[SMPP_STATE_DELETED] = { "deleted", "DELETED" },
	[SMPP_STATE_UNDELIVERABLE] = { "undeliverable", "UNDELIV" },
	[SMPP_STATE_ACCEPTED] = { "accepted", "ACCEPTD" },
	[SMPP_STATE_UNKNOWN] = { "unknown", "UNKNOWN" },
	[SMPP_STATE_REJECTED] = { "rejected", "REJECTD" },
	[SMPP_STATE_SKIPPED] = { "skipped", "UNDELIV" },
};
enum { STATES = sizeof state_words / sizeof *state_words };

const char *smpp_state_name(enum smpp_state state)
{
	return (unsigned)state < STATES ? state_words[state].name : "unknown";
}

const char *receipt_stat(enum smpp_state state)
{
	return (unsigned)state < STATES ? state_words[state].stat : "UNKNOWN";
}

/* The stat words of the field, by how they begin. */
static const struct {
	const char *begin;
	enum smpp_state state;
} stat_begins[] = {
	{ "DELIV", SMPP_STATE_DELIVERED },
	{ "DLVRD", SMPP_STATE_DELIVERED },
	{ "EXPIR", SMPP_STATE_EXPIRED },
	{ "DELET", SMPP_STATE_DELETED },
	{ "UNDEL", SMPP_STATE_UNDELIVERABLE },
	{ "FAIL", SMPP_STATE_UNDELIVERABLE },
	{ "SYSERR", SMPP_STATE_UNDELIVERABLE },
	{ "NOCRED", SMPP_STATE_UNDELIVERABLE },
	{ "SKIPPED", SMPP_STATE_UNDELIVERABLE },
	{ "REJ", SMPP_STATE_REJECTED },
	{ "ACCEP", SMPP_STATE_ACCEPTED },
	{ "ACK", SMPP_STATE_ACCEPTED },
	{ "ENROUT", SMPP_STATE_ENROUTE },
	{ "BUFF", SMPP_STATE_ENROUTE },
	{ "SCHED", SMPP_STATE_ENROUTE },
};

static enum smpp_state stat_state(struct str stat, const struct receipt_word *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (str_ieq(stat, words[i].word))
			return words[i].state;
	}
	for (size_t i = 0; i < sizeof stat_begins / sizeof *stat_begins; i++) {
		struct str rest = stat;

		if (take_word(&rest, stat_begins[i].begin))
			return stat_begins[i].state;
	}
	return SMPP_STATE_UNKNOWN;
}

static enum smpp_state plain_state(enum smpp_state s)
{
	if (s == SMPP_STATE_SCHEDULED)
		return SMPP_STATE_ENROUTE;
	return s == SMPP_STATE_SKIPPED ? SMPP_STATE_UNDELIVERABLE : s;
}

/* ---- reading ---- */

static void receipt_clear(struct smpp_receipt *r)
{
	r->id = r->stat = r->err = r->submit_date = r->done_date = r->text = STR_NONE;
	r->state = SMPP_STATE_UNKNOWN;
	r->intermediate = r->conflict = false;
	r->network_type = r->network_code = RECEIPT_ERR_NONE;
	r->sub = r->dlvrd = -1;
	r->done_at = 0;
}

static struct str value_or_none(struct str s)
{
	return s.p ? s : STR_NONE;
}

static void read_text(struct smpp_receipt *r, struct str text, int64_t now,
	const struct receipt_word *words, size_t count)
{
	struct str value[KEYS] = { { 0 } };
	size_t first = 0;
	int64_t at;

	cut_keys(readable(text, r->plain), value, &first);
	for (int k = 0; k < KEYS; k++)
		value[k] = value_or_none(value[k]);
	r->id = first_word(value[KEY_ID]);
	r->stat = first_word(value[KEY_STAT]);
	r->err = first_word(value[KEY_ERR]);
	r->sub = count_of(value[KEY_SUB]);
	r->dlvrd = count_of(value[KEY_DLVRD]);
	r->submit_date = value[KEY_SUBMIT];
	r->done_date = value[KEY_DONE];
	r->text = value[KEY_TEXT];
	if (smpp_time_parse_date(r->done_date, now, 0, &at))
		r->done_at = at;
	if (r->stat.n)
		r->state = plain_state(stat_state(r->stat, words, count));
}

static void read_tlvs(struct smpp_receipt *r, const struct pdu *p)
{
	struct str v;
	uint8_t state;

	if (pdu_tlv_cstr(p, TLV_RECEIPTED_MESSAGE_ID, &v) && trim_gaps(v).n)
		r->id = trim_gaps(v);
	if (pdu_tlv(p, TLV_NETWORK_ERROR_CODE, &v) && v.n == NETWORK_ERROR_SIZE) {
		r->network_type = (uint8_t)v.p[0];
		r->network_code = be16(v.p + 1);
	}
	if (!pdu_tlv_u8(p, TLV_MESSAGE_STATE, &state) || state < SMPP_STATE_ENROUTE ||
		state > SMPP_STATE_SKIPPED)
		return;
	state = (uint8_t)plain_state((enum smpp_state)state);
	r->conflict =
		r->stat.n && r->state != SMPP_STATE_UNKNOWN && r->state != (enum smpp_state)state;
	/* Of two that differ a final one is the better evidence. */
	if (r->conflict && smpp_state_final(r->state) && !smpp_state_final((enum smpp_state)state))
		return;
	r->state = (enum smpp_state)state;
}

static bool is_intermediate(enum smpp_state state)
{
	return state == SMPP_STATE_ENROUTE || state == SMPP_STATE_ACCEPTED;
}

int receipt_parse(struct smpp_receipt *r, const struct pdu *p, int64_t now,
	const struct receipt_word *words, size_t count)
{
	struct str text = pdu_text(p);
	uint8_t state;

	receipt_clear(r);
	/* A header in a receipt says nothing about it (3.4 §5.2.12 allows 0x44). */
	if ((p->sm.esm_class & ESM_UDHI) && text.n && (uint8_t)text.p[0] < UDH_MAX)
		text = str_skip(text, 1 + (size_t)(uint8_t)text.p[0]);
	read_text(r, text, now, words, count);
	read_tlvs(r, p);
	r->intermediate = is_intermediate(r->state) ||
			  (r->state == SMPP_STATE_UNKNOWN &&
				  (p->sm.esm_class & ESM_TYPE_MASK) == ESM_TYPE_INTERMEDIATE);
	return r->id.n || r->stat.n || pdu_tlv_u8(p, TLV_MESSAGE_STATE, &state) ? 0 : -1;
}

int receipt_parse_text(struct smpp_receipt *r, struct str text, int64_t now,
	const struct receipt_word *words, size_t count)
{
	receipt_clear(r);
	read_text(r, text, now, words, count);
	r->intermediate = is_intermediate(r->state);
	return r->id.n || r->stat.n ? 0 : -1;
}

void receipt_put_err(struct buf *b, const struct smpp_receipt *r)
{
	if (r->network_code != RECEIPT_ERR_NONE)
		buf_printf(b, "%d", r->network_code);
	else
		buf_str(b, r->err);
}

/* ---- writing ---- */

/* The same octet in ASCII, Latin-1 and GSM 03.38, so that no guess about data_coding 0 matters. */
static bool is_safe(int32_t c)
{
	return c >= ' ' && c <= 'z' && !(c >= '[' && c <= '`') && c != '@' && c != '$';
}

static void put_text(struct buf *b, struct str text)
{
	for (int i = 0; i < TEXT_OUT; i++) {
		int32_t c = str_utf8_next(&text);

		if (c == -1)
			return;
		buf_char(b, is_safe(c) ? (char)c : '?');
	}
}

static unsigned at_most(unsigned v, unsigned most)
{
	return v < most ? v : most;
}

void receipt_put_text(struct buf *b, const struct receipt_form *f)
{
	buf_c(b, "id:");
	buf_str(b, f->id);
	buf_printf(b, " sub:%03u dlvrd:%03u submit date:", at_most(f->sub, COUNT_MAX),
		at_most(f->dlvrd, COUNT_MAX));
	smpp_time_put_digits(b, f->submit, f->zone_s, f->date_digits);
	buf_c(b, " done date:");
	smpp_time_put_digits(b, f->done, f->zone_s, f->date_digits);
	buf_printf(
		b, " stat:%s err:%03u text:", receipt_stat(f->state), at_most(f->err, COUNT_MAX));
	put_text(b, f->text);
}

void receipt_put_tlvs(struct buf *b, const struct receipt_form *f)
{
	enum smpp_state state = plain_state(f->state);
	uint8_t error[NETWORK_ERROR_SIZE] = { NETWORK_TYPE_MC };

	pdu_put_tlv_cstr(b, TLV_RECEIPTED_MESSAGE_ID, f->id);
	pdu_put_tlv_u8(b, TLV_MESSAGE_STATE, (uint8_t)state);
	if (smpp_state_final(state) && state != SMPP_STATE_DELIVERED) {
		put_be16(error + 1, (uint16_t)at_most(f->err, COUNT_MAX));
		pdu_put_tlv(b, TLV_NETWORK_ERROR_CODE, str_n(error, sizeof error));
	}
}
