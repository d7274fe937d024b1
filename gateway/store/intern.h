/* The inside of the store, shared by its own files. What each thread owns is said at the fields.
 *
 *   store.c       opening and closing          writer.c   the writer's loop: batches, health
 *   apply.c       what an operation changes    receipt.c  receipts and what they raise
 *   awaited.c     finding a message by the far side's id      orphan.c  receipts that came early
 *   note.c        news for submitters          mo.c       subscribers' messages
 *   reader.c      refills                      query.c    questions of people
 *   keeper.c      checkpoints, counting        purge.c    what is old
 *   tally.c       figures: depths, notes, metrics         names.c    small numbers for names
 *   call.c        plugins' work in the writer's transaction
 *   erase.c       emptying a message
 */
#ifndef POSTERN_STORE_INTERN_H
#define POSTERN_STORE_INTERN_H

#include "gateway/base/map.h"
#include "gateway/base/mem.h"
#include "gateway/base/stat.h"
#include "gateway/store/sql.h"
#include "gateway/store/store.h"

#include <pthread.h>
#include <stdatomic.h>

enum hot {
#define HOT(NAME, text) Q_##NAME,
#include "gateway/store/hot.def"
#undef HOT
	Q_COUNT
};

enum {
	BATCH_MOST = 4096,
	NAME_PAGES = 256,
	NAME_PAGE = 256,      /* so many names per page: 65,536 of each kind */
	POOL = 4,             /* connections for questions kept open */
	FINAL_SLOTS = 1 << 16 /* recently finished receipts that are recognised when they repeat */
};

/* Operations of the store's own, behind those of store.h. */
enum {
	OP_NUMBER = 100, /* store_number() */
	OP_KEEP,         /* store_keep() */
};

/* A message's row, as much as the writer needs; strings point into `text`. */
struct row {
	uint64_t id;
	enum state state;
	enum reason reason;
	unsigned attempt;
	uint32_t submitter, channel, rc;
	uint8_t media, priority, wants, flags, parts;
	bool erased; /* erase.c */
	struct sms_attrs sms;
	wall_t accepted, due, expires; /* due: as in q */
	struct str src, dst, client_id, key;
	char text[NOTE_ADDR * 3 + OUTCOME_ID];
};
/* Copies strings into r->text and lets r point there. */
void row_strings(
	struct row *r, struct str src, struct str dst, struct str client_id, struct str key);

/* A change of a counter that holds once the batch is committed. */
struct tally {
	uint32_t channel;
	int64_t count[PRIORITY_COUNT], pending[PRIORITY_COUNT];
	bool touched;
	wall_t oldest;
};

struct awaited; /* awaited.c */
struct young {  /* the writer's: awaited receipts of late, in order of sending */
	struct awaited **ring;
	uint64_t first, next; /* n of the oldest row kept and of the next */
	struct awaited **bucket;
	uint64_t live;
	mono_t since;     /* when `first` became the oldest */
	struct buf fresh; /* this batch's, packed as they go to disk */
	/* a run of moving the oldest to rc; rows below move_end are its own */
	struct awaited **move;
	size_t move_n, move_at;
	uint64_t move_end; /* 0: no run */
};

struct orphan; /* orphan.c */

struct store_stats {
	struct stat_cell ops, commits, failures, refused, orphans, orphans_lost, mo_alone, repeats,
		purged, batch, wal, box, health, awaited, commit_time, batch_time, checkpoint_time;
	struct stat_hist commit_hist, batch_hist, checkpoint_hist;
};

struct store {
	struct store_conf conf;
	char *path;
	bool temporary; /* ":memory:": the file goes when we close */
	atomic_int health;
	atomic_bool stopping;

