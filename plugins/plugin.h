/* The one interface of a plugin, and what the gateway offers it.
 *
 * A plugin keeps tables of its own in the gateway's store and sends messages as an internal
 * account, "plugin/NAME". Its contract:
 *  1. Whatever reads or writes its tables runs on the store's writer thread, in a call (struct
 *     plugin_call): one savepoint of the writer's transaction, so that its rows and the messages it
 *     sends are committed together or not at all. A call must be quick (5 to 10 ms at most: longer
 *     work goes in slices, posted with `bulk`), may be run again after it was undone, and leaves no
 *     statement unfinished (sql_run, sql_step to the end, or sql_reset).
 *  2. What it loaded from its files is immutable. A call sees one configuration from its beginning
 *     to its end; between plugin_enter() and plugin_leave() other threads see one.
 *  3. Time comes as an argument (call->now, gate's now), so that stories can shift it.
 *  4. No callback but load() and verbs blocks. Each says its thread: "writer", "loop" (the host's
 *     own, host->loop, where its timers live), "HTTP" (a thread that reads requests), "any".
 *
 * Implemented by gateway/flow/host*.c (calls, messages, cancels, notes, policy) and
 * gateway/control/api_plugin.c (requests).
 */
#ifndef POSTERN_PLUGINS_PLUGIN_H
#define POSTERN_PLUGINS_PLUGIN_H

#include "gateway/base/conf.h"
#include "gateway/base/loop.h"
#include "gateway/base/stat.h"
#include "gateway/http/server.h"
#include "gateway/model/evidence.h"
#include "gateway/model/message.h"
#include "gateway/model/note.h"
#include "gateway/model/outcome.h"
#include "gateway/model/state.h"
#include "gateway/store/sql.h"
#include "gateway/store/store.h"

struct settings;
struct mail_conf; /* gateway/mail/mail.h */
struct plugin_host;
struct plugin_call;
struct plugin_setup;
struct plugin_policy;
struct plugin_route;
struct plugin_verb;
struct plugin_feedback;

/* What a token of the HTTP API may be used for. */
enum token_scope {
	SCOPE_MESSAGES = 1,
	SCOPE_EVENTS = 2,
	SCOPE_MEMBERS = 4,
	SCOPE_CONTENT = 8,
	SCOPE_MAILINGS = 16,
	SCOPE_ADMIN = 32,
};

/* Members may be NULL where nothing else is said. */
struct plugin {
	const char *name;             /* in plugins = ( { name = "…" } ) */
	const char *about;            /* for the manual */
	const struct conf_item *conf; /* its own keys in that group; not NULL, perhaps CONF_END */
	size_t conf_size;
	const struct conf_item *files; /* rows of its own files, for the manual */
	size_t size;                   /* of its state, host->self, zeroed */

	/* ---- configuration ----
	 * Reads and checks the plugin's own files, says faults (file:line) or returns what it
	 * loaded. NULL with faults, else not NULL. `conf`: the struct of its rows. Called at start,
	 * by `postern -t`, and before each reload; any thread, may take seconds (stories). There
	 * may be faults in f already: expensive checks are for configurations without. */
	void *(*load)(const struct plugin_setup *s, const void *conf, struct conf_faults *f);
	void (*unload)(void *loaded); /* nobody looks at it any more; any thread */
	/* A line for each difference, for `reload --dry-run`. Any thread. */
	void (*changes)(const void *was, const void *is, struct buf *out);

	/* ---- life ----
	 * writer: makes or migrates its tables (they begin with NAME_), prepares statements into
	 * host->self. At the start, before anything else; -1 and e: the gateway does not start. */
	int (*open)(struct plugin_call *c, struct err *e);
	/* writer: may `is` follow `was` (NULL: at the start) over what the tables hold? Writes
	 * nothing. -1 and e: the new configuration is refused whole. Also for a dry reload. */
	int (*check)(struct plugin_call *c, const void *was, const void *is, struct err *e);
	/* writer: `is` is in force for all later calls. -1 only where the store failed (it is run
	 * again). */
	int (*adopt)(struct plugin_call *c, const void *was, const void *is);
	void (*begin)(struct plugin_host *h); /* loop: the gateway is up; timers may be set */
	void (*end)(struct plugin_host *h);   /* loop: it stops; timers are to be cancelled */
	/* writer: the last call: statements are finished, host->self is emptied. */
	void (*close)(struct plugin_call *c);

