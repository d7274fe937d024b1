/* Receipts that match nothing yet: an early one's message is recorded in a moment.
 *
 * They are kept on disk, so that a restart between receipt and response loses none, and mirrored
 * in memory under each of their keys, so that recording a message as sent costs one look at a hash
 * table and nothing when none is parked. Bounded: the oldest go when there are too many, and all
 * after orphan_wait; those were for messages that were never ours, or are long forgotten. Those
 * that name a recipient are also found by the end of its number, for who is erased.
 */
#include "gateway/base/log.h"
#include "gateway/store/intern.h"

#include <stdio.h>

enum {
	ORPHANS_MOST = 20000,
	ORPHAN_KEY = OUTCOME_ID + 12, /* "channel/key" */
	STRIP_MOST = 256,
};

struct orphan_key {
	struct orphan *of;
	struct orphan_key *next; /* others under the same key, newest first */
	char key[ORPHAN_KEY];
};
/* Those whose recipients end alike: all that recipient_grade() may take for one are among them. */
struct orphan_tail {
	struct list of;
	char key[TAIL_DIGITS + 1];
};
struct orphan {
	struct list age, alike;
	struct orphan_tail *tail; /* NULL: it names nobody */
	int64_t n;
	wall_t parked;
	struct op_receipt_in in;
	struct orphan_key keys[OP_KEYS];
};

static struct str key_text(char *out, size_t cap, uint32_t channel, struct str key)
{
	int n = snprintf(out, cap, "%u/", channel);
	size_t head = n < 0 ? 0 : (size_t)n;

	str_copy(out + head, cap - head, key);
	return str_of(out);
}

static struct str tail_of(struct str recipient)
{
	return recipient.n > TAIL_DIGITS ? str_skip(recipient, recipient.n - TAIL_DIGITS)
					 : recipient;
}

static void tail_join(struct store *s, struct orphan *o)
{
	struct str to = str_of(o->in.to), key;

	if (str_starts(to, STR("+")))
		to = str_skip(to, 1);
	key = tail_of(to);
	if (!key.n)
		return;
	o->tail = map_get(&s->orphan_tails, key);
	if (!o->tail) {
		o->tail = mem_new(struct orphan_tail);
		list_init(&o->tail->of);
		str_copy(o->tail->key, sizeof o->tail->key, key);
		map_put(&s->orphan_tails, str_of(o->tail->key), o->tail);
	}
	list_append(&o->tail->of, &o->alike);
}

static void tail_leave(struct store *s, struct orphan *o)
{
	if (!o->tail)
		return;
	list_remove(&o->alike);
	if (list_empty(&o->tail->of)) {
		map_del(&s->orphan_tails, str_of(o->tail->key));
		mem_free(&o->tail);
	}
	o->tail = NULL;
}

static void orphan_hold(struct store *s, struct orphan *o)
{
	for (unsigned k = 0; k < o->in.keys; k++) {
		struct orphan_key *ok = &o->keys[k];
		struct str key =
			key_text(ok->key, sizeof ok->key, o->in.channel, str_of(o->in.key[k]));

		ok->of = o;
		/* the newest is the one in the map: its own text must be the map's key */
		ok->next = map_del(&s->orphans, key);
		map_put(&s->orphans, key, ok);
	}
	tail_join(s, o);
	list_append(&s->orphan_age, &o->age);
	s->orphan_n++;
}

static void orphan_release(struct store *s, struct orphan *o)
{
	for (unsigned k = 0; k < o->in.keys; k++) {
		struct orphan_key *ok = &o->keys[k], *first;
		struct str key = str_of(ok->key);

		first = map_del(&s->orphans, key);
		if (first == ok) {
			first = ok->next;
		} else {
			for (struct orphan_key *p = first; p; p = p->next)
				if (p->next == ok)
					p->next = ok->next;
		}
		if (first)
			map_put(&s->orphans, str_of(first->key), first);
	}
	tail_leave(s, o);
	list_remove(&o->age);
	s->orphan_n--;
	mem_free(&o);
}

static int orphan_delete(struct store *s, struct orphan *o)
{
	sql_int(s->q[Q_ORPHAN_DELETE], 1, o->n);
	if (sql_run(s->q[Q_ORPHAN_DELETE]) < 0)
		return -1;
	orphan_release(s, o);
	return 0;
}

void orphan_free(struct store *s)
{
	if (!s->orphan_age.next)
		return;
	list_each_safe (it, &s->orphan_age)
		orphan_release(s, CONTAINER(it, struct orphan, age));
	map_free(&s->orphans);
	map_free(&s->orphan_tails);
}

