/* Delivery status notifications: what became of a mail, told to whom it came from (RFC 3461, 3464).
 * See smtpd.h.
 *
 * Flow lends notes; each becomes a mail from <> that goes its own way through the gateway, and the
 * note is given back once that is on disk. It has an id of its own made from the note's, so that a
 * crash in between does not tell twice. What is long (reading the original, writing) is done on a
 * worker.
 */
#include "gateway/base/backoff.h"
#include "gateway/base/mem.h"
#include "protocols/smtp/smtpd.h"

#include <stdio.h>
#include <unistd.h>

enum { HEADER_MOST = 64 * 1024 };
#define AGAIN_FIRST DUR_S
#define AGAIN_MOST  (5 * DUR_MIN)

struct telling {
	enum smtpd_token token; /* first */
	struct chore chore;
	struct smtpd *srv;
	struct account *a;
	struct note *n;          /* NULL: it is about a mail that is being answered */
	struct smtpd_mail *mail; /* that one */
	struct message *m;       /* the message that the note is about */
	struct mail_envelope envelope;
	struct dsn d;
	char status[16], reporter[256], words[160], said[OUTCOME_WORDS]; /* the far side's */
	struct buf original, out;
	char spooled[SPOOL_NAME];
	uint64_t most; /* octets of an original that goes back whole */
	bool whole, failed;
};

/* ---- the end ---- */

static void telling_free(struct telling *t)
{
	struct smtpd *srv = t->srv;

	message_unref(&t->m);
	buf_free(&t->original);
	buf_free(&t->out);
	mem_free(&t);
	srv->tasks--;
	smtpd_check_closed(srv);
}

static void over(struct telling *t, const struct outcome *o)
{
	struct account *a = t->a;
	struct note *n = t->n;

	telling_free(t);
	note_done(a, n, o);
}

static void over_well(struct telling *t)
{
	struct outcome o = outcome_of(REASON_NONE);

	over(t, &o);
}

static void over_again(struct telling *t, enum reason why)
{
	struct outcome o = outcome_of(why);

	o.verdict = VERDICT_RETRY;
	o.scope = SCOPE_MESSAGE;
	o.delay = backoff_of(AGAIN_FIRST, AGAIN_MOST, 2, t->n->attempts + 1);
	over(t, &o);
}

void smtpd_dsn_answer(void *token, const struct answer *a)
{
	struct telling *t = token;
	bool refused = a->reason != REASON_NONE && a->reason != REASON_DUPLICATE;
	bool now = refused && smtpd_reply_of(a->reason).code < 500;
	struct outcome o;

	/* Nobody names the file, or somebody names another one. */
	if (a->reason != REASON_NONE || a->duplicate) {
		struct spool_writer *none = NULL;

		smtpd_spool_drop(t->srv, &none, t->spooled);
	} else {
		stat_inc(&t->srv->dsns);
		log_info("reported", F_ID("msg", t->n ? t->n->msg : 0), F_ID("report", a->id),
			F_STR("account", t->a->name), F_STR("status", t->status));
	}
	if (t->mail) {
		struct smtpd_mail *m = t->mail;

		telling_free(t);
		smtpd_told(m, a);
	} else if (now) {
		over_again(t, a->reason);
	} else if (refused) {
		o = outcome_words(a->reason, "%s", a->words);
		o.verdict = VERDICT_FAILED;
		over(t, &o);
	} else {
		over_well(t);
	}
}

/* ---- writing ---- */

static void submit(struct telling *t)
{
	struct draft *d = &t->srv->draft;
	char text[160];

	d->head = (struct message){
		.media = MEDIA_EMAIL,
		.priority = PRIORITY_NORMAL,
		.flags = MSG_OCTETS | MSG_REPORT,
	};
	d->fields.n = 0;
	draft_put(d, FIELD_TO, t->d.to);
	draft_put(d, FIELD_SUBJECT,
		t->d.action == DSN_FAILED    ? STR("Mail delivery failed")
		: t->d.action == DSN_DELAYED ? STR("Mail delivery delayed")
					     : STR("Mail delivered"));
	if (t->n) {
		snprintf(text, sizeof text, "dsn:%u:%lu", t->n->outlet, t->n->seq);
		draft_put(d, FIELD_CLIENT_ID, str_of(text));
	}
	if (t->spooled[0]) {
		snprintf(text, sizeof text, "octets:%s:%zu", t->spooled, t->out.n);
		draft_put(d, FIELD_SPOOL, str_of(text));
	} else {
		draft_put(d, FIELD_OCTETS, buf_view(&t->out));
	}
	if (t->d.smtputf8) {
		struct mail_envelope e = {
			.smtputf8 = true, .eightbit = true, .envid = STR_NONE, .orcpt = STR_NONE
		};

		mail_envelope_put(d, &e);
	}
	message_arrived(t->srv->l, t->a, draft_seal(d), t);
}

