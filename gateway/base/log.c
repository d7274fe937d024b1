/* The log. See log.h. A line is built in memory and leaves in one write(2), so that lines of
 * several threads do not mix. Values come from outside as often as not: in the text form all that
 * could end a line, a value or a terminal's patience is quoted and escaped.
 */
#include "gateway/base/log.h"
#include "gateway/base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VALUE_MOST = 1024 }; /* bytes of one value; more is cut and marked */

static _Atomic int level_now = LOG_INFO;
static _Atomic bool as_json;
static pthread_once_t journal_once = PTHREAD_ONCE_INIT;
static bool to_journal;
static pthread_mutex_t capture_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool captured;
static void (*capture_fn)(void *, struct str);
static void *capture_ctx;

static const char *const level_names[] = { "error", "warn", "info", "debug" };

enum log_level log_level_now(void)
{
	return (enum log_level)atomic_load_explicit(&level_now, memory_order_relaxed);
}

void log_set_level(enum log_level l)
{
	atomic_store(&level_now, (int)l);
}

void log_set_json(bool json)
{
	atomic_store(&as_json, json);
}

const char *log_level_name(enum log_level l)
{
	return level_names[l];
}

bool log_level_parse(struct str s, enum log_level *l_r)
{
	for (int i = LOG_ERROR; i <= LOG_DEBUG; i++)
		if (str_is(s, level_names[i])) {
			*l_r = (enum log_level)i;
			return true;
		}
	return false;
}

void log_capture(void (*fn)(void *ctx, struct str line), void *ctx)
{
	pthread_mutex_lock(&capture_lock);
	capture_fn = fn;
	capture_ctx = ctx;
	atomic_store(&captured, fn != NULL);
	pthread_mutex_unlock(&capture_lock);
}

/* JOURNAL_STREAM is "device:inode" of the journal's stream (systemd.exec(5)). It is inherited by
 * whoever redirects stderr elsewhere, so it counts only if it still names what stderr is. */
static void journal_look(void)
{
	const char *v = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;
	char end;

	to_journal = v && sscanf(v, "%llu:%llu%c", &dev, &ino, &end) == 2 &&
		     fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

/* ---- text ---- */
/* Controls, separators of lines, and marks that turn the direction of writing. */
static bool is_treacherous(int32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 ||
	       (c >= 0x200e && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

static bool is_plain(struct str s)
{
	int32_t c;

	if (s.n == 0)
		return false;
	while ((c = str_utf8_next(&s)) != -1)
		if (c == -2 || c == ' ' || c == '"' || c == '\\' || c == '=' || is_treacherous(c))
			return false;
	return true;
}

static void put_quoted(struct buf *b, struct str s)
{
	buf_char(b, '"');
	while (s.n) {
		uint8_t first = (uint8_t)s.p[0];
		int32_t c = str_utf8_next(&s);

		if (c == -2)
			buf_printf(b, "\\x%02x", first);
		else if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", (char)c);
		else if (c == '\n')
			buf_c(b, "\\n");
		else if (c == '\r')
			buf_c(b, "\\r");
		else if (c == '\t')
			buf_c(b, "\\t");
		else if (is_treacherous(c))
			buf_printf(b, c < 0x80 ? "\\x%02x" : "\\u%04x", (unsigned)c);
		else
			buf_utf8(b, (uint32_t)c);
	}
	buf_char(b, '"');
}

static void put_string(struct buf *b, struct str s, bool json)
{
	struct buf cut = BUF_INIT;

	if (s.n > VALUE_MOST) {
		size_t n = VALUE_MOST;

		while (n > VALUE_MOST - 4 && ((uint8_t)s.p[n] & 0xc0) == 0x80)
			n--; /* not through the middle of a character */
		buf_add(&cut, s.p, n);
		buf_c(&cut, "…");
		s = buf_view(&cut);
	}
	if (json)
		buf_json(b, s);
	else if (is_plain(s))
		buf_str(b, s);
	else
		put_quoted(b, s);
	buf_free(&cut);
}

static void put_value(struct buf *b, const struct log_field *f, bool json)
{
	switch (f->kind) {
	case LF_STR:
		put_string(b, f->s, json);
		break;
	case LF_U64:
		buf_printf(b, "%llu", (unsigned long long)f->u);
		break;
	case LF_ID: /* readers of JSON keep 53 bits of a number */
		buf_printf(b, json ? "\"%llu\"" : "%llu", (unsigned long long)f->u);
		break;
	case LF_I64:
		buf_printf(b, "%lld", (long long)f->u);
		break;
	case LF_DUR:
		if (json)
			buf_printf(b, "%.9g", (double)(dur_t)f->u / (double)DUR_S);
		else
			clock_put_dur(b, (dur_t)f->u);
		break;
	case LF_BOOL:
		buf_c(b, f->u ? "true" : "false");
		break;
	case LF_REAL:
		if (json && !isfinite(f->d))
			buf_c(b, "null");
		else
			buf_printf(b, "%.6g", f->d);
		break;
	}
}

static void put_text_line(
	struct buf *b, enum log_level l, const char *event, const struct log_field *f, bool journal)
{
	static const int priority[] = { 3, 4, 6, 7 }; /* syslog's */

	if (journal) {
		buf_printf(b, "<%d>", priority[l]);
	} else {
		clock_put_rfc3339(b, clock_wall());
		buf_printf(b, " %s ", level_names[l]);
	}
	buf_c(b, event);
	for (; f->name; f++) {
		buf_printf(b, " %s=", f->name);
		put_value(b, f, false);
	}
}

static void put_json_line(
	struct buf *b, enum log_level l, const char *event, const struct log_field *f)
{
	buf_c(b, "{\"time\":\"");
	clock_put_rfc3339(b, clock_wall());
	buf_printf(b, "\",\"level\":\"%s\",\"event\":", level_names[l]);
	buf_json(b, str_of(event));
	for (; f->name; f++) {
		buf_char(b, ',');
		buf_json(b, str_of(f->name));
		buf_char(b, ':');
		put_value(b, f, true);
	}
	buf_char(b, '}');
}

/* A reader that has gone, or is full and does not wait, loses lines; the gateway goes on. */
static void write_out(struct str s)
{
	while (s.n) {
		ssize_t n = write(STDERR_FILENO, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		s = str_skip(s, (size_t)n);
	}
}

void log_write(enum log_level l, const char *event, const struct log_field *f)
{
	int saved = errno; /* so that a line may stand between a failure and its %m */
	struct buf b = BUF_INIT;

	pthread_once(&journal_once, journal_look);
	buf_reserve(&b, 256);
	if (atomic_load_explicit(&as_json, memory_order_relaxed))
		put_json_line(&b, l, event, f);
	else
		put_text_line(&b, l, event, f, to_journal && !atomic_load(&captured));
	if (atomic_load(&captured)) {
		pthread_mutex_lock(&capture_lock);
		if (capture_fn)
			capture_fn(capture_ctx, buf_view(&b));
		pthread_mutex_unlock(&capture_lock);
	} else {
		buf_char(&b, '\n');
		write_out(buf_view(&b));
	}
	buf_free(&b);
	errno = saved;
}

bool log_due(struct log_quiet *q, unsigned *held_r)
{
	mono_t now = clock_mono();

	if (q->next && now < q->next) {
		q->held++;
		return false;
	}
	*held_r = q->held;
	q->held = 0;
	q->next = now + DUR_MIN;
	return true;
}
