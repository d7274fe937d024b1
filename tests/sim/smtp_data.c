/* The content of a mail as it comes, by DATA or BDAT: unstuffed, measured, digested, recorded. */
#include "tests/sim/smtp.h"

#include <errno.h>
#include <stdlib.h>

void sink_content_begin(struct mail_session *s)
{
	struct sink_conf *c = &s->sink->conf;
	s->size = s->bare = 0;
	s->last = 0;
	s->bol = true;
	buf_reset(&s->head);
	buf_reset(&s->content);
	if (c->record.n) {
		if (!s->digest)
			s->digest = EVP_MD_CTX_new();
		CHECK(s->digest && EVP_DigestInit_ex(s->digest, EVP_sha256(), NULL) == 1);
	}
}

/* LF without CR before it, and CR without LF behind it: no mail may have them (RFC 5321 §2.3.8). */
static void count_bare(struct mail_session *s, const char *p, size_t n)
{
	char last = s->last;
	for (size_t i = 0; i < n; i++) {
		if ((p[i] == '\n') != (last == '\r'))
			s->bare++;
		last = p[i];
	}
	s->last = last;
}

static void content_feed(struct mail_session *s, const char *p, size_t n)
{
	struct sink_conf *c = &s->sink->conf;
	if (!n)
		return;
	s->size += n;
	if (s->size > c->size_most)
		return;
	if (c->record.n || c->keep.n)
		count_bare(s, p, n);
	if (s->head.n < SINK_HEAD)
		buf_add(&s->head, p, n < SINK_HEAD - s->head.n ? n : SINK_HEAD - s->head.n);
	if (s->digest && c->record.n)
		EVP_DigestUpdate(s->digest, p, n);
	if (c->keep.n)
		buf_add(&s->content, p, n);
}

/* Content of DATA. It ends with a dot on a line of its own, where a line ends with CR LF and with
 * nothing else; true when it has. */
static bool data_take(struct mail_session *s, const char *p, size_t n, size_t *took_r)
{
	size_t at = 0;
	while (at < n) {
		if (s->bol && p[at] == '.') {
			if (n - at < 2 || (p[at + 1] == '\r' && n - at < 3))
				break;
			if (p[at + 1] == '\r' && p[at + 2] == '\n') {
				*took_r = at + 3;
				return true;
			}
			at++;
		}
		s->bol = false;
		const char *q = memmem(p + at, n - at, "\r\n.", 3);
		if (q) {
			content_feed(s, p + at, (size_t)(q - p) + 2 - at);
			at = (size_t)(q - p) + 2;
			s->bol = true;
			continue;
		}
		size_t keep = p[n - 1] == '\r';
		content_feed(s, p + at, n - at - keep);
		s->bol = n - at >= 2 && p[n - 2] == '\r' && p[n - 1] == '\n';
		at = n - keep;
		break;
	}
	*took_r = at;
	return false;
}

static struct str subject_of(struct str head)
{
	struct str line;
	while (str_cut(&head, '\n', &line)) {
		line = str_trim(line);
		if (!line.n)
			break;
		if (line.n > 8 && str_ieq(str_n(line.p, 8), STR("Subject:")))
			return str_trim(str_skip(line, 8));
	}
	return STR_NONE;
}

static void record_mail(struct mail_session *s, const char *fate)
{
	struct sink *k = s->sink;
	struct buf *b = &k->line;
	uint8_t digest[32];
	unsigned n = 0;
	EVP_DigestFinal_ex(s->digest, digest, &n);
	for (unsigned i = 0; i < s->rcpts; i++) {
		buf_reset(b);
		buf_printf(b, "%llu\t%llu\t%s\t%s\t%llu\t",
			(unsigned long long)(sim_wall() / SIM_US), (unsigned long long)s->number,
			s->from, s->rcpt[i].to, (unsigned long long)s->size);
		sim_hex(b, str_n(digest, sizeof(digest)));
		buf_printf(b, "\t%s;%s\t%s\t%s\t%s%s\t", s->params, s->rcpt[i].params,
			s->user ? s->user : "-", s->conn->tls ? SSL_get_version(s->conn->tls) : "-",
			fate, s->bare ? "-bare" : "");
		sim_hex(b, subject_of(buf_view(&s->head)));
		buf_char(b, '\n');
		fwrite(b->p, 1, b->n, k->record);
	}
}

