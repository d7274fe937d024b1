/* The commands of SMTP as the sink understands them (RFC 5321, 1870, 3030, 3207, 3461, 4954). */
#include "tests/sim/smtp.h"

#include <stdlib.h>

static bool offers(const struct mail_session *s, enum sink_ext e)
{
	return !(s->sink->conf.without & e);
}

static bool starttls_offered(const struct mail_session *s)
{
	return s->sink->tls && !s->conn->tls && offers(s, EXT_STARTTLS);
}

static void ehlo(struct mail_session *s, bool extended)
{
	struct sink_conf *c = &s->sink->conf;
	struct buf b = BUF_INIT;
	sink_reset(s);
	s->hello = true;
	if (sink_misbehaves(s, AT_EHLO))
		return;
	if (!extended || (c->without & EXT_ALL) == EXT_ALL) {
		if (extended)
			sink_say_later(s, sink_latency(s), false, "502 5.5.1 HELO will do");
		else
			sink_say_later(s, sink_latency(s), false, "250 %.*s", STR_ARG(c->hostname));
		return;
	}
	buf_printf(&b, "250-%.*s\r\n", STR_ARG(c->hostname));
	if (offers(s, EXT_PIPELINING))
		buf_c(&b, "250-PIPELINING\r\n");
	if (offers(s, EXT_SIZE))
		buf_printf(&b, "250-SIZE %llu\r\n", (unsigned long long)c->size_most);
	if (offers(s, EXT_8BITMIME))
		buf_c(&b, "250-8BITMIME\r\n");
	if (offers(s, EXT_SMTPUTF8))
		buf_c(&b, "250-SMTPUTF8\r\n");
	if (offers(s, EXT_DSN))
		buf_c(&b, "250-DSN\r\n");
	if (offers(s, EXT_CHUNKING))
		buf_c(&b, "250-CHUNKING\r\n");
	if (offers(s, EXT_STATUS))
		buf_c(&b, "250-ENHANCEDSTATUSCODES\r\n");
	if (starttls_offered(s))
		buf_c(&b, "250-STARTTLS\r\n");
	if (c->logins) {
		struct str rest = c->auth, word;
		buf_c(&b, "250-AUTH");
		while (str_cut(&rest, ',', &word))
			buf_printf(&b, " %.*s", STR_ARG(word));
		buf_c(&b, "\r\n");
	}
	buf_c(&b, "250 HELP");
	sink_say_later(s, sink_latency(s), false, "%s", buf_cstr(&b));
	buf_free(&b);
}

/* <PATH> and what follows it, of "FROM:<…> …"; the path's closing bracket is not within quotes. */
static bool path_read(struct str s, struct str *path_r, struct str *params_r)
{
	bool quoted = false;
	s = str_trim(s);
	if (!s.n || s.p[0] != '<')
		return false;
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '\\' && quoted)
			i++;
		else if (s.p[i] == '"')
			quoted = !quoted;
		else if (s.p[i] == '>' && !quoted) {
			*path_r = str_n(s.p + 1, i - 1);
			*params_r = str_trim(str_skip(s, i + 1));
			return true;
		}
	}
	return false;
}

static bool too_fast(struct sink *k)
{
	if (k->conf.throttle <= 0)
		return false;
	k->tokens += (double)(k->loop.now - k->tokens_at) * k->conf.throttle / 1e9;
	k->tokens_at = k->loop.now;
	if (k->tokens > k->conf.throttle / 10 + 1)
		k->tokens = k->conf.throttle / 10 + 1;
	if (k->tokens < 1)
		return true;
	k->tokens--;
	return false;
}

static const char *mail_obstacle(struct mail_session *s)
{
	struct sink_conf *c = &s->sink->conf;
	if (!s->hello)
		return "503 5.5.1 EHLO first";
	if (c->tls == SINK_MUST && !s->conn->tls)
		return "530 5.7.0 STARTTLS first";
	if (c->logins && !s->authenticated)
		return "530 5.7.0 AUTH first";
	return s->in_mail ? "503 5.5.1 There is a MAIL already" : NULL;
}

