/* Big bodies: which messages name which file of the spool, and when a file may go.
 *
 * The table `spool` has a row per message with FIELD_SPOOL, written with the message; several
 * messages of one submission name one file. The purge that deletes the last of them hands the name
 * to the keeper once it is committed: a file goes only after its rows have gone for good, and what
 * a crash leaves behind in between is swept at the next start. Where no message ever named a file
 * nothing here is done at all.
 */
#include "gateway/base/log.h"
#include "gateway/base/spool.h"
#include "gateway/store/intern.h"
#include "gateway/store/schema.h"

#include <sys/stat.h>

int bodies_add(struct store *s, uint64_t id, struct str ref)
{
	struct sql_stmt *q = s->q[Q_BODY_INSERT];
	struct spool_ref r;

	if (!spool_ref_parse(ref, &r))
		return 0; /* not a file of ours: there is nothing to look after */
	s->bodies.any = true;
	sql_int(q, 1, (int64_t)id);
	sql_text(q, 2, r.name);
	return sql_run(q);
}

/* Of those names in `list` the ones that no row has any more go with this batch. */
static int let_go(struct store *s, struct str list)
{
	struct sql_stmt *q = s->q[Q_BODY_ANY];
	struct str name;

	while (str_cut(&list, '\n', &name)) {
		int got;

		if (!name.n)
			continue;
		sql_text(q, 1, name);
		got = sql_step(q);
		if (got < 0)
			return -1;
		if (got == 1) {
			sql_reset(q);
			continue;
		}
		buf_str(&s->bodies.batch, name);
		buf_char(&s->bodies.batch, '\n');
	}
	return 0;
}

int bodies_drop(struct store *s, uint64_t from, uint64_t to)
{
	struct sql_stmt *q = s->q[Q_BODY_LIST];
	struct buf list = BUF_INIT;
	int got;

	if (!s->bodies.any)
		return 0;
	sql_int(q, 1, (int64_t)from);
	sql_int(q, 2, (int64_t)to);
	while ((got = sql_step(q)) == 1) {
		struct str name = sql_col_str(q, 0);

		if (str_ends(buf_view(&list), name)) /* one submission's stand together */
			continue;
		buf_char(&list, '\n');
		buf_str(&list, name);
	}
	if (got == 0 && list.n) {
		q = s->q[Q_BODY_DELETE];
		sql_int(q, 1, (int64_t)from);
		sql_int(q, 2, (int64_t)to);
		got = sql_run(q) < 0 ? -1 : let_go(s, buf_view(&list));
	}
	buf_free(&list);
	return got;
}

void bodies_commit(struct store *s, bool kept)
{
	if (!s->bodies.batch.n)
		return;
	if (kept && s->conf.spool) {
		pthread_mutex_lock(&s->keep);
		buf_str(&s->bodies.gone, buf_view(&s->bodies.batch));
		pthread_cond_signal(&s->keep_go);
		pthread_mutex_unlock(&s->keep);
	}
	buf_reset(&s->bodies.batch);
}

bool bodies_waiting(const struct store *s)
{
	return s->bodies.gone.n && !s->bodies.backups;
}

void bodies_remove(struct store *s)
{
	struct buf gone = BUF_INIT;
	struct str list, name;

	pthread_mutex_lock(&s->keep);
	if (bodies_waiting(s)) {
		gone = s->bodies.gone;
		s->bodies.gone = BUF_INIT;
	}
	pthread_mutex_unlock(&s->keep);
	for (list = buf_view(&gone); str_cut(&list, '\n', &name);)
		spool_remove(s->conf.spool, name);
	buf_free(&gone);
}

void bodies_free(struct store *s)
{
	buf_free(&s->bodies.batch);
	buf_free(&s->bodies.gone);
}

/* ---- at the start ---- */
struct sweep {
	struct store *s;
	struct sql_stmt *q;
	uint64_t there, swept;
	bool failed;
};

static bool sweep_one(void *ctx, struct str name)
{
	struct sweep *w = ctx;
	int got;

	sql_text(w->q, 1, name);
	got = sql_step(w->q);
	if (got < 0) {
		w->failed = true;
		return false;
	}
	if (got == 1) {
		sql_reset(w->q);
		w->there++;
		return true;
	}
	spool_remove(w->s->conf.spool, name);
	w->swept++;
	return true;
}

