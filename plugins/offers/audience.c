/* What names and functions of filters mean in the tables. See audience.h; each has its like in the
 * source of one event or member, and the two must say the same.
 */
#include "plugins/offers/audience.h"
#include "plugins/offers/attrs.h"
#include "plugins/offers/chain.h"
#include "plugins/offers/filter_sql.h"
#include "plugins/offers/member.h"

enum { AUDIENCES_DEEP = 8 };

struct in_tables {
	struct work *w;
	struct filter_map map;
	unsigned depth; /* of audiences within audiences */
};

enum member_slot {
#define MEMBER(name, type, of, column, doc) MEMBER_SLOT_##name,
#include "plugins/offers/members.def"
#undef MEMBER
	MEMBER_SLOTS
};

static void text(struct filter_sql *q, const char *s)
{
	filter_sql_param(q, value_text(str_of(s)));
}

/* of_today(…, of_since(…: the member's zone, else the programme's; now */
static void put_zone(struct in_tables *t, struct filter_sql *q, const char *fn)
{
	filter_sql_printf(q, "%s(m.zone, ", fn);
	text(q, zone_name(t->w->rules->zone));
	filter_sql_c(q, ", ");
	filter_sql_param(q, value_int(t->w->now));
}

static void put_state(struct filter_sql *q)
{
	filter_sql_c(q, "CASE m.state");
	for (int s = MEMBER_ANONYMOUS; s <= MEMBER_LEFT; s++) {
		filter_sql_printf(q, " WHEN %d THEN ", s);
		text(q, member_state_word((enum member_state)s));
	}
	filter_sql_c(q, " END");
}

static void put_status(struct in_tables *t, struct filter_sql *q)
{
	const struct rules_conf *c = t->w->rules->conf;

	filter_sql_c(q, "(SELECT value FROM json_each(m.statuses) WHERE key = ");
	text(q, c && c->members.statuses_n ? c->members.statuses[0] : "status");
	filter_sql_c(q, ")");
}

static bool put_member(struct in_tables *t, struct filter_sql *q, enum member_slot slot)
{
	switch (slot) {
	case MEMBER_SLOT_id:
		filter_sql_c(q, "m.ext");
		return true;
	case MEMBER_SLOT_state:
		put_state(q);
		return true;
	case MEMBER_SLOT_status:
		put_status(t, q);
		return true;
	case MEMBER_SLOT_statuses:
		filter_sql_c(q, "(SELECT json_group_array(key || ':' || value) FROM "
				"json_each(m.statuses))");
		return true;
	case MEMBER_SLOT_first_name:
		filter_sql_c(q, "m.first_name");
		return true;
	case MEMBER_SLOT_last_name:
		filter_sql_c(q, "m.last_name");
		return true;
	case MEMBER_SLOT_full_name:
		filter_sql_c(q, "coalesce(m.first_name || ' ' || m.last_name, m.first_name, "
				"m.last_name)");
		return true;
	case MEMBER_SLOT_birthday:
		filter_sql_c(q, "m.born");
		return true;
	case MEMBER_SLOT_language:
		filter_sql_c(q, "m.lang");
		return true;
	case MEMBER_SLOT_zone:
		filter_sql_c(q, "m.zone");
		return true;
	case MEMBER_SLOT_registered:
		filter_sql_c(q, "nullif(m.registered, 0)");
		return true;
	case MEMBER_SLOT_created:
		filter_sql_c(q, "m.created");
		return true;
	case MEMBER_SLOTS:
		break;
	}
	return false;
}

static bool put_slot(void *ctx, struct filter_sql *q, unsigned slot)
{
	struct in_tables *t = ctx;
	const char *column;

	if (slot == SLOT_WORLD + WORLD_NOW) {
		filter_sql_param(q, value_datetime(t->w->now));
		return true;
	}
	if (slot == SLOT_WORLD + WORLD_TODAY) {
		put_zone(t, q, "of_today");
		filter_sql_c(q, ")");
		return true;
	}
	if (slot < SLOT_ATTR)
		return put_member(t, q, (enum member_slot)(slot - SLOT_MEMBER));
	if (slot >= SLOT_EVENT || !t->w->db->attrs || slot - SLOT_ATTR >= t->w->rules->attributes_n)
		return false;
	column = attrs_column(t->w->db->attrs, slot - SLOT_ATTR);
	if (column)
		filter_sql_printf(q, "a.%s", column);
	else
		filter_sql_c(q, "NULL");
	return true;
}

