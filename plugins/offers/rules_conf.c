/* What the files of the offers plugin may say: the rows. See rules.h; checks that need more than
 * one value, and what is made of them, are in rules.c.
 */
#include "plugins/offers/rules_private.h"

/* ---- values that are texts ---- */

static int check_span(struct str s, struct err *e)
{
	struct span span;
	const char *why = s.n && !str_is(s, "0") ? span_parse(s, &span) : NULL;

	return why ? err_set(e, ERR_CONF, "\"%.*s\": %s", STR_ARG(s), why) : 0;
}
static int check_window(struct str s, struct err *e)
{
	struct window w;
	const char *why = window_parse(s, &w);

	return why ? err_set(e, ERR_CONF, "\"%.*s\": %s", STR_ARG(s), why) : 0;
}
static int check_holiday(struct str s, struct err *e)
{
	struct holiday h;
	const char *why = holiday_parse(s, &h);

	return why ? err_set(e, ERR_CONF, "\"%.*s\" %s", STR_ARG(s), why) : 0;
}
static int check_row(struct str s, struct err *e)
{
	enum row r;

	if (s.n == 0 || row_parse(s, &r))
		return 0;
	return err_set(e, ERR_CONF,
		"\"%.*s\" is not a subscription row (DiscountOperation, PaymentOperation, "
		"DepositOperation, RefundOperation, CommunicationOffer, Advertisement, System)",
		STR_ARG(s));
}
static int check_zone(struct str s, struct err *e)
{
	struct err why = { 0 };

	return zone_find(s, &why) ? 0 : err_set(e, ERR_CONF, "%s", why.text);
}
static int check_medium(struct str s, struct err *e)
{
	enum media m;

	if (media_parse(s, &m) && m < MEDIA_RECEIPT)
		return 0;
	return err_set(e, ERR_CONF, "\"%.*s\" is not a channel (sms, email, push, viber, social)",
		STR_ARG(s));
}
static int check_decimal(struct str s, struct err *e)
{
	int64_t v;

	if (s.n == 0 || decimal_parse(s, &v))
		return 0;
	return err_set(
		e, ERR_CONF, "\"%.*s\" is not an amount with at most four decimals", STR_ARG(s));
}

/* ---- words ---- */
static const struct conf_word kind_words[] = {
	{ "marketing", CLASS_MARKETING, "needs consent; quiet hours and caps hold it" },
	{ "service", CLASS_SERVICE, "about what the member did" },
	{ "legal", CLASS_LEGAL, "must be told" },
	{ NULL },
};
static const struct conf_word clock_words[] = {
	{ "member", CLOCK_MEMBER, "the member's time zone" },
	{ "program", CLOCK_PROGRAM, "policy.default_clock" },
	{ "till", CLOCK_TILL, "the offset that the event's time was written with" },
	{ NULL },
};
static const struct conf_word then_words[] = {
	{ "stop", DISARM_STOP, "the chain ends" },
	{ "restart", DISARM_RESTART, "it begins again from that event" },
	{ "restart-step", DISARM_RESTART_STEP, "its present step begins again" },
	{ "ignore", DISARM_IGNORE },
	{ NULL },
};
static const struct conf_word again_words[] = {
	{ "default", AGAIN_DEFAULT, "restart when `when` and `unless` name the same, else ignore" },
	{ "ignore", AGAIN_IGNORE },
	{ "restart", AGAIN_RESTART },
	{ "parallel", AGAIN_PARALLEL, "a chain for each value of `key`" },
	{ NULL },
};
static const struct conf_word next_words[] = {
	{ "always", NEXT_ALWAYS, "whatever became of the step before" },
	{ "sent", NEXT_SENT, "it was sent" },
	{ "delivered", NEXT_DELIVERED, "it was delivered" },
	{ NULL },
};
static const struct conf_word soft_words[] = {
	{ "first", SOFT_FIRST, "at once, on the first of a receipt" },
	{ "confirm", SOFT_CONFIRM, "when the receipt is completed, with its last numbers" },
	{ NULL },
};
static const struct conf_word do_words[] = {
	{ "receipt", DO_RECEIPT, "prints lines on the customer's paper" },
	{ "cashier", DO_CASHIER, "shows lines to the cashier" },
	{ "send", DO_SEND, "sends a message" },
	{ "status", DO_STATUS, "assigns a status, and tells the platform" },
	{ NULL },
};
static const struct conf_word scope_words[] = {
	{ "member", SCOPE_PER_MEMBER },
	{ "account", SCOPE_PER_ACCOUNT, "all cards and members of one account" },
	{ "store", SCOPE_PER_STORE },
	{ "offer", SCOPE_PER_OFFER },
	{ NULL },
};
static const struct conf_word period_words[] = {
	{ "ever", PERIOD_EVER },
	{ "life", PERIOD_EVER },
	{ "day", PERIOD_DAY },
	{ "week", PERIOD_WEEK },
	{ "month", PERIOD_MONTH },
	{ "year", PERIOD_YEAR },
	{ NULL },
};
static const struct conf_word quiet_words[] = {
	{ "hold", 0, "until they are over" },
	{ "drop", 1 },
	{ "next-channel", 2, "another channel of `via`, if that is open" },
	{ NULL },
};
static const struct conf_word cap_words[] = { { "drop", 0 }, { "defer", 1, "to the next period" },
	{ NULL } };
