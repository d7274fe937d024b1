/* Why a message was sent, held or not sent, whoever submitted it. See why.h. */
#include "plugins/offers/policy.h"
#include "plugins/offers/sent.h"
#include "plugins/offers/why_private.h"
#include "plugins/plugin.h"

#include <stdio.h>

static void tell_policy(void *ctx, enum policy_says v, const char *what, const char *words)
{
	why_says(ctx, (enum why_verdict)v, 0, what, "%s", words);
}

/* Everything that the policy asks, as it is now; this message itself is not counted. */
static int tell_others(struct why *t, const struct plugin_found *f)
{
	struct policy_case c;
	struct policy_ruling r;

	if (!f->judged) {
		why_says(t, SAYS_FACT, 0, "policy", "none is asked about what %s submits",
			f->submitter);
		return 0;
	}
	if (!f->msg) {
		why_says(t, SAYS_FACT, 0, "policy", "marketing; who it was for is no longer kept");
		return 0;
	}
	if (policy_case_of(t->w, f->msg, STR_NONE, &c) < 0)
		return -1;
	if (!c.msg)
		c.msg = f->id;
	c.due = t->w->now; /* not when it was to leave: what would be said of it now */
	c.expires = 0;
	t->m = c.member;
	why_says(t, SAYS_FACT, 0, "policy", "marketing, row %s: what it says now", row_word(c.row));
	if (policy_explain(t->w, &c, tell_policy, t) < 0 || policy_judge(t->w, &c, &r) < 0)
		return -1;
	if (r.hold)
		why_says(t, SAYS_FACT, 0, "now", "it would not be sent: %s", hold_text(r.hold));
	else if (r.due > t->w->now)
		why_says(t, SAYS_FACT, 0, "now", "it would wait until %s", why_time(t, r.due));
	else
		why_says(t, SAYS_FACT, 0, "now", "it would go at once");
	return 0;
}

static void tell_head(struct why *t, const struct plugin_found *f)
{
	struct str to = f->msg ? message_get(f->msg, FIELD_TO) : STR_NONE;
	const char *medium = f->msg ? media_word((enum media)f->msg->media) : "";
	bool waits = f->state == STATE_QUEUED && f->due > t->w->now;

	if (t->json) {
		buf_printf(t->out, "{\"message\":\"%lu\",\"submitter\":", f->id);
		buf_json(t->out, str_of(f->submitter));
		buf_printf(t->out,
			",\"state\":\"%s\",\"reason\":\"%s\",\"words\":", state_word(f->state),
			f->reason ? reason_word(f->reason) : "");
		buf_json(t->out, str_of(f->words));
		buf_c(t->out, ",\"looked_at\":[");
	}
	why_says(t, SAYS_FACT, 0, "message", "of %s, %s%s%.*s, accepted %s", f->submitter, medium,
		to.n ? " to " : "", STR_ARG(to), why_time(t, f->accepted));
	why_says(t, SAYS_FACT, 0, "is", "%s%s%s%s%s%s%s%s", state_word(f->state),
		waits ? " until " : "", waits ? why_time(t, f->due) : "", f->reason ? ": " : "",
		f->reason ? reason_text(f->reason) : "", f->words[0] ? " (" : "", f->words,
		f->words[0] ? ")" : "");
}

int why_message(struct work *w, const struct plugin_found *f, bool json, struct buf *out)
{
	struct why t = { .w = w, .json = json, .out = out };
	uint64_t member;
	uint32_t object;
	unsigned step;
	char name[120] = "";
	int rc = sent_whose(w, f->id, &member, &object, &step);

	if (rc < 0 || (rc == 1 && member_load(w, member, &t.m) < 0))
		return -1;
	tell_head(&t, f);
	if (rc == 0) {
		if (tell_others(&t, f) < 0)
			return -1;
		why_outcome(&t);
		return 0;
	}
	name_of(w->db, NAME_OBJECT, object, name, sizeof name);
	t.o = rules_offer_number(w->rules, object);
	why_says(&t, SAYS_FACT, 0, "of", "%s \"%s\", %s %u, for %.*s",
		t.o ? "offer" : "task or former offer", name,
		step < ACTION_STEP ? "step" : "action",
		step < ACTION_STEP ? step + 1 : step - ACTION_STEP + 1,
		STR_ARG(t.m && t.m->ext.n ? t.m->ext : STR("(no id)")));
	if (t.o && t.m)
		return why_pair(&t, false);
	why_outcome(&t);
	return 0;
}
