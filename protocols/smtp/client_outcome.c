/* What a reply means to the gateway. Pure; any thread.
 *
 * A refusal at RCPT or later speaks of the message and perhaps of its recipient; one at MAIL never
 * speaks of the recipient; one that wants another login or TLS is the channel's own fault.
 */
#include "gateway/mail/report.h"
#include "protocols/smtp/client.h"

#include <stdarg.h>
#include <stdio.h>

bool relay_is_login(const struct reply *r)
{
	/* RFC 4954 §6; 538 was RFC 2554's. 5.7.0 alone means much. */
	return r->code == 530 || r->code == 534 || r->code == 535 || r->code == 538 ||
	       !strcmp(r->status, "5.7.8") || !strcmp(r->status, "5.7.9");
}

/* Of a MAIL that was refused for good. */
static enum reason reason_of_sender(const struct reply *r)
{
	const char *s = r->status;

	if (r->code == 552 || !strcmp(s, "5.3.4") || !strcmp(s, "5.2.3"))
		return REASON_TOO_LONG;
	if (r->code == 555 || r->code == 500 || r->code == 501 || r->code == 502 || r->code == 504)
		return REASON_FAR_SETTINGS;
	if (r->code == 553 || !strcmp(s, "5.1.7") || !strcmp(s, "5.1.8") || !strcmp(s, "5.7.1"))
		return REASON_BAD_SENDER;
	return REASON_REFUSED;
}

struct outcome relay_outcome(const struct reply *r, enum relay_step at)
{
	struct outcome o;
	enum reason why;
	bool dead = false;
	char words[OUTCOME_WORDS];

	reply_words(r, words, sizeof words);
	if (r->code < 400) {
		o = outcome_of(REASON_NONE);
		o.final_word = true; /* there is no receipt; what comes later comes as evidence */
		str_copy(o.words, sizeof o.words, str_of(words));
		reply_queue_id(r, o.far_id, sizeof o.far_id);
		return o;
	}
	why = mail_reason(r->code, str_of(r->status), str_of(r->text), &dead);
	if (relay_is_login(r) && at <= AT_RCPT)
		why = REASON_NOT_BOUND;
	else if (r->code == 421)
		why = REASON_THROTTLED;
	else if (at == AT_MAIL && r->code >= 500)
		why = reason_of_sender(r);
	if (why == REASON_NONE)
		why = r->code < 500 ? REASON_TEMPORARY : REASON_REFUSED;
	o = outcome_of(why);
	/* A 4xx never ends a message, whatever its words; a 5xx does, unless it is we who send too
	 * much or are not logged in. */
	if (r->code < 500)
		o.verdict = VERDICT_RETRY;
	else if (o.scope == SCOPE_MESSAGE)
		o.verdict = VERDICT_FAILED;
	o.dead = dead && r->code >= 500 && at >= AT_RCPT && o.verdict == VERDICT_FAILED;
	str_copy(o.words, sizeof o.words, str_of(words));
	str_copy(o.err, sizeof o.err, str_of(r->status));
	if (!o.err[0])
		snprintf(o.err, sizeof o.err, "%u", r->code);
	return o;
}

struct outcome relay_failed(enum reason r, const char *status, const char *fmt, ...)
{
	struct outcome o = outcome_of(r);
	struct str text;
	char words[256];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	/* Words of a far side may be in there: cut between characters. */
	text = str_of(words);
	for (n = 0; n < text.n;) {
		struct str rest = str_skip(text, n);
		int32_t c = str_utf8_next(&rest);
		size_t next = text.n - rest.n;

		if (next >= sizeof o.words)
			break;
		if (c < ' ')
			words[n] = '?';
		n = next;
	}
	str_copy(o.words, sizeof o.words, str_n(words, n));
	str_copy(o.err, sizeof o.err, str_of(status));
	return o;
}