/* Fields that say what the original was where its own header is not at hand. */
static void put_field(
	struct buf *b, const char *name, struct str v, const char *open, const char *shut)
{
	if (!v.n)
		return;
	buf_printf(b, "%s: %s", name, open);
	for (size_t i = 0; i < v.n; i++)
		buf_char(b, (unsigned char)v.p[i] < 0x20 ? ' ' : v.p[i]);
	buf_printf(b, "%s\r\n", shut);
}

static void read_file(struct telling *t, struct str name)
{
	struct spool *spool = t->srv->l->spool;
	uint64_t size = 0, most;
	ssize_t n;
	int fd = spool ? spool_read(spool, name, &size, NULL) : -1;

	if (fd < 0)
		return;
	t->whole = t->whole && size <= t->most;
	most = t->whole ? size : size < HEADER_MOST ? size : HEADER_MOST;
	buf_reserve(&t->original, most);
	while (t->original.n < most &&
		(n = read(fd, t->original.p + t->original.n, most - t->original.n)) > 0)
		t->original.n += (size_t)n;
	close(fd);
}

static void find_original(struct telling *t)
{
	struct str octets = message_get(t->m, FIELD_OCTETS);
	struct spool_ref ref;
	struct mail_header_look look;

	if (t->m->media == MEDIA_EMAIL && octets.n) {
		t->whole = t->whole && octets.n <= t->most;
		buf_str(&t->original, octets);
	} else if (spool_ref_parse(message_get(t->m, FIELD_SPOOL), &ref)) {
		read_file(t, ref.name);
	}
	if (!t->original.n) {
		t->whole = false;
		put_field(&t->original, "From", t->d.to, "<", ">");
		put_field(&t->original, "To", t->d.recipient, "<", ">");
		put_field(&t->original, "Subject", message_get(t->m, FIELD_SUBJECT), "", "");
		if (t->m->flags & MSG_ALIAS)
			put_field(&t->original, "Message-ID", message_get(t->m, FIELD_CLIENT_ID),
				"<", ">");
	} else if (!t->whole) {
		mail_header_look(buf_view(&t->original), &look);
		t->original.n = look.header_n;
	}
	t->d.original = buf_view(&t->original);
	t->d.header_only = !t->whole;
}

static void write_call(struct chore *c)
{
	struct telling *t = CONTAINER(c, struct telling, chore);
	struct spool_writer *w;
	struct err e;

	find_original(t);
	dsn_build(&t->d, &t->out);
	if (t->out.n <= SMTPD_INLINE)
		return;
	w = t->srv->l->spool ? spool_begin(t->srv->l->spool, &e) : NULL;
	t->failed = true;
	if (!w)
		return;
	if (spool_write(w, t->out.p, t->out.n, &e) != 0)
		spool_abort(&w);
	else
		t->failed = spool_finish(&w, t->spooled, &e) != 0;
}

static void write_done(struct chore *c)
{
	struct telling *t = CONTAINER(c, struct telling, chore);

	if (t->failed)
		over_again(t, REASON_STORE);
	else
		submit(t);
}

/* ---- what a note means ---- */

static bool is_enhanced(const char *s)
{
	return (s[0] == '2' || s[0] == '4' || s[0] == '5') && s[1] == '.' && strchr(s + 2, '.');
}

