/* What the tests of plugins' host share: settings with one probe or two behind the trial plugin. */
#ifndef POSTERN_FLOW_HOST_FIXTURE_H
#define POSTERN_FLOW_HOST_FIXTURE_H

#include "gateway/base/fault.h"
#include "tests/plugin_fixture.h"

/* no test uses all of it */
#pragma GCC diagnostic ignored "-Wunused-function"

#define CHANNEL(name, more)                                                             \
	"{ name = \"" name "\"; type = \"probe\"; window = 20; retry_first = \"10ms\";" \
	" retry_most = \"20ms\"; " more " }"
#define ONE "channels = ( " CHANNEL("a", "") " ); routes = ( { via = [ \"a\" ]; } );" TRIAL
#define TWO                                                                                      \
	"channels = ( " CHANNEL("a", "media = \"sms\";") ", " CHANNEL(                           \
		"b", "media = \"viber\";") " ); routes = ( { media = \"sms\"; via = [ \"a\" ]; " \
					   "}, { media = \"viber\"; via = [ \"b\" ]; } );" TRIAL

/* Orders to take back what was sent, many at once. */
struct racer {
	struct trial_send s; /* first */
	struct plugin_cancel one;
	struct plugin_cancels many;
	bool out;
};
enum { RACERS = 1500 };
static atomic_uint racing;

static void racer_over(struct plugin_cancels *m)
{
	atomic_fetch_sub(&racing, 1);
}

static void racer_cancel(struct plugin_call *c)
{
	struct racer *r = (struct racer *)c;

	r->one.id = r->s.id;
	plugin_cancel(c->host, &r->many);
}

static bool race_over(void *arg)
{
	return atomic_load(&racing) == 0;
}

static int note_keep(struct plugin_call *c, const struct note *n)
{
	return trial_row(c, "told", n->msg);
}

static struct {
	enum policy_verdict verdict;
	wall_t until, open_until;
	char account[96];
	unsigned asked;
	uint64_t id;
} rule;

static int policy(struct plugin_call *c, const struct message *m, const char *account,
	struct plugin_policy *p)
{
	rule.asked++;
	rule.id = p->id;
	str_copy(rule.account, sizeof rule.account, str_of(account));
	if (trial_row(c, "asked", 0) < 0)
		return -1;
	p->verdict = rule.verdict;
	p->until = rule.until;
	p->open_until = rule.open_until;
	p->reason = rule.verdict == POLICY_HOLD ? REASON_QUIET_HOURS : REASON_CONSENT;
	str_copy(p->words, sizeof p->words, STR("row Advertisement"));
	return m->media == MEDIA_EMAIL ? -1 : 0;
}

#endif
