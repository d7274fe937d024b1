/* A channel that hands mails to other servers, as the gateway sees it: opening and closing, its
 * window, new settings, and what it tells of itself. The channel's loop.
 *
 * The smarthost's window is open as long as its connections work, also while none is open because
 * there is nothing to send; when connecting fails it is 0, and connecting is tried on until it
 * works.
 */
#include "protocols/smtp/client.h"
#include "gateway/base/mem.h"

#include <unistd.h>

/* ---- giving back ---- */

struct returned {
	struct list link;
	struct delivery *d;
	struct outcome o;
};

static void returns_flush(struct relay *r)
{
	struct returned *x;

	while ((x = list_first(&r->returns, struct returned, link))) {
		list_remove(&x->link);
		delivery_done(x->d, &x->o);
		mem_free(&x);
	}
}

static void returns_run(struct letter *l)
{
	struct relay *r = CONTAINER(l, struct relay, returner);

	r->returner_due = false;
	returns_flush(r);
	if (r->closing)
		relay_check_closed(r);
}

static void returner_wake(struct relay *r)
{
	if (r->returner_due)
		return;
	r->returner_due = true;
	r->returner.run = returns_run;
	loop_later(r->c->loop, &r->returner);
}

static struct delivery *job_end(struct relay_job *j)
{
	struct delivery *d = j->d;

	list_remove(&j->link);
	if (j->site)
		j->site->jobs_n--;
	j->relay->jobs--;
	if (j->text.mended)
		stat_inc(&j->relay->stats.mended);
	d->token = NULL;
	job_content_free(j);
	mem_free(&j);
	return d;
}

void job_done(struct relay_job *j, const struct outcome *o)
{
	struct relay *r = j->relay;
	struct outcome copy = *o; /* it may be the job's own */

	if (j->site)
		site_soften(j->site, &copy);
	delivery_done(job_end(j), &copy);
	if (r->closing)
		returner_wake(r);
}

void job_done_later(struct relay_job *j, const struct outcome *o)
{
	struct relay *r = j->relay;
	struct returned *x = mem_new(struct returned);

	x->o = *o;
	if (j->site)
		site_soften(j->site, &x->o);
	x->d = job_end(j);
	list_append(&r->returns, &x->link);
	returner_wake(r);
}

/* ---- the window ---- */

void relay_announce(struct relay *r)
{
	const struct relay_site *s = r->smart;
	struct err why = { 0 };
	unsigned window = 0;

	if (r->closing || !s)
		return; /* straight to MX: always open, no domain speaks for all */
	if (s->up)
		window = relay_most(r) * (unsigned)r->c->conf->window;
	if (s->why[0])
		err_set(&why, ERR_ENV, "%s", s->why);
	stat_set(&r->stats.ready, s->ready_n);
	if (r->announced && window == r->window &&
		strncmp(why.text, r->why, sizeof r->why - 1) == 0)
		return;
	r->announced = true;
	r->window = window;
	str_copy(r->why, sizeof r->why, str_of(why.text));
	channel_window(r->c, window, why.text[0] ? &why : NULL);
}

/* ---- opening ---- */

static void stats_register(struct relay *r)
{
	struct relay_stats *t = &r->stats;
	const char *n = r->c->name;

#define C(field, kind, name, help) \
	stat_register(&t->field, kind, "postern_smtp_" name, help, "channel", n, NULL)
	C(connects, STAT_COUNTER, "connects_total", "Connections tried.");
	C(refused, STAT_COUNTER, "connections_refused_total",
		"Connections that the server ended by words before a mail.");
	C(ready, STAT_GAUGE, "connections_ready", "Connections that can take mails.");
	C(lost, STAT_COUNTER, "connections_lost_total",
		"Connections that broke with mails on them.");
	C(replies4, STAT_COUNTER, "replies_temporary_total", "Mails answered 4xx.");
	C(replies5, STAT_COUNTER, "replies_permanent_total", "Mails answered 5xx.");
	C(late, STAT_COUNTER, "timeouts_total", "Replies that did not come in time.");
	C(injected, STAT_COUNTER, "replies_injected_total",
		"Connections given up because replies came before the TLS handshake.");
	C(mended, STAT_COUNTER, "mails_mended_total", "Mails whose bare CRs or LFs were replaced.");
	C(bdat, STAT_COUNTER, "mails_bdat_total", "Mails sent by BDAT.");
	C(downgraded, STAT_COUNTER, "mails_downgraded_total",
		"Mails made 7-bit for a server without 8BITMIME.");
	C(not_signed, STAT_COUNTER, "dkim_failures_total",
		"Mails put off because no DKIM signature could be made.");
#undef C
}

