/* What chains under way keep from when they began. See pin.h. */
#include "plugins/offers/pin.h"
#include "plugins/offers/chain.h"
#include "gateway/base/log.h"

struct pinned_offer {
	uint32_t number;
	uint64_t version;
	const struct offer *o; /* NULL: it cannot be made any more */
};
struct pinned_template {
	uint64_t pin;
	unsigned step;
	bool known;
	const struct template *t;
	const char *why;
};
/* What was made for the rules in force. */
struct pins {
	struct arena *arena;
	const struct rules *rules;
	struct pinned_offer *offers;
	size_t offers_n, offers_cap;
	struct pinned_template *templates;
	size_t templates_n, templates_cap;
	const struct offer **gone;
	size_t gone_n;
	bool gone_known;
};

void pins_close(struct pins **pp)
{
	struct pins *p = *pp;

	if (!p)
		return;
	arena_free(&p->arena);
	mem_free(&p->offers);
	mem_free(&p->templates);
	mem_free(pp);
}

static struct pins *pins_of(struct work *w)
{
	struct pins *p = w->db->pins;

	if (p && p->rules != w->rules)
		pins_close(&w->db->pins);
	if (!w->db->pins) {
		p = w->db->pins = mem_new(struct pins);
		p->arena = arena_new();
		p->rules = w->rules;
	}
	return p;
}

/* ---- noting ---- */
static int note_steps(struct db *db, const struct offer *o, int64_t at)
{
	struct sql_stmt *st = db_st(db, ST_STEPS_ADD);
	struct buf b = BUF_INIT;
	int rc;

	if (!st)
		return -1;
	offer_write(&b, o->conf);
	sql_int(st, 1, o->number);
	sql_int(st, 2, (int64_t)o->version);
	sql_int(st, 3, at);
	sql_blob(st, 4, buf_view(&b));
	rc = sql_run(st);
	buf_free(&b);
	return rc;
}

static int note_template(struct db *db, const struct offer *o, unsigned step)
{
	const struct template *t = o->steps[step].template;
	struct sql_stmt *st = db_st(db, ST_SOURCE_ADD);

	if (!st)
		return -1;
	sql_text(st, 1, template_digest(t));
	sql_blob(st, 2, template_source(t));
	if (sql_run(st) < 0)
		return -1;
	st = db_st(db, ST_PIN_ADD);
	if (!st)
		return -1;
	sql_int(st, 1, (int64_t)o->pin);
	sql_int(st, 2, step);
	sql_text(st, 3, template_digest(t));
	return sql_run(st);
}

/* Of all its steps' templates. */
static uint64_t pin_of(const struct offer *o)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (unsigned i = 0; i < o->steps_n; i++) {
		struct str d =
			o->steps[i].template ? template_digest(o->steps[i].template) : STR("none");

		for (size_t k = 0; k < d.n; k++)
			h = (h ^ (unsigned char)d.p[k]) * UINT64_C(1099511628211);
	}
	return h >> 1 | 1;
}

int pins_note(struct rules *r, struct db *db, struct err *e)
{
	struct sql_stmt *st = db_st(db, ST_STEPS_LAST);
	int64_t at;

	pins_close(&db->pins);
	if (!st || sql_step(st) != 1)
		return sql_err(db->sql, e, "what steps said");
	at = sql_col(st, 0);
	sql_reset(st);
	for (size_t i = 0; i < r->offers_n; i++) {
		struct offer *o = &r->offers[i];

		if (!o->steps_n)
			continue;
		if (note_steps(db, o, ++at) < 0)
			return sql_err(db->sql, e, "keeping what steps say");
		if (r->conf->policy.template_version == 0)
			continue;
		o->pin = pin_of(o);
		for (unsigned k = 0; k < o->steps_n; k++)
			if (o->steps[k].template && note_template(db, o, k) < 0)
				return sql_err(db->sql, e, "keeping what templates say");
	}
	return 0;
}

/* ---- offers ---- */
static const struct offer *made(struct work *w, uint32_t number, struct str text)
{
	struct pins *p = pins_of(w);
	struct err e = { 0 };
	const struct offer *o = offer_restore(w->rules, number, text, p->arena, &e);

	if (!o)
		log_warn("what an offer said before cannot be used any more",
			F_U64("offer", number), F_ERR(&e));
	return o;
}

