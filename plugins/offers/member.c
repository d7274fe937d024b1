/* Members as rows: found, made, written, and what filters and templates ask of them. See member.h.
 *
 * A unit keeps each member that it loaded in a list; units with very many (tasks, imports) take a
 * fresh unit per slice. Who is who is identity.c, addresses are contact.c, agreement is consent.c.
 */
#include "plugins/offers/member.h"
#include "gateway/http/json.h"
#include "plugins/offers/attrs.h"

static const char *const state_words[] = { "anonymous", "customer", "registered", "blocked",
	"left" };

const char *member_state_word(enum member_state s)
{
	return state_words[s];
}

bool member_state_parse(struct str word, enum member_state *s_r)
{
	for (unsigned i = 0; i <= MEMBER_LEFT; i++)
		if (str_is(word, state_words[i])) {
			*s_r = (enum member_state)i;
			return true;
		}
	return false;
}

/* ---- loading ---- */

struct member *member_now(struct member *m)
{
	while (m->into)
		m = m->into;
	return m;
}

static struct member *kept(struct work *w, uint64_t id)
{
	for (struct member *m = w->members; m; m = m->next)
		if (m->id == id)
			return member_now(m);
	return NULL;
}

static struct str column(struct work *w, struct sql_stmt *st, int i)
{
	struct str v = sql_col_str(st, i);

	return v.n ? arena_str(w->arena, v) : STR_NONE;
}

static struct member *of_row(struct work *w, struct sql_stmt *st)
{
	struct member *m = arena_new_of(w->arena, struct member);
	struct str zone;

	m->id = (uint64_t)sql_col(st, 0);
	m->ext = column(w, st, 1);
	m->state = (enum member_state)sql_col(st, 2);
	m->first_name = column(w, st, 4);
	m->last_name = column(w, st, 5);
	m->birthday = (int)sql_col(st, 6);
	m->born_known = !sql_col_null(st, 7);
	m->born = sql_col(st, 7);
	m->lang = column(w, st, 8);
	zone = sql_col_str(st, 9);
	m->zone = zone.n ? zone_find(zone, NULL) : NULL;
	m->zone_known = m->zone != NULL;
	if (!m->zone)
		m->zone = w->rules && w->rules->zone ? w->rules->zone : zone_utc();
	m->statuses = column(w, st, 10);
	m->registered = sql_col(st, 11);
	m->created = sql_col(st, 12);
	m->updated = sql_col(st, 13);
	m->next = w->members;
	w->members = m;
	return m;
}

/* The row that st stands on or before; follows merges. */
static int take_row(struct work *w, struct sql_stmt *st, struct member **m_r)
{
	for (unsigned hops = 0; st && hops < 1000; hops++) {
		int got = sql_step(st);
		uint64_t into;

		if (got < 0)
			break;
		if (!got)
			return 0;
		into = (uint64_t)sql_col(st, 3);
		if (!into) {
			*m_r = kept(w, (uint64_t)sql_col(st, 0));
			if (!*m_r)
				*m_r = of_row(w, st);
			sql_reset(st);
			return 1;
		}
		sql_reset(st);
		*m_r = kept(w, into);
		if (*m_r)
			return 1;
		st = db_st(w->db, ST_MEMBER_BY_ID);
		if (st)
			sql_int(st, 1, (int64_t)into);
	}
	return work_failed(w, "looking up a member");
}

int member_load(struct work *w, uint64_t id, struct member **m_r)
{
	struct sql_stmt *st;

	*m_r = kept(w, id);
	if (*m_r)
		return 1;
	st = db_st(w->db, ST_MEMBER_BY_ID);
	if (st)
		sql_int(st, 1, (int64_t)id);
	return take_row(w, st, m_r);
}

/* Proved before not proved, valid before dead, then the latest, then the elder record. */
static int owner_of(struct work *w, enum contact_kind kind, struct str value, uint64_t *id_r)
{
	struct sql_stmt *st = db_st(w->db, ST_CONTACT_OWNERS);
	int got = -1, best_rank = -1;
	wall_t best_since = 0;

	*id_r = 0;
	if (!st)
		return work_failed(w, "looking up an address");
	sql_text(st, 1, value);
	sql_int(st, 2, kind);
	while ((got = sql_step(st)) == 1) {
		uint64_t id = (uint64_t)sql_col(st, 0);
		int64_t flags = sql_col(st, 1);
		wall_t since = sql_col(st, 2);
		int rank = (flags & CONTACT_VERIFIED ? 2 : 0) + (flags & CONTACT_INVALID ? 0 : 1);

		if (rank < best_rank || (rank == best_rank && since < best_since) ||
			(rank == best_rank && since == best_since && id > *id_r))
			continue;
		best_rank = rank;
		best_since = since;
		*id_r = id;
	}
	if (got < 0)
		return work_failed(w, "looking up an address");
	return *id_r != 0;
}

