/* Where in a page of HTML a value stands, so that it can be written for that place: the compiler
 * feeds the author's literal bytes through a small tokenizer (a part of the WHATWG one) and asks at
 * each value. Also the text alternative of a page. Pure; any thread.
 */
#ifndef POSTERN_PLUGINS_OFFERS_TEMPLATE_HTML_H
#define POSTERN_PLUGINS_OFFERS_TEMPLATE_HTML_H

#include "plugins/offers/escape.h"

enum html_state {
	HTML_TEXT,
	HTML_TAG_OPEN,
	HTML_TAG_NAME,
	HTML_IN_TAG,
	HTML_ATTR_NAME,
	HTML_BEFORE_VALUE,
	HTML_VALUE_DOUBLE,
	HTML_VALUE_SINGLE,
	HTML_VALUE_BARE,
	HTML_COMMENT,
	HTML_DECLARATION,
	HTML_RAW /* script, style: until the end tag */
};
struct html_place { /* zeroed: the beginning of a page */
	enum html_state state;
	char tag[16], attr[24];
	uint8_t tag_n, attr_n, dashes, raw_n;
	bool closing, in_value; /* something of the attribute's value has gone by */
};
void html_feed(struct html_place *h, struct str literal);
/* The sink of a value that stands here, or why none may (static). */
const char *html_sink(struct html_place *h, enum sink *sink_r);
/* NULL when the page may end here. */
const char *html_unfinished(const struct html_place *h);

/* The page as text: paragraphs and line ends kept, addresses of links in brackets behind their
 * text, entities resolved. Tokens of templates ($Name, ${…}) pass as they are when `tokens`. */
void html_to_text(struct buf *out, struct str page, bool tokens);

#endif
