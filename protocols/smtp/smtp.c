/* SMTP: the protocol's face to the gateway. The server half is listener.c (see smtpd.h), the client
 * half client.c (see client.h).
 */
#include "protocols/protocol.h"
#include "protocols/smtp/client.h"
#include "protocols/smtp/smtpd.h"

extern const struct protocol protocol_smtp;

const struct protocol protocol_smtp = {
	.name = "smtp",
	.about = "ESMTP",
	.media = MEDIA_BIT(MEDIA_EMAIL),
	/* sending */
	.channel_conf = relay_rows,
	.channel_conf_size = sizeof(struct relay_conf),
	.channel_size = sizeof(struct relay),
	.window = 2,
	.open = relay_open,
	.submit = relay_submit,
	.parts = relay_parts,
	.close = relay_close,
	.describe = relay_describe,
	.adopt = relay_adopt,
	/* listening */
	.listener_conf = smtpd_rows,
	.listener_conf_size = sizeof(struct smtpd_conf),
	.listener_size = sizeof(struct smtpd),
	.account_size = sizeof(struct smtpd_member),
	.listen = smtpd_listen,
	.unlisten = smtpd_unlisten,
	.answer = smtpd_answer,
	.notify = smtpd_note,
	.evidence_answer = smtpd_evidence_answer,
	.account_open = smtpd_account_open,
	.account_close = smtpd_account_close,
	.listener_describe = smtpd_describe,
	.listener_adopt = smtpd_adopt,
};
