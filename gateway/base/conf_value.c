/* Single values: from text and from libconfig's settings into the fields of structs, each with its
 * type, its limits and the words for what is wrong with it. See conf.h. */
#include "gateway/base/conf_private.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECRET_MOST = 64 * 1024, SHOWN_MOST = 60, FILE_READ_MOST = 16 << 20 };

/* ---- numbers with units ------------------------------------------------------------------- */

struct unit {
	const char *words; /* "|h|hour|hours|" */
	int64_t one;
};

#define NS_SECOND INT64_C(1000000000)
static const struct unit duration_units[] = {
	{ "|ns|", 1 },
	{ "|us|", 1000 },
	{ "|ms|millisecond|milliseconds|", 1000000 },
	{ "|s|sec|second|seconds|", NS_SECOND },
	{ "|m|min|minute|minutes|", 60 * NS_SECOND },
	{ "|h|hour|hours|", 3600 * NS_SECOND },
	{ "|d|day|days|", 86400 * NS_SECOND },
	{ "|w|week|weeks|", 7 * 86400 * NS_SECOND },
	{ NULL, 0 },
};
static const struct unit size_units[] = {
	{ "|B|byte|bytes|", 1 },
	{ "|kB|KB|", 1000 },
	{ "|MB|", 1000000 },
	{ "|GB|", 1000000000 },
	{ "|TB|", INT64_C(1000000000000) },
	{ "|KiB|", 1024 },
	{ "|MiB|", 1024 * 1024 },
	{ "|GiB|", 1024 * 1024 * 1024 },
	{ "|TiB|", INT64_C(1024) * 1024 * 1024 * 1024 },
	{ NULL, 0 },
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}
static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int64_t unit_of(const struct unit *units, struct str word)
{
	char probe[24];

	if (word.n == 0 || word.n > sizeof probe - 3)
		return 0;
	snprintf(probe, sizeof probe, "|%.*s|", STR_ARG(word));
	for (; units->words; units++)
		if (strstr(units->words, probe))
			return units->one;
	return 0;
}

/* Takes "1.5 h" off *s and adds it to *sum. The fraction has up to nine digits. */
static const char *term(
	struct str *s, const struct unit *units, __int128 *sum, const char *bad_unit)
{
	__int128 whole = 0, part = 0, scale = 1;
	struct str digits = *s, word;
	int64_t one;

	while (s->n && is_digit(s->p[0])) {
		whole = whole * 10 + (s->p[0] - '0');
		if (whole > INT64_MAX)
			return "the number is too large";
		*s = str_skip(*s, 1);
	}
	if (s->p == digits.p)
		return "it begins with a number";
	if (s->n && s->p[0] == '.') {
		*s = str_skip(*s, 1);
		if (!s->n || !is_digit(s->p[0]))
			return "digits are missing after the point";
		for (; s->n && is_digit(s->p[0]); *s = str_skip(*s, 1)) {
			scale *= 10;
			if (scale > 1000000000)
				return "more than nine digits after the point";
			part = part * 10 + (s->p[0] - '0');
		}
	}
	*s = str_trim(*s);
	word = *s;
	for (word.n = 0; word.n < s->n && is_letter(word.p[word.n]);)
		word.n++;
	one = unit_of(units, word);
	if (!one)
		return bad_unit;
	*sum += whole * one + part * one / scale;
	if (*sum > INT64_MAX)
		return "the number is too large";
	*s = str_trim(str_skip(*s, word.n));
	return NULL;
}

int conf_parse_duration(struct str s, int64_t *ns_r, const char **why_r)
{
	__int128 sum = 0;

	s = str_trim(s);
	*why_r = s.n ? NULL : "it is empty";
	if (str_is(s, "0"))
		s.n = 0;
	while (s.n && !*why_r)
		*why_r = term(&s, duration_units, &sum,
			"its unit is one of ns, us, ms, s, m, h, d, w (months and years differ in "
			"length)");
	if (*why_r)
		return -1;
	*ns_r = (int64_t)sum;
	return 0;
}

bool conf_parse_when(struct str s, wall_t now, wall_t *t_r)
{
	const char *why;
	int64_t ago;

	if (clock_parse_rfc3339(s, t_r))
		return true;
	return conf_parse_duration(s, &ago, &why) == 0 && !__builtin_sub_overflow(now, ago, t_r);
}

