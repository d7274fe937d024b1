/* The grammar of stories: text into clauses. See story.h. Pure. */
#include "plugins/offers/story.h"

#include <stdio.h>

struct parser {
	struct arena *a;
	struct str text;
	size_t at; /* where the next token begins */
	struct str token;
	bool quoted, json; /* of the token */
	size_t token_at;
	char *why;
	size_t cap;
	bool failed;
};

static unsigned column_of(const struct parser *p, size_t at)
{
	struct str s = str_n(p->text.p, at);
	unsigned n = 1;

	while (s.n) {
		str_utf8_next(&s);
		n++;
	}
	return n;
}

__attribute__((format(printf, 2, 3))) static bool fault(struct parser *p, const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	if (p->failed)
		return false;
	p->failed = true;
	buf_printf(&b, "column %u: ", column_of(p, p->token_at));
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	str_copy(p->why, p->cap, buf_view(&b));
	buf_free(&b);
	return false;
}

/* ---- tokens ---- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool ends_word(char c)
{
	return is_space(c) || strchr(";,='()[]{}", c) != NULL;
}

/* 'It''s': the quote is doubled within. */
static void take_quoted(struct parser *p)
{
	char *out = arena_alloc(p->a, p->text.n - p->at + 1);
	size_t n = 0, i = p->at + 1;

	for (; i < p->text.n; i++) {
		if (p->text.p[i] != '\'')
			out[n++] = p->text.p[i];
		else if (i + 1 < p->text.n && p->text.p[i + 1] == '\'')
			out[n++] = p->text.p[i++];
		else
			break;
	}
	if (i >= p->text.n)
		fault(p, "a quote that does not end");
	p->token = str_n(out, n);
	p->quoted = true;
	p->at = i < p->text.n ? i + 1 : i;
}

/* [ … ] and { … } up to their end, as JSON: single quotes become double ones. */
static void take_json(struct parser *p)
{
	char *out = arena_alloc(p->a, 2 * (p->text.n - p->at) + 1);
	size_t n = 0, i = p->at;
	unsigned depth = 0;
	char in = 0; /* the quote that we are in */

	for (; i < p->text.n; i++) {
		char c = p->text.p[i];

		if (!in && (c == '\'' || c == '"')) {
			in = c;
			out[n++] = '"';
			continue;
		}
		if (in == c) {
			in = 0;
			out[n++] = '"';
			continue;
		}
		if (in == '\'' && (c == '"' || c == '\\'))
			out[n++] = '\\';
		out[n++] = c;
		if (in == '"' && c == '\\' && i + 1 < p->text.n)
			out[n++] = p->text.p[++i];
		if (in)
			continue;
		depth += c == '[' || c == '{';
		depth -= c == ']' || c == '}';
		if (depth == 0)
			break;
	}
	if (i >= p->text.n)
		fault(p, "a bracket that does not end");
	p->token = str_n(out, n);
	p->json = true;
	p->at = i < p->text.n ? i + 1 : i;
}

/* The next token; empty at the end of the clause or text. */
static bool next(struct parser *p)
{
	size_t i;

	p->quoted = p->json = false;
	while (p->at < p->text.n && is_space(p->text.p[p->at]))
		p->at++;
	p->token_at = p->at;
	p->token = STR_NONE;
	if (p->failed || p->at >= p->text.n || p->text.p[p->at] == ';')
		return false;
	if (p->text.p[p->at] == '\'') {
		take_quoted(p);
		return !p->failed;
	}
	if (p->text.p[p->at] == '[' || p->text.p[p->at] == '{') {
		take_json(p);
		return !p->failed;
	}
	i = p->at;
	if (ends_word(p->text.p[i]))
		i++;
	else
		while (i < p->text.n && !ends_word(p->text.p[i]))
			i++;
	p->token = str_n(p->text.p + p->at, i - p->at);
	p->at = i;
	return true;
}

static bool is_word(const struct parser *p, const char *word)
{
	return !p->quoted && !p->json && str_is(p->token, word);
}

/* The token is the word: taken, and the next one stands there. */
static bool skip(struct parser *p, const char *word)
{
	if (!is_word(p, word))
		return false;
	next(p);
	return true;
}

static bool at_end(const struct parser *p)
{
	return !p->token.n && !p->quoted;
}

static bool take_value(struct parser *p, struct str *v_r, bool *json_r)
{
	if (at_end(p) || (!p->quoted && !p->json && ends_word(p->token.p[0])))
		return fault(p, "a value is missing");
	*v_r = p->token;
	if (json_r)
		*json_r = p->json;
	else if (p->json)
		return fault(p, "a word or 'text' is expected");
	next(p);
	return true;
}

/* ---- times ---- */

