/* Opening and closing the store. See store.h for what it promises, intern.h for its parts. */
#include "gateway/base/log.h"
#include "gateway/store/intern.h"
#include "gateway/store/schema.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	CACHE_DEFAULT = 80 << 20,
	READER_CACHE = 8 << 20,
	KEEPER_CACHE = 1 << 20,
	OTHERS_CACHE = 16 << 20, /* reader, keeper and the pool together */
	CACHE_LEAST = 2 << 20,
	LOG_TURN = 48 << 20,
};
#define MO_WAIT (30 * DUR_MIN)

static const char *const hot_texts[Q_COUNT] = {
#define HOT(NAME, text) [Q_##NAME] = text,
#include "gateway/store/hot.def"
#undef HOT
};

/* ":memory:" is a file that lives in memory: all connections see it, and it has a log. */
static char *memory_path(void)
{
	static atomic_uint count;
	char text[80];

	snprintf(text, sizeof text, "%s/postern-%ld-%u.db",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (long)getpid(),
		atomic_fetch_add(&count, 1));
	return mem_dup(str_of(text));
}

static void remove_files(const char *path)
{
	static const char *const tails[] = { "", "-wal", "-shm" };
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
		buf_reset(&b);
		buf_printf(&b, "%s%s", path, tails[i]);
		unlink(buf_cstr(&b));
	}
	buf_free(&b);
}

static int connect_all(struct store *s, struct err *e)
{
	uint64_t cache = s->conf.cache ? s->conf.cache : CACHE_DEFAULT;
	struct sql_conf c = { .where = s->path, .role = SQL_WRITER };

	c.cache = cache > OTHERS_CACHE + CACHE_LEAST ? cache - OTHERS_CACHE : CACHE_LEAST;
	s->db = sql_open(s->conf.engine, &c, e);
	if (!s->db)
		return -1;
	if (schema_open(s->db, e) < 0)
		return -1;
	c.role = SQL_READER;
	c.cache = READER_CACHE;
	s->rd = sql_open(s->conf.engine, &c, e);
	c.role = SQL_CHECKPOINT;
	c.cache = KEEPER_CACHE;
	s->ck = s->rd ? sql_open(s->conf.engine, &c, e) : NULL;
	return s->ck ? 0 : -1;
}

/* What the writer must know before its first batch. */
static int begin_run(struct store *s, bool *unclean_r, struct err *e)
{
	uint64_t kept;

	for (int i = 0; i < Q_COUNT; i++)
		if (!(s->q[i] = sql_prepare(s->db, hot_texts[i])))
			return sql_err(s->db, e, hot_texts[i]);
	s->last_id = (uint64_t)sql_number(s->db, "SELECT max(id) FROM msg", 0);
	kept = (uint64_t)sql_number(s->db, "SELECT value FROM meta WHERE name = 'last_id'", 0);
	if (s->last_id < kept)
		s->last_id = kept;
	s->last_now = s->last_id ? id_time(s->last_id) : 0;
	*unclean_r = sql_number(s->db, "SELECT value FROM meta WHERE name = 'open'", 0) != 0;
	s->now = clock_wall();
	if (names_load(s) < 0 || awaited_load(s) < 0 || orphan_load(s) < 0 || note_load(s) < 0)
		return sql_err(s->db, e, "reading");
	if (bodies_load(s, e) < 0)
		return -1;
	atomic_store(&s->scrub, true); /* as far as the last run did not come to it */
	s->next_scrub = clock_mono() + DUR_S;
	purge_reset(s);
	if (sql_begin(s->db) < 0 || meta_set(s, "open", 1) < 0 || sql_commit(s->db) < 0) {
		sql_rollback(s->db);
		return sql_err(s->db, e, s->path);
	}
	/* The count of the queues is taken from this view of the file (tally.c). */
	if (sql_begin(s->ck) < 0)
		return sql_err(s->ck, e, s->path);
	sql_number(s->ck, "SELECT count(*) FROM meta", 0);
	return 0;
}

static int start_threads(struct store *s, struct err *e)
{
	int r = pthread_create(&s->writer, NULL, writer_run, s);

	if (r == 0)
		r = pthread_create(&s->reader, NULL, reader_run, s);
	if (r == 0)
		r = pthread_create(&s->keeper, NULL, keeper_run, s);
	if (r != 0) {
		errno = r;
		return err_set(e, ERR_ENV, "store: starting a thread: %m");
	}
	pthread_setname_np(s->writer, "writer");
	pthread_setname_np(s->reader, "reader");
	pthread_setname_np(s->keeper, "keeper");
	return 0;
}

static void store_free(struct store *s)
{
	for (int i = 0; i < Q_COUNT; i++)
		sql_finish(&s->q[i]);
	pool_close(s);
	sql_close(&s->ck);
	sql_close(&s->rd);
	sql_close(&s->db);
	awaited_free(s);
	orphan_free(s);
	names_free(s);
	tally_close(s);
	buf_free(&s->scratch);
	bodies_free(s);
	mailbox_done(&s->box);
	mailbox_done(&s->loads);
	if (s->temporary)
		remove_files(s->path);
	mem_free(&s->finals);
	mem_free(&s->batch);
	mem_free(&s->path);
	mem_free(&s);
}

