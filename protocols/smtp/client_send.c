/* Mails on a connection: envelope, content, and what is answered. The channel's loop.
 *
 * With PIPELINING a mail costs one round trip: the end of one mail's content and the next one's
 * MAIL, RCPT and DATA leave in one write (RFC 2920 §3.1); the next content goes as soon as its 354
 * is there. Without it each step waits for its answer. Replies are matched to what was asked in
 * order; a transaction that ends before its content is taken back by RSET.
 *
 * A mail whose end has left may have been taken: if the connection is lost then, nobody knows.
 */
#include "protocols/smtp/client.h"
#include "gateway/base/mem.h"
#include "gateway/base/stream.h"

#include <stdio.h>

enum { ENVID_MOST = 100, ORCPT_MOST = 500 }; /* RFC 3461 §4.2, §4.4; as written */
enum { CHUNKS_MOST = 8 };                    /* of a mail, not answered yet */

static void content_begin(struct relay_session *s, struct relay_job *j);

static const struct relay_conf *settings(const struct relay_session *s)
{
	return relay_settings(s->relay);
}

static struct buf *out_of(const struct relay_session *s)
{
	return stream_out(s->stream);
}

/* ---- replies awaited ---- */

static dur_t patience(const struct relay_session *s)
{
	const struct relay_timeouts *t = &settings(s)->timeouts;

	switch (s->expect[s->expect_first].kind) {
	case EXPECT_MAIL:
	case EXPECT_RSET:
		return t->mail;
	case EXPECT_RCPT:
		return t->rcpt;
	case EXPECT_DATA:
		return t->data;
	case EXPECT_CHUNK:
		return t->block;
	default:
		return t->done;
	}
}

static void expect(struct relay_session *s, enum expect_kind kind, struct relay_job *j)
{
	CHECK(s->expect_n < EXPECT_CAP);
	s->expect[(s->expect_first + s->expect_n++) % EXPECT_CAP] = (struct expect){ kind, j };
	if (j)
		j->replies++;
	if (s->expect_n == 1)
		peer_wait(s, patience(s));
}

/* ---- a mail leaves the connection ---- */

static void detach(struct relay_session *s, struct relay_job *j)
{
	list_remove(&j->link);
	j->session = NULL;
	s->jobs_n--;
	if (s->envelope == j)
		s->envelope = NULL;
	if (s->streams == j)
		s->streams = NULL;
}

/* 421 for one mail again and again is that mail's own trouble, or it would stand in the way of
 * all others for ever. */
static void count_busy(struct relay_session *s, struct relay_job *j)
{
	struct relay *r = s->relay;
	uint64_t id = j->d->msg->id;

	if (j->outcome.reason != REASON_THROTTLED)
		return;
	r->busy_n = r->busy_id == id ? r->busy_n + 1 : 1;
	r->busy_id = id;
	if (r->busy_n < 4)
		return;
	j->outcome.verdict = VERDICT_RETRY;
	j->outcome.scope = SCOPE_MESSAGE;
	r->busy_n = 0;
}

static void finish(struct relay_session *s, struct relay_job *j)
{
	detach(s, j);
	if (j->outcome.verdict == VERDICT_SENT)
		backoff_reset(&s->site->broken);
	else
		count_busy(s, j);
	if (j->reading) /* a worker has it: job_read() ends it */
		return;
	job_done(j, &j->outcome);
}

static void decide(struct relay_session *s, struct relay_job *j, const struct outcome *o)
{
	if (j->decided)
		return;
	j->decided = true;
	j->outcome = *o;
}

/* The server took NOTIFY=SUCCESS: it reports what becomes of the mail, or hands that duty on (RFC
 * 3461 §5.2). To our bounce address: that is awaited. To the sender: we say nothing of it. */
static void promised(const struct relay_job *j, struct outcome *o)
{
	o->final_word = !j->verp;
	o->told = !j->verp;
	if (j->verp) /* its own id may come twice */
		snprintf(o->key, sizeof o->key, "mail %lu", j->d->msg->id);
}

/* "mx.far.example[192.0.2.1]:25 said: 550 5.1.1 no such user": which server it was matters where
 * there are many, and report.c tells it to submitters (RFC 3464 §2.3.5). */
