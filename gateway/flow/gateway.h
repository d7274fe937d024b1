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

/* Takes the settings unless it fails. Opens the store, makes loops and channels; nothing
 * listens yet. */
struct gateway *gateway_new(struct settings *s, struct err *e);
/* Channels open, listeners listen. -1: a listener could not (the rest is stopped by gateway_stop).
 */
int gateway_start(struct gateway *g, struct err *e);
/* Stops accepting, lets what is in flight finish for shutdown_grace, closes all, ends the store. */
void gateway_stop(struct gateway *g);
void gateway_free(struct gateway **gp);

/* Takes new settings: opens, adopts, closes what differs. On failure the running ones stay, or are
 * put back, and `s` is still the caller's, as after a dry one. Appends a line per change. Channels
 * close and open by themselves afterwards. dry: only says what would change. One at a time. */
int gateway_reload(
	struct gateway *g, struct settings *s, bool dry, struct buf *changes, struct err *e);

/* For threads that are no loops: between the two, what gateway_settings() and the like show stays
 * valid. Not for long: a reload waits for it. */
unsigned gateway_enter(struct gateway *g);
void gateway_leave(struct gateway *g, unsigned entered);
/* Returns when all who entered before have left and every loop has ended its turn. */
void gateway_quiesce(struct gateway *g);

struct store *gateway_store(struct gateway *g);
struct spool *gateway_spool(struct gateway *g); /* <state>/spool; as long as the gateway */
/* Valid during this turn of a loop, or while entered. */
const struct settings *gateway_settings(struct gateway *g);
bool gateway_ready(const struct gateway *g);
bool gateway_stopping(const struct gateway *g);

/* An account of a way in that is not a listener of the configuration (the HTTP API): its listener
 * object, to be used with message_arrived() on gateway_http_loop(). */
struct listener *gateway_internal_listener(
	struct gateway *g, const struct protocol *p, const char *name);
/* The number of a channel or submitter that has been known at some time, or 0. */
uint32_t gateway_number(struct gateway *g, enum store_name_kind kind, struct str name);

/* The plugins of this gateway; NULL: not one of them, behind the last. */
struct plugin_host *gateway_plugin(struct gateway *g, const struct plugin *p);
struct plugin_host *gateway_plugin_at(struct gateway *g, size_t i);

/* Runs fn on a loop and waits for it; for control threads. */
void gateway_call(struct gateway *g, struct loop *l, void (*fn)(void *arg), void *arg);

/* evidence_arrived() of who has no listener: done() on that loop, once it is on disk (stored) or
 * refused; known: its message is not forgotten. NULL: nobody waits. Any thread; copied. */
struct evidence;
void gateway_evidence(struct gateway *g, const struct evidence *v, struct loop *loop,
	void (*done)(void *ctx, bool stored, bool known), void *ctx);

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
