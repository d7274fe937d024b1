/* Delivery status notifications for submitters. See smtpd.h. */
#include "protocols/smtp/smtpd.h"

bool smtpd_tell_refused(struct smtpd_mail *m)
{
	return false;
}

void smtpd_dsn_answer(void *token, const struct answer *a) {}
