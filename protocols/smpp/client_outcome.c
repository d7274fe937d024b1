/* What an answer means to the gateway: the standard's classes of command_status, and a channel's
 * own table before them. Pure; any thread.
 */
#include "protocols/smpp/client.h"

#include <stdio.h>

enum {
	/* Ambiguous statuses mean "rejected" at many operators: so many tries and no more. */
	TRIES_SUBMITFAIL = 3,
	TRIES_UNKNOWN = 2,
	/* delivery_failure_reason, 3.4 §5.3.2.33 */
	FAILURE_UNAVAILABLE = 0,
	FAILURE_TEMPORARY = 3,
};

static enum reason reason_permanent(const struct pdu *p)
{
	uint8_t why;

	switch (p->status) {
	case ESME_RINVDSTADR:
	case ESME_RX_P_APPN:
		return REASON_FAR_DESTINATION;
	case ESME_RDELIVERYFAILURE:
		if (pdu_tlv_u8(p, TLV_DELIVERY_FAILURE_REASON, &why) &&
			(why == FAILURE_UNAVAILABLE || why == FAILURE_TEMPORARY))
			return REASON_TEMPORARY;
		return REASON_REFUSED;
	default:
		return REASON_REFUSED;
	}
}

static enum reason reason_of(const struct pdu *p, enum smpp_class class, unsigned attempt)
{
	switch (class) {
	case SMPP_CLASS_OK:
		return REASON_NONE;
	case SMPP_CLASS_THROTTLE:
		return REASON_THROTTLED;
	case SMPP_CLASS_TEMPORARY:
		return p->status == ESME_RMSGQFUL ? REASON_FAR_QUEUE_FULL : REASON_TEMPORARY;
	case SMPP_CLASS_BIND:
		return REASON_NOT_BOUND;
	case SMPP_CLASS_BUG:
		return REASON_FAR_SETTINGS;
	case SMPP_CLASS_AMBIGUOUS:
		return attempt >= (p->status == ESME_RUNKNOWNERR ? TRIES_UNKNOWN : TRIES_SUBMITFAIL)
			       ? REASON_REFUSED
			       : REASON_TEMPORARY;
	case SMPP_CLASS_PERMANENT:
	case SMPP_CLASS_VENDOR:
		break;
	}
	return reason_permanent(p);
}

/* "ESME_RSYSERR (0x08)", and the far side's own text where it sent one. */
static void put_words(char *out, size_t cap, const struct pdu *p)
{
	struct buf b = BUF_INIT;
	struct str text;

	smpp_status_put(&b, p->status);
	if (pdu_tlv_cstr(p, TLV_ADDITIONAL_STATUS_INFO_TEXT, &text) && text.n &&
		str_utf8_valid(text)) {
		buf_c(&b, ": ");
		for (size_t i = 0; i < text.n; i++)
			buf_char(&b, (unsigned char)text.p[i] < 0x20 ? ' ' : text.p[i]);
	}
	str_copy(out, cap, buf_view(&b));
	buf_free(&b);
}

void client_verdict(struct client_verdict *v, const struct client_tables *t, const struct pdu *p,
	unsigned attempt)
{
	enum reason r = REASON_NONE;
	bool mapped = false;

	v->class = p->status ? smpp_status_class(p->status) : SMPP_CLASS_OK;
	v->unmapped = v->rebind = false;
	if (!p->status) {
		/* generic_nack without a status refuses all the same, but says nothing of why. */
		v->outcome = p->command == SMPP_GENERIC_NACK
				     ? outcome_words(REASON_TEMPORARY, "generic_nack")
				     : outcome_of(REASON_NONE);
		return;
	}
	for (size_t i = 0; i < t->status_n && !mapped; i++) {
		if (t->status[i].status == p->status) {
			r = t->status[i].reason;
			mapped = true;
		}
	}
	if (!mapped) {
		r = reason_of(p, v->class, attempt);
		v->unmapped = v->class == SMPP_CLASS_VENDOR;
	}
	v->rebind = r == REASON_NOT_BOUND;
	v->outcome = outcome_of(r);
	put_words(v->outcome.words, sizeof v->outcome.words, p);
}

void client_bind_words(char *out, size_t cap, const struct pdu *p, enum client_bind bind)
{
	const char *hint = "";
	char words[OUTCOME_WORDS];

	put_words(words, sizeof words, p);
	switch (p->status) {
	case ESME_RINVPASWD:
	case ESME_RINVSYSID:
		hint = "; check system_id and password";
		break;
	case ESME_RBINDFAIL:
		hint = "; check system_id and password, the SMSC's list of addresses, and how many "
		       "binds it allows";
		break;
	case ESME_RALYBND:
		hint = "; another session holds this login's place";
		break;
	case ESME_RINVSYSTYP:
	case ESME_RINVSYSTYP_4D:
		hint = "; set system_type";
		break;
	case ESME_RINVCMDID:
		if (bind == BIND_TRANSCEIVER)
			hint = "; it may want bind = \"both\"";
		break;
	}
	snprintf(out, cap, "bind refused: %s: %s%s", words, smpp_status_text(p->status), hint);
}
