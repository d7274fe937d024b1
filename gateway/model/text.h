/* The text of short messages: choosing a coding, cutting into parts, writing each part's octets,
 * and reading all of it back. Rules and figures: 3GPP TS 23.038, TS 23.040 and SMPP 3.4 5.2.19.
 *
 * Pure; any thread. A plan borrows the text and the options' values; it allocates nothing, and a
 * short ASCII text costs one pass over its bytes.
 */
#ifndef POSTERN_MODEL_TEXT_H
#define POSTERN_MODEL_TEXT_H

#include "gateway/base/buf.h"
#include "gateway/base/err.h"
#include "gateway/model/gsm7.h"
#include "gateway/model/udh.h"

enum text_coding {
	TEXT_GSM7,   /* the peer's default alphabet, data_coding 0, in the form of enum text_form */
	TEXT_ASCII,  /* data_coding 1; counted as GSM 7-bit, which it becomes on the air */
	TEXT_LATIN1, /* data_coding 3 */
	TEXT_UCS2,   /* data_coding 8: UTF-16BE */
	TEXT_BINARY, /* data_coding 4: octets */
	TEXT_CODINGS,
};

/* What a peer means by data_coding 0. On the air it is GSM 7-bit whatever the form, so lengths
 * are counted in septets and only characters of the GSM alphabet go this way. */
enum text_form {
	TEXT_FORM_GSM,    /* one septet an octet, ESC an octet of its own: nearly everyone */
	TEXT_FORM_PACKED, /* packed, with fill bits behind a UDH */
	TEXT_FORM_LATIN1,
	TEXT_FORM_ASCII,
	TEXT_FORM_UTF8,
};

enum text_split {
	TEXT_SPLIT_UDH8, /* the default: works nearly everywhere */
	TEXT_SPLIT_UDH16,
	TEXT_SPLIT_SAR,     /* sar_* TLVs; sized as UDH8, or as UDH16 with sar_wide */
	TEXT_SPLIT_PAYLOAD, /* one PDU with message_payload; the far side cuts */
	TEXT_SPLIT_NONE,    /* what does not fit one short message is refused */
};

enum {
	TEXT_PARTS_MAX = 255,       /* a total is one octet */
	TEXT_PAYLOAD_LIMIT = 64000, /* octets of message_payload, unless options say less */
	TEXT_OCTETS_MAX = 254,      /* short_message (SMPP 3.4 5.2.21) */
};
#define TEXT_CODING_BIT(c)   (1u << (c))
#define TEXT_LANGUAGE_BIT(l) (1u << (l))
/* The codings of a peer that says nothing about itself. */
#define TEXT_ALLOW_USUAL (TEXT_CODING_BIT(TEXT_GSM7) | TEXT_CODING_BIT(TEXT_UCS2))

/* A channel's settings. Zeroed is the usual channel: GSM 7-bit unpacked or UCS-2, UDH-8. */
struct text_options {
	unsigned allow;     /* sum of TEXT_CODING_BIT; 0: TEXT_ALLOW_USUAL */
	unsigned languages; /* sum of TEXT_LANGUAGE_BIT whose shift tables may be used */
	bool locking;       /* …their locking tables too, not the single shift alone */
	unsigned translit;  /* sum of TRANSLIT_*; 0: characters are never changed */
	bool lossy;         /* last resort where no coding fits: '?' for a character */
	bool binary;        /* the text is octets, to be sent as TEXT_BINARY */
	bool fewest;        /* the coding with the fewest parts, not the first that fits */
	unsigned max_parts; /* 0: TEXT_PARTS_MAX */
	enum text_split split;
	bool sar_wide;
	enum text_form form;
	bool little_endian; /* UCS-2 the wrong way round, for the few that want it */
	bool ports;         /* a port element in each part's UDH */
	uint16_t port_to, port_from;
	size_t payload_limit; /* 0: TEXT_PAYLOAD_LIMIT */
};

enum text_fault {
	TEXT_OK,
	TEXT_INVALID,   /* not UTF-8 */
	TEXT_NO_CODING, /* a character that no allowed coding has */
	TEXT_TOO_LONG,  /* more parts than allowed, or more octets than the payload takes */
};