	/* the writer */
	pthread_t writer;
	struct mailbox box;
	struct letter stop_writer; /* wakes it at the end */
	atomic_uint box_n;         /* operations not yet taken by a batch */
	struct sql *db;
	struct sql_stmt *q[Q_COUNT];
	struct letter *todo, **todo_end;   /* taken from the mailbox, in order */
	struct letter *calls, **calls_end; /* the same of bulk calls */
	struct store_op **batch;
	unsigned batch_n, batch_short; /* from batch_short on they are bulk calls */
	dur_t calls_spent;             /* in bulk calls, of bulk_since */
	bool stale; /* memory may be ahead of the disk: reload before the next batch */
	mono_t next_probe;
	uint64_t keeper_mark;         /* size of the log when the keeper was woken last */
	mono_t bulk_after;            /* no bulk work before */
	dur_t bulk_spent, bulk_since; /* pacing: time in bulk work, time in batches */
	struct buf scratch;
	struct row row;
	wall_t now;                      /* of this batch */
	struct note *notes, **notes_end; /* of this batch, chained by letter.next */
	uint64_t last_id;
	uint64_t seq, seq_reserved;
	struct young young;
	struct map orphans;      /* key with channel -> struct orphan_key */
	struct map orphan_tails; /* end of a recipient's number -> struct orphan_tail */
	struct list orphan_age;
	unsigned orphan_n;
	uint64_t orphan_looks; /* at parked ones, for erasing */
	bool orphan_ahead; /* of this call's savepoint: what it stripped is not in the file yet */
	int64_t orphan_next;
	struct {
		uint64_t hash, id;
		uint8_t part;
	} * finals;
	struct {
		mono_t next;
		bool running;
		unsigned stage;
		uint64_t at, end; /* msg ids */
		uint64_t dedupe_at;
		uint32_t rc_channel;
		char rc_key[OUTCOME_ID];
		uint64_t rc_id;
		int rc_part;
		uint32_t note_outlet;
		uint64_t note_seq;
	} purge;
	/* bodies.c */
	struct {
		bool any;         /* a message may have one */
		struct buf batch; /* names to go with this batch, a line each */
		struct buf gone;  /* to be removed; under `keep`, like `backups` */
		unsigned backups; /* that are being made: nothing is removed meanwhile */
	} bodies;
	mono_t next_second, next_scrub;
	note_sink_fn sink;
	void *sink_ctx;

	/* the store's time: the writer and the reader agree here on what a cursor may pass */
	pthread_mutex_t clock;
	wall_t last_now, floor, open_now; /* open_now: of the batch under way, 0: none */

	/* the reader */
	pthread_t reader;
	struct mailbox loads;
	struct letter stop_reader; /* wakes it at the end */
	struct sql *rd;

	/* the keeper */
	pthread_t keeper;
	pthread_mutex_t keep;
	pthread_cond_t keep_go;
	bool keep_wanted, keep_stop;
	uint64_t keep_size; /* of the log at the last checkpoint; the keeper's */
	struct sql *ck;
	atomic_ullong log_size;  /* after the last commit */
	atomic_bool rest_wanted; /* the writer is to finish it */
	atomic_bool scrub;       /* the log holds what was erased: it is to be cut off */

	/* figures, any thread */
	pthread_mutex_t figures;
	struct tally **tallies;
	unsigned tally_n;
	struct tally *tally_last; /* the writer's: that of the last change */
	struct outlet_count {
		uint32_t outlet;
		int64_t count, pending;
	} * *outlets, *outlet_last; /* outlet_last: as tally_last */
	unsigned outlet_n;
	bool counted;
	struct store_stats stat;

	/* names, any thread */
	pthread_mutex_t naming;
	_Atomic(const char *) *_Atomic names[2][NAME_PAGES];
	uint32_t name_n[2];

	/* questions */
	pthread_mutex_t pool_lock;
	struct sql *pool[POOL];
	unsigned pool_n;
};

/* How the writer's functions answer: 0, or -1 with s->db->fault set. */

/* writer.c */
void *writer_run(void *arg);
uint64_t id_next(struct store *s);
uint64_t id_of_time(wall_t t); /* no id given at t or later is smaller */
wall_t id_time(uint64_t id);