static void put_who(const struct relay_session *s, struct outcome *o)
{
	struct str host = STR_NONE;
	union addr a;
	uint16_t port = s->to.port;
	const char *name = s->to.name;
	char words[OUTCOME_WORDS];
	size_t n;

	addr_split(str_of(s->peer), &host, &port);
	if (!name[0] || addr_parse(str_of(name), 0, &a))
		name = s->far_name; /* better than an address */
	memcpy(words, o->words, sizeof words);
	snprintf(o->words, sizeof o->words, "%.80s[%.*s]:%u said: ", name, STR_ARG(host), port);
	n = strlen(o->words);
	str_copy(o->words + n, sizeof o->words - n, str_of(words));
}

static void decide_by(
	struct relay_session *s, struct relay_job *j, const struct reply *r, enum relay_step at)
{
	struct outcome o;

	if (j->decided)
		return;
	o = relay_outcome(r, at);
	if (r->code >= 400)
		stat_inc(r->code < 500 ? &s->relay->stats.replies4 : &s->relay->stats.replies5);
	else if (s->dsn && j->envelope.notify & NOTIFY_SUCCESS)
		promised(j, &o);
	if (r->code >= 400 || j->envelope.notify & NOTIFY_SUCCESS)
		put_who(s, &o);
	else
		o.words[0] = '\0'; /* nobody asks */
	decide(s, j, &o);
}

/* ---- the envelope ---- */

/* RFC 3461 §4: printable ASCII but '+' and '=' as it is, others as +XX. */
static void put_xtext(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c > ' ' && c < 0x7f && c != '+' && c != '=')
			buf_char(b, (char)c);
		else
			buf_printf(b, "+%02X", c);
	}
}

/* " NAME=xtext", or nothing where it would be too long: it is only the submitter's own mark. */
static void put_param(
	struct buf *b, const char *name, struct str prefix, struct str value, size_t most)
{
	size_t begin = b->n, at;

	buf_printf(b, " %s=", name);
	at = b->n;
	buf_str(b, prefix);
	put_xtext(b, value);
	if (b->n - at > most || b->n == at)
		b->n = begin;
}

static void put_mail(const struct relay_session *s, const struct relay_job *j, struct buf *b)
{
	const struct mail_envelope *e = &j->envelope;

	buf_printf(b, "MAIL FROM:<%s>", j->from);
	if (s->size)
		buf_printf(b, " SIZE=%lu", (unsigned long)j->size);
	if (j->binary && s->binarymime && s->chunking)
		buf_c(b, " BODY=BINARYMIME");
	else if (s->eightbit && j->eightbit)
		buf_c(b, " BODY=8BITMIME");
	if (j->smtputf8)
		buf_c(b, " SMTPUTF8");
	if (s->dsn && e->ret)
		buf_printf(b, " RET=%s", e->ret == RET_FULL ? "FULL" : "HDRS");
	if (s->dsn && e->envid.n)
		put_param(b, "ENVID", STR_NONE, e->envid, ENVID_MOST);
	buf_c(b, "\r\n");
}

static void put_notify(const struct relay_job *j, struct buf *b)
{
	unsigned n = j->envelope.notify;
	const char *comma = "=";

	/* Bounces come to us, who told the submitter of them or not; success only if asked for. */
	if (j->verp)
		n = (n & NOTIFY_SUCCESS) | NOTIFY_FAILURE | NOTIFY_DELAY;
	if (!n)
		return;
	buf_c(b, " NOTIFY");
	if (n & NOTIFY_NEVER) {
		buf_c(b, "=NEVER");
		return;
	}
	if (n & NOTIFY_SUCCESS) {
		buf_printf(b, "%sSUCCESS", comma);
		comma = ",";
	}
	if (n & NOTIFY_FAILURE) {
		buf_printf(b, "%sFAILURE", comma);
		comma = ",";
	}
	if (n & NOTIFY_DELAY)
		buf_printf(b, "%sDELAY", comma);
}