struct text_plan {
	enum text_coding coding;
	uint8_t data_coding;     /* 0, 1, 3, 4 or 8: what submit_sm says without a class */
	uint8_t locking, single; /* national tables in every part's UDH; 0: none */
	uint8_t header;          /* octets of each part's UDH, UDHL included */
	bool payload;            /* the one PDU carries message_payload */
	bool lossy;              /* '?' stands for characters that no coding has */
	unsigned parts;          /* PDUs to send; 1 when payload */
	unsigned segments;       /* short messages on the air: what is paid for */
	unsigned units;          /* septets, octets or UTF-16 units of the whole text */
	unsigned changed;        /* characters that transliteration or '?' replaced */
	uint32_t changed_char;   /* the first of them; 0 when none */
	uint32_t costly;         /* first character outside GSM 7-bit, as allowed; 0: none */
	size_t costly_at;        /* …its byte offset */
	enum text_fault fault;
	struct text_options o;
	struct str text;
	uint32_t at[TEXT_PARTS_MAX + 1]; /* part i is text[at[i] … at[i + 1]) */
};

/* Plans a text. 0; or -1 with p->fault and, where e is given, a sentence naming the place, the
 * character, or the count and the limit (p->segments then still counts). Never cuts text off. */
int text_plan(struct text_plan *p, struct str text, const struct text_options *o, struct err *e);
/* Says what forced UCS-2: "’ (U+2019 RIGHT SINGLE QUOTATION MARK)"; "" when nothing did. */
void text_costly_name(const struct text_plan *p, char *out, size_t cap);

struct text_part {
	bool udhi;            /* the octets open with a UDH: set esm_class 0x40 */
	bool payload;         /* they belong into message_payload */
	struct concat concat; /* as in the UDH, or the SAR TLVs to send (kind CONCAT_SAR) */
	unsigned units;       /* septets, octets or UTF-16 units, header excluded */
	struct str source;    /* the bytes of the text that this part carries */
};
/* Appends part i (from 0) to out: UDH if any, then the text. ref is the message's reference, the
 * same for all its parts and each retry of them (UDH-8 takes its low octet). */
void text_part(const struct text_plan *p, unsigned i, uint16_t ref, struct buf *out,
	struct text_part *part_r);

/* Largest part in septets, octets or UTF-16 units under a UDH of so many octets. */
unsigned text_room(enum text_coding coding, size_t header);
/* The GSM data coding scheme for a coding with a message class 0-3: 0x10…, 0x14…, 0x18…. */
uint8_t text_class_coding(enum text_coding coding, unsigned message_class);

/* ---- reading ------------------------------------------------------------------------------ */

enum text_charset {
	TEXT_CHARSET_GSM,
	TEXT_CHARSET_PACKED,
	TEXT_CHARSET_ASCII,
	TEXT_CHARSET_LATIN1,
	TEXT_CHARSET_UTF8,
	TEXT_CHARSET_UCS2,
	TEXT_CHARSET_8859_5,
	TEXT_CHARSET_8859_8,
	TEXT_CHARSET_JIS,
	TEXT_CHARSET_ISO_2022_JP,
	TEXT_CHARSET_EUC_JP,
	TEXT_CHARSET_EUC_KR,
	TEXT_CHARSET_BINARY,
};
const char *text_charset_name(enum text_charset c);

/* What a data_coding says, by SMPP 3.4 5.2.19 and TS 23.038 4. */
struct text_dcs {
	enum text_charset charset;
	int8_t message_class; /* 0-3, or -1; 0 is "flash" */
	bool waiting;         /* a message waiting indication group */
	bool unknown;         /* reserved or compressed: octets that we do not guess at */
};
struct text_peer {
	enum text_form form; /* of data_coding 0 */
	bool ascii_gsm; /* data_coding 1 is GSM 7-bit, as some have it, not ASCII (in which octets
			    above 0x7F are read as Latin-1) */
	bool little_endian; /* UCS-2 without a BOM */
};
struct text_dcs text_dcs(uint8_t data_coding, const struct text_peer *peer);

struct text_decoded {
	struct text_dcs dcs;
	bool binary;    /* out is the octets themselves, not text */
	bool odd;       /* UCS-2 of odd length: the last octet was dropped */
	bool lossy;     /* something had no meaning and became U+FFFD */
	struct udh udh; /* zeroed when there was none */
};
/* Appends to out the UTF-8 of a short message (or payload), or its octets when binary. udhi says
 * that it opens with a UDH, which is read and taken off; one that cannot be read is an error: -1
 * and out as before. peer NULL: the usual one. Never fails otherwise. */
int text_decode(uint8_t data_coding, struct str octets, bool udhi, const struct text_peer *peer,
	struct text_decoded *d_r, struct buf *out, struct err *e);

/* The two halves of it, for joining parts whose cut fell inside a character: the body without
 * its UDH and unpacked, and the text of one or many such bodies under the same dcs and tables. */
int text_body(uint8_t data_coding, struct str octets, bool udhi, const struct text_peer *peer,
	struct text_decoded *d_r, struct buf *out, struct err *e);
void text_body_decode(
	struct text_decoded *d, const struct text_peer *peer, struct str body, struct buf *out);

#endif
