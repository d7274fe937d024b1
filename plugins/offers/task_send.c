/* What a task says to one member: whether it may, the values of its text, the message. See task.h.
 */
#include "plugins/offers/sent.h"
#include "plugins/offers/source.h"
#include "plugins/offers/task_intern.h"

/* A run's members follow one another in of_sent: see dispatch_id(). */
enum { MEMBER_BITS = 28 };

int task_wants(struct work *w, const struct task *t, struct member *m)
{
	struct offers_source s;
	bool holds;

	if (m->state == MEMBER_BLOCKED || m->state == MEMBER_LEFT)
		return 0;
	if (!t->only_if)
		return 1;
	source_init(&s, w, m, NULL, NULL);
	holds = source_holds(&s, t->only_if);
	source_done(&s);
	return holds;
}

static struct sending sending_of(struct work *w, const struct notice *n)
{
	const struct task *t = n->t;

	return (struct sending){ .member = n->member,
		.object = t->number,
		.run = n->run << MEMBER_BITS | (n->member->id & ((1u << MEMBER_BITS) - 1)),
		.key = n->key,
		.step = n->step,
		.class = t->kind,
		.row = t->row,
		.template = n->template ? n->template : t->template,
		.via = &t->via,
		.due = w->now,
		.expires = n->expires,
		.come_again = n->come_again };
}

int task_sent(struct work *w, const struct notice *n)
{
	struct sending s = sending_of(w, n);
	struct sent r = { .id = dispatch_id(&s) };
	int rc = sent_find(w, &r);

	return rc == 1 ? r.msg != 0 : rc;
}

int task_send(struct work *w, const struct notice *n, struct sent *r)
{
	struct offers_source under;
	struct metavars values;
	struct sending s = sending_of(w, n);
	char code[64];
	int failed;

	if (!span_is_zero(w->rules->expires)) {
		wall_t usual = zone_add(n->member->zone, w->now, w->rules->expires);

		if (usual < s.expires)
			s.expires = usual;
	}
	s.source = &values.source;
	source_init(&under, w, n->member, NULL, NULL);
	metavars_init(&values, NULL, &under.source);
	if (!n->never) {
		values.v[METAVAR_DAYS] = value_int(n->days);
		values.v[METAVAR_DATE] = value_date(n->date);
	}
	if (n->amount >= 0 && currency_code_of(w, n->currency, code, sizeof code)) {
		values.v[METAVAR_AMOUNT] = value_decimal(n->amount);
		values.v[METAVAR_CURRENCY] = value_text(str_of(code));
	}
	failed = dispatch(w, &s, r);
	source_done(&under);
	return failed;
}
