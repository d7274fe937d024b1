/* Mails that are read in pieces: text that stands in memory, and stretches of a file between it,
 * coded as they are read. Private to gateway/mail; mail.h has what others see. One thread at a
 * time.
 */
#ifndef POSTERN_MAIL_PIECES_H
#define POSTERN_MAIL_PIECES_H

#include "gateway/mail/mail.h"
#include "gateway/mail/mime_out.h"

enum piece_how {
	PIECE_TEXT,   /* of `text` */
	PIECE_COPY,   /* of the file, as it is */
	PIECE_BASE64, /* coded */
	PIECE_QUOTED, /* coded; its lines end with CRLF, and none is long */
	PIECE_REWRAP, /* base64 within a string of JSON, in lines */
	PIECE_RAW,    /* such base64, decoded; bare LF as CRLF */
};
struct piece {
	enum piece_how how;
	uint64_t at, n;
	uint64_t size; /* as it is read */
};
struct mail_pieces {
	struct buf text;
	size_t text_from; /* what is in no piece yet */
	int fd;           /* ours to close, or -1 */
	struct piece *v;
	size_t n, cap;
	uint64_t size;
	bool eightbit;
	/* reading */
	size_t i;
	uint64_t done; /* of piece i, of what is read for it */
	struct mime_unbase64 base64;
	struct buf carry; /* read, and not coded yet */
	bool cr;          /* the last octet was one */
	struct buf made;  /* coded … */
	size_t handed;    /* … and so much of it read */
};

struct mail_pieces *pieces_new(void);
/* A stretch of the file, behind the text that was written so far. */
void pieces_add(struct mail_pieces *p, enum piece_how how, uint64_t at, uint64_t n, uint64_t size);
void pieces_end(struct mail_pieces *p); /* the text behind the last one */

#endif
