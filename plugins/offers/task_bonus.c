/* Points that become spendable, and points that expire: whom to tell so many days before. See
 * task.h.
 *
 * A run goes through the lots of its zone whose moment lies in the bucket, in the order of that
 * moment; for each member it meets, the amount is summed up from the lots as they are then. So
 * points spent before count no more, and lots that come after the run make no second message. A
 * notice that quiet hours would hold is not made: it is asked for again when they end.
 */
#include "plugins/offers/chain.h"
#include "plugins/offers/task_intern.h"

/* Moments of one bucket: from <= t < to, and the local date that it is named by. */
struct bucket {
	wall_t from, to;
	int64_t date;
};

/* A lot that expires at midnight was there until the end of the day before: its last day counts. */
static int64_t day_of(const struct task *t, const struct zone *z, wall_t moment)
{
	return zone_local(z, t->look == LOOK_EXPIRES ? moment - 1 : moment).day;
}

static struct bucket bucket_of(
	const struct work *w, const struct task *t, const struct zone *z, int64_t date)
{
	wall_t shift = t->look == LOOK_EXPIRES;
	struct bucket b = { .from = zone_midnight(z, date) + shift,
		.to = zone_midnight(z, date + 1) + shift,
		.date = date };

	if (t->conf->within || b.from <= w->now)
		b.from = w->now + 1; /* what is past is not announced */
	return b;
}

/* ---- one member ---- */
struct sum {
	uint32_t currency;
	int64_t amount;
	wall_t first, last;
};

static int sums_of(struct work *w, const struct task *t, uint64_t member, const struct bucket *b,
	struct sum *v, size_t most, size_t *n_r)
{
	struct sql_stmt *st = db_st(
		w->db, t->look == LOOK_EXPIRES ? ST_LOTS_SUM_EXPIRING : ST_LOTS_SUM_ACTIVATING);
	size_t n = 0;
	int got = 0;

	if (st) {
		sql_int(st, 1, (int64_t)member);
		sql_int(st, 2, b->from);
		sql_int(st, 3, b->to);
	}
	while (st && n < most && (got = sql_step(st)) == 1)
		v[n++] = (struct sum){ (uint32_t)sql_col(st, 0), sql_col(st, 1), sql_col(st, 2),
			sql_col(st, 3) };
	if (!st || got < 0)
		return work_failed(w, "bonus lots");
	sql_reset(st);
	*n_r = n;
	return 0;
}

/* A run that is late leaves it to the later notice, when that one's day has come as well. */
static bool later_notice_is_due(const struct task *t, int ahead, int64_t date, int64_t today)
{
	for (unsigned i = 0; i < t->ahead_n; i++)
		if (t->ahead[i] < ahead && date - t->ahead[i] <= today)
			return true;
	return false;
}

/* 1: a message was made. come_again: rather later than with today's amount. */
static int tell(struct work *w, const struct task *t, const struct zone *z, struct member *m,
	int ahead, const struct sum *sum, int64_t date, bool come_again)
{
	struct notice n = { .t = t,
		.member = m,
		.run = (uint64_t)date,
		.key = sum->currency,
		.step = (unsigned)ahead,
		.currency = sum->currency,
		.amount = sum->amount,
		.date = day_of(t, z, sum->first),
		.expires = sum->first,
		.come_again = come_again };
	struct sent sent;
	wall_t due = 0;

	n.days = n.date - zone_local(z, w->now).day;
	if (task_send(w, &n, &sent))
		return -1;
	if (sent.msg == 0 && sent.hold == HOLD_NONE && !sent.again && sent.due > w->now)
		due = sent.due;
	return told_put(w, t, m->id, sum->currency, ahead, date, due) ? -1 : sent.msg != 0;
}

static int bonus_again(struct work *w, const struct task *t, struct member *m, const struct held *h,
	bool come_again, unsigned *sent);

