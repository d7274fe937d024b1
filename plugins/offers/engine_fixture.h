/* Events through the whole engine, over a store in memory and a clock that is told the time. */
#ifndef POSTERN_PLUGINS_OFFERS_ENGINE_FIXTURE_H
#define POSTERN_PLUGINS_OFFERS_ENGINE_FIXTURE_H

#include "plugins/offers/engine.h"
#include "plugins/offers/offers_fixture.h"

static const wall_t day_0 = 1772359200ll * DUR_S; /* 2026-03-01T10:00:00Z */
static struct buf answer;                         /* what the last event was answered */
static unsigned next_id;

#define TEMPLATES                                                                      \
	"templates = { hi = { en = { sms = \"Hi.\"; push = { text = \"Hi.\"; }; }; };" \
	" hi2 = { en = { sms = \"Hi again.\"; push = { text = \"Hi again.\"; }; }; };" \
	" sum = { en = { sms = \"You saved ${Discount:money}.\"; }; }; };"             \
	"policy = { consent_default = \"all\"; unverified = true; default_clock = \"UTC\"; };"

static void begin(const char *offers)
{
	struct buf b = BUF_INIT;

	buf_c(&b, TEMPLATES);
	buf_c(&b, offers);
	of_begin(buf_cstr(&b));
	buf_free(&b);
	of.w.now = day_0;
	next_id = 0;
}

static int end(void **state)
{
	buf_free(&answer);
	return of_end(state);
}

static void work_or_fail(int rc)
{
	if (rc < 0)
		fail_msg("%s", of.w.e.text);
}

/* Fires all that is due. */
static void fire(void)
{
	bool left = true;

	while (left) {
		unsigned n;

		of_unit();
		work_or_fail(chain_fire(&of.w, 10, 0, &n, &left));
	}
}

static void to_day(double days)
{
	of.w.now = day_0 + (wall_t)(days * 1000) * (DUR_DAY / 1000);
	fire();
}

enum took { TOOK, AGAIN, CONFLICT };

static enum took put_event(const char *json)
{
	const struct event_reader how = {
		.source = STR("pos"), .ahead = 5 * DUR_MIN, .too_far = DUR_DAY
	};
	struct json_faults f = { 0 };
	json_t *v = json_read(str_of(json), &f);
	struct reply reply = { 0 };
	struct event *e = NULL;
	struct intake in;
	enum took took;

	if (!v || event_read(v, of.w.now, &how, &e, &f) != EVENT_OK) {
		struct buf b = BUF_INIT;

		json_faults_put(&b, &f);
		fail_msg("%s: %s", json, buf_cstr(&b));
	}
	json_decref(v);
	of_unit();
	work_or_fail(intake_keep(&of.w, e, &in));
	took = in.conflict ? CONFLICT : in.duplicate ? AGAIN : TOOK;
	buf_reset(&answer);
	if (took == TOOK) {
		of_unit();
		work_or_fail(engine_event(&of.w, e, &reply));
		buf_reset(&answer);
		reply_put(&reply, &answer);
	} else {
		buf_str(&answer, in.kept);
	}
	buf_cstr(&answer);
	reply_free(&reply);
	event_drop(&e);
	return took;
}

/* An event that happened on that day, of member m; rest: further fields. */
static enum took happens(double day, const char *type, const char *rest)
{
	struct buf b = BUF_INIT;
	enum took t;

	buf_printf(&b,
		"{\"id\":\"e%u\",\"type\":\"%s\",\"member\":{\"id\":\"m\"},\"occurred_at\":\"",
		++next_id, type);
	clock_put_rfc3339(&b, day_0 + (wall_t)(day * 1000) * (DUR_DAY / 1000));
	buf_printf(&b, "\"%s%s}", rest[0] ? "," : "", rest);
	t = put_event(buf_cstr(&b));
	buf_free(&b);
	return t;
}

static void reachable(void)
{
	of_unit();
	of_contact(of_member("m"), CONTACT_PHONE, "46700000001", "");
}

static void expect_sent(unsigned n, const char *last)
{
	assert_int_equal(of.sent_n, n);
	if (n && last)
		assert_true(str_is(message_get(of.sent[n - 1], FIELD_TEXT), last));
}

#endif