int conf_parse_size(struct str s, int64_t *bytes_r, const char **why_r)
{
	__int128 sum = 0;

	s = str_trim(s);
	*why_r = s.n ? NULL : "it is empty";
	if (str_is(s, "0"))
		s.n = 0;
	if (s.n)
		*why_r = term(&s, size_units, &sum,
			"its unit is one of B, KiB, MiB, GiB, TiB (1024), kB, MB, GB, TB (1000)");
	if (!*why_r && s.n)
		*why_r = "something follows the unit";
	if (*why_r)
		return -1;
	*bytes_r = (int64_t)sum;
	return 0;
}

bool conf_word_value(const struct conf_word *words, struct str word, int *value_r)
{
	for (; words && words->word; words++)
		if (str_is(word, words->word)) {
			*value_r = words->value;
			return true;
		}
	return false;
}

const char *conf_word_of(const struct conf_word *words, int value)
{
	for (; words && words->word; words++)
		if (words->value == value)
			return words->word;
	return NULL;
}

/* ---- fields ------------------------------------------------------------------------------- */

static void put_int(char *base, size_t at, enum conf_ctype c, int64_t v)
{
	uint8_t u8 = (uint8_t)v;
	uint16_t u16 = (uint16_t)v;
	int i = (int)v;

	switch (c) {
	case CONF_C_U8:
		memcpy(base + at, &u8, sizeof u8);
		break;
	case CONF_C_U16:
		memcpy(base + at, &u16, sizeof u16);
		break;
	case CONF_C_INT:
	case CONF_C_UINT:
		memcpy(base + at, &i, sizeof i);
		break;
	case CONF_C_I64:
	case CONF_C_U64:
		memcpy(base + at, &v, sizeof v);
		break;
	case CONF_C_NONE:
		CHECK(!"a row without a C type");
	}
}

int64_t conf_get_int(const char *base, size_t at, enum conf_ctype c)
{
	uint8_t u8;
	uint16_t u16;
	int i;
	unsigned u;
	int64_t v;

	switch (c) {
	case CONF_C_U8:
		return memcpy(&u8, base + at, sizeof u8), u8;
	case CONF_C_U16:
		return memcpy(&u16, base + at, sizeof u16), u16;
	case CONF_C_INT:
		return memcpy(&i, base + at, sizeof i), i;
	case CONF_C_UINT:
		return memcpy(&u, base + at, sizeof u), u;
	default:
		return memcpy(&v, base + at, sizeof v), v;
	}
}

static const char *resolved(struct conf_load *l, const char *path)
{
	if (path[0] == '/' || !l->dir[0])
		return arena_cstr(l->a, str_of(path));
	return arena_printf(l->a, "%s%s", l->dir, path);
}

/* A default is in the table, so it is sound (conf_table_check). */
void conf_default(struct conf_load *l, const struct conf_item *i, char *base)
{
	const char *why;
	int64_t v = 0;
	bool b = i->def != 0;
	size_t n = 0;

	switch (i->kind) {
	case CONF_K_INT:
	case CONF_K_ENUM:
	case CONF_K_FLAGS:
		put_int(base, i->at, i->ctype, i->def);
		break;
	case CONF_K_BOOL:
		memcpy(base + i->at, &b, sizeof b);
		break;
	case CONF_K_REAL:
		memcpy(base + i->at, &i->real_def, sizeof i->real_def);
		break;
	case CONF_K_STR:
	case CONF_K_VARIANT:
		conf_set_ptr(base, i->at, i->text);
		break;
	case CONF_K_PATH:
		conf_set_ptr(base, i->at, i->text ? resolved(l, i->text) : NULL);
		break;
	case CONF_K_DURATION:
		if (i->text)
			CHECK(conf_parse_duration(str_of(i->text), &v, &why) == 0);
		put_int(base, i->at, i->ctype, v);
		break;
	case CONF_K_SIZE:
		if (i->text)
			CHECK(conf_parse_size(str_of(i->text), &v, &why) == 0);
		put_int(base, i->at, i->ctype, v);
		break;
	case CONF_K_STRS:
		while (i->defaults && i->defaults[n])
			n++;
		conf_set_ptr(base, i->at, n ? i->defaults : NULL);
		*conf_count(i, base) = n;
		break;
	default:
		break;
	}
}