struct store *store_open(const struct store_conf *c, bool *unclean_r, struct err *e)
{
	struct store *s = mem_new(struct store);
	pthread_condattr_t mono;
	mono_t start = clock_mono();

	s->conf = *c;
	if (!s->conf.engine)
		s->conf.engine = "sqlite";
	if (!s->conf.batch_most || s->conf.batch_most > BATCH_MOST)
		s->conf.batch_most = BATCH_MOST;
	if (s->conf.mo_wait <= 0 || s->conf.mo_wait > DUR_DAY)
		s->conf.mo_wait = MO_WAIT;
	if (!s->conf.log_turn)
		s->conf.log_turn = LOG_TURN;
	s->temporary = strcmp(c->path, ":memory:") == 0;
	s->path = s->temporary ? memory_path() : mem_dup(str_of(c->path));
	s->conf.path = s->path;
	s->todo_end = &s->todo;
	s->calls_end = &s->calls;
	s->notes_end = &s->notes;
	s->batch = mem_alloc(s->conf.batch_most * sizeof(struct store_op *));
	s->finals = mem_alloc(FINAL_SLOTS * sizeof *s->finals);
	mailbox_init(&s->box);
	mailbox_init(&s->loads);
	pthread_mutex_init(&s->clock, NULL);
	pthread_mutex_init(&s->figures, NULL);
	pthread_mutex_init(&s->naming, NULL);
	pthread_mutex_init(&s->pool_lock, NULL);
	pthread_mutex_init(&s->keep, NULL);
	pthread_condattr_init(&mono);
	pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
	pthread_cond_init(&s->keep_go, &mono);
	pthread_condattr_destroy(&mono);
	tally_open(s);
	if (s->conf.node > 1023) {
		err_set(e, ERR_CONF, "store: node %u is not between 0 and 1023", s->conf.node);
		goto fail;
	}
	if (connect_all(s, e) < 0 || begin_run(s, unclean_r, e) < 0 || start_threads(s, e) < 0)
		goto fail;
	log_info("store open", F_STR("file", s->path), F_BOOL("unclean", *unclean_r),
		F_U64("awaited", s->young.live), F_DUR("took", clock_mono() - start));
	return s;
fail:
	store_free(s);
	return NULL;
}

static void end_run(struct store *s)
{
	uint64_t log, done;

	if (atomic_load(&s->health) != STORE_OK) {
		log_error("store closed while it did not work",
			F_U64("lost_operations", atomic_load(&s->box_n)));
		return;
	}
	if (sql_begin(s->db) < 0 || meta_set(s, "last_id", (int64_t)s->last_id) < 0 ||
		meta_set(s, "open", 0) < 0 || sql_commit(s->db) < 0) {
		sql_rollback(s->db);
		log_error("store not closed cleanly", F_STR("error", s->db->words));
		return;
	}
	if (!s->temporary && s->db->driver->checkpoint(s->db, true, &log, &done) < 0)
		log_warn("store checkpoint failed", F_STR("error", s->db->words));
}

/* What could not be written because the store does not work stays where it is: the loops of its
 * owners have ended, and the process is about to. */
static struct letter *volatile unwritten[2];

void store_close(struct store **sp)
{
	struct store *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	atomic_store(&s->stopping, true);
	mailbox_post(&s->box, &s->stop_writer);
	mailbox_post(&s->loads, &s->stop_reader);
	pthread_join(s->writer, NULL);
	pthread_join(s->reader, NULL);
	pthread_mutex_lock(&s->keep);
	s->keep_stop = true;
	pthread_cond_signal(&s->keep_go);
	pthread_mutex_unlock(&s->keep);
	pthread_join(s->keeper, NULL);
	end_run(s);
	unwritten[0] = s->todo;
	unwritten[1] = s->calls;
	bodies_remove(s);
	store_free(s);
}

enum store_health store_health(const struct store *s)
{
	return (enum store_health)atomic_load(&s->health);
}

int store_restore_check(const char *path, struct err *e)
{
	struct sql_conf c = { .where = path, .role = SQL_READER, .cache = CACHE_LEAST };
	struct sql *db;
	struct sql_stmt *q;
	struct stat st;
	int version, r = -1;

	if (stat(path, &st) < 0)
		return err_set(e, ERR_ENV, "%s: %m", path);
	db = sql_open("sqlite", &c, e);
	if (!db)
		return -1;
	version = schema_version(db);
	if (version < 1) {
		err_set(e, ERR_ENV, "%s: not a store of ours", path);
	} else if (version > SCHEMA_VERSION) {
		err_set(e, ERR_ENV, "%s: of version %d; this program knows up to %d", path, version,
			SCHEMA_VERSION);
	} else if (!(q = sql_prepare(db, "PRAGMA quick_check(1)")) || sql_step(q) != 1) {
		sql_err(db, e, path);
	} else {
		r = str_is(sql_col_str(q, 0), "ok") ? 0
						    : err_set(e, ERR_ENV, "%s: damaged: %.*s", path,
							      STR_ARG(sql_col_str(q, 0)));
		sql_finish(&q);
	}
	sql_close(&db);
	return r == 0 ? bodies_check(path, e) : r;
}