static const struct conf_word per_words[] = { { "member", 0 }, { "channel", 1 }, { NULL } };
static const struct conf_word consent_words[] = {
	{ "all", 0, "everything is allowed until it is refused" },
	{ "none", 1, "nothing is allowed until it is granted" },
	{ "service-only", 2, "offers and advertisements need a grant" },
	{ NULL },
};
static const struct conf_word contact_words[] = { { "next-channel", 0 }, { "skip", 1 }, { NULL } };
static const struct conf_word version_words[] = {
	{ "at-send", 0, "as the template is when the message leaves" },
	{ "at-arm", 1, "as it was when the chain began" },
	{ NULL },
};
static const struct conf_word late_words[] = { { "skip", 0 }, { "run", 1 }, { NULL } };
static const struct conf_word leap_words[] = { { "feb28", 0 }, { "mar1", 1 }, { "skip", 2 },
	{ NULL } };
static const struct conf_word look_words[] = { { "bonus.activates", LOOK_ACTIVATES },
	{ "bonus.expires", LOOK_EXPIRES }, { "member.birthday", LOOK_BIRTHDAY }, { NULL } };
static const struct conf_word master_words[] = {
	{ "local", 0, "Postern's own ledger" },
	{ "upstream", 1, "the platform: accruals are sent there, and mirrored here" },
	{ NULL },
};
static const struct conf_word addressee_words[] = { { "member", 0 }, { "buyer", 1 }, { NULL } };

/* ---- offers ---- */
static const struct conf_item step_rows[] = { CONF_WHERE(struct step_conf, at),
	CONF_STR(struct step_conf, after, "0",
		"How long after the step before (the first: after the event).",
		.check = check_span),
	CONF_STRS(struct step_conf, windows, windows_n,
		"When of the member's day it may leave; the due moment moves into it.", .as = "at",
		.check = check_window, .example = "\"mon-fri,-holiday 10:00-20:00\""),
	CONF_STR(struct step_conf, send, "", "Template to send."),
	CONF_STRS(struct step_conf, via, via_n, "Channels, the best first.", .check = check_medium,
		.example = "[ \"push\", \"sms\" ]"),
	CONF_STR(struct step_conf, fall_back_after, "",
		"The next channel is tried when this one has not delivered by then.",
		.check = check_span),
	CONF_STR(struct step_conf, only_if, "", "Filter, looked at when the step is due."),
	CONF_STR(struct step_conf, status_system, "",
		"Status system in which `status` is assigned."),
	CONF_STR(struct step_conf, status, "", "Status that the step assigns."), CONF_END };