static bool take_clock(struct parser *p, int64_t *clock_r)
{
	bool said = skip(p, "at");

	if (!p->quoted && time_of_day_parse(p->token, clock_r) && *clock_r < DUR_DAY) {
		next(p);
		return true;
	}
	if (said)
		fault(p, "\"%.*s\" is no time of day", STR_ARG(p->token));
	return false;
}

/* "2 hours", "1 day 3 h", "90min". */
static bool take_span(struct parser *p, struct span *s)
{
	struct buf b = BUF_INIT;
	const char *wrong;
	bool any = false;

	while (p->token.n && p->token.p[0] >= '0' && p->token.p[0] <= '9') {
		bool unit = true;

		for (size_t i = 0; i < p->token.n; i++)
			unit &= p->token.p[i] >= '0' && p->token.p[i] <= '9';
		buf_printf(&b, "%s%.*s", any ? " " : "", STR_ARG(p->token));
		any = true;
		if (next(p) && unit) {
			buf_printf(&b, " %.*s", STR_ARG(p->token));
			next(p);
		}
	}
	wrong = any ? span_parse(buf_view(&b), s) : "a duration is missing, \"2 hours\"";
	if (wrong)
		fault(p, "%s", wrong);
	buf_free(&b);
	return !wrong;
}

static bool take_time(struct parser *p, struct clause *c)
{
	uint64_t n;

	c->when = STORY_NOW;
	c->clock = -1;
	if (skip(p, "day")) {
		if (!str_u64(p->token, &n) || n > 36600)
			return fault(p, "\"%.*s\" is no number of a day", STR_ARG(p->token));
		next(p);
		c->when = STORY_DAY;
		c->day = (int64_t)n;
		take_clock(p, &c->clock);
	} else if (skip(p, "after")) {
		c->when = STORY_AFTER;
		take_span(p, &c->after);
	} else if (date_parse(p->token, &c->day)) {
		c->when = STORY_DATE;
		next(p);
		take_clock(p, &c->clock);
	} else if (take_clock(p, &c->clock)) {
		c->when = STORY_CLOCK;
	}
	return !p->failed;
}

/* ---- deeds ---- */

static bool pair_add(struct parser *p, struct clause *c, struct story_pair pair)
{
	size_t n = c->pairs_n;

	if ((n & (n - 1)) == 0) { /* a power of two: full */
		struct story_pair *v = arena_alloc(p->a, (n ? 2 * n : 1) * sizeof *v);

		if (n)
			memcpy(v, c->pairs, n * sizeof *v);
		c->pairs = v;
	}
	c->pairs[c->pairs_n++] = pair;
	return true;
}

static bool take_pair(struct parser *p, struct clause *c)
{
	struct story_pair pair = { .name = p->token };

	if (p->quoted || p->json || at_end(p) || ends_word(p->token.p[0]))
		return fault(p, "name = value is expected");
	next(p);
	if (!skip(p, "="))
		return fault(p, "\"=\" is missing after \"%.*s\"", STR_ARG(pair.name));
	return take_value(p, &pair.value, &pair.json) && pair_add(p, c, pair);
}

static bool take_member(struct parser *p, struct clause *c)
{
	do {
		if (skip(p, "no")) {
			enum contact_kind kind;

			if (!contact_parse(p->token, &kind) && !is_word(p, "push") &&
				!is_word(p, "status"))
				return fault(p,
					"\"no %.*s\": phone, email, viber, social, push or status "
					"is meant",
					STR_ARG(p->token));
			pair_add(p, c, (struct story_pair){ .name = STR("no"), .value = p->token });
			next(p);
		} else if (!take_pair(p, c)) {
			return false;
		}
	} while (skip(p, ","));
	return true;
}

static bool take_medium(struct parser *p, int *media_r)
{
	enum media m;

	if (!media_parse(p->token, &m) || m >= MEDIA_RECEIPT)
		return fault(p, "\"%.*s\" is no medium: sms, email, push, viber, social",
			STR_ARG(p->token));
	*media_r = (int)m;
	next(p);
	return true;
}

static bool take_consent(struct parser *p, struct clause *c)
{
	enum media m;
	enum row row;

	c->row = c->media = -1;
	if (skip(p, "all"))
		return true;
	if (media_parse(p->token, &m) && m < MEDIA_RECEIPT)
		return take_medium(p, &c->media);
	if (!row_parse(p->token, &row))
		return fault(p, "\"%.*s\" is no row of the subscriptions, nor a medium",
			STR_ARG(p->token));
	c->row = (int)row;
	next(p);
	return skip(p, "by") ? take_medium(p, &c->media) : true;
}

