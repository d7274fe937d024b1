/* Reading SMTP commands. See command.h. */
#include "protocols/smtp/command.h"
#include "gateway/base/mem.h"
#include "gateway/base/stream.h"

enum { PARAM_MOST = 16, SIZE_DIGITS = 20, LABEL_MOST = 63 };

/* ---- characters ---- */

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* RFC 5322 §3.2.3 atext; RFC 6531 §3.3 adds all beyond ASCII. */
static bool is_atext(char c)
{
	return is_alnum(c) || (c & 0x80) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool has_high(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] & 0x80)
			return true;
	return false;
}

/* ---- xtext ---- */

/* RFC 3461 §4 wants capitals; small ones are in use. */
bool smtp_xtext_decode(struct str in, char *out, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		int c = (unsigned char)in.p[i];

		if (c < 0x21 || c > 0x7e || c == '=' || n + 1 >= cap)
			return false;
		if (c == '+') {
			if (in.n - i < 3 || str_hex_value(in.p[i + 1]) < 0 ||
				str_hex_value(in.p[i + 2]) < 0)
				return false;
			c = str_hex_value(in.p[i + 1]) << 4 | str_hex_value(in.p[i + 2]);
			/* What it stands for comes into headers of ours. */
			if (c < 0x20 || c == 0x7f)
				return false;
			i += 2;
		}
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return true;
}

/* ---- paths ---- */

/* Octets of a local part at the beginning of s, 0: none. */
static size_t local_part(struct str s)
{
	size_t i = 0;

	if (s.n && s.p[0] == '"') {
		for (i = 1; i < s.n && s.p[i] != '"'; i++) {
			unsigned char c = (unsigned char)s.p[i];

			if (c == '\\' && ++i < s.n)
				c = (unsigned char)s.p[i];
			if (c < 0x20 || c == 0x7f)
				return 0;
		}
		return i < s.n && i > 1 ? i + 1 : 0;
	}
	while (i < s.n && is_atext(s.p[i])) {
		i++;
		if (i < s.n && s.p[i] == '.' && i + 1 < s.n && is_atext(s.p[i + 1]))
			i++;
	}
	return i;
}