static void put_rcpt(const struct relay_session *s, const struct relay_job *j, struct buf *b)
{
	const struct mail_envelope *e = &j->envelope;
	struct str type = e->orcpt, address = STR_NONE;
	ptrdiff_t at = str_index(e->orcpt, ';');

	buf_printf(b, "RCPT TO:<%s>", j->to);
	if (s->dsn)
		put_notify(j, b);
	if (s->dsn && at > 0) {
		bool plain = true;

		type.n = (size_t)at + 1;
		for (size_t i = 0; i + 1 < type.n; i++)
			plain &= type.p[i] > ' ' && type.p[i] < 0x7f && type.p[i] != '=';
		address = str_skip(e->orcpt, type.n);
		if (plain && address.n)
			put_param(b, "ORCPT", type, address, ORCPT_MOST);
	}
	buf_c(b, "\r\n");
}

/* ---- content ---- */

/* By BDAT? */
static bool wants_bdat(const struct relay_session *s, const struct relay_job *j)
{
	if (!s->chunking || settings(s)->chunking == CHUNKING_OFF)
		return false;
	return settings(s)->chunking == CHUNKING_ON || (j->binary && s->binarymime);
}

/* end: what the server takes for the end of the mail is at this place of what is written. */
static void content_end(struct relay_session *s, struct relay_job *j, uint64_t end)
{
	j->written = true;
	j->end = end;
	j->state = JOB_AWAITS;
	if (s->envelope == j)
		s->envelope = NULL;
	if (s->streams == j)
		s->streams = NULL;
	expect(s, EXPECT_CONTENT, j);
	stream_written(s->stream);
}

static void put_dot(struct relay_session *s, struct relay_job *j)
{
	buf_c(out_of(s), ".\r\n");
	content_end(s, j, stream_position(s->stream) - 2);
}

/* What is in scratch, in chunks of what the settings allow. */
static void put_chunks(struct relay_session *s, struct relay_job *j, bool last)
{
	struct str rest = buf_view(&s->relay->scratch);
	size_t most = (size_t)settings(s)->chunk;

	while (rest.n > most) {
		buf_printf(out_of(s), "BDAT %zu\r\n", most);
		buf_add(out_of(s), rest.p, most);
		expect(s, EXPECT_CHUNK, j);
		rest = str_skip(rest, most);
	}
	if (!rest.n && !last)
		return;
	buf_printf(out_of(s), "BDAT %zu%s\r\n", rest.n, last ? " LAST" : "");
	buf_str(out_of(s), rest);
	if (last)
		content_end(s, j, stream_position(s->stream));
	else
		expect(s, EXPECT_CHUNK, j);
}

static void content_block(struct relay_session *s, struct relay_job *j, struct str block, bool last)
{
	struct buf *out = j->chunked ? &s->relay->scratch : out_of(s);

	if (j->chunked && j->streamed)
		buf_reset(out);
	wire_text_put(&j->text, block, out);
	if (last)
		wire_text_end(&j->text, out);
	if (j->chunked)
		put_chunks(s, j, last);
	else if (last)
		put_dot(s, j);
	stream_written(s->stream);
}

/* The next block from the spool, when the far side keeps up: with reading, and with answering. */
static void content_go_on(struct relay_session *s, struct relay_job *j)
{
	if (!j->reading && !j->written && !j->decided && j->replies < CHUNKS_MOST &&
		!stream_full(s->stream))
		job_read_more(j);
}

static void content_begin(struct relay_session *s, struct relay_job *j)
{
	j->text = (struct wire_text){ .plain = j->chunked,
		.binary = j->chunked && j->binary && s->binarymime };
	if (!j->streamed) {
		struct buf *out = j->chunked ? &s->relay->scratch : out_of(s);

		if (j->chunked)
			buf_reset(out);
		buf_str(out, buf_view(&j->head));
		content_block(s, j, j->octets, true);
		return;
	}
	j->state = JOB_STREAMS;
	s->streams = j;
	j->at = 0;
	j->block_most = j->chunked ? (size_t)settings(s)->chunk : SIZE_MAX;
	if (!job_is_big(j))
		j->file = j->octets.n;
	if (j->head.n && j->chunked) {
		buf_reset(&s->relay->scratch);
		buf_str(&s->relay->scratch, buf_view(&j->head));
		put_chunks(s, j, false);
	} else {
		buf_str(out_of(s), buf_view(&j->head));
	}
	peer_wait(s, settings(s)->timeouts.block);
	job_read_more(j);
}