static const struct conf_item action_rows[] = { CONF_WHERE(struct action_conf, at),
	CONF_ENUM(struct action_conf, do_what, do_words, DO_SEND, "What is done.", .as = "do",
		.flags = CONF_REQUIRED),
	CONF_STR(struct action_conf, text, "", "What the receipt or the cashier's screen says."),
	CONF_STR(struct action_conf, template, "", "Template to send."),
	CONF_INT(
		struct action_conf, width, 0, 255, 0, "Columns of the printer; 0: policy.printer."),
	CONF_INT(struct action_conf, lines, 0, 64, 0, "Lines at most; 0: policy.printer."),
	CONF_STRS(struct action_conf, via, via_n, "Channels, the best first.",
		.check = check_medium, .example = "[ \"viber\", \"sms\" ]"),
	CONF_STR(struct action_conf, fall_back_after, "",
		"The next channel is tried when this one has not delivered by then.",
		.check = check_span),
	CONF_STR(struct action_conf, only_if, "", "Filter for this action alone."),
	CONF_STR(struct action_conf, count, "", "Counter (of = \"actions\") that it raises."),
	CONF_ENUM(struct action_conf, addressee, addressee_words, 0,
		"\"buyer\": lines on a friend's receipt are meant for the friend."),
	CONF_STR(struct action_conf, system, "", "Status system; the first when not given."),
	CONF_STR(struct action_conf, value, "", "Status to assign."), CONF_END };

static const struct conf_item limit_rows[] = { CONF_STR(struct offer_limits_conf, per_member, "",
						       "Messages of this offer to one member.",
						       .example = "\"2 per 30 days\""),
	CONF_STR(struct offer_limits_conf, per_account, "", "To one account."),
	CONF_STR(struct offer_limits_conf, per_store, "", "By events of one store."),
	CONF_STR(struct offer_limits_conf, total, "", "In all."), CONF_END };

static const struct conf_item active_rows[] = { CONF_STR(struct active_conf, from, "",
							"First day, or day and time.",
							.example = "\"2026-03-01\""),
	CONF_STR(struct active_conf, to, "", "Last day, or day and time."),
	CONF_ENUM(struct active_conf, clock, clock_words, CLOCK_MEMBER, "Whose days."), CONF_END };

static const struct conf_item rows_of_offer[] = { CONF_WHERE(struct offer_conf, at),
	CONF_STR(struct offer_conf, name, "", "Its name; stays the same for ever.",
		.flags = CONF_REQUIRED | CONF_UNIQUE, .max = 64),
	CONF_STR(struct offer_conf, was, "", "Its former name, when it was renamed."),
	CONF_STR(struct offer_conf, title, "", "For people."),
	CONF_ENUM(struct offer_conf, kind, kind_words, CLASS_MARKETING,
		"Which rules of the policy it is under."),
	CONF_STR(struct offer_conf, consent, "", "Subscription row; \"\": that of its first event.",
		.check = check_row),
	CONF_GROUP(struct offer_conf, active, active_rows, "When it runs."),
	CONF_STRS(struct offer_conf, when, when_n, "Events that arm the chain, or are acted on."),
	CONF_STR(struct offer_conf, only_if, "", "Filter on those events."),
	CONF_STRS(struct offer_conf, unless, unless_n, "Events that disarm the chain."),
	CONF_STR(struct offer_conf, unless_if, "", "Filter on those."),
	CONF_ENUM(struct offer_conf, then, then_words, DISARM_RESTART, "What disarming means."),
	CONF_ENUM(struct offer_conf, again, again_words, AGAIN_DEFAULT,
		"What arming means while the chain runs."),
	CONF_STR(struct offer_conf, key, "",
		"Attribute that tells parallel chains apart, \"event.receipt\"."),
	CONF_ENUM(
		struct offer_conf, next_if, next_words, NEXT_ALWAYS, "When the next step goes on."),
	CONF_ENUM(struct offer_conf, on_soft, soft_words, SOFT_FIRST,
		"When a send goes out for events that a till repeats within a receipt."),
	CONF_INT(struct offer_conf, restarts_at_most, 0, 1000, 0, "Restarts of one chain; 0: any.",
		.unit = "restarts"),
	CONF_INT(struct offer_conf, priority, 0, 1000, 500,
		"Lower comes first, where several offers meet."),
	CONF_BOOL(struct offer_conf, same_receipt_only, false,
		"Only the receipt that armed the chain can disarm it."),
	CONF_BOOL(struct offer_conf, rearm_on_refund, false,
		"A refund undoes the disarming by its purchase."),
	CONF_BOOL(struct offer_conf, finish_running, false,
		"Chains under way go on when the offer is over."),
	CONF_BOOL(struct offer_conf, apply_to_running, false,
		"Chains under way take over edited steps."),
	CONF_BOOL(struct offer_conf, deliver_now, false, "Quiet hours do not hold it."),
	CONF_BOOL(struct offer_conf, refund_on_suppress, false,
		"A message that was held back gives its counts back."),
	CONF_STR(struct offer_conf, settle, "", "Delay of every send; \"\": the policy's.",
		.check = check_span),
	CONF_STR(struct offer_conf, max_lateness, "",
		"Older due moments send nothing; \"\": the policy's.", .check = check_span),
	CONF_STR(struct offer_conf, expires, "",
		"A message that could not leave by then is given up; \"\": the policy's.",
		.check = check_span),
	CONF_LIST(struct offer_conf, steps, steps_n, step_rows, "The chain."),
	CONF_LIST(
		struct offer_conf, actions, actions_n, action_rows, "What the event does at once."),
	CONF_GROUP(struct offer_conf, limits, limit_rows, "How much of it there may be."),
	CONF_STRS(struct offer_conf, stories, stories_n,
		"Tests in one line, run by every check and reload; see STORIES."),
	CONF_END };

