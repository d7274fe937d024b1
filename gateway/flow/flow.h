/* Flow's own view of things: what protocols do not see. Private to gateway/flow.
 *
 * Flow decides: where a message goes, when, how often, and what its end is. It does so on loops;
 * what must survive goes to the store as operations, and what follows from them happens in
 * their done(), on the loop that owns the object concerned.
 */
#ifndef POSTERN_FLOW_FLOW_H
#define POSTERN_FLOW_FLOW_H

#include "gateway/base/backoff.h"
#include "gateway/base/keyed.h"
#include "gateway/base/map.h"
#include "gateway/flow/gateway.h"
#include "gateway/flow/pace.h"
#include "gateway/store/store.h"
#include "protocols/protocol.h"

/* ---- a delivery in memory: flow's side of struct delivery ---- */
enum flight_state { FLIGHT_WAITS, FLIGHT_MARKING, FLIGHT_OUT, FLIGHT_RECORDING };
struct flight {
	struct delivery d; /* first: protocols hold a pointer to it */
	struct list link;  /* in its lane while it waits */
	struct place place;
	enum flight_state state;
	unsigned cost;     /* parts that this attempt sends */
	unsigned attempts; /* finished ones, as stored */
	unsigned reported; /* parts whose credit went along with an operation */
	unsigned credit;   /* to be given back when its next operation is on disk */
	uint32_t slot;     /* in the in-flight file + 1 */
	size_t bytes;      /* as its lane counts it */
	mono_t out_at;
	bool marked;  /* the store holds OP_MARK on it */
	bool crashed; /* it held it when this run began: nobody knows whether it was sent */
	bool warned;  /* its history says that it may repeat */
};

/* ---- the queue of one channel: what of it is in memory ---- */
enum { QUEUE_LOAD = 512 };
struct lane {
	struct list waiting; /* by (due, id) */
	unsigned n;
	uint64_t bytes; /* of them */
	/* Every row with key up to this one is in memory or done with; the rest is on disk. */
	wall_t cur_due;
	uint64_t cur_id;
	bool more;  /* rows beyond the cursor are due now */
	bool dirty; /* one was left to the disk while a load was under way */
	bool loading;
	bool stale;        /* the load under way began before the queue was reset */
	wall_t next_due;   /* earliest due of rows left on disk for later, 0: none */
	wall_t added_due;  /* the same, of rows that came while a load was under way */
	mono_t not_before; /* a load found nothing although something is due: not again at once */
	unsigned share;    /* turns left in this round */
	struct store_load load;
	struct flow_channel *ch;
};

/* A row on disk that somebody is changing: a load must not bring it in meanwhile. */
struct barred {
	struct list link;
	uint64_t id;
	struct place place;
	bool skipped; /* a load came by it */
	bool over;    /* forgotten with the load under way, which may have read the old row */
};

enum channel_mode { CHANNEL_RUNS, CHANNEL_HELD, CHANNEL_DRAINS, CHANNEL_GONE };
enum breaker { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_TRIAL };

struct channel_stats {
	struct stat_cell accepted, sent, delivered, failed, expired, retried, throttled, uncertain,
		failed_over, receipts, receipts_unknown, receipts_again, mo, window, in_flight,
		waiting, waiting_bytes, rate, up, took, receipt_took;
};

/* Made once for each name and kept until the end, over all reloads: operations under way know it.
 */
