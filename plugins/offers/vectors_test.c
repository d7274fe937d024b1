/* CN-1 to CN-24: each row of tests/data/chain-vectors.tsv (the specification's, then ours) through
 * the whole engine, events in and messages out; and EV-3: whatever of a row comes before its first
 * due moment comes in every order, each of its events once or twice, and the messages are the same.
 * Each order is a member of its own.
 */
#include "plugins/offers/engine_fixture.h"

enum { EVENTS = 4, LAST_DAY = 60, FIRST_DUE = 14, LINE = 400 };

struct happening {
	double day;
	char kind[16], receipt[16];
};
struct vector {
	char id[40], arms[40], disarms[40], then[20];
	unsigned steps, n;
	struct happening h[EVENTS];
	char sends[80]; /* as the table has them, M as R1; empty: nothing */
};

static const struct {
	const char *word, *type, *data;
} words[] = {
	{ "reg", "registration.completed", "" },
	{ "buy", "purchase.completed", "\"total\":10" },
	{ "refund", "purchase.refunded", "\"refunds\":\"none\"" },
	{ "phone", "phone.linked", "\"value\":\"+467%08u\"" },
	{ "form", "form.completed", "\"section\":\"home\"" },
	{ "redeem", "bonus.deducted", "\"amount\":5,\"currency\":\"bonus\"" },
	{ "social", "social.linked", "\"provider\":\"vk\",\"profile\":\"p%u\"" },
	{ "unlink", "social.unlinked", "\"provider\":\"vk\",\"profile\":\"p%u\"" },
	{ "activity", "social.activity", "\"provider\":\"vk\",\"kind\":\"like\",\"object\":\"o\"" },
	{ "unlike", "social.activity_removed",
		"\"provider\":\"vk\",\"kind\":\"like\",\"object\":\"o\"" },
	{ "invite", "friend.invited", "\"friend\":\"f\"" },
	{ "app", "app.installed",
		"\"device\":\"d%u\",\"token\":\"t%u\",\"platform\":\"android\",\"service\":"
		"\"fcm\"" },
};

static unsigned word_of(const char *word)
{
	for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(words[i].word, word) == 0)
			return i;
	fail_msg("no such word: %s", word);
	return 0;
}

/* ---- the table ---- */
static void column(char **line, char *out, size_t cap)
{
	size_t n = strcspn(*line, "\t\n");

	str_copy(out, cap, str_n(*line, n));
	*line += n + ((*line)[n] == '\t');
}

static bool vector_read(char *line, struct vector *v)
{
	char steps[40], events[160], sends[80];

	*v = (struct vector){ 0 };
	column(&line, v->id, sizeof v->id);
	column(&line, v->arms, sizeof v->arms);
	column(&line, v->disarms, sizeof v->disarms);
	column(&line, v->then, sizeof v->then);
	column(&line, steps, sizeof steps);
	column(&line, events, sizeof events);
	column(&line, sends, sizeof sends);
	if (strcmp(v->id, "id") == 0)
		return false;
	v->steps = strchr(steps, ',') ? 2 : 1;
	for (char *at = events; *at;) {
		struct happening *h = &v->h[v->n++];
		char *end;

		assert_true(v->n <= EVENTS);
		h->day = strtod(at, &end);
		end++;
		str_copy(h->kind, sizeof h->kind, str_n(end, strcspn(end, "@;")));
		end += strcspn(end, "@;");
		if (*end == '@')
			str_copy(h->receipt, sizeof h->receipt,
				str_n(end + 1, strcspn(end + 1, ";")));
		end += strcspn(end, ";");
		at = end + strspn(end, "; ");
	}
	if (strcmp(sends, "nothing") != 0)
		for (char *p = sends, *q = v->sends; *p; p++) {
			if (*p == 'M')
				*q++ = 'R';
			*q++ = *p == 'M' ? '1' : *p;
		}
	return true;
}

static void list_of(struct buf *b, const char *said)
{
	char word[20];

	for (const char *p = said; *p; p += strspn(p, ", ")) {
		size_t n = strcspn(p, ",");

		str_copy(word, sizeof word, str_n(p, n));
		buf_printf(b, "%s\"%s\"", p == said ? "" : ", ", words[word_of(word)].type);
		p += n;
	}
}

/* ---- a member's history ---- */
static struct {
	char sent[80];
} told[OF_MESSAGES];
static unsigned told_n, seen;

/* What has left since the last look, to whom and on which day. */
static void look(double day)
{
	for (; seen < of.sent_n; seen++) {
		struct str to = message_get(of.sent[seen], FIELD_TO);
		bool second = str_is(message_get(of.sent[seen], FIELD_TEXT), "Hi again.");
		char who[20];
		unsigned long m;
		size_t n;

		str_copy(who, sizeof who, to);
		m = strtoul(who + (who[0] == 't' ? 1 : 3), NULL, 10);
		assert_true(m < OF_MESSAGES);
		n = strlen(told[m].sent);
		snprintf(told[m].sent + n, sizeof told[m].sent - n, "%sd%g R%d", n ? "; " : "", day,
			second ? 2 : 1);
	}
}