static const struct conf_item counter_rows[] = { CONF_WHERE(struct counter_conf, at),
	CONF_KEYNAME(struct counter_conf, name),
	CONF_STR(struct counter_conf, was, "", "Its former name, when it was renamed."),
	CONF_STR(struct counter_conf, of, "", "Event that it counts, or \"actions\".",
		.flags = CONF_REQUIRED),
	CONF_STR(struct counter_conf, sum, "", "Attribute that it adds up; \"\": one each.",
		.example = "\"event.total\""),
	CONF_STR(struct counter_conf, only_if, "", "Filter on the event."),
	CONF_ENUM(struct counter_conf, per, scope_words, SCOPE_PER_MEMBER, "Whose it is."),
	CONF_ENUM(struct counter_conf, period, period_words, PERIOD_EVER,
		"When it begins again from nothing."),
	CONF_ENUM(struct counter_conf, clock, clock_words, CLOCK_MEMBER, "Whose days and months."),
	CONF_INT(struct counter_conf, every, 0, 1000000, 0,
		"Counts every so manieth only; 0: each."),
	CONF_STR(struct counter_conf, every_amount, "", "Counts once for every so much of `sum`.",
		.check = check_decimal),
	CONF_BOOL(struct counter_conf, undo_on_refund, false,
		"Follows refunds and cancelled receipts."),
	CONF_END };

static const struct conf_item audience_rows[] = { CONF_WHERE(struct audience_conf, at),
	CONF_KEYNAME(struct audience_conf, name),
	CONF_STR(struct audience_conf, is, "", "Filter over members.", .flags = CONF_REQUIRED),
	CONF_END };

/* ---- tasks ---- */
static const struct conf_item accrue_rows[] = { CONF_STR(struct accrue_conf, currency, "",
							"Currency of the points.",
							.flags = CONF_REQUIRED),
	CONF_STR(struct accrue_conf, amount, "", "How many.", .flags = CONF_REQUIRED,
		.check = check_decimal),
	CONF_STR(struct accrue_conf, lives, "", "How long they last; \"\": for ever.",
		.check = check_span),
	CONF_END };

