/* query_sm, cancel_sm, replace_sm, and submit_sm with replace_if_present: questions and orders
 * about the account's own messages, answered by flow from the store. See server.h.
 */
#include "gateway/base/mem.h"
#include "protocols/smpp/receipt.h"
#include "protocols/smpp/server.h"
#include "protocols/smpp/smpp_time.h"

/* One question on its way. */
struct asking {
	struct ask ask; /* first */
	struct session *s;
	uint32_t command, sequence;
	char shown_id[SERVER_ID];
	/* replace_sm: kept until the old message's coding is known */
	struct str octets; /* owned */
	uint8_t wants, registered;
	wall_t expires, send_at;
	/* replace_if_present */
	struct submit *sub;
	struct message *msg;
};

static void asking_free(struct asking *q)
{
	char *octets = (char *)(uintptr_t)q->octets.p;

	if (q->octets.n)
		mem_free(&octets);
	message_unref(&q->msg);
	mem_free(&q);
}

/* The ESME has its answer, or is gone. */
static void asking_end(struct asking *q)
{
	struct session *s = q->s;

	asking_free(q);
	if (session_is_alive(s)) {
		s->asks--;
		session_answered(s);
	}
	session_release(s);
}

static void finish(struct asking *q, uint32_t status)
{
	struct session *s = q->s;

	if (session_is_alive(s)) {
		if (status != ESME_ROK) {
			session_refuse(s, q->command, q->sequence, status);
		} else {
			pdu_put_header(
				wire_out(&s->wire), q->command | SMPP_RESP, ESME_ROK, q->sequence);
			wire_wrote(&s->wire, 1);
		}
	}
	asking_end(q);
}

/* Which message is meant: by our id in the account's style, or by its short id. */
static bool name_message(struct session *s, struct str id, struct ask *ask)
{
	const struct server_account_conf *c = session_conf(s);
	uint64_t v = 0;

	if (server_id_is_short(s)) {
		str_copy(ask->client_id, sizeof ask->client_id, id);
		str_copy(ask->set, sizeof ask->set, id);
		return id.n > 0;
	}
	if (c->id != ID_HEX) {
		if (!str_u64(id, &ask->id) || !ask->id)
			return false;
		server_id(c, ask->id, ask->set);
		return true;
	}
	if (id.n == 0 || id.n > 16)
		return false;
	for (size_t i = 0; i < id.n; i++) {
		int digit = str_hex_value(id.p[i]);

		if (digit < 0)
			return false;
		v = v << 4 | (unsigned)digit;
	}
	ask->id = v;
	server_id(c, v, ask->set);
	return v != 0;
}

static struct asking *asking_new(
	struct session *s, const struct pdu *p, enum ask_kind kind, void (*done)(struct ask *))
{
	struct asking *q = mem_new(struct asking);

	q->s = s;
	q->command = p->command;
	q->sequence = p->sequence;
	q->ask.kind = kind;
	q->ask.loop = s->srv->l->loop;
	q->ask.done = done;
	str_copy(q->shown_id, sizeof q->shown_id, p->sm.message_id);
	s->pending++;
	s->unanswered++;
	s->asks++;
	return q;
}

/* The source must be the submission's (3.4 §4.8); who leaves it out means any, since the account
 * is asked about its own messages only. */
static bool put_source(struct session *s, const struct pdu *p, struct ask *ask)
{
	if (submit_source(s, &p->sm.source, ask->from) != ESME_ROK)
		return false;
	ask->check_from = ask->from[0] != '\0';
	return true;
}

/* ---- query_sm ---- */

static enum smpp_state wire_state(enum state st)
{
	switch (st) {
	case STATE_DELIVERED:
	case STATE_READ:
		return SMPP_STATE_DELIVERED;
	case STATE_UNDELIVERABLE:
		return SMPP_STATE_UNDELIVERABLE;
	case STATE_EXPIRED:
		return SMPP_STATE_EXPIRED;
	case STATE_REJECTED:
	case STATE_SUPPRESSED:
		return SMPP_STATE_REJECTED;
	case STATE_CANCELLED:
		return SMPP_STATE_DELETED;
	case STATE_UNKNOWN:
		return SMPP_STATE_UNKNOWN;
	default:
		return SMPP_STATE_ENROUTE;
	}
}

