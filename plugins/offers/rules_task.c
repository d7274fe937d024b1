/* Recurring tasks and mailings: checked, and made ready for work. */
#include "plugins/offers/rules_private.h"

#include <stdio.h>

/* "day at 11:00" */
static void read_every(struct task *t, struct conf_faults *f)
{
	struct str s = str_of(t->conf->every);

	if (!str_starts(s, STR("day at ")) ||
		!time_of_day_parse(str_trim(str_skip(s, 7)), &t->at) || t->at >= DUR_DAY)
		conf_fault_at(f, &t->conf->at, "every", "\"%s\" is not like \"day at 11:00\"",
			t->conf->every);
}

static void read_ahead(struct task *t, struct conf_faults *f)
{
	const struct task_conf *c = t->conf;

	if (c->ahead_n > sizeof t->ahead / sizeof *t->ahead)
		conf_fault_at(f, &c->at, "ahead", "there are more than %zu",
			sizeof t->ahead / sizeof *t->ahead);
	for (size_t i = 0; i < c->ahead_n && i < sizeof t->ahead / sizeof *t->ahead; i++) {
		struct span s = rules_span(c->ahead[i], (struct span){ 0 });

		if (s.months || s.exact || s.days > 3660)
			conf_fault_at(f, &c->at, "ahead",
				"\"%s\" is not a number of days, such as \"3 days\"", c->ahead[i]);
		t->ahead[t->ahead_n++] = s.days;
	}
	if (t->look == LOOK_BIRTHDAY) {
		if (c->ahead_n > 1)
			conf_fault_at(f, &c->at, "ahead", "a birthday is greeted once");
		if (c->within)
			conf_fault_at(f, &c->at, "within", "is for bonus tasks");
	} else if (c->ahead_n == 0) {
		conf_fault_at(f, &c->at, NULL, "`ahead` is missing: how many days before?");
	}
	if (t->ahead_n == 0)
		t->ahead[t->ahead_n++] = 0;
}

static void check_currency(const struct rules *r, const struct conf_where *at, const char *key,
	const char *code, struct conf_faults *f)
{
	const char *known[16];
	size_t n = 0;

	if (!code[0] || currency_find(r->currencies, str_of(code)))
		return;
	for (size_t i = 0; i < r->conf->texts.currencies_n && n < sizeof known / sizeof *known; i++)
		known[n++] = r->conf->texts.currencies[i].code;
	conf_fault_at(f, at, key, "there is no currency \"%s\"%s", code,
		rules_suggest(r->arena, code, known, n));
}

static void make_task(struct rules *r, struct task *t, struct conf_faults *f)
{
	const struct task_conf *c = t->conf;
	unsigned also = 1u << METAVAR_DATE | 1u << METAVAR_DAYS;
	char user[100];

	t->kind = (enum class)c->kind;
	t->row = ROW_SYSTEM;
	row_parse(str_of(c->consent), &t->row);
	t->look = (enum look)c->look;
	read_every(t, f);
	read_ahead(t, f);
	decimal_parse(str_of(c->at_least), &t->at_least);
	if (c->clock == CLOCK_TILL)
		conf_fault_at(f, &c->at, "clock",
			"a task has no till; it takes \"member\" or a time zone");
	if (strcmp(c->currency, "any") != 0) {
		if (t->look == LOOK_BIRTHDAY)
			conf_fault_at(
				f, &c->at, "currency", "is for bonus tasks; `accrue` has its own");
		check_currency(r, &c->at, "currency", c->currency, f);
	}
	if (strcmp(c->once_per, "calendar year") != 0)
		conf_fault_at(
			f, &c->at, "once_per", "\"%s\" is not \"calendar year\"", c->once_per);
	if (c->accrue_given) {
		if (t->look != LOOK_BIRTHDAY)
			conf_fault_at(f, &c->at, "accrue", "is for birthdays");
		check_currency(r, &c->at, "accrue", c->accrue.currency, f);
		decimal_parse(str_of(c->accrue.amount), &t->accrue_amount);
		if (t->accrue_amount <= 0)
			conf_fault_at(f, &c->at, "accrue", "amount must be more than 0");
		t->accrue_lives = rules_span(c->accrue.lives, (struct span){ 0 });
	}
	if (t->look != LOOK_BIRTHDAY || c->accrue_given)
		also |= 1u << METAVAR_AMOUNT | 1u << METAVAR_CURRENCY;
	snprintf(user, sizeof user, "task %s", c->name);
	rules_via(r, c->via, c->via_n, c->fall_back_after, user, &c->at, &t->via, f);
	t->only_if = rules_filter(r, r->member_scope, &c->at, "only_if", c->only_if, f);
	t->min_member_age = rules_span(c->min_member_age, (struct span){ 0 });
	t->max_lateness = rules_span(c->max_lateness, r->max_lateness);
	if (c->send[0])
		t->template = rules_use_template(
			r, c->send, &t->via, r->member_scope, also, user, &c->at, "send", f);
	if (c->correct[0] && t->look != LOOK_EXPIRES)
		conf_fault_at(f, &c->at, "correct", "is for `look = \"bonus.expires\"`");
	else if (c->correct[0])
		t->correct = rules_use_template(
			r, c->correct, &t->via, r->member_scope, also, user, &c->at, "correct", f);
	if (!c->send[0] && !c->accrue_given)
		conf_fault_at(f, &c->at, NULL, "does nothing: it neither sends nor accrues");
}

void rules_make_tasks(struct rules *r, struct conf_faults *f)
{
	r->tasks_n = r->conf->tasks_n;
	r->tasks = arena_alloc(r->arena, (r->tasks_n + 1) * sizeof *r->tasks);
	for (size_t i = 0; i < r->tasks_n; i++) {
		r->tasks[i].conf = &r->conf->tasks[i];
		make_task(r, &r->tasks[i], f);
	}
}

/* ---- mailings ---- */

void rules_make_mailings(struct rules *r, struct conf_faults *f)
{
	for (size_t i = 0; i < r->conf->mailings_n; i++) {
		const struct mailing_conf *c = &r->conf->mailings[i];
		struct via via;
		char user[100];

		snprintf(user, sizeof user, "mailing %s", c->name);
		rules_via(r, c->channel, c->channel_n, c->fall_back_after, user, &c->at, &via, f);
		rules_filter(r, r->member_scope, &c->at, "audience", c->audience, f);
		rules_filter(r, r->member_scope, &c->at, "exclude", c->exclude, f);
		rules_use_template(
			r, c->template, &via, r->member_scope, 0, user, &c->at, "template", f);
		conf_warn_at(
			f, &c->at, NULL, "is checked, but this version cannot launch mailings yet");
	}
}
