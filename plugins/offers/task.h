/* Recurring tasks: bonus activation, bonus expiry, birthdays.
 *
 * A task is due once for each local date, at its time of day, for all members of a time zone (or
 * all at the programme's time): one run, a row of of_run, worked off in slices. What it did for a
 * member is noted in the same transaction (of_task_done), so that a run may stop anywhere, begin
 * again, or be started twice. A run whose local day is over is late: skipped, or run with what is
 * still true.
 */
#ifndef POSTERN_PLUGINS_OFFERS_TASK_H
#define POSTERN_PLUGINS_OFFERS_TASK_H

#include "plugins/offers/dispatch.h"

/* One slice of what is due at w->now, lots whose moment has come (lot.h) among it: at most so many
 * members (0: any) or until that moment (0: no limit). *sent_r: messages that were made; *left_r:
 * there is more at once. A unit of its own for each slice. 0, or -1 with w->e. */
int task_fire(struct work *w, unsigned most, mono_t until, unsigned *sent_r, bool *left_r);
/* The same without the lots. */
int task_runs(struct work *w, unsigned most, mono_t until, unsigned *sent_r, bool *left_r);
/* When task_fire() is to be asked again, at most a quarter of an hour ahead. */
int task_next_due(struct work *w, wall_t *due_r);
/* The same, at most so long ahead: for who asks again whenever somebody new has come. */
int task_next_within(struct work *w, dur_t most, wall_t *due_r);

/* On which day of that year a birthday (month * 100 + day) is kept; false: on none (29 February
 * with leap_day = "skip"). leap_day as in struct task_conf. Pure. */
bool birthday_in(int year, int birthday, int leap_day, int64_t *day_r);

#endif
