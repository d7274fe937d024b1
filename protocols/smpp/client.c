/* A channel that binds to an SMSC, as the gateway sees it: its window, its opening and closing,
 * new settings, and what it tells of itself. The channel's loop.
 *
 * The window announced is that of all bound sessions that may send; with none it is 0 and the words
 * say why. Sessions look after themselves (client_session.c).
 */
#include "protocols/smpp/client.h"
#include "gateway/base/mem.h"

/* ---- the window ---- */

bool link_sends(const struct client_session *s)
{
	return s->state == LINK_BOUND && s->kind != BIND_RECEIVER;
}

void client_announce(struct client *cl)
{
	unsigned bound = 0, senders = 0, may_send = 0, window;
	struct err why = { 0 };
	const char *words = NULL;

	for (unsigned i = 0; i < cl->sessions; i++) {
		const struct client_session *s = &cl->session[i];

		senders += link_sends(s);
		may_send += s->kind != BIND_RECEIVER;
		bound += s->state == LINK_BOUND;
		if (s->state != LINK_BOUND && (!words || s->kind != BIND_RECEIVER))
			words = s->why;
	}
	stat_set(&cl->stats.bound, bound);
	if (cl->closing)
		return;
	window = senders * (unsigned)cl->c->conf->window;
	if (!may_send)
		err_set(&why, ERR_ENV, "bound as a receiver, it does not send%s%s",
			words ? "; " : "", words ? words : "");
	else if (words && bound)
		err_set(&why, ERR_ENV, "%u of %u connections are bound: %s", bound, cl->sessions,
			words);
	else if (words)
		err_set(&why, ERR_ENV, "%s", words);
	if (cl->announced && window == cl->window &&
		strncmp(why.text, cl->why, sizeof cl->why - 1) == 0)
		return;
	cl->announced = true;
	cl->window = window;
	str_copy(cl->why, sizeof cl->why, str_of(why.text));
	channel_window(cl->c, window, why.text[0] ? &why : NULL);
}

/* ---- opening and closing ---- */

static void stats_register(struct client *cl)
{
	struct client_stats *t = &cl->stats;
	const char *n = cl->c->name;

	for (int i = 0; i <= SMPP_CLASS_VENDOR; i++)
		stat_register(&t->resp[i], STAT_COUNTER, "postern_smpp_responses_total",
			"Answers to submit_sm by class of their status.", "channel", n, "class",
			smpp_class_name((enum smpp_class)i), NULL);
#define C(field, kind, name, help) \
	stat_register(&t->field, kind, "postern_smpp_" name, help, "channel", n, NULL)
	C(late, STAT_COUNTER, "responses_late_total", "Answers that came after their time.");
	C(connects, STAT_COUNTER, "connects_total", "Connections tried.");
	C(refused, STAT_COUNTER, "binds_refused_total", "Binds that the SMSC refused.");
	C(unmapped, STAT_COUNTER, "statuses_unmapped_total",
		"Answers with a status that neither the standard nor the settings know.");
	C(unreadable, STAT_COUNTER, "receipts_unreadable_total",
		"Receipts without a message id or a state.");
	C(alerts, STAT_COUNTER, "alerts_total", "alert_notification from the SMSC.");
	C(busy, STAT_COUNTER, "deliveries_put_off_total",
		"deliver_sm answered \"later\" because too many were unanswered.");
	C(bound, STAT_GAUGE, "bound", "Sessions that are bound.");
#undef C
	wire_stats_register(&cl->wire_stats, "channel", n);
}

static void stats_unregister(struct client *cl)
{
	struct stat_cell *all = (struct stat_cell *)&cl->stats;

	for (size_t i = 0; i < sizeof cl->stats / sizeof *all; i++)
		stat_unregister(&all[i]);
	wire_stats_unregister(&cl->wire_stats);
}

static void tls_free(struct client *cl)
{
	for (unsigned i = 0; cl->tls && i < cl->hosts; i++)
		tls_client_free(&cl->tls[i]);
	mem_free(&cl->tls);
}

