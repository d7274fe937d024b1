/* The store: what was accepted, what waits, what was sent, what is awaited, who must be told.
 *
 * One thread writes (the store writer). Everyone else sends it operations; it drains its mailbox
 * into one transaction, commits once (one fsync), and only then posts each operation back to its
 * loop, in the order of the commit. Nothing is answered before it is on disk. The batch grows with
 * load; an idle store commits at once. Reading is done by a reader thread (queue refills) and by
 * callers' own threads (admin queries) on connections of their own.
 *
 * The writer gives ids and due times in commit order, so for each (channel, priority) the pair
 * (due, id) of what is due at once always rises, also within one commit and for old ids that come
 * again by OP_RETRY: a cursor is enough to refill a queue from disk.
 * A LOAD_QUEUE never shows a row beyond which a smaller key could still be committed, and OP_RETRY
 * never gives a due time before its own commit, so a cursor misses nothing either.
 *
 * If the disk is full or fails: ACCEPT operations are answered with STORE_FULL or STORE_BROKEN at
 * once; all others (what already happened outside must not be forgotten) are kept and tried again
 * until the store works, and their done() is late. Recovery needs no restart.
 */
#ifndef POSTERN_STORE_STORE_H
#define POSTERN_STORE_STORE_H

#include "gateway/base/err.h"
#include "gateway/base/loop.h"
#include "gateway/model/message.h"
#include "gateway/model/note.h"
#include "gateway/model/outcome.h"
#include "gateway/model/state.h"

struct store;
struct store_view;
struct spool; /* base/spool.h */
struct sql;   /* sql.h: for plugins' own tables inside the writer's transaction */

struct store_conf {
	const char *engine;  /* "sqlite" */
	const char *path;    /* the database file; ":memory:" for tests */
	struct spool *spool; /* where FIELD_SPOOL of messages leads; NULL: they have none */
	uint64_t cache;      /* bytes of page cache, all connections together */
	dur_t retention;     /* finished messages are kept that long */
	dur_t dedupe_window; /* client ids are remembered that long */
	dur_t orphan_wait;   /* receipts that match nothing are kept that long for late responses */
	dur_t mo_wait; /* parts of a subscriber's message wait that long for the others; at most
			  a day, 0: 30 minutes */
	unsigned node; /* 0..1023, part of every id */
	unsigned batch_most; /* operations in one commit, 0: 4096 */
	uint64_t log_turn;   /* bytes of write-ahead log after which it starts afresh, 0: 48 MiB */
};

/* What the store thinks of itself now; any thread. */
enum store_health { STORE_OK, STORE_FULL, STORE_BROKEN };

/* Opens, creates or migrates; starts the writer and reader. err: a sentence that says what to do.
 * `unclean_r`: the last run did not close the store. */
struct store *store_open(const struct store_conf *c, bool *unclean_r, struct err *e);
/* Writes what is pending, marks a clean end, closes. All loops must have stopped submitting. */
void store_close(struct store **sp);
enum store_health store_health(const struct store *s);
/* The writer's time: the wall clock, except that it never goes back (after a clock step it stands
 * still until the clock has caught up). Due times are on it, so compare them with it. Any thread.
 */
wall_t store_now(struct store *s);

/* ---- names: accounts, tokens, channels get small stable numbers ---- */
enum store_name_kind { STORE_SUBMITTER = 1, STORE_CHANNEL = 2 };
/* Synchronous; at start and reload, not on a loop's hot path. 0 on failure. */
uint32_t store_number(struct store *s, enum store_name_kind kind, const char *name, struct err *e);
/* "" when unknown. The string lives as long as the store. Any thread. */
const char *store_name(struct store *s, enum store_name_kind kind, uint32_t number);

/* Numbers that somebody wants to find again after a restart, by a name of less than 100 octets. Any
 * thread, does not wait; while the store does not work they wait until it does. */