static void stats_unregister(struct relay *r)
{
	struct relay_stats *t = &r->stats;
	struct stat_cell *all[] = { &t->connects, &t->refused, &t->ready, &t->lost, &t->replies4,
		&t->replies5, &t->late, &t->injected, &t->mended, &t->bdat, &t->downgraded,
		&t->not_signed };

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		stat_unregister(all[i]);
}

static int tls_make(struct relay *r, const struct relay_link_conf *l, struct err *e)
{
	struct tls_conf conf = relay_tls(l);
	struct tls_client *tls;

	if (l->tls.mode == RELAY_TLS_NONE)
		return 0;
	tls = tls_client_new(&conf, l->host, e);
	if (!tls)
		return -1;
	tls_client_free(&r->tls);
	r->tls = tls;
	return 0;
}

void relay_helo(struct relay *r)
{
	const struct relay_link_conf *l = &relay_settings(r)->link;
	const struct mail_conf *mail = r->c->mail;
	char name[256] = "";

	if (l->helo[0])
		str_copy(r->helo, sizeof r->helo, str_of(l->helo));
	else if (mail && mail->hostname && mail->hostname[0])
		str_copy(r->helo, sizeof r->helo, str_of(mail->hostname));
	else if (gethostname(name, sizeof name - 1) == 0 && name[0])
		str_copy(r->helo, sizeof r->helo, str_of(name));
	else
		str_copy(r->helo, sizeof r->helo, STR("localhost"));
}

static void end_fired(struct timer *t);

int relay_open(struct channel *c, struct err *e)
{
	struct relay *r = c->self;

	*r = (struct relay){ .c = c, .end.fire = end_fired };
	list_init(&r->returns);
	list_init(&r->sites);
	if (tls_make(r, &relay_settings(r)->link, e) != 0) {
		r->c = NULL;
		return -1;
	}
	if (relay_settings(r)->dkim_n) {
		r->signer = dkim_signer_new(relay_settings(r)->dkim, relay_settings(r)->dkim_n, e);
		if (!r->signer) {
			tls_client_free(&r->tls);
			r->c = NULL;
			return -1;
		}
	}
	relay_helo(r);
	if (relay_is_mx(relay_settings(r)) && relay_mx_open(r, e) != 0) {
		tls_client_free(&r->tls);
		if (r->signer)
			dkim_signer_free(&r->signer);
		r->c = NULL;
		return -1;
	}
	stats_register(r);
	if (r->dns) {
		r->window = relay_most(r) * (unsigned)c->conf->window;
		channel_window(c, r->window, NULL);
		return 0;
	}
	r->smart = site_new(r, STR_NONE);
	site_take_smarthost(r->smart);
	site_open(r->smart);
	relay_announce(r);
	return 0;
}

/* ---- sending ---- */

void relay_submit(struct channel *c, struct delivery *d)
{
	struct relay *r = c->self;
	struct relay_job *j = mem_new(struct relay_job);

	j->d = d;
	j->relay = r;
	j->fd = -1;
	j->since = loop_now(c->loop);
	d->token = j;
	r->jobs++;
	if (r->closing) {
		j->decided = true;
		j->outcome = outcome_of(REASON_STOPPING);
	} else {
		job_address(j);
	}
	if (j->decided) {
		job_done_later(j, &j->outcome);
		return;
	}
	if (r->smart) {
		j->site = r->smart;
		j->site->jobs_n++;
	} else if (!relay_mx_place(r, j)) {
		return;
	}
	site_submit(j->site, j);
}

