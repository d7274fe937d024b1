/* What each channel may carry, exhaustively (the specification's matrix), and whether a text still
 * is the one that a social network has approved. Pure; any thread.
 */
#ifndef POSTERN_PLUGINS_OFFERS_CONTENT_H
#define POSTERN_PLUGINS_OFFERS_CONTENT_H

#include "gateway/model/message.h"

enum content {
	CONTENT_TEXT = 1,
	CONTENT_IMAGE = 2,
	CONTENT_BUTTON = 4,
	CONTENT_HTML = 8, /* formatted text: markup anywhere */
	CONTENT_LINK = 16 /* a link that is not the button */
};
/* NULL when a message of that medium may consist of these; else why not (static). */
const char *content_refusal(enum media m, unsigned contents);
/* Tags or entities of HTML: at their byte offset, or -1. */
ptrdiff_t content_markup(struct str text);
/* An address that a reader's program makes a link of: at its offset, or -1. */
ptrdiff_t content_link(struct str text);

/* Does the text fit the approved pattern? %d: a number; %w: a word; %*: anything within a line;
 * %%: '%'. Time: the product of their lengths. */
bool content_approved(struct str pattern, struct str text);
/* NULL, or what is wrong with a pattern (static). */
const char *content_pattern_wrong(struct str pattern);

#endif
