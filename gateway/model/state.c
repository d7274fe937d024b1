/* The table of states. See state.h. */
#include "gateway/model/state.h"

static const struct {
	const char *word;
	bool final;
	int rank;
} states[STATE_COUNT] = {
#define STATE(NAME, word, final, rank, text) [STATE_##NAME] = { word, final, rank },
#include "gateway/tables/states.def"
#undef STATE
};

const char *state_word(enum state s)
{
	return (unsigned)s < STATE_COUNT ? states[s].word : "?";
}

bool state_parse(struct str word, enum state *s_r)
{
	for (int i = 0; i < STATE_COUNT; i++) {
		if (str_is(word, states[i].word)) {
			*s_r = (enum state)i;
			return true;
		}
	}
	return false;
}

bool state_is_final(enum state s)
{
	return states[s].final;
}

int state_rank(enum state s)
{
	return states[s].rank;
}

bool state_may(enum state from, enum state to)
{
	if (from == to)
		return false;
	if (states[from].final)
		return states[to].final && states[to].rank > states[from].rank &&
		       from != STATE_CANCELLED && from != STATE_SUPPRESSED;
	switch (to) {
	case STATE_QUEUED:
		return from == STATE_SENDING; /* a retry */
	case STATE_SENDING:
		return from == STATE_QUEUED;
	case STATE_SENT:
		return from == STATE_QUEUED || from == STATE_SENDING;
	case STATE_CANCELLED:
	case STATE_SUPPRESSED:
		return from != STATE_SENT; /* a far side's DELETED after `sent` is undeliverable */
	default:
		return true;
	}
}