/* ---- closing ---- */

static void closed(struct letter *l)
{
	struct relay *r = CONTAINER(l, struct relay, returner);
	struct channel *c = r->c;

	returns_flush(r);
	timer_cancel(c->loop, &r->end);
	relay_mx_close(r);
	while (!list_empty(&r->sites)) {
		struct relay_site *s = list_first(&r->sites, struct relay_site, link);

		site_free(&s);
	}
	r->smart = NULL;
	stats_unregister(r);
	tls_client_free(&r->tls);
	if (r->signer)
		dkim_signer_free(&r->signer);
	relay_mail_unref(&r->mail);
	buf_free(&r->scratch);
	r->c = NULL;
	channel_closed(c);
}

void relay_check_closed(struct relay *r)
{
	if (!r->closing || r->jobs)
		return;
	list_each (it, &r->sites) {
		const struct relay_site *s = CONTAINER(it, struct relay_site, link);

		if (s->sessions_n || s->feed_due)
			return;
	}
	r->returner.run = closed;
	if (!r->returner_due) {
		r->returner_due = true;
		loop_later(r->c->loop, &r->returner);
	}
}

/* The grace is over. */
static void end_fired(struct timer *t)
{
	struct relay *r = CONTAINER(t, struct relay, end);

	list_each_safe (it, &r->sites) {
		struct relay_site *s = CONTAINER(it, struct relay_site, link);

		list_each_safe (at, &s->sessions)
			peer_broken(
				CONTAINER(at, struct relay_session, link), "the channel closes");
	}
	relay_check_closed(r);
}

void relay_close(struct channel *c, dur_t grace)
{
	struct relay *r = c->self;

	if (!r->c) { /* it never opened */
		channel_closed(c);
		return;
	}
	channel_window(c, 0, NULL);
	r->closing = true;
	timer_in(c->loop, &r->end, grace);
	list_each_safe (it, &r->sites) {
		struct relay_site *s = CONTAINER(it, struct relay_site, link);

		site_give_back(s, REASON_STOPPING, "");
		site_leave(s);
	}
	returner_wake(r);
}

/* ---- reload ---- */

/* Do the two differ in what the files of TLS hold, or in nothing? */
static bool link_kept(const struct relay_link_conf *was, const struct relay_link_conf *is)
{
	struct relay_link_conf link = *is;

	link.tls.ca_file = was->tls.ca_file;
	link.tls.cert_file = was->tls.cert_file;
	link.tls.key_file = was->tls.key_file;
	link.tls.ca_hash = was->tls.ca_hash;
	link.tls.cert_hash = was->tls.cert_hash;
	link.tls.key_hash = was->tls.key_hash;
	return conf_equal(relay_link_rows, was, &link);
}

/* Certificates that were renewed: sessions stay, what connects from now on takes them. */
static int tls_renew(struct relay *r, const struct relay_link_conf *l, struct err *e)
{
	if (tls_make(r, l, e) != 0)
		return -1;
	list_each (it, &r->sites)
		site_renew(CONTAINER(it, struct relay_site, link));
	return 0;
}

/* Connections that have carried as many mails as one may now carry take no more, and would be in
 * the way of new ones. */
static void leave_worn(struct relay *r, int most)
{
	if (most == 0)
		return;
	list_each_safe (it, &r->sites) {
		struct relay_site *s = CONTAINER(it, struct relay_site, link);

		list_each_safe (at, &s->sessions) {
			struct relay_session *x = CONTAINER(at, struct relay_session, link);

			if (x->state == SESSION_READY && x->mails >= (unsigned)most)
				peer_leave(x);
		}
	}
}

