/* The one interface of a protocol, and what a protocol may say to the gateway.
 *
 * The contract, which flow counts and enforces:
 *  1. submit() lends a delivery; exactly one delivery_done() gives it back, later, never from
 * inside submit(). Parts of a long message are reported by delivery_part() before that.
 *  2. submit() comes only within the window that the protocol announced (parts that are submitted
 * and not yet recorded). Back-pressure is credit. A delivery of more parts than the window may come
 *     when nothing else is in flight; the protocol feeds its parts as answers come.
 *  3. A protocol never retries a message, sleeps or paces; it reports, flow decides. Connections it
 *     opens again by itself, with the one back-off of backoff.h.
 *  4. Each message_arrived() is answered once by answer(), after the commit (or at once, when
 * refused, but never from inside message_arrived()).
 *  5. All calls come on the channel's or listener's loop; none blocks. parts() alone may come on
 * any thread: it must be a pure function of configuration and message.
 *  6. After close() all deliveries are given back and then channel_closed() is said, within
 *     `grace`; after unlisten() likewise listener_closed().
 */
#ifndef POSTERN_PROTOCOLS_PROTOCOL_H
#define POSTERN_PROTOCOLS_PROTOCOL_H

#include "gateway/base/conf.h"
#include "gateway/base/loop.h"
#include "gateway/base/stat.h"
#include "gateway/base/stream.h"
#include "gateway/model/evidence.h"
#include "gateway/model/message.h"
#include "gateway/model/note.h"
#include "gateway/model/outcome.h"
#include "gateway/model/state.h"

struct channel;
struct listener;
struct account;
struct delivery;
struct answer;
struct ask;
struct mail_conf;
struct spool;

struct protocol {
	const char *name;                     /* the word after `type =` */
	const char *about;                    /* for the manual */
	unsigned media;                       /* MEDIA_BIT(…) that its channels can carry */
	const struct conf_item *channel_conf; /* NULL: it cannot send */
	size_t channel_conf_size;
	const struct conf_item *listener_conf; /* NULL: it cannot listen */
	size_t listener_conf_size;
	size_t channel_size, listener_size, account_size; /* of its own state: ->self */

	bool holds_uncertain; /* what on_uncertain = "default" means: hold, not resend */
	int window;           /* of its channels, where it is not given; 0: 100 */

	/* sending */
	int (*open)(
		struct channel *c, struct err *e); /* begins; ready when it announces a window */
	void (*submit)(struct channel *c, struct delivery *d);
	void (*close)(struct channel *c, dur_t grace);
	/* How many parts the message will be (≥ 1), or 0 and *why_r: it cannot go this way at all.
	 * NULL: 1. */
	unsigned (*parts)(const struct channel *c, const struct message *m, struct outcome *why_r);
	void (*receipt_answer)(struct channel *c, void *token, bool stored);
	/* JSON members ("bound":2,"id_form":"hex-dec") for posternctl; may be NULL. Own loop. */
	void (*describe)(const struct channel *c, struct buf *b);
	/* New settings of equal connection identity (conf_equal says what changed): 0 taken over in
	 * place, -1: close and open again. NULL: always the latter. */
	int (*adopt)(struct channel *c, const void *conf);

	/* listening */
	int (*listen)(struct listener *l, struct err *e);
	void (*answer)(struct listener *l, void *token, const struct answer *a);
	void (*notify)(struct account *a,
		struct note *n);                  /* within the credit given; ends in note_done() */
	void (*account_open)(struct account *a);  /* may be NULL */
	void (*account_close)(struct account *a); /* settings gone: end its sessions; may be NULL */
	void (*unlisten)(struct listener *l, dur_t grace);
	void (*listener_describe)(const struct listener *l, struct buf *b);
	int (*listener_adopt)(struct listener *l, const void *conf);
	/* Said once for each evidence_arrived(), after the commit; never from inside it. May be
	 * NULL where none is given. */
	void (*evidence_answer)(struct listener *l, void *token, bool stored);
};

