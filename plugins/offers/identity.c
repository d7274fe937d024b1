/* Who an event speaks of, records that turn out to be one person, and leaving. See member.h.
 *
 * A name of the programme (ext) is the strongest; then cards, devices, phone, email, guests.
 * Records without ext are customers who are not members yet: they join whoever is named beside
 * them. Two records with ext are never made one by that: only the platform says so
 * (member.merged). A card or device of another member changes hands only by an event that says so.
 */
#include "plugins/offers/attrs.h"
#include "plugins/offers/hindsight.h"
#include "plugins/offers/chain.h"
#include "plugins/offers/leaving.h"
#include "plugins/offers/lot.h"

struct claim {
	struct str value;
	bool hands_over; /* the event itself gives it to the member */
	struct member *found;
};

static void claims_of(const struct event *e, struct claim c[ALIAS_KINDS])
{
	bool card = e->type == EVENT_CARD_ASSIGNED || e->type == EVENT_CARD_ACTIVATED ||
		    e->type == EVENT_REGISTRATION_COMPLETED;
	bool device = e->type == EVENT_APP_INSTALLED || e->type == EVENT_REGISTRATION_COMPLETED;
	const struct value *v;

	for (unsigned k = 0; k < ALIAS_KINDS; k++)
		c[k] = (struct claim){ .value = e->who[k] };
	v = &e->attr[ATTR_card];
	if (card && v->type == VALUE_TEXT && v->s.n)
		c[ALIAS_CARD] = (struct claim){ .value = v->s, .hands_over = true };
	v = &e->attr[ATTR_device];
	if ((device || e->type == EVENT_APP_REMOVED) && v->type == VALUE_TEXT && v->s.n)
		c[ALIAS_DEVICE] = (struct claim){ .value = v->s, .hands_over = device };
}

/* Not a member yet, nor one who left or was barred. */
static bool may_join(const struct member *m)
{
	return !m->ext.n && (m->state == MEMBER_ANONYMOUS || m->state == MEMBER_CUSTOMER);
}

static bool is_alias(unsigned k)
{
	return k == ALIAS_CARD || k == ALIAS_DEVICE || k == ALIAS_GUEST;
}

/* The record that all of them are; made when nobody is known. */
static int whose(struct work *w, struct claim c[ALIAS_KINDS], struct member **m_r, bool *new_r)
{
	struct member *m = c[ALIAS_MEMBER].found;
	struct str ext = c[ALIAS_MEMBER].value;

	*new_r = false;
	for (unsigned k = 0; !m && !ext.n && k < ALIAS_KINDS; k++)
		if (c[k].found && !may_join(c[k].found))
			m = c[k].found;
	for (unsigned k = 0; !m && k < ALIAS_KINDS; k++)
		if (c[k].found && may_join(c[k].found))
			m = c[k].found;
	if (m) {
		*m_r = m;
		if (!ext.n || m->ext.n)
			return 0;
		m->ext = arena_str(w->arena, ext); /* the customer became a member */
		return member_save(w, m);
	}
	*new_r = true;
	return member_create(
		w, ext, c[ALIAS_CARD].value.n ? MEMBER_CUSTOMER : MEMBER_ANONYMOUS, m_r);
}

/* What the claims say of the member that they are. */
static int claims_take(
	struct work *w, struct member *m, struct claim c[ALIAS_KINDS], bool is_new, wall_t since)
{
	for (unsigned k = 0; k < ALIAS_KINDS; k++) {
		struct member *other = c[k].found ? member_now(c[k].found) : NULL;

		if (other && other != m && may_join(other)) {
			if (member_merge(w, m, other) < 0)
				return -1;
			other = m;
		}
		if (!c[k].value.n || other == m)
			continue;
		if (is_alias(k) && (!other || c[k].hands_over)) {
			if (member_alias(w, m, (enum alias_kind)k, c[k].value) < 0)
				return -1;
		} else if (is_new && !other && (k == ALIAS_PHONE || k == ALIAS_EMAIL)) {
			if (contact_put(w, m, k == ALIAS_PHONE ? CONTACT_PHONE : CONTACT_EMAIL,
				    c[k].value, STR_NONE, 0, since) < 0)
				return -1;
		}
	}
	return 0;
}

static int claims_find(struct work *w, struct claim c[ALIAS_KINDS], bool *any_r, bool *known_r)
{
	*any_r = *known_r = false;
	for (unsigned k = 0; k < ALIAS_KINDS; k++) {
		*any_r |= c[k].value.n > 0;
		if (member_find(w, (enum alias_kind)k, c[k].value, &c[k].found) < 0)
			return -1;
		*known_r |= c[k].found &&
			    (k == ALIAS_MEMBER || !c[ALIAS_MEMBER].value.n || may_join(c[k].found));
	}
	return 0;
}

