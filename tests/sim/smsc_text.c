/* How message ids and receipts look: the forms that SMSCs in the field give them. */
#include "tests/sim/smsc.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

const char *const smsc_state_word[STATE_COUNT] = { "", "ENROUTE", "DELIVRD", "EXPIRED", "DELETED",
	"UNDELIV", "ACCEPTD", "UNKNOWN", "REJECTD", "none" };

static const char *const form_name[] = { [FORM_DEC] = "dec",
	[FORM_HEX] = "hex",
	[FORM_UPPER] = "upper",
	[FORM_DEC0] = "dec0",
	[FORM_HEX0] = "hex0",
	[FORM_UUID] = "uuid",
	[FORM_LONG] = "long",
	[FORM_SPACE] = "space" };

int smsc_form_named(struct str name, enum smsc_form *form_r)
{
	for (size_t i = 0; i < sizeof(form_name) / sizeof(form_name[0]); i++)
		if (str_is(name, form_name[i])) {
			*form_r = (enum smsc_form)i;
			return 0;
		}
	return -1;
}

static size_t put_radix(char *to, uint64_t v, unsigned radix, const char *digits, unsigned width)
{
	char tmp[24];
	unsigned n = 0;
	do {
		tmp[n++] = digits[v % radix];
		v /= radix;
	} while (v || n < width);
	for (unsigned i = 0; i < n; i++)
		to[i] = tmp[n - 1 - i];
	return n;
}

size_t smsc_id(char *to, size_t cap, enum smsc_form form, uint64_t id)
{
	static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
	CHECK(cap >= 65);
	switch (form) {
	case FORM_DEC:
		return put_radix(to, id, 10, lower, 1);
	case FORM_HEX:
		return put_radix(to, id, 16, lower, 1);
	case FORM_UPPER:
		return put_radix(to, id, 16, upper, 1);
	case FORM_DEC0:
		return put_radix(to, id, 10, lower, 20);
	case FORM_HEX0:
		return put_radix(to, id, 16, upper, 16);
	case FORM_SPACE: {
		size_t n = put_radix(to, id, 10, lower, 1);
		to[n] = ' ';
		return n + 1;
	}
	case FORM_UUID: {
		struct sim_rng r; /* the same number always has the same uuid */
		sim_rng_seed(&r, id);
		uint64_t a = sim_rng_next(&r);
		return (size_t)snprintf(to, cap, "%08x-%04x-4%03x-8%03x-%012" PRIx64,
			(uint32_t)(a >> 32), (uint32_t)(a >> 16) & 0xffff, (uint32_t)a & 0xfff,
			(uint32_t)(id >> 48) & 0xfff, id & 0xffffffffffff);
	}
	case FORM_LONG:
		return (size_t)snprintf(to, cap, "smsc.example/%030d/%020" PRIu64, 7, id); /* 64 */
	}
	return 0;
}

static char *put(char *to, const char *s)
{
	size_t n = strlen(s);
	memcpy(to, s, n);
	return to + n;
}

static void dates(struct smsc *m)
{
	uint64_t now = sim_wall() / SIM_S;
	if (now == m->date_of)
		return;
	struct tm tm;
	time_t t = (time_t)now;
	m->date_of = now;
	gmtime_r(&t, &tm);
	snprintf(m->date10, sizeof(m->date10), "%02d%02d%02d%02d%02d", tm.tm_year % 100,
		tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min);
	snprintf(m->date12, sizeof(m->date12), "%.10s%02d", m->date10, tm.tm_sec);
}

static const char *odd_word(unsigned state, uint64_t id)
{
	switch (state) {
	case STATE_DELIVERED:
		return id & 1 ? "DELIVERED" : "Delivrd";
	case STATE_UNDELIVERABLE:
		return id & 1 ? "FAILED" : "UNDELIVERABLE";
	case STATE_REJECTED:
		return "REJECTED";
	case STATE_ENROUTE:
		return "BUFFRED";
	}
	return smsc_state_word[state];
}