static void query_done(struct ask *ask)
{
	struct asking *q = (struct asking *)ask;
	struct session *s = q->s;
	struct buf date = BUF_INIT;
	uint64_t code;

	if (ask->reason != REASON_NONE) {
		finish(q, ask->reason == REASON_STORE ? ESME_RSYSERR : ESME_RQUERYFAIL);
		return;
	}
	if (session_is_alive(s)) {
		struct pdu p = {
			.command = SMPP_QUERY_SM | SMPP_RESP,
			.sequence = q->sequence,
			.resp.message_id = str_of(q->shown_id),
			.resp.message_state = (uint8_t)wire_state(ask->state),
		};

		if (state_is_final(ask->state) && ask->final_at) {
			smpp_time_put_absolute(&date, ask->final_at);
			p.resp.final_date = buf_view(&date);
		}
		if (str_u64(str_of(ask->err), &code) && code <= 255)
			p.resp.error_code = (uint8_t)code;
		pdu_encode(wire_out(&s->wire), &p);
		wire_wrote(&s->wire, 1);
		buf_free(&date);
	}
	asking_end(q);
}

void manage_query(struct session *s, const struct pdu *p)
{
	struct asking *q = asking_new(s, p, ASK_QUERY, query_done);

	if (!name_message(s, p->sm.message_id, &q->ask) || !put_source(s, p, &q->ask))
		finish(q, ESME_RQUERYFAIL);
	else
		account_ask(s->account, &q->ask);
}

/* ---- cancel_sm ---- */

static void cancel_done(struct ask *ask)
{
	struct asking *q = (struct asking *)ask;

	switch (ask->reason) {
	case REASON_NONE:
		finish(q, ESME_ROK);
		break;
	case REASON_STORE:
		finish(q, ESME_RSYSERR);
		break;
	case REASON_NOT_FOUND:
		finish(q, q->shown_id[0] ? ESME_RINVMSGID : ESME_RCANCELFAIL);
		break;
	default:
		finish(q, ESME_RCANCELFAIL);
		break;
	}
}

void manage_cancel(struct session *s, const struct pdu *p)
{
	struct asking *q = asking_new(s, p, ASK_CANCEL, cancel_done);
	bool named = p->sm.message_id.n != 0;

	if (!put_source(s, p, &q->ask)) {
		finish(q, ESME_RINVSRCADR);
		return;
	}
	if (named && !name_message(s, p->sm.message_id, &q->ask)) {
		finish(q, ESME_RINVMSGID);
		return;
	}
	/* Without an id: all that wait with this source and destination (3.4 §4.9). */
	if (!named && submit_dest(s, MEDIA_SMS, &p->sm.dest, q->ask.to) != ESME_ROK) {
		finish(q, ESME_RINVDSTADR);
		return;
	}
	str_copy(q->ask.service_type, sizeof q->ask.service_type, p->sm.service_type);
	account_ask(s->account, &q->ask);
}

/* ---- replace_sm: first what the message is, since the new text is in the old one's coding ---- */

static void replace_done(struct ask *ask)
{
	struct asking *q = (struct asking *)ask;

	switch (ask->reason) {
	case REASON_NONE:
		finish(q, ESME_ROK);
		break;
	case REASON_STORE:
		finish(q, ESME_RSYSERR);
		break;
	case REASON_BAD_TIME:
		finish(q, q->send_at ? ESME_RINVSCHED : ESME_RINVEXPIRY);
		break;
	default:
		finish(q, ESME_RREPLACEFAIL);
		break;
	}
}

