/* One unit of work: what all logic of the plugin runs in.
 *
 * On the store writer it is one savepoint of one OP_CALL; in stories it is a step of a virtual
 * clock over a :memory: store. Nothing here asks what time it is, nor keeps state outside the
 * tables.
 */
#ifndef POSTERN_PLUGINS_OFFERS_WORK_H
#define POSTERN_PLUGINS_OFFERS_WORK_H

#include "plugins/offers/db.h"
#include "plugins/offers/rules.h"
#include "plugins/offers/stuck.h"

struct member;
struct outcome;

struct work {
	struct db *db;
	const struct rules *rules;
	wall_t now;
	struct arena *arena; /* scratch of this unit; dies behind it */
	struct err e;        /* why it failed, when a function said -1: the whole unit is undone */
	/* Takes the message (one reference), in this transaction: its id, or 0 and why: it could
	 * not be routed, or was refused. state_r as for suppressed ones is the caller's matter. */
	uint64_t (*send)(struct work *w, struct message *m, struct outcome *why);
	/* Has that message left? 1, 0: not as far as is known; -1. NULL: of_sent knows it. */
	int (*left)(struct work *w, uint64_t msg);
	/* plugin_erase(): 1, 0: it has not ended; -1. NULL: there are no messages but of_sent's. */
	int (*erase)(struct work *w, uint64_t msg);
	/* A field of an event that was passed over, and why; NULL: nobody is told. about: its type.
	 */
	void (*odd)(struct work *w, const char *what);
	const char *about;
	void *ctx;
	int64_t firing; /* the chain whose step is at work, 0: none; chain_fire.c */
	/* recurring work: whose is, and who is gone past (NULL: nobody); stuck.h */
	struct hand hand;
	const struct stuck *stuck;
	/* what happened, for the answer */
	uint64_t *queued;
	size_t queued_n, queued_cap; /* the array is the arena's */
	unsigned removed;            /* cancels that were asked for */
	struct work_cancel {
		uint64_t deed, msg;
		uint64_t whole; /* msg itself, or the one of several (devices) that was asked for */
	} * cancels;            /* those, the arena's; of_deed has them, too */
	size_t cancels_n, cancels_cap;
	wall_t next_due;        /* the earliest timer that was set, 0: none */
	bool deeds;             /* rows were put into of_deed */
	struct member *members; /* those loaded in this unit, by id; member.c */
	wall_t *lots_turn; /* lowered to when a lot that is put changes its state, or NULL; lot.c */
	/* chains of one member, as last looked at; chain.c */
	struct chain_row *chains;
	size_t chains_n, chains_cap;
	uint64_t chains_of;
	/* figures */
	unsigned stale;       /* steps that were due longer ago than max_lateness */
	unsigned late_cancel; /* cancels that came after their message was sent */
	unsigned made;        /* events made by events, how deep we are */
};

/* What is to be done after the commit, until it is done (of_deed). */
enum deed_kind {
	DEED_CANCEL = 1, /* msg: a chain ended before it left */
	DEED_WITHDRAW,   /* msg: consent was withdrawn; ends as suppressed */
	DEED_UPSTREAM,   /* body: a command for the platform, key: its idempotency key */
	DEED_LEFT,       /* msg: a member who left; key: how far erasing has come (leaving.c) */
	DEED_ERASE,      /* msg: of who left, and had not ended */
	DEED_AGAIN,      /* msg: a member that a run went past; key: which run (task_again.c) */
};
/* Of the first three. 0, or -1 with w->e. */
int work_deed(struct work *w, enum deed_kind kind, uint64_t msg, struct str key, struct str body);
void work_queued(struct work *w, uint64_t msg);
void work_timer(struct work *w, wall_t due);
/* -1 with w->e set from the store's last fault. */
int work_failed(struct work *w, const char *what);

#endif