int bodies_load(struct store *s, struct err *e)
{
	struct sweep w = { .s = s, .q = s->q[Q_BODY_ANY] };
	int64_t named = sql_number(s->db, "SELECT count(DISTINCT name) FROM spool", -1);

	if (named < 0)
		return sql_err(s->db, e, "reading the list of big bodies");
	s->bodies.any = named > 0;
	if (!s->conf.spool)
		return 0;
	if (spool_each(s->conf.spool, sweep_one, &w, e) < 0)
		return -1;
	if (w.failed)
		return sql_err(s->db, e, "looking a big body up");
	if (w.swept)
		log_info("bodies of no message removed", F_U64("files", w.swept));
	if (w.there < (uint64_t)named)
		log_error("big bodies are missing from the spool",
			F_U64("files", (uint64_t)named - w.there),
			F_STR("then", "messages that name them cannot be sent; a backup has them "
				      "beside it, in a folder that ends in .spool"));
	return 0;
}

/* ---- backups: the files stand beside the copy, in a folder of its own ---- */
void bodies_hold(struct store *s, bool begins)
{
	pthread_mutex_lock(&s->keep);
	s->bodies.backups += begins ? 1 : -1;
	if (!begins)
		pthread_cond_signal(&s->keep_go);
	pthread_mutex_unlock(&s->keep);
}

/* The folder of a backup's bodies; buf_free() it. */
static struct buf folder_of(const char *path)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "%s.spool", path);
	return b;
}

/* Calls fn for each name that the copy has. 0, or -1 and e. */
static int each_of_copy(const char *path, int (*fn)(void *ctx, struct str name, struct err *e),
	void *ctx, struct err *e)
{
	struct sql_conf c = { .where = path, .role = SQL_READER, .cache = 2 << 20 };
	struct sql *db = sql_open("sqlite", &c, e);
	struct sql_stmt *q;
	int got = 0;

	if (!db)
		return -1;
	if (schema_version(db) < 3) { /* of before there were any */
		sql_close(&db);
		return 0;
	}
	q = sql_prepare(db, "SELECT DISTINCT name FROM spool");
	if (!q)
		got = sql_err(db, e, path);
	while (q && (got = sql_step(q)) == 1)
		if ((got = fn(ctx, sql_col_str(q, 0), e)) < 0) {
			sql_reset(q);
			break;
		}
	if (q && got < 0 && db->fault != SQL_OK)
		sql_err(db, e, path);
	sql_finish(&q);
	sql_close(&db);
	return got < 0 ? -1 : 0;
}

struct giving {
	struct store *s;
	const char *folder;
	uint64_t n, missing;
};

static int give_one(void *ctx, struct str name, struct err *e)
{
	struct giving *g = ctx;
	struct err why = { 0 };

	g->n++;
	if (!g->s->conf.spool || spool_give(g->s->conf.spool, name, g->folder, &why) == 0)
		return 0;
	if (why.kind == ERR_INPUT) { /* it was missing here already */
		g->missing++;
		return 0;
	}
	*e = why;
	return -1;
}

int bodies_backup(struct store *s, const char *path, struct err *e)
{
	struct buf folder = folder_of(path);
	struct giving g = { .s = s, .folder = buf_cstr(&folder) };
	int r = each_of_copy(path, give_one, &g, e);

	if (r == 0 && g.n)
		r = spool_sync(g.folder, e);
	if (g.missing)
		log_error("backup without big bodies that are missing from the spool",
			F_U64("files", g.missing));
	buf_free(&folder);
	return r;
}

static int check_one(void *ctx, struct str name, struct err *e)
{
	struct buf at = BUF_INIT;
	struct stat st;
	int r = 0;

	buf_printf(&at, "%s/%.*s", (const char *)ctx, STR_ARG(name));
	if (stat(buf_cstr(&at), &st) != 0 || !S_ISREG(st.st_mode))
		r = err_set(e, ERR_ENV,
			"%s: a body that the backup's messages name is missing (its folder "
			"belongs to the backup)",
			buf_cstr(&at));
	buf_free(&at);
	return r;
}

int bodies_check(const char *path, struct err *e)
{
	struct buf folder = folder_of(path);
	int r = each_of_copy(path, check_one, buf_cstr(&folder), e);

	buf_free(&folder);
	return r;
}