static int tell_member(
	struct work *w, const struct run *r, uint64_t id, int ahead, const struct bucket *b)
{
	enum { CURRENCIES_MOST = 32 };
	const struct task *t = r->t;
	struct sum sums[CURRENCIES_MOST];
	struct member *m = NULL;
	unsigned sent = 0;
	size_t n;
	int got;

	if (later_notice_is_due(t, ahead, b->date, r->today))
		return 0;
	if (sums_of(w, t, id, b, sums, CURRENCIES_MOST, &n))
		return -1;
	for (size_t i = 0; i < n; i++) {
		int64_t date = t->conf->within ? day_of(t, r->z, sums[i].last) : b->date;
		struct told told;

		if ((t->currency && sums[i].currency != t->currency) ||
			sums[i].amount < t->at_least || sums[i].amount <= 0)
			continue;
		if (told_get(w, t, id, sums[i].currency, ahead, &told))
			return -1;
		if (told.date >= date)
			continue;
		if (!m && (got = member_load(w, id, &m)) < 1)
			return got;
		got = task_wants(w, t, m);
		if (got < 1)
			return got < 0 ? -1 : (int)sent;
		if (told.due) { /* the one before still waits: it goes now, or not at all */
			struct held h = { t->number, sums[i].currency, id, ahead, told.date };

			if (bonus_again(w, t, m, &h, false, &sent))
				return -1;
		}
		got = tell(w, t, r->z, m, ahead, &sums[i], date, true);
		if (got < 0)
			return -1;
		sent += (unsigned)got;
	}
	return (int)sent;
}

/* ---- what waited ---- */
static int bonus_again(struct work *w, const struct task *t, struct member *m, const struct held *h,
	bool come_again, unsigned *sent)
{
	enum { CURRENCIES_MOST = 32 };
	const struct zone *z = task_zone(w, t, m);
	struct bucket b = bucket_of(w, t, z, h->date);
	struct sum sums[CURRENCIES_MOST];
	size_t n;
	int got;

	if (sums_of(w, t, h->member, &b, sums, CURRENCIES_MOST, &n))
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (sums[i].currency != h->currency || sums[i].amount < t->at_least ||
			sums[i].amount <= 0)
			continue;
		got = task_wants(w, t, m);
		if (got > 0) {
			got = tell(w, t, z, m, h->ahead, &sums[i], h->date, come_again);
			*sent += got > 0;
			return got < 0 ? -1 : 0;
		}
		if (got < 0)
			return -1;
	}
	return told_put(w, t, h->member, h->currency, h->ahead, h->date, 0);
}

int bonus_held(struct work *w, const struct held *h, unsigned *sent)
{
	struct member *m;
	int got;

	for (size_t i = 0; i < w->rules->tasks_n; i++) {
		const struct task *t = &w->rules->tasks[i];

		if (t->number != h->task || t->look == LOOK_BIRTHDAY || !t->template)
			continue;
		got = member_load(w, h->member, &m);
		if (got < 0)
			return -1;
		if (got && m->id == h->member)
			return bonus_again(w, t, m, h, true, sent);
	}
	return told_put(w, &(struct task){ .number = h->task }, h->member, h->currency, h->ahead,
		h->date, 0);
}

/* ---- what was announced, and is not so any more ---- */
enum { STEP_CORRECT = 999 }; /* in of_sent, where a notice has how many days ahead it was */

/* Was the member told that this lot would expire then: by a notice, or by a correction before this
 * one? 1, 0, -1. */
static int was_told(struct work *w, const struct task *t, const struct zone *z, struct member *m,
	const struct lot *was, uint64_t key)
{
	int64_t date = day_of(t, z, was->expires);
	struct notice n = {
		.t = t, .member = m, .run = (uint64_t)date, .key = key, .step = STEP_CORRECT
	};
	int rc = task_sent(w, &n);

	n.key = was->currency;
	for (unsigned i = 0; rc == 0 && i < t->ahead_n; i++) {
		struct told told;

		n.step = (unsigned)t->ahead[i];
		n.run = (uint64_t)date;
		rc = task_sent(w, &n);
		if (rc || !t->conf->within)
			continue;
		/* a notice of several days' lots is named by the last of them */
		if (told_get(w, t, m->id, was->currency, t->ahead[i], &told))
			return -1;
		n.run = (uint64_t)told.date;
		if (told.date > date)
			rc = task_sent(w, &n);
	}
	return rc;
}