/* apply.c */
int op_apply(struct store *s, struct store_op *op);
int stop_awaiting(struct store *s, const struct row *r);  /* its receipts; they may still come */
int row_get(struct store *s, uint64_t id, struct row *r); /* 1, 0 no such message, -1 */
/* The message itself. 1, 0 no such message (or one that cannot be read), -1. */
int message_read(struct store *s, uint64_t id, struct message **m_r);
int history_add(struct store *s, uint64_t id, wall_t at, const char *what, uint32_t channel,
	enum reason reason, const char *words);
/* A message ends: out of the queue, its state written. r->state becomes it. */
int row_end(struct store *s, struct row *r, enum state state, enum reason reason, wall_t at,
	struct str err);
int meta_set(struct store *s, const char *name, int64_t v);
int64_t sms_pack(struct sms_attrs a);
struct sms_attrs sms_unpack(int64_t v);
/* due: 0: at once. words: with a reason. */
int message_add(struct store *s, struct message *m, uint32_t channel, wall_t due, enum state state,
	enum reason reason, struct str words, unsigned parts);
int apply_accept(struct store *s, struct store_op *op);

/* call.c */
int apply_call(struct store *s, struct store_op *op);
/* The same about a message: call.msg. */
int apply_tap(struct store *s, struct store_op *tap, uint64_t id);
/* The operation is committed: what was accepted by it is answered. */
void call_answer(struct store_op *op, void (*answer)(struct store_op *));
/* It is rolled back: what was accepted by it is dropped. */
void call_drop(struct store_op *op);

/* erase.c */
/* Of a far side's error only what is plainly a code, else nothing. */
struct str erased_code(struct str err);
void erased_err(char err[NOTE_ERR]);

/* receipt.c */
/* Removes it from the queue on disk, wherever it waits there: 1 it was there, 0, -1. */
int unqueue(struct store *s, const struct place *p, const struct row *r);

/* Applies a receipt to message r (part `part`) in the batch; moved_r: the state changed. */
int receipt_apply(struct store *s, struct row *r, unsigned part, const struct op_receipt_in *in,
	bool *moved_r);
int receipt_op(struct store *s, struct store_op *op);
int evidence_op(struct store *s, struct store_op *op);
/* After a final receipt `to`: may a better one come for it? */
bool receipt_may_improve(const struct row *r, enum state to);
/* How well a receipt's recipient agrees with the message's: 3 same, 2 one is unknown (or erased) or
 * the end of the other, 1 no. */
int recipient_grade(struct str to, struct str dst);
enum { TAIL_DIGITS = 6 }; /* numbers that end alike in so many digits are taken as one */

/* awaited.c */
struct found {
	struct awaited *young; /* NULL: in rc */
	uint64_t id;
	unsigned part;
	wall_t at;
};
/* One entry of a row of `sent`. */
struct sent_entry {
	uint32_t channel;
	uint64_t id;
	unsigned part;
	wall_t at;
	struct str key;
};
/* Takes one entry off *data; false at the end (or where the bytes are damaged). */
bool sent_unpack(struct str *data, struct sent_entry *e_r);
enum { FOUND_MOST = 16 };
int awaited_load(struct store *s);
void awaited_free(struct store *s);
/* r: the row of its message where the caller has it, NULL where not. */
int awaited_add(struct store *s, uint32_t channel, struct str key, uint64_t id, unsigned part,
	wall_t at, const struct row *r);
/* Writes the batch's new ones; before its commit. */
int awaited_flush(struct store *s);
/* The row of a young one's message, from memory: false when it must be read. */
bool awaited_row(const struct awaited *a, struct row *r);
unsigned awaited_young(struct store *s, uint32_t channel, struct str key, struct found *out);
/* -1, or how many rows of rc, newest first. */
int awaited_old(struct store *s, uint32_t channel, struct str key, struct found *out);
/* The receipt was final: forget it, or keep it for what may still come. */
int awaited_settle(
	struct store *s, uint32_t channel, struct str key, const struct found *f, bool keep);