/* ---- functions ------------------------------------------------------------------------------ */

static void put_since(struct in_tables *t, struct filter_sql *q, struct value period)
{
	if (period.type != VALUE_SPAN) {
		filter_sql_param(q, value_int(INT64_MIN));
		return;
	}
	put_zone(t, q, "of_since");
	filter_sql_c(q, ", ");
	filter_sql_param(q, value_int(period.span.months));
	filter_sql_c(q, ", ");
	filter_sql_param(q, value_int(period.span.days));
	filter_sql_c(q, ", ");
	filter_sql_param(q, value_int(period.span.exact));
	filter_sql_c(q, ")");
}

static bool put_past(struct filter_sql *q, const char *select, struct value event)
{
	enum event_type t;
	const char *kind;

	if (!event_type_parse(event.s, &t, &kind))
		return false;
	filter_sql_printf(
		q, "%s FROM of_past p WHERE p.member = m.id AND p.type = %d", select, (int)t);
	if (kind[0]) { /* phone.linked and the like */
		filter_sql_c(q, " AND p.kind = ");
		filter_sql_param(q, value_int((int64_t)event_hash(str_of(kind))));
	}
	return true;
}

static bool put_count(struct in_tables *t, struct filter_sql *q, const struct value *args)
{
	if (!put_past(q, "(SELECT count(*)", args[0]))
		return false;
	filter_sql_c(q, " AND p.occurred > ");
	put_since(t, q, args[1]);
	filter_sql_c(q, " AND p.occurred <= ");
	filter_sql_param(q, value_int(t->w->now));
	filter_sql_c(q, ")");
	return true;
}

static bool put_first_time(struct in_tables *t, struct filter_sql *q, const struct value *args)
{
	if (!put_past(q, "NOT EXISTS (SELECT 1", args[0]))
		return false;
	filter_sql_c(q, " AND p.occurred <= ");
	filter_sql_param(q, value_int(t->w->now));
	filter_sql_c(q, ")");
	return true;
}

static bool put_last(struct in_tables *t, struct filter_sql *q, const struct value *args)
{
	if (!put_past(q, "(SELECT max(p.occurred)", args[0]))
		return false;
	filter_sql_c(q, " AND p.occurred <= ");
	filter_sql_param(q, value_int(t->w->now));
	filter_sql_c(q, ")");
	return true;
}

static bool put_has(struct filter_sql *q, const struct value *args)
{
	enum contact_kind k = CONTACT_DEVICE;

	if (!contact_parse(args[0].s, &k) && !str_is(args[0].s, "push"))
		return false;
	filter_sql_printf(q,
		"EXISTS (SELECT 1 FROM of_contact c WHERE c.member = m.id AND c.kind = %d AND "
		"c.flags & %d = 0)",
		(int)k, (int)CONTACT_INVALID);
	return true;
}

static bool put_received(struct in_tables *t, struct filter_sql *q, const struct value *object,
	const struct value *period)
{
	const struct offer *o = object ? rules_offer(t->w->rules, object->s) : NULL;
	const struct task *task = object ? rules_task(t->w->rules, object->s) : NULL;

	if (object && !o && !task)
		return false;
	filter_sql_c(q, "(SELECT count(*) FROM of_sent s WHERE s.member = m.id AND s.msg > 0 AND "
			"s.at > ");
	put_since(t, q, *period);
	if (object)
		filter_sql_printf(
			q, " AND s.object = %lld", (long long)(o ? o->number : task->number));
	filter_sql_c(q, ")");
	return true;
}