static bool attr_fits(struct parser *p, const struct clause *c, const struct story_pair *pair)
{
	enum event_attr a;

	if (event_attr_parse(pair->name, &a) &&
		(a == ATTR_store || a == ATTR_till || a == ATTR_receipt ||
			((int)a >= EVENT_ENVELOPE && event_has_attr(c->type, a))))
		return true;
	return fault(p, "%s has no \"%.*s\": it has store till receipt %s",
		event_kinds[c->type].word, STR_ARG(pair->name), event_kinds[c->type].attrs);
}

static bool take_event(struct parser *p, struct clause *c)
{
	c->alias = -1;
	while (!at_end(p)) {
		if (skip(p, "as")) {
			int k;

			if (skip(p, "nobody")) {
				c->alias = ALIAS_KINDS;
				continue;
			}
			for (k = 0; k < ALIAS_KINDS && !is_word(p, alias_word((enum alias_kind)k));)
				k++;
			if (k == ALIAS_KINDS)
				return fault(p,
					"\"as %.*s\": id, card, device, phone, email, guest "
					"or nobody is meant",
					STR_ARG(p->token));
			c->alias = k;
			next(p);
			if (!take_value(p, &c->who, NULL))
				return false;
		} else if (skip(p, "late")) {
			if (!take_span(p, &c->late))
				return false;
		} else if (!skip(p, ",")) {
			if (!take_pair(p, c) || !attr_fits(p, c, &c->pairs[c->pairs_n - 1]))
				return false;
		}
	}
	return true;
}

/* ---- expect ---- */

static bool take_reason(struct parser *p, int *hold_r)
{
	for (int h = HOLD_NONE + 1; h < HOLD_REASONS; h++)
		if (skip(p, hold_word((enum hold_reason)h))) {
			*hold_r = h;
			return true;
		}
	return fault(p, "\"%.*s\" is no reason for suppressing", STR_ARG(p->token));
}

/* In ten-thousandths. */
static bool take_number(struct parser *p, int64_t *n_r)
{
	if (!decimal_parse(p->token, n_r))
		return fault(p, "\"%.*s\" is no number", STR_ARG(p->token));
	next(p);
	return true;
}

static bool ends_wish(const struct parser *p)
{
	return at_end(p) || is_word(p, ",") || is_word(p, "and");
}

static bool take_message(struct parser *p, struct wish *v)
{
	uint64_t n;

	v->what = WISH_MESSAGE;
	if (!p->quoted && str_u64(p->token, &n) && n > 0 && n < 1000) {
		v->count = (unsigned)n;
		next(p);
	}
	if (!take_value(p, &v->name, NULL))
		return false;
	if (skip(p, "by") && !take_medium(p, &v->media))
		return false;
	return skip(p, "saying") ? take_value(p, &v->text, NULL) : true;
}

static bool take_wish(struct parser *p, struct wish *v)
{
	*v = (struct wish){ .count = 1, .media = -1, .hold = -1 };
	if (skip(p, "nothing")) {
		v->what = WISH_NOTHING;
		return true;
	}
	if (is_word(p, "receipt") || is_word(p, "cashier")) {
		v->what = is_word(p, "receipt") ? WISH_RECEIPT : WISH_CASHIER;
		next(p);
		return take_value(p, &v->text, NULL);
	}
	if (skip(p, "suppressed")) {
		v->what = WISH_SUPPRESSED;
		if (!ends_wish(p) && !is_word(p, "for") && !take_value(p, &v->name, NULL))
			return false;
		return skip(p, "for") ? take_reason(p, &v->hold) : true;
	}
	if (skip(p, "counter")) {
		v->what = WISH_COUNTER;
		return take_value(p, &v->name, NULL) &&
		       (skip(p, "=") || fault(p, "\"=\" is missing")) && take_number(p, &v->number);
	}
	if (skip(p, "status")) {
		v->what = WISH_STATUS;
		if (!is_word(p, "=") && !take_value(p, &v->name, NULL))
			return false;
		return (skip(p, "=") || fault(p, "\"=\" is missing")) &&
		       take_value(p, &v->text, NULL);
	}
	if (skip(p, "balance")) {
		v->what = WISH_BALANCE;
		return take_value(p, &v->name, NULL) &&
		       (skip(p, "=") || fault(p, "\"=\" is missing")) && take_number(p, &v->number);
	}
	return take_message(p, v);
}

enum { WISHES_MOST = 32 };