/* ---- faults of values --------------------------------------------------------------------- */

void conf_fault_setting(
	struct conf_load *l, const config_setting_t *s, const char *label, const char *fmt, ...)
{
	struct conf_where at = { .file = conf_file_of(s)->path, .line = s->line, .label = label };
	struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	/* An element of an array has no name of its own; its array has. */
	conf_fault_at(l->f, &at,
		s->name     ? s->name
		: s->parent ? s->parent->name
			    : NULL,
		"%s", buf_cstr(&b));
	buf_free(&b);
}

static void put_found(struct buf *b, const config_setting_t *s, bool secret)
{
	switch (s->type) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		if (secret)
			buf_c(b, "an integer");
		else
			buf_printf(b, "the integer %lld",
				s->type == CONFIG_TYPE_INT ? s->value.ival : s->value.llval);
		break;
	case CONFIG_TYPE_FLOAT:
		if (secret)
			buf_c(b, "a number");
		else
			buf_printf(b, "the number %g", s->value.fval);
		break;
	case CONFIG_TYPE_STRING:
		if (secret)
			buf_c(b, "text");
		else
			buf_printf(b, "the text \"%.*s\"", SHOWN_MOST, s->value.sval);
		break;
	case CONFIG_TYPE_BOOL:
		buf_c(b, secret ? "true or false" : s->value.ival ? "true" : "false");
		break;
	case CONFIG_TYPE_GROUP:
		buf_c(b, "a group { }");
		break;
	case CONFIG_TYPE_ARRAY:
		buf_c(b, "an array [ ]");
		break;
	default:
		buf_c(b, "a list ( )");
	}
}

void conf_wrong_type(struct conf_load *l, const config_setting_t *s, const char *label,
	const char *wanted, bool secret)
{
	struct buf b = BUF_INIT;

	put_found(&b, s, secret);
	conf_fault_setting(l, s, label, "must be %s, not %s", wanted, buf_cstr(&b));
	buf_free(&b);
}

void conf_suggest(struct buf *b, const char *word, const char *const *known, size_t n, bool all)
{
	unsigned most = strlen(word) < 4 ? 1 : strlen(word) < 8 ? 2 : 3, best = most + 1;
	const char *guess = NULL;

	for (size_t i = 0; i < n; i++) {
		unsigned d = str_distance(str_of(word), str_of(known[i]), most);

		if (d < best) {
			best = d;
			guess = known[i];
		}
	}
	if (guess) {
		buf_printf(b, "; did you mean \"%s\"?", guess);
		return;
	}
	for (size_t i = 0; all && i < n; i++)
		buf_printf(b, "%s\"%s\"", i ? ", " : "; it takes ", known[i]);
}

static void fault_word(struct conf_load *l, const config_setting_t *s, const char *label,
	const struct conf_word *words, const char *word)
{
	const char *known[CONF_ROWS_MOST];
	struct buf b = BUF_INIT;
	size_t n = 0;

	for (; words->word && n < CONF_ROWS_MOST; words++)
		known[n++] = words->word;
	buf_printf(&b, "unknown word \"%.*s\"", SHOWN_MOST, word);
	conf_suggest(&b, word, known, n, true);
	conf_fault_setting(l, s, label, "%s", buf_cstr(&b));
	buf_free(&b);
}

/* ---- loading ------------------------------------------------------------------------------ */

static bool whole_number(const config_setting_t *s, int64_t *v_r)
{
	if (s->type == CONFIG_TYPE_INT64) {
		*v_r = s->value.llval;
	} else if (s->type == CONFIG_TYPE_INT) {
		/* 0xffffffff is an int of 32 bits to libconfig; it never meant -1. */
		*v_r = s->format == CONFIG_FORMAT_HEX ? (int64_t)(uint32_t)s->value.ival
						      : s->value.ival;
	} else {
		return false;
	}
	return true;
}