static bool domain_is_good(struct str d)
{
	size_t label = 0;

	if (d.n == 0 || d.n > SMTP_DOMAIN_MOST)
		return false;
	for (size_t i = 0; i < d.n; i++) {
		char c = d.p[i];

		if (c == '.') {
			if (label == 0 || d.p[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!(is_alnum(c) || c == '-' || c == '_' || (c & 0x80)) ||
			(c == '-' && label == 0) || ++label > LABEL_MOST)
			return false;
	}
	return label > 0 && d.p[d.n - 1] != '-';
}

/* RFC 5321 §4.1.3 */
static bool literal_is_good(struct str d)
{
	union addr a;

	if (d.n < 3 || d.p[0] != '[' || d.p[d.n - 1] != ']')
		return false;
	d = str_n(d.p + 1, d.n - 2);
	if (d.n > 5 && str_ieq(str_n(d.p, 5), STR("IPv6:")))
		return addr_parse(str_skip(d, 5), 0, &a) && a.sa.sa_family == AF_INET6;
	return addr_parse(d, 0, &a) && a.sa.sa_family == AF_INET;
}

/* "@one,@two:" is read and forgotten (RFC 5321 §4.1.2, App. C). False: not well formed. */
static bool skip_route(struct str *s)
{
	while (s->n && s->p[0] == '@') {
		size_t i = 1;

		while (i < s->n && s->p[i] != ',' && s->p[i] != ':')
			i++;
		if (i == s->n || !domain_is_good(str_n(s->p + 1, i - 1)))
			return false;
		if (s->p[i] == ':') {
			*s = str_skip(*s, i + 1);
			return true;
		}
		*s = str_skip(*s, i + 1);
		if (!s->n || s->p[0] != '@')
			return false;
	}
	return true;
}

bool smtp_path_parse(struct str s, bool null, bool utf8, struct smtp_path *p_r)
{
	struct str domain;
	size_t local;

	*p_r = (struct smtp_path){ 0 };
	if (s.n < 2 || s.p[0] != '<' || s.p[s.n - 1] != '>')
		return false;
	s = str_n(s.p + 1, s.n - 2);
	if (s.n == 0)
		return null;
	if (!skip_route(&s) || s.n > SMTP_PATH_MOST)
		return false;
	p_r->utf8 = has_high(s);
	if (p_r->utf8 && (!utf8 || !str_utf8_valid(s)))
		return false;
	local = local_part(s);
	if (local == 0 || local > SMTP_LOCAL_MOST)
		return false;
	/* Only this one needs no domain (RFC 5321 §4.5.1). */
	if (local == s.n) {
		if (null || !str_ieq(s, STR("postmaster")))
			return false;
	} else {
		domain = str_skip(s, local + 1);
		if (s.p[local] != '@' || !(domain.n && domain.p[0] == '[' ? literal_is_good(domain)
									  : domain_is_good(domain)))
			return false;
	}
	str_copy(p_r->text, sizeof p_r->text, s);
	p_r->n = s.n;
	p_r->at = local;
	for (size_t i = local; i < s.n; i++)
		if (s.p[i] >= 'A' && s.p[i] <= 'Z')
			p_r->text[i] = (char)(s.p[i] | 0x20);
	return true;
}

/* ---- replies ---- */

#define REPLY(name, code, status, text) static const struct smtp_reply name = { code, status, text }
REPLY(unknown, 500, "5.5.1", "there is no such command");
REPLY(foreign, 521, "5.5.1", "this is SMTP");
REPLY(no_name, 501, "5.5.4", "say your name: EHLO host.example");
REPLY(mail_form, 501, "5.5.4", "the form is MAIL FROM:<address>");
REPLY(rcpt_form, 501, "5.5.4", "the form is RCPT TO:<address>");
REPLY(bad_from, 501, "5.1.7", "that is not a sender's address");
REPLY(bad_to, 501, "5.1.3", "that is not a recipient's address");
REPLY(utf8_from, 553, "5.6.7", "an address beyond ASCII needs SMTPUTF8");
REPLY(utf8_to, 553, "5.6.7", "an address beyond ASCII needs a mail with SMTPUTF8");
REPLY(no_params, 555, "5.5.4", "parameters need EHLO");
REPLY(bad_param, 555, "5.5.4", "that parameter is not known here");
REPLY(twice, 501, "5.5.4", "a parameter is given twice");
REPLY(bad_value, 501, "5.5.4", "a parameter has a value that is not allowed");
REPLY(no_arg, 501, "5.5.4", "this command takes no argument");
REPLY(bdat_form, 501, "5.5.4", "the form is BDAT octets [LAST]");
REPLY(auth_form, 501, "5.5.4", "the form is AUTH mechanism [initial response]");
#undef REPLY

/* ---- parameters ---- */

enum param {
	P_SIZE = 1,
	P_BODY = 2,
	P_UTF8 = 4,
	P_RET = 8,
	P_ENVID = 16,
	P_AUTH = 32,
	P_NOTIFY = 64,
	P_ORCPT = 128
};

static bool body_value(struct smtp_command *c, struct str v)
{
	if (str_ieq(v, STR("7BIT")))
		c->body = SMTP_BODY_7BIT;
	else if (str_ieq(v, STR("8BITMIME")))
		c->body = SMTP_BODY_8BIT;
	else
		return false; /* BINARYMIME is not offered */
	return true;
}

static bool ret_value(struct smtp_command *c, struct str v)
{
	c->ret = str_ieq(v, STR("FULL"))   ? RET_FULL
		 : str_ieq(v, STR("HDRS")) ? RET_HDRS
					   : RET_UNSAID;
	return c->ret != RET_UNSAID;
}

static bool notify_value(struct smtp_command *c, struct str v)
{
	struct str word;

	while (str_cut(&v, ',', &word)) {
		uint8_t bit = str_ieq(word, STR("NEVER"))     ? NOTIFY_NEVER
			      : str_ieq(word, STR("SUCCESS")) ? NOTIFY_SUCCESS
			      : str_ieq(word, STR("FAILURE")) ? NOTIFY_FAILURE
			      : str_ieq(word, STR("DELAY"))   ? NOTIFY_DELAY
							      : 0;

		if (!bit || c->notify & bit)
			return false;
		c->notify |= bit;
	}
	/* NEVER stands alone. */
	return c->notify && (!(c->notify & NOTIFY_NEVER) || c->notify == NOTIFY_NEVER);
}

/* "type;address" with the address in xtext (or, for utf-8, in a form of its own: RFC 6533 §3). */
static bool orcpt_value(struct smtp_command *c, struct str v)
{
	struct str type;
	size_t n;

	if (v.n > SMTP_ORCPT_MOST || !str_cut(&v, ';', &type) || !type.n || type.n > 12 || !v.n)
		return false;
	for (size_t i = 0; i < type.n; i++)
		if (!is_alnum(type.p[i]) && type.p[i] != '-')
			return false;
	n = str_copy(c->orcpt, sizeof c->orcpt, type);
	c->orcpt[n++] = ';';
	if (!str_ieq(type, STR("utf-8")))
		return smtp_xtext_decode(v, c->orcpt + n, sizeof c->orcpt - n);
	for (size_t i = 0; i < v.n; i++)
		if ((unsigned char)v.p[i] < 0x21 || v.p[i] == 0x7f)
			return false;
	str_copy(c->orcpt + n, sizeof c->orcpt - n, v);
	return str_utf8_valid(v);
}

/* RFC 1870 §6.1: up to 20 digits, so more than any size there can be. */
static bool size_value(struct smtp_command *c, struct str v)
{
	c->has_size = true;
	if (v.n > SIZE_DIGITS)
		return false;
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] < '0' || v.p[i] > '9')
			return false;
	if (!str_u64(v, &c->size))
		c->size = UINT64_MAX;
	return true;
}