/* False: the sender did not ask for that. */
static bool action_of(struct telling *t)
{
	const struct note *n = t->n;
	unsigned asked = t->envelope.notify ? t->envelope.notify : NOTIFY_FAILURE;
	unsigned bit;

	if (n->kind == NOTE_INTERMEDIATE && n->state == STATE_SENT && n->reason == REASON_NONE) {
		/* A server further on has handed it to one that reports nothing. */
		t->d.action = DSN_RELAYED;
		return asked & NOTIFY_SUCCESS && t->m->media == MEDIA_EMAIL;
	}
	if (n->kind == NOTE_INTERMEDIATE) {
		t->d.action = DSN_DELAYED;
		return (asked & NOTIFY_DELAY) != 0;
	}
	switch (n->state) {
	case STATE_DELIVERED:
	case STATE_READ:
		t->d.action = DSN_DELIVERED;
		bit = NOTIFY_SUCCESS;
		/* That it was delivered has been said. */
		if (n->state == STATE_READ && n->kind == NOTE_CORRECTION)
			bit = 0;
		break;
	case STATE_UNKNOWN:
		/* Every attempt's answer was lost: who wants to know of failures must hear it. */
		if (n->reason != REASON_NO_RECEIPT) {
			t->d.action = DSN_FAILED;
			bit = NOTIFY_FAILURE;
			break;
		}
		/* A server that promised to report has not; what it did is its own to tell. */
		if (t->m->media == MEDIA_EMAIL)
			return false;
		t->d.action = DSN_RELAYED;
		bit = NOTIFY_SUCCESS;
		break;
	case STATE_SENT:
		t->d.action = DSN_RELAYED; /* RFC 3461 §5.2.2: nothing more will be known */
		bit = NOTIFY_SUCCESS;
		break;
	default:
		t->d.action = DSN_FAILED;
		bit = NOTIFY_FAILURE;
		break;
	}
	return (asked & bit) != 0;
}

static void status_of(struct telling *t)
{
	const struct note *n = t->n;

	if (is_enhanced(n->err)) {
		str_copy(t->status, sizeof t->status, str_of(n->err));
	} else if (t->d.action == DSN_FAILED && n->state == STATE_UNKNOWN) {
		str_copy(t->status, sizeof t->status, STR("5.4.2"));
	} else if (t->d.action == DSN_FAILED) {
		struct smtp_reply y = smtpd_reply_of(n->reason);

		/* What was given up after waiting may go another time: class 4 (RFC 3463 §2). */
		str_copy(t->status, sizeof t->status,
			n->state == STATE_EXPIRED ? STR("4.4.7") : str_of(y.status));
	}
	t->d.status = str_of(t->status);
	if (n->state == STATE_QUEUED && n->reason == REASON_NONE)
		str_copy(t->words, sizeof t->words, STR("it waits for its turn"));
	else
		snprintf(t->words, sizeof t->words, "%s%s%s%s", reason_text(n->reason),
			n->state == STATE_UNKNOWN && n->reason != REASON_NO_RECEIPT
				? "; it may have arrived all the same"
				: "",
			n->err[0] ? "; the far side's code: " : "", n->err);
	t->d.words = str_of(t->words);
}

/* "HOST said: REPLY", or words of ours; only what goes with the action. */
static void far_side(struct telling *t, const char *words)
{
	struct str said, mark = STR(" said: ");
	ptrdiff_t at;
	bool good;

	str_copy(t->said, sizeof t->said, str_of(words));
	said = str_of(t->said);
	at = str_find(said, mark);
	if (at > 0 && str_index(str_n(said.p, (size_t)at), ' ') < 0) {
		t->d.remote = str_n(said.p, (size_t)at);
		said = str_skip(said, (size_t)at + mark.n);
	}
	good = said.n && said.p[0] == '2';
	if (good != (t->d.action == DSN_RELAYED || t->d.action == DSN_DELIVERED)) {
		t->d.remote = STR_NONE;
		return;
	}
	t->d.diagnostic = said;
}

static bool is_high(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] & 0x80)
			return true;
	return false;
}

/* The recipient as the sender knows it, and its own mark for that. Of a gateway: what it wrote to,
 * which stands on a line of its own behind the mark (reading.c). */
static void recipient_of(const struct telling *t, struct str *to_r, struct str *orcpt_r)
{
	struct str rest = t->envelope.orcpt, mark;

	*to_r = message_get(t->m, FIELD_TO);
	*orcpt_r = rest;
	if (t->m->media == MEDIA_EMAIL)
		return;
	str_cut(&rest, '\n', &mark);
	*orcpt_r = mark;
	if (rest.n)
		*to_r = rest;
}

