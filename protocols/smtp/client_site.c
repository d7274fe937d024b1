/* One destination: its hosts, its connections, and the mails that wait for one of them. The
 * channel's loop.
 *
 * Mails wait here in one line, from which each connection takes the next when it has room, so that
 * a slow connection holds back none but those on it. Connections are opened as mails wait, up to
 * the limit; when the last one fails, what waits goes back and one is tried again after a wait.
 */
#include "protocols/smtp/client.h"
#include "gateway/base/mem.h"
#include "gateway/base/stream.h"

enum { TRIES_MOST = 6 };
#define TURN_LIFE (10 * DUR_MIN) /* a host that works is stayed with for so long */

static struct relay_site *site_of_timer(struct timer *t)
{
	return CONTAINER(t, struct relay_site, timer);
}

unsigned site_most(const struct relay_site *s)
{
	return site_is_mx(s) ? (unsigned)relay_settings(s->relay)->domain_connections
			     : relay_most(s->relay);
}

/* ---- mails ---- */

static void job_ready(struct relay_job *j)
{
	struct relay_site *s = j->site;

	if (!j->decided && s->relay->closing) {
		j->outcome = outcome_of(REASON_STOPPING);
		j->decided = true;
	} else if (!j->decided && !s->up) {
		j->outcome = relay_failed(REASON_DOWN, "", "%s", s->why);
		j->decided = true;
	}
	if (j->decided) {
		job_done_later(j, &j->outcome);
		return;
	}
	j->state = JOB_WAITS;
	list_append(&s->waiting, &j->link);
	s->waiting_n++;
	site_feed_later(s);
}

void site_submit(struct relay_site *s, struct relay_job *j)
{
	j->state = JOB_PREPARES;
	if (job_prepare(j))
		job_ready(j);
}

void job_prepared(struct relay_job *j)
{
	job_ready(j);
}

struct relay_job *site_next(struct relay_site *s)
{
	struct relay_job *j = list_first(&s->waiting, struct relay_job, link);
	double rate = relay_settings(s->relay)->domain_rate;
	mono_t now = loop_now(s->relay->c->loop);

	if (!j)
		return NULL;
	if (site_is_mx(s) && now < s->next_at) {
		if (!timer_is_set(&s->timer) || s->timer.at > s->next_at)
			timer_set(s->relay->c->loop, &s->timer, s->next_at);
		return NULL;
	}
	if (site_is_mx(s) && rate > 0)
		s->next_at = (s->next_at > now - DUR_S ? s->next_at : now) +
			     (dur_t)((double)DUR_S / rate);
	return site_take(s);
}

struct relay_job *site_take(struct relay_site *s)
{
	struct relay_job *j = list_first(&s->waiting, struct relay_job, link);

	if (!j)
		return NULL;
	list_remove(&j->link);
	s->waiting_n--;
	return j;
}

void site_give_back(struct relay_site *s, enum reason reason, const char *why)
{
	struct outcome o = relay_failed(reason, "", "%s", why);
	struct relay_job *j;

	while ((j = site_take(s)))
		job_done_later(j, &o);
}

/* ---- connections ---- */

static unsigned connecting(const struct relay_site *s)
{
	unsigned n = 0;

	list_each (it, &s->sessions)
		n += CONTAINER(it, struct relay_session, link)->state < SESSION_READY;
	return n;
}

static void open_next(struct relay_site *s)
{
	mono_t now = loop_now(s->relay->c->loop);

	if (s->turn && now > s->turn_until)
		s->turn = 0;
	peer_open(s, s->turn % s->hosts_n);
}

/* One that may be dead is tried with one connection; and of all there are only so many. */
static bool may_open(struct relay_site *s, unsigned coming)
{
	struct relay *r = s->relay;

	if (!site_is_mx(s))
		return true;
	if (!s->proven && coming)
		return false;
	if (r->sessions_n < relay_most(r))
		return true;
	/* A connection that rests gives way. */
	list_each (it, &r->sites) {
		struct relay_site *other = CONTAINER(it, struct relay_site, link);

		list_each (at, &other->sessions) {
			struct relay_session *x = CONTAINER(at, struct relay_session, link);

			if (other != s && x->state == SESSION_READY && x->jobs_n == 0) {
				peer_quit(x);
				return true;
			}
		}
	}
	r->starved = true;
	return false;
}

