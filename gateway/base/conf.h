/* Configuration by tables: one row per key, beside the code that uses it. From the rows come the
 * loader with its faults (FILE:LINE: message, all at once), the defaults, `postern -t --defaults`,
 * postern.conf(5), and the comparison that tells a reload what it may leave alone.
 *
 *	static const struct conf_item smpp_rows[] = {
 *		CONF_STR(struct smpp_conf, host, NULL, "The SMSC.", .flags = CONF_REQUIRED),
 *		CONF_INT(struct smpp_conf, window, 1, 100000, 100,
 *			"Unanswered submit_sm allowed at once.", .unit = "messages"),
 *		CONF_SECRET(struct smpp_conf, password, "Password.", .max = 8),
 *		CONF_END
 *	};
 *
 * A row checks the C type of its field when it is compiled. A loaded struct is plain data in the
 * caller's arena, which nobody changes afterwards. Any thread; there is no state outside arguments.
 * These files are the only ones that see libconfig.
 */
#ifndef POSTERN_BASE_CONF_H
#define POSTERN_BASE_CONF_H

#include "gateway/base/clock.h"
#include "gateway/base/buf.h"
#include "gateway/base/err.h"
#include "gateway/base/mem.h"

#include <stdio.h>

/* ---- where things stand, and faults ------------------------------------------------------- */

struct conf_mark {
	const char *key, *file;
	unsigned line;
};
/* Where a group stands. Filled by a CONF_WHERE row; lives in the arena of the load. */
struct conf_where {
	const char *file;
	unsigned line;
	const char *label;             /* channels[0] "smsc-a"; "" for the root */
	const struct conf_mark *marks; /* the keys that were given */
	size_t marks_n;
};

