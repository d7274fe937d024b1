/* Fuzz target: any octets as a report; and words of it as a server's reply. */
#include "gateway/base/err.h"
#include "gateway/mail/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void is_text(const char *s, size_t cap)
{
	struct str v = str_n(s, strnlen(s, cap));

	CHECK(v.n < cap && str_utf8_valid(v));
	for (size_t i = 0; i < v.n; i++)
		CHECK((unsigned char)v.p[i] >= ' ' && v.p[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = str_n(data, size);
	struct mail_report r;
	enum reason reason;
	bool dead;

	mail_report_read(s, STR("anna@example.com"), &r);
	CHECK(r.form && (unsigned)r.kind <= MAIL_REPORT_UNSUBSCRIBE);
	CHECK((unsigned)r.reason < REASON_COUNT);
	CHECK(!r.dead || r.kind == MAIL_REPORT_FAILED);
	CHECK(r.kind != MAIL_REPORT_FAILED || r.reason != REASON_NONE);
	CHECK(r.kind != MAIL_REPORT_DELAYED || reason_verdict(r.reason) == VERDICT_RETRY);
	CHECK(r.kind != MAIL_REPORT_NONE || (!r.recipient[0] && !r.status[0] && !r.words[0]));
	is_text(r.status, sizeof r.status);
	is_text(r.recipient, sizeof r.recipient);
	is_text(r.words, sizeof r.words);

	reason = mail_reason(size & 1 ? 451 : 0, STR_NONE, s, &dead);
	CHECK((unsigned)reason < REASON_COUNT);
	CHECK(!(size & 1) || (!dead && reason_verdict(reason) == VERDICT_RETRY));
	return 0;
}