static void comes(const struct vector *v, unsigned member, unsigned i, bool again)
{
	const struct happening *h = &v->h[i];
	unsigned w = word_of(h->kind);
	struct buf b = BUF_INIT;

	buf_printf(&b, "{\"id\":\"%u-%u\",\"type\":\"%s\",\"member\":{", member, i, words[w].type);
	if (strcmp(h->kind, "app") != 0)
		buf_printf(&b, "\"id\":\"m%u\",\"phone\":\"+467%08u\"", member, member);
	if (strcmp(v->arms, "app") == 0)
		buf_printf(&b, "%s\"device\":\"d%u\"", strcmp(h->kind, "app") ? "," : "", member);
	buf_c(&b, "},\"occurred_at\":\"");
	clock_put_rfc3339(&b, day_0 + (wall_t)(h->day * 1000) * (DUR_DAY / 1000));
	buf_printf(&b, "\",\"receipt\":\"%s-%u-%u\",\"data\":{", h->receipt, member,
		*h->receipt ? 0 : i);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	buf_printf(&b, words[w].data, member, member);
#pragma GCC diagnostic pop
	buf_c(&b, "}}");
	assert_int_equal(put_event(buf_cstr(&b)), again ? AGAIN : TOOK);
	buf_free(&b);
}

/* The first n in that order; what has its bit set comes again at once, and all of it at the end. */
static void arrive(
	const struct vector *v, unsigned member, const unsigned *order, unsigned n, unsigned twice)
{
	for (unsigned i = 0; i < n; i++) {
		comes(v, member, order[i], false);
		if (twice & 1u << i)
			comes(v, member, order[i], true);
	}
	for (unsigned i = 0; twice && i < n; i++)
		comes(v, member, order[i], true);
}

static bool next_order(unsigned *o, unsigned n)
{
	unsigned i = n, j = n;

	while (i > 1 && o[i - 2] > o[i - 1])
		i--;
	if (i < 2)
		return false;
	while (o[j - 1] < o[i - 2])
		j--;
	for (unsigned t = o[i - 2], k = (o[i - 2] = o[j - 1], o[j - 1] = t, 0); k < (n - i + 1) / 2;
		k++) {
		unsigned a = i - 1 + k, b = n - 1 - k;

		t = o[a];
		o[a] = o[b];
		o[b] = t;
	}
	return true;
}

static void vector_runs(const struct vector *v)
{
	bool first = strncmp(v->arms, "first ", 6) == 0;
	unsigned order[EVENTS] = { 0, 1, 2, 3 }, early = 0;
	struct buf b = BUF_INIT;
	double last = 0;

	buf_c(&b, "offer = { name = \"v\"; kind = \"service\"; when = ");
	list_of(&b, v->arms + (first ? 6 : 0));
	buf_printf(&b, ";%s unless = [ ",
		first ? " only_if = \"first_time('purchase.completed')\";" : "");
	list_of(&b, v->disarms);
	buf_printf(&b, " ]; then = \"%s\"; steps = ( ", v->then);
	for (unsigned i = 0; i < v->steps; i++)
		buf_printf(&b,
			"%s{ after = \"14 days\"; send = \"%s\"; via = [ \"sms\", \"push\" ]; }",
			i ? ", " : "", i ? "hi2" : "hi");
	buf_c(&b, " ); };");
	begin(buf_cstr(&b));
	buf_free(&b);
	memset(told, 0, sizeof told);
	told_n = seen = 0;
	while (early < v->n && v->h[early].day <= FIRST_DUE)
		last = v->h[early++].day;
	of.w.now = day_0 + (wall_t)(last * 1000) * (DUR_DAY / 1000);
	/* whether it is the first is asked of what is known: that has its order */
	do
		for (unsigned twice = 0; twice < 1u << early; twice++)
			arrive(v, told_n++, order, early, twice);
	while (!first && next_order(order, early));
	for (unsigned d = 0, next = early; d <= LAST_DAY; d++) {
		if (d < last)
			continue;
		if (d - 0.001 > last) {
			to_day(d - 0.001);
			look(d - 0.001);
		}
		of.w.now = day_0 + d * DUR_DAY;
		for (; next < v->n && v->h[next].day <= d; next++)
			for (unsigned m = 0; m < told_n; m++) {
				comes(v, m, next, false);
				comes(v, m, m % (next + 1), true);
			}
		to_day(d);
		look(d);
	}
	for (unsigned m = 0; m < told_n; m++)
		if (strcmp(told[m].sent, v->sends) != 0)
			fail_msg("%s, order %u of %u: \"%s\", not \"%s\"", v->id, m, told_n,
				told[m].sent, v->sends);
	end(NULL);
}

static void test_CN_1_to_24_EV_3_every_vector_in_every_order(void **state)
{
	FILE *f = fopen("tests/data/chain-vectors.tsv", "re");
	unsigned rows = 0;
	char line[LINE];
	struct vector v;

	assert_non_null(f);
	while (fgets(line, sizeof line, f))
		if (vector_read(line, &v)) {
			vector_runs(&v);
			rows++;
		}
	fclose(f);
	assert_true(rows >= 24);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_CN_1_to_24_EV_3_every_vector_in_every_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
