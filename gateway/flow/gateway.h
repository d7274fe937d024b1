/* The gateway: settings, store, loops, channels, listeners and accounts, put together.
 *
 * Made, started and stopped by main on the main thread; reload and questions come from the
 * control threads, which block until the loops have answered (never call these from a loop).
 */
#ifndef POSTERN_FLOW_GATEWAY_H
#define POSTERN_FLOW_GATEWAY_H

#include "gateway/flow/settings.h"
#include "gateway/store/store.h"

struct gateway;

/* Takes the settings. Opens the store, makes loops and channels; nothing listens yet. */
struct gateway *gateway_new(struct settings *s, struct err *e);
/* Channels open, listeners listen. -1: a listener could not (the rest is stopped by gateway_stop).
 */
int gateway_start(struct gateway *g, struct err *e);
/* Stops accepting, lets what is in flight finish for shutdown_grace, closes all, ends the store. */
void gateway_stop(struct gateway *g);
void gateway_free(struct gateway **gp);

/* Takes new settings: opens, adopts, closes what differs; on failure the running ones stay and
 * `s` is still the caller's. Appends a line per change. dry: only says what would change. */
int gateway_reload(
	struct gateway *g, struct settings *s, bool dry, struct buf *changes, struct err *e);

struct store *gateway_store(struct gateway *g);
const struct settings *gateway_settings(
	struct gateway *g); /* valid until the next reload's end + 1 */
bool gateway_ready(const struct gateway *g);
bool gateway_stopping(const struct gateway *g);

/* An account of a way in that is not a listener of the configuration (the HTTP API): its listener
 * object, to be used with message_arrived() on gateway_http_loop(). */
struct listener *gateway_internal_listener(
	struct gateway *g, const struct protocol *p, const char *name);

/* Runs fn on a loop and waits for it; for control threads. */
void gateway_call(struct gateway *g, struct loop *l, void (*fn)(void *arg), void *arg);

/* ---- verbs of control; any thread but loops ---- */
/* JSON array of channels / listeners / accounts; one channel when name is given (false: none such).
 */
bool gateway_channels(struct gateway *g, const char *name, struct buf *json);
void gateway_status(struct gateway *g, struct buf *json);
enum gateway_verb { GATEWAY_HOLD, GATEWAY_RESUME, GATEWAY_DRAIN };
int gateway_channel_verb(struct gateway *g, const char *name, enum gateway_verb v, struct err *e);
/* Cancels by operator. reason NONE, NOT_FOUND or TOO_LATE. */
enum reason gateway_cancel(struct gateway *g, uint64_t id, uint32_t submitter /* 0: any */);
/* Puts a held or failed-over message back: to `channel` (NULL: as routed now), due now. */
enum reason gateway_requeue(struct gateway *g, uint64_t id, const char *channel, struct err *e);

#endif