static void keep_mail(struct mail_session *s)
{
	struct sink *k = s->sink;
	char name[600], part[620];
	snprintf(name, sizeof(name), "%.*s/%llu.eml", STR_ARG(k->conf.keep),
		(unsigned long long)s->number);
	snprintf(part, sizeof(part), "%s.part", name);
	FILE *f = fopen(part, "we");
	if (!f || fwrite(s->content.p, 1, s->content.n, f) != s->content.n || fclose(f) != 0 ||
		rename(part, name) < 0) {
		sim_say("smtp: %s: %s", name, strerror(errno));
		k->loop.stop = true;
	}
}

static void mail_take(struct mail_session *s, const char *fate)
{
	struct sink *k = s->sink;
	s->number = ++k->next_number;
	if (k->conf.keep.n)
		keep_mail(s);
	if (k->record)
		record_mail(s, fate);
	k->stats.mails++;
	k->stats.recipients += s->rcpts;
	k->stats.octets += s->size;
	k->stats.bare += s->bare > 0;
	k->stats.last_mail = k->loop.now;
	if (!k->stats.first_mail)
		k->stats.first_mail = k->loop.now;
}

/* The rule that refuses this mail after its content for one of its recipients. */
static struct sink_rule *refused_for(struct mail_session *s)
{
	struct sink_conf *c = &s->sink->conf;
	for (unsigned i = 0; i < c->refuses_to; i++)
		for (unsigned j = 0; j < s->rcpts; j++)
			if (c->refuse_to[i].times &&
				str_glob(c->refuse_to[i].pattern, str_of(s->rcpt[j].to)))
				return &c->refuse_to[i];
	return NULL;
}

void sink_content_done(struct mail_session *s)
{
	struct sink *k = s->sink;
	struct sink_rule *rule;
	s->mode = MODE_LINE;
	s->chunking = false;
	if (sink_misbehaves(s, AT_DOT)) {
		k->stats.mails_refused++;
		sink_reset(s);
		return;
	}
	if (s->size > k->conf.size_most) {
		k->stats.mails_refused++;
		sink_say_later(s, 0, false,
			"552 5.3.4 This is %llu octets, more than is taken here",
			(unsigned long long)s->size);
		sink_reset(s);
		return;
	}
	if ((rule = refused_for(s))) {
		if (rule->times != UINT64_MAX)
			rule->times--;
		k->stats.mails_refused++;
		sink_say_later(s, sink_latency(s), str_starts(rule->reply, STR("421")), "%.*s",
			STR_ARG(rule->reply));
		sink_reset(s);
		return;
	}
	uint64_t wait = sim_span_draw(&k->conf.latency, &k->rng);
	bool unanswered = false;
	if (sim_rng_hit(&k->rng, k->conf.slow))
		wait += sim_span_draw(&k->conf.slow_by, &k->rng);
	for (unsigned i = 0; i < k->conf.drops && !unanswered; i++) {
		struct sink_rule *r = &k->conf.drop[i];
		unanswered = r->stage == AT_REPLY && r->times && sim_rng_hit(&k->rng, r->p);
		if (unanswered && r->times != UINT64_MAX)
			r->times--;
	}
	mail_take(s, unanswered ? "taken-unanswered" : "taken");
	s->mails++;
	if (unanswered) {
		k->stats.unanswered++;
		k->stats.drops++;
		sink_say_later(s, wait, true, "%s", "");
	} else {
		s->for_mail = true;
		sink_say_later(
			s, wait, false, "250 2.0.0 Taken as %llu", (unsigned long long)s->number);
	}
	sink_reset(s);
	if (k->conf.stop_after && k->stats.mails >= k->conf.stop_after)
		k->loop.stop = true;
}

size_t sink_content(struct mail_session *s, const char *p, size_t n)
{
	size_t took;
	if (s->mode == MODE_DATA) {
		bool first = s->size == 0;
		bool done = data_take(s, p, n, &took);
		if (first && s->size && sink_misbehaves(s, AT_CONTENT))
			return n;
		if (done)
			sink_content_done(s);
		return took;
	}
	took = n < s->chunk_left ? n : (size_t)s->chunk_left;
	if (s->size == 0 && took && sink_misbehaves(s, AT_CONTENT))
		return n;
	content_feed(s, p, took);
	s->chunk_left -= took;
	if (s->chunk_left)
		return took;
	if (s->last_chunk) {
		sink_content_done(s);
	} else {
		s->mode = MODE_LINE;
		sink_say_later(s, sink_latency(s), false, "250 2.0.0 %llu octets so far",
			(unsigned long long)s->size);
	}
	return took;
}