static void mail(struct mail_session *s, struct str rest)
{
	struct sink_conf *c = &s->sink->conf;
	struct str path, params, word, left;
	const char *obstacle = mail_obstacle(s);
	uint64_t size = 0;
	if (obstacle) {
		sink_say_later(s, 0, false, "%s", obstacle);
		return;
	}
	if (!path_read(rest, &path, &params)) {
		sink_say_later(s, 0, false, "501 5.5.4 MAIL FROM:<address>");
		return;
	}
	if (sink_misbehaves(s, AT_MAIL))
		return;
	if (c->messages && s->mails >= c->messages) {
		sink_say_later(s, 0, true, "421 4.7.0 %llu mails are enough in one connection",
			(unsigned long long)s->mails);
		return;
	}
	if (too_fast(s->sink)) {
		s->sink->stats.throttled++;
		sink_say_later(s, sink_latency(s), false, "451 4.7.0 Too fast, slow down");
		return;
	}
	for (left = params; str_cut(&left, ' ', &word);)
		if (word.n > 5 && str_ieq(str_n(word.p, 5), STR("SIZE=")) &&
			str_u64(str_skip(word, 5), &size) && size > c->size_most) {
			sink_say_later(s, 0, false, "552 5.3.4 More than %llu octets",
				(unsigned long long)c->size_most);
			return;
		}
	s->in_mail = true;
	s->from = mem_dup(path);
	s->params = mem_dup(params);
	sink_say_later(s, sink_latency(s), false, "250 2.1.0 Sender taken");
}

/* The first attempt for a pair of addresses is remembered, and refused for a while. */
static bool grey(struct mail_session *s, struct str to)
{
	struct sink *k = s->sink;
	struct buf key = BUF_INIT;
	if (!k->conf.greylist)
		return false;
	buf_printf(&key, "%s %.*s", s->from, STR_ARG(to));
	uint64_t *first = map_get(&k->grey, buf_view(&key));
	if (!first) {
		first = mem_new(uint64_t);
		*first = k->loop.now;
		map_put(&k->grey, str_n(mem_dup(buf_view(&key)), key.n), first);
	}
	buf_free(&key);
	return k->loop.now - *first < k->conf.greylist;
}

static void rcpt(struct mail_session *s, struct str rest)
{
	struct sink_conf *c = &s->sink->conf;
	struct str path, params;
	if (!s->in_mail) {
		sink_say_later(s, 0, false, "503 5.5.1 MAIL first");
		return;
	}
	if (!path_read(rest, &path, &params) || !path.n) {
		sink_say_later(s, 0, false, "501 5.5.4 RCPT TO:<address>");
		return;
	}
	if (sink_misbehaves(s, AT_RCPT)) {
		s->sink->stats.recipients_refused++;
		return;
	}
	for (unsigned i = 0; i < c->errors_to; i++) {
		struct sink_rule *r = &c->error_to[i];
		if (!r->times || !str_glob(r->pattern, path))
			continue;
		if (r->times != UINT64_MAX)
			r->times--;
		s->sink->stats.recipients_refused++;
		sink_say_later(s, sink_latency(s), str_starts(r->reply, STR("421")), "%.*s",
			STR_ARG(r->reply));
		return;
	}
	if (grey(s, path)) {
		s->sink->stats.greylisted++;
		s->sink->stats.recipients_refused++;
		sink_say_later(s, sink_latency(s), false, "451 4.7.1 Greylisted, come back later");
		return;
	}
	if (s->rcpts >= 1000) {
		sink_say_later(s, 0, false, "452 4.5.3 Too many recipients");
		return;
	}
	if (s->rcpts == s->rcpts_cap) {
		s->rcpts_cap = s->rcpts_cap ? s->rcpts_cap * 2 : 4;
		s->rcpt = mem_grow(s->rcpt, s->rcpts_cap * sizeof(*s->rcpt));
	}
	s->rcpt[s->rcpts++] = (struct sink_rcpt){ mem_dup(path), mem_dup(params) };
	sink_say_later(s, sink_latency(s), false, "250 2.1.5 Recipient taken");
}