	/* ---- what happens ----
	 * writer: news of a message that it sent, or a subscriber's message routed to
	 * "plugin/NAME". 0: taken, and forgotten in the same transaction; -1: undone, it comes
	 * again later. News of one message come in order, one after the other. */
	int (*note)(struct plugin_call *c, const struct note *n);
	/* writer: any subscriber's message, whole (FIELD_FROM, FIELD_TO, FIELD_TEXT, media), in
	 * the transaction that keeps it, hence before the far side hears that it was taken. Where
	 * it goes is not changed by this. -1 undoes what the call did, not the message. */
	int (*mo)(struct plugin_call *c, const struct message *m, const char *channel);
	/* writer: what came back about a message to one recipient, whoever sent it, in the
	 * transaction that keeps it: a hard bounce (dead), a complaint, an unsubscribing. m: NULL
	 * when it is forgotten already; then address says who. -1 undoes what the call did, not the
	 * evidence. */
	int (*feedback)(struct plugin_call *c, const struct plugin_feedback *f);
	/* writer: an account with policy = "marketing" ("smpp/crm") submits m, which is routed and
	 * cut. Fills *p_r (which says go). -1: refused for now. Also asked about each attempt of a
	 * message with a fallback, whoever submitted the whole. */
	int (*policy)(struct plugin_call *c, const struct message *m, const char *account,
		struct plugin_policy *p_r);
	/* any thread, pure: the gate of a message (plugin_gate_put) was open until before `now`,
	 * its turn has come only now. When is it to be tried again? 0: it may go now. *why_r: what
	 * holds it; REASON_QUIET_HOURS unless another is put there. */
	wall_t (*gate)(const void *loaded, const struct message *m, struct str more, wall_t now,
		struct outcome *why_r);

	/* ---- faces ---- */
	const struct plugin_route *routes; /* HTTP; ends with method NULL */
	const struct plugin_verb *verbs;   /* posternctl; ends with name NULL */
	/* any thread: JSON members ("armed":12) for `posternctl status`. */
	void (*describe)(struct plugin_host *h, struct buf *b);
};

/* All plugins there are: plugins/list.def. NULL behind the last. */
const struct plugin *plugin_at(size_t i);
/* Plugins of a test program, which may define this (ends with NULL); they follow the others. */
extern const struct plugin *const plugins_of_tests[] __attribute__((weak));
const struct plugin *plugin_by_name(struct str name);

/* One plugin of a running gateway. Lives as long as that. */
struct plugin_host {
	const struct plugin *plugin;
	struct loop *loop;
	void *self;         /* plugin->size bytes */
	uint32_t submitter; /* the store's number of "plugin/NAME" */
};

/* ---- the configuration ---- */
/* Every plugin's group has these keys. */
struct plugin_conf {
	struct conf_where at;
	const char *name;
	void *specific;     /* by the plugin's own rows */
	int intake_most;    /* requests of `intake` routes at work at a time; beyond: 429 */
	double intake_rate; /* of them per second, 0: no limit */
	const struct plugin *plugin; /* private from here */
	void *loaded;
};
/* What the gateway's settings say that a plugin may look at while it loads. */
struct plugin_setup {
	const char *dir; /* folder of the main file: "" or ending with '/' */
	const struct plugin_conf *conf;
	const struct settings *settings; /* for the questions below */
	const char *node, *country, *trunk;
	const struct mail_conf *mail; /* lives as long as what is loaded */
	dur_t retention, validity, validity_most;
};
/* Media (MEDIA_BIT) that the channel of that name carries; 0: there is no such channel. */
unsigned plugin_channel_media(const struct plugin_setup *s, const char *name);
/* Media for which some route takes what the plugin sends to some address. */
unsigned plugin_routed_media(const struct plugin_setup *s);