void store_keep(struct store *s, const char *name, int64_t value);
/* `other` where nothing was kept, or cannot be read. */
int64_t store_kept(struct store *s, const char *name, int64_t other);

/* ---- notes (model/note.h): news for a submitter (or a subscriber's message for an account),
 * durable until taken
 *
 * A final state is told when the message's wants have its bit (WANT_FAILED: any that is not
 * delivered or read). `sent` as the last word (OP_SENT without awaits) is told as a NOTE_RECEIPT
 * with STATE_SENT to who wants WANT_DELIVERED. A final state raised after another one was told is
 * a NOTE_CORRECTION. What is intermediate is a NOTE_INTERMEDIATE: with STATE_SENT the far side's
 * word, with STATE_QUEUED that it still waits here (WANT_DELAY), the reason being why.
 */
void note_free(struct note **np);
/* Called on the writer thread after the commit, in commit order; takes the note. */
typedef void (*note_sink_fn)(void *ctx, struct note *n);
void store_set_note_sink(struct store *s, note_sink_fn sink, void *ctx);

/* ---- operations ---- */
enum op_kind {
	/* A new message. A file that FIELD_SPOOL names is on disk already (base/spool.h); it stays
	 * until the last message that names it is forgotten. */
	OP_ACCEPT = 1,
	OP_SENT,    /* a part was taken by the far side */
	OP_RETRY,   /* back to a queue: later, elsewhere, or both */
	OP_FINAL,   /* its end, decided by us or by the far side's answer */
	OP_RECEIPT, /* a receipt came */
	OP_NOTED,   /* a note was taken by its receiver (or given up): forget it */
	OP_MARK,    /* durable mark "being sent now", for on_uncertain = "hold" */
	OP_CANCEL,  /* FINAL cancelled, only while it is queued and not in flight */
	OP_REPLACE, /* new text for a queued message */
	OP_MO,      /* a subscriber's message, or one part of it */
	OP_EVENT,   /* a line of history */
	OP_CALL,    /* a plugin's own work inside the transaction, in a savepoint */
	/* As OP_RECEIPT, about a message that is known by its id. Refused like ACCEPT while the
	 * store does not work: who brought it brings it again. */
	OP_EVIDENCE,
	OP_LATE, /* it has waited long: told to who wants WANT_DELAY, if it was not before */
};

/* Where a message waits. */
struct place {
	uint32_t channel;
	uint8_t priority;
	wall_t due;
};

enum { OP_KEYS = 5, OP_RECEIPT_TO = 72 };
struct op_receipt_in {
	uint32_t channel; /* the channel (group) whose ids these are */
	unsigned keys;
	char key[OP_KEYS][OUTCOME_ID]; /* candidates, tried in order; [0] is kept when parked */
	char raw_id[OUTCOME_ID];
	char to[OP_RECEIPT_TO]; /* the recipient (a phone) as the receipt names it, "" unknown */
	enum state state;       /* DELIVERED, UNDELIVERABLE, EXPIRED, REJECTED, UNKNOWN, READ; SENT:
				   intermediate */
	enum reason reason;
	char err[NOTE_ERR];
	wall_t at; /* when the far side says it happened, 0: now */
};

/* Of the message that is accepted: it is an attempt of that whole, in whose history it is written
 * down in the same transaction. */
struct store_attempt {
	uint64_t whole;
	const char *stop; /* where such a line is in it, no attempt begins: SUPPRESSED, DISARMED */
	const char *line; /* "words ID"; NULL: it is known otherwise */
	char words[40];
};