/* Returns its bit, 0: not known, -1: a bad value. */
static int one_param(struct smtp_command *c, struct str name, struct str v, bool has)
{
	bool ok = has && v.n;
	enum param bit;

	if (c->verb == SMTP_MAIL && str_ieq(name, STR("SIZE"))) {
		bit = P_SIZE;
		ok = ok && size_value(c, v);
	} else if (c->verb == SMTP_MAIL && str_ieq(name, STR("BODY"))) {
		bit = P_BODY;
		ok = ok && body_value(c, v);
	} else if (c->verb == SMTP_MAIL && str_ieq(name, STR("SMTPUTF8"))) {
		bit = P_UTF8;
		ok = !has;
		c->smtputf8 = true;
	} else if (c->verb == SMTP_MAIL && str_ieq(name, STR("RET"))) {
		bit = P_RET;
		ok = ok && ret_value(c, v);
	} else if (c->verb == SMTP_MAIL && str_ieq(name, STR("ENVID"))) {
		bit = P_ENVID;
		ok = ok && smtp_xtext_decode(v, c->envid, sizeof c->envid);
	} else if (c->verb == SMTP_MAIL && str_ieq(name, STR("AUTH"))) {
		char mailbox[SMTP_PATH_MOST + 3];

		bit = P_AUTH; /* RFC 4954 §5: who it was elsewhere; nobody is trusted so far here */
		ok = ok && smtp_xtext_decode(v, mailbox, sizeof mailbox);
	} else if (c->verb == SMTP_RCPT && str_ieq(name, STR("NOTIFY"))) {
		bit = P_NOTIFY;
		ok = ok && notify_value(c, v);
	} else if (c->verb == SMTP_RCPT && str_ieq(name, STR("ORCPT"))) {
		bit = P_ORCPT;
		ok = ok && orcpt_value(c, v);
	} else {
		return 0;
	}
	return ok ? (int)bit : -1;
}

static const struct smtp_reply *params(struct smtp_command *c, struct str rest, unsigned flags)
{
	struct str word, name;
	unsigned seen = 0, n = 0;

	while (str_cut(&rest, ' ', &word)) {
		int bit;

		if (!word.n)
			continue;
		if (!(flags & SMTP_EXTENDED))
			return &no_params;
		if (++n > PARAM_MOST)
			return &bad_param;
		name = word;
		word = STR_NONE;
		for (size_t i = 0; i < name.n; i++) {
			if (name.p[i] != '=')
				continue;
			word = str_skip(name, i + 1);
			bit = one_param(c, str_n(name.p, i), word, true);
			goto known;
		}
		bit = one_param(c, name, STR_NONE, false);
	known:
		if (bit <= 0)
			return bit ? &bad_value : &bad_param;
		if (seen & (unsigned)bit)
			return &twice;
		seen |= (unsigned)bit;
	}
	return NULL;
}

/* ---- commands ---- */

/* Behind "FROM:" or "TO:": the path, which ends with the ">" outside of quotes, and the rest. */
static bool split_path(struct str arg, struct str word, struct str *path_r, struct str *rest_r)
{
	bool quoted = false;
	size_t i;

	if (arg.n <= word.n || !str_ieq(str_n(arg.p, word.n), word))
		return false;
	arg = str_skip(arg, word.n);
	while (arg.n && arg.p[0] == ' ') /* not allowed, and everywhere */
		arg = str_skip(arg, 1);
	if (!arg.n || arg.p[0] != '<')
		return false;
	for (i = 1; i < arg.n && (quoted || arg.p[i] != '>'); i++) {
		if (quoted && arg.p[i] == '\\')
			i++;
		else if (arg.p[i] == '"')
			quoted = !quoted;
	}
	if (i >= arg.n)
		return false;
	*path_r = str_n(arg.p, i + 1);
	*rest_r = str_skip(arg, i + 1);
	return !rest_r->n || rest_r->p[0] == ' ';
}

