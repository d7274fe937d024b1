/* Addresses of every medium: telling kinds apart, bringing phone numbers to one form, checking
 * shapes, and choosing TON and NPI for the wire. Pure; any thread.
 *
 * The one form of a phone number is E.164 digits without '+': routes, the store and receipts see
 * nothing else. Errors name the fault and the address, worded for whoever submitted it.
 */
#ifndef POSTERN_MODEL_ADDRESS_H
#define POSTERN_MODEL_ADDRESS_H

#include "gateway/base/buf.h"
#include "gateway/base/err.h"
#include "gateway/model/text.h"

enum {
	ADDRESS_PHONE_MAX = 15, /* digits (E.164) */
	ADDRESS_SHORT_MIN = 3,  /* digits of a short code */
	ADDRESS_SHORT_MAX = 8,
	ADDRESS_ALNUM_MAX = 11,  /* septets of a named sender (TS 23.040 9.1.2.5) */
	ADDRESS_SMS_CAP = 36,    /* bytes for any of these in UTF-8, NUL included */
	ADDRESS_EMAIL_MAX = 254, /* RFC 5321 4.5.3.1, RFC 3696 erratum 1690 */
	ADDRESS_PUSH_MAX = 4096,
};

enum address_kind {
	ADDRESS_PHONE,
	ADDRESS_SHORT, /* digits that are no E.164 number: a short code */
	ADDRESS_ALNUM, /* a named sender */
};

/* Type of number and numbering plan (SMPP 3.4 5.2.5, 5.2.6). */
enum {
	TON_UNKNOWN,
	TON_INTERNATIONAL,
	TON_NATIONAL,
	TON_NETWORK,
	TON_SUBSCRIBER,
	TON_ALPHANUMERIC,
	TON_ABBREVIATED,

	NPI_UNKNOWN = 0,
	NPI_E164 = 1,
};
struct ton_npi {
	uint8_t ton, npi;
};

/* Where a submitter dials from. Zeroed: numbers must be international. */
struct address_country {
	char code[4];    /* country calling code, "46"; "": none, national forms are refused */
	char trunk[4];   /* what a national number begins with, "0"; "": nothing (Italy, Spain) */
	char abroad[6];  /* international prefix; "": "00" */
	unsigned digits; /* digits of a national number without trunk, where always the same (US
			    10); 0: not known, then only the trunk tells a national number */
	unsigned short_max; /* bare digits up to so many are a short code; 0: 6 */
};
/* Checks the settings themselves: digits only, code present where trunk is. */
int address_country_check(const struct address_country *c, struct err *e);

struct address {
	enum address_kind kind;
	uint8_t n;
	char text[ADDRESS_SMS_CAP]; /* NUL-terminated */
};
static inline struct str address_str(const struct address *a)
{
	return str_n(a->text, a->n);
}

/* A destination: PHONE or SHORT. Takes '+', the international prefix, spaces, dashes, dots,
 * slashes, brackets, "(0)" after a country code, "tel:". ton and npi are the submitter's
 * (TON_UNKNOWN when it has none to give); content beats them: a '+' is international whatever TON
 * says. country may be NULL. */
int address_destination(struct address *a_r, struct str in, unsigned ton, unsigned npi,
	const struct address_country *country, struct err *e);
/* A source: any kind. What holds anything but digits and their punctuation is ALNUM; TON 5 makes
 * it so whatever it holds. Empty is an error: whether a sender may be left out is the caller's. */
int address_source(struct address *a_r, struct str in, unsigned ton, unsigned npi,
	const struct address_country *country, struct err *e);

/* A channel's choice of TON and NPI. */
struct address_numbering {
	struct ton_npi source_alnum, source_short, source_other, destination, destination_short;
};
#define ADDRESS_NUMBERING_USUAL                                    \
	((struct address_numbering){                               \
		.source_alnum = { TON_ALPHANUMERIC, NPI_UNKNOWN }, \
		.source_short = { TON_NETWORK, NPI_UNKNOWN },      \
		.source_other = { TON_INTERNATIONAL, NPI_E164 },   \
		.destination = { TON_INTERNATIONAL, NPI_E164 },    \
		.destination_short = { TON_UNKNOWN, NPI_E164 },    \
	})
struct ton_npi address_source_ton(const struct address_numbering *n, const struct address *a);
struct ton_npi address_destination_ton(const struct address_numbering *n, const struct address *a);

/* Appends a named sender's octets as a channel wants them: GSM septets, Latin-1, ASCII or UTF-8
 * (PACKED counts as GSM). '@' is the octet 0x40 in every form but GSM, where it would be NUL,
 * which a C-octet string cannot hold: an error. */
int address_source_octets(
	const struct address *a, enum text_form form, struct buf *out, struct err *e);

/* The shape of an email address: one '@', lengths, dot-atom or quoted local part, a host name or
 * bracketed literal; UTF-8 in both parts (RFC 6531). No look-up of any kind. */
int address_email(struct str in, struct err *e);
/* "CHANNEL:TOKEN" or a bare token (*channel_r empty). The first ':' parts them, so a bare token
 * that itself holds one (FCM's do) must be told by the caller, who knows the channels. */
int address_push(struct str in, struct str *channel_r, struct str *token_r, struct err *e);

#endif