struct store_op {
	struct letter letter; /* private */
	enum op_kind kind;
	/* CALL: goes behind what is not bulk, some milliseconds at a time. Keeps its order among
	 * bulk calls alone. */
	bool bulk;
	enum store_health fault; /* out: STORE_OK, or why an ACCEPT was not taken */
	struct loop *loop;       /* where done() runs; NULL: on the writer (must be quick) */
	void (*done)(struct store_op *op); /* owns the op again; NULL: the op is freed (mem_free) */
	union {
		struct {
			struct message *msg; /* borrowed until done; id and accepted are set by the
						writer */
			uint32_t channel;    /* 0: none (state is final already, e.g. SUPPRESSED) */
			enum state state;    /* QUEUED, or a final one */
			enum reason reason;
			uint8_t parts;
			bool unique;      /* FIELD_CLIENT_ID is an idempotency key per submitter */
			uint64_t take_id; /* of store_call_id(): it gets this id; 0: any */
			wall_t due;       /* QUEUED: not before (held), besides msg->send_at */
			char words[OUTCOME_WORDS];           /* shown with the reason, "" */
			const struct store_attempt *attempt; /* borrowed until done; NULL: none */
			/* of store_call_accept(): it was undone with its call. On the writer; owns
			 * the op again. NULL: the op is freed (mem_free). */
			void (*drop)(struct store_op *op);
			/* out */
			bool duplicate; /* the same again: `id` is the first one's */
			bool conflict;  /* another message under that client id */
			uint64_t id;
			struct place place;
		} accept;
		struct {
			uint64_t id;
			struct message *msg; /* a reference, which the store lets go of; NULL where
						the caller has none (costs the writer a look) */
			struct place place;  /* where it was taken from */
			uint32_t channel;    /* number under which receipts will come (channel or
						group) */
			uint8_t part, parts; /* part counts from 0; parts 0: as the store has it */
			bool all;            /* with this, every part is sent: leave the queue */
			bool awaits;   /* a receipt will come; false: `sent` is the last word */
			bool repeated; /* may have been sent before (uncertain) */
			bool told;     /* without awaits: the submitter hears of it elsewhere */
			unsigned attempt;
			wall_t at;
			char far_id[OUTCOME_ID], key[OUTCOME_ID];
			uint16_t concat_ref;
			unsigned early; /* out: receipts that had come before it and changed the
					   state */
			enum state now; /* out: the state after them, if early */
		} sent;
		struct {
			uint64_t id;
			struct place from, to; /* to.due: 0: now (given by the writer) */
			unsigned attempt;      /* attempts so far, stored */
			uint8_t parts;         /* as its new channel cuts it; 0: as before */
			bool quiet;            /* no history line (throttling) */
			bool held;             /* by policy: its history calls it so */
			wall_t late;           /* accepted before that: as OP_LATE; 0: never */
			enum reason reason;
			char words[OUTCOME_WORDS];
			bool applied; /* out: it waits at `to`; false: it had ended meanwhile */
		} retry;
		struct {
			uint64_t id;
			struct place place; /* channel 0: not queued (a sweep ended it) */
			/* SENT: of what is sent, no receipt is awaited any more, that was the
			 * last word, and is told as such */
			enum state state;
			enum reason reason;
			unsigned attempt;
			char words[OUTCOME_WORDS];
			bool only_if_queued; /* OP_CANCEL sets it; also for expiry from a sweep */
			bool only_if_sent;   /* receipt_wait is over */
			bool recalled; /* CANCELLED although it is sent: nothing of it had left */
			char err[NOTE_ERR]; /* the far side's code, "" */
			/* OP_CALL that runs with the message when it was applied, as mo.tap does;
			 * the caller's, freed after done(); NULL: none */
			struct store_op *tap;
			bool applied;   /* out */
			enum state now; /* out: the state it has */
		} final;
		struct {
			struct op_receipt_in in;
			/* out */
			bool matched;   /* a message of ours */
			bool applied;   /* its state changed */
			bool parked;    /* unknown: kept for a late response */
			unsigned which; /* index of the key that matched */
			/* Several keys: a hit counts only if its message's recipient is in.to; hits
			 * has a bit for each key that hit so, awaited is the raw far id of the one
			 * taken. One key: hits alone, awaited is "". */
			unsigned hits;
			char awaited[OUTCOME_ID];
			uint64_t id;
			uint8_t part;
			enum state now;
			wall_t sent_at;
		} receipt;
		struct {
			uint64_t id;      /* 0: not known; the tap alone runs */
			char what[24];    /* the word of its history: "bounce", "complaint" … */
			enum state state; /* SENT: intermediate; QUEUED: not spoken of */
			enum reason reason;
			char err[NOTE_ERR];
			char words[OUTCOME_WORDS];
			wall_t at; /* 0: now */
			/* OP_CALL that runs with the message (call.msg, NULL when it is forgotten),
			 * matched or not; as mo.tap */
			struct store_op *tap;
			/* out */
			bool matched, applied;
			enum state now;
		} evidence;
		struct {
			uint64_t id;
		} late;
		struct {
			uint32_t outlet;
			uint64_t seq;
		} noted;
		struct {
			uint64_t id;
			struct place place;
			unsigned attempt;
			bool undo; /* it was not sent after all: the mark goes */
		} mark;
		struct {
			uint64_t id;
			struct message *msg; /* the new one, id set; borrowed until done */
			uint8_t parts;       /* of the new text; 0: as many as before */
			wall_t due;          /* it waits for another time: this one, or now when it
						is over; 0: its place is not changed */
			struct place place;  /* in: where it waits, with due; out: where now */
			bool named;          /* its client_id is new, and is to be its own */
			bool conflict;       /* that one is another's: not applied */
			bool applied;
		} replace;
		struct {
			uint32_t outlet; /* account or token it goes to; 0: keep for history only */
			struct message *msg; /* borrowed until done */
			/* parts: key "" when whole. join() runs on the writer when the last part is
			 * there and returns the whole message (owned by the store). Same parts
			 * again are ignored. */
			char key[160];
			uint8_t part, parts; /* from 0 */
			struct message *(*join)(struct message *const *parts, unsigned n);
			/* OP_CALL that runs with the whole message (call.msg), if it became whole;
			 * its error undoes what it did alone. The caller's, freed after done();
			 * NULL: none. */
			struct store_op *tap;
			bool complete; /* out */
			bool again;    /* out: that part was known */
		} mo;
		struct {
			uint64_t id;
			uint32_t channel;
			enum reason reason;
			char what[24]; /* one word: "uncertain", "held" … */
			char words[OUTCOME_WORDS];
		} event;
		struct {
			int (*run)(
				struct sql *db, struct store_op *op); /* -1 undoes its savepoint */
			void *arg;
			int result;
			bool refusable; /* refused as an ACCEPT is while the store does not work */
			bool last; /* ends its transaction: with loop NULL its done() comes before
				      any later operation is begun */
			struct message *msg; /* of a tap, within run() */
			/* private */
			struct store *store;
			struct letter *accepts, **accepts_end;
			uint32_t noted_outlet;
			unsigned noted;
		} call;
	};
};
struct store_op *store_op_new(
	enum op_kind kind, struct loop *loop, void (*done)(struct store_op *));