int orphan_load(struct store *s)
{
	struct sql_stmt *q;
	int got;

	orphan_free(s);
	list_init(&s->orphan_age);
	s->orphan_ahead = false;
	s->orphan_n = 0;
	s->orphan_next = 1;
	q = sql_prepare(s->db, "SELECT n, channel, state, reason, err, at, parked, raw, dst,"
			       " k0, k1, k2, k3 FROM orphan ORDER BY n");
	if (!q)
		return -1;
	while ((got = sql_step(q)) == 1) {
		struct orphan *o = mem_new(struct orphan);

		o->n = sql_col(q, 0);
		o->in.channel = (uint32_t)sql_col(q, 1);
		o->in.state = (enum state)sql_col(q, 2);
		o->in.reason = (enum reason)sql_col(q, 3);
		str_copy(o->in.err, sizeof o->in.err, sql_col_str(q, 4));
		o->in.at = sql_col(q, 5);
		o->parked = sql_col(q, 6);
		str_copy(o->in.raw_id, sizeof o->in.raw_id, sql_col_str(q, 7));
		str_copy(o->in.to, sizeof o->in.to, sql_col_str(q, 8));
		for (int k = 0; k < OP_KEYS && !sql_col_null(q, 9 + k); k++) {
			str_copy(o->in.key[k], sizeof o->in.key[k], sql_col_str(q, 9 + k));
			o->in.keys++;
		}
		s->orphan_next = o->n + 1;
		orphan_hold(s, o);
	}
	sql_finish(&q);
	return got;
}

int orphan_park(struct store *s, const struct op_receipt_in *in)
{
	struct sql_stmt *q = s->q[Q_ORPHAN_INSERT];
	struct orphan *o;

	while (s->orphan_n >= ORPHANS_MOST) {
		stat_inc(&s->stat.orphans_lost);
		if (orphan_delete(s, list_first(&s->orphan_age, struct orphan, age)) < 0)
			return -1;
	}
	sql_int(q, 1, s->orphan_next);
	sql_int(q, 2, in->channel);
	for (unsigned k = 0; k < OP_KEYS; k++) {
		if (k < in->keys)
			sql_text(q, (int)(3 + k), str_of(in->key[k]));
		else
			sql_null(q, (int)(3 + k));
	}
	sql_text_or_null(q, 7, str_of(in->raw_id));
	sql_text_or_null(q, 8, str_of(in->to));
	sql_int(q, 9, in->state);
	sql_int(q, 10, in->reason);
	sql_text_or_null(q, 11, str_of(in->err));
	sql_int(q, 12, in->at ? in->at : s->now);
	sql_int(q, 13, s->now);
	if (sql_run(q) < 0)
		return -1;
	o = mem_new(struct orphan);
	o->n = s->orphan_next++;
	o->parked = s->now;
	o->in = *in;
	if (!o->in.at)
		o->in.at = s->now;
	orphan_hold(s, o);
	stat_inc(&s->stat.orphans);
	return 0;
}

bool orphan_any(struct store *s, uint32_t channel, struct str key)
{
	char text[ORPHAN_KEY];

	return map_get(&s->orphans, key_text(text, sizeof text, channel, key)) != NULL;
}

int orphan_take(struct store *s, uint32_t channel, struct str key, struct str dst,
	struct op_receipt_in *in_r)
{
	char text[ORPHAN_KEY];
	struct orphan_key *best = NULL;

	/* of several the oldest first: they are told in the order in which they came */
	for (struct orphan_key *k = map_get(&s->orphans, key_text(text, sizeof text, channel, key));
		k; k = k->next)
		if (recipient_grade(str_of(k->of->in.to), dst) > 1 || k == &k->of->keys[0])
			best = k;
	if (!best)
		return 0;
	*in_r = best->of->in;
	return orphan_delete(s, best->of) < 0 ? -1 : 1;
}

int orphan_strip(struct store *s, struct str dst)
{
	struct sql_stmt *q = s->q[Q_ERASE_ORPHAN];
	struct orphan_tail *t = dst.n ? map_get(&s->orphan_tails, tail_of(dst)) : NULL;
	unsigned stripped = 0;

	if (!t)
		return 0;
	list_each_safe (it, &t->of) {
		struct orphan *o = CONTAINER(it, struct orphan, alike);
		bool last = it_next == &t->of; /* with it the list may go */

		s->orphan_looks++;
		if (recipient_grade(str_of(o->in.to), dst) >= 2) {
			if (stripped++ == STRIP_MOST)
				return 1;
			s->orphan_ahead = true;
			tail_leave(s, o);
			memset(o->in.to, 0, sizeof o->in.to);
			erased_err(o->in.err);
			sql_text_or_null(q, 1, str_of(o->in.err));
			sql_int(q, 2, o->n);
			if (sql_run(q) < 0)
				return -1;
		}
		if (last)
			break;
	}
	return 0;
}

int orphan_undo(struct store *s)
{
	return s->orphan_ahead ? orphan_load(s) : 0;
}

int orphan_slice(struct store *s, mono_t until)
{
	struct orphan *o;

	while ((o = list_first(&s->orphan_age, struct orphan, age)) &&
		o->parked < s->now - s->conf.orphan_wait) {
		log_info("receipt unknown",
			F_STR("channel", store_name(s, STORE_CHANNEL, o->in.channel)),
			F_STR("remote", o->in.raw_id[0] ? o->in.raw_id : o->in.key[0]),
			F_STR("state", state_word(o->in.state)));
		stat_inc(&s->stat.orphans_lost);
		if (orphan_delete(s, o) < 0)
			return -1;
		if (clock_mono() >= until)
			return 1;
	}
	return 0;
}