/* What the plugin loaded last, valid until plugin_leave(). Not for long: a reload waits. Any thread
 * but the writer, where call->conf is. */
const void *plugin_enter(struct plugin_host *h, unsigned *entered_r);
void plugin_leave(struct plugin_host *h, unsigned entered);

/* ---- calls ---- */
/* To be embedded as the first member of what the plugin allocates with mem_new(). */
struct plugin_call {
	struct store_op op; /* private */
	/* set by the plugin */
	int (*run)(struct plugin_call *c); /* writer; -1: all of it is undone */
	/* The call is the plugin's again, committed or not (see fault and result). NULL: it is
	 * freed with mem_free(). */
	void (*done)(struct plugin_call *c);
	struct loop *loop; /* where done() runs; NULL: host->loop */
	/* For what nobody waits for: goes behind all that is not bulk (though never starves), and
	 * a few milliseconds of it at a time. Bulk calls keep their order among themselves. */
	bool bulk;
	/* Refused at once (fault is set, run() is not called) while the store does not work. Else
	 * it waits until the store works again. */
	bool refusable;
	const char *what; /* a word for the log, and for FAULT=stall-WHAT:N (5 s of stalling) */
	/* while run() runs */
	struct plugin_host *host;
	struct sql *db;
	wall_t now;       /* the transaction's time */
	const void *conf; /* what load() returned, in force for the whole of run() */
	/* The host's way to keep a message (see plugin_send); stories have their own. */
	uint64_t (*send)(struct plugin_call *c, struct message *m, enum state state,
		enum reason reason, const char *words, struct outcome *why_r);
	/* in done() */
	enum store_health fault; /* not STORE_OK: it did not happen */
	int result;              /* of run(); negative: it was undone */
};
void plugin_call(struct plugin_host *h, struct plugin_call *c); /* any thread */
/* The same, waiting for the commit; done is not used, the call stays the caller's. Verbs and
 * workers only. 0, or -1 and e (which says what the store says, or that it was undone). */
int plugin_call_wait(struct plugin_host *h, struct plugin_call *c, struct err *e);
/* In done(): it did not happen. For work in slices done() posts the same call again. */
static inline bool plugin_failed(const struct plugin_call *c)
{
	return c->fault != STORE_OK || c->result < 0;
}

/* In run(): keeps a message in the same transaction and returns its id. It is routed, cut and
 * queued as if its account had submitted it: media, priority, send_at, expires, wants (which news
 * note() is to hear), FIELD_CHANNEL, FIELD_FALLBACK as the message says. Takes the reference.
 * FIELD_CLIENT_ID is a key: what was kept under it within dedupe_window is returned again, with
 * why_r->reason REASON_DUPLICATE. 0: not kept, *why_r says why; with REASON_STORE run() must
 * return -1. Limits for submitters (rate, queue_most) do not hold here. About 5 us beyond the
 * writing of the rows. */
static inline uint64_t plugin_send(struct plugin_call *c, struct message *m, struct outcome *why_r)
{
	return c->send(c, m, STATE_QUEUED, REASON_NONE, "", why_r);
}
/* Keeps one that will not be sent, in its final state (STATE_SUPPRESSED, STATE_EXPIRED), so that
 * its history can be asked for. words: which value, which cap …; may be "". */
static inline uint64_t plugin_suppress(struct plugin_call *c, struct message *m, enum state state,
	enum reason reason, const char *words, struct outcome *why_r)
{
	return c->send(c, m, state, reason, words, why_r);
}
/* In run(): a line of a message's history. */
int plugin_history(struct plugin_call *c, uint64_t msg, const char *what, enum reason reason,
	const char *words);

/* In run(): 1: it has left, and taking it back will not do; 0: not, as far as the store knows (what
 * is in flight is known only to plugin_cancel()); -1: run() must return -1. */
int plugin_has_left(struct plugin_call *c, uint64_t msg);