static void data(struct mail_session *s)
{
	if (!s->in_mail || !s->rcpts || s->chunking) {
		sink_say_later(s, 0, false, "%s",
			s->in_mail && !s->chunking ? "554 5.5.1 No recipient was taken"
						   : "503 5.5.1 MAIL and RCPT first");
		return;
	}
	if (sink_misbehaves(s, AT_DATA))
		return;
	sink_content_begin(s);
	s->mode = MODE_DATA;
	sink_say_later(s, sink_latency(s), false, "354 Go on, end with a dot");
}

/* Its octets follow in any case, so they are read even when there is nothing to take them for. */
static void bdat(struct mail_session *s, struct str rest)
{
	struct str number = STR_NONE;
	uint64_t n;
	rest = str_trim(rest);
	str_cut(&rest, ' ', &number);
	rest = str_trim(rest);
	if (!offers(s, EXT_CHUNKING) || !str_u64(number, &n) ||
		(rest.n && !str_ieq(rest, STR("LAST")))) {
		sink_say_later(s, 0, true, "501 5.5.4 BDAT octets [LAST]");
		return;
	}
	if (!s->in_mail || !s->rcpts) {
		sink_say_later(s, 0, true, "503 5.5.1 MAIL and RCPT first");
		return;
	}
	if (!s->chunking) {
		if (sink_misbehaves(s, AT_DATA))
			return;
		sink_content_begin(s);
	}
	s->chunking = true;
	s->sink->stats.chunks++;
	s->mode = MODE_BDAT;
	s->chunk_left = n;
	s->last_chunk = rest.n > 0;
	if (!n)
		sink_content(s, "", 0);
}

static void starttls(struct mail_session *s)
{
	if (!starttls_offered(s)) {
		sink_say_later(s, 0, false, "502 5.5.1 TLS is not offered");
		return;
	}
	sink_reset(s);
	s->hello = false;
	s->secure_next = true;
	sink_say_later(s, 0, false, "220 2.0.0 Go on");
}

static void auth(struct mail_session *s, struct str rest)
{
	struct str mechanism = STR_NONE, word;
	struct str all = s->sink->conf.auth;
	bool known = false;
	if (!s->hello || !s->sink->conf.logins || s->authenticated || s->in_mail) {
		sink_say_later(s, 0, false, "503 5.5.1 Not now");
		return;
	}
	rest = str_trim(rest);
	str_cut(&rest, ' ', &mechanism);
	while (str_cut(&all, ',', &word))
		known |= str_ieq(word, mechanism);
	if (!known) {
		sink_say_later(s, 0, false, "504 5.5.4 There is no such mechanism");
		return;
	}
	if (!sink_misbehaves(s, AT_AUTH))
		sink_auth_begin(s, mechanism, str_trim(rest), str_trim(rest).n > 0);
}

void sink_command(struct mail_session *s, struct str line)
{
	struct str rest = line, verb = STR_NONE;
	s->sink->stats.commands++;
	str_cut(&rest, ' ', &verb);
	if (str_ieq(verb, STR("EHLO")))
		ehlo(s, true);
	else if (str_ieq(verb, STR("HELO")))
		ehlo(s, false);
	else if (line.n > 10 && str_ieq(str_n(line.p, 10), STR("MAIL FROM:")))
		mail(s, str_skip(line, 10));
	else if (line.n > 8 && str_ieq(str_n(line.p, 8), STR("RCPT TO:")))
		rcpt(s, str_skip(line, 8));
	else if (str_ieq(line, STR("DATA")))
		data(s);
	else if (str_ieq(verb, STR("BDAT")))
		bdat(s, rest);
	else if (str_ieq(line, STR("RSET"))) {
		s->sink->stats.resets++;
		sink_reset(s);
		sink_say_later(s, sink_latency(s), false, "250 2.0.0 Forgotten");
	} else if (str_ieq(verb, STR("NOOP")))
		sink_say_later(s, 0, false, "250 2.0.0 Nothing done");
	else if (str_ieq(verb, STR("QUIT")))
		sink_say_later(s, 0, true, "221 2.0.0 Good bye");
	else if (str_ieq(line, STR("STARTTLS")))
		starttls(s);
	else if (str_ieq(verb, STR("AUTH")))
		auth(s, rest);
	else {
		s->sink->stats.unknown++;
		sink_say_later(s, 0, false, "500 5.5.2 Unknown command");
	}
}
