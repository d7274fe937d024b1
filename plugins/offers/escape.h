/* How a value is written, by where it lands. The author of a text does not choose; the compiler
 * does (template_html.h for HTML). Control characters become one blank in every sink, so no value
 * begins a line, a header or a printer's command; marks that turn the direction of writing are
 * dropped; what is not UTF-8 becomes U+FFFD. Pure; any thread.
 */
#ifndef POSTERN_PLUGINS_OFFERS_ESCAPE_H
#define POSTERN_PLUGINS_OFFERS_ESCAPE_H

#include "gateway/base/buf.h"

enum sink {
	SINK_TEXT,      /* push, viber, social, the text of an email */
	SINK_SMS,       /* no-break blanks are blanks, which GSM 7-bit has */
	SINK_PRINT,     /* likewise; printer.h sees to the rest */
	SINK_HEADER,    /* one line of a mail's header (its encoding is SMTP's affair) */
	SINK_HTML,      /* between tags */
	SINK_ATTR,      /* within a quoted attribute */
	SINK_QUERY,     /* within an address: percent-encoded (RFC 3986: all but the unreserved) */
	SINK_LINK,      /* a whole address: http, https, mailto or tel; see escape_link_good() */
	SINK_LINK_ATTR, /* the same within a quoted attribute of HTML */
	SINK_JSON,      /* within the quotes of a JSON string */
	SINK_COUNT
};
void escape_put(struct buf *b, enum sink sink, struct str value);
/* Is it an address that a link may lead to? No blanks or control characters, a harmless scheme. */
bool escape_link_good(struct str value);

#endif