void job_read(struct relay_job *j, bool good)
{
	struct relay_session *s = j->session;

	if (!s) { /* the connection ended meanwhile */
		job_done(j, &j->outcome);
		return;
	}
	if (!good) {
		struct outcome o = relay_failed(REASON_STORE, "4.3.0", "%s", j->fault.text);

		/* What has begun cannot be ended well: the server must not take it for whole. */
		decide(s, j, &o);
		peer_broken(s, "a mail could not be read from the spool");
		return;
	}
	if (j->decided) /* a chunk was refused; chunk_answered() ends it */
		return;
	content_block(s, j, buf_view(&j->block), j->at >= j->file);
	if (j->written) {
		post_feed(s);
		return;
	}
	peer_wait(s, settings(s)->timeouts.block);
	content_go_on(s, j);
}

void post_drained(struct relay_session *s)
{
	struct relay_job *j = s->streams;

	/* Its time for the answer begins when it has all of the mail. */
	if (s->expect_n && s->expect[s->expect_first].kind == EXPECT_CONTENT)
		peer_wait(s, patience(s));
	if (j)
		content_go_on(s, j);
	else
		post_feed(s);
}

/* ---- one mail ---- */

bool post_has_room(const struct relay_session *s)
{
	int most = settings(s)->messages;

	if (s->state != SESSION_READY || s->envelope || s->streams ||
		(most && s->mails >= (unsigned)most))
		return false;
	if (!s->pipelining)
		return s->jobs_n == 0 && s->expect_n == 0;
	return s->jobs_n < PIPE_MOST && s->expect_n + 8 < EXPECT_CAP && !stream_full(s->stream);
}

/* Can this server take it? 0: yes. 1: not as it is, it was sent back to be made 7-bit. -1: no, and
 * it is done. */
static int check_offer(struct relay_session *s, struct relay_job *j)
{
	struct outcome o;

	if (s->size && s->size_most && j->size > s->size_most) {
		o = relay_failed(REASON_TOO_LONG, "5.3.4", "%lu octets, and %.60s takes %lu",
			(unsigned long)j->size, s->far_name, (unsigned long)s->size_most);
	} else if (j->smtputf8 && !s->smtputf8) {
		o = relay_failed(REASON_BAD_DESTINATION, "5.6.7",
			"%.60s takes no addresses or headers beyond ASCII", s->far_name);
	} else if ((j->eightbit && !s->eightbit) ||
		   (j->binary && !(s->binarymime && wants_bdat(s, j)))) {
		if (!j->seven) {
			j->seven = true;
			stat_inc(&s->relay->stats.downgraded);
			site_submit(s->site, j);
			return 1;
		}
		o = relay_failed(REASON_BAD_CONTENT, "5.6.3",
			"%.60s takes only 7 bits, and the mail cannot be made so", s->far_name);
	} else {
		return 0;
	}
	job_done(j, &o);
	return -1;
}

/* The transaction is open on the far side, or may be, and must not be gone on with. */
static void put_rset(struct relay_session *s)
{
	buf_c(out_of(s), "RSET\r\n");
	expect(s, EXPECT_RSET, NULL);
	stream_written(s->stream);
}

/* The rest of the envelope; with PIPELINING right behind MAIL. */
static void put_after_mail(struct relay_session *s, struct relay_job *j)
{
	put_rcpt(s, j, out_of(s));
	expect(s, EXPECT_RCPT, j);
}

static void put_after_rcpt(struct relay_session *s, struct relay_job *j)
{
	if (j->chunked) {
		content_begin(s, j);
		return;
	}
	buf_c(out_of(s), "DATA\r\n");
	expect(s, EXPECT_DATA, j);
}

/* What was asked last is a RSET, whose answer is still to come. */
static bool resets(const struct relay_session *s)
{
	return s->expect_n &&
	       s->expect[(s->expect_first + s->expect_n - 1) % EXPECT_CAP].kind == EXPECT_RSET;
}