void store_do(struct store *s, struct store_op *op); /* any thread; never blocks */

/* ---- what run() of an OP_CALL may do besides its own tables; 0, or -1: it must return -1 ---- */
/* Exactly what OP_ACCEPT does, in the same transaction: `accept` (kind OP_ACCEPT) has its id and
 * place on return, and is posted to its loop, done(), after the commit, in order with all others.
 * If the call is undone it is dropped, see accept.drop. On -1 it is still the caller's. */
int store_call_accept(struct store_op *call, struct store_op *accept);
/* An id for accept.take_id, for who has to write it down before the message is accepted. */
uint64_t store_call_id(struct store_op *call);
/* What OP_NOTED does. */
int store_call_noted(struct store_op *call, uint32_t outlet, uint64_t seq);
/* What OP_EVENT does. */
int store_call_event(struct store_op *call, uint64_t id, const char *what, enum reason reason,
	const char *words);
/* Does its history have such a line? 1, 0, -1. */
int store_call_has_event(struct store_op *call, uint64_t id, const char *what);
/* What became of a message: 1 with its state and channel, 0: nothing yet, or it is not there; -1.
 */
int store_call_state(struct store_op *call, uint64_t id, enum state *state_r, uint32_t *channel_r);
/* Empties a message that has ended, or was sent and only receipts are awaited: the recipient, the
 * text and all that was said besides (of a subscriber's message the sender), its big body, free
 * words of the far side and of its history, but for lines of history called `but` (NULL: none). Id,
 * state, reasons, times, parts, submitter, channel and both sides' ids stay, and what comes later
 * brings no words with it. 1: so it is (or the message is forgotten already); 0: it has not ended,
 * nothing was done, or receipts that wait unmatched name the recipient and are too many for one
 * time: to be asked again; -1. The file has it no more once its log is cut off, some seconds after
 * the commit (later while a backup is made). */