int relay_adopt(struct channel *c, const void *v)
{
	const struct relay_conf *conf = v;
	struct relay *r = c->self;
	struct dkim_signer *signer = NULL;
	struct err e;

	if (!r->c || r->closing || !link_kept(&relay_settings(r)->link, &conf->link) ||
		!conf_equal(dns_rows, &relay_settings(r)->dns, &conf->dns) ||
		relay_settings(r)->dane != conf->dane ||
		relay_settings(r)->mta_sts != conf->mta_sts ||
		strcmp(relay_settings(r)->mta_sts_endpoint, conf->mta_sts_endpoint) != 0 ||
		relay_verifies(&relay_settings(r)->link) != relay_verifies(&conf->link))
		return -1;
	/* Keys are read again with every change, so that a new one in an old file counts. */
	if (conf->dkim_n) {
		signer = dkim_signer_new(conf->dkim, conf->dkim_n, &e);
		if (!signer)
			return -1;
	}
	if (!conf_equal(relay_link_rows, &relay_settings(r)->link, &conf->link) &&
		tls_renew(r, &conf->link, &e) != 0) {
		if (signer)
			dkim_signer_free(&signer);
		return -1;
	}
	if (r->signer)
		dkim_signer_free(&r->signer);
	r->signer = signer;
	leave_worn(r, conf->messages);
	return 0;
}

/* ---- for people ---- */

static const char *state_name(enum session_state st)
{
	static const char *const names[] = { "connecting", "greeting", "hello", "starttls",
		"handshake", "auth", "ready", "leaving", "over" };

	return names[st];
}

static void describe_session(const struct relay_session *s, struct buf *b)
{
	buf_printf(b, "{\"state\":\"%s\",\"peer\":", state_name(s->state));
	buf_json(b, str_of(s->peer));
	if (s->state >= SESSION_READY) {
		buf_c(b, ",\"server\":");
		buf_json(b, str_of(s->far_name));
		buf_c(b, ",\"since\":\"");
		clock_put_rfc3339(b, s->since);
		buf_c(b, "\",\"tls\":");
		buf_json(b, str_of(s->cipher));
		buf_printf(b,
			",\"verified\":\"%s\",\"pipelining\":%s,\"mails\":%u,\"unanswered\":%u",
			s->tls ? s->to.trust : "", s->pipelining ? "true" : "false", s->mails,
			s->jobs_n);
	}
	buf_char(b, '}');
}

static void describe_site(const struct relay_site *s, struct buf *b)
{
	bool first = true;

	buf_printf(b, "{\"%s\":", s->domain[0] ? "domain" : "host");
	buf_json(b, str_of(s->domain[0] ? s->domain : s->hosts_n ? s->hosts[0].name : ""));
	buf_printf(b, ",\"up\":%s,\"mails\":%u,\"why\":", s->up ? "true" : "false", s->jobs_n);
	buf_json(b, str_of(s->why));
	buf_c(b, ",\"sessions\":[");
	list_each (it, &s->sessions) {
		if (!first)
			buf_char(b, ',');
		first = false;
		describe_session(CONTAINER(it, struct relay_session, link), b);
	}
	buf_c(b, "]}");
}

void relay_describe(const struct channel *c, struct buf *b)
{
	const struct relay *r = c->self;
	unsigned shown = 0;

	if (!r->c) {
		buf_c(b, "\"sites\":[]");
		return;
	}
	buf_printf(b,
		"\"connects\":%lu,\"refused\":%lu,\"lost\":%lu,\"timeouts\":%lu,"
		"\"temporary\":%lu,\"permanent\":%lu,\"sites\":[",
		stat_get(&r->stats.connects), stat_get(&r->stats.refused), stat_get(&r->stats.lost),
		stat_get(&r->stats.late), stat_get(&r->stats.replies4),
		stat_get(&r->stats.replies5));
	list_each (it, &r->sites) {
		if (shown++)
			buf_char(b, ',');
		describe_site(CONTAINER(it, struct relay_site, link), b);
		if (shown == 100)
			break;
	}
	buf_char(b, ']');
}