struct flow_channel {
	struct channel pub; /* first; beside its own loop only name, loop and number are read */
	struct gateway *gw;
	struct settings *settings;  /* that pub.conf lives in; referenced */
	_Atomic int mode;           /* enum channel_mode; set by its loop, read anywhere */
	_Atomic mono_t down_since;  /* 0 while it may be routed to; read on any loop */
	unsigned window, in_flight; /* parts */
	unsigned outstanding;       /* deliveries lent to the protocol */
	struct lane lane[PRIORITY_COUNT];
	unsigned high; /* per lane, in memory: messages */
	struct pace pace;
	enum breaker breaker;
	struct backoff breaker_wait;
	mono_t breaker_until;
	char why[160]; /* words for the operator while not well */
	struct timer timer, sweep;
	struct letter pump, reopen;
	_Atomic bool opened;
	bool pump_due, reopen_due, closing;
	bool ready;    /* what an earlier life sent is on record: the queue may be read */
	unsigned life; /* how often it has been opened */
	/* What to be opened with once it is closed; conf NULL: it stays closed. */
	struct {
		const struct channel_conf *conf;
		struct settings *settings;
	} next;
	_Atomic uint64_t arriving; /* accepted by admit, and not committed yet */
	struct list barred;
	_Atomic uint32_t number; /* for receipts: of the group */
	uint32_t mo_outlet;      /* 0: none */
	uint32_t *mo_outlets;    /* beside conf->mo_routes */
	struct store_load overdue, expired;
	bool overdue_busy, expired_busy;
	wall_t late_from; /* who was accepted before has been told that it waits long */
	struct channel_stats stats;
	struct waiter *closed_waiter;
	bool internal;        /* of no configuration */
	_Atomic bool retired; /* not configured now */
};
static inline struct flow_channel *flow_channel(const struct channel *c)
{
	return (struct flow_channel *)(uintptr_t)c;
}
static inline struct flight *flight_of(const struct delivery *d)
{
	return (struct flight *)(uintptr_t)d;
}

/* channel.c */
struct flow_channel *channel_new(struct gateway *gw, const struct channel_conf *conf,
	struct settings *s, struct loop *loop, struct err *e);
void channel_free(struct flow_channel **cp); /* closed, nobody refers to it */
void channel_open(struct flow_channel *c);   /* its loop */
/* These settings from now on, in place if that can be, else it closes and opens again by itself.
 * Its loop. */
void channel_take(struct flow_channel *c, const struct channel_conf *conf, struct settings *s);
/* No longer configured: closes; what waits for it stays on disk. Its loop. */
void channel_retire(struct flow_channel *c);
/* The end: closes for good and signals w when it has. Its loop. */
void channel_stop(struct flow_channel *c, dur_t grace, struct waiter *w);
/* Its window or breaker changed: may it be routed to? Its loop. */
void channel_judge(struct flow_channel *c);
void channel_pump(struct flow_channel *c); /* its loop: soon sends what may go */
/* What was accepted before that and still waits has waited long; 0: nothing has. */
wall_t channel_late(const struct flow_channel *c);
void channel_set_mode(struct flow_channel *c, enum channel_mode m); /* its loop */
/* describe.c: as an operator left it in an earlier run. Any thread that may block. */
enum channel_mode channel_mode_kept(const struct flow_channel *c);
void channel_describe(struct flow_channel *c, struct buf *json); /* its loop */
/* All store numbers that such a channel needs are given. Any thread that may block. */
int channel_numbers(struct gateway *gw, const struct channel_conf *conf, struct err *e);
/* deliver.c */
void flight_submit(struct flow_channel *c, struct flight *f);
void flight_final(struct flow_channel *c, struct flight *f, enum state st, const struct outcome *o);
void flight_free(struct flight **fp);
struct flight *flight_new(struct flow_channel *c, struct message *m, const struct place *p,
	unsigned attempt, uint8_t parts);
/* A channel that has been down too long gives up to `most` of what waits in memory to the next one
 * of its route. Returns how many went. */
unsigned channel_evacuate(struct flow_channel *c, unsigned most);
/* queue.c */
void queue_init(struct flow_channel *c);
void queue_done(struct flow_channel *c);
enum offer {
	OFFER_NOW,   /* due when it was committed */
	OFFER_LATER, /* its due time was given: it was beyond the commit */
	OFFER_DISK,  /* due now, but there is more to it on disk than the offer says */
};
/* A message was committed for this channel: into memory if there is room and nothing before it
 * waits on disk. Takes the message reference. To be called in the order of the commits. */
