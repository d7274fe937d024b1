/* Accounts: who submits, from where, how fast, under which names. The loop of their protocol.
 */
#include "gateway/base/log.h"
#include "gateway/base/mem.h"
#include "gateway/base/penalty.h"
#include "gateway/flow/flow.h"

#include <crypt.h>
#include <stdlib.h>

const struct account_conf account_none = { .policy = "none", .media = "sms", .priority = "" };

struct account *account_find(struct listener *l, struct str name)
{
	struct flow_listener *fl = (struct flow_listener *)l;
	struct flow_account *a = gateway_account_named(fl->gw, l->protocol->name, name);

	return a && !atomic_load(&a->gone) ? &a->pub : NULL;
}

static void take_settings(struct flow_account *a, const struct account_conf *conf,
	const void *specific, struct settings *s)
{
	struct settings *before = a->settings;

	a->pub.conf = conf;
	a->pub.specific = specific;
	a->settings = s ? settings_ref(s) : NULL;
	atomic_store(&a->gone, conf == &account_none);
	mem_free(&a->allow);
	a->allow_n = 0;
	if (conf->allow_n)
		a->allow = mem_alloc(conf->allow_n * sizeof *a->allow);
	for (size_t i = 0; i < conf->allow_n; i++)
		if (addr_net_parse(str_of(conf->allow[i]), &a->allow[a->allow_n]))
			a->allow_n++;
	settings_free(&before);
}

static struct flow_account *account_new(struct flow_listener *l, const char *name)
{
	struct flow_account *a = mem_new(struct flow_account);
	const struct protocol *p = l->pub.protocol;
	struct err e;

	a->gw = l->gw;
	snprintf(a->full_name, sizeof a->full_name, "%s/%s", p->name, name);
	a->pub = (struct account){
		.name = mem_dup(str_of(name)),
		.protocol = p,
		.loop = l->pub.loop,
		.self = mem_alloc(p->account_size),
		.conf = &account_none,
		.submitter = store_number(gateway_store(l->gw), STORE_SUBMITTER, a->full_name, &e),
	};
	if (!a->pub.submitter) {
		log_error("account", F_STR("account", a->full_name), F_ERR(&e));
		mem_free(&a->pub.self);
		mem_free(&a->pub.name);
		mem_free(&a);
		return NULL;
	}
#define S(field, kind, n, help) \
	stat_register(&a->field, kind, "postern_account_" n, help, "account", a->full_name, NULL)
	S(accepted, STAT_COUNTER, "accepted_total", "Messages accepted.");
	S(refused, STAT_COUNTER, "refused_total", "Messages refused.");
	S(throttled, STAT_COUNTER, "throttled_total", "Messages refused for their rate.");
	S(notes_sent, STAT_COUNTER, "notes_total", "Receipts and subscriber messages told.");
	S(notes_waiting, STAT_GAUGE, "notes_in_memory", "Of those that wait, how many in memory.");
	S(sessions, STAT_GAUGE, "sessions", "Sessions bound.");
#undef S
	a->internal = l->internal;
	atomic_init(&a->gone, true);
	a->outlet = outlet_new(a);
	return a;
}

struct account *account_declare(
	struct listener *l, const char *name, const struct account_conf *conf, const void *specific)
{
	struct flow_listener *fl = (struct flow_listener *)l;
	struct flow_account *a = gateway_account_named(fl->gw, l->protocol->name, str_of(name));

	if (!a) {
		a = account_new(fl, name);
		if (!a)
			return NULL;
		take_settings(a, conf, specific, fl->settings);
		gateway_account_add(fl->gw, a);
		if (l->protocol->account_open)
			l->protocol->account_open(&a->pub);
		outlet_start(a->outlet);
	} else {
		take_settings(a, conf, specific, fl->settings);
	}
	a->declared = gateway_generation(fl->gw);
	return &a->pub;
}

void account_free(struct flow_account **ap)
{
	struct flow_account *a = *ap;

	outlet_free(&a->outlet);
	stat_unregister(&a->accepted);
	stat_unregister(&a->refused);
	stat_unregister(&a->throttled);
	stat_unregister(&a->notes_sent);
	stat_unregister(&a->notes_waiting);
	stat_unregister(&a->sessions);
	settings_free(&a->settings);
	mem_free(&a->allow);
	mem_free(&a->pub.self);
	mem_free(&a->pub.name);
	mem_free(ap);
}

/* No settings name it any more: its sessions end; what is owed to it waits on disk. */
void account_vanish(struct flow_account *a)
{
	if (a->pub.protocol->account_close)
		a->pub.protocol->account_close(&a->pub);
	take_settings(a, &account_none, NULL, NULL);
}