/* All protocols there are: protocols/list.def. NULL behind the last. */
const struct protocol *protocol_at(size_t i);
/* Protocols of a test program, which may define this (ends with NULL); they follow the others. */
extern const struct protocol *const protocols_of_tests[] __attribute__((weak));
const struct protocol *protocol_by_name(struct str name);

/* ---- settings that every channel, listener, account has ---- */
/* Where subscribers' messages to numbers that begin so go. */
struct mo_route_conf {
	struct conf_where at;
	const char *to, *account;
};
enum uncertain { UNCERTAIN_DEFAULT, UNCERTAIN_RESEND, UNCERTAIN_HOLD };
struct channel_conf {
	struct conf_where at;
	const char *type, *name;
	void *specific; /* the protocol's own struct */
	int connections, window;
	double rate;    /* parts/s, 0: no limit */
	unsigned media; /* MEDIA_BIT mask, 0: all that the protocol can */
	int on_uncertain;
	dur_t receipt_wait;
	uint64_t queue_most;   /* messages that may wait, 0: no limit */
	uint64_t queue_memory; /* bytes of those that wait in memory; the others wait on disk */
	dur_t retry_first, retry_most;
	double retry_factor;
	int attempts;         /* 0: until the validity ends */
	int attempts_here;    /* temporary refusals before the next channel of a route */
	dur_t failover_after; /* down for so long: the route's next channel */
	const char *group;    /* channels with one group share the far side's message ids */
	const char *callback_secret;
	const char *mo_to; /* account or token that subscribers' messages go to, "" none */
	struct mo_route_conf *mo_routes;
	size_t mo_routes_n;
};

struct account_conf {
	struct conf_where at;
	const char *password; /* plain, or crypt(3): begins with '$' */
	const char **allow;   /* networks; empty: any */
	size_t allow_n;
	const char **from; /* sender patterns; empty: any */
	size_t from_n;
	double rate; /* messages/s */
	int max_binds, window;
	const char *policy;         /* "" or "marketing" */
	struct conf_pair *services; /* service_type -> medium */
	size_t services_n;
	const char *media;    /* medium of what has no service_type of its own: "sms" */
	const char *priority; /* "high", "normal", "bulk", "" as submitted */
	dur_t valid_most;     /* cap on validity, 0: none */
};
/* To be put in with CONF_INLINE(struct x, common, account_rows). */
extern const struct conf_item account_rows[];

struct listener_conf {
	struct conf_where at;
	const char *type, *name;
	void *specific;
};

/* ---- the objects, as far as protocols see them ---- */
struct channel {
	const char *name;
	const struct protocol *protocol;
	struct loop *loop;
	const struct channel_conf *conf;
	const void *specific; /* conf->specific */
	void *self;           /* protocol's state, channel_size bytes, zeroed */
	uint32_t number;      /* the store's */
	const char *country,
		*trunk; /* calling code and trunk prefix of national numbers, "" none */
	const struct mail_conf *mail; /* gateway/mail/mail.h; of the settings in force */
	struct spool *spool;          /* big bodies; NULL in tests without a folder */
};
struct listener {
	const char *name;
	const struct protocol *protocol;
	struct loop *loop;
	const struct listener_conf *conf;
	const void *specific;
	void *self;
	const char *country,
		*trunk; /* calling code and trunk prefix of national numbers, "" none */
	const struct mail_conf *mail;
	struct spool *spool;
};
/* One submitter. Shared by all listeners of a protocol that name it; lives on their loop. */
struct account {
	const char *name; /* "shop" */
	const struct protocol *protocol;
	struct loop *loop;
	const struct account_conf *conf;
	const void *specific; /* the protocol's whole account struct */
	void *self;
	uint32_t submitter; /* the store's number of "smpp/shop" */
};
struct delivery {
	struct message *msg; /* borrowed from flow until delivery_done */
	struct channel *channel;
	unsigned attempt;       /* 1 for the first */
	uint8_t parts;          /* as parts() said */
	uint8_t parts_sent[32]; /* bit set: taken in an earlier attempt, do not send again */
	uint16_t concat_ref;    /* 0: choose one, and set it here */
	bool repeated;          /* may have been taken before */
	struct list link;       /* the protocol's while it has the delivery */
	void *token;            /* likewise */
};
static inline bool delivery_part_sent(const struct delivery *d, unsigned part)
{
	return d->parts_sent[part / 8 % 32] >> part % 8 & 1;
}