static bool take_expect(struct parser *p, struct clause *c)
{
	struct wish v[WISHES_MOST];
	bool none = false, some = false;

	do {
		if (c->wishes_n == WISHES_MOST)
			return fault(p, "more than %d things are expected", WISHES_MOST);
		if (at_end(p))
			return fault(p, "expect what? \"nothing\", or the name of a template");
		if (!take_wish(p, &v[c->wishes_n]))
			return false;
		none |= v[c->wishes_n].what == WISH_NOTHING;
		some |= v[c->wishes_n].what == WISH_MESSAGE ||
			v[c->wishes_n].what == WISH_RECEIPT || v[c->wishes_n].what == WISH_CASHIER;
		c->wishes_n++;
		if (none && some)
			return fault(p, "\"nothing\" and something");
	} while (skip(p, ",") || skip(p, "and"));
	c->wishes = arena_alloc(p->a, c->wishes_n * sizeof *c->wishes);
	memcpy(c->wishes, v, c->wishes_n * sizeof *c->wishes);
	return true;
}

static bool take_news(struct parser *p, struct clause *c)
{
	c->state = is_word(p, "delivered") ? STATE_DELIVERED
		   : is_word(p, "read")    ? STATE_READ
					   : STATE_UNDELIVERABLE;
	next(p);
	return at_end(p) || take_value(p, &c->name, NULL);
}

/* By whom it went to. */
static bool take_reply(struct parser *p, struct clause *c)
{
	next(p);
	if (!at_end(p) && !is_word(p, "saying") && !take_value(p, &c->name, NULL))
		return false;
	if (c->what == STORY_REPLY && skip(p, "saying"))
		return take_value(p, &c->said, NULL);
	return true;
}

/* A story may begin with its date; afterwards time only goes on, which is seen when it is told. */
static bool take_deed(struct parser *p, struct clause *c)
{
	const char *near;

	if (at_end(p))
		return fault(p, "nothing happens here: an event or \"expect\" is missing");
	if (skip(p, "expect")) {
		c->what = STORY_EXPECT;
		return take_expect(p, c);
	}
	if (skip(p, "member")) {
		c->what = STORY_MEMBER;
		return take_member(p, c);
	}
	if (is_word(p, "agree") || is_word(p, "refuse")) {
		c->what = STORY_CONSENT;
		c->granted = is_word(p, "agree");
		next(p);
		return take_consent(p, c);
	}
	if (is_word(p, "delivered") || is_word(p, "undelivered") || is_word(p, "read")) {
		c->what = STORY_NEWS;
		return take_news(p, c);
	}
	if (is_word(p, "replied") || is_word(p, "unsubscribed")) {
		c->what = is_word(p, "replied") ? STORY_REPLY : STORY_UNSUBSCRIBE;
		return take_reply(p, c);
	}
	if (skip(p, "begin")) {
		c->what = STORY_BEGIN;
		if (c->when != STORY_DATE)
			return fault(p, "begin when? \"2026-03-28 12:00 begin\"");
		return true;
	}
	c->what = STORY_EVENT;
	if (p->json && p->token.p[0] == '{') {
		c->raw = p->token;
		next(p);
		return true;
	}
	if (p->quoted || !event_type_parse(p->token, &c->type, &c->kind)) {
		near = event_type_near(p->token);
		return fault(p, "\"%.*s\" is no event%s%s%s", STR_ARG(p->token),
			near ? "; is " : "", near ? near : "", near ? " meant?" : "");
	}
	next(p);
	return take_event(p, c);
}

struct story *story_parse(struct arena *a, struct str text, char *why, size_t cap)
{
	struct parser p = { .a = a, .text = text, .why = why, .cap = cap };
	struct story *s = arena_new_of(a, struct story);
	size_t most = 1, start;

	why[0] = '\0';
	if (text.n > STORY_TEXT) {
		snprintf(why, cap, "longer than %d octets", STORY_TEXT);
		return NULL;
	}
	for (size_t i = 0; i < text.n; i++)
		most += text.p[i] == ';';
	s->v = arena_alloc(a, most * sizeof *s->v);
	while (p.at < text.n && !p.failed) {
		struct clause *c = &s->v[s->n];

		start = p.at;
		if (next(&p)) {
			if (++s->n > STORY_CLAUSES)
				fault(&p, "more than %d clauses", STORY_CLAUSES);
			*c = (struct clause){ .row = -1, .media = -1, .alias = -1 };
			if (take_time(&p, c) && take_deed(&p, c) && !at_end(&p))
				fault(&p, "\"%.*s\" is not understood here", STR_ARG(p.token));
			if (c->what == STORY_BEGIN && s->n > 1)
				fault(&p, "a story begins once");
			c->text = str_trim(str_n(text.p + start, p.token_at - start));
		}
		if (p.at < text.n && text.p[p.at] == ';')
			p.at++;
	}
	if (!p.failed && s->n == 0)
		fault(&p, "an empty story");
	return p.failed ? NULL : s;
}
