/* Who is gone past in recurring work. See stuck.h. */
#include "plugins/offers/work.h"

/* A clock that was set back does not make it longer. */
static bool is_on(const struct stuck_one *o, wall_t now)
{
	return o->since <= now && now - o->since < STUCK_FOR;
}

static bool is_same(const struct hand *a, const struct hand *b)
{
	return a->work == b->work && a->task == b->task && a->member == b->member;
}

/* One of a run may go: that was written down when it was gone past. */
static bool room_make(struct stuck *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->v[i].hand.work == HAND_RUN) {
			memmove(&s->v[i], &s->v[i + 1], (--s->n - i) * sizeof s->v[0]);
			return true;
		}
	return false;
}

bool stuck_add(struct stuck *s, const struct hand *h, wall_t now)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n; i++)
		if (is_on(&s->v[i], now))
			s->v[n++] = s->v[i];
	s->n = n;
	for (unsigned i = 0; i < n; i++)
		if (is_same(&s->v[i].hand, h))
			return false;
	if (n == STUCK_MOST && !room_make(s))
		return false;
	s->v[s->n++] = (struct stuck_one){ { h->work, h->task, h->member, NULL }, now };
	return true;
}

bool hand_take(
	struct work *w, enum hand_work work, uint32_t task, const char *name, uint64_t member)
{
	const struct stuck *s = w->stuck;

	w->hand = (struct hand){ work, task, member, name };
	for (unsigned i = 0; s && i < s->n; i++)
		if (is_same(&s->v[i].hand, &w->hand) && is_on(&s->v[i], w->now)) {
			hand_drop(w);
			return false;
		}
	return true;
}

bool hand_any_past(const struct work *w, enum hand_work work)
{
	const struct stuck *s = w->stuck;

	for (unsigned i = 0; s && i < s->n; i++)
		if (s->v[i].hand.work == work && is_on(&s->v[i], w->now))
			return true;
	return false;
}

void hand_drop(struct work *w)
{
	w->hand = (struct hand){ 0 };
}

bool hand_to_blame(const struct work *w)
{
	enum sql_fault f = w->db->sql->fault;

	return f == SQL_OK || f == SQL_BAD;
}