static void begin(struct relay_session *s, struct relay_job *j)
{
	j->session = s;
	j->state = JOB_ENVELOPE;
	j->chunked = wants_bdat(s, j);
	j->streamed = job_is_big(j) || (j->chunked && j->head.n + j->octets.n > settings(s)->chunk);
	list_append(&s->jobs, &j->link);
	s->jobs_n++;
	s->mails++;
	s->envelope = j;
	if (j->chunked)
		stat_inc(&s->relay->stats.bdat);
	/* Where the one before is refused, its transaction may still be open. */
	if (s->last_chunked && s->expect_n && !resets(s))
		put_rset(s);
	s->last_chunked = j->chunked;
	put_mail(s, j, out_of(s));
	expect(s, EXPECT_MAIL, j);
	if (s->pipelining) {
		put_after_mail(s, j);
		/* A big one is not sent before it is known that somebody wants it. */
		if (!j->chunked || !j->streamed)
			put_after_rcpt(s, j);
	}
	stream_written(s->stream);
}

void post_feed(struct relay_session *s)
{
	struct relay_job *j;

	while (post_has_room(s) && (j = site_next(s->site)))
		if (check_offer(s, j) == 0)
			begin(s, j);
}

/* ---- what is answered ---- */

static void mail_answered(struct relay_session *s, struct relay_job *j, const struct reply *r)
{
	if (r->code < 300) {
		j->mail_taken = true;
		if (!s->pipelining) {
			put_after_mail(s, j);
			stream_written(s->stream);
		}
		return;
	}
	decide_by(s, j, r, AT_MAIL);
	if (!s->pipelining)
		finish(s, j);
}

static void rcpt_answered(struct relay_session *s, struct relay_job *j, const struct reply *r)
{
	bool waits = !s->pipelining || (j->chunked && !j->replies && !j->written);

	if (r->code < 300 && !j->decided) {
		if (waits) {
			put_after_rcpt(s, j);
			stream_written(s->stream);
		}
		return;
	}
	decide_by(s, j, r, AT_RCPT);
	if (!waits)
		return;
	if (j->mail_taken)
		put_rset(s);
	finish(s, j);
}

static void data_answered(struct relay_session *s, struct relay_job *j, const struct reply *r)
{
	if (r->code == 354 && !j->decided) {
		content_begin(s, j);
		return;
	}
	if (r->code == 354) {
		/* It goes on although nobody is to have it (RFC 2920 §3.1): an empty mail ends it.
		 */
		buf_c(out_of(s), ".\r\n");
		s->envelope = NULL;
		expect(s, EXPECT_CONTENT, j);
		stream_written(s->stream);
		return;
	}
	decide_by(s, j, r, AT_DATA);
	if (j->mail_taken)
		put_rset(s);
	finish(s, j);
}

static void chunk_answered(struct relay_session *s, struct relay_job *j, const struct reply *r)
{
	if (r->code >= 400)
		decide_by(s, j, r, AT_CONTENT);
	if (!j->decided) {
		if (s->streams == j)
			content_go_on(s, j);
		return;
	}
	if (j->written || j->replies) /* the answers to the rest are still to come */
		return;
	put_rset(s);
	finish(s, j);
}

static void content_answered(struct relay_session *s, struct relay_job *j, const struct reply *r)
{
	decide_by(s, j, r, AT_CONTENT);
	if (j->chunked && r->code >= 400 && j->mail_taken && s->expect_n == 0 && !s->envelope)
		put_rset(s); /* RFC 3030 §2: what a failed BDAT leaves is not defined */
	s->done++;
	finish(s, j);
}

/* Nothing was asked. */
static void unasked(struct relay_session *s, const struct reply *r)
{
	char words[160];

	if (s->streams) {
		/* Refused before its end was written; what follows would not be understood. */
		decide_by(s, s->streams, r, AT_CONTENT);
		if (s->streams->outcome.verdict == VERDICT_SENT) {
			s->streams->outcome = relay_failed(
				REASON_TEMPORARY, "4.5.0", "answered before the end of the mail");
		}
	}
	if (r->code == 421 && s->jobs_n == 0) {
		site_session_over(s); /* it had rested too long, or the server goes down */
		return;
	}
	reply_words(r, words, sizeof words);
	peer_broken(s, "a reply to nothing: %s", words);
}