/* ---- what a channel may say ---- */
/* Parts that may be in flight from now on, over all connections; 0: none (flow keeps all queued).
 * why: words for the operator when it is 0 or less than configured; NULL when all is well. */
void channel_window(struct channel *c, unsigned parts, const struct err *why);
void channel_closed(struct channel *c);
/* Settings have changed since the message was accepted, and it makes another number of parts now
 * (1 to 255). From inside submit() only, of a delivery no part of which was sent ever before. */
void delivery_cut(struct delivery *d, unsigned parts);
/* Part (from 0) of a delivery of several was answered. VERDICT_SENT or a refusal; flow notes it. */
void delivery_part(struct delivery *d, unsigned part, const struct outcome *o);
/* The delivery goes back to flow. For several parts: the outcome of the last, or the first that
 * was not sent. */
void delivery_done(struct delivery *d, const struct outcome *o);
/* An answer came after TIMEOUT or LOST was reported: its id is kept for the receipt. */
void delivery_late(struct channel *c, uint64_t msg, unsigned part, const struct outcome *o);
/* A refusal that speaks of the far side's state comes as an outcome; this is for hints without one
 * (congestion_state): 0..100, above 90 flow slows down. */
void channel_congestion(struct channel *c, unsigned percent);

/* A receipt. Answered by receipt_answer(token) once it is on disk. */
struct receipt_in {
	unsigned keys; /* candidate keys, best first; see store.h OP_RECEIPT */
	char key[5][OUTCOME_ID];
	char raw_id[OUTCOME_ID];
	char to[72];      /* recipient by the receipt's own words, "" unknown */
	enum state state; /* STATE_SENT: intermediate */
	enum reason reason;
	char err[24];
	wall_t at; /* 0: now */
	/* called before receipt_answer, to learn the form of ids; may be NULL */
	void (*found)(
		struct channel *c, const struct receipt_in *in, unsigned hits, const char *awaited);
};
void receipt_arrived(struct channel *c, const struct receipt_in *r, void *token);

/* A subscriber's message (takes the reference), whole or a part of a long one. Answered like a
 * receipt. */
struct mo_part {
	char key[160]; /* reassembly key, "" when whole */
	uint8_t part, parts;
	struct message *(*join)(struct message *const *parts, unsigned n);
};
void subscriber_message(
	struct channel *c, struct message *m, const struct mo_part *part, void *token);

/* ---- what a listener may say ---- */
struct answer {
	uint64_t id; /* REASON_NONE: accepted under this id */
	enum reason reason;
	bool duplicate;            /* accepted before under the same client id */
	char words[OUTCOME_WORDS]; /* what exactly is wrong, "" */
};
/* Takes the message (one reference, id not set). token comes back in answer(). */
void message_arrived(struct listener *l, struct account *a, struct message *m, void *token);
/* The same checks without keeping anything, nor counting against the account's rate: which channel,
 * how many parts, or why not. Own loop; takes the message. */
struct dry_run {
	char channel[80];
	unsigned parts;
};
void message_dry_run(
	struct account *a, struct message *m, struct dry_run *trial_r, struct answer *a_r);
/* And, where the account is under a policy, what that says: it is asked, and what it counts is
 * undone. done() comes on `loop`, which is the one called on, perhaps at once; *r lives until then.
 */
struct rehearsal {
	struct loop *loop;
	void (*done)(struct rehearsal *r);
	/* out */
	struct answer answer; /* its reason: REASON_NONE, or why it would be refused */
	struct dry_run trial;
	enum state state; /* queued; or suppressed, expired by policy */
	wall_t due;       /* queued: not before that time, 0: at once */
	enum reason reason;
	char words[OUTCOME_WORDS];
};
void message_rehearse(struct account *a, struct message *m, struct rehearsal *r);
void listener_closed(struct listener *l);