void queue_offer(struct flow_channel *c, struct message *m, const struct place *p, unsigned attempt,
	uint8_t parts, enum offer how);
void queue_put_back(struct flow_channel *c, struct flight *f); /* to its old place in memory */
struct flight *queue_next(struct flow_channel *c);             /* the one to go next; stays in */
void queue_take(struct flow_channel *c, struct flight *f);     /* it goes: its lane used a turn */
void queue_remove(struct flow_channel *c, struct flight *f);
void queue_refill(struct flow_channel *c);
/* When a refill that was put off may be tried again; 0: none is. */
mono_t queue_wake(const struct flow_channel *c);
wall_t queue_next_due(const struct flow_channel *c);
unsigned queue_waiting(const struct flow_channel *c);
uint64_t queue_bytes(const struct flow_channel *c);
struct flight *queue_find(struct flow_channel *c, uint64_t id);
/* The row at p is not on disk alone any more: it is in memory, in flight or done with. */
bool queue_passed(const struct flow_channel *c, const struct place *p, uint64_t id);
/* Loads leave this row alone from now on. */
struct barred *queue_bar(struct flow_channel *c, const struct place *p, uint64_t id);
/* The end of that. stays: the row is still there, changed. True: a load has come by it meanwhile,
 * and will not again. */
bool queue_unbar(struct flow_channel *c, struct barred *b, bool stays);
/* Everything in memory is let go (it is on disk): the channel ends. */
void queue_forget(struct flow_channel *c);
/* And nothing of it is in flight any more: to be read from the beginning. */
void queue_reset(struct flow_channel *c);

/* ---- routing ---- */
/* A channel as a set of settings has it: what routing and parts() look at, on any loop. */
struct way {
	const struct plan *plan;
	struct flow_channel *c;
	struct channel view; /* for parts(): without self */
	unsigned media;      /* mask */
	uint64_t queue_most;
	dur_t failover_after;
};
struct plan; /* routes with their channels, immutable; swapped by reload */
struct plan *plan_new(struct gateway *gw, struct settings *s);
void plan_free(struct plan **pp);
struct settings *plan_settings(const struct plan *p);
const struct way *plan_way(const struct plan *p, const struct flow_channel *c); /* or NULL */
const struct way *plan_way_named(const struct plan *p, struct str name);
/* The way for a message: the first of its route that is usable, else the first. NULL and *why_r
 * when no route takes it. Any loop; others between gateway_enter() and gateway_leave(). */
const struct way *plan_route(const struct plan *p, const struct message *m, const char *submitter,
	enum priority *priority_r, struct outcome *why_r);
/* The same for one attempt of a message with a fallback. */
const struct way *plan_route_step(const struct plan *p, const struct message *m,
	const char *submitter, enum priority *priority_r, struct outcome *why_r);
/* The next one behind this channel in the route (failover), NULL when there is none. `anywhere`:
 * also one before it that shares with it, if that one is up. */
const struct way *plan_next(const struct plan *p, const struct message *m, const char *submitter,
	const struct flow_channel *after, bool anywhere);
/* How many parts the message is that way; 0 and *why_r: it cannot go so. */
unsigned way_parts(const struct way *w, const struct message *m, struct outcome *why_r);
bool way_usable(const struct way *w, mono_t now); /* worth routing to */

/* ---- accounts ---- */
struct outlet;
struct flow_account {
	struct account pub; /* first */
	struct gateway *gw;
	struct settings *settings;
	struct addr_net *allow;
	size_t allow_n;
	double tokens; /* rate */
	mono_t counted;
	struct outlet *outlet;
	bool internal; /* of an internal listener: its settings are that listener's affair */
	bool verified_any;
	struct keyed verified; /* of its hashed password and what was last found to fit it */
	char full_name[96];    /* "smpp/shop" */
	unsigned declared;     /* generation of settings that named it last */
	_Atomic bool gone;     /* no settings name it: pub.conf is account_none */
	struct stat_cell accepted, refused, throttled, notes_sent, notes_waiting, sessions;
};
static inline struct flow_account *flow_account(const struct account *a)
{
	return (struct flow_account *)(uintptr_t)a;
}