int member_of_event(struct work *w, const struct event *e, struct member **m_r)
{
	struct claim c[ALIAS_KINDS];
	bool any, known, is_new;

	*m_r = NULL;
	claims_of(e, c);
	if (claims_find(w, c, &any, &known) < 0)
		return -1;
	if (!any)
		return 0;
	if (whose(w, c, m_r, &is_new) < 0 || claims_take(w, *m_r, c, is_new, e->occurred) < 0)
		return -1;
	return 1;
}

int member_of_names(struct work *w, const struct str names[ALIAS_KINDS], struct member **m_r)
{
	struct claim c[ALIAS_KINDS];
	bool any, known, is_new;

	*m_r = NULL;
	for (unsigned k = 0; k < ALIAS_KINDS; k++)
		c[k] = (struct claim){ .value = names[k], .hands_over = true };
	if (claims_find(w, c, &any, &known) < 0)
		return -1;
	if (!known)
		return 0;
	if (whose(w, c, m_r, &is_new) < 0 || claims_take(w, *m_r, c, false, w->now) < 0)
		return -1;
	return 1;
}

/* ---- merging ---- */

/* Statements with the record that stays and the one that goes as parameters 1 and 2. */
static int move(struct work *w, enum st which, const struct member *to, const struct member *from)
{
	struct sql_stmt *st = db_st(w->db, which);

	if (!st)
		return work_failed(w, "merging members");
	sql_int(st, 1, (int64_t)to->id);
	sql_int(st, 2, (int64_t)from->id);
	return sql_run(st) < 0 ? work_failed(w, "merging members") : 0;
}

static int drop(struct work *w, enum st which, uint64_t id)
{
	struct sql_stmt *st = db_st(w->db, which);

	if (!st)
		return work_failed(w, "removing what a member had");
	sql_int(st, 1, (int64_t)id);
	return sql_run(st) < 0 ? work_failed(w, "removing what a member had") : 0;
}

struct twin { /* a chain that both have */
	uint64_t offer;
	int64_t to_run, from_run, to_anchor, from_anchor;
};

/* The later of the two ends as if it had not been armed: its mark goes, and what waits of it. Where
 * what armed it disarms as well, it would have ended the earlier one: the fold decides. */
static int twin_ends(struct work *w, uint64_t member, uint64_t offer, int64_t run)
{
	struct sql_stmt *st = db_st(w->db, ST_MARK_DISARMS);
	uint64_t msg[CHAIN_STEPS_MOST];
	unsigned n = 0;
	int got;

	if (!st)
		return work_failed(w, "merging members");
	sql_int(st, 1, (int64_t)member);
	sql_int(st, 2, (int64_t)offer);
	sql_int(st, 3, run);
	got = sql_step(st);
	sql_reset(st);
	if (got)
		return got < 0 ? work_failed(w, "merging members") : 0;
	st = db_st(w->db, ST_RUN_WAITING);
	if (!st)
		return work_failed(w, "merging members");
	sql_int(st, 1, (int64_t)member);
	sql_int(st, 2, (int64_t)offer);
	sql_int(st, 3, run);
	while ((got = sql_step(st)) == 1)
		if (n < CHAIN_STEPS_MOST)
			msg[n++] = (uint64_t)sql_col(st, 0);
	if (got < 0)
		return work_failed(w, "merging members");
	for (unsigned i = 0; i < n; i++)
		if (work_deed(w, DEED_CANCEL, msg[i], STR_NONE, STR_NONE) < 0)
			return -1;
	st = db_st(w->db, ST_MARK_DROP);
	if (!st)
		return work_failed(w, "merging members");
	sql_int(st, 1, (int64_t)member);
	sql_int(st, 2, (int64_t)offer);
	sql_int(st, 3, run);
	return sql_run(st) < 0 ? work_failed(w, "merging members") : 0;
}