static const struct smtp_reply *take_path(struct smtp_command *c, unsigned flags)
{
	bool mail = c->verb == SMTP_MAIL;
	struct str path, rest;
	const struct smtp_reply *why;

	if (!split_path(c->arg, mail ? STR("FROM:") : STR("TO:"), &path, &rest))
		return mail ? &mail_form : &rcpt_form;
	why = params(c, rest, flags);
	if (why)
		return why;
	if (!smtp_path_parse(path, mail, true, &c->path))
		return mail ? &bad_from : &bad_to;
	if (c->path.utf8 && !(mail ? c->smtputf8 : (flags & SMTP_UTF8) != 0))
		return mail ? &utf8_from : &utf8_to;
	return NULL;
}

static const struct smtp_reply *take_bdat(struct smtp_command *c)
{
	struct str rest = c->arg, size;

	if (!str_cut(&rest, ' ', &size) || size.n > SIZE_DIGITS || !str_u64(size, &c->chunk))
		return &bdat_form;
	rest = str_trim(rest);
	c->last = str_ieq(rest, STR("LAST"));
	return rest.n && !c->last ? &bdat_form : NULL;
}

static const struct smtp_reply *take_auth(struct smtp_command *c)
{
	struct str rest = c->arg;

	if (!str_cut(&rest, ' ', &c->mechanism) || !c->mechanism.n)
		return &auth_form;
	c->initial = str_trim(rest);
	c->has_initial = c->initial.n > 0;
	if (str_is(c->initial, "=")) /* an empty one (RFC 4954 §4) */
		c->initial = STR_NONE;
	return str_index(c->initial, ' ') >= 0 ? &auth_form : NULL;
}

static const struct {
	const char *word;
	enum smtp_verb verb;
} verbs[] = {
	{ "MAIL", SMTP_MAIL },
	{ "RCPT", SMTP_RCPT },
	{ "EHLO", SMTP_EHLO },
	{ "DATA", SMTP_DATA },
	{ "QUIT", SMTP_QUIT },
	{ "HELO", SMTP_HELO },
	{ "BDAT", SMTP_BDAT },
	{ "RSET", SMTP_RSET },
	{ "NOOP", SMTP_NOOP },
	{ "VRFY", SMTP_VRFY },
	{ "EXPN", SMTP_EXPN },
	{ "HELP", SMTP_HELP },
	{ "AUTH", SMTP_AUTH },
	{ "STARTTLS", SMTP_STARTTLS },
	{ "GET", SMTP_FOREIGN },
	{ "POST", SMTP_FOREIGN },
	{ "HEAD", SMTP_FOREIGN },
	{ "PUT", SMTP_FOREIGN },
	{ "OPTIONS", SMTP_FOREIGN },
	{ "CONNECT", SMTP_FOREIGN },
};

static enum smtp_verb verb_of(struct str word)
{
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (str_ieq(word, str_of(verbs[i].word)))
			return verbs[i].verb;
	return SMTP_UNKNOWN;
}

const struct smtp_reply *smtp_command_parse(
	struct str line, unsigned flags, struct smtp_command *c_r)
{
	size_t n = 0;

	while (n < line.n && line.p[n] != ' ')
		n++;
	*c_r = (struct smtp_command){ .verb = verb_of(str_n(line.p, n)) };
	c_r->arg = str_trim(str_skip(line, n));
	switch (c_r->verb) {
	case SMTP_MAIL:
	case SMTP_RCPT:
		return take_path(c_r, flags);
	case SMTP_BDAT:
		return take_bdat(c_r);
	case SMTP_AUTH:
		return take_auth(c_r);
	case SMTP_EHLO:
	case SMTP_HELO:
		return c_r->arg.n ? NULL : &no_name;
	case SMTP_DATA:
	case SMTP_RSET:
	case SMTP_QUIT:
	case SMTP_STARTTLS:
		return c_r->arg.n ? &no_arg : NULL;
	case SMTP_UNKNOWN:
		return &unknown;
	case SMTP_FOREIGN:
		return &foreign;
	default:
		return NULL;
	}
}
