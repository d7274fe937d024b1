/* Mails that are read: gateways by address and bounce addresses. See smtpd.h. */
#include "protocols/smtp/smtpd.h"

static void later(struct letter *l)
{
	smtpd_rcpt_done(CONTAINER(l, struct smtpd_rcpt, letter));
}

static void refuse_later(struct smtpd_rcpt *r)
{
	r->answer = (struct answer){ .reason = REASON_TEMPORARY };
	r->letter.run = later;
	loop_later(r->mail->s->srv->l->loop, &r->letter);
}

void smtpd_read(struct smtpd_mail *m)
{
	smtpd_accept(m);
}

void smtpd_gateway(struct smtpd_rcpt *r)
{
	refuse_later(r);
}

void smtpd_bounce(struct smtpd_rcpt *r)
{
	refuse_later(r);
}