static int tls_make(struct client *cl, const struct tls_conf *conf, struct err *e)
{
	unsigned n = cl->hosts = client_hosts(cl);
	char host[256];
	uint16_t port;

	if (!conf->given)
		return 0;
	cl->tls = mem_alloc(n * sizeof *cl->tls);
	for (unsigned i = 0; i < n; i++) {
		client_host(cl, i, host, &port);
		cl->tls[i] = i ? tls_client_named(cl->tls[0], host) : tls_client_new(conf, host, e);
		if (!cl->tls[i]) {
			tls_free(cl);
			return -1;
		}
	}
	if (!conf->verify)
		log_warn("certificates are not checked", F_STR("channel", cl->c->name),
			F_STR("why", "tls.verify = false"));
	return 0;
}

int client_open(struct channel *c, struct err *e)
{
	struct client *cl = c->self;
	uint32_t births = cl->births;
	unsigned n = (unsigned)c->conf->connections;

	*cl = (struct client){ .c = c, .births = births };
	if (tls_make(cl, &client_settings(cl)->link.tls, e) != 0) {
		cl->c = NULL;
		return -1;
	}
	list_init(&cl->returns);
	client_tables_make(&cl->tables, client_settings(cl));
	msgid_learner_init(&cl->learner, (enum msgid_form)client_settings(cl)->id_form);
	stats_register(cl);
	if (client_settings(cl)->link.bind == BIND_BOTH)
		n *= 2;
	cl->session = mem_alloc(n * sizeof *cl->session);
	cl->sessions = n;
	for (unsigned i = 0; i < n; i++)
		link_init(&cl->session[i], cl, i);
	for (unsigned i = 0; i < n; i++)
		link_start(&cl->session[i]);
	client_announce(cl);
	return 0;
}

static void closed(struct letter *l)
{
	struct client *cl = CONTAINER(l, struct client, returner);
	struct channel *c = cl->c;

	send_flush_returns(cl);
	for (unsigned i = 0; i < cl->sessions; i++)
		link_free(&cl->session[i]);
	mem_free(&cl->session);
	cl->sessions = 0;
	stats_unregister(cl);
	tls_free(cl);
	client_tables_free(&cl->tables);
	send_pool_free(cl);
	mem_free(&cl->refs);
	buf_free(&cl->scratch);
	buf_free(&cl->validity);
	cl->c = NULL;
	channel_closed(c);
}

void client_session_over(struct client_session *s)
{
	struct client *cl = s->client;

	for (unsigned i = 0; i < cl->sessions; i++)
		if (cl->session[i].state != LINK_OVER)
			return;
	/* From here on nothing can be returned any more. */
	cl->returner.run = closed;
	if (!cl->returner_due) {
		cl->returner_due = true;
		loop_later(cl->c->loop, &cl->returner);
	}
}

void client_close(struct channel *c, dur_t grace)
{
	struct client *cl = c->self;
	dur_t most = 5 * DUR_S;

	if (!cl->c) { /* it never opened */
		channel_closed(c);
		return;
	}
	if (grace < 3 * most)
		most = grace / 3;
	cl->unbind_most = most;
	channel_window(c, 0, NULL);
	cl->closing = true;
	for (unsigned i = 0; i < cl->sessions; i++)
		link_leave(&cl->session[i], grace - most, "the channel closes");
}

/* ---- reload ---- */

/* Certificates that were renewed: what is bound stays, what connects from now on takes them. */
static int tls_renew(struct client *cl, const struct tls_conf *conf)
{
	struct tls_client **before = cl->tls;
	struct err e;

	cl->tls = NULL;
	if (tls_make(cl, conf, &e) != 0) {
		log_error("certificate not taken over", F_STR("channel", cl->c->name), F_ERR(&e));
		cl->tls = before;
		return -1;
	}
	for (unsigned i = 0; i < cl->hosts; i++)
		tls_client_free(&before[i]);
	mem_free(&before);
	return 0;
}

