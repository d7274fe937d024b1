/* What the files of recurring tasks share: one run, and the slice that is at work on it. */
#ifndef POSTERN_PLUGINS_OFFERS_TASK_INTERN_H
#define POSTERN_PLUGINS_OFFERS_TASK_INTERN_H

#include "plugins/offers/lot_intern.h"
#include "plugins/offers/metavar.h"
#include "plugins/offers/task.h"

/* Numbers are stored. */
enum run_state { RUN_OPEN, RUN_DONE, RUN_SKIPPED };

struct run {
	const struct task *t;
	struct str zone_key;  /* of members it is for; "" not known */
	const struct zone *z; /* whose dates count */
	int64_t date;
	int64_t today; /* there, at w->now */
	/* how far it has come */
	unsigned phase;
	int64_t mark;
	uint64_t cursor;
	int64_t seen, sent;
	enum run_state state;
};
struct slice {
	unsigned left; /* members */
	mono_t until;  /* 0: no limit */
};
bool slice_over(const struct slice *s);
/* A run that is known by its task's number, zone, date and phase: fills in the rest. False: there
 * is no such task. */
enum { RUN_CATCH_UP_DAYS = 31 }; /* dates that were missed longer ago are nobody's concern */
bool run_of(struct work *w, uint32_t task, struct run *r);
/* Nothing is to be done for it any more: its day is over, or it has no such phase. */
bool run_is_over(const struct work *w, const struct run *r);

/* Goes on with the run's present phase; *over_r: there is nothing more in it. */
int birthdays_run(struct work *w, struct run *r, struct slice *s, bool *over_r);
int bonuses_run(struct work *w, struct run *r, struct slice *s, bool *over_r);
/* One member of its phase, once more; messages that were made, or -1. */
int birthday_one(struct work *w, const struct run *r, uint64_t member);
int bonus_one(struct work *w, const struct run *r, uint64_t member);
/* The run goes past that member, who is tried again later; the slice ends. 0, or -1: too many wait
 * for that. */
int run_past(struct work *w, const struct run *r, struct slice *s, uint64_t member);
int fire_again(struct work *w, struct slice *s, unsigned *sent_r); /* those whose time has come */
/* Birthdays to look for on that date, month * 100 + day: one or two. Pure. */
unsigned birthdays_on(int64_t date, int leap_day, int out[2]);

/* A notice that quiet hours held: its amount is read again. */
struct held {
	uint32_t task, currency;
	uint64_t member;
	int ahead;
	int64_t date;
};
int bonus_held(struct work *w, const struct held *h, unsigned *sent);

/* What a member was told last; 0 dates: never. */
struct told {
	int64_t date;
	wall_t due;
};
int told_get(struct work *w, const struct task *t, uint64_t member, uint32_t currency, int ahead,
	struct told *r);
int told_put(struct work *w, const struct task *t, uint64_t member, uint32_t currency, int ahead,
	int64_t date, wall_t due);

/* May the task speak to that member at all: state, filter. 1, 0, -1. */
int task_wants(struct work *w, const struct task *t, struct member *m);
/* Is it for nobody, or whose clock? */
const struct zone *task_zone(const struct work *w, const struct task *t, const struct member *m);

/* The message of a task to one member. amount < 0: none is spoken of. */
struct notice {
	const struct task *t;
	struct member *member;
	const struct template *template; /* NULL: the task's */
	uint64_t run, key;
	unsigned step;
	uint32_t currency;
	int64_t amount, days, date;
	wall_t expires;
	bool come_again;
	bool never; /* there is no date */
};
int task_send(struct work *w, const struct notice *n, struct sent *r);
/* Was that notice made into a message? 1, 0, -1. */
int task_sent(struct work *w, const struct notice *n);

#endif
