/* The ledger: lots and balances as rows. See lot.h. What events say of them is lot_event.c.
 *
 * A lot is scheduled, active, then expired or void; a balance counts the rest of the active ones,
 * less what was spent of no lot that is known. A change at a moment that the platform's last word
 * on the balance covers does not touch the balance again. All sums stay within WITHIN() of
 * statements.def.
 */
#include "plugins/offers/lot_intern.h"
#include "gateway/http/json.h"

#define AMOUNT_MOST 4000000000000000000ll

int64_t amount_within(int64_t v)
{
	return v > AMOUNT_MOST ? AMOUNT_MOST : v < -AMOUNT_MOST ? -AMOUNT_MOST : v;
}

uint32_t currency_number(struct work *w, struct str code, bool create)
{
	return name_number(w->db, NAME_CURRENCY, code, create);
}

bool currency_code_of(struct work *w, uint32_t number, char *out, size_t cap)
{
	return name_of(w->db, NAME_CURRENCY, number, out, cap);
}

/* ---- rows ---- */
static void lot_of_row(struct work *w, struct sql_stmt *st, struct lot *l)
{
	*l = (struct lot){ .id = (uint64_t)sql_col(st, 0),
		.ext = arena_str(w->arena, sql_col_str(st, 1)),
		.member = (uint64_t)sql_col(st, 2),
		.currency = (uint32_t)sql_col(st, 3),
		.amount = sql_col(st, 4),
		.rest = sql_col(st, 5),
		.activates = sql_col(st, 6),
		.expires = sql_col(st, 7),
		.state = (enum lot_state)sql_col(st, 8),
		.at = sql_col(st, 9),
		.receipt = (uint64_t)sql_col(st, 10),
		.ours = sql_col(st, 11) };
}

int lots_read(struct work *w, struct sql_stmt *st, struct lot **v_r, size_t *n_r)
{
	size_t n = 0, cap = 8;
	struct lot *v = arena_alloc(w->arena, cap * sizeof *v);
	int got;

	while ((got = sql_step(st)) == 1) {
		if (n == cap) {
			struct lot *more = arena_alloc(w->arena, 2 * cap * sizeof *v);

			memcpy(more, v, n * sizeof *v);
			v = more;
			cap *= 2;
		}
		lot_of_row(w, st, &v[n++]);
	}
	*v_r = v;
	*n_r = n;
	return got < 0 ? work_failed(w, "bonus lots") : 0;
}

int lot_by_ext(struct work *w, struct str ext, struct lot *l)
{
	struct sql_stmt *st = db_st(w->db, ST_LOT_BY_EXT);
	int got;

	if (!st)
		return work_failed(w, "a bonus lot");
	sql_text(st, 1, ext);
	got = sql_step(st);
	if (got < 0)
		return work_failed(w, "a bonus lot");
	if (got)
		lot_of_row(w, st, l);
	sql_reset(st);
	return got;
}

static int run(struct work *w, struct sql_stmt *st, const char *what)
{
	return !st || sql_run(st) < 0 ? work_failed(w, what) : 0;
}

static int set_number(struct work *w, enum st which, int64_t v, uint64_t lot)
{
	struct sql_stmt *st = db_st(w->db, which);

	if (st) {
		sql_int(st, 1, v);
		sql_int(st, 2, (int64_t)lot);
	}
	return run(w, st, "a bonus lot");
}

int balance_add(struct work *w, uint64_t member, uint32_t currency, int64_t delta, wall_t when)
{
	struct sql_stmt *st;

	if (delta == 0)
		return 0;
	st = db_st(w->db, ST_BALANCE_ADD);
	if (st) {
		sql_int(st, 1, (int64_t)member);
		sql_int(st, 2, currency);
		sql_int(st, 3, amount_within(delta));
		sql_int(st, 4, when);
	}
	return run(w, st, "a balance");
}