/* What came about a message of ours by another way than its channel's receipts. Plugins hear of it
 * in the same transaction (plugins/plugin.h, feedback). Answered by evidence_answer(). Copied. */
void evidence_arrived(struct listener *l, const struct evidence *v, void *token);
/* What was accepted, with its content, for who tells its submitter by mail. Found on a worker; done
 * on the listener's loop with a reference of its own, NULL: it is no longer there. words: the far
 * side's last ones, valid in the call. */
typedef void (*message_fetched_fn)(void *ctx, struct message *m, const char *words);
void message_fetch(struct listener *l, uint64_t id, message_fetched_fn done, void *ctx);

/* The account with that name, or NULL. Names are compared whole; the time does not tell which
 * exist. */
struct account *account_find(struct listener *l, struct str name);
/* Called once per account of its conf by a protocol's listen()/listener_adopt(). specific must
 * begin with, or contain, the account_conf given. */
struct account *account_declare(struct listener *l, const char *name,
	const struct account_conf *conf, const void *specific);
bool account_allows(const struct account *a, const struct sockaddr *peer);
/* Would its rate let so many messages pass now? Its loop. */
bool account_has_rate(struct account *a, unsigned messages);
/* Verifies on a worker when the password is hashed; done(…, ok) comes later on the loop, always. */
void account_verify(
	struct account *a, struct str password, void (*done)(void *ctx, bool ok), void *ctx);
/* Failed logins per address: how long to wait before the answer (grows), and telling the outcome.
 */
dur_t login_delay(const struct sockaddr *peer);
void login_result(const struct sockaddr *peer, bool ok);
/* How many notes the account's receivers can take now; raises or lowers by what is said. */
void account_credit(struct account *a, unsigned notes);
/* For the figures: how many sessions it has now. */
void account_sessions(struct account *a, unsigned n);
/* A note was taken (stored = forget it), must come again later (RETRY), or never (FAILED). A delay
 * holds back this one and its message's next, or with SCOPE_CHANNEL all of the account's. */
void note_done(struct account *a, struct note *n, const struct outcome *o);

/* query_sm, cancel_sm, replace_sm and their kin: asked about the account's own messages only. */
enum ask_kind { ASK_QUERY, ASK_CANCEL, ASK_REPLACE };
struct ask {
	enum ask_kind kind;
	/* 0: the message with this client_id; without that, too: CANCEL means all queued ones that
	 * match from and to (and service_type, if not ""), REPLACE the newest of them (with
	 * service_type, which must be equal) */
	uint64_t id;
	char client_id[72];
	/* The id as its submitter sees it: if it is that of a submit_multi, all of the set are
	 * meant, whose others carry it as client_id with MSG_ALIAS. QUERY, CANCEL. */
	char set[72];
	bool check_from; /* from (and to, if not "") must be the message's */
	char from[72], to[72], service_type[8];
	/* ASK_REPLACE: new content, in the old one's coding; with MSG_REPLACE its flags and coding
	 * are taken over as well. send_at and expires: 0, as they were. Taken. */
	struct message *msg;
	/* ASK_REPLACE of the newest: the client_id that it gets if it has none, "": none.
	 * REASON_DUPLICATE: another message has it, and nothing was replaced. */
	char name[12];
	struct loop *loop;
	void (*done)(struct ask *a); /* on loop */
	/* out */
	enum reason reason; /* REASON_NONE: done */
	unsigned count;     /* cancelled */
	uint64_t found;     /* the message's id; REPLACE, QUERY; REPLACE of the newest: client_id is
			       its own, too */
	enum state state;   /* ASK_QUERY, and all down to err */
	uint8_t media;
	struct sms_attrs sms;
	enum reason why;
	wall_t final_at;
	char err[24];
	void *token;
};
void account_ask(struct account *a, struct ask *ask);

#endif