/* In run(): empties a message that has ended, or was sent and only receipts are awaited: whom it
 * went to, what it said, its big body and all free words about it, those of each of its attempts,
 * too. What counts stays (id, state, reasons, times, parts, channel), and what is heard of it later
 * brings no words back. 1: so it is, or it is forgotten already; 0: it has not ended, or one of its
 * attempts has not: to be asked again; -1: run() must return -1. May be repeated. Of a subscriber's
 * message, from when its account has taken it, the sender goes with the text. About 30 us. */
int plugin_erase(struct plugin_call *c, uint64_t msg);

/* Further attempts of a message, each tried when the one before has failed, or `after` it when that
 * was not delivered by then. At most 15. Borrowed. */
struct plugin_step {
	const struct message *msg; /* media, to, content; its own channel if it names one */
	dur_t after;               /* 0: only when the one before has failed */
};
/* Begins with the one before, and whatever becomes of it: another device. */
#define PLUGIN_STEP_AT_ONCE 1
void plugin_put_fallback(struct draft *d, const struct plugin_step *steps, size_t n);
/* Cuts the next step off a message's FIELD_FALLBACK; the message is the caller's. False at the end.
 * Any thread. */
bool plugin_next_fallback(struct str *rest, dur_t *after_r, struct message **m_r);

/* A gate: the message goes while now < open_until; afterwards plugin->gate() is asked with `more`
 * (a few octets: class, row, member, zone …) when its turn comes. The last field of a draft. */
void plugin_put_gate(struct draft *d, wall_t open_until, struct str more);

/* ---- taking back ---- */
/* Cancels what is queued and not in flight. For each exactly one of two is true afterwards: it is
 * in the state asked for and was never sent, or result says why not. Of a message with a fallback
 * the attempts that wait are cancelled and no further ones begin, TOO_LATE or not; the whole then
 * ends as undeliverable, with the reason given. */
struct plugin_cancel {
	uint64_t id;
	enum state state;   /* STATE_CANCELLED or STATE_SUPPRESSED */
	enum reason reason; /* NONE: the usual one of the state */
	char words[OUTCOME_WORDS];
	enum reason result; /* out: NONE: done; TOO_LATE, NOT_FOUND, STORE (try again) */
	/* out, of TOO_LATE: it is with the far side at this moment, and comes back to its queue if
	 * that does not take it: to be asked again a little later */
	bool in_flight;
};
struct plugin_cancels {
	struct plugin_cancel *v; /* the caller's, until done() */
	unsigned n;
	struct loop *loop; /* of done(); NULL: host->loop */
	void (*done)(struct plugin_cancels *c);
	unsigned cancelled; /* out */
};
/* Any thread. Only messages of the plugin's own account; with STATE_SUPPRESSED also those of others
 * that its policy() was asked about. They are cancelled as they are found, not in one transaction.
 */
void plugin_cancel(struct plugin_host *h, struct plugin_cancels *c);

/* ---- what recipients and far sides say ---- */
struct plugin_feedback {
	const struct evidence *v;
	const struct message *m; /* may be NULL */
	enum media media;
	struct str address;    /* as the message had it */
	const char *submitter; /* "smtp/crm", "plugin/offers"; "" unknown */
};

/* ---- policy for other submitters ---- */
enum policy_verdict { POLICY_GO, POLICY_HOLD, POLICY_SUPPRESS };
struct plugin_policy {
	uint64_t id; /* given: what the message is called once it is accepted */
	enum policy_verdict verdict;
	wall_t until;       /* HOLD: not before; beyond its validity the message ends as expired */
	enum reason reason; /* HOLD, SUPPRESS: shown with the message */
	char words[OUTCOME_WORDS];
	/* GO, HOLD: a gate as of plugin_put_gate(); open_until 0: none */
	wall_t open_until;
	char more[64];
	size_t more_n;
};

/* ---- HTTP ---- */
/* One request, or one item of a request that holds many. It is answered exactly once, from any
 * thread, now or later; and released exactly once, when the plugin touches it no more. */
