/* JSON from outside: parsed with a place for every fault, read strictly, and cut out of a stream.
 *
 * Three parts: json_read() makes one text into a jansson value; struct json_obj reads an object
 * field by field and says what is wrong by JSON pointer ("/to: must be a string"), a field nobody
 * asked for included; struct json_split cuts a long body (one value, the elements of an array, or
 * lines) into texts without ever holding more than one of them. No state outside arguments.
 */
#ifndef POSTERN_HTTP_JSON_H
#define POSTERN_HTTP_JSON_H

#include "gateway/base/clock.h"
#include "gateway/base/err.h"

#include <jansson.h>

/* ---- faults ---- */
enum { JSON_FAULTS_MOST = 8, JSON_FIELDS_MOST = 64, JSON_DEPTH_MOST = 64 };

struct json_fault {
	char at[128]; /* RFC 6901 pointer; "" is the whole text */
	char text[200];
};
struct json_faults { /* zeroed is empty; what comes after the most is dropped */
	unsigned n;
	struct json_fault v[JSON_FAULTS_MOST];
};
void json_fault(struct json_faults *f, const char *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* "/to: must be a string; /text: is missing" */
void json_faults_put(struct buf *b, const struct json_faults *f);

/* ---- one text ----
 * A new reference, or NULL with a fault that names line, column and byte. Refused besides what RFC
 * 8259 refuses: a name twice in one object, NUL in a string, more than JSON_DEPTH_MOST levels. */
json_t *json_read(struct str text, struct json_faults *f);
/* The value as compact text. */
void json_write(struct buf *b, const json_t *v);
/* The string's bytes, STR_NONE when it is none. Lives as long as v. */
struct str json_str(const json_t *v);

/* ---- one object, strictly ----
 * Each call names a field once; it returns true and sets *v_r when the field is there and good.
 * Absent (or null) fields leave *v_r alone and are a fault only with JSON_REQUIRED. */
enum json_flag { JSON_REQUIRED = 1, JSON_EMPTY_OK = 2 /* strings: "" is taken */ };

struct json_obj {
	json_t *o; /* borrowed; NULL when the value was no object */
	const char *at;
	struct json_faults *faults;
	unsigned asked_n, found;
	const char *asked[JSON_FIELDS_MOST];
};
void json_obj_open(struct json_obj *r, json_t *v, const char *at, struct json_faults *f);
/* Says which fields were not asked for, each with what may have been meant. False when this
 * object, or anything read through the same faults, was at fault. */
bool json_obj_close(struct json_obj *r);
/* Any type; null too, unlike with the others. */
json_t *json_obj_any(struct json_obj *r, const char *name, unsigned flags);
/* most: bytes. The slice lives as long as the object. */
bool json_obj_str(
	struct json_obj *r, const char *name, unsigned flags, size_t most, struct str *v_r);
bool json_obj_bool(struct json_obj *r, const char *name, unsigned flags, bool *v_r);
bool json_obj_int(struct json_obj *r, const char *name, unsigned flags, int64_t least, int64_t most,
	int64_t *v_r);
bool json_obj_real(struct json_obj *r, const char *name, unsigned flags, double *v_r);
/* RFC 3339. */
bool json_obj_time(struct json_obj *r, const char *name, unsigned flags, wall_t *v_r);
/* "90s", "14d"; not negative. */
bool json_obj_dur(struct json_obj *r, const char *name, unsigned flags, dur_t *v_r);
/* One of words (NULL-terminated): its index. */
bool json_obj_word(
	struct json_obj *r, const char *name, unsigned flags, const char *const *words, int *v_r);
json_t *json_obj_object(struct json_obj *r, const char *name, unsigned flags); /* borrowed */
json_t *json_obj_array(struct json_obj *r, const char *name, unsigned flags, size_t most);
/* A fault of the field, for checks of one's own. */
void json_obj_fault(struct json_obj *r, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* at + "/" + name, escaped, into out (for json_obj_open of what is inside). */
void json_pointer(char *out, size_t cap, const char *at, const char *name);

/* ---- a stream of texts ---- */
enum json_split_kind {
	JSON_SPLIT_AUTO,  /* an array when its first character is '[', else one */
	JSON_SPLIT_ONE,   /* the whole body is one text */
	JSON_SPLIT_ARRAY, /* the elements of a top-level array */
	JSON_SPLIT_LINES, /* NDJSON: each line that is not blank */
};
enum json_split_got {
	JSON_SPLIT_FAULT = -1, /* the frame is broken: nothing more will come; see faults */
	JSON_SPLIT_MORE,       /* all bytes are taken, more are needed */
	JSON_SPLIT_ITEM,       /* *item_r is one text, good until the next call */
	JSON_SPLIT_LONG,       /* an item longer than allowed was passed over */
	JSON_SPLIT_END,        /* json_split_end only: that was all */
};
struct json_split {
	enum json_split_kind kind;
	size_t item_most;
	uint64_t items; /* begun so far; the current one's index is items - 1 */
	uint64_t bytes; /* taken so far */
	/* private */
	struct buf held;
	unsigned depth;
	uint8_t state;
	bool in_string, escaped, too_long;
};
void json_split_init(struct json_split *s, enum json_split_kind kind, size_t item_most);
void json_split_free(struct json_split *s);
/* Takes bytes off *in until an item is whole. The item may be a slice of *in's bytes. It is framed,
 * not checked: json_read() does that, so one bad item does not spoil the others. */
enum json_split_got json_split_next(
	struct json_split *s, struct str *in, struct str *item_r, struct json_faults *f);
/* No more bytes: the last item (once), then END; or FAULT when the body is cut off. */
enum json_split_got json_split_end(struct json_split *s, struct str *item_r, struct json_faults *f);

#endif
