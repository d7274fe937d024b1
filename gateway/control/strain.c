/* See strain.h. */
#include "gateway/control/strain.h"
#include "gateway/base/clock.h"
#include "gateway/base/mem.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>

enum {
	LONG = 3000, /* a string's bytes that the skeleton keeps */
	SKELETON_MOST = 1 << 16,
	KEY_MOST = 11, /* "attachments" */
	NONCE = 16,
};
static const char key_of_it[] = "attachments";

enum at { AT_KEY, AT_COLON, AT_VALUE, AT_ELSE };
struct strain {
	struct spool *spool;
	size_t least;
	bool lines;
	char nonce[2 * NONCE + 1];
	unsigned count;
	struct strained *first, **end;
	EVP_MD_CTX *sha;

	/* where we are */
	bool begun;          /* the first character has been seen */
	unsigned depth;      /* open brackets */
	unsigned item_depth; /* of an item's own members */
	bool in_string, escaped;
	enum at at; /* at item_depth */
	bool taken; /* this item's value was there already */
	char key[KEY_MOST + 1];
	size_t key_n; /* KEY_MOST + 1: longer */

	/* within the value */
	struct strained *value; /* NULL: not within */
	struct buf hold;        /* its bytes, until they are too many */
	size_t string_n,
		string_at; /* of the string: bytes so far, where it begins in the skeleton */
	size_t sextets, padding;
	const char *string_fault; /* of it, if it turns out to be a content; NULL */
};

struct strain *strain_new(struct spool *s, bool lines, size_t least)
{
	struct strain *st = mem_new(struct strain);
	uint8_t r[NONCE];

	CHECK(RAND_bytes(r, sizeof r) == 1);
	for (size_t i = 0; i < sizeof r; i++)
		snprintf(st->nonce + 2 * i, 3, "%02x", r[i]);
	st->spool = s;
	st->lines = lines;
	st->least = least;
	st->end = &st->first;
	st->at = AT_ELSE;
	st->sha = EVP_MD_CTX_new();
	CHECK(st->sha);
	return st;
}

static void strained_free(struct strained **vp)
{
	struct strained *v = *vp;

	if (!v)
		return;
	spool_abort(&v->file);
	buf_free(&v->skeleton);
	mem_free(vp);
}

void strain_forget(struct strain *st, struct str item)
{
	const struct strained *last = NULL;
	bool more = true;

	for (const struct strained *v = st->first; v && v->ended; v = v->next)
		if (str_find(item, str_of(v->mark)) >= 0)
			last = v;
	while (last && more) {
		struct strained *v = st->first;

		more = v != last;
		st->first = v->next;
		if (!st->first)
			st->end = &st->first;
		strained_free(&v);
	}
}

void strain_free(struct strain **sp)
{
	struct strain *st = *sp;

	if (!st)
		return;
	for (struct strained *v = st->first, *next; v; v = next) {
		next = v->next;
		if (v == st->value)
			st->value = NULL;
		strained_free(&v);
	}
	strained_free(&st->value);
	EVP_MD_CTX_free(st->sha);
	buf_free(&st->hold);
	mem_free(sp);
}

struct strained *strain_find(struct strain *st, struct str mark)
{
	for (struct strained *v = st->first; v; v = v->next)
		if (v->ended && str_is(mark, v->mark))
			return v;
	return NULL;
}

/* ---- the value ---- */
static void fault(struct strained *v, const char *words, bool again)
{
	if (v->fault[0])
		return;
	v->fault = words;
	v->again = again;
	spool_abort(&v->file);
}

static void to_file(struct strain *st, const char *p, size_t n)
{
	struct strained *v = st->value;
	struct err e;

	EVP_DigestUpdate(st->sha, p, n);
	if (!v->fault[0] && spool_write(v->file, p, n, &e) != 0)
		fault(v, "there is no room on the disk for it", true);
}