static const struct conf_item task_rows[] = { CONF_WHERE(struct task_conf, at),
	CONF_STR(struct task_conf, name, "", "Its name; stays the same for ever.",
		.flags = CONF_REQUIRED | CONF_UNIQUE, .max = 64),
	CONF_STR(struct task_conf, was, "", "Its former name, when it was renamed."),
	CONF_STR(struct task_conf, every, "day at 11:00", "When it runs."),
	CONF_ENUM(struct task_conf, clock, clock_words, CLOCK_MEMBER, "Whose day."),
	CONF_ENUM(struct task_conf, kind, kind_words, CLASS_SERVICE,
		"Which rules of the policy it is under."),
	CONF_ENUM(struct task_conf, look, look_words, LOOK_BIRTHDAY, "What it looks for.",
		.flags = CONF_REQUIRED),
	CONF_STRS(struct task_conf, ahead, ahead_n, "Days before; several are told separately.",
		.check = check_span, .example = "[ \"14 days\", \"3 days\" ]"),
	CONF_BOOL(struct task_conf, within, false, "All up to that day, not that day alone."),
	CONF_STR(struct task_conf, currency, "any", "Currency of the points."),
	CONF_STR(struct task_conf, at_least, "0", "Fewer points are not worth a message.",
		.check = check_decimal),
	CONF_STR(struct task_conf, only_if, "", "Filter over members."),
	CONF_STR(struct task_conf, send, "", "Template to send."),
	CONF_STR(struct task_conf, correct, "",
		"Template to send when points whose expiry was announced live longer after all; "
		"\"\": none."),
	CONF_STRS(struct task_conf, via, via_n, "Channels, the best first.", .check = check_medium,
		.example = "[ \"push\", \"sms\" ]"),
	CONF_STR(struct task_conf, fall_back_after, "",
		"The next channel is tried when this one has not delivered by then.",
		.check = check_span),
	CONF_STR(struct task_conf, consent, "System", "Subscription row.", .check = check_row),
	CONF_ENUM(struct task_conf, if_late, late_words, 0, "Runs that were missed."),
	CONF_ENUM(struct task_conf, leap_day, leap_words, 0,
		"Birthdays on 29 February in other years."),
	CONF_GROUP_GIVEN(struct task_conf, accrue, accrue_given, accrue_rows,
		"Points that are given before the message goes."),
	CONF_STR(struct task_conf, once_per, "calendar year", "A birthday is greeted once in it."),
	CONF_STR(struct task_conf, min_member_age, "0",
		"Members of a shorter time are not greeted.", .check = check_span),
	CONF_STR(struct task_conf, max_lateness, "", "\"\": the policy's.", .check = check_span),
	CONF_STRS(struct task_conf, stories, stories_n,
		"Tests in one line, run by every check and reload; see STORIES."),
	CONF_END };

/* ---- mailings: read and checked ---- */
static const struct conf_item budget_rows[] = { CONF_STR(struct budget_conf, max_cost, "", "Money.",
							.example = "\"1500.00 EUR\""),
	CONF_INT(struct budget_conf, max_messages, 0, INT64_MAX, 0, "Messages; 0: any.",
		.unit = "messages"),
	CONF_STR(struct budget_conf, stop_if_failed, "", "Share of failures among so many.",
		.example = "\"3% of 1000\""),
	CONF_END };
static const struct conf_item approval_rows[] = { CONF_STRS(struct approval_conf, by, by_n,
							  "Tokens that may approve."),
	CONF_BOOL(struct approval_conf, two_people, false, "Not the one who wrote it."), CONF_END };
static const struct conf_item mailing_rows[] = { CONF_WHERE(struct mailing_conf, at),
	CONF_STR(struct mailing_conf, name, "", "Its name.", .flags = CONF_REQUIRED | CONF_UNIQUE,
		.max = 64),
	CONF_STR(struct mailing_conf, campaign, "", "Campaign that it belongs to."),
	CONF_STRS(struct mailing_conf, channel, channel_n, "Channels, the best first.",
		.check = check_medium, .example = "[ \"viber\", \"sms\" ]"),
	CONF_STR(struct mailing_conf, fall_back_after, "", "When the next channel is tried.",
		.check = check_span),
	CONF_STR(struct mailing_conf, audience, "", "Filter over members.", .flags = CONF_REQUIRED),
	CONF_STR(struct mailing_conf, exclude, "", "Filter: who is left out."),
	CONF_STR(struct mailing_conf, template, "", "What is sent.", .flags = CONF_REQUIRED),
	CONF_STR(struct mailing_conf, consent, "Advertisement", "Subscription row.",
		.check = check_row),
	CONF_STR(struct mailing_conf, start, "", "Local day and time; \"\": by hand."),
	CONF_ENUM(struct mailing_conf, clock, clock_words, CLOCK_MEMBER, "Whose time."),
	CONF_STR(struct mailing_conf, expires, "", "Given up so long after it was due.",
		.check = check_span),
	CONF_STR(struct mailing_conf, pace, "", "Messages per time.",
		.example = "\"200 per second\""),
	CONF_STR(struct mailing_conf, holdout, "", "Share that gets nothing.", .example = "\"5%\""),
	CONF_GROUP(struct mailing_conf, budget, budget_rows, "When it stops by itself."),
	CONF_GROUP(struct mailing_conf, approval, approval_rows, "Who must agree first."),
	CONF_END };