int client_adopt(struct channel *c, const void *v)
{
	const struct client_conf *conf = v;
	struct client *cl = c->self;
	struct client_link_conf link = conf->link;

	if (!cl->c || cl->closing)
		return -1;
	tls_conf_take_files(&link.tls, &client_settings(cl)->link.tls);
	if (!conf_equal(client_link_rows, &client_settings(cl)->link, &link))
		return -1;
	if (!conf_equal(client_link_rows, &link, &conf->link) &&
		tls_renew(cl, &conf->link.tls) != 0)
		return -1;
	if (conf->id_form != client_settings(cl)->id_form)
		msgid_learner_init(&cl->learner, (enum msgid_form)conf->id_form);
	client_tables_free(&cl->tables);
	client_tables_make(&cl->tables, conf);
	for (unsigned i = 0; i < cl->sessions; i++) {
		struct wire *w = &cl->session[i].wire;

		if (cl->session[i].state < LINK_BOUND)
			continue;
		w->answer_most = conf->response_timeout;
		w->enquire_after = conf->enquire_link;
		w->enquire_most = conf->enquire_timeout;
	}
	return 0;
}

/* ---- for people ---- */

static const char *state_name(enum link_state st)
{
	static const char *const names[] = { "waiting", "connecting", "binding", "bound", "leaving",
		"unbinding", "closed" };

	return names[st];
}

void client_describe(const struct channel *c, struct buf *b)
{
	const struct client *cl = c->self;
	enum msgid_form form;
	unsigned bound = 0;

	if (!cl->c) {
		buf_c(b, "\"sessions\":[]");
		return;
	}
	form = msgid_learner_form(&cl->learner);
	for (unsigned i = 0; i < cl->sessions; i++)
		bound += cl->session[i].state == LINK_BOUND;
	buf_printf(b, "\"bound\":%u,\"id_form\":\"%s%s\",\"late_answers\":%lu,", bound,
		msgid_form_name(form),
		cl->learner.configured == MSGID_AUTO && form != MSGID_AUTO ? " (learned)" : "",
		stat_get(&cl->stats.late));
	buf_printf(b,
		"\"timeouts\":%lu,\"stray_answers\":%lu,\"connects\":%lu,\"binds_refused\":%lu,"
		"\"unmapped_statuses\":%lu,\"unreadable_receipts\":%lu,\"answers\":{",
		stat_get(&cl->wire_stats.timeouts), stat_get(&cl->wire_stats.stray),
		stat_get(&cl->stats.connects), stat_get(&cl->stats.refused),
		stat_get(&cl->stats.unmapped), stat_get(&cl->stats.unreadable));
	for (int i = 0; i <= SMPP_CLASS_VENDOR; i++)
		buf_printf(b, "%s\"%s\":%lu", i ? "," : "", smpp_class_name((enum smpp_class)i),
			stat_get(&cl->stats.resp[i]));
	buf_c(b, "},\"sessions\":[");
	for (unsigned i = 0; i < cl->sessions; i++) {
		const struct client_session *s = &cl->session[i];

		buf_printf(b, "%s{\"state\":\"%s\",\"as\":\"%s\",\"unanswered\":%u,\"peer\":",
			i ? "," : "", state_name(s->state), client_bind_name(s->kind),
			s->wire.unanswered);
		buf_json(b, str_of(wire_peer(&s->wire)));
		if (s->state >= LINK_BOUND && s->state < LINK_OVER) {
			buf_c(b, ",\"smsc\":");
			buf_json(b, str_of(s->far_id));
			buf_c(b, ",\"since\":\"");
			clock_put_rfc3339(b, s->since);
			buf_c(b, "\",\"tls\":");
			buf_json(b, str_of(stream_cipher(s->wire.stream)));
			if (s->far_version)
				buf_printf(b, ",\"version\":\"%u.%u\"", s->far_version >> 4,
					s->far_version & 15);
		}
		buf_c(b, ",\"why\":");
		buf_json(b, str_of(s->why));
		buf_char(b, '}');
	}
	buf_char(b, ']');
}