struct flow_listener {
	struct listener pub; /* first */
	struct gateway *gw;
	struct settings *settings;
	bool open, closing, internal;
	struct listener_conf own_conf; /* internal: nobody configured it */
	struct waiter *closed_waiter;
};

/* account.c */
extern const struct account_conf account_none; /* of accounts that are no longer configured */
void account_free(struct flow_account **ap);
void account_vanish(struct flow_account *a); /* its loop */
bool account_rate_take(struct flow_account *a);
bool account_may_send_as(const struct flow_account *a, struct str from);

/* notify.c: news for submitters */
struct outlet *outlet_new(struct flow_account *a);
void outlet_free(struct outlet **op);
void outlet_start(struct outlet *o); /* loop: reads what waits on disk */
struct flow_account *note_account(const struct note *n);
/* note_done() of one that the store has forgotten already. */
void note_over(struct flow_account *a, struct note *n);
void notify_sink(void *ctx, struct note *n); /* store writer */

/* gateway.c */
wall_t gateway_due_now(struct gateway *g); /* store_now() */
bool gateway_was_in_flight(struct gateway *g, uint64_t id);
struct inflight *gateway_inflight(struct gateway *g);
struct plan *gateway_plan(struct gateway *g); /* valid during this turn of a loop, or entered */
struct flow_account *gateway_account(struct gateway *g, uint32_t submitter);
struct flow_account *gateway_account_named(
	struct gateway *g, const char *protocol, struct str name);
struct flow_account *gateway_account_slash(
	struct gateway *g, struct str protocol, struct str name); /* "smpp", "shop" */
void gateway_each_account(
	struct gateway *g, const char *protocol, void (*fn)(struct flow_account *));
void gateway_account_add(struct gateway *g, struct flow_account *a);
unsigned gateway_generation(struct gateway *g); /* of the settings being applied */
struct flow_channel *gateway_channel(struct gateway *g, uint32_t number);
struct flow_channel *gateway_channel_named(struct gateway *g, const char *name); /* configured */
struct flow_channel *gateway_some_channel(struct gateway *g); /* NULL: there is none */

/* host.c: plugins */
struct flow_plugin {
	struct plugin_host pub; /* first */
	struct gateway *gw;
	const struct plugin_conf *group; /* in the settings in force: the writer's */
	struct settings *settings;       /* that group lives in; held */
	struct listener *listener;
	struct flow_account *account;
	unsigned telling; /* notes lent; its loop */
	bool begun, closing;
	struct stat_cell calls, undone, took, suppressed, cancelled;
};
static inline struct flow_plugin *flow_plugin(const struct plugin_host *h)
{
	return (struct flow_plugin *)(uintptr_t)h;
}
int hosts_new(struct gateway *g, struct err *e); /* from the settings of the start */
/* Before channels open: tables, the configuration in force, accounts. */
int hosts_open(struct gateway *g, struct err *e);
void hosts_begin(struct gateway *g); /* everything listens */
void hosts_close(struct gateway *g); /* loops have ended; before the store does */
void hosts_free(struct gateway *g);
/* May these settings follow? Appends what differs. -1: refused. Control threads. */
int hosts_check(struct gateway *g, const struct settings *s, struct buf *changes, struct err *e);
/* They are in force for all calls from now on. */
int hosts_adopt(struct gateway *g, struct settings *s, struct err *e);
/* The first whose plugin has such a hook, or NULL. */
struct flow_plugin *gateway_policy_plugin(struct gateway *g);
struct flow_account *account_full_named(struct gateway *g, struct str name); /* "http/crm" */
struct flow_plugin *gateway_mo_plugin(struct gateway *g);
/* When what was to be gone by then may be tried again; 0: it goes. Any loop. */
wall_t gateway_gate(struct gateway *g, const struct message *m, wall_t now, struct outcome *why_r);
/* host_send.c: calls, messages */
void host_prepare(struct flow_plugin *p, struct plugin_call *c);
/* An OP_CALL to be put into an OP_MO; to be freed with mem_free() once that is done. */
struct store_op *host_tap(struct flow_plugin *p, const char *channel);

