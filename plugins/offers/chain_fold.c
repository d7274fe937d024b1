/* The fold over the marks of one member and offer: what runs there are, and when their steps are
 * due. Pure: the same marks give the same runs, in whatever order their events came.
 */
#include "plugins/offers/chain.h"

/* At one instant: what only arms, what does both, what only disarms; so a cancel at the second of
 * the arming wins, as one at the second of sending does. */
static int mark_rank(const struct mark *m)
{
	if (m->kind & MARK_STATE)
		return 0;
	if (!(m->kind & MARK_DISARMS))
		return 1;
	return m->kind & MARK_ARMS ? 2 : 3;
}

static bool mark_before(const struct mark *a, const struct mark *b)
{
	if (a->occurred != b->occurred)
		return a->occurred < b->occurred;
	if (mark_rank(a) != mark_rank(b))
		return mark_rank(a) < mark_rank(b);
	if (a->receipt != b->receipt)
		return a->receipt < b->receipt;
	if (a->key != b->key)
		return a->key < b->key;
	if (a->kind != b->kind)
		return a->kind < b->kind;
	return a->seq < b->seq;
}

void marks_sort(struct mark *m, size_t n)
{
	/* they come from the table by time: nearly in order */
	for (size_t i = 1; i < n; i++) {
		struct mark one = m[i];
		size_t k = i;

		for (; k > 0 && mark_before(&one, &m[k - 1]); k--)
			m[k] = m[k - 1];
		m[k] = one;
	}
}

void chain_dues(const struct offer *o, const struct zone *z, struct chain_run *r)
{
	wall_t at = r->anchor;

	r->steps_n = (unsigned)(o->steps_n < CHAIN_STEPS_MOST ? o->steps_n : CHAIN_STEPS_MOST);
	for (unsigned i = 0; i < r->steps_n; i++) {
		const struct step *s = &o->steps[i];

		r->due[i] = 0;
		if (i < r->first_step)
			continue;
		at = window_next(s->windows, s->windows_n, z, zone_add(z, at, s->after));
		r->due[i] = span_is_zero(o->settle) ? at : zone_add(z, at, o->settle);
	}
}

struct folding {
	const struct offer *o;
	const struct zone *z;
	const struct mark *m;
	size_t n;
	struct chain_run *out;
	unsigned out_n;
};

/* Is it on at t? Not when its last step was due before; a mark at the very moment still counts. */
static bool runs_at(const struct chain_run *r, wall_t t)
{
	return !r->ended && r->steps_n && r->due[r->steps_n - 1] >= t;
}

static struct chain_run *run_add(struct folding *f, const struct chain_run *r)
{
	if (f->out_n == CHAIN_RUNS_MOST) {
		unsigned gone = 0;

		for (unsigned i = 0; i < f->out_n; i++)
			if (f->out[i].ended) {
				gone = i;
				break;
			}
		f->out_n--;
		memmove(&f->out[gone], &f->out[gone + 1], (f->out_n - gone) * sizeof *f->out);
	}
	f->out[f->out_n] = *r;
	chain_dues(f->o, f->z, &f->out[f->out_n]);
	return &f->out[f->out_n++];
}

/* Within one receipt the deduction comes before the completion: such a receipt does not arm. */
static bool receipt_disarms(const struct folding *f, const struct mark *arm)
{
	if (!arm->receipt || f->o->conf->then == DISARM_IGNORE)
		return false;
	for (size_t i = 0; i < f->n && f->m[i].occurred <= arm->occurred; i++)
		if ((f->m[i].kind & MARK_DISARMS) && !(f->m[i].kind & MARK_STATE) &&
			f->m[i].receipt == arm->receipt && f->m[i].seq != arm->seq)
			return true;
	return false;
}