static int correct(struct work *w, const struct task *t, struct member *m, const struct lot *was,
	const struct lot *is)
{
	const struct zone *z = task_zone(w, t, m);
	uint64_t key = event_hash(is->ext) ^ is->currency;
	int rc = was_told(w, t, z, m, was, key);
	struct sent sent;
	struct notice n = { .t = t,
		.template = t->correct,
		.member = m,
		.key = key,
		.step = STEP_CORRECT,
		.currency = is->currency,
		.amount = is->rest,
		.expires = is->expires,
		.never = !is->expires };

	if (rc == 1)
		rc = task_wants(w, t, m);
	if (rc < 1)
		return rc;
	if (is->expires) {
		n.date = day_of(t, z, is->expires);
		n.days = n.date - zone_local(z, w->now).day;
		n.run = (uint64_t)n.date;
	}
	return task_send(w, &n, &sent);
}

int bonus_prolonged(struct work *w, uint64_t member, const struct lot *was, const struct lot *is)
{
	struct member *m;
	int got;

	for (size_t i = 0; i < w->rules->tasks_n; i++) {
		const struct task *t = &w->rules->tasks[i];

		if (!t->correct || (t->currency && t->currency != is->currency))
			continue;
		got = member_load(w, member, &m);
		if (got < 1 || correct(w, t, m, was, is))
			return got < 1 ? got : -1;
	}
	return 0;
}

/* ---- a run ---- */
int bonus_one(struct work *w, const struct run *r, uint64_t member)
{
	int ahead = r->t->ahead[r->phase];
	struct bucket b = bucket_of(w, r->t, r->z, r->date + ahead);

	return tell_member(w, r, member, ahead, &b);
}

int bonuses_run(struct work *w, struct run *r, struct slice *s, bool *over_r)
{
	enum { AT_A_TIME = 256 };
	const struct task *t = r->t;
	int ahead = t->ahead[r->phase], sent;
	struct bucket b = bucket_of(w, t, r->z, r->date + ahead);
	struct {
		int64_t moment;
		uint64_t member;
	} *v = arena_alloc(w->arena, AT_A_TIME * sizeof *v);
	size_t n = AT_A_TIME;

	*over_r = false;
	if (r->mark < b.from) {
		r->mark = b.from;
		r->cursor = 0;
	}
	while (n == AT_A_TIME) {
		struct sql_stmt *st = db_st(w->db,
			t->look == LOOK_EXPIRES ? ST_LOTS_EXPIRING_IN : ST_LOTS_ACTIVATING_IN);
		int got = 0;

		if (st) {
			sql_text(st, 1, r->zone_key);
			sql_int(st, 2, r->mark);
			sql_int(st, 3, (int64_t)r->cursor);
			sql_int(st, 4, b.to);
			sql_int(st, 5, AT_A_TIME);
		}
		for (n = 0; st && n < AT_A_TIME && (got = sql_step(st)) == 1; n++) {
			v[n].moment = sql_col(st, 0);
			v[n].member = (uint64_t)sql_col(st, 1);
		}
		if (!st || got < 0)
			return work_failed(w, "bonus lots");
		sql_reset(st);
		for (size_t i = 0; i < n; i++) {
			if (slice_over(s))
				return 0;
			sent = hand_take(w, HAND_RUN, t->number, t->conf->name, v[i].member)
				       ? tell_member(w, r, v[i].member, ahead, &b)
				       : run_past(w, r, s, v[i].member);
			if (sent < 0)
				return -1;
			hand_drop(w);
			r->sent += sent;
			r->seen++;
			r->mark = v[i].moment;
			r->cursor = v[i].member;
			s->left--;
		}
	}
	*over_r = true;
	return 0;
}
