/* Big attachments are taken out of a request while it streams in: the value of "attachments" of an
 * item goes to a file of the spool as it was written, and its place in the stream is taken by a
 * mark, a string that nobody outside can know. What is left is small, and is cut and parsed as
 * ever. Values up to `least` bytes stay where they are.
 *
 * A tokenizer that knows strings and brackets and nothing else. One thread at a time; it may block
 * on the disk.
 */
#ifndef POSTERN_CONTROL_STRAIN_H
#define POSTERN_CONTROL_STRAIN_H

#include "gateway/base/spool.h"
#include "gateway/base/buf.h"

enum { STRAIN_MARK = 44, STRAIN_DIGEST = 33 };
/* A value that was taken out. */
struct strained {
	char mark[STRAIN_MARK];
	char digest[STRAIN_DIGEST]; /* of its bytes */
	/* The same without what is long: contents are "". An array that ends is valid JSON. */
	struct buf skeleton;
	struct spool_writer *file; /* NULL after a fault, or when it has been taken */
	const char *fault;         /* what is wrong with it; "" nothing. Constant text */
	bool again;                /* the fault is ours: the disk */
	bool ended;
	struct strained *next;
};

struct strain;
/* lines: NDJSON, each line an item; else one item, or an array of them. s NULL: nothing is taken.
 */
struct strain *strain_new(struct spool *s, bool lines, size_t least);
void strain_free(struct strain **sp); /* files not taken are gone */
/* Takes all of the bytes; appends what is left of them. */
void strain_take(struct strain *st, struct str bytes, struct buf *out);
void strain_end(struct strain *st, struct buf *out); /* the body is at its end */
/* The value that a string of the stream stands for, NULL: none. */
struct strained *strain_find(struct strain *st, struct str mark);
/* An item, cut from what was left of the stream, is done with: its value is forgotten, and those of
 * items before it. */
void strain_forget(struct strain *st, struct str item);

#endif