static void fetched(void *ctx, struct message *m, const char *words)
{
	struct telling *t = ctx;
	struct outcome o;

	t->m = m;
	if (!m) {
		o = outcome_of(REASON_NOT_FOUND);
		over(t, &o);
		return;
	}
	mail_envelope_get(m, &t->envelope);
	t->d.to = message_has(m, FIELD_REVERSE) ? message_get(m, FIELD_REVERSE)
						: message_get(m, FIELD_FROM);
	/* To <> nothing is told, and nothing about what we told ourselves (RFC 5321 §6.1). */
	if (!t->d.to.n || m->flags & MSG_REPORT || !action_of(t)) {
		over_well(t);
		return;
	}
	t->d.id = t->n->msg;
	t->d.now = t->n->at;
	t->d.arrived = m->accepted;
	t->d.until = t->d.action == DSN_DELAYED ? m->expires : 0;
	str_copy(t->reporter, sizeof t->reporter, str_of(smtpd_hostname(t->srv)));
	t->d.reporter = str_of(t->reporter);
	recipient_of(t, &t->d.recipient, &t->d.orcpt);
	t->d.envid = t->envelope.envid;
	t->d.smtputf8 = t->envelope.smtputf8 && (is_high(t->d.to) || is_high(t->d.recipient));
	/* RET speaks of failures (RFC 3461 §4.3). */
	t->whole = t->envelope.ret == RET_FULL && t->d.action == DSN_FAILED;
	status_of(t);
	far_side(t, words);
	t->chore.reply = t->srv->l->loop;
	t->chore.call = write_call;
	t->chore.done = write_done;
	workers_do(&t->chore);
}

static struct telling *telling_new(struct smtpd *srv, struct account *a)
{
	struct telling *t = mem_new(struct telling);

	t->token = SMTPD_DSN;
	t->srv = srv;
	t->a = a;
	t->most = srv->conf->report_most;
	srv->tasks++;
	return t;
}

void smtpd_note(struct account *a, struct note *n)
{
	struct smtpd *srv = smtpd_any();
	struct telling *t;
	struct outcome o;

	if (!srv || n->kind == NOTE_MO) {
		/* No listener now; or a subscriber's message, which is no mail. */
		o = srv ? outcome_words(REASON_BAD_CONTENT, "subscribers' messages are no mails")
			: outcome_of(REASON_DOWN);
		o.delay = srv ? 0 : DUR_S;
		o.scope = SCOPE_CHANNEL;
		note_done(a, n, &o);
		return;
	}
	t = telling_new(srv, a);
	t->n = n;
	message_fetch(srv->l, n->msg, fetched, t);
}

/* ---- about a mail that is being answered ---- */

bool smtpd_tell_refused(struct smtpd_mail *m)
{
	struct smtpd *srv = m->s->srv;
	struct smtpd_rcpt *r = NULL;
	struct smtp_reply y;
	struct telling *t;

	while (m->from.n && m->account && m->tell_next < m->n && !r) {
		r = &m->rcpts[m->tell_next++];
		if (r->answer.reason == REASON_NONE || (r->notify && !(r->notify & NOTIFY_FAILURE)))
			r = NULL;
	}
	if (!r)
		return false;
	y = smtpd_reply_of(r->answer.reason);
	t = telling_new(srv, m->account);
	t->mail = m;
	m->s->pending++;
	str_copy(t->status, sizeof t->status, str_of(y.status));
	str_copy(t->words, sizeof t->words, str_of(r->answer.words[0] ? r->answer.words : y.text));
	put_field(&t->original, "From", smtp_path_text(&m->from), "<", ">");
	put_field(&t->original, "Subject", str_of(m->subject), "", "");
	put_field(&t->original, "Message-ID", str_of(m->message_id), "<", ">");
	t->d = (struct dsn){
		.action = DSN_FAILED,
		.id = m->trace ^ (uint64_t)m->tell_next << 48, /* each its own Message-ID */
		.now = clock_wall(),
		.arrived = clock_wall(),
		.reporter = str_of(smtpd_hostname(srv)),
		.to = smtp_path_text(&m->from),
		.recipient = str_of(r->to),
		.orcpt = str_of(r->orcpt),
		.envid = str_of(m->envid),
		.status = str_of(t->status),
		.words = str_of(t->words),
		.original = buf_view(&t->original),
		.header_only = true,
		.smtputf8 = m->smtputf8 && (m->from.utf8 || is_high(str_of(r->to))),
	};
	dsn_build(&t->d, &t->out);
	submit(t);
	return true;
}