/* One chain survives per offer and key, with the earlier anchor. */
static int chains_merge(struct work *w, const struct member *to, const struct member *from)
{
	struct sql_stmt *st = db_st(w->db, ST_CHAIN_TWINS);
	struct twin *v = NULL;
	size_t n = 0, cap = 0;
	int got;

	if (!st)
		return work_failed(w, "merging members");
	sql_int(st, 1, (int64_t)to->id);
	sql_int(st, 2, (int64_t)from->id);
	while ((got = sql_step(st)) == 1) {
		if (n == cap) {
			struct twin *more = arena_alloc(w->arena, (cap + 8) * 2 * sizeof *more);

			if (n)
				memcpy(more, v, n * sizeof *v);
			v = more;
			cap = (cap + 8) * 2;
		}
		v[n++] = (struct twin){ (uint64_t)sql_col(st, 0), sql_col(st, 1), sql_col(st, 2),
			sql_col(st, 3), sql_col(st, 4) };
	}
	if (got < 0)
		return work_failed(w, "merging members");
	for (size_t i = 0; i < n; i++) {
		bool keep_to = v[i].to_anchor <= v[i].from_anchor;

		if (twin_ends(w, keep_to ? from->id : to->id, v[i].offer,
			    keep_to ? v[i].from_run : v[i].to_run) < 0)
			return -1;
	}
	/* the earlier row stays where both have one; marks and what fired are of both */
	if (move(w, ST_MERGE_CHAIN_LATER, to, from) < 0 || move(w, ST_MERGE_CHAIN, to, from) < 0 ||
		move(w, ST_MERGE_MARK, to, from) < 0 || move(w, ST_MERGE_FIRED, to, from) < 0 ||
		drop(w, ST_DROP_CHAIN, from->id) < 0 || drop(w, ST_DROP_FIRED, from->id) < 0)
		return -1;
	return 0;
}

static bool counts_members(const struct counter *c)
{
	return c->conf->per == SCOPE_PER_MEMBER || c->conf->per == SCOPE_PER_ACCOUNT;
}

static int counters_drop(struct work *w, uint64_t id, const char *what)
{
	for (size_t i = 0; w->rules && i < w->rules->counters_n; i++) {
		const struct counter *c = &w->rules->counters[i];
		struct sql_stmt *st;

		if (!counts_members(c))
			continue;
		st = db_st(w->db, ST_DROP_COUNTER);
		if (!st)
			return work_failed(w, what);
		sql_int(st, 1, c->number);
		sql_int(st, 2, (int64_t)id);
		if (sql_run(st) < 0)
			return work_failed(w, what);
	}
	return 0;
}

static int counters_merge(struct work *w, const struct member *to, const struct member *from)
{
	if (move(w, ST_MERGE_COUNTED, to, from) < 0)
		return -1;
	for (size_t i = 0; w->rules && i < w->rules->counters_n; i++) {
		const struct counter *c = &w->rules->counters[i];
		struct sql_stmt *st;

		if (!counts_members(c))
			continue;
		st = db_st(w->db, ST_MERGE_COUNTER);
		if (!st)
			return work_failed(w, "merging members");
		sql_int(st, 1, c->number);
		sql_int(st, 2, (int64_t)to->id);
		sql_int(st, 3, (int64_t)from->id);
		if (sql_run(st) < 0)
			return work_failed(w, "merging members");
	}
	return counters_drop(w, from->id, "merging members");
}

static int tasks_merge(struct work *w, const struct member *to, const struct member *from)
{
	for (size_t i = 0; w->rules && i < w->rules->tasks_n; i++) {
		struct sql_stmt *st = db_st(w->db, ST_MERGE_TASK_DONE);

		if (!st)
			return work_failed(w, "merging members");
		sql_int(st, 1, (int64_t)to->id);
		sql_int(st, 2, w->rules->tasks[i].number);
		sql_int(st, 3, (int64_t)from->id);
		if (sql_run(st) < 0)
			return work_failed(w, "merging members");
		st = db_st(w->db, ST_DROP_TASK_DONE);
		if (!st)
			return work_failed(w, "merging members");
		sql_int(st, 1, w->rules->tasks[i].number);
		sql_int(st, 2, (int64_t)from->id);
		if (sql_run(st) < 0)
			return work_failed(w, "merging members");
	}
	return 0;
}

static void fill(struct str *to, struct str from)
{
	if (!to->n)
		*to = from;
}