static void load_int(struct conf_load *l, const struct conf_item *i, char *base,
	const config_setting_t *s, const char *label)
{
	const char *unit = i->unit ? i->unit : "";
	int64_t v;

	if (!whole_number(s, &v))
		conf_wrong_type(l, s, label, "an integer", false);
	else if (v < i->min || v > i->max)
		conf_fault_setting(l, s, label, "%lld is out of range, it takes %lld to %lld%s%s",
			(long long)v, (long long)i->min, (long long)i->max, unit[0] ? " " : "",
			unit);
	else
		put_int(base, i->at, i->ctype, v);
}

static void load_real(struct conf_load *l, const struct conf_item *i, char *base,
	const config_setting_t *s, const char *label)
{
	const char *unit = i->unit ? i->unit : "";
	double v = s->value.fval;
	int64_t whole;

	if (whole_number(s, &whole))
		v = (double)whole;
	else if (s->type != CONFIG_TYPE_FLOAT)
		return conf_wrong_type(l, s, label, "a number", false);
	if (!isfinite(v) || v < i->real_min || v > i->real_max)
		conf_fault_setting(l, s, label, "%g is out of range, it takes %g to %g%s%s", v,
			i->real_min, i->real_max, unit[0] ? " " : "", unit);
	else
		memcpy(base + i->at, &v, sizeof v);
}

static void load_measure(struct conf_load *l, const struct conf_item *i, char *base,
	const config_setting_t *s, const char *label)
{
	bool size = i->kind == CONF_K_SIZE;
	int (*parse)(struct str, int64_t *, const char **) =
		size ? conf_parse_size : conf_parse_duration;
	int64_t v, lo = 0, hi = INT64_MAX;
	const char *why;

	if (s->type != CONFIG_TYPE_STRING)
		return conf_wrong_type(l, s, label,
			size ? "a size in quotes, such as \"64KiB\""
			     : "a duration in quotes, such as \"30s\"",
			false);
	if (parse(str_of(s->value.sval), &v, &why))
		return conf_fault_setting(l, s, label, "\"%.*s\" is not a %s: %s", SHOWN_MOST,
			s->value.sval, size ? "size" : "duration", why);
	if (i->text_min)
		parse(str_of(i->text_min), &lo, &why);
	if (i->text_max)
		parse(str_of(i->text_max), &hi, &why);
	if (v >= lo && v <= hi)
		put_int(base, i->at, i->ctype, v);
	else if (i->text_max)
		conf_fault_setting(l, s, label, "\"%s\" is out of range, it takes \"%s\" to \"%s\"",
			s->value.sval, i->text_min ? i->text_min : "0", i->text_max);
	else
		conf_fault_setting(l, s, label, "\"%s\" is out of range, it takes \"%s\" or more",
			s->value.sval, i->text_min);
}

/* Length, encoding and the row's own check; false after a fault. */
static bool text_fits(struct conf_load *l, const struct conf_item *i, const config_setting_t *s,
	const char *label, const char *text)
{
	bool secret = i->kind == CONF_K_SECRET;
	size_t n = strlen(text);
	struct err e = { 0 };

	if (i->max && n > (size_t)i->max)
		conf_fault_setting(
			l, s, label, "has %zu bytes, it takes at most %lld", n, (long long)i->max);
	else if (n == 0 && (i->min > 0 || (i->flags & CONF_UNIQUE)))
		conf_fault_setting(l, s, label, "is empty");
	else if (n < (size_t)i->min)
		conf_fault_setting(
			l, s, label, "has %zu bytes, it takes at least %lld", n, (long long)i->min);
	else if (!secret && !str_utf8_valid((struct str){ text, n }))
		conf_fault_setting(l, s, label, "is not valid UTF-8");
	else if (i->check && i->check((struct str){ text, n }, &e))
		conf_fault_setting(l, s, label, "%s", e.text);
	else
		return true;
	return false;
}

/* Of a file's content, never 0; 0 and errno: it cannot be read. What it holds may be secret. */
static uint64_t file_hash(const char *path)
{
	char *bytes = mem_raw(64 * 1024);
	uint64_t h = 1;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), error;
	ssize_t got;

	for (size_t left = FILE_READ_MOST; fd >= 0 && left;) {
		got = read(fd, bytes, 64 * 1024);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			h = 0;
		if (got <= 0)
			break;
		h = (h * 31 + str_hash(str_n(bytes, (size_t)got))) | 1;
		left -= (size_t)got < left ? (size_t)got : left;
	}
	error = errno;
	if (fd >= 0)
		close(fd);
	explicit_bzero(bytes, 64 * 1024);
	mem_free(&bytes);
	errno = error;
	return fd < 0 ? 0 : h;
}