/* ---- states ---- */
static int lot_advance(struct work *w, const struct lot *l)
{
	enum lot_state now = l->expires && l->expires <= w->now ? LOT_EXPIRED : LOT_ACTIVE;

	if (set_number(w, ST_LOT_STATE, now, l->id))
		return -1;
	if (l->state == LOT_SCHEDULED)
		return now == LOT_ACTIVE
			       ? balance_add(w, l->member, l->currency, l->rest, l->activates)
			       : 0;
	return balance_add(w, l->member, l->currency, -l->rest, l->expires);
}

int ledger_settle(struct work *w, uint64_t member)
{
	struct sql_stmt *st = db_st(w->db, ST_LOTS_DUE_OF);
	struct lot *v;
	size_t n;

	if (!st)
		return work_failed(w, "bonus lots");
	sql_int(st, 1, (int64_t)member);
	sql_int(st, 2, w->now);
	if (lots_read(w, st, &v, &n))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (lot_advance(w, &v[i]))
			return -1;
	return 0;
}

int ledger_turns(struct work *w, uint64_t member, wall_t *next_r)
{
	struct sql_stmt *st = db_st(w->db, ST_LOTS_TURN);

	if (!st)
		return work_failed(w, "bonus lots");
	sql_int(st, 1, (int64_t)member);
	if (sql_step(st) != 1)
		return work_failed(w, "bonus lots");
	*next_r = sql_col_null(st, 0) ? INT64_MAX : sql_col(st, 0);
	sql_reset(st);
	return 0;
}

int lot_void(struct work *w, const struct lot *l, wall_t when)
{
	if (l->state >= LOT_VOID || (l->state == LOT_EXPIRED && l->expires <= when))
		return 0;
	if (set_number(w, ST_LOT_VOID, when, l->id))
		return -1;
	return l->state == LOT_ACTIVE ? balance_add(w, l->member, l->currency, -l->rest, when) : 0;
}

/* Lots of who is gone past stay due: they are looked at once, and those behind them. */
static int sweep(
	struct work *w, enum st which, struct str zone, unsigned *left, mono_t until, bool *more)
{
	enum { AT_A_TIME = 256 };
	wall_t past = INT64_MIN;
	uint64_t of = 0;
	bool any = true;
	struct lot *v;
	size_t n = 1;

	for (unsigned asked = 1; n == asked;) {
		struct sql_stmt *st = db_st(w->db, which);

		if (*left == 0 || (any && until && clock_mono() >= until)) {
			*more = true;
			return 0;
		}
		if (!st)
			return work_failed(w, "bonus lots");
		asked = *left < AT_A_TIME ? *left : AT_A_TIME;
		sql_text(st, 1, zone);
		sql_int(st, 2, w->now);
		sql_int(st, 3, past);
		sql_int(st, 4, (int64_t)of);
		sql_int(st, 5, asked);
		if (lots_read(w, st, &v, &n))
			return -1;
		any = false;
		for (size_t i = 0; i < n; i++) {
			if (!hand_take(w, HAND_POINTS, 0, "points", v[i].member)) {
				past = which == ST_LOTS_EXPIRING ? v[i].expires : v[i].activates;
				of = v[i].member;
				continue;
			}
			if (lot_advance(w, &v[i]))
				return -1;
			any = true;
			--*left;
		}
		hand_drop(w);
	}
	return 0;
}

int zones_read(struct work *w, struct str **v_r, size_t *n_r)
{
	struct sql_stmt *st = db_st(w->db, ST_ZONES);
	size_t n = 1, cap = 16;
	struct str *v = arena_alloc(w->arena, cap * sizeof *v);
	int got = 0;

	v[0] = STR_NONE; /* members whose zone is not known */
	while (st && (got = sql_step(st)) == 1) {
		if (n == cap) {
			struct str *more = arena_alloc(w->arena, 2 * cap * sizeof *v);

			memcpy(more, v, n * sizeof *v);
			v = more;
			cap *= 2;
		}
		v[n++] = arena_str(w->arena, sql_col_str(st, 0));
	}
	*v_r = v;
	*n_r = n;
	return !st || got < 0 ? work_failed(w, "time zones") : 0;
}