int member_find(struct work *w, enum alias_kind kind, struct str value, struct member **m_r)
{
	struct sql_stmt *st;
	uint64_t id = 0;
	int got;

	*m_r = NULL;
	if (!value.n)
		return 0;
	if (kind == ALIAS_MEMBER) {
		st = db_st(w->db, ST_MEMBER_BY_EXT);
		if (st)
			sql_text(st, 1, value);
		return take_row(w, st, m_r);
	}
	if (kind == ALIAS_PHONE || kind == ALIAS_EMAIL) {
		got = owner_of(w, kind == ALIAS_PHONE ? CONTACT_PHONE : CONTACT_EMAIL, value, &id);
		return got == 1 ? member_load(w, id, m_r) : got;
	}
	st = db_st(w->db, ST_ALIAS_GET);
	if (!st)
		return work_failed(w, "looking up a member");
	sql_int(st, 1, kind);
	sql_text(st, 2, value);
	got = sql_step(st);
	if (got < 0)
		return work_failed(w, "looking up a member");
	if (!got)
		return 0;
	id = (uint64_t)sql_col(st, 0);
	sql_reset(st);
	return member_load(w, id, m_r);
}

/* ---- writing ---- */

/* The columns of of_member behind state, as parameters from `at`. */
static void bind_columns(struct sql_stmt *st, int at, const struct member *m)
{
	sql_text_or_null(st, at, m->first_name);
	sql_text_or_null(st, at + 1, m->last_name);
	sql_int(st, at + 2, m->birthday);
	if (m->born_known)
		sql_int(st, at + 3, m->born);
	else
		sql_null(st, at + 3);
	sql_text_or_null(st, at + 4, m->lang);
	sql_text_or_null(st, at + 5, m->zone_known ? str_of(zone_name(m->zone)) : STR_NONE);
	sql_text_or_null(st, at + 6, m->statuses);
	if (m->registered)
		sql_int(st, at + 7, m->registered);
	else
		sql_null(st, at + 7);
	sql_int(st, at + 8, m->created);
	sql_int(st, at + 9, m->updated);
}

/* Tasks go by zones. */
static int zone_note(struct work *w, const struct member *m)
{
	struct sql_stmt *st;

	if (!m->zone_known || (w->members && w->members->fresh && w->members->zone_known &&
				      w->members->zone == m->zone))
		return 0;
	st = db_st(w->db, ST_ZONE_ADD);
	if (!st)
		return -1;
	sql_text(st, 1, str_of(zone_name(m->zone)));
	return sql_run(st);
}

/* Numbers are not given by RETURNING, which would cost a journal per row. */
int member_insert(struct work *w, struct member *m)
{
	struct sql_stmt *st = db_st(w->db, ST_MEMBER_LAST);

	if (!st || sql_step(st) != 1)
		return work_failed(w, "making a member");
	m->id = (uint64_t)sql_col(st, 0) + 1;
	sql_reset(st);
	st = db_st(w->db, ST_MEMBER_ADD);
	if (!st)
		return work_failed(w, "making a member");
	m->created = m->updated = w->now;
	sql_text_or_null(st, 1, m->ext);
	sql_int(st, 2, m->state);
	bind_columns(st, 3, m);
	sql_int(st, 13, (int64_t)m->id);
	if (sql_run(st) < 0 || zone_note(w, m) < 0)
		return work_failed(w, "making a member");
	/* there is nothing of it to be loaded */
	m->fresh = m->contacts_loaded = m->consent_loaded = m->status_loaded = true;
	m->next = w->members;
	w->members = m;
	return 0;
}

struct member *member_blank(struct work *w, struct str ext, enum member_state state)
{
	struct member *m = arena_new_of(w->arena, struct member);

