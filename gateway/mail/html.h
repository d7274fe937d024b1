/* HTML cut into tokens, for html.c. Private to gateway/mail. Slices into the text; any octets. */
#ifndef POSTERN_MAIL_HTML_H
#define POSTERN_MAIL_HTML_H

#include "gateway/base/buf.h"

/* What an element means for plain text. */
enum html_tag {
	HTML_OTHER,
	HTML_BR,
	HTML_BLOCK,     /* div and the like: a line of its own */
	HTML_PARAGRAPH, /* p, headings: empty lines around it */
	HTML_TABLE,
	HTML_CELL,
	HTML_LIST,
	HTML_NUMBERED,
	HTML_ITEM,
	HTML_QUOTE,
	HTML_PRE,
	HTML_LINK,
	HTML_IMAGE,
	HTML_RULE,
	HTML_RAW, /* script, style and others whose content is no text for people */
};
enum html_kind { HTML_TEXT, HTML_START, HTML_END };
struct html_token {
	enum html_kind kind;
	struct str text; /* TEXT: entities still in it; START: the tag's inside, attributes too */
	struct str name;
	enum html_tag tag;
	bool empty; /* an element that has no end (br, img …) */
};
/* False at the end. Comments, declarations and what stands in RAW elements are passed over. */
bool html_next(struct str *rest, struct html_token *t_r);
/* The value of an attribute of a START, undecoded; STR_NONE when it is not there. */
struct str html_attribute(struct str tag, struct str name);
/* Not shown at all: display:none, mso-hide:all. */
bool html_is_hidden(struct str tag);
/* s begins with "&": octets of the reference (0: it is none) and what it stands for. */
size_t html_entity(struct str s, uint32_t *c_r);
/* A value with its references resolved. */
void html_decode(struct str s, struct buf *out);

#endif