int ledger_sweep(struct work *w, unsigned most, mono_t until, bool *left_r)
{
	unsigned left = most ? most : UINT32_MAX;
	struct str *zones;
	size_t n;

	*left_r = false;
	if (zones_read(w, &zones, &n))
		return -1;
	for (size_t i = 0; i < n && !*left_r; i++)
		if (sweep(w, ST_LOTS_EXPIRING, zones[i], &left, until, left_r) ||
			(!*left_r && sweep(w, ST_LOTS_ACTIVATING, zones[i], &left, until, left_r)))
			return -1;
	return 0;
}

/* ---- telling and giving ---- */
static struct str zone_of(const struct member *m)
{
	return m->zone_known ? str_of(zone_name(m->zone)) : STR_NONE;
}

int lot_add(struct work *w, const struct member *m, const struct lot *l, struct str why)
{
	struct sql_stmt *st = db_st(w->db, ST_LOT_ADD);

	if (st) {
		sql_text_or_null(st, 1, l->ext);
		sql_int(st, 2, (int64_t)m->id);
		sql_int(st, 3, l->currency);
		sql_int(st, 4, l->amount);
		sql_int(st, 5, l->rest);
		sql_int(st, 6, l->activates);
		sql_int(st, 7, l->expires);
		sql_int(st, 8, l->state);
		sql_text_or_null(st, 9, why);
		sql_int(st, 10, l->at);
		sql_int(st, 11, (int64_t)l->receipt);
		sql_text(st, 12, zone_of(m));
	}
	return run(w, st, "a bonus lot");
}

int lot_save(struct work *w, const struct member *m, const struct lot *l)
{
	struct sql_stmt *st = db_st(w->db, ST_LOT_SAVE);

	if (st) {
		sql_int(st, 1, (int64_t)m->id);
		sql_int(st, 2, l->currency);
		sql_int(st, 3, l->amount);
		sql_int(st, 4, l->rest);
		sql_int(st, 5, l->activates);
		sql_int(st, 6, l->expires);
		sql_int(st, 7, l->state);
		sql_int(st, 8, l->at);
		sql_int(st, 9, (int64_t)l->receipt);
		sql_text(st, 10, zone_of(m));
		sql_int(st, 11, (int64_t)l->id);
	}
	return run(w, st, "a bonus lot");
}

static wall_t later(wall_t a, wall_t b)
{
	return a > b ? a : b;
}

int lot_await(struct work *w, const struct member *m, struct str ext, uint32_t currency, wall_t at,
	struct lot *l_r)
{
	*l_r = (struct lot){ .ext = ext,
		.member = m->id,
		.currency = currency,
		.activates = at,
		.state = LOT_AWAITED };
	if (lot_add(w, m, l_r, STR_NONE))
		return -1;
	l_r->id = (uint64_t)sql_inserted(w->db->sql);
	return 0;
}

/* What was taken of it is of a lot now, that may be there or not, and not of the balance alone. */
static int awaited_comes(
	struct work *w, const struct member *m, const struct lot *old, const struct lot *l)
{
	int64_t taken = -old->rest;

	if (old->member != m->id)
		return 0;
	/* of one that is void by the first word on it, nothing is known but that */
	if (taken > l->amount && (l->state != LOT_VOID || l->amount))
		taken = l->amount;
	return balance_add(w, m->id, l->currency, taken, old->activates);
}

/* When it changes its state next, where that is earlier. */
static void turn(const struct lot *l, wall_t *next)
{
	if (l->state == LOT_SCHEDULED && l->activates < *next)
		*next = l->activates;
	if (l->state < LOT_EXPIRED && l->expires && l->expires < *next)
		*next = l->expires;
}