/* It is too long to stay: from now on it goes to a file. */
static void begin_file(struct strain *st)
{
	struct strained *v = st->value;
	struct err e;

	snprintf(v->mark, sizeof v->mark, "%s:%u", st->nonce, st->count++);
	EVP_DigestInit_ex(st->sha, EVP_sha256(), NULL);
	v->file = spool_begin(st->spool, &e);
	if (!v->file)
		fault(v, "there is no room on the disk for it", true);
	*st->end = v;
	st->end = &v->next;
	to_file(st, st->hold.p, st->hold.n);
	buf_reset(&st->hold);
}

static bool in_file(const struct strain *st)
{
	return st->value->mark[0] != '\0';
}

static void begin_value(struct strain *st)
{
	st->value = mem_new(struct strained);
	st->value->fault = "";
	st->taken = true;
	buf_reset(&st->hold);
	st->string_n = 0;
}

/* broken: its line ended in the middle. */
static void end_value(struct strain *st, struct buf *out, bool broken)
{
	struct strained *v = st->value;
	uint8_t sum[EVP_MAX_MD_SIZE];

	st->value = NULL;
	if (!v->mark[0]) {
		buf_str(out, buf_view(&st->hold));
		strained_free(&v);
		return;
	}
	if (broken)
		fault(v, "is cut off", false);
	EVP_DigestFinal_ex(st->sha, sum, NULL);
	for (size_t i = 0; i < (STRAIN_DIGEST - 1) / 2; i++)
		snprintf(v->digest + 2 * i, 3, "%02x", sum[i]);
	v->ended = true;
	buf_char(out, '"');
	buf_c(out, v->mark);
	if (!broken)
		buf_char(out, '"');
}

/* A long string can only be a content, so it is in base64, of either alphabet, with blanks and line
 * ends in it as JSON writes them. */
static const char *letter_fault(struct strain *st, char c)
{
	bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		      c == '+' || c == '/' || c == '-' || c == '_';

	if (st->escaped && (c == 'n' || c == 'r' || c == 't'))
		return NULL;
	if (c == '\\' && !st->escaped)
		return NULL;
	if (c == ' ')
		return NULL;
	if (c == '=') {
		st->padding++;
		return NULL;
	}
	if (!letter || (st->escaped && c != '/'))
		return "has a content that is not base64";
	if (st->padding)
		return "has a content with base64 behind its end";
	st->sextets++;
	return NULL;
}

static void look_at_letter(struct strain *st, char c)
{
	if (!st->string_fault)
		st->string_fault = letter_fault(st, c);
}

static void string_begins(struct strain *st)
{
	st->string_n = st->sextets = st->padding = 0;
	st->string_fault = NULL;
	st->string_at = st->value->skeleton.n;
}

static void string_ends(struct strain *st)
{
	struct strained *v = st->value;

	if (st->string_n <= LONG)
		return;
	v->skeleton.n = st->string_at; /* behind its opening quote */
	if (st->string_fault)
		fault(v, st->string_fault, false);
	if (st->sextets % 4 == 1 || st->padding > 2 ||
		(st->padding && (st->sextets + st->padding) % 4 != 0))
		fault(v, "has a content that ends in the middle of base64", false);
}

static void skeleton_add(struct strain *st, char c)
{
	struct strained *v = st->value;

	if (v->skeleton.n < SKELETON_MOST)
		buf_char(&v->skeleton, c);
	else
		fault(v, "has too many attachments", false);
}

/* One byte of the value, which the tokenizer is about to look at. */
static void value_byte(struct strain *st, char c)
{
	if (st->in_string) {
		bool ends = c == '"' && !st->escaped;

		if (ends) {
			string_ends(st);
		} else {
			st->string_n++;
			look_at_letter(st, c);
		}
		if (ends || st->string_n <= LONG)
			skeleton_add(st, c);
		return;
	}
	skeleton_add(st, c);
	if (c == '"')
		string_begins(st);
}

/* ---- the stream ---- */
static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void item_begins(struct strain *st)
{
	st->at = AT_KEY;
	st->taken = false;
	st->key_n = 0;
}

static void restart(struct strain *st)
{
	st->begun = false;
	st->depth = 0;
	st->in_string = st->escaped = false;
	st->at = AT_ELSE;
}