void post_answered(struct relay_session *s, const struct reply *r)
{
	struct expect x;
	struct relay_job *j;
	char words[160];

	if (s->expect_n == 0) {
		unasked(s, r);
		return;
	}
	x = s->expect[s->expect_first];
	/* A positive answer of another kind than was asked for means that we count otherwise than
	 * the server does; nothing it says can be believed any more. */
	if (r->code < 400 && (x.kind == EXPECT_DATA ? r->code != 354 : r->code >= 300)) {
		reply_words(r, words, sizeof words);
		peer_broken(s, "an answer out of order: %s", words);
		return;
	}
	s->expect_first = (s->expect_first + 1) % EXPECT_CAP;
	s->expect_n--;
	j = x.job;
	if (j) {
		j->replies--;
		j->answered = true;
	}
	/* So does "bad sequence": it is the connection's trouble, not that of this mail. */
	if (r->code == 503 && j && !j->decided && x.kind != EXPECT_CONTENT) {
		struct outcome o = relay_outcome(r, AT_DATA);

		o.verdict = VERDICT_RETRY;
		o.reason = REASON_TEMPORARY;
		decide(s, j, &o);
		peer_broken(s, "the server has lost count: %s", o.words);
		return;
	}
	if (r->code == 421) {
		reply_words(r, words, sizeof words);
		if (j)
			decide_by(s, j, r, x.kind == EXPECT_CONTENT ? AT_CONTENT : AT_RCPT);
		/* Nothing behind it was looked at. */
		list_each (it, &s->jobs)
			CONTAINER(it, struct relay_job, link)->written = false;
		peer_broken(s, "the server closes: %s", words);
		return;
	}
	switch (x.kind) {
	case EXPECT_MAIL:
		mail_answered(s, j, r);
		break;
	case EXPECT_RCPT:
		rcpt_answered(s, j, r);
		break;
	case EXPECT_DATA:
		data_answered(s, j, r);
		break;
	case EXPECT_CHUNK:
		chunk_answered(s, j, r);
		break;
	case EXPECT_CONTENT:
		content_answered(s, j, r);
		break;
	case EXPECT_RSET:
		if (r->code >= 400) {
			peer_broken(s, "RSET was refused");
			return;
		}
		break;
	}
	post_feed(s);
	if (s->expect_n)
		peer_wait(s, patience(s));
	else if (!s->streams)
		peer_calm(s);
	if (s->jobs_n == 0 &&
		(s->state == SESSION_LEAVES ||
			(settings(s)->messages && s->mails >= (unsigned)settings(s)->messages)))
		peer_quit(s);
}

/* ---- ends ---- */

/* Has the end of the mail left, so that the server may have taken it? */
static bool may_have_it(const struct relay_session *s, const struct relay_job *j)
{
	return j->written && stream_sent(s->stream) >= j->end;
}

void post_timeout(struct relay_session *s)
{
	static const char *const awaited[] = { "MAIL", "RCPT", "DATA", "BDAT", "the mail", "RSET" };
	const struct expect *x = &s->expect[s->expect_first];

	if (!s->expect_n) {
		peer_broken(s, "the server takes no more of a mail");
		return;
	}
	if (x->kind == EXPECT_CONTENT && x->job && may_have_it(s, x->job)) {
		struct outcome o =
			relay_failed(REASON_TIMEOUT, "", "no answer to the mail in time");

		decide(s, x->job, &o);
	}
	peer_broken(s, "no answer to %s in time", awaited[x->kind]);
}

void post_lost(struct relay_session *s, const char *why)
{
	struct relay_job *j;
	bool first = true;

	s->expect_n = 0;
	/* What has not left does not leave any more, or a mail that comes again would come twice.
	 */
	stream_drop(s->stream);
	while ((j = list_first(&s->jobs, struct relay_job, link))) {
		struct outcome o;

		if (may_have_it(s, j))
			o = relay_failed(REASON_LOST, "", "%s", why);
		else if (j->answered || (first && s->done == 0))
			o = relay_failed(REASON_TEMPORARY, "4.4.2", "%s", why);
		else
			o = relay_failed(
				s->relay->closing ? REASON_STOPPING : REASON_DOWN, "", "%s", why);
		first = false;
		decide(s, j, &o);
		finish(s, j);
	}
}
