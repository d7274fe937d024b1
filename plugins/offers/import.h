/* Many members or suppressions at once: a body of any length becomes slices of rows, which the
 * writer applies one after the other between more urgent work.
 *
 * Reading runs on the thread that has the bytes; a slice is handed to the writer and comes back
 * with what became of it. A fault is named by its line (of an array: its item) and field, spoils
 * its own row only, and is counted even where there are too many to be listed.
 */
#ifndef POSTERN_PLUGINS_OFFERS_IMPORT_H
#define POSTERN_PLUGINS_OFFERS_IMPORT_H

#include "plugins/offers/csv.h"
#include "plugins/offers/member_input.h"

enum import_form { IMPORT_CSV, IMPORT_LINES, IMPORT_JSON /* one object, or an array of them */ };
enum import_what { IMPORT_MEMBERS, IMPORT_SUPPRESSIONS };
enum {
	IMPORT_SLICE = 200,        /* rows: some 5 ms of the writer's time */
	IMPORT_FAULTS_MOST = 1000, /* listed */
	IMPORT_ITEM_MOST = 256 << 10
};

struct import_slice;
struct import;
struct import_conf {
	enum import_form form;
	enum import_what what;
	struct rules *rules; /* referenced */
	struct address_country country;
	bool verified;  /* see struct member_reader */
	const char *by; /* the token: who vouches for consent; borrowed */
	int media;      /* suppressions that name no medium, -1: they must */
	int row;        /* and no row: -1 all */
};
struct import *import_new(const struct import_conf *c);
void import_free(struct import **ip);

/* Takes bytes until they end or a slice is full: *slice_r is the caller's then (and the bytes that
 * are left come again). False: the whole is at fault (import_refused()), nothing more is taken. */
bool import_feed(struct import *im, struct str *in, struct import_slice **slice_r);
/* No more bytes: the rest as slices, NULL when there is none left. */
bool import_end(struct import *im, struct import_slice **slice_r);

/* On the writer, in a unit of work of its own; may be run again after it was undone. -1 with w->e:
 * the store failed. Undoes nothing of the rows that were good. */
int import_apply(struct work *w, struct import_slice *s);
/* What became of it is counted; the slice is freed. undone: it did not happen at all. */
void import_took(struct import *im, struct import_slice **sp, bool undone);

struct import_counts {
	uint64_t rows, created, changed, refused, undone;
};
struct import_counts import_counts(const struct import *im);
/* Why the whole was refused: an unknown column, broken JSON; NULL: it was not. */
const struct json_faults *import_refused(const struct import *im);
/* {"rows":…,"created":…,"changed":…,"refused":…,"faults":[{"line":…,"field":…,"text":…}]} */
void import_report(const struct import *im, struct buf *out);
/* The first few, as faults of one object. */
void import_faults(const struct import *im, struct json_faults *f);
/* "line 3: phone: is not a phone number", one a line. */
void import_report_text(const struct import *im, struct buf *out);

#endif
