/* The states of a message, from tables/states.def. Pure. */
#ifndef POSTERN_MODEL_STATE_H
#define POSTERN_MODEL_STATE_H

#include "gateway/base/str.h"

enum state {
#define STATE(NAME, word, final, rank, text) STATE_##NAME,
#include "gateway/tables/states.def"
#undef STATE
	STATE_COUNT
};

const char *state_word(enum state s);
bool state_parse(struct str word, enum state *s_r);
bool state_is_final(enum state s);
int state_rank(enum state s);
/* May a message in state `from` become `to`? Final states only rise (see states.def). */
bool state_may(enum state from, enum state to);

#endif