static bool put_audience(struct in_tables *t, struct filter_sql *q, struct value name)
{
	const struct audience *a = rules_audience(t->w->rules, name.s);
	bool ok = false;

	if (!a || !a->is || t->depth == AUDIENCES_DEEP)
		return false;
	t->depth++;
	ok = filter_sql_truth(q, a->is, NULL) == 0;
	t->depth--;
	return ok;
}

static bool put_call(void *ctx, struct filter_sql *q, enum filter_fn fn, const struct value *args)
{
	struct in_tables *t = ctx;

	switch (fn) {
	case FILTER_COUNT:
		return put_count(t, q, args);
	case FILTER_LAST:
		return put_last(t, q, args);
	case FILTER_FIRST_TIME:
		return put_first_time(t, q, args);
	case FILTER_HAS:
		return put_has(q, args);
	case FILTER_RECEIVED:
		return put_received(t, q, &args[0], &args[1]);
	case FILTER_RECEIVED_ANY:
		return put_received(t, q, NULL, &args[0]);
	case FILTER_IN_AUDIENCE:
		return put_audience(t, q, args[0]);
	default:
		return false;
	}
}

/* ---- the query ------------------------------------------------------------------------------ */

static bool reads_attributes(const struct work *w, const struct filter *f, unsigned depth)
{
	const struct value *args;
	enum filter_fn fn;

	for (unsigned i = 0; i < w->rules->attributes_n; i++)
		if (filter_reads(f, SLOT_ATTR + i))
			return true;
	for (unsigned i = 0; depth < AUDIENCES_DEEP && filter_call_at(f, i, &fn, &args); i++) {
		const struct audience *a =
			fn == FILTER_IN_AUDIENCE ? rules_audience(w->rules, args[0].s) : NULL;

		if (a && a->is && reads_attributes(w, a->is, depth + 1))
			return true;
	}
	return false;
}

static void put_query(struct in_tables *t, struct filter_sql *q, const char *select,
	const struct filter *f, uint64_t after, bool *exact_r)
{
	t->map = (struct filter_map){ put_slot, put_call, t };
	*q = FILTER_SQL(&t->map);
	filter_sql_printf(q, "SELECT %s FROM of_member m%s WHERE m.id > ", select,
		reads_attributes(t->w, f, 0) ? " LEFT JOIN of_attr a ON a.member = m.id" : "");
	filter_sql_param(q, value_int((int64_t)after));
	filter_sql_printf(q, " AND m.merged = 0 AND m.state <> %d AND ", MEMBER_LEFT);
	filter_sql_narrow(q, f, exact_r);
}

int audience_select(struct work *w, const struct filter *f, uint64_t after, uint64_t *ids,
	size_t most, size_t *n_r, bool *exact_r)
{
	struct in_tables t = { .w = w };
	struct filter_sql q;
	struct sql_stmt *st;
	int got = -1;

	*n_r = 0;
	put_query(&t, &q, "m.id", f, after, exact_r);
	filter_sql_c(&q, " ORDER BY m.id LIMIT ");
	filter_sql_param(&q, value_int((int64_t)most));
	st = filter_sql_prepare(&q, w->db->sql, &w->e);
	if (st) {
		while ((got = sql_step(st)) > 0)
			ids[(*n_r)++] = (uint64_t)sql_col(st, 0);
		if (got < 0)
			work_failed(w, "an audience");
	}
	sql_finish(&st);
	filter_sql_free(&q);
	return got < 0 ? -1 : 0;
}

int audience_count(struct work *w, const struct filter *f, int64_t *n_r, bool *exact_r)
{
	struct in_tables t = { .w = w };
	struct filter_sql q;
	struct sql_stmt *st;
	int got = -1;

	*n_r = 0;
	put_query(&t, &q, "count(*)", f, 0, exact_r);
	st = filter_sql_prepare(&q, w->db->sql, &w->e);
	if (st) {
		got = sql_step(st);
		if (got > 0)
			*n_r = sql_col(st, 0);
		if (got < 0)
			work_failed(w, "an audience");
	}
	sql_finish(&st);
	filter_sql_free(&q);
	return got < 0 ? -1 : 0;
}
