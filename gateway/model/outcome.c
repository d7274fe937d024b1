/* The table of reasons. See outcome.h. */
#include "gateway/model/outcome.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
	const char *word, *text;
	enum verdict verdict;
	enum outcome_scope scope;
} reasons[REASON_COUNT] = {
#define REASON(NAME, w, v, s, t) [REASON_##NAME] = { w, t, VERDICT_##v, SCOPE_##s },
#include "gateway/tables/reasons.def"
#undef REASON
};

const char *reason_word(enum reason r)
{
	return (unsigned)r < REASON_COUNT ? reasons[r].word : "?";
}

const char *reason_text(enum reason r)
{
	return (unsigned)r < REASON_COUNT ? reasons[r].text : "?";
}

enum verdict reason_verdict(enum reason r)
{
	return reasons[r].verdict;
}

bool reason_is_policy(enum reason r)
{
	return r == REASON_POLICY || r == REASON_CONSENT || r == REASON_QUIET_HOURS ||
	       r == REASON_CAP || r == REASON_SUPPRESSION || r == REASON_MODERATION;
}

struct outcome outcome_of(enum reason r)
{
	return (struct outcome){
		.verdict = reasons[r].verdict,
		.scope = reasons[r].scope,
		.reason = r,
	};
}

struct outcome outcome_words(enum reason r, const char *fmt, ...)
{
	struct outcome o = outcome_of(r);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(o.words, sizeof o.words, fmt, ap);
	va_end(ap);
	return o;
}