/* ---- policy ---- */
static const struct conf_item class_rows[] = {
	CONF_STRS(struct class_conf, quiet, quiet_n,
		"Hours of the recipient in which nothing leaves, on all days or those that are "
		"named: "
		"mon … sun, `holiday`, or `-holiday` for none that is one.",
		.check = check_window,
		.example = "[ \"mon-fri,-holiday 21:00-09:00\", \"sat,sun,holiday 20:00-10:00\" ]"),
	CONF_ENUM(struct class_conf, on_quiet, quiet_words, 0, "What happens to a message then."),
	CONF_STRS(struct class_conf, max, max_n, "Caps, by the recipient's calendar.",
		.example = "[ \"1 per day\", \"3 per week\" ]"),
	CONF_ENUM(struct class_conf, per, per_words, 0,
		"Caps hold for the member, or for each channel."),
	CONF_ENUM(struct class_conf, on_cap, cap_words, 0, "What happens above a cap."),
	CONF_STRS(struct class_conf, exempt, exempt_n, "Channels without quiet hours.",
		.check = check_medium, .example = "[ \"email\" ]"),
	CONF_END
};
static const struct conf_item country_rows[] = { CONF_WHERE(struct quiet_country_conf, at),
	CONF_STR(struct quiet_country_conf, prefix, "", "What the number begins with.",
		.flags = CONF_REQUIRED),
	CONF_STRS(struct quiet_country_conf, quiet, quiet_n, "Quiet hours of marketing there.",
		.check = check_window),
	CONF_END };
static const char *const stop_default[] = { "STOP", NULL };
static const char *const start_default[] = { "START", NULL };

static const struct conf_item policy_rows[] = { CONF_WHERE(struct policy_conf, at),
	CONF_STR(struct policy_conf, default_clock, "UTC",
		"The programme's time zone, and that of members without one.", .check = check_zone),
	CONF_STR(struct policy_conf, language, "en", "Language of members without one."),
	CONF_GROUP(struct policy_conf, marketing, class_rows, "Rules for kind = \"marketing\"."),
	CONF_GROUP(struct policy_conf, service, class_rows, "Rules for kind = \"service\"."),
	CONF_GROUP(struct policy_conf, legal, class_rows, "Rules for kind = \"legal\"."),
	CONF_STRS(struct policy_conf, holidays, holidays_n,
		"Days that windows mean by `holiday` and `-holiday`: \"2026-12-24\", or \"12-25\" "
		"of "
		"each year.",
		.check = check_holiday, .example = "[ \"12-25\", \"2027-03-26\" ]"),
	CONF_LIST(struct policy_conf, countries, countries_n, country_rows,
		"Countries with other quiet hours."),
	CONF_ENUM(struct policy_conf, consent_default, consent_words, 2,
		"What is allowed to whom nobody asked."),
	CONF_STRS(struct policy_conf, read_only, read_only_n,
		"Subscription rows that members cannot change.", .check = check_row),
	CONF_STRS(struct policy_conf, stop_words, stop_words_n,
		"A subscriber's message that is one of these turns its channel off for the number.",
		.defaults = stop_default),
	CONF_STRS(struct policy_conf, start_words, start_words_n, "One of these takes that back.",
		.defaults = start_default),
	CONF_ENUM(struct policy_conf, when_no_contact, contact_words, 0,
		"When the first channel of `via` has no address."),
	CONF_BOOL(struct policy_conf, unverified, false,
		"Addresses that were never verified may be written to."),
	CONF_ENUM(struct policy_conf, template_version, version_words, 0,
		"Which version of a template a chain takes."),
	CONF_STR(struct policy_conf, keep_events, "400 days", "How long events are kept.",
		.check = check_span),
	CONF_STR(struct policy_conf, max_lateness, "24 h",
		"Due moments older than that send nothing.", .check = check_span),
	CONF_STR(struct policy_conf, settle, "0",
		"Delay of every send, for tills that were offline.", .check = check_span),
	CONF_STR(struct policy_conf, spread, "0",
		"Messages that quiet hours held leave over so long a time.", .check = check_span),
	CONF_STR(struct policy_conf, expires, "72 h",
		"Messages that could not leave by then are given up.", .check = check_span),
	CONF_GROUP(struct policy_conf, printer, printer_rows, "The tills' printers."),
	CONF_MAP(struct policy_conf, from, from_n,
		"Sender by channel: { sms = \"Shop\"; email = \"club@shop.example\"; }."),
	CONF_END };