/* evidence.c: the same for an OP_FINAL whose outcome says that the address is dead; NULL: it does
 * not, or nobody wants to know. */
struct store_op *outcome_tap(struct gateway *g, uint64_t msg, const struct outcome *o);

/* admit.c */
/* Validity and schedule, made absolute and checked. most: longest validity, 0: the general. */
bool admit_times(const struct settings *s, dur_t most, struct message *m, struct outcome *why);
/* A message is committed: to the queue of its channel, whose loop this is. */
void admit_offer(struct flow_channel *c, struct store_op *accept);

/* ask.c: what is done to one message on its channel's loop */
enum deed { DEED_CANCEL, DEED_REPLACE, DEED_REQUEUE };
struct order {
	struct store_op op; /* first */
	struct letter letter;
	void (*over)(struct order *o); /* on the loop of c: reason says how it went */
	struct gateway *gw;
	enum deed deed;
	enum state state; /* CANCEL: that it gets */
	enum reason why;
	char words[OUTCOME_WORDS];
	struct flow_channel *c, *to;
	uint64_t id;
	struct place place;
	struct message *msg;   /* REPLACE: the new one; REQUEUE: the message */
	struct flight *flight; /* taken out of memory for the time */
	struct barred *barred; /* or it is on disk alone */
	unsigned attempt;
	uint8_t parts;
	bool named;   /* REPLACE: msg has a client_id, and the old one had none */
	wall_t due;   /* REPLACE: it waits for another time; 0: it does not */
	bool resumes; /* REQUEUE: some parts have been sent */
	enum reason reason;
};
/* About a message that the store says is queued at o->place; c is found here. Does not wait; a
 * reason other than NONE: not even begun. */
enum reason order_give(struct order *o);

/* fallback.c */
#define FALLBACK_LINE    "fallback" /* in a whole's history: "attempt 2 by sms is 4711" */
#define FALLBACK_STOPPED "stopped"  /* in a whole's history: no further attempts */
enum { FALLBACK_STEPS = 16 };
/* The attempts of a whole that have begun, in order: their ids, 0 for those refused at the door.
 * Returns how many; -1: not known now. Blocks. */
int fallback_begun(struct gateway *g, const struct store_view *whole, uint64_t id[FALLBACK_STEPS]);
/* Is it an attempt of a whole? Then what the store is to know of that. */
bool fallback_attempt(const struct message *m, struct store_attempt *a_r);
/* An attempt of that state has left, and is not known to have failed. */
bool attempt_has_left(enum state s);
/* In a call: store_call_erase() of a whole and of all its attempts; 0: not all have ended. */
int fallback_erase(struct gateway *g, struct store_op *call, uint64_t id);
void fallback_put(struct buf *b, dur_t after, const struct message *m);
bool fallback_next(struct str *rest, dur_t *after_r, struct message **m_r);
void fallback_join(struct flow_channel *c, struct listener *l, struct account *a); /* its loop */
struct flow_channel *gateway_fallback(struct gateway *g);
/* Who submitted a message, for routes: the account, or on whose behalf it is an attempt. out: 96.
 */
const char *submitter_name(struct gateway *g, const struct message *m, char *out, size_t cap);

/* inflight.c: ids of what is being sent, in a file that survives a kill */
struct inflight;
struct inflight *inflight_open(const char *path, struct err *e);
void inflight_close(struct inflight **ip);
uint32_t inflight_add(struct inflight *i, uint64_t id); /* any thread; 0 when full */
void inflight_drop(struct inflight *i, uint32_t slot);
/* Was this id in flight when the process last ended? */
bool inflight_was(struct inflight *i, uint64_t id);
unsigned inflight_were(const struct inflight *i);

#endif