bool account_allows(const struct account *pub, const struct sockaddr *peer)
{
	const struct flow_account *a = flow_account(pub);

	for (size_t i = 0; i < a->allow_n; i++)
		if (addr_net_has(&a->allow[i], peer))
			return true;
	return a->pub.conf->allow_n == 0;
}

static void earn_tokens(struct flow_account *a, double rate)
{
	mono_t now = loop_now(a->pub.loop);

	a->tokens += (double)(now - a->counted) / (double)DUR_S * rate;
	if (a->tokens > (rate > 1 ? rate : 1))
		a->tokens = rate > 1 ? rate : 1;
	a->counted = now;
}

bool account_rate_take(struct flow_account *a)
{
	double rate = a->pub.conf->rate;

	if (rate <= 0)
		return true;
	earn_tokens(a, rate);
	if (a->tokens < 1) {
		stat_inc(&a->throttled);
		return false;
	}
	a->tokens -= 1;
	return true;
}

bool account_has_rate(struct account *pub, unsigned messages)
{
	struct flow_account *a = flow_account(pub);
	double rate = a->pub.conf->rate;

	if (rate <= 0)
		return true;
	earn_tokens(a, rate);
	return a->tokens >= messages;
}

bool account_may_send_as(const struct flow_account *a, struct str from)
{
	const struct account_conf *c = a->pub.conf;

	for (size_t i = 0; i < c->from_n; i++)
		if (str_glob(str_of(c->from[i]), from))
			return true;
	return c->from_n == 0;
}

void account_sessions(struct account *pub, unsigned n)
{
	stat_set(&flow_account(pub)->sessions, n);
}

/* ---- passwords ----
 *
 * A hash is slow to verify by intention, some 90 ms: too slow for applications that bind again and
 * again. So the last password that fitted is known again by a digest, which only this run can make.
 */
struct verify {
	struct chore work; /* first */
	struct flow_account *a;
	struct keyed digest; /* of hash and given password */
	void (*done)(void *ctx, bool ok);
	void *ctx;
	char *given, *hash;
	size_t given_n;
	bool ok;
};

static void verify_call(struct chore *w)
{
	struct verify *v = (struct verify *)w;
	struct crypt_data *data = mem_alloc(sizeof *data);
	const char *hash = crypt_r(v->given, v->hash, data);

	v->ok = hash && hash[0] != '*' && str_eq_secret(str_of(hash), str_of(v->hash));
	explicit_bzero(data, sizeof *data);
	mem_free(&data);
}

static void verify_done(struct chore *w)
{
	struct verify *v = (struct verify *)w;

	if (v->ok && v->a) {
		v->a->verified_any = true;
		v->a->verified = v->digest;
	}
	v->done(v->ctx, v->ok);
	explicit_bzero(v->given, v->given_n);
	mem_free(&v->given);
	mem_free(&v->hash);
	mem_free(&v);
}

static void verify_now(struct letter *l)
{
	verify_done((struct chore *)CONTAINER(l, struct chore, letter));
}

void account_verify(
	struct account *a, struct str password, void (*done)(void *ctx, bool ok), void *ctx)
{
	struct verify *v = mem_new(struct verify);
	const char *want = a ? a->conf->password : NULL;

	v->done = done;
	v->ctx = ctx;
	v->given = mem_dup(password);
	v->given_n = password.n;
	v->hash = mem_dup(str_of(want));
	/* crypt(3) reads up to a NUL: what stands behind one must not count for nothing */
	if (want && want[0] == '$' && !memchr(v->given, '\0', password.n)) {
		v->a = flow_account(a);
		v->digest = keyed_digest(str_of(want), password);
		v->ok = v->a->verified_any && keyed_equal(&v->a->verified, &v->digest);
	}
	if (v->a && !v->ok) {
		v->work.reply = loop_self();
		v->work.call = verify_call;
		v->work.done = verify_done;
		workers_do(&v->work);
		return;
	}
	if (!v->a)
		v->ok = want && want[0] != '$' && str_eq_secret(password, str_of(want));
	v->work.letter.run = verify_now;
	loop_later(loop_self(), &v->work.letter);
}

dur_t login_delay(const struct sockaddr *peer)
{
	return penalty_delay(addr_key(peer));
}

void login_result(const struct sockaddr *peer, bool ok)
{
	if (ok)
		penalty_clear(addr_key(peer));
	else
		penalty_add(addr_key(peer));
}
