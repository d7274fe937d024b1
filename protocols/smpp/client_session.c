/* One connection of a channel to its SMSC: connect, bind, stay alive, unbind, come back, for ever.
 * The channel's loop.
 *
 * Whatever ends it, a session tries again, with jitter and growing waits; refused binds wait longer
 * than broken connections, and nothing stops it for good (an SMSC in maintenance answers "wrong
 * password"). The reason stands in `why` for the operator and is logged, the same one once a
 * minute at most.
 */
#include "protocols/smpp/client.h"

#include <stdio.h>

#define STABLE_AFTER (10 * DUR_S) /* bound for so long: the next failure is a first one */
#define LINGER       (2 * DUR_S)

static const struct wire_events link_events;
static void link_timer(struct timer *t);

static struct client_session *link_of(struct wire *w)
{
	return (struct client_session *)w;
}

unsigned client_hosts(const struct client *cl)
{
	return 1 + (unsigned)client_settings(cl)->link.backup_n;
}

void client_host(const struct client *cl, unsigned i, char host[256], uint16_t *port_r)
{
	const struct client_link_conf *l = &client_settings(cl)->link;
	struct str s = str_of(i ? l->backup[i - 1] : l->host), name;
	uint16_t port;

	*port_r = l->port;
	if (i && addr_split(s, &name, &port)) {
		*port_r = port;
		s = name;
	}
	str_copy(host, 256, s);
}

void link_init(struct client_session *s, struct client *cl, unsigned index)
{
	const struct client_conf *conf = client_settings(cl);

	s->client = cl;
	s->index = index;
	s->kind = (enum client_bind)conf->link.bind;
	if (conf->link.bind == BIND_BOTH)
		s->kind = index % 2 ? BIND_RECEIVER : BIND_TRANSMITTER;
	s->timer.fire = link_timer;
	s->state = LINK_WAITS;
	list_init(&s->jobs);
	list_init(&s->tombs);
	s->wire.ev = &link_events;
	s->wire.owner = s;
	s->wire.stats = &cl->wire_stats;
	str_copy(s->why, sizeof s->why, STR("not connected yet"));
}

/* ---- the end of a connection, and the next try ---- */

static void link_retry_in(struct client_session *s, dur_t wait)
{
	s->state = LINK_WAITS;
	timer_in(s->client->c->loop, &s->timer, wait);
}

/* words: for the operator. Gives back what was in flight, closes, and plans the next try. */
static void link_lost(struct client_session *s, const char *words, struct backoff *backoff)
{
	struct client *cl = s->client;
	const struct client_conf *conf = client_settings(cl);
	bool leaving = cl->closing;
	bool news = strcmp(s->why, words) != 0;
	unsigned held;
	dur_t wait;

	if (words != s->why)
		str_copy(s->why, sizeof s->why, str_of(words));
	if (s->was_bound) {
		if (loop_now(cl->c->loop) - s->bound_at >= STABLE_AFTER)
			backoff_reset(&s->broken);
		backoff_reset(&s->refused);
	}
	s->state = LINK_WAITS;
	s->birth = 0;
	s->heard = 0;
	client_announce(cl); /* first, so that what is given back does not come again at once */
	send_lost(s, leaving ? REASON_STOPPING : REASON_DOWN, words);
	wire_close(&s->wire, LINGER);
	send_tombs_free(s);
	if (leaving) {
		s->state = LINK_OVER;
		timer_cancel(cl->c->loop, &s->timer);
		client_session_over(s);
		return;
	}
	if (!s->was_bound)
		s->turn = (s->turn + 1) % client_hosts(cl);
	s->was_bound = false;
	backoff->first = backoff == &s->refused ? conf->refused_first : conf->reconnect_first;
	backoff->most = backoff == &s->refused ? conf->refused_most : conf->reconnect_most;
	backoff->factor = 2;
	wait = backoff_next(backoff);
	if (news)
		s->quiet.next = 0;
	if (log_due(&s->quiet, &held))
		log_warn("smsc connection down", F_STR("channel", cl->c->name),
			F_U64("connection", s->index + 1), F_STR("why", words),
			F_DUR("again_in", wait), F_U64("more", held));
	link_retry_in(s, wait);
}

static void link_broken(struct client_session *s, const char *words)
{
	link_lost(s, words, &s->broken);
}

/* ---- beginning ---- */