int store_call_erase(struct store_op *call, uint64_t id, const char *but);
/* store_find() without content, and store_find_client(), as the transaction has it. 1, 0, -1. */
int store_call_find(struct store_op *call, uint64_t id, struct store_view *v_r);
int store_call_client(
	struct store_op *call, uint32_t submitter, struct str client_id, uint64_t *id_r);
wall_t store_call_now(const struct store_op *call); /* the transaction's time */

/* ---- refills: the reader thread reads ahead for a queue or an outlet ---- */
struct queue_row {
	struct message *msg; /* one reference, the receiver's */
	struct place place;
	unsigned attempt;
	uint8_t parts;
	bool marked; /* OP_MARK is on it: it was being sent when we last ended */
	uint16_t concat_ref;
	uint8_t parts_sent[32]; /* bit set: that part has been taken already */
};
enum load_kind {
	LOAD_QUEUE, /* rows of (channel, priority) with key > (after_due, after_id), due <= until */
	LOAD_NOTES, /* notes of an outlet with seq > after_id */
	LOAD_OVERDUE, /* ids of messages whose receipt is awaited since before `until`; a multi-part
			 message may come once per part. A slice ends after some milliseconds even
			 with n = 0; `end` says that all were looked at */
	LOAD_EXPIRED, /* ids + places of queued messages of the channel whose validity ended before
			 `until`, likewise in slices: (priority, after_due, after_id) say where the
			 last one ended, in and out; start with zeroes. And (`late`) those that
			 want WANT_DELAY and were accepted between late_from and late_until */
};
struct store_load {
	struct letter letter; /* private */
	enum load_kind kind;
	struct loop *loop;
	void (*done)(struct store_load *l);
	uint32_t channel; /* or outlet */
	uint8_t priority;
	wall_t after_due;
	uint64_t after_id;
	char after_key[OUTCOME_ID]; /* LOAD_OVERDUE: where the last slice ended; in and out */
	wall_t until;               /* LOAD_QUEUE: at most store_now() */
	wall_t late_from, late_until;
	unsigned most;
	uint64_t bytes_most; /* LOAD_QUEUE: it ends with the row that reaches this; 0: no limit */
	/* out */
	unsigned n;
	bool end;        /* nothing more up to `until` at the moment of reading */
	wall_t next_due; /* LOAD_QUEUE: earliest due beyond `until`, 0: none */
	struct queue_row
		*rows; /* LOAD_QUEUE, freed by store_load_free (messages are the receiver's) */
	struct note **notes; /* LOAD_NOTES: each the receiver's */
	struct load_id {
		uint64_t id;
		struct place place;
		bool late; /* not expired */
	} * ids;           /* LOAD_OVERDUE, LOAD_EXPIRED */
};
void store_load(struct store *s, struct store_load *l); /* any thread; done() on l->loop */
void store_load_free(struct store_load *l);             /* the arrays, not l */

