/* SMPP 3.3, 3.4 and 5.0: the protocol's face to the gateway. The server half is listener.c (with
 * session, submit, tell, manage), the client half client.c (see client.h); both speak by pdu.c and
 * wire.c.
 */
#include "protocols/protocol.h"
#include "protocols/smpp/client.h"
#include "protocols/smpp/server.h"

extern const struct protocol protocol_smpp;

const struct protocol protocol_smpp = {
	.name = "smpp",
	.about = "SMPP 3.3, 3.4 and 5.0",
	.media = MEDIA_BIT(MEDIA_SMS),
	/* sending */
	.channel_conf = client_rows,
	.channel_conf_size = sizeof(struct client_conf),
	.channel_size = sizeof(struct client),
	.open = client_open,
	.submit = client_submit,
	.close = client_close,
	.parts = client_parts,
	.receipt_answer = client_receipt_answer,
	.describe = client_describe,
	.adopt = client_adopt,
	/* listening */
	.listener_conf = server_rows,
	.listener_conf_size = sizeof(struct server_conf),
	.listener_size = sizeof(struct server),
	.account_size = sizeof(struct member),
	.listen = server_listen,
	.unlisten = server_unlisten,
	.answer = server_answer,
	.notify = tell_note,
	.account_open = server_account_open,
	.account_close = server_account_close,
	.listener_describe = server_describe,
	.listener_adopt = server_adopt,
};