static bool is_it(const struct strain *st)
{
	return st->key_n == KEY_MOST && memcmp(st->key, key_of_it, KEY_MOST) == 0;
}

/* Outside of strings. */
static void look(struct strain *st, char c)
{
	bool member = st->depth == st->item_depth;

	switch (c) {
	case '"':
		st->in_string = true;
		if (member && st->at == AT_KEY)
			st->key_n = 0;
		break;
	case '{':
	case '[':
		st->depth++;
		if (c == '{' && st->depth == st->item_depth)
			item_begins(st);
		else if (member)
			st->at = AT_ELSE;
		break;
	case '}':
	case ']':
		if (st->depth)
			st->depth--;
		break;
	case ':':
		if (member && st->at == AT_KEY)
			st->at = AT_VALUE;
		break;
	case ',':
		if (member)
			st->at = AT_KEY;
		break;
	default:
		if (member && st->at == AT_VALUE && !is_space(c))
			st->at = AT_ELSE;
	}
}

static void look_in_string(struct strain *st, char c)
{
	if (st->escaped) {
		st->escaped = false;
	} else if (c == '\\') {
		st->escaped = true;
	} else if (c == '"') {
		st->in_string = false;
		if (st->depth == st->item_depth && st->at == AT_VALUE)
			st->at = AT_ELSE;
		return;
	}
	if (st->depth == st->item_depth && st->at == AT_KEY) {
		if (st->key_n < KEY_MOST)
			st->key[st->key_n] = c;
		if (st->key_n <= KEY_MOST)
			st->key_n++;
	}
}

static void begin_stream(struct strain *st, char c)
{
	st->begun = true;
	st->item_depth = c == '[' && !st->lines ? 2 : 1;
}

static void take_byte(struct strain *st, char c, struct buf *out)
{
	bool within;

	if (st->lines && c == '\n') {
		if (st->value)
			end_value(st, out, true);
		restart(st);
		buf_char(out, c);
		return;
	}
	if (!st->begun && !is_space(c))
		begin_stream(st, c);
	if (!st->value && c == '[' && !st->in_string && st->spool && !st->taken &&
		st->depth == st->item_depth && st->at == AT_VALUE && is_it(st))
		begin_value(st);
	within = st->value != NULL;
	if (within) {
		value_byte(st, c);
		if (in_file(st)) {
			to_file(st, &c, 1);
		} else {
			buf_char(&st->hold, c);
			if (st->hold.n > st->least)
				begin_file(st);
		}
	} else {
		buf_char(out, c);
	}
	if (st->in_string)
		look_in_string(st, c);
	else
		look(st, c);
	if (within && !st->in_string && c == ']' && st->depth == st->item_depth)
		end_value(st, out, false);
}

/* How many bytes from p on are the inside of a string and nothing special. */
static size_t plain(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && p[i] != '"' && p[i] != '\\' && p[i] != '\n')
		i++;
	return i;
}

/* The inside of strings that are only passed on, many bytes at a time; 0: not now. */
static size_t take_run(struct strain *st, const char *p, size_t n, struct buf *out)
{
	if (!st->in_string || st->escaped)
		return 0;
	if (!st->value) {
		if (st->at == AT_KEY)
			return 0;
		n = plain(p, n);
		buf_add(out, p, n);
		return n;
	}
	if (!in_file(st) || st->string_n <= LONG)
		return 0;
	n = plain(p, n);
	for (size_t i = 0; i < n; i++)
		look_at_letter(st, p[i]);
	st->string_n += n;
	to_file(st, p, n);
	return n;
}

void strain_take(struct strain *st, struct str bytes, struct buf *out)
{
	for (size_t i = 0; i < bytes.n;) {
		size_t run = take_run(st, bytes.p + i, bytes.n - i, out);

		if (run == 0)
			take_byte(st, bytes.p[i], out);
		i += run ? run : 1;
	}
}

void strain_end(struct strain *st, struct buf *out)
{
	if (st->value)
		end_value(st, out, true);
}