static void load_path(struct conf_load *l, const struct conf_item *i, char *base,
	const config_setting_t *s, const char *label)
{
	const char *path = resolved(l, s->value.sval);
	uint64_t hash = i->at2 ? file_hash(path) : 1;

	if (!hash || ((i->flags & CONF_READABLE) && access(path, R_OK) != 0))
		return conf_fault_setting(l, s, label, "cannot read %s: %s", path, strerror(errno));
	conf_set_ptr(base, i->at, path);
	if (i->at2)
		memcpy(base + i->at2 - 1, &hash, sizeof hash);
}

static void load_text(struct conf_load *l, const struct conf_item *i, char *base,
	const config_setting_t *s, const char *label)
{
	bool secret = i->kind == CONF_K_SECRET;
	struct conf_file *file = conf_file_of(s);

	if (s->type != CONFIG_TYPE_STRING)
		return conf_wrong_type(l, s, label, "text in quotes", secret);
	if (!text_fits(l, i, s, label, s->value.sval))
		return;
	if (i->kind != CONF_K_PATH) {
		conf_set_ptr(base, i->at, arena_cstr(l->a, str_of(s->value.sval)));
		if (secret && file->world_readable && !file->warned) {
			file->warned = true;
			conf_warn(l->f, file->path, s->line,
				"everyone can read this file, and it holds secrets (chmod o-r)");
		}
		return;
	}
	if (!s->value.sval[0])
		return conf_fault_setting(l, s, label, "is empty");
	load_path(l, i, base, s, label);
}

static void load_enum(struct conf_load *l, const struct conf_item *i, char *base,
	const config_setting_t *s, const char *label)
{
	int v;

	if (s->type != CONFIG_TYPE_STRING)
		conf_wrong_type(l, s, label, "a word in quotes", false);
	else if (!conf_word_value(i->words, str_of(s->value.sval), &v))
		fault_word(l, s, label, i->words, s->value.sval);
	else
		put_int(base, i->at, i->ctype, v);
}

/* The n texts of a setting that is one text or a list of texts; false after a fault. */
static bool texts(struct conf_load *l, const struct conf_item *i, config_setting_t *s,
	const char *label, const char ***v_r, size_t *n_r)
{
	bool many = s->type == CONFIG_TYPE_ARRAY || s->type == CONFIG_TYPE_LIST, good = true;
	size_t n = many ? (size_t)config_setting_length(s) : 1;
	int value;

	if (!many && s->type != CONFIG_TYPE_STRING) {
		conf_wrong_type(
			l, s, label, "text in quotes or a list of texts [ \"a\", \"b\" ]", false);
		return false;
	}
	*v_r = n ? arena_alloc(l->a, n * sizeof **v_r) : NULL;
	*n_r = n;
	for (size_t k = 0; k < n; k++) {
		config_setting_t *e = many ? config_setting_get_elem(s, (unsigned)k) : s;

		if (e->type != CONFIG_TYPE_STRING) {
			conf_wrong_type(l, e, label, "a list of texts [ \"a\", \"b\" ]", false);
			return false;
		}
		if (i->words && !conf_word_value(i->words, str_of(e->value.sval), &value)) {
			fault_word(l, e, label, i->words, e->value.sval);
			good = false;
		} else if (!i->words && !text_fits(l, i, e, label, e->value.sval)) {
			good = false;
		}
		(*v_r)[k] = arena_cstr(l->a, str_of(e->value.sval));
	}
	return good;
}

static void load_texts(struct conf_load *l, const struct conf_item *i, char *base,
	config_setting_t *s, const char *label)
{
	const char **v;
	size_t n;
	int value, all = 0;

	if (!texts(l, i, s, label, &v, &n))
		return;
	if (i->kind == CONF_K_STRS) {
		conf_set_ptr(base, i->at, v);
		*conf_count(i, base) = n;
		return;
	}
	for (size_t k = 0; k < n; k++)
		if (conf_word_value(i->words, str_of(v[k]), &value))
			all |= value;
	put_int(base, i->at, i->ctype, all);
}