static void feed_run(struct letter *l)
{
	struct relay_site *s = CONTAINER(l, struct relay_site, feed);
	unsigned coming;

	s->feed_due = false;
	if (s->relay->closing) {
		relay_check_closed(s->relay);
		return;
	}
	if (s->waiting_n == 0 || (site_is_mx(s) && !site_routed(s)))
		return;
	/* Those that do nothing first, then new ones, then behind what is under way. */
	list_each_safe (it, &s->sessions) {
		struct relay_session *x = CONTAINER(it, struct relay_session, link);

		if (s->waiting_n && !x->jobs_n && post_has_room(x))
			post_feed(x);
	}
	coming = s->waiting_n ? connecting(s) : 0;
	while (s->up && coming < s->waiting_n && s->sessions_n < site_most(s) &&
		loop_now(s->relay->c->loop) >= s->not_before && may_open(s, coming)) {
		open_next(s);
		coming++;
	}
	list_each_safe (it, &s->sessions) {
		struct relay_session *x = CONTAINER(it, struct relay_session, link);

		if (s->waiting_n && post_has_room(x))
			post_feed(x);
	}
}

void site_feed_later(struct relay_site *s)
{
	if (s->feed_due)
		return;
	s->feed_due = true;
	loop_later(s->relay->c->loop, &s->feed);
}

void site_open(struct relay_site *s)
{
	open_next(s);
}

static void site_timer(struct timer *t)
{
	struct relay_site *s = site_of_timer(t);

	if (s->relay->closing)
		return;
	if (s->up)
		site_feed_later(s);
	else if (s->sessions_n == 0 && !site_is_mx(s))
		open_next(s);
}

void site_uncount(struct relay_session *x)
{
	if (x->counted)
		x->site->ready_n--;
	x->counted = false;
}

unsigned site_host_of(const struct relay_session *x)
{
	const struct relay_site *s = x->site;
	unsigned i = 0;

	while (i < s->hosts_n &&
		(strcmp(s->hosts[i].at, x->to.at) != 0 || s->hosts[i].port != x->to.port ||
			strcmp(s->hosts[i].name, x->to.name) != 0))
		i++;
	return i;
}

void site_session_ready(struct relay_session *x)
{
	struct relay_site *s = x->site;
	unsigned host = site_host_of(x);

	s->ready_n++;
	s->up = s->proven = true;
	s->failed_hosts = 0;
	if (host < s->hosts_n && s->turn != host) {
		s->turn = host;
		s->turn_until = loop_now(s->relay->c->loop) + TURN_LIFE;
	}
	if (s->ready_n == s->sessions_n || s->not_before <= loop_now(s->relay->c->loop))
		s->why[0] = '\0';
	backoff_reset(&s->refused);
	relay_announce(s->relay);
	post_feed(x);
}

void site_plan_next(struct relay_site *s, const char *why, bool refused)
{
	const struct relay_conf *conf = relay_settings(s->relay);
	struct backoff *b = refused ? &s->refused : &s->broken;
	bool news = strcmp(s->why, why) != 0;
	unsigned held;
	dur_t wait;

	if (s->not_before > loop_now(s->relay->c->loop) && !news)
		return; /* several connections tell of one and the same */
	b->first = refused ? conf->refused_first : conf->reconnect_first;
	b->most = refused ? conf->refused_most : conf->reconnect_most;
	b->factor = 2;
	wait = backoff_next(b);
	s->not_before = loop_now(s->relay->c->loop) + wait;
	s->proven = false;
	timer_set(s->relay->c->loop, &s->timer, s->not_before);
	str_copy(s->why, sizeof s->why, str_of(why));
	if (news)
		s->quiet.next = 0;
	if (log_due(&s->quiet, &held))
		log_warn("mail server connection down", F_STR("channel", s->relay->c->name),
			F_STR("domain", s->domain), F_STR("why", why), F_DUR("again_in", wait),
			F_U64("more", held));
}

/* What waits goes back. Of a domain the first has been tried by this, and the others have not. */
void site_fail(struct relay_site *s, enum reason reason, const char *status, const char *why)
{
	struct relay_job *j = site_is_mx(s) ? site_take(s) : NULL;

	if (j) {
		struct outcome o = relay_failed(REASON_TEMPORARY, status, "%s", why);

		job_done_later(j, &o);
	}
	site_give_back(s, reason, why);
}

/* Hosts in a row before it is given up for a while. */
static unsigned tries(const struct relay_site *s)
{
	return s->hosts_n < TRIES_MOST ? s->hosts_n : TRIES_MOST;
}