	m->ext = ext.n ? arena_str(w->arena, ext) : STR_NONE;
	m->state = state;
	m->first_name = m->last_name = m->lang = m->statuses = STR_NONE;
	m->zone = w->rules && w->rules->zone ? w->rules->zone : zone_utc();
	return m;
}

int member_create(struct work *w, struct str ext, enum member_state state, struct member **m_r)
{
	*m_r = member_blank(w, ext, state);
	return member_insert(w, *m_r);
}

int member_save(struct work *w, struct member *m)
{
	struct sql_stmt *st = db_st(w->db, ST_MEMBER_SAVE);

	if (!st)
		return work_failed(w, "writing a member");
	m->updated = w->now;
	sql_text_or_null(st, 1, m->ext);
	sql_int(st, 2, m->state);
	bind_columns(st, 3, m);
	sql_int(st, 13, (int64_t)m->id);
	return sql_run(st) < 0 ? work_failed(w, "writing a member") : 0;
}

int member_alias(struct work *w, struct member *m, enum alias_kind kind, struct str value)
{
	struct sql_stmt *st = db_st(w->db, m->fresh ? ST_ALIAS_ADD : ST_ALIAS_SET);
	int r;

	if (!st)
		return work_failed(w, "writing a member's card or device");
	sql_int(st, 1, kind);
	sql_text(st, 2, value);
	sql_int(st, 3, (int64_t)m->id);
	sql_int(st, 4, w->now);
	r = sql_run(st);
	if (r == 0 && m->fresh && !sql_changed(w->db->sql)) { /* somebody had it */
		st = db_st(w->db, ST_ALIAS_SET);
		if (!st)
			return work_failed(w, "writing a member's card or device");
		sql_int(st, 1, kind);
		sql_text(st, 2, value);
		sql_int(st, 3, (int64_t)m->id);
		sql_int(st, 4, w->now);
		r = sql_run(st);
	}
	return r < 0 ? work_failed(w, "writing a member's card or device") : 0;
}

/* ---- statuses ---- */

static void statuses_read(struct work *w, struct member *m)
{
	struct json_faults f = { 0 };
	json_t *o, *v;
	const char *key;
	size_t n = 0;

	if (m->status_loaded)
		return;
	m->status_loaded = true;
	m->status_n = 0;
	o = m->statuses.n ? json_read(m->statuses, &f) : NULL;
	if (json_is_object(o)) {
		m->status = arena_alloc(w->arena, (json_object_size(o) + 1) * sizeof *m->status);
		json_object_foreach(o, key, v) if (json_is_string(v)) m->status[n++] =
			(struct member_status){
				.system = arena_str(w->arena, str_of(key)),
				.value = arena_str(w->arena, json_str(v)),
			};
		m->status_n = (unsigned)n;
	}
	json_decref(o);
}

/* member_status() reads what was parsed already or not at all, so it needs a unit. */
struct str member_status(struct work *w, const struct member *m, const char *system)
{
	struct member *known = kept(w, m->id);

	if (!known)
		return STR_NONE;
	statuses_read(w, known);
	for (unsigned i = 0; i < known->status_n; i++)
		if (str_is(known->status[i].system, system))
			return known->status[i].value;
	return STR_NONE;
}

bool member_status_put(struct work *w, struct member *m, struct str system, struct str value)
{
	struct member_status *v;
	struct buf b = BUF_INIT;
	unsigned at = 0;

	statuses_read(w, m);
	while (at < m->status_n && !str_eq(m->status[at].system, system))
		at++;
	if (at < m->status_n ? str_eq(m->status[at].value, value) : !value.n)
		return false;
	v = arena_alloc(w->arena, (m->status_n + 1) * sizeof *v);
	if (m->status_n)
		memcpy(v, m->status, m->status_n * sizeof *v);
	m->status = v;
	if (at == m->status_n)
		v[m->status_n++].system = arena_str(w->arena, system);
	v[at].value = arena_str(w->arena, value);
	if (!value.n) /* none any more */
		v[at] = v[--m->status_n];
	for (unsigned i = 0; i < m->status_n; i++) {
		buf_char(&b, i ? ',' : '{');
		buf_json(&b, v[i].system);
		buf_char(&b, ':');
		buf_json(&b, v[i].value);
	}
	if (m->status_n)
		buf_char(&b, '}');
	m->statuses = arena_str(w->arena, buf_view(&b));
	buf_free(&b);
	return true;
}