struct conf_fault {
	size_t file; /* index into conf_faults.files */
	unsigned line, seq;
	bool warning;
	char *text;
};
/* Collects faults; zeroed is empty. Owns what it holds, so the arena of the load may die first. */
struct conf_faults {
	struct conf_fault *v;
	size_t n, cap;
	char **files; /* in the order of reading */
	size_t files_n;
	size_t errors, warnings;
	bool incomplete; /* a file could not be read: checks of references would mislead */
};
void conf_faults_free(struct conf_faults *f);
void conf_fault(struct conf_faults *f, const char *file, unsigned line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* A warning does not make a load fail. */
void conf_warn(struct conf_faults *f, const char *file, unsigned line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Says `"key" in LABEL: message` at the key's own line when it was given, else at the group's;
 * key NULL: `LABEL: message`. For checks of references after a load. Never put a secret in. */
void conf_fault_at(struct conf_faults *f, const struct conf_where *at, const char *key,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void conf_warn_at(struct conf_faults *f, const struct conf_where *at, const char *key,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The mark of a key that was given, or NULL. */
const struct conf_mark *conf_given(const struct conf_where *at, const char *key);
/* In order of files and lines, `FILE:LINE: message` or `FILE:LINE: warning: message`, one a line.
 */
void conf_faults_text(struct conf_faults *f, struct buf *out);
void conf_faults_print(struct conf_faults *f, FILE *to);

/* ---- rows --------------------------------------------------------------------------------- */

struct conf_item;

/* A word and what it means; tables end with { NULL }. */
struct conf_word {
	const char *word;
	int value;
	const char *doc; /* may be NULL */
};
/* A free key and its value as text; tables of a far side's status words and the like. */
struct conf_pair {
	const char *key, *value;
	unsigned line;
};
/* What a type word adds to a group: further rows and the struct that they fill. */
struct conf_variant {
	const char *word;
	const struct conf_item *table; /* NULL: the word is not offered here */
	size_t size;
	const char *doc;
};
/* The i-th variant; false behind the last. */
typedef bool conf_variant_fn(size_t i, struct conf_variant *v_r);
/* Checks one text value; -1 and e->text (without the key) when it will not do. */
typedef int conf_check_fn(struct str value, struct err *e);
/* Checks a whole group once its own rows have no fault; says faults by conf_fault_at(). */
typedef void conf_group_fn(const void *conf, const struct conf_where *at, struct conf_faults *f);

enum conf_kind {
	CONF_K_END,
	CONF_K_INT,
	CONF_K_BOOL,
	CONF_K_REAL,
	CONF_K_STR,
	CONF_K_PATH,
	CONF_K_SECRET,
	CONF_K_DURATION,
	CONF_K_SIZE,
	CONF_K_ENUM,
	CONF_K_FLAGS,
	CONF_K_STRS,
	CONF_K_GROUP,
	CONF_K_LIST,
	CONF_K_NAMED,
	CONF_K_MAP,
	CONF_K_VARIANT,
	CONF_K_INLINE,
	CONF_K_KEYNAME,
	CONF_K_WHERE,
	CONF_K_CHECK,
};
enum conf_ctype {
	CONF_C_NONE,
	CONF_C_INT,
	CONF_C_UINT,
	CONF_C_U8,
	CONF_C_U16,
	CONF_C_I64,
	CONF_C_U64
};
enum conf_flag {
	CONF_REQUIRED = 1, /* must be given */
	CONF_UNIQUE = 2,   /* text: the name of its list's elements, used once over all files */
	CONF_REST = 4, /* CONF_MAP, CONF_NAMED: takes the otherwise unknown keys of this group */
	CONF_READABLE = 8, /* CONF_PATH: the file must be readable when loading */
};

struct conf_item {
	enum conf_kind kind;
	enum conf_ctype ctype;
	const char *key; /* the C name; the key too, unless .as says otherwise */
	size_t of;       /* sizeof the struct that the row belongs to */
	size_t at;       /* offset of the field */
	size_t at2;      /* of the count, the given flag, the variant's struct or the hash; + 1 */
	size_t size;     /* of the group, or of one element */
	int64_t min, max, def;
	double real_min, real_max, real_def;
	const char *text, *text_min, *text_max; /* defaults and limits written as text */
	const struct conf_word *words;
	const struct conf_item *table;
	conf_variant_fn *variants;
	conf_group_fn *group_check;
	const char *doc;
	/* What a row may add behind its doc: */
	const char *as;              /* the key's name in the file */
	unsigned flags;              /* enum conf_flag */
	const char *unit;            /* for the manual: "messages/s" */
	const char *example;         /* for the manual, where there is no default */
	const char *const *defaults; /* CONF_STRS: ends with NULL */
	conf_check_fn *check; /* CONF_STR, CONF_PATH, each of CONF_STRS, values of CONF_MAP */
};

/* clang-format off */
#define CONF_FIELD(S, f)  (((S *)0)->f)
/* offsetof, for a field of exactly this type; anything else does not compile. */
#define CONF_AT(S, f, type) _Generic(CONF_FIELD(S, f), type: offsetof(S, f))
#define CONF_INTS(S, f)                                                                            \
	_Generic(CONF_FIELD(S, f), int: CONF_C_INT, unsigned: CONF_C_UINT, uint8_t: CONF_C_U8,      \
		uint16_t: CONF_C_U16, int64_t: CONF_C_I64, uint64_t: CONF_C_U64)
#define CONF_ROW(S, f, k)  .kind = (k), .key = #f, .of = sizeof(S)
#define CONF_ROW_AT(S, f, k, type) CONF_ROW(S, f, k), .at = CONF_AT(S, f, type)
#define CONF_ROW_INTS(S, f, k) \
	CONF_ROW(S, f, k), .at = offsetof(S, f), .ctype = CONF_INTS(S, f)
#define CONF_ROW_MANY(S, f, k, count, t) \
	CONF_ROW(S, f, k), .at = offsetof(S, f), .at2 = CONF_AT(S, count, size_t) + 1, \
	.size = sizeof *CONF_FIELD(S, f), .table = (t)

/* An integer of any width (uint8_t … int64_t), from lo to hi. */
#define CONF_INT(S, f, lo, hi, dflt, about, ...)                                                   \
	{ CONF_ROW_INTS(S, f, CONF_K_INT), .min = (lo), .max = (hi), .def = (dflt),                 \
	  .doc = (about), __VA_ARGS__ }
#define CONF_BOOL(S, f, dflt, about, ...)                                                          \
	{ CONF_ROW_AT(S, f, CONF_K_BOOL, bool), .def = (dflt), .doc = (about), __VA_ARGS__ }
/* A double; integers are taken too. */
#define CONF_REAL(S, f, lo, hi, dflt, about, ...)                                                  \
	{ CONF_ROW_AT(S, f, CONF_K_REAL, double), .real_min = (lo), .real_max = (hi),               \
	  .real_def = (dflt), .doc = (about), __VA_ARGS__ }
/* UTF-8 text, const char *; the default may be NULL. .min and .max limit its length in bytes. */
#define CONF_STR(S, f, dflt, about, ...)                                                           \
	{ CONF_ROW_AT(S, f, CONF_K_STR, const char *), .text = (dflt), .doc = (about), __VA_ARGS__ }
/* The path of a file or folder, const char *; a relative one begins at the main file's folder. */
#define CONF_PATH(S, f, dflt, about, ...)                                                          \
	{ CONF_ROW_AT(S, f, CONF_K_PATH, const char *), .text = (dflt), .doc = (about), __VA_ARGS__ }
/* The same of a file that must be readable when loading: uint64_t hash is of what it holds (0: not
 * given), so that a comparison sees a certificate that was renewed in place. */
#define CONF_FILE(S, f, hash, about, ...)                                                          \
	{ CONF_ROW_AT(S, f, CONF_K_PATH, const char *), .at2 = CONF_AT(S, hash, uint64_t) + 1,      \
	  .doc = (about), __VA_ARGS__ }
/* Text that is never shown, const char *; KEY_file = "path" reads it from a file instead. */
#define CONF_SECRET(S, f, about, ...)                                                              \
	{ CONF_ROW_AT(S, f, CONF_K_SECRET, const char *), .doc = (about), __VA_ARGS__ }
/* int64_t nanoseconds; limits and default are written as in the file: "1s", "30d". lo NULL: 0;
 * hi NULL: none; dflt NULL: 0. */
#define CONF_DURATION(S, f, lo, hi, dflt, about, ...)                                              \
	{ CONF_ROW_AT(S, f, CONF_K_DURATION, int64_t), .ctype = CONF_C_I64, .text_min = (lo),       \
	  .text_max = (hi), .text = (dflt), .doc = (about), __VA_ARGS__ }
/* Bytes, in any integer wide enough; limits and default as in the file: "64KiB". */
#define CONF_SIZE(S, f, lo, hi, dflt, about, ...)                                                  \
	{ CONF_ROW_INTS(S, f, CONF_K_SIZE), .text_min = (lo), .text_max = (hi), .text = (dflt),     \
	  .doc = (about), __VA_ARGS__ }
/* One of the words; the field is an enum, int or unsigned. */
#define CONF_ENUM(S, f, table_, dflt, about, ...)                                                  \
	{ CONF_ROW(S, f, CONF_K_ENUM), .at = offsetof(S, f),                                        \
	  .ctype = _Generic(CONF_FIELD(S, f), int: CONF_C_INT, unsigned: CONF_C_UINT),              \
	  .words = (table_), .def = (dflt), .doc = (about), __VA_ARGS__ }
/* Any of the words, one or a list; the field (unsigned) gets their values or-ed. */
#define CONF_FLAGS(S, f, table_, dflt, about, ...)                                                 \
	{ CONF_ROW_AT(S, f, CONF_K_FLAGS, unsigned), .ctype = CONF_C_UINT, .words = (table_),       \
	  .def = (dflt), .doc = (about), __VA_ARGS__ }
/* Texts, one or a list: const char **f and size_t count. .words limits them. */
#define CONF_STRS(S, f, count, about, ...)                                                         \
	{ CONF_ROW_AT(S, f, CONF_K_STRS, const char **), .at2 = CONF_AT(S, count, size_t) + 1,      \
	  .doc = (about), __VA_ARGS__ }
/* A struct within the struct, by a table of its own; not given: its defaults. */
#define CONF_GROUP(S, f, table_, about, ...)                                                       \
	{ CONF_ROW(S, f, CONF_K_GROUP), .at = offsetof(S, f), .size = sizeof CONF_FIELD(S, f),      \
	  .table = (table_), .doc = (about), __VA_ARGS__ }
/* The same, and `bool given` says whether it was written. */
#define CONF_GROUP_GIVEN(S, f, given, table_, about, ...)                                          \
	{ CONF_ROW(S, f, CONF_K_GROUP), .at = offsetof(S, f), .at2 = CONF_AT(S, given, bool) + 1,   \
	  .size = sizeof CONF_FIELD(S, f), .table = (table_), .doc = (about), __VA_ARGS__ }
/* Groups: `struct x *f` and size_t count. ( { … }, { … } ), or one group alone. */
#define CONF_LIST(S, f, count, table_, about, ...)                                                 \
	{ CONF_ROW_MANY(S, f, CONF_K_LIST, count, table_), .doc = (about), __VA_ARGS__ }
/* Groups under free keys, { a = { … }; b = { … }; }, as an array; CONF_KEYNAME holds the key. */
#define CONF_NAMED(S, f, count, table_, about, ...)                                                \
	{ CONF_ROW_MANY(S, f, CONF_K_NAMED, count, table_), .doc = (about), __VA_ARGS__ }
#define CONF_KEYNAME(S, f) { CONF_ROW_AT(S, f, CONF_K_KEYNAME, const char *) }
/* Free keys with scalar values: struct conf_pair *f and size_t count. .words limits values. */
#define CONF_MAP(S, f, count, about, ...)                                                          \
	{ CONF_ROW_AT(S, f, CONF_K_MAP, struct conf_pair *), .at2 = CONF_AT(S, count, size_t) + 1,  \
	  .doc = (about), __VA_ARGS__ }
/* The word that picks further rows for its own group: const char *f is the word, and
 * void *specific the struct that the variant's rows fill (NULL only after a fault). */
#define CONF_VARIANT(S, f, specific, fn, dflt, about, ...)                                         \
	{ CONF_ROW_AT(S, f, CONF_K_VARIANT, const char *), .at2 = CONF_AT(S, specific, void *) + 1, \
	  .variants = (fn), .text = (dflt), .doc = (about), __VA_ARGS__ }
/* The rows of a struct within the struct, at the same level in the file. */
#define CONF_INLINE(S, f, table_)                                                                  \
	{ CONF_ROW(S, f, CONF_K_INLINE), .at = offsetof(S, f), .size = sizeof CONF_FIELD(S, f),     \
	  .table = (table_) }
/* struct conf_where: where this group stands. */
#define CONF_WHERE(S, f) { CONF_ROW_AT(S, f, CONF_K_WHERE, struct conf_where) }
/* conf_group_fn, called with the struct S. */
#define CONF_CHECK(S, fn) { .kind = CONF_K_CHECK, .key = #fn, .of = sizeof(S), .group_check = (fn) }
#define CONF_END          { .kind = CONF_K_END }
/* clang-format on */

/* ---- loading ------------------------------------------------------------------------------ */

/* Reads the main file and what its `include` names into a struct of the root table. 0, or -1 when
 * f has errors; *out is set in both cases (faulty values have their defaults, faulty elements keep
 * their names), so that checks of references can add their faults, unless f->incomplete. */
int conf_load(const char *path, const struct conf_item *root, size_t size, struct arena *a,
	void **out, struct conf_faults *f);
/* The same from files that are all equal, without a main one: patterns, relative to dir, ended by
 * NULL. No match is no fault. */
int conf_load_globs(const char *dir, const char *const *globs, const struct conf_item *root,
	size_t size, struct arena *a, void **out, struct conf_faults *f);
/* The same from text, called `name` in faults; nothing can be included. */
int conf_load_text(const char *name, struct str text, const struct conf_item *root, size_t size,
	struct arena *a, void **out, struct conf_faults *f);
/* A struct of the table with nothing but defaults. */
void *conf_defaults(const struct conf_item *table, size_t size, struct arena *a);
/* Are the tables sound (names once, all documented, defaults within limits, structs of the right
 * size)? Loading checks the same and aborts; this is for the unit test beside a table. */
int conf_table_check(const struct conf_item *table, size_t size, struct err *e);

/* ---- values ------------------------------------------------------------------------------- */

/* "250ms", "30s", "1h30m", "14 days", "0": 0 and nanoseconds, or -1 and the reason (static). */
int conf_parse_duration(struct str s, int64_t *ns_r, const char **why_r);
/* A time (RFC 3339), or such a duration before now; false: neither. */
bool conf_parse_when(struct str s, wall_t now, wall_t *t_r);
/* "64KiB", "10 MB", "512B", "0": 0 and bytes, or -1 and the reason (static). */
int conf_parse_size(struct str s, int64_t *bytes_r, const char **why_r);
/* Looks up a word; false when there is none. And the word of a value, or NULL. */
bool conf_word_value(const struct conf_word *words, struct str word, int *value_r);
const char *conf_word_of(const struct conf_word *words, int value);

/* ---- comparing and explaining ------------------------------------------------------------- */

/* Do two loaded structs say the same? Places in files do not count. */
bool conf_equal(const struct conf_item *table, const void *a, const void *b);
/* A line for each difference: `changed channels["smsc-a"].window`, `added channels["x"]`,
 * `removed routes[2]`. Names only, never values. */
void conf_describe_change(
	const struct conf_item *table, const void *a, const void *b, struct buf *out);
/* Calls fn for each struct at any depth of conf (of the root table) that the rows of `table` have
 * filled, as a group, an element or inline. */
void conf_each(const struct conf_item *root, const void *conf, const struct conf_item *table,
	void (*fn)(void *ctx, const void *found), void *ctx);
/* Every key with type, unit, default, limits and doc, in the form of a configuration file. */
void conf_print_defaults(FILE *to, const struct conf_item *root);
/* The same as sections of a man(7) page. */
void conf_print_man(FILE *to, const struct conf_item *root);

#endif