static int profile_merge(struct work *w, struct member *to, struct member *from)
{
	size_t n = w->rules ? w->rules->attributes_n : 0;
	bool changed = false;

	fill(&to->first_name, from->first_name);
	fill(&to->last_name, from->last_name);
	fill(&to->lang, from->lang);
	if (!to->zone_known && from->zone_known) {
		to->zone = from->zone;
		to->zone_known = true;
	}
	if (!to->birthday) {
		to->birthday = from->birthday;
		to->born = from->born;
		to->born_known = from->born_known;
	}
	if (from->registered && (!to->registered || from->registered < to->registered))
		to->registered = from->registered;
	if (from->created < to->created)
		to->created = from->created;
	if (to->state < MEMBER_REGISTERED && from->state > to->state &&
		from->state <= MEMBER_REGISTERED)
		to->state = from->state;
	/* statuses and attributes that only the other had */
	(void)member_status(w, from, "");
	for (unsigned i = 0; i < from->status_n; i++)
		if (!member_status(w, to, arena_cstr(w->arena, from->status[i].system)).n &&
			member_set_status(w, to, from->status[i].system, from->status[i].value) < 0)
			return -1;
	if (member_save(w, to) < 0 || member_attrs(w, to) < 0 || member_attrs(w, from) < 0)
		return -1;
	for (size_t i = 0; to->attrs_loaded && from->attrs_loaded && i < n; i++)
		if (to->attrs[i].type == VALUE_MISSING && from->attrs[i].type != VALUE_MISSING) {
			to->attrs[i] = from->attrs[i];
			changed = true;
		}
	if (changed && member_set_attrs(w, to) < 0)
		return -1;
	return w->db->attrs && attrs_erase(w->db->attrs, from->id) < 0
		       ? work_failed(w, "merging members")
		       : 0;
}

int member_merge(struct work *w, struct member *to, struct member *from)
{
	static const enum st moves[] = { ST_MERGE_ALIAS, ST_MERGE_CONTACT_FLAGS, ST_MERGE_CONTACT,
		ST_MERGE_REFUSED, ST_MERGE_CONSENT, ST_MERGE_CONSENT_LOG, ST_MERGE_PAST,
		ST_MERGE_SENT, ST_MERGE_TOUCH, ST_MERGE_SAID };
	static const enum st drops[] = { ST_DROP_CONTACT, ST_DROP_CONSENT, ST_DROP_TOUCH,
		ST_DROP_SAID };
	struct hindsight *seen;

	to = member_now(to);
	from = member_now(from);
	if (to == from)
		return 0;
	if (hindsight_merge(w, to, from, &seen) < 0 || profile_merge(w, to, from) < 0 ||
		chains_merge(w, to, from) < 0 || counters_merge(w, to, from) < 0 ||
		tasks_merge(w, to, from) < 0 || ledger_merge(w, to, from) < 0)
		return -1;
	/* a row that one has refused holds for the cells of the other */
	if (move(w, ST_MERGE_REFUSED_ROW, to, from) < 0 ||
		move(w, ST_MERGE_REFUSED_ROW, from, to) < 0)
		return -1;
	for (size_t i = 0; i < sizeof moves / sizeof *moves; i++)
		if (move(w, moves[i], to, from) < 0)
			return -1;
	for (size_t i = 0; i < sizeof drops / sizeof *drops; i++)
		if (drop(w, drops[i], from->id) < 0)
			return -1;
	/* its own name leads to the one that stays, and nothing personal is left */
	if (move(w, ST_MERGED_INTO, to, from) < 0)
		return -1;
	from->into = to;
	to->contacts_loaded = to->consent_loaded = false;
	return member_withdraw_refused(w, to) < 0 || hindsight_end(w, to, seen) < 0
		       ? -1
		       : chain_refold(w, to);
}

/* ---- leaving ---- */

int member_erase(struct work *w, struct member *m, struct str cause)
{
	static const enum st drops[] = { ST_ERASE_PROOF, ST_DROP_CHAIN, ST_DROP_MARK, ST_DROP_FIRED,
		ST_DROP_CONTACT, ST_DROP_ALIAS, ST_DROP_CONSENT, ST_DROP_TOUCH, ST_DROP_COUNTED,
		ST_DROP_SAID };

	struct str names;

	m = member_now(m);
	w->chains_of = 0; /* what was looked at of them is not there any more */
	(void)cause;      /* the event says it; what it said is erased with the rest */
	if (member_withdraw_all(w, m, NULL) < 0 || leaving_names(w, m, &names) < 0)
		return -1;
	for (size_t i = 0; i < sizeof drops / sizeof *drops; i++)
		if (drop(w, drops[i], m->id) < 0)
			return -1;
	if (counters_drop(w, m->id, "erasing a member") < 0)
		return -1;
	if (ledger_erase(w, m->id) < 0 || (w->db->attrs && attrs_erase(w->db->attrs, m->id) < 0))
		return work_failed(w, "erasing a member");
	m->ext = m->first_name = m->last_name = m->lang = m->statuses = STR_NONE;
	m->birthday = 0;
	m->born_known = m->zone_known = false;
	m->born = 0;
	m->registered = 0;
	m->state = MEMBER_LEFT;
	m->contacts_loaded = m->attrs_loaded = m->consent_loaded = m->status_loaded = false;
	if (member_save(w, m) < 0)
		return -1;
	/* those merged into it lead nowhere any more */
	return drop(w, ST_ERASE_MERGED, m->id) < 0 ? -1 : leaving_begin(w, m, names);
}