/* ---- questions: any thread that may block; each limited to a second or two ---- */
struct store_history {
	wall_t at;
	char what[24];
	uint32_t channel;
	enum reason reason;
	char words[OUTCOME_WORDS];
};
struct store_part {
	uint8_t part;
	enum state state;
	wall_t sent_at, final_at;
	char far_id[OUTCOME_ID], err[NOTE_ERR];
};
struct store_view {
	uint64_t id;
	enum state state;
	enum reason reason;
	uint32_t submitter, channel;
	uint8_t media, priority, wants, parts, flags; /* enum message_flag */
	bool erased; /* store_call_erase() emptied it: no recipient, text and words */
	bool awaits; /* of `sent`: a receipt is to come; else that is the last word */
	struct sms_attrs sms;
	wall_t accepted, due, expires, sent_at, final_at;
	unsigned attempt;
	char from[NOTE_ADDR], to[NOTE_ADDR], err[NOTE_ERR], words[OUTCOME_WORDS];
	char far_id[OUTCOME_ID];
	char client_id[NOTE_ADDR];
	struct message *msg; /* with its content; NULL where the caller did not ask for it */
	struct store_history *history;
	unsigned history_n;
	struct store_part *part_list; /* parts > 1 */
	unsigned part_n;
};
int store_find(struct store *s, uint64_t id, bool with_content, struct store_view *v_r,
	struct err *e); /* 1, 0 none, -1 */
int store_find_client(
	struct store *s, uint32_t submitter, struct str client_id, uint64_t *id_r, struct err *e);
void store_view_free(struct store_view *v);
/* Of many at once, and only what says where they are: state, submitter, channel, priority, due,
 * attempt; id 0: there is none. Nothing is to be freed. */
int store_find_places(
	struct store *s, const uint64_t *ids, unsigned n, struct store_view *v_r, struct err *e);

struct store_filter {
	struct str to, from;         /* exact; "" any */
	struct str client_id;        /* likewise */
	int state;                   /* -1 any */
	uint32_t submitter, channel; /* 0 any */
	int media;                   /* -1 any */
	wall_t since, until;         /* of acceptance; 0: open */
	uint64_t before_id;          /* paging: newest first, below this id; 0: from the newest */
	unsigned most;
	/* out, or NULL: all that fit from this id on were shown, older ones may follow (it is the
	 * next before_id); 0: there are no more */
	uint64_t *down_to;
};
/* Newest first; cb returns false to stop. How many there were. It takes two seconds at most: with
 * down_to it says how far it came, without it is -1 with ERR_AGAIN. */
int store_search(struct store *s, const struct store_filter *f,
	bool (*cb)(void *ctx, const struct store_view *v), void *ctx, struct err *e);

struct store_depth {
	uint32_t channel;
	uint64_t waiting[PRIORITY_COUNT];
	wall_t oldest; /* accepted, 0: none */
};
/* Kept by the writer in memory, counted in the background after start (`counted_r` says so). */
unsigned store_depths(struct store *s, struct store_depth *out, unsigned most, bool *counted_r);
/* All that wait for a channel, as the last commit left it. */
uint64_t store_waiting(struct store *s, uint32_t channel);
uint64_t store_notes_waiting(struct store *s, uint32_t outlet);

/* A connection of one's own for questions to plugins' tables: it sees what is committed, and ends
 * statements two seconds after it was given. Its statements are finished before it is given back.
 * Threads that may block. NULL and e. */
struct sql *store_read(struct store *s, struct err *e);
void store_read_end(struct store *s, struct sql **dbp);

/* Online backup into a new file; progress 0..1 may be NULL. Blocks its caller, not the writer. Big
 * bodies that the copy's messages name stand beside it in PATH.spool (the same files by another
 * name, where the file system can). */
int store_backup(struct store *s, const char *path, void (*progress)(void *, double), void *ctx,
	struct err *e);
/* Whether a file is a whole backup of a version that this program can open, its bodies beside it.
 * Putting it in place is done with the daemon stopped: copy what is in PATH.spool to the spool,
 * replace the database file, remove its -wal and -shm. */
int store_restore_check(const char *path, struct err *e);
/* The figures for /metrics are registered by the store itself: postern_store_*. */

#endif
