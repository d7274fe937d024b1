/* The user data header that may open a short message (3GPP TS 23.040 9.2.3.24): reading it with
 * distrust, and building the few kinds that we send. Pure; any thread.
 */
#ifndef POSTERN_MODEL_UDH_H
#define POSTERN_MODEL_UDH_H

#include "gateway/base/err.h"
#include "gateway/base/str.h"

enum {
	UDH_CONCAT8 = 0x00, /* ref, total, seq */
	UDH_PORTS8 = 0x04,  /* destination, source */
	UDH_PORTS16 = 0x05,
	UDH_CONCAT16 = 0x08, /* ref (2), total, seq */
	UDH_SINGLE = 0x24,   /* national single shift table */
	UDH_LOCKING = 0x25,  /* national locking shift table */

	UDH_BUILT = 24, /* no header that udh_build() makes is longer */
};

/* How a message's parts name each other. SAR is no UDH but three TLVs of the same sense. */
enum concat_kind {
	CONCAT_NONE,
	CONCAT_UDH8,
	CONCAT_UDH16,
	CONCAT_SAR,
};

struct concat {
	enum concat_kind kind;
	uint16_t ref;
	uint8_t total, seq; /* seq counts from 1 */
};

/* What a header says. Zeroed where it says nothing. */
struct udh {
	size_t size; /* octets that the header takes, UDHL included: the text begins there */
	bool bad;    /* an element does not fit UDHL: nothing in it is believed (9.2.3.24) */
	struct concat concat;
	bool ports;
	uint16_t port_to, port_from;
	uint8_t locking, single; /* language identifiers; 0: the default tables */
	unsigned others;         /* elements of other kinds, which we leave alone */
};

/* One information element; p points into the header. */
struct udh_ie {
	uint8_t id;
	struct str data;
};

/* Reads the header at the start of user data. -1, with e (may be NULL) set, when there is none:
 * empty, or UDHL beyond the end. An element of a known kind with a wrong length or senseless
 * values (total 0, seq 0 or beyond total) is ignored; of a repeated kind the last is taken. */
int udh_parse(struct str user_data, struct udh *u_r, struct err *e);
/* Walks the elements of a header that udh_parse() accepted and that is not bad: *at is 0 at
 * first; false at the end. */
bool udh_next(struct str user_data, size_t *at, struct udh_ie *ie_r);
/* Writes UDHL and the elements that u's fields ask for (concat of kind UDH8/UDH16, ports,
 * single, locking; in that order) and returns the octets written; 0 when u asks for none. */
size_t udh_build(const struct udh *u, uint8_t out[static UDH_BUILT]);
/* The three values of SAR or UDH make sense together (T40: otherwise the element is ignored). */
bool concat_valid(unsigned total, unsigned seq);

#endif