void conf_value(struct conf_load *l, const struct conf_item *i, char *base, config_setting_t *s,
	const char *label)
{
	bool b = s->value.ival != 0;

	switch (i->kind) {
	case CONF_K_INT:
		load_int(l, i, base, s, label);
		break;
	case CONF_K_BOOL:
		if (s->type != CONFIG_TYPE_BOOL)
			conf_wrong_type(l, s, label, "true or false", false);
		else
			memcpy(base + i->at, &b, sizeof b);
		break;
	case CONF_K_REAL:
		load_real(l, i, base, s, label);
		break;
	case CONF_K_STR:
	case CONF_K_PATH:
	case CONF_K_SECRET:
		load_text(l, i, base, s, label);
		break;
	case CONF_K_DURATION:
	case CONF_K_SIZE:
		load_measure(l, i, base, s, label);
		break;
	case CONF_K_ENUM:
		load_enum(l, i, base, s, label);
		break;
	case CONF_K_FLAGS:
	case CONF_K_STRS:
		load_texts(l, i, base, s, label);
		break;
	default:
		CHECK(!"not a value");
	}
}

const char *conf_pair_value(
	struct conf_load *l, const struct conf_item *i, config_setting_t *s, const char *label)
{
	int64_t v;
	int known;

	if (whole_number(s, &v))
		return arena_printf(l->a, "%lld", (long long)v);
	if (s->type == CONFIG_TYPE_FLOAT)
		return arena_printf(l->a, "%g", s->value.fval);
	if (s->type == CONFIG_TYPE_BOOL)
		return s->value.ival ? "true" : "false";
	if (s->type != CONFIG_TYPE_STRING) {
		conf_wrong_type(l, s, label, "a single value", false);
		return NULL;
	}
	if (i->words && !conf_word_value(i->words, str_of(s->value.sval), &known)) {
		fault_word(l, s, label, i->words, s->value.sval);
		return NULL;
	}
	return text_fits(l, i, s, label, s->value.sval) ? arena_cstr(l->a, str_of(s->value.sval))
							: NULL;
}

/* Plain files only: a pipe or a device would hang the daemon or never end. */
static int read_secret(const char *path, struct buf *b, bool *open_to_all, const char **why_r)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t got;

	if (fd < 0 || fstat(fd, &st) != 0) {
		*why_r = strerror(errno);
	} else if (!S_ISREG(st.st_mode)) {
		*why_r = "not a plain file";
	} else {
		buf_reserve(b, SECRET_MOST + 1);
		while ((got = read(fd, b->p + b->n, SECRET_MOST + 1 - b->n)) > 0)
			b->n += (size_t)got;
		*open_to_all = (st.st_mode & S_IROTH) != 0;
		*why_r = got < 0                             ? strerror(errno)
			 : b->n > SECRET_MOST                ? "longer than 64 KiB"
			 : str_index(buf_view(b), '\0') >= 0 ? "it holds a NUL byte"
							     : NULL;
	}
	if (fd >= 0)
		close(fd);
	return *why_r ? -1 : 0;
}

void conf_secret_file(struct conf_load *l, const struct conf_item *i, char *base,
	config_setting_t *s, const char *label)
{
	struct buf b = BUF_INIT;
	bool open_to_all = false;
	const char *path, *why = NULL, *text;

	if (s->type != CONFIG_TYPE_STRING)
		return conf_wrong_type(l, s, label, "the path of a file in quotes", true);
	path = resolved(l, s->value.sval);
	if (read_secret(path, &b, &open_to_all, &why))
		conf_fault_setting(l, s, label, "cannot read %s: %s", path, why);
	while (b.n && (b.p[b.n - 1] == '\n' || b.p[b.n - 1] == '\r'))
		b.n--;
	text = why ? NULL : arena_cstr(l->a, buf_view(&b));
	if (text && !text[0])
		conf_fault_setting(l, s, label, "%s is empty", path);
	else if (text && text_fits(l, i, s, label, text))
		conf_set_ptr(base, i->at, text);
	if (b.p)
		explicit_bzero(b.p, b.cap);
	buf_free(&b);
	if (open_to_all)
		conf_warn(l->f, conf_file_of(s)->path, s->line,
			"everyone can read the secret in %s (chmod o-r)", path);
}