void site_session_failed(struct relay_session *x, const char *why, bool refused)
{
	struct relay_site *s = x->site;
	struct relay *r = s->relay;
	bool early = x->state < SESSION_READY, worked = x->done != 0;
	bool login = x->login, next = false;
	unsigned host = site_host_of(x);
	char words[240];

	str_copy(words, sizeof words, str_of(why));
	site_uncount(x);
	x->state = SESSION_OVER;
	if (r->closing || (!early && worked)) {
		/* What had worked will work again. */
	} else if (early && host == s->turn && ++s->failed_hosts < tries(s)) {
		s->turn = (host + 1) % s->hosts_n;
		s->turn_until = loop_now(r->c->loop) + TURN_LIFE;
		next = true;
	} else {
		s->failed_hosts = 0;
		site_plan_next(s, words, refused);
		if (s->ready_n == 0 && connecting(s) == 0)
			s->up = false;
	}
	/* First, so that what is given back does not come again at once. */
	relay_announce(r);
	post_lost(x, words);
	peer_free(x);
	if (r->closing) {
		relay_check_closed(r);
		return;
	}
	relay_serve_starved(r);
	if (next) {
		log_info("next mail server", F_STR("channel", r->c->name), F_STR("why", words),
			F_STR("next", s->hosts[s->turn].name));
		open_next(s);
	} else if (s->up) {
		if (s->waiting_n)
			site_feed_later(s);
	} else {
		site_fail(s, login ? REASON_NOT_BOUND : REASON_DOWN, "4.4.1", words);
	}
}

void site_session_over(struct relay_session *x)
{
	struct relay_site *s = x->site;

	peer_free(x);
	if (s->relay->closing) {
		relay_check_closed(s->relay);
		return;
	}
	relay_announce(s->relay);
	relay_serve_starved(s->relay);
	if (s->waiting_n)
		site_feed_later(s);
}

void site_leave(struct relay_site *s)
{
	timer_cancel(s->relay->c->loop, &s->timer);
	list_each_safe (it, &s->sessions)
		peer_leave(CONTAINER(it, struct relay_session, link));
}

/* ---- itself ---- */

struct relay_site *site_new(struct relay *r, struct str domain)
{
	struct relay_site *s = mem_new(struct relay_site);

	s->relay = r;
	s->domain = mem_dup(domain);
	list_init(&s->sessions);
	list_init(&s->waiting);
	s->feed.run = feed_run;
	s->timer.fire = site_timer;
	list_append(&r->sites, &s->link);
	str_copy(s->why, sizeof s->why, STR("not connected yet"));
	return s;
}

void site_hosts_free(struct relay_site *s)
{
	for (unsigned i = 0; i < s->hosts_n; i++)
		tls_client_free(&s->hosts[i].tls);
	mem_free(&s->hosts);
	s->hosts_n = 0;
}

void site_free(struct relay_site **sp)
{
	struct relay_site *s = *sp;

	CHECK(s->jobs_n == 0 && s->sessions_n == 0);
	timer_cancel(s->relay->c->loop, &s->timer);
	site_unroute(s);
	site_hosts_free(s);
	list_remove(&s->link);
	mem_free(&s->domain);
	mem_free(sp);
}

void site_renew(struct relay_site *s)
{
	struct relay *r = s->relay;

	if (s != r->smart) {
		s->routed_until = 0; /* the way is looked up again, with the new */
		return;
	}
	for (unsigned i = 0; i < s->hosts_n && r->tls; i++) {
		tls_client_free(&s->hosts[i].tls);
		s->hosts[i].tls =
			i ? tls_client_named(r->tls, s->hosts[i].name) : tls_client_ref(r->tls);
	}
}

void site_take_smarthost(struct relay_site *s)
{
	struct relay *r = s->relay;
	const struct relay_link_conf *l = &relay_settings(r)->link;
	uint16_t usual = l->port ? l->port : l->tls.mode == RELAY_TLS_IMPLICIT ? 465 : 25;

	s->hosts_n = 1 + (unsigned)l->backup_n;
	s->hosts = mem_alloc(s->hosts_n * sizeof *s->hosts);
	for (unsigned i = 0; i < s->hosts_n; i++) {
		struct relay_host *h = &s->hosts[i];
		struct str at = str_of(i ? l->backup[i - 1] : l->host), name;
		uint16_t port;

		h->port = usual;
		if (i && addr_split(at, &name, &port)) {
			h->port = port;
			at = name;
		}
		str_copy(h->name, sizeof h->name, at);
		str_copy(h->at, sizeof h->at, at);
		h->mode = l->tls.mode;
		h->trust = r->tls && relay_verifies(l) ? "ca" : "";
		if (r->tls)
			h->tls = i ? tls_client_named(r->tls, h->name) : tls_client_ref(r->tls);
	}
}