static void disarm(struct folding *f, const struct mark *m)
{
	const struct offer_conf *c = f->o->conf;
	unsigned n = f->out_n;

	for (unsigned i = 0; i < n; i++) {
		struct chain_run *r = &f->out[i], next;

		if (!runs_at(r, m->occurred) || (m->key && r->key && m->key != r->key) ||
			(c->same_receipt_only && (!m->receipt || m->receipt != r->receipt)))
			continue;
		r->ended = m->occurred;
		if (c->then == DISARM_STOP ||
			(c->restarts_at_most > 0 && r->restarts >= (unsigned)c->restarts_at_most))
			continue;
		next = *r;
		next.run = m->seq;
		next.anchor = m->occurred;
		next.restarts++;
		next.ended = 0;
		if (c->then == DISARM_RESTART)
			next.first_step = 0;
		else /* what was due before stays done */
			while (next.first_step + 1 < r->steps_n &&
				r->due[next.first_step] < m->occurred)
				next.first_step++;
		if (f->out_n == CHAIN_RUNS_MOST) {
			*r = next; /* in its place */
			chain_dues(f->o, f->z, r);
		} else {
			run_add(f, &next);
		}
	}
}

static void arm(struct folding *f, const struct mark *m)
{
	const struct offer_conf *c = f->o->conf;
	bool own = c->again == AGAIN_PARALLEL && f->o->key_attr < 0;
	uint64_t key = own ? m->seq : m->key;
	int again = c->again;

	if (receipt_disarms(f, m))
		return;
	if (again == AGAIN_DEFAULT)
		again = (f->o->arms & f->o->disarms) && c->then != DISARM_RESTART_STEP
				? AGAIN_RESTART
				: AGAIN_IGNORE;
	for (unsigned i = 0; i < f->out_n; i++) {
		struct chain_run *r = &f->out[i];

		if (r->key != key || !runs_at(r, m->occurred))
			continue;
		if (again != AGAIN_RESTART || r->run == m->seq)
			return;
		r->ended = m->occurred;
	}
	run_add(f,
		&(struct chain_run){
			.run = m->seq, .key = key, .receipt = m->receipt, .anchor = m->occurred });
}

unsigned chain_fold(const struct offer *o, const struct zone *z, const struct mark *m, size_t n,
	struct chain_run *out)
{
	struct folding f = { .o = o, .z = z, .m = m, .n = n, .out = out };

	if (!o->steps_n)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (m[i].kind & MARK_STATE) {
			/* late marks before it tell nothing any more */
			for (unsigned k = 0; k < f.out_n; k++)
				if (f.out[k].key == m[i].key && !f.out[k].ended)
					f.out[k].ended = m[i].occurred;
			run_add(&f, &(struct chain_run){ .run = m[i].seq,
					    .key = m[i].key,
					    .receipt = m[i].receipt,
					    .anchor = m[i].occurred,
					    .first_step = m[i].kind >> 8 & 0xff,
					    .restarts = m[i].kind >> 16 });
			continue;
		}
		if ((m[i].kind & MARK_REFUNDED) && o->conf->rearm_on_refund)
			continue;
		if ((m[i].kind & MARK_DISARMS) && o->conf->then != DISARM_IGNORE)
			disarm(&f, &m[i]);
		if (m[i].kind & MARK_ARMS)
			arm(&f, &m[i]);
	}
	return f.out_n;
}

const struct mark *chain_ended_by(
	const struct offer *o, const struct mark *m, size_t n, const struct chain_run *r)
{
	const struct mark *armed = NULL;

	for (size_t i = 0; i < n && r->ended; i++) {
		if (m[i].occurred != r->ended || m[i].kind & MARK_STATE || m[i].seq == r->run)
			continue;
		if ((m[i].kind & MARK_DISARMS) && (!m[i].key || !r->key || m[i].key == r->key) &&
			(!o->conf->same_receipt_only || m[i].receipt == r->receipt))
			return &m[i];
		if (m[i].kind & MARK_ARMS && m[i].key == r->key)
			armed = &m[i];
	}
	return armed;
}
