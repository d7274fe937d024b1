/* command_status: constants, names and what a sender does with each, from status.def.
 * Pure; any thread. <smpp34.h>, where a file needs both, comes after this header: it defines
 * the same names as macros.
 */
#ifndef POSTERN_SMPP_STATUS_H
#define POSTERN_SMPP_STATUS_H

#include "gateway/base/buf.h"

enum smpp_status {
#define STATUS(name, value, cls, text) name = value,
#define ALIAS(name, value)             name = value,
#include "protocols/smpp/status.def"
	SMPP_STATUS_VENDOR_FIRST = 0x400, /* 3.4 §5.1.3: the SMSC vendor's own */
	SMPP_STATUS_VENDOR_LAST = 0x4ff,
};

/* Defaults; a channel's own table comes first. */
enum smpp_class {
	SMPP_CLASS_OK,
	SMPP_CLASS_THROTTLE,  /* slow the channel, put back at the head, not an attempt */
	SMPP_CLASS_TEMPORARY, /* try again with back-off, counts as an attempt */
	SMPP_CLASS_PERMANENT, /* this message has failed */
	SMPP_CLASS_BIND,      /* the session is at fault: requeue, bind again, alarm */
	SMPP_CLASS_BUG,       /* our request or configuration is at fault: fail it and alarm */
	SMPP_CLASS_AMBIGUOUS, /* temporary, a few tries: many operators mean "rejected" */
	SMPP_CLASS_VENDOR,    /* not in the table (400–4FF and all else): permanent, alarm */
};

/* "ESME_RTHROTTLED"; "ESME_vendor" and "ESME_unknown" for those without a name. Static. */
const char *smpp_status_name(uint32_t status);
/* "message rate exceeded"; never NULL. */
const char *smpp_status_text(uint32_t status);
/* Adds "ESME_RTHROTTLED (0x58)", "ESME_vendor (0x410)". */
void smpp_status_put(struct buf *b, uint32_t status);
/* Takes "ESME_RTHROTTLED", "RTHROTTLED" in any case, "0x58" and "88"; false: not one. */
bool smpp_status_by_name(struct str name, uint32_t *status_r);
enum smpp_class smpp_status_class(uint32_t status);
const char *smpp_class_name(enum smpp_class c); /* "throttle" … */

#endif
