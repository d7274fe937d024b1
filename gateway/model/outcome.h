/* What became of one attempt, and why something was refused. A value, never a pointer to NULL.
 *
 * Verdict says what to do about the message, scope whether the fault is this message's or the
 * whole channel's; the two are different questions. The far side's own words travel along.
 */
#ifndef POSTERN_MODEL_OUTCOME_H
#define POSTERN_MODEL_OUTCOME_H

#include "gateway/base/clock.h"

enum verdict {
	VERDICT_SENT,      /* the far side took it */
	VERDICT_RETRY,     /* not now */
	VERDICT_FAILED,    /* never */
	VERDICT_UNCERTAIN, /* it may have been taken: the answer was lost */
};
enum outcome_scope { SCOPE_MESSAGE, SCOPE_CHANNEL };

enum reason {
#define REASON(NAME, word, verdict, scope, text) REASON_##NAME,
#include "gateway/tables/reasons.def"
#undef REASON
	REASON_COUNT
};

const char *reason_word(enum reason r);
const char *reason_text(enum reason r);
enum verdict reason_verdict(enum reason r);
/* What waits for it waits because of what its recipient agreed to or when it may be sent. */
bool reason_is_policy(enum reason r);

enum { OUTCOME_WORDS = 384, OUTCOME_ID = 72 };

struct outcome {
	enum verdict verdict;
	enum outcome_scope scope;
	enum reason reason;
	bool final_word;           /* sent, and no receipt will ever come */
	bool told;                 /* sent with final_word, and the far side tells its submitter */
	bool untried;              /* RETRY of this message: nothing was tried (its own far side is
				      busy or down, others are not); it comes again after `delay`
				      and this was no attempt */
	bool dead;                 /* FAILED: there is no such address, never write to it again */
	dur_t delay;               /* wished by the far side (Retry-After), 0: none */
	char err[24];              /* the far side's code where words hold it, too: "5.1.1"; "" */
	char words[OUTCOME_WORDS]; /* the far side's own, ""; "HOST said: …" where there are many */
	char far_id[OUTCOME_ID];   /* its id for the message, as it wrote it, "" */
	char key[OUTCOME_ID];      /* canonical form under which its receipt is looked up */
};

struct outcome outcome_of(enum reason r);
struct outcome outcome_words(enum reason r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