int lot_put(struct work *w, const struct member *m, const struct lot_told *t)
{
	struct lot old = { 0 }, l;
	int there = lot_by_ext(w, t->ext, &old);

	if (there < 0)
		return -1;
	if (there && t->at < old.at)
		return 0;
	l = (struct lot){ .id = old.id,
		.ext = t->ext,
		.currency = t->currency,
		.amount = amount_within(t->amount < 0 ? 0 : t->amount),
		.activates = t->activates,
		.expires = t->expires,
		.at = t->at,
		.receipt = t->receipt ? t->receipt : old.receipt };
	l.rest = l.amount;
	if (there && (old.state != LOT_AWAITED || old.member == m->id))
		l.rest -= old.amount - old.rest; /* what was spent of it stays spent */
	if (l.rest < 0)
		l.rest = 0;
	l.state = t->is_void                         ? LOT_VOID
		  : l.expires && l.expires <= w->now ? LOT_EXPIRED
		  : l.activates > w->now             ? LOT_SCHEDULED
						     : LOT_ACTIVE;
	if (there && old.state == LOT_ACTIVE &&
		balance_add(w, old.member, old.currency, -old.rest, t->at))
		return -1;
	if (there && old.state == LOT_AWAITED && awaited_comes(w, m, &old, &l))
		return -1;
	if (there ? lot_save(w, m, &l) : lot_add(w, m, &l, STR_NONE))
		return -1;
	if (there && old.state < LOT_EXPIRED && l.state < LOT_EXPIRED && l.rest > 0 &&
		old.expires && (!l.expires || l.expires > old.expires) &&
		bonus_prolonged(w, m->id, &old, &l))
		return -1;
	if (w->lots_turn)
		turn(&l, w->lots_turn);
	if (l.state == LOT_ACTIVE)
		return balance_add(w, m->id, l.currency, l.rest, later(t->at, l.activates));
	return 0;
}

int balance_set(
	struct work *w, const struct member *m, uint32_t currency, int64_t amount, wall_t at)
{
	struct sql_stmt *st = db_st(w->db, ST_BALANCE_SET);
	int64_t moved = 0;
	int got;

	if (st) {
		sql_int(st, 1, (int64_t)m->id);
		sql_int(st, 2, currency);
		sql_int(st, 3, amount_within(amount));
		sql_int(st, 4, at);
	}
	if (run(w, st, "a balance"))
		return -1;
	/* lots that came and went between that word and now are not in it */
	if (!sql_changed(w->db->sql) || at >= w->now)
		return 0;
	st = db_st(w->db, ST_LOTS_MOVED_SINCE);
	if (!st)
		return work_failed(w, "bonus lots");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, currency);
	sql_int(st, 3, at);
	got = sql_step(st);
	if (got == 1 && !sql_col_null(st, 0))
		moved = sql_col(st, 0);
	sql_reset(st);
	return got < 0 ? work_failed(w, "bonus lots")
		       : balance_add(w, m->id, currency, moved, INT64_MAX);
}

/* What the platform is asked to do: the lot is to have the id that it has here, so that its own
 * event about it is known again. */
static int tell_upstream(struct work *w, const struct member *m, const struct accrual *a)
{
	char code[64] = "";
	struct buf amount = BUF_INIT, expires = BUF_INIT, body = BUF_INIT;
	json_t *o = json_object();
	int failed;

	currency_code_of(w, a->currency, code, sizeof code);
	decimal_put(&amount, a->amount);
	json_object_set_new(o, "command", json_string("bonus.accrue"));
	json_object_set_new(o, "key", json_stringn(a->key.p, a->key.n));
	json_object_set_new(o, "lot", json_stringn(a->key.p, a->key.n));
	json_object_set_new(o, "member", json_stringn(m->ext.p, m->ext.n));
	json_object_set_new(o, "currency", json_string(code));
	json_object_set_new(o, "amount", json_string(buf_cstr(&amount)));
	json_object_set_new(o, "reason", json_stringn(a->why.p, a->why.n));
	if (a->expires) {
		clock_put_rfc3339(&expires, a->expires);
		json_object_set_new(o, "expires_at", json_string(buf_cstr(&expires)));
	}
	json_write(&body, o);
	failed = work_deed(w, DEED_UPSTREAM, 0, a->key, buf_view(&body));
	json_decref(o);
	buf_free(&amount);
	buf_free(&expires);
	buf_free(&body);
	return failed;
}