static void replace_known(struct ask *ask)
{
	struct asking *q = (struct asking *)ask;
	struct session *s = q->s;
	struct draft *d;

	/* A part's header is in its old text; without it the far end could not join the parts. */
	if (ask->reason != REASON_NONE || !session_is_alive(s) || ask->sms.esm_class & ESM_UDHI) {
		finish(q, ask->reason == REASON_STORE ? ESME_RSYSERR : ESME_RREPLACEFAIL);
		return;
	}
	d = &s->srv->draft;
	d->fields.n = 0;
	d->head = (struct message){ .media = ask->media, .wants = q->wants };
	d->head.expires = q->expires;
	d->head.send_at = q->send_at;
	d->head.sms.registered = q->registered;
	if (submit_content(s, d, ask->media, ask->sms.data_coding, 0, false, q->octets) !=
		ESME_ROK) {
		finish(q, ESME_RREPLACEFAIL);
		return;
	}
	ask->kind = ASK_REPLACE;
	ask->id = ask->found;
	ask->client_id[0] = '\0';
	ask->done = replace_done;
	ask->msg = draft_seal(d);
	account_ask(s->account, ask);
}

void manage_replace(struct session *s, const struct pdu *p)
{
	struct asking *q = asking_new(s, p, ASK_QUERY, replace_known);
	struct str text = pdu_text(p);
	int64_t now = clock_wall(), when;

	if (smpp_time_parse(p->sm.schedule, now, 0, &when) < 0) {
		finish(q, ESME_RINVSCHED);
		return;
	}
	if (p->sm.schedule.n)
		q->send_at = when;
	if (smpp_time_parse(p->sm.validity, now, 0, &when) < 0) {
		finish(q, ESME_RINVEXPIRY);
		return;
	}
	if (p->sm.validity.n)
		q->expires = when;
	q->wants = submit_wants(p->sm.registered);
	q->registered = p->sm.registered;
	if (text.n)
		q->octets = str_n(mem_dup(text), text.n);
	if (!name_message(s, p->sm.message_id, &q->ask) || !put_source(s, p, &q->ask))
		finish(q, ESME_RREPLACEFAIL);
	else
		account_ask(s->account, &q->ask);
}

/* ---- replace_if_present ---- */

static void present_done(struct ask *ask)
{
	struct asking *q = (struct asking *)ask;
	struct submit *sub = q->sub;
	struct session *s = q->s;
	struct answer a = { .id = ask->found, .reason = ask->reason };

	if (session_is_alive(s))
		s->asks--;
	if (ask->reason == REASON_DUPLICATE && session_is_alive(s)) { /* another name, then */
		manage_replace_or_submit(s, sub, message_ref(q->msg));
	} else if (ask->reason == REASON_NOT_FOUND || ask->reason == REASON_TOO_LATE) {
		/* Nothing to replace: a new message (3.4 §5.2.18). */
		submit_arrive(sub, q->msg);
	} else {
		/* Under the name that it has for a client whose ids are short. */
		if (ask->reason == REASON_NONE && server_id_is_short(s) && ask->client_id[0])
			str_copy(sub->alias, sizeof sub->alias, str_of(ask->client_id));
		server_answer(s->srv->l, sub, &a);
	}
	asking_free(q);
	session_release(s);
}

void manage_replace_or_submit(struct session *s, struct submit *sub, struct message *m)
{
	struct asking *q = mem_new(struct asking);

	q->s = s;
	q->sub = sub;
	q->msg = m;
	q->ask.kind = ASK_REPLACE;
	q->ask.loop = s->srv->l->loop;
	q->ask.done = present_done;
	q->ask.msg = message_ref(m);
	if (server_id_is_short(s))
		submit_alias(s->account, q->ask.name);
	str_copy(q->ask.from, sizeof q->ask.from, message_get(m, FIELD_FROM));
	str_copy(q->ask.to, sizeof q->ask.to, message_get(m, FIELD_TO));
	str_copy(q->ask.service_type, sizeof q->ask.service_type,
		message_get(m, FIELD_SERVICE_TYPE));
	s->pending++;
	s->asks++;
	account_ask(s->account, &q->ask);
}
