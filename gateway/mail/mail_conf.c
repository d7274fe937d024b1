/* mail = { … }: its rows, and what must hold between them. See mail.h. */
#include "gateway/base/stream.h"
#include "gateway/mail/mail.h"
#include "gateway/model/address.h"

enum { SECRET_LEAST = 16 };

static int check_sender(struct str s, struct err *e)
{
	struct err why;

	if (s.n == 0 || address_email(s, &why) == 0)
		return 0;
	return err_set(e, ERR_CONF, "%s", why.text);
}

static int check_url(struct str s, struct err *e)
{
	if (s.n == 0)
		return 0;
	if (!str_starts(s, STR("https://")) && !str_starts(s, STR("http://")))
		return err_set(e, ERR_CONF, "must be an https:// URL");
	if (s.p[s.n - 1] != '/' && s.p[s.n - 1] != '=')
		return err_set(e, ERR_CONF,
			"must end in \"/\" or \"=\": the token follows it at once "
			"(https://mail.shop.example/u/)");
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '<' || s.p[i] == '>')
			return err_set(e, ERR_CONF,
				"a space, \"<\", \">\" or a letter beyond ASCII is not possible in "
				"a URL");
	return 0;
}

static int check_old_secret(struct str s, struct err *e)
{
	if (s.n >= SECRET_LEAST)
		return 0;
	return err_set(e, ERR_CONF, "one has %zu bytes, it takes at least %d", s.n, SECRET_LEAST);
}

static void check_mail(const void *conf, const struct conf_where *at, struct conf_faults *f)
{
	const struct mail_conf *c = conf;

	if (!c->secret && c->bounce_domain[0])
		conf_fault_at(f, at, "bounce_domain", "needs secret, to sign return paths with");
	if (!c->secret && c->unsubscribe_url[0])
		conf_fault_at(f, at, "unsubscribe_url", "needs secret, to sign its tokens with");
	if (!c->secret && c->old_secrets_n)
		conf_fault_at(f, at, "old_secrets", "are of no use without secret");
	if (str_starts(str_of(c->unsubscribe_url), STR("http://")))
		conf_warn_at(f, at, "unsubscribe_url",
			"one-click unsubscribing needs https (RFC 8058): mailbox providers do not "
			"show their button for http");
}

const struct conf_item mail_rows[] = { CONF_WHERE(struct mail_conf, at),
	CONF_STR(struct mail_conf, sender, "",
		"Sender of mails that name none; \"\": such mails fail when they are sent.",
		.check = check_sender, .example = "no-reply@shop.example"),
	CONF_STR(struct mail_conf, hostname, "",
		"Our name in Message-ID, Received and reports; \"\": the host's name.",
		.check = addr_domain_check),
	CONF_SECRET(struct mail_conf, secret,
		"Key of the signed tokens in return paths and unsubscribe links; without it there "
		"are none.",
		.min = SECRET_LEAST),
	CONF_STR(struct mail_conf, bounce_domain, "",
		"Domain of return paths (TOKEN@ this) and complaints (fbl@ this), whose mail "
		"comes to a listener of ours; "
		"\"\": the sender's own address.",
		.check = addr_domain_check),
	CONF_STR(struct mail_conf, unsubscribe_url, "",
		"What stands before the token in unsubscribe links; its requests must reach the "
		"API's /u/. \"\": none.",
		.check = check_url, .example = "https://mail.shop.example/u/"),
	CONF_DURATION(struct mail_conf, bounce_life, "1h", NULL, "30d",
		"How long a return path is taken as ours."),
	CONF_DURATION(struct mail_conf, unsubscribe_life, "1d", NULL, "400d",
		"How long an unsubscribe link works."),
	CONF_DURATION(struct mail_conf, delay_notice, "0", "30d", "4h",
		"A mail that still waits with us after that is told of, once, to those who asked "
		"for it (NOTIFY=DELAY); 0: never."),
	CONF_STRS(struct mail_conf, old_secrets, old_secrets_n,
		"Earlier secrets: their tokens are taken still, none is made with them.",
		.check = check_old_secret),
	CONF_CHECK(struct mail_conf, check_mail), CONF_END };