int ledger_accrue(struct work *w, const struct member *m, const struct accrual *a)
{
	struct lot l;
	int there = lot_by_ext(w, a->key, &l);

	if (there < 0 || (there && l.state != LOT_AWAITED))
		return there < 0 ? -1 : 0;
	if (there) {
		struct lot_told t = { .ext = a->key,
			.currency = a->currency,
			.amount = a->amount,
			.activates = w->now,
			.expires = a->expires,
			.at = w->now };

		if (lot_put(w, m, &t))
			return -1;
		return w->rules->conf->ledger.master == 1 && tell_upstream(w, m, a) ? -1 : 1;
	}
	l = (struct lot){ .ext = a->key,
		.currency = a->currency,
		.amount = amount_within(a->amount),
		.rest = amount_within(a->amount),
		.activates = w->now,
		.expires = a->expires,
		.at = w->now,
		.state = LOT_ACTIVE };
	if (lot_add(w, m, &l, a->why) || balance_add(w, m->id, l.currency, l.rest, w->now))
		return -1;
	if (w->rules->conf->ledger.master == 1 && tell_upstream(w, m, a))
		return -1;
	return 1;
}

/* ---- asking ---- */
int balance_get(struct work *w, uint64_t member, uint32_t currency, int64_t *amount_r)
{
	struct sql_stmt *st = db_st(w->db, ST_BALANCE_GET);
	int there = 0, late = 0;
	wall_t at = 0;

	*amount_r = 0;
	if (st) {
		sql_int(st, 1, (int64_t)member);
		sql_int(st, 2, currency);
		there = sql_step(st);
		if (there == 1) {
			*amount_r = sql_col(st, 0);
			at = sql_col(st, 1);
			sql_reset(st);
		}
	}
	if (!st || there < 0 || !(st = db_st(w->db, ST_BALANCE_LATE)))
		return work_failed(w, "a balance");
	sql_int(st, 1, (int64_t)member);
	sql_int(st, 2, currency);
	sql_int(st, 3, w->now);
	sql_int(st, 4, at);
	late = sql_step(st);
	if (late < 0)
		return work_failed(w, "a balance");
	if (late && !sql_col_null(st, 0)) {
		*amount_r = amount_within(decimal_add(*amount_r, sql_col(st, 0)));
		there = 1;
	}
	sql_reset(st);
	return there;
}

int balances_get(struct work *w, uint64_t member, struct balance **v_r, size_t *n_r)
{
	enum { CURRENCIES_MOST = 64 };
	struct sql_stmt *st = db_st(w->db, ST_BALANCES_OF);
	struct balance *v = arena_alloc(w->arena, CURRENCIES_MOST * sizeof *v);
	size_t n = 0, kept = 0;
	int got = 0;

	if (st)
		sql_int(st, 1, (int64_t)member);
	while (st && n < CURRENCIES_MOST && (got = sql_step(st)) == 1)
		v[n++].currency = (uint32_t)sql_col(st, 0);
	if (!st || got < 0)
		return work_failed(w, "balances");
	sql_reset(st);
	for (size_t i = 0; i < n; i++) {
		got = balance_get(w, member, v[i].currency, &v[i].amount);
		if (got < 0)
			return -1;
		if (!got) /* lots that cannot be spent yet make no account */
			continue;
		currency_code_of(w, v[i].currency, v[i].code, sizeof v[i].code);
		v[kept++] = v[i];
	}
	*v_r = v;
	*n_r = kept;
	return 0;
}

static void put_amount(struct buf *b, const char *name, int64_t v)
{
	buf_printf(b, ",\"%s\":\"", name);
	decimal_put(b, v);
	buf_char(b, '"');
}

