/* See csv.h. A state per byte; fields gather in one buffer, and become slices of it at the end of
 * the row. */
#include "plugins/offers/csv.h"

enum state {
	CSV_HEAD,   /* the first line is gathered, to find what parts its fields */
	CSV_BEGIN,  /* of a row */
	CSV_FIELD,  /* of a field that is not in quotes, perhaps still empty */
	CSV_PLAIN,  /* inside of one */
	CSV_QUOTED, /* inside quotes */
	CSV_QUOTE,  /* behind a quote inside quotes: its end, or half of a doubled one */
	CSV_CR,
};

void csv_init(struct csv *c)
{
	memset(c, 0, sizeof *c);
	c->sep = ',';
	c->at_line = c->line = 1;
}

void csv_free(struct csv *c)
{
	buf_free(&c->head);
	buf_free(&c->text);
}

static void fault(struct csv *c, const char *why)
{
	if (!c->skipping)
		c->why = why;
	c->skipping = true;
}

static void field_end(struct csv *c)
{
	if (c->ends == CSV_FIELDS_MOST)
		fault(c, "has more than 256 fields");
	else
		c->end[c->ends++] = c->text.n;
}

static void add(struct csv *c, char b)
{
	if (c->skipping)
		return;
	if (c->text.n >= CSV_ROW_MOST)
		fault(c, "is longer than 256 KiB");
	else if (!b)
		fault(c, "holds a NUL");
	else
		buf_char(&c->text, b);
}

/* The row is whole. */
static enum csv_got row_end(struct csv *c)
{
	bool skipped = c->skipping;
	size_t from = 0;

	c->state = CSV_BEGIN;
	c->skipping = false;
	if (skipped)
		return CSV_FAULT;
	for (size_t i = 0; i < c->ends; i++) {
		c->fields[i] = str_n(c->text.p + from, c->end[i] - from);
		from = c->end[i];
	}
	c->n = c->ends;
	return CSV_ROW;
}

/* True: a row ended before or with this byte. */
static bool take(struct csv *c, char b)
{
	bool newline = b == '\n';

	switch ((enum state)c->state) {
	case CSV_HEAD:
	case CSV_BEGIN:
		if (newline || b == '\r')
			return false;
		c->line = c->at_line;
		c->text.n = 0;
		c->ends = 0;
		c->why = "";
		c->state = CSV_FIELD;
		/* fall through */
	case CSV_FIELD:
		if (b == '"') {
			c->state = CSV_QUOTED;
			return false;
		}
		c->state = CSV_PLAIN;
		/* fall through */
	case CSV_PLAIN:
		if (b == c->sep) {
			field_end(c);
			c->state = CSV_FIELD;
		} else if (newline) {
			field_end(c);
			return true;
		} else if (b == '\r') {
			c->state = CSV_CR;
		} else if (b == '"') {
			fault(c, "has a quote inside a field that does not begin with one");
		} else {
			add(c, b);
		}
		return false;
	case CSV_QUOTED:
		if (b == '"')
			c->state = CSV_QUOTE;
		else
			add(c, b);
		return false;
	case CSV_QUOTE:
		if (b == '"') {
			add(c, b);
			c->state = CSV_QUOTED;
		} else if (b == c->sep) {
			field_end(c);
			c->state = CSV_FIELD;
		} else if (newline) {
			field_end(c);
			return true;
		} else if (b == '\r') {
			c->state = CSV_CR;
		} else {
			fault(c, "has text behind a closing quote");
			c->state = CSV_PLAIN;
		}
		return false;
	case CSV_CR:
		if (newline) {
			field_end(c);
			return true;
		}
		fault(c, "has a CR that no LF follows");
		c->state = CSV_PLAIN;
		return false;
	}
	return false;
}

static enum csv_got take_all(struct csv *c, struct str *in)
{
	while (in->n) {
		char b = in->p[0];
		bool whole = take(c, b);

		if (b == '\n')
			c->at_line++;
		*in = str_skip(*in, 1);
		if (whole)
			return row_end(c);
	}
	return CSV_MORE;
}

static void head_known(struct csv *c)
{
	struct str head = buf_view(&c->head);

	if (str_starts(head, STR("\xef\xbb\xbf")))
		c->head_taken = 3;
	if (str_index(head, ',') < 0)
		c->sep = str_index(head, ';') >= 0 ? ';' : str_index(head, '\t') >= 0 ? '\t' : ',';
	c->state = CSV_BEGIN;
}

static enum csv_got take_head(struct csv *c)
{
	struct str rest = str_skip(buf_view(&c->head), c->head_taken);
	enum csv_got got = take_all(c, &rest);

	c->head_taken = c->head.n - rest.n;
	return got;
}

enum csv_got csv_next(struct csv *c, struct str *in)
{
	if (c->state == CSV_HEAD) {
		const char *lf = memchr(in->p, '\n', in->n);
		size_t n = lf ? (size_t)(lf - in->p) + 1 : in->n;

		buf_add(&c->head, in->p, n);
		*in = str_skip(*in, n);
		if (!lf && c->head.n < CSV_ROW_MOST)
			return CSV_MORE;
		head_known(c);
	}
	if (c->head_taken < c->head.n) {
		enum csv_got got = take_head(c);

		if (got != CSV_MORE)
			return got;
	}
	return take_all(c, in);
}

enum csv_got csv_end(struct csv *c)
{
	if (c->state == CSV_HEAD)
		head_known(c);
	if (c->head_taken < c->head.n) {
		enum csv_got got = take_head(c);

		if (got != CSV_MORE)
			return got;
	}
	if (c->state == CSV_BEGIN)
		return CSV_END;
	if (c->state == CSV_QUOTED)
		fault(c, "ends inside quotes");
	field_end(c);
	return row_end(c);
}