struct plugin_request {
	struct plugin_host *host;
	const struct plugin_route *route;
	/* Path, query, headers (http_wild(), http_arg(), …). Of an item: within run() only; else
	 * until it is answered. Never answered directly. */
	struct http_request *http;
	const char *token;  /* name of the token, "" without; lives until it is released */
	uint32_t submitter; /* of that token: "http/NAME" */
	unsigned scopes;
	void *state; /* the plugin's */
};
struct plugin_route {
	const char *method, *path; /* as of struct http_route */
	unsigned scope;            /* enum token_scope that the token must have one of; 0: any */
	bool many;        /* the body is JSON: one text, an array of them, or NDJSON: run() each */
	bool intake;      /* counts against intake_most and intake_rate: 429 beyond */
	size_t body_most; /* octets of the body, or of each item; 0: 1 MiB */
	/* HTTP. body: the whole of it, or one item's text (read it with json_read()); borrowed
	 * within run(), unless the request is not an item: then until it is answered. */
	void (*run)(struct plugin_request *r, struct str body);
	/* HTTP. Instead of run(), for bodies too long to hold: shown the octets as they come;
	 * returns how many were taken, 0 stops the flow until plugin_request_resume(), then the
	 * same octets come again. `end`: that was all (octets empty), the answer is owed now. A
	 * client that goes away is told by gone(), after which an answer is owed, too. */
	size_t (*stream)(struct plugin_request *r, struct str octets, bool end);
	void (*gone)(struct plugin_request *r);
};
void plugin_request_resume(struct plugin_request *r); /* any thread */
/* Takes the JSON (left empty; NULL: none). False: it was answered before, by a deadline, and this
 * went nowhere. Any thread. Statuses 429 and 503 get a Retry-After. */
bool plugin_answer(struct plugin_request *r, unsigned status, struct buf *json);
/* RFC 9457; detail and field may be NULL. */
bool plugin_problem(struct plugin_request *r, unsigned status, const char *title,
	const char *detail, const char *field);
struct json_faults;
bool plugin_problem_faults(struct plugin_request *r, unsigned status, const struct json_faults *f);
/* late() is called on host->loop after that time, unless it was answered by then; it is to answer.
 * Once per request; any thread. */
void plugin_deadline(struct plugin_request *r, dur_t in, void (*late)(struct plugin_request *r));
void plugin_request_release(struct plugin_request **rp);

/* ---- posternctl ---- */
struct plugin_words {
	struct plugin_host *host;
	size_t args_n; /* after the verb */
	const char *const *args;
	const char *(*option)(
		const struct plugin_words *w, const char *name); /* --NAME V or NULL */
	bool as_json; /* --json: `out` is to be JSON, else text for people */
	struct buf *out;
	/* How far long work has come, 0 to 1: a bar on the terminal. */
	void (*progress)(const struct plugin_words *w, double share);
	void *private;
};
struct plugin_verb {
	const char *name;  /* "members" */
	const char *usage; /* lines for `posternctl --help` and the manual */
	/* A thread that may block. -1 and e: refused; 1 and e: what was found is in `out`, and e
	 * says what is wrong with it (posternctl ends with status 1). */
	int (*run)(struct plugin_words *w, struct err *e);
};

/* ---- reading beside the writer ---- */
/* A connection that sees what is committed and ends statements two seconds after it was given; the
 * caller prepares, and finishes, what it asks. Threads that may block. NULL and e. */
struct sql *plugin_read(struct plugin_host *h, struct err *e);
void plugin_read_end(struct plugin_host *h, struct sql **dbp);
/* Anybody's message, as the store has it, and who submitted it. Threads that may block. 1; 0: there
 * is none; -1 and e. */
struct plugin_found {
	uint64_t id;
	struct message *msg; /* one reference, the caller's; NULL: its content is gone */
	char submitter[96];  /* "http/crm" */
	bool judged;         /* its account is under the policy that plugins are asked for */
	enum state state;
	enum reason reason;
	char words[OUTCOME_WORDS];
	wall_t accepted, due, final_at;
};
int plugin_find(struct plugin_host *h, uint64_t id, struct plugin_found *f_r, struct err *e);

#endif