static int offer_kept(struct work *w, uint32_t number, uint64_t version, const struct offer **o_r)
{
	struct pins *p = pins_of(w);
	struct sql_stmt *st;
	int rc;

	for (size_t i = 0; i < p->offers_n; i++)
		if (p->offers[i].number == number && p->offers[i].version == version) {
			*o_r = p->offers[i].o;
			return 0;
		}
	*o_r = NULL;
	st = db_st(w->db, ST_STEPS_GET);
	if (!st)
		return work_failed(w, "the steps of an offer");
	sql_int(st, 1, number);
	sql_int(st, 2, (int64_t)version);
	rc = sql_step(st);
	if (rc == 1)
		*o_r = made(w, number, sql_col_str(st, 0));
	sql_reset(st);
	if (rc < 0)
		return work_failed(w, "the steps of an offer");
	if (p->offers_n == p->offers_cap) {
		p->offers_cap = p->offers_cap ? 2 * p->offers_cap : 16;
		p->offers = mem_grow(p->offers, p->offers_cap * sizeof *p->offers);
	}
	p->offers[p->offers_n++] = (struct pinned_offer){ number, version, *o_r };
	return 0;
}

int pin_offer(struct work *w, uint32_t number, uint64_t version, const struct offer **o_r)
{
	const struct offer *o = rules_offer_number(w->rules, number);

	*o_r = o;
	if (o && (o->version == version || o->conf->apply_to_running))
		return 0;
	return offer_kept(w, number, version, o_r);
}

static int load_gone(struct work *w, struct pins *p)
{
	struct sql_stmt *st = db_st(w->db, ST_STEPS_NEWEST);
	struct {
		uint32_t number;
		uint64_t version;
	} v[1000];
	size_t n = 0;
	int rc;

	if (!st)
		return work_failed(w, "the offers of before");
	while ((rc = sql_step(st)) == 1) {
		v[n].number = (uint32_t)sql_col(st, 0);
		v[n].version = (uint64_t)sql_col(st, 1);
		if (n + 1 < sizeof v / sizeof v[0] && !rules_offer_number(w->rules, v[n].number))
			n++;
	}
	if (rc < 0)
		return work_failed(w, "the offers of before");
	p->gone = arena_alloc(p->arena, (n + 1) * sizeof *p->gone);
	for (size_t i = 0; i < n; i++) {
		const struct offer *o;

		if (offer_kept(w, v[i].number, v[i].version, &o) < 0)
			return -1;
		if (o && o->conf->finish_running)
			p->gone[p->gone_n++] = o;
	}
	p->gone_known = true;
	return 0;
}

int pin_offers_gone(struct work *w, const struct offer *const **v_r, size_t *n_r)
{
	struct pins *p = pins_of(w);

	if (!p->gone_known && load_gone(w, p) < 0)
		return -1;
	*v_r = p->gone;
	*n_r = p->gone_n;
	return 0;
}

int pin_offer_last(struct work *w, uint32_t number, const struct offer **o_r)
{
	const struct offer *const *v;
	size_t n;

	*o_r = rules_offer_number(w->rules, number);
	if (*o_r)
		return 0;
	if (pin_offers_gone(w, &v, &n) < 0)
		return -1;
	for (size_t i = 0; i < n && !*o_r; i++)
		if (v[i]->number == number)
			*o_r = v[i];
	return 0;
}

/* ---- templates ---- */
static int template_kept(struct work *w, struct pins *p, struct pinned_template *k)
{
	struct sql_stmt *st = db_st(w->db, ST_PIN_GET);
	struct err e = { 0 };
	int rc;

	if (!st)
		return work_failed(w, "a template of before");
	sql_int(st, 1, (int64_t)k->pin);
	sql_int(st, 2, k->step);
	rc = sql_step(st);
	if (rc == 1) {
		k->known = true;
		k->t = template_restore(w->rules->templates, sql_col_str(st, 0), p->arena, &e);
		k->why = k->t ? NULL : arena_cstr(p->arena, str_of(e.text));
	}
	sql_reset(st);
	return rc < 0 ? work_failed(w, "a template of before") : 0;
}

int pin_template(struct work *w, uint64_t pin, unsigned step, const struct template **t_r,
	const char **why_r)
{
	struct pins *p = pins_of(w);
	struct pinned_template k = { .pin = pin, .step = step };
	size_t i = 0;

	while (i < p->templates_n && (p->templates[i].pin != pin || p->templates[i].step != step))
		i++;
	if (i == p->templates_n) {
		if (template_kept(w, p, &k) < 0)
			return -1;
		if (p->templates_n == p->templates_cap) {
			p->templates_cap = p->templates_cap ? 2 * p->templates_cap : 16;
			p->templates =
				mem_grow(p->templates, p->templates_cap * sizeof *p->templates);
		}
		p->templates[p->templates_n++] = k;
	}
	*t_r = p->templates[i].t;
	*why_r = p->templates[i].why;
	return p->templates[i].known;
}