int member_set_status(struct work *w, struct member *m, struct str system, struct str value)
{
	if (!member_status_put(w, m, system, value))
		return 0;
	return member_save(w, m) < 0 ? -1 : 1;
}

/* ---- declared attributes ---- */

int member_attrs(struct work *w, struct member *m)
{
	size_t n = w->rules ? w->rules->attributes_n : 0;

	if (m->attrs_loaded || !n || !w->db->attrs)
		return 0;
	m->attrs = arena_alloc(w->arena, n * sizeof *m->attrs);
	if (attrs_load(w->db->attrs, m->id, w->arena, m->attrs) < 0)
		return work_failed(w, "reading a member's attributes");
	m->attrs_loaded = true;
	return 0;
}

int member_set_attrs(struct work *w, struct member *m)
{
	if (!m->attrs_loaded)
		return 0;
	if ((m->fresh ? attrs_add(w->db->attrs, m->id, m->attrs)
		      : attrs_save(w->db->attrs, m->id, m->attrs)) < 0)
		return work_failed(w, "writing a member's attributes");
	return 0;
}

/* ---- values ---- */

enum member_slot {
#define MEMBER(name, type, element, column, doc) MEMBER_SLOT_##name,
#include "plugins/offers/members.def"
#undef MEMBER
	MEMBER_SLOTS
};

static struct value text_or_none(struct str s)
{
	return s.n ? value_text(s) : VALUE_NONE;
}

const char *member_first_system(const struct work *w)
{
	const struct rules_conf *c = w->rules ? w->rules->conf : NULL;

	return c && c->members.statuses_n ? c->members.statuses[0] : "status";
}

static struct value all_statuses(struct work *w, struct member *m)
{
	struct value *v;

	statuses_read(w, m);
	v = arena_alloc(w->arena, (m->status_n + 1) * sizeof *v);
	for (unsigned i = 0; i < m->status_n; i++)
		v[i] = value_text(str_of(arena_printf(w->arena, "%.*s:%.*s",
			STR_ARG(m->status[i].system), STR_ARG(m->status[i].value))));
	return (struct value){ .type = VALUE_LIST,
		.of = m->status_n ? VALUE_TEXT : VALUE_MISSING,
		.list = { .v = v, .n = m->status_n } };
}

static struct value full_name(struct work *w, const struct member *m)
{
	if (!m->first_name.n || !m->last_name.n)
		return text_or_none(m->first_name.n ? m->first_name : m->last_name);
	return value_text(str_of(arena_printf(
		w->arena, "%.*s %.*s", STR_ARG(m->first_name), STR_ARG(m->last_name))));
}

struct value member_value(struct work *w, struct member *m, unsigned slot)
{
	if (slot >= SLOT_ATTR && slot < SLOT_EVENT) {
		size_t n = slot - SLOT_ATTR;

		if (!w->rules || n >= w->rules->attributes_n || member_attrs(w, m) < 0 ||
			!m->attrs_loaded)
			return VALUE_NONE;
		return m->attrs[n];
	}
	switch ((enum member_slot)(slot - SLOT_MEMBER)) {
	case MEMBER_SLOT_id:
		return text_or_none(m->ext);
	case MEMBER_SLOT_state:
		return value_text(str_of(member_state_word(m->state)));
	case MEMBER_SLOT_status:
		return text_or_none(member_status(w, m, member_first_system(w)));
	case MEMBER_SLOT_statuses:
		return all_statuses(w, m);
	case MEMBER_SLOT_first_name:
		return text_or_none(m->first_name);
	case MEMBER_SLOT_last_name:
		return text_or_none(m->last_name);
	case MEMBER_SLOT_full_name:
		return full_name(w, m);
	case MEMBER_SLOT_birthday:
		return m->born_known ? value_date(m->born) : VALUE_NONE;
	case MEMBER_SLOT_language:
		return text_or_none(m->lang);
	case MEMBER_SLOT_zone:
		return m->zone_known ? value_text(str_of(zone_name(m->zone))) : VALUE_NONE;
	case MEMBER_SLOT_registered:
		return m->registered ? value_datetime(m->registered) : VALUE_NONE;
	case MEMBER_SLOT_created:
		return value_datetime(m->created);
	case MEMBER_SLOTS:
		break;
	}
	return VALUE_NONE;
}
