/* A gateway in a nutshell: the same engine over a store in memory, on a virtual clock, with a list
 * in place of queues. Stories and simulate live in it.
 *
 * What happens in one is lost with it (world_reset, world_close). One thread. int: 0 (or what is
 * said), -1 with ->e.
 */
#ifndef POSTERN_PLUGINS_OFFERS_WORLD_H
#define POSTERN_PLUGINS_OFFERS_WORLD_H

#include "plugins/offers/dispatch.h"
#include "plugins/offers/engine.h"

/* A message as it left, waits, or was taken back; and what was not sent at all (msg NULL). */
struct world_message {
	uint64_t id;
	wall_t due; /* when it leaves or left */
	struct message *msg,
		*whole;     /* of a cascade's later attempt: what it belongs to; else NULL */
	enum state state;   /* QUEUED: waits; SENT: left; CANCELLED, SUPPRESSED … */
	unsigned step;      /* of a cascade: which attempt */
	const char *looked; /* for the user of a world */
	uint64_t sent;      /* of_sent's id, of one that is of several (devices); else 0 */
	uint32_t object;    /* of_name of what it is of, and its template */
	enum row row;
	char template[64];
};
struct world {
	const struct rules *rules;
	struct sql *sql;
	struct db db;
	wall_t now; /* goes forward only */
	/* recurring tasks, where they run, too: task_fire(), task_next_due(); else NULL */
	int (*task_fire)(struct work *w, unsigned most, mono_t until, unsigned *n_r, bool *left_r);
	int (*task_next_due)(struct work *w, wall_t *due_r);
	struct err e;
	struct work w;           /* the unit at work, and the last one's remains */
	struct world_message *v; /* in the order of being made */
	size_t n, cap;
	uint64_t next_id;
	unsigned members;
	unsigned removed;    /* messages taken back since the user last looked */
	struct buf upstream; /* commands for the platform, a line each: key, space, JSON */
	/* told as it happens; may be NULL */
	void (*left)(void *ctx, struct world_message *m);
	void (*gone)(void *ctx, struct world_message *m); /* taken back */
	void *ctx;
};
/* rules are numbered anew, by this world's tables: nobody else may be using them. NULL and e. */
struct world *world_open(struct rules *r, struct err *e);
void world_close(struct world **wp);
/* Nothing has happened, and it is that time. rules: those of world_open(), or a copy that leaves
 * some of them out. */
int world_reset(struct world *w, const struct rules *r, wall_t now);
/* A registered member who agrees to everything and is reached over every medium. The first has
 * these addresses, the others have their like. */
#define WORLD_PHONE "37120000001"
/* In the first system: what is missing would compare with nothing. */
#define WORLD_STATUS "member"
#define WORLD_EMAIL  "member1@example.com"
int world_member(struct world *w, struct str ext, uint64_t *id_r);
/* A unit of work at ->now; what it asked for is done by world_settle(). */
struct work *world_unit(struct world *w);
int world_settle(struct world *w);
/* Timers fire and messages leave until that moment, which it is then. */
int world_until(struct world *w, wall_t t);
/* The same, but what is due at that very moment does not yet. */
int world_before(struct world *w, wall_t t);
/* An event that is received now. 1: it was worked on; 0: it was known. Takes the event. */
int world_event(struct world *w, struct event *e, struct reply *r);
/* News of a message that left. Of a cascade, whose attempt failed: the next one leaves instead. */
int world_news(struct world *w, struct world_message *m, enum state state, enum reason reason);
/* Whom it went to answers it; a word of policy.stop_words is that. */
int world_reply(struct world *w, const struct world_message *m, struct str text);
/* Email: whom it went to follows its link. */
int world_unsubscribe(struct world *w, const struct world_message *m);

#endif