/* Dates are those of the sending: a second's receipts share one text, and no parser minds. */
static size_t receipt_text(struct smsc *m, const struct parcel *p, struct str id, char *to)
{
	char *s = to;
	bool good = p->state == STATE_DELIVERED, whole = p->state != STATE_ENROUTE;
	const char *error = good || !whole ? "000" : p->state == STATE_EXPIRED ? "027" : "005";
	switch (m->conf.style) {
	case STYLE_SHORT:
	case STYLE_UTF16:
		s = put(s, "id:");
		memcpy(s, id.p, id.n);
		s = put(s + id.n, " stat:");
		return (size_t)(put(s, smsc_state_word[p->state]) - to);
	case STYLE_WORDS:
		s = put(s, "stat:");
		s = put(s, odd_word(p->state, p->id));
		s = put(s, " err:");
		s = put(s, good ? "0" : "21b");
		s = put(s, "  done date:");
		s = put(s, m->date12);
		s = put(s, " submit_date:");
		s = put(s, m->date12);
		s = put(s, " id:");
		memcpy(s, id.p, id.n);
		return (size_t)(put(s + id.n, " Text: stat:UNDELIV id:0\r\n") - to);
	case STYLE_TLV:
		return 0;
	default:
		break;
	}
	s = put(s, "id:");
	memcpy(s, id.p, id.n);
	s = put(s + id.n, " sub:001 dlvrd:");
	s = put(s, good ? "001" : "000");
	s = put(s, " submit date:");
	s = put(s, m->date10);
	s = put(s, " done date:");
	s = put(s, m->date10);
	s = put(s, " stat:");
	s = put(s, smsc_state_word[p->state]);
	s = put(s, " err:");
	s = put(s, error);
	s = put(s, " text:");
	memcpy(s, p->text, p->text_n);
	return (size_t)(s + p->text_n - to);
}

void smsc_receipt(struct smsc *m, const struct parcel *p, struct sim_pdu *pdu)
{
	static char id[80], text[320], wide[640];
	static uint8_t state, error[3];
	dates(m);
	struct str name = str_n(id, smsc_id(id, sizeof(id) - 1, m->conf.form_receipt, p->id));
	id[name.n] = 0;
	size_t n = receipt_text(m, p, name, text);
	pdu->esm_class = p->intermediate ? ESM_INTERMEDIATE : ESM_RECEIPT;
	pdu->text = str_n(text, n);
	if (m->conf.style == STYLE_UTF16) {
		for (size_t i = 0; i < n; i++) {
			wide[2 * i] = 0;
			wide[2 * i + 1] = text[i];
		}
		pdu->text = str_n(wide, 2 * n > 254 ? 254 : 2 * n);
	}
	if (m->conf.style == STYLE_UTF16 || m->conf.style == STYLE_DCS8)
		pdu->coding = 8;
	if (m->conf.style == STYLE_PLAIN)
		pdu->esm_class = 0;
	if (m->conf.style == STYLE_PAYLOAD) {
		pdu->text = STR_NONE;
		sim_pdu_add(pdu, T_PAYLOAD, str_n(text, n));
	}
	if (m->conf.style == STYLE_TEXT || m->conf.style == STYLE_SHORT ||
		m->conf.style == STYLE_WORDS)
		return;
	state = p->state;
	sim_pdu_add(pdu, T_RECEIPTED_ID, str_n(id, name.n + 1)); /* the NUL belongs to the value */
	sim_pdu_add(pdu, T_STATE, str_n(&state, 1));
	if (p->state != STATE_DELIVERED && p->state != STATE_ENROUTE) {
		error[0] = 3; /* GSM */
		put_be16(error + 1, p->state == STATE_EXPIRED ? 27 : 5);
		sim_pdu_add(pdu, T_NETWORK_ERROR, str_n(error, 3));
	}
}