void link_start(struct client_session *s)
{
	struct client *cl = s->client;
	const struct client_conf *conf = client_settings(cl);
	struct wire *w = &s->wire;
	char host[256];
	uint16_t port;

	client_host(cl, s->turn, host, &port);
	s->state = LINK_CONNECTS;
	s->birth = ++cl->births;
	w->cap = PDU_CAP;
	w->decode = PDU_LENIENT | PDU_LONG_NAMES | (conf->link.version >= SMPP_V50 ? PDU_V50 : 0);
	w->answer_most = conf->bind_timeout;
	w->enquire_after = 0;
	w->enquire_most = conf->enquire_timeout;
	stat_inc(&cl->stats.connects);
	wire_connect(w, cl->c->loop, host, port, conf->link.source[0] ? conf->link.source : NULL,
		cl->tls ? cl->tls[s->turn] : NULL, conf->bind_timeout);
}

static void link_opened(struct wire *w)
{
	static const uint32_t commands[] = { [BIND_TRANSCEIVER] = SMPP_BIND_TRANSCEIVER,
		[BIND_TRANSMITTER] = SMPP_BIND_TRANSMITTER,
		[BIND_RECEIVER] = SMPP_BIND_RECEIVER };
	struct client_session *s = link_of(w);
	const struct client_link_conf *l = &client_settings(s->client)->link;
	struct pdu_bind bind = {
		.system_id = str_of(l->system_id),
		.password = str_of(l->password),
		.system_type = str_of(l->system_type),
		.interface_version = (uint8_t)l->version,
		.addr_ton = l->range_ton,
		.addr_npi = l->range_npi,
		.address_range = str_of(l->address_range),
	};
	uint32_t sequence = wire_expect(w, commands[s->kind], NULL);
	uint32_t status = pdu_put_bind(wire_out(w), commands[s->kind], sequence, &bind);

	CHECK(status == ESME_ROK); /* lengths were checked with the settings */
	wire_wrote(w, 1);
	s->state = LINK_BINDS;
}

static void link_bound(struct client_session *s, const struct pdu *p)
{
	struct client *cl = s->client;
	struct wire *w = &s->wire;
	uint8_t version = 0;

	s->state = LINK_BOUND;
	s->was_bound = true;
	s->bound_at = loop_now(cl->c->loop);
	s->since = clock_wall();
	s->why[0] = '\0';
	s->quiet = (struct log_quiet){ 0 };
	pdu_tlv_u8(p, TLV_SC_INTERFACE_VERSION, &version);
	s->far_version = version;
	str_copy(s->far_id, sizeof s->far_id,
		str_utf8_valid(p->resp.system_id) ? p->resp.system_id : STR_NONE);
	w->answer_most = client_settings(cl)->response_timeout;
	w->enquire_after = client_settings(cl)->enquire_link;
	log_info("bound", F_STR("channel", cl->c->name), F_U64("connection", s->index + 1),
		F_STR("as", client_bind_name(s->kind)), F_STR("peer", wire_peer(w)),
		F_STR("tls", stream_cipher(w->stream)));
	client_announce(cl);
	send_feed(s);
}

static void bind_answered(struct client_session *s, const struct pdu *p)
{
	char words[240];

	if (p->status == ESME_ROK && p->command != SMPP_GENERIC_NACK) {
		link_bound(s, p);
		return;
	}
	stat_inc(&s->client->stats.refused);
	client_bind_words(words, sizeof words, p, s->kind);
	link_lost(s, words, &s->refused);
}

/* ---- what comes ---- */

static enum wire_verdict link_request(struct wire *w, const struct pdu *p)
{
	struct client_session *s = link_of(w);
	struct client *cl = s->client;

	switch (p->command) {
	case SMPP_DELIVER_SM:
	case SMPP_DATA_SM:
		client_heard(s, p);
		break;
	case SMPP_ALERT_NOTIFICATION: /* has no response */
		stat_inc(&cl->stats.alerts);
		break;
	case SMPP_OUTBIND: /* an invitation to bind; we have */
		break;
	case SMPP_UNBIND:
		pdu_put_header(wire_out(w), SMPP_UNBIND | SMPP_RESP, ESME_ROK, p->sequence);
		wire_wrote(w, 1);
		link_broken(s, "the SMSC unbound");
		break;
	default:
		pdu_put_refusal(wire_out(w), p, ESME_RINVCMDID);
		wire_wrote(w, 1);
		log_debug("request that no SMSC sends", F_STR("channel", cl->c->name),
			F_STR("command", smpp_command_name(p->command)));
	}
	return WIRE_DONE;
}