static const struct conf_item ledger_rows[] = { CONF_WHERE(struct ledger_conf, at),
	CONF_ENUM(struct ledger_conf, master, master_words, 0, "Who owns the points."),
	CONF_STR(struct ledger_conf, webhook, "", "Where commands for the platform go (https)."),
	CONF_SECRET(struct ledger_conf, webhook_secret, "Signs them."),
	CONF_BOOL(struct ledger_conf, webhook_private, false,
		"The webhook may be on a private address."),
	CONF_DURATION(
		struct ledger_conf, give_up, "1m", NULL, "3d", "How long a command is tried."),
	CONF_END };

static const struct conf_item program_rows[] = {
	CONF_STR(struct program_conf, name, "", "What texts call it."),
	CONF_STR(struct program_conf, phone, "", "Its telephone number."),
	CONF_STR(struct program_conf, url, "", "Its address on the web."),
	CONF_STR(struct program_conf, unsubscribe, "", "Address of the unsubscribe page."), CONF_END
};
static const struct conf_item intake_rows[] = {
	CONF_DURATION(struct intake_conf, reply_budget, "10ms", "30s", "300ms",
		"A till is answered within it, with empty lists when it must be."),
	CONF_REAL(struct intake_conf, rate, 0, 1e6, 0, "Events per second; 0: no limit.",
		.unit = "events/s"),
	CONF_DURATION(struct intake_conf, ahead, "0", "24h", "5m",
		"A clock that goes ahead by more is taken for now."),
	CONF_DURATION(struct intake_conf, too_far, "1m", NULL, "24h",
		"Events further in the future are refused."),
	CONF_DURATION(struct intake_conf, offline_after, "1s", NULL, "15m",
		"What a till tells that much later is answered, but counts as not printed "
		"(unreachable)."),
	CONF_SIZE(struct intake_conf, body_most, "1KiB", "1MiB", "64KiB", "Longest event."),
	CONF_END
};

static const struct conf_item members_rows[] = { CONF_WHERE(struct members_conf, at),
	CONF_MAP(struct members_conf, attributes, attributes_n,
		"What else is kept of members: { city = \"text\"; vip = \"bool\"; }."),
	CONF_STRS(struct members_conf, statuses, statuses_n,
		"Status systems; the first is member.status."),
	CONF_END };

const struct conf_item rules_rows[] = { CONF_WHERE(struct rules_conf, at),
	CONF_LIST(struct rules_conf, offers, offers_n, rows_of_offer, "An offer.", .as = "offer"),
	CONF_LIST(struct rules_conf, more_offers, more_offers_n, rows_of_offer, "Several offers.",
		.as = "offers"),
	CONF_NAMED(struct rules_conf, counters, counters_n, counter_rows, "Counters by name."),
	CONF_NAMED(struct rules_conf, audiences, audiences_n, audience_rows, "Audiences by name."),
	CONF_LIST(struct rules_conf, tasks, tasks_n, task_rows, "Recurring tasks."),
	CONF_LIST(struct rules_conf, mailings, mailings_n, mailing_rows, "A mailing.",
		.as = "mailing"),
	CONF_GROUP(struct rules_conf, members, members_rows, "What is kept of members."),
	CONF_GROUP(struct rules_conf, policy, policy_rows, "The rules that no offer can forget."),
	CONF_GROUP(struct rules_conf, program, program_rows, "What texts say of the programme."),
	CONF_GROUP(struct rules_conf, ledger, ledger_rows, "Points and who owns them."),
	CONF_GROUP(struct rules_conf, intake, intake_rows, "The door for events."),
	CONF_INLINE(struct rules_conf, texts, texts_rows), CONF_END };

const struct conf_item *const offer_rows = rows_of_offer;

bool offer_conf_same(const struct offer_conf *a, const struct offer_conf *b)
{
	return conf_equal(offer_rows, a, b);
}

bool task_conf_same(const struct task_conf *a, const struct task_conf *b)
{
	return conf_equal(task_rows, a, b);
}

bool general_conf_same(const struct rules_conf *a, const struct rules_conf *b)
{
	return conf_equal(policy_rows, &a->policy, &b->policy) &&
	       conf_equal(members_rows, &a->members, &b->members) &&
	       conf_equal(ledger_rows, &a->ledger, &b->ledger) &&
	       conf_equal(intake_rows, &a->intake, &b->intake) &&
	       conf_equal(program_rows, &a->program, &b->program);
}