/* The sweep may be behind: what a row will say when it has come. */
static const char *state_word_of(const struct lot *l, wall_t now)
{
	if (l->state == LOT_VOID)
		return "void";
	if (l->state == LOT_EXPIRED || (l->expires && l->expires <= now))
		return "expired";
	return l->state == LOT_SCHEDULED && l->activates > now ? "scheduled" : "active";
}

static void put_lot(struct work *w, const struct lot *l, struct buf *out)
{
	char code[64] = "";

	currency_code_of(w, l->currency, code, sizeof code);
	buf_c(out, "{\"lot\":");
	if (l->ext.n)
		buf_json(out, l->ext);
	else
		buf_c(out, "null");
	buf_c(out, ",\"currency\":");
	buf_json(out, str_of(code));
	put_amount(out, "amount", l->amount);
	put_amount(out, "left", l->rest);
	buf_printf(out, ",\"state\":\"%s\"", state_word_of(l, w->now));
	clock_json_member_or_null(out, "activates_at", l->activates);
	clock_json_member_or_null(out, "expires_at", l->expires);
	buf_char(out, '}');
}

int ledger_show(struct work *w, uint64_t member, struct buf *out)
{
	enum { LOTS_SHOWN = 100 };
	struct sql_stmt *st;
	struct balance *b;
	struct lot *v;
	size_t n;

	if (balances_get(w, member, &b, &n) || !(st = db_st(w->db, ST_LOTS_OF)))
		return work_failed(w, "balances");
	buf_c(out, ",\"balances\":[");
	for (size_t i = 0; i < n; i++) {
		buf_c(out, i ? ",{\"currency\":" : "{\"currency\":");
		buf_json(out, str_of(b[i].code));
		put_amount(out, "amount", b[i].amount);
		buf_char(out, '}');
	}
	sql_int(st, 1, (int64_t)member);
	sql_int(st, 2, LOTS_SHOWN);
	if (lots_read(w, st, &v, &n))
		return -1;
	buf_c(out, "],\"lots\":[");
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_char(out, ',');
		put_lot(w, &v[i], out);
	}
	buf_char(out, ']');
	return 0;
}

/* ---- merging and erasing ---- */
static int two(struct work *w, enum st which, uint64_t to, uint64_t from)
{
	struct sql_stmt *st = db_st(w->db, which);

	if (st) {
		sql_int(st, 1, (int64_t)to);
		if (from)
			sql_int(st, 2, (int64_t)from);
	}
	return run(w, st, "the ledger");
}

/* What recurring tasks told the one was told to the other. to 0: nobody. */
static int told_move(struct work *w, uint64_t to, uint64_t from)
{
	for (size_t i = 0; i < w->rules->tasks_n; i++) {
		uint32_t task = w->rules->tasks[i].number;
		struct sql_stmt *st = to ? db_st(w->db, ST_TOLD_MERGE) : NULL;

		if (st) {
			sql_int(st, 1, (int64_t)to);
			sql_int(st, 2, task);
			sql_int(st, 3, (int64_t)from);
		}
		if ((to && run(w, st, "what members were told")) ||
			two(w, ST_TOLD_ERASE, task, from))
			return -1;
	}
	return 0;
}

int ledger_merge(struct work *w, const struct member *to, const struct member *from)
{
	struct sql_stmt *st = db_st(w->db, ST_LOTS_MERGE);

	if (st) {
		sql_int(st, 1, (int64_t)to->id);
		sql_text(st, 2, zone_of(to));
		sql_int(st, 3, (int64_t)from->id);
	}
	if (run(w, st, "bonus lots") || two(w, ST_BALANCES_MERGE, to->id, from->id) ||
		two(w, ST_BALANCES_ERASE, from->id, 0) || told_move(w, to->id, from->id))
		return -1;
	return two(w, ST_SPENT_MERGE, to->id, from->id);
}

int ledger_erase(struct work *w, uint64_t member)
{
	return two(w, ST_LOTS_ERASE, member, 0) || two(w, ST_BALANCES_ERASE, member, 0) ||
			       two(w, ST_SPENT_ERASE, member, 0) || told_move(w, 0, member)
		       ? -1
		       : 0;
}
