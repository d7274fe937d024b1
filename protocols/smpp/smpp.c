/* SMPP 3.3, 3.4 and 5.0: the protocol's face to the gateway. The server half is listener.c (with
 * session, submit, tell, manage), the client half client.c; both speak by pdu.c and wire.c.
 */
#include "protocols/protocol.h"

extern const struct protocol protocol_smpp;

const struct protocol protocol_smpp = {
	.name = "smpp", .about = "SMPP 3.3, 3.4 and 5.0", .media = MEDIA_BIT(MEDIA_SMS),
	/* sending: client.h */
	/* listening: server.h */
};
