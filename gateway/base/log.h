/* The log: one line per event, text or JSON, to stderr. Never message bodies, never secrets.
 *
 *   log_event(LOG_INFO, "sent", F_ID("msg", id), F_STR("channel", name), F_DUR("took", d));
 *
 *   2026-11-22T10:15:00.123Z info sent msg=1 channel=smsc-a took=41ms
 *
 * In JSON ids are strings and durations seconds. Under journald (JOURNAL_STREAM) the text form has
 * <N> in place of time and level. A value is cut after 1,024 bytes.
 *
 * Every line about a message carries msg=. The level is settable at run time from any thread.
 * log_event is safe from any thread; one write(2) per line.
 */
#ifndef POSTERN_BASE_LOG_H
#define POSTERN_BASE_LOG_H

#include "gateway/base/clock.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

enum log_field_kind { LF_STR, LF_U64, LF_ID, LF_I64, LF_DUR, LF_BOOL, LF_REAL };
struct log_field {
	const char *name;
	enum log_field_kind kind;
	struct str s;
	uint64_t u;
	double d;
};
#define F_STR(k, v)   ((struct log_field){ .name = (k), .kind = LF_STR, .s = str_of(v) })
#define F_SLICE(k, v) ((struct log_field){ .name = (k), .kind = LF_STR, .s = (v) })
#define F_U64(k, v)   ((struct log_field){ .name = (k), .kind = LF_U64, .u = (uint64_t)(v) })
#define F_ID(k, v)    ((struct log_field){ .name = (k), .kind = LF_ID, .u = (uint64_t)(v) })
#define F_INT(k, v)   ((struct log_field){ .name = (k), .kind = LF_I64, .u = (uint64_t)(int64_t)(v) })
#define F_DUR(k, v)   ((struct log_field){ .name = (k), .kind = LF_DUR, .u = (uint64_t)(v) })
#define F_BOOL(k, v)  ((struct log_field){ .name = (k), .kind = LF_BOOL, .u = (v) ? 1 : 0 })
#define F_REAL(k, v)  ((struct log_field){ .name = (k), .kind = LF_REAL, .d = (v) })
#define F_ERR(e)      F_STR("error", (e)->text)

#define log_event(level, event, ...)                                                            \
	do {                                                                                    \
		if ((level) <= log_level_now())                                                 \
			log_write((level), (event),                                             \
				(const struct log_field[]){ __VA_ARGS__ __VA_OPT__(, ){ 0 } }); \
	} while (0)
#define log_error(event, ...) log_event(LOG_ERROR, event __VA_OPT__(, ) __VA_ARGS__)
#define log_warn(event, ...)  log_event(LOG_WARN, event __VA_OPT__(, ) __VA_ARGS__)
#define log_info(event, ...)  log_event(LOG_INFO, event __VA_OPT__(, ) __VA_ARGS__)
#define log_debug(event, ...) log_event(LOG_DEBUG, event __VA_OPT__(, ) __VA_ARGS__)

enum log_level log_level_now(void);
void log_set_level(enum log_level l);
void log_set_json(bool json);
bool log_level_parse(struct str s, enum log_level *l_r);
const char *log_level_name(enum log_level l);
void log_write(enum log_level l, const char *event, const struct log_field *f);
/* Tests: lines go to fn instead of stderr, without the newline (NULL: stderr again);
 * not from inside fn. */
void log_capture(void (*fn)(void *ctx, struct str line), void *ctx);

/* The same trouble again and again: true the first time and then once per minute, with how many
 * were kept quiet in between in *held_r. One per place and subject, owned by one thread. */
struct log_quiet {
	mono_t next;
	unsigned held;
};
bool log_due(struct log_quiet *q, unsigned *held_r);

#endif