/* No receipt is waited for any more, though one may still come. */
int awaited_done(struct store *s, uint32_t channel, struct str key, uint64_t id, unsigned part);
/* The message was emptied: memory does not know its addresses any more either. */
void awaited_strip(struct store *s, const struct row *r);
/* Moves some of the young to rc if it is time; until: stop then. 1: there is more to do. */
int awaited_slice(struct store *s, mono_t until);
bool awaited_due(struct store *s);

/* orphan.c */
int orphan_load(struct store *s);
void orphan_free(struct store *s);
int orphan_park(struct store *s, const struct op_receipt_in *in);
/* Anything parked under the key? */
bool orphan_any(struct store *s, uint32_t channel, struct str key);
/* A parked receipt that fits a message just sent; it is taken. 1: *in_r filled, 0, -1. */
int orphan_take(struct store *s, uint32_t channel, struct str key, struct str dst,
	struct op_receipt_in *in_r);
/* Those for this recipient keep what they are matched by, but not the recipient. Some hundreds at a
 * time: 1: there are more, 0, -1. */
int orphan_strip(struct store *s, struct str dst);
int orphan_undo(struct store *s); /* the call that stripped some is undone */
int orphan_slice(struct store *s, mono_t until);

/* note.c */
int note_load(struct store *s);
/* Tells of r's change from `was` to its present state, if its submitter wants to know. */
int note_state(struct store *s, const struct row *r, enum state was, enum reason reason, wall_t at,
	struct str err, unsigned delivered);
int note_intermediate(
	struct store *s, const struct row *r, enum reason reason, wall_t at, struct str err);
/* It still waits: told once, to who wants that. */
int note_late(struct store *s, const struct row *r);
int note_mo(struct store *s, uint32_t outlet, struct message *m); /* takes a reference of its own */
int note_taken(struct store *s, uint32_t outlet, uint64_t seq);
int note_forget(struct store *s, uint32_t outlet, uint64_t seq); /* nobody came for it */
void notes_drop(struct store *s);                                /* the batch failed */
/* Those behind `end` are undone. */
void notes_cut_back(struct store *s, struct note **end);
void notes_tell(struct store *s); /* it is committed */

/* mo.c */
int mo_op(struct store *s, struct store_op *op);
int mo_slice(struct store *s, mono_t until);

/* purge.c */
/* Old things, in slices; 1: more to do now. */
int purge_slice(struct store *s, mono_t until);
bool purge_due(struct store *s);
void purge_reset(struct store *s);

/* bodies.c */
int bodies_load(struct store *s, struct err *e); /* at the start: files of no message are swept */
void bodies_free(struct store *s);
int bodies_add(struct store *s, uint64_t id, struct str ref);        /* of FIELD_SPOOL */
int bodies_drop(struct store *s, uint64_t from, uint64_t to);        /* messages from … to go */
void bodies_commit(struct store *s, bool kept);                      /* the batch is over */
bool bodies_waiting(const struct store *s);                          /* under `keep` */
void bodies_remove(struct store *s);                                 /* the keeper: what has gone */
void bodies_hold(struct store *s, bool begins);                      /* a backup is made */
int bodies_backup(struct store *s, const char *path, struct err *e); /* beside the copy there */
int bodies_check(const char *path, struct err *e);                   /* are all beside the copy? */

/* reader.c, keeper.c, query.c */
void *reader_run(void *arg);
void *keeper_run(void *arg);
void keeper_wake(struct store *s);
void pool_close(struct store *s);

/* names.c */
int names_load(struct store *s);
void names_free(struct store *s);
int number_op(struct store *s, struct store_op *op);
int keep_op(struct store *s, struct store_op *op);

/* tally.c */
void tally_queue(struct store *s, uint32_t channel, unsigned priority, int by);
void tally_notes(struct store *s, uint32_t outlet, int by);
void tally_commit(struct store *s, bool kept);
void tally_count(struct store *s, struct sql *db); /* the base, once, from a snapshot */
void tally_oldest(struct store *s);
void tally_open(struct store *s);
void tally_close(struct store *s);

#endif