static void link_response(struct wire *w, const struct pdu *p, void *token)
{
	struct client_session *s = link_of(w);

	if (token)
		send_answered(s, p, token);
	else if (s->state == LINK_BINDS)
		bind_answered(s, p);
	else
		link_broken(s, s->why[0] ? s->why : "unbound");
}

static void link_stray(struct wire *w, const struct pdu *p)
{
	send_stray(link_of(w), p);
}

static void link_timeout(struct wire *w, uint32_t sequence, uint32_t command, void *token)
{
	struct client_session *s = link_of(w);

	if (token)
		send_timeout(s, sequence, token);
	else if (s->state == LINK_BINDS) /* unbind has a timer of its own */
		link_broken(s, "no answer to the bind");
}

static void link_refused(struct wire *w, const struct pdu *p, uint32_t status)
{
	struct client_session *s = link_of(w);
	unsigned held;

	if (log_due(&s->client->quiet_bug, &held))
		log_warn("PDU not understood", F_STR("channel", s->client->c->name),
			F_STR("command", smpp_command_name(p->command)),
			F_STR("field", p->fault ? p->fault : ""),
			F_STR("answered", smpp_status_name(status)), F_U64("more", held));
}

static void link_drained(struct wire *w)
{
	send_feed(link_of(w));
}

static void link_down(struct wire *w, const struct err *why)
{
	struct client_session *s = link_of(w);
	char words[240], host[256];
	uint16_t port;

	if (s->state == LINK_CONNECTS) {
		client_host(s->client, s->turn, host, &port);
		snprintf(words, sizeof words, "cannot connect to %.100s:%u: %.100s", host, port,
			why->text);
	} else if (s->state == LINK_BINDS) {
		snprintf(words, sizeof words, "closed before the bind was answered: %.150s",
			why->text);
	} else if (s->state == LINK_UNBINDS) {
		snprintf(words, sizeof words, "%s", s->why[0] ? s->why : "unbound");
	} else {
		snprintf(words, sizeof words, "connection lost: %.200s", why->text);
	}
	link_broken(s, words);
}

static const struct wire_events link_events = {
	.open = link_opened,
	.request = link_request,
	.response = link_response,
	.stray = link_stray,
	.timeout = link_timeout,
	.refused = link_refused,
	.drained = link_drained,
	.down = link_down,
};

/* ---- leaving ---- */

static void link_unbind(struct client_session *s)
{
	struct wire *w = &s->wire;
	uint32_t sequence = wire_expect(w, SMPP_UNBIND, NULL);

	pdu_put_header(wire_out(w), SMPP_UNBIND, ESME_ROK, sequence);
	wire_wrote(w, 1);
	s->state = LINK_UNBINDS;
	timer_in(s->client->c->loop, &s->timer, s->client->unbind_most);
}

/* Nothing is in flight in either direction any more. */
void link_idle(struct client_session *s)
{
	if (s->state == LINK_LEAVES && s->wire.unanswered == 0 && s->heard == 0)
		link_unbind(s);
}

void link_leave(struct client_session *s, dur_t patience, const char *why)
{
	struct client *cl = s->client;

	switch (s->state) {
	case LINK_BOUND:
		break;
	case LINK_LEAVES:
	case LINK_UNBINDS: /* leaving already, perhaps with more time than there now is */
		if (cl->closing && s->timer.at > loop_now(cl->c->loop) + patience + cl->unbind_most)
			timer_in(cl->c->loop, &s->timer, patience);
		return;
	default:
		link_close_now(s);
		return;
	}
	str_copy(s->why, sizeof s->why, str_of(why));
	s->state = LINK_LEAVES;
	client_announce(cl);
	send_stop(s, cl->closing ? REASON_STOPPING : REASON_DOWN);
	timer_in(cl->c->loop, &s->timer, patience);
	link_idle(s);
}

void link_close_now(struct client_session *s)
{
	if (s->state != LINK_OVER)
		link_broken(s, s->why[0] ? s->why : "closed");
}

static void link_timer(struct timer *t)
{
	struct client_session *s = CONTAINER(t, struct client_session, timer);

	switch (s->state) {
	case LINK_WAITS:
		link_start(s);
		break;
	case LINK_LEAVES:
		link_unbind(s);
		break;
	case LINK_UNBINDS:
		link_broken(s, s->why[0] ? s->why : "unbind was not answered");
		break;
	default:
		break;
	}
}

void link_free(struct client_session *s)
{
	timer_cancel(s->client->c->loop, &s->timer);
	wire_close(&s->wire, 0);
	send_tombs_free(s);
}
