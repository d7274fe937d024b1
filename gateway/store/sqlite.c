/* The SQLite driver, and the only place that knows sqlite3.h.
 *
 * WAL with synchronous=FULL: a commit is on disk when it returns. The writer never checkpoints by
 * itself; the store does, off the writer's thread (checkpoint.c). Under fault injection a thin
 * layer over the file system makes the n-th write or sync of the store's files fail.
 */
#include "gateway/store/sql.h"
#include "gateway/base/fault.h"
#include "gateway/base/mem.h"

#include <errno.h>
#include <signal.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	BUSY_MS = 4000,
	LIMIT_OPS = 2000,      /* virtual machine steps between looks at the clock */
	BACKUP_PAGES = 256,    /* copied at a time */
	LOG_LIMIT = 128 << 20, /* the log is cut back to this when it starts afresh */
	FILE_MODE = 0640,      /* of the database, its log, and backups */
};

struct lite {
	struct sql sql;
	sqlite3 *db;
	sqlite3_stmt *begin, *commit, *rollback;
	mono_t deadline;
	bool open_tx;
	uint64_t frames; /* in the log after our last commit */
	int page;
};
struct lite_stmt {
	struct sql_stmt st;
	sqlite3_stmt *s;
	int bad; /* what a bind said */
};

static struct lite *lite(struct sql *db)
{
	return (struct lite *)(void *)db;
}

static struct lite_stmt *stmt(struct sql_stmt *st)
{
	return (struct lite_stmt *)(void *)st;
}

/* ---- faults on demand: a layer over the default file system ---------------------------------- */

struct shim_file {
	sqlite3_file base;
	bool ours; /* the database or its log, not a temporary file */
	sqlite3_file *real;
};

static struct shim_file *shim(sqlite3_file *f)
{
	return (struct shim_file *)(void *)f;
}
static int shim_close(sqlite3_file *f)
{
	return shim(f)->real->pMethods->xClose(shim(f)->real);
}
static int shim_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	return shim(f)->real->pMethods->xRead(shim(f)->real, p, n, at);
}
static int shim_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	if (shim(f)->ours && fault_hit("write"))
		return SQLITE_FULL;
	if (shim(f)->ours && fault_hit("kill-write"))
		raise(SIGKILL);
	return shim(f)->real->pMethods->xWrite(shim(f)->real, p, n, at);
}
static int shim_truncate(sqlite3_file *f, sqlite3_int64 n)
{
	return shim(f)->real->pMethods->xTruncate(shim(f)->real, n);
}
static int shim_sync(sqlite3_file *f, int flags)
{
	if (shim(f)->ours && fault_hit("fsync"))
		return SQLITE_IOERR_FSYNC;
	return shim(f)->real->pMethods->xSync(shim(f)->real, flags);
}
static int shim_size(sqlite3_file *f, sqlite3_int64 *n)
{
	return shim(f)->real->pMethods->xFileSize(shim(f)->real, n);
}
static int shim_lock(sqlite3_file *f, int how)
{
	return shim(f)->real->pMethods->xLock(shim(f)->real, how);
}
static int shim_unlock(sqlite3_file *f, int how)
{
	return shim(f)->real->pMethods->xUnlock(shim(f)->real, how);
}
static int shim_reserved(sqlite3_file *f, int *out)
{
	return shim(f)->real->pMethods->xCheckReservedLock(shim(f)->real, out);
}
static int shim_control(sqlite3_file *f, int op, void *arg)
{
	return shim(f)->real->pMethods->xFileControl(shim(f)->real, op, arg);
}
static int shim_sector(sqlite3_file *f)
{
	return shim(f)->real->pMethods->xSectorSize(shim(f)->real);
}
static int shim_device(sqlite3_file *f)
{
	return shim(f)->real->pMethods->xDeviceCharacteristics(shim(f)->real);
}
static int shim_map(sqlite3_file *f, int page, int size, int extend, void volatile **pp)
{
	return shim(f)->real->pMethods->xShmMap(shim(f)->real, page, size, extend, pp);
}
static int shim_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	return shim(f)->real->pMethods->xShmLock(shim(f)->real, offset, n, flags);
}
static void shim_barrier(sqlite3_file *f)
{
	shim(f)->real->pMethods->xShmBarrier(shim(f)->real);
}
static int shim_unmap(sqlite3_file *f, int del)
{
	return shim(f)->real->pMethods->xShmUnmap(shim(f)->real, del);
}

static const sqlite3_io_methods shim_methods = {
	.iVersion = 2,
	.xClose = shim_close,
	.xRead = shim_read,
	.xWrite = shim_write,
	.xTruncate = shim_truncate,
	.xSync = shim_sync,
	.xFileSize = shim_size,
	.xLock = shim_lock,
	.xUnlock = shim_unlock,
	.xCheckReservedLock = shim_reserved,
	.xFileControl = shim_control,
	.xSectorSize = shim_sector,
	.xDeviceCharacteristics = shim_device,
	.xShmMap = shim_map,
	.xShmLock = shim_shm_lock,
	.xShmBarrier = shim_barrier,
	.xShmUnmap = shim_unmap,
};

static int shim_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
	sqlite3_vfs *real = v->pAppData;
	int rc;

	shim(f)->real = (sqlite3_file *)(void *)(shim(f) + 1);
	shim(f)->ours = flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL);
	rc = real->xOpen(real, name, shim(f)->real, flags, out);
	f->pMethods = shim(f)->real->pMethods ? &shim_methods : NULL;
	return rc;
}

/* The name of the layer where faults are on, NULL (the default file system) where not. */
static const char *shim_name(void)
{
	static sqlite3_vfs vfs;

	if (!fault_on)
		return NULL;
	if (!sqlite3_vfs_find("postern-fault")) {
		sqlite3_vfs *real = sqlite3_vfs_find(NULL);

		vfs = *real;
		vfs.zName = "postern-fault";
		vfs.pNext = NULL;
		vfs.pAppData = real;
		vfs.szOsFile = (int)sizeof(struct shim_file) + real->szOsFile;
		vfs.xOpen = shim_open;
		sqlite3_vfs_register(&vfs, 0);
	}
	return "postern-fault";
}

/* ---- the page cache --------------------------------------------------------------------------
 *
 * SQLite's own, behind a thin layer. When it balances a tree it parks a page under the number of
 * the page at 1 GiB, that never holds data; its cache takes that for the highest number it has
 * seen, and so looks through all of its pages at each commit for some to drop. Here it is asked to
 * only when there can be any.
 */
enum { PARKED_AT = 1 << 30 };

struct cache {
	sqlite3_pcache *real;
	unsigned parking; /* the number of that page */
	unsigned most;    /* no page has a higher one, but for those parked */
	unsigned parked;
};

static sqlite3_pcache_methods2 plain;

static struct cache *cache(sqlite3_pcache *c)
{
	return (struct cache *)(void *)c;
}
static int cache_init(void *arg)
{
	return plain.xInit(plain.pArg);
}
static void cache_shutdown(void *arg)
{
	plain.xShutdown(plain.pArg);
}
static sqlite3_pcache *cache_create(int page, int extra, int purgeable)
{
	struct cache *c = mem_new(struct cache);

	c->real = plain.xCreate(page, extra, purgeable);
	c->parking = PARKED_AT / (unsigned)page + 1;
	if (!c->real)
		mem_free(&c);
	return (sqlite3_pcache *)(void *)c;
}
static void cache_destroy(sqlite3_pcache *p)
{
	struct cache *c = cache(p);

	plain.xDestroy(c->real);
	mem_free(&c);
}
static void cache_size(sqlite3_pcache *p, int pages)
{
	plain.xCachesize(cache(p)->real, pages);
}
static int cache_count(sqlite3_pcache *p)
{
	return plain.xPagecount(cache(p)->real);
}
static sqlite3_pcache_page *cache_fetch(sqlite3_pcache *p, unsigned key, int create)
{
	struct cache *c = cache(p);

	if (create && key > c->most)
		c->most = key;
	return plain.xFetch(c->real, key, create);
}
static void cache_unpin(sqlite3_pcache *p, sqlite3_pcache_page *page, int discard)
{
	plain.xUnpin(cache(p)->real, page, discard);
}
static void cache_rekey(sqlite3_pcache *p, sqlite3_pcache_page *page, unsigned was, unsigned is)
{
	struct cache *c = cache(p);

	if (is == c->parking)
		c->parked++;
	else if (is > c->most)
		c->most = is;
	if (was == c->parking && c->parked)
		c->parked--;
	plain.xRekey(c->real, page, was, is);
}
static void cache_truncate(sqlite3_pcache *p, unsigned from)
{
	struct cache *c = cache(p);

	if (!c->parked && c->most < from)
		return;
	plain.xTruncate(c->real, from);
	c->most = from ? from - 1 : 0;
	c->parked = 0;
}
static void cache_shrink(sqlite3_pcache *p)
{
	plain.xShrink(cache(p)->real);
}

static void cache_install(void)
{
	static const sqlite3_pcache_methods2 ours = { .iVersion = 1,
		.xInit = cache_init,
		.xShutdown = cache_shutdown,
		.xCreate = cache_create,
		.xCachesize = cache_size,
		.xPagecount = cache_count,
		.xFetch = cache_fetch,
		.xUnpin = cache_unpin,
		.xRekey = cache_rekey,
		.xTruncate = cache_truncate,
		.xDestroy = cache_destroy,
		.xShrink = cache_shrink };

	if (sqlite3_config(SQLITE_CONFIG_GETPCACHE2, &plain) == SQLITE_OK && plain.xInit)
		sqlite3_config(SQLITE_CONFIG_PCACHE2, &ours);
}

/* ---- errors ---------------------------------------------------------------------------------- */

static enum sql_fault fault_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return SQL_FULL;
	case SQLITE_IOERR:
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return SQL_IO;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return SQL_BUSY;
	case SQLITE_INTERRUPT:
		return SQL_TIME;
	default:
		return SQL_BAD;
	}
}

/* A write refused by a full disk comes as an I/O error with its errno behind it. */
static int failed(struct lite *l, int rc)
{
	l->sql.fault = fault_of(rc);
	if (l->sql.fault == SQL_IO && (rc & 0xff) == SQLITE_IOERR &&
		(sqlite3_system_errno(l->db) == ENOSPC || sqlite3_system_errno(l->db) == EDQUOT))
		l->sql.fault = SQL_FULL;
	snprintf(l->sql.words, sizeof l->sql.words, "%s (%d)", sqlite3_errmsg(l->db), rc);
	return -1;
}

static int over_limit(void *arg)
{
	struct lite *l = arg;

	return clock_mono() > l->deadline;
}

/* ---- functions of ours ----------------------------------------------------------------------- */

/* One for each definition; SQLite frees it. */
struct lite_fn {
	sql_fn *fn;
	struct buf text;
};

static void forget_fn(void *arg)
{
	struct lite_fn *f = arg;

	buf_free(&f->text);
	mem_free(&f);
}

static void call_fn(sqlite3_context *ctx, int n, sqlite3_value **v)
{
	struct lite_fn *f = sqlite3_user_data(ctx);
	struct sql_value args[SQL_FN_ARGS], r = { .kind = SQL_V_NULL };

	for (int i = 0; i < n; i++) {
		args[i].kind = SQL_V_NULL;
		if (sqlite3_value_type(v[i]) == SQLITE_INTEGER) {
			args[i].kind = SQL_V_INT;
			args[i].i = sqlite3_value_int64(v[i]);
		} else if (sqlite3_value_type(v[i]) == SQLITE_TEXT) {
			args[i].kind = SQL_V_TEXT;
			args[i].s.p = (const char *)sqlite3_value_text(v[i]);
			args[i].s.n = (size_t)sqlite3_value_bytes(v[i]);
		}
	}
	buf_reset(&f->text);
	f->fn(args, n, &r, &f->text);
	if (r.kind == SQL_V_INT)
		sqlite3_result_int64(ctx, r.i);
	else if (r.kind == SQL_V_TEXT)
		sqlite3_result_text64(
			ctx, r.s.n ? r.s.p : "", r.s.n, SQLITE_TRANSIENT, SQLITE_UTF8);
	else
		sqlite3_result_null(ctx);
}

static int lite_define(struct sql *db, const char *name, int n, sql_fn *fn)
{
	struct lite_fn *f = mem_new(struct lite_fn);
	int rc;

	f->fn = fn;
	rc = n > SQL_FN_ARGS ? SQLITE_MISUSE
			     : sqlite3_create_function_v2(lite(db)->db, name, n,
				       SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, f,
				       call_fn, NULL, NULL, forget_fn);
	if (n > SQL_FN_ARGS)
		forget_fn(f); /* SQLite does so itself when it was asked and failed */
	return rc == SQLITE_OK ? 0 : failed(lite(db), rc);
}

/* ---- the driver ------------------------------------------------------------------------------ */

static int lite_exec(struct sql *db, const char *text)
{
	int rc = sqlite3_exec(lite(db)->db, text, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : failed(lite(db), rc);
}

static int on_commit(void *arg, sqlite3 *db, const char *name, int frames)
{
	struct lite *l = arg;

	l->frames = (uint64_t)frames;
	return SQLITE_OK;
}

static void lite_close(struct sql *db)
{
	struct lite *l = lite(db);

	sqlite3_finalize(l->begin);
	sqlite3_finalize(l->commit);
	sqlite3_finalize(l->rollback);
	sqlite3_close_v2(l->db);
	mem_free(&l);
}

static int tx_statements(struct lite *l, const char *begin)
{
	int rc = sqlite3_prepare_v3(l->db, begin, -1, SQLITE_PREPARE_PERSISTENT, &l->begin, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v3(
			l->db, "COMMIT", -1, SQLITE_PREPARE_PERSISTENT, &l->commit, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v3(
			l->db, "ROLLBACK", -1, SQLITE_PREPARE_PERSISTENT, &l->rollback, NULL);
	return rc;
}

/* Texts and numbers of people are nobody's but ours and our group's: the file is there with that
 * mode before SQLite, whose log and index take it over, opens it. Never a descriptor on one that is
 * there: closing that would end all locks that this process has on it. */
static void file_make(const char *path)
{
	static const char *const beside[] = { "", "-wal", "-shm" };
	char name[512];
	struct stat st;
	int fd;

	if (!path[0] || path[0] == ':')
		return;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	if (fd >= 0) {
		fchmod(fd, FILE_MODE); /* whatever the umask takes away: the group reads it */
		close(fd);
		return;
	}
	for (unsigned i = 0; i < 3; i++) /* of an earlier version, or laid there by hand */
		if (snprintf(name, sizeof name, "%s%s", path, beside[i]) < (int)sizeof name &&
			lstat(name, &st) == 0 && S_ISREG(st.st_mode) &&
			(st.st_mode & 0777 & ~FILE_MODE))
			chmod(name, st.st_mode & FILE_MODE);
}

static struct sql *lite_open(const struct sql_conf *c, struct err *e)
{
	static atomic_flag configured = ATOMIC_FLAG_INIT;
	struct lite *l = mem_new(struct lite);
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
	char text[160];
	int rc;

	/* Counting every allocation costs a lock each; nobody reads the count. */
	if (!atomic_flag_test_and_set(&configured)) {
		sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
		cache_install();
	}
	l->sql.driver = sql_driver("sqlite");
	if (c->role == SQL_WRITER) {
		flags |= SQLITE_OPEN_CREATE;
		file_make(c->where);
	}
	rc = sqlite3_open_v2(c->where, &l->db, flags, shim_name());
	if (rc != SQLITE_OK)
		goto fail;
	sqlite3_extended_result_codes(l->db, 1);
	sqlite3_busy_timeout(l->db, BUSY_MS);
	sqlite3_db_config(l->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(l->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	snprintf(text, sizeof text,
		"PRAGMA page_size=4096; PRAGMA auto_vacuum=NONE; PRAGMA cache_size=-%llu; PRAGMA "
		"temp_store=MEMORY;"
		"PRAGMA secure_delete=ON", /* what is erased is not to be found in free pages */
		(unsigned long long)(c->cache / 1024 ? c->cache / 1024 : 1));
	rc = sqlite3_exec(l->db, text, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		goto fail;
	snprintf(text, sizeof text,
		"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;"
		"PRAGMA journal_size_limit=%d%s",
		LOG_LIMIT, c->role == SQL_READER ? "; PRAGMA query_only=1" : "");
	rc = sqlite3_exec(l->db, text, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = tx_statements(l, c->role == SQL_WRITER ? "BEGIN IMMEDIATE" : "BEGIN");
	if (rc != SQLITE_OK)
		goto fail;
	/* Only the last to close could fold the log in, and would stop for it: we do that. */
	sqlite3_db_config(l->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	l->page = (int)sql_number(&l->sql, "PRAGMA page_size", 4096);
	sqlite3_wal_hook(l->db, on_commit, l);
	return &l->sql;
fail:
	failed(l, rc);
	if ((rc & 0xff) == SQLITE_CANTOPEN)
		err_set(e, ERR_ENV,
			"store: cannot open %s: %s; check that its directory exists and is ours",
			c->where, sqlite3_errmsg(l->db));
	else if ((rc & 0xff) == SQLITE_NOTADB || (rc & 0xff) == SQLITE_CORRUPT)
		err_set(e, ERR_ENV,
			"store: %s is damaged or not a database (%s); put a backup in its place",
			c->where, sqlite3_errmsg(l->db));
	else
		sql_err(&l->sql, e, c->where);
	lite_close(&l->sql);
	return NULL;
}

static struct sql_stmt *lite_prepare(struct sql *db, const char *text)
{
	struct lite_stmt *st = mem_new(struct lite_stmt);
	const char *tail = NULL;
	int rc;

	st->st.db = db;
	rc = sqlite3_prepare_v3(lite(db)->db, text, -1, SQLITE_PREPARE_PERSISTENT, &st->s, &tail);
	if (rc != SQLITE_OK || !st->s) {
		failed(lite(db), rc);
		mem_free(&st);
		return NULL;
	}
	/* SQLite numbers $names in order of appearance; ours must be the same. */
	for (int i = 1; i <= sqlite3_bind_parameter_count(st->s); i++) {
		char want[16];

		snprintf(want, sizeof want, "$%d", i);
		CHECK(strcmp(sqlite3_bind_parameter_name(st->s, i), want) == 0);
	}
	CHECK(!*tail);
	return &st->st;
}

static void lite_finish(struct sql_stmt *st)
{
	struct lite_stmt *s = stmt(st);

	sqlite3_finalize(s->s);
	mem_free(&s);
}

static void lite_bind_int(struct sql_stmt *st, int i, int64_t v)
{
	int rc = sqlite3_bind_int64(stmt(st)->s, i, v);

	if (rc != SQLITE_OK)
		stmt(st)->bad = rc;
}

static void lite_bind_str(struct sql_stmt *st, int i, struct str v, bool blob)
{
	const char *p = v.p ? v.p : ""; /* a NULL pointer would bind NULL */
	int rc = blob ? sqlite3_bind_blob64(stmt(st)->s, i, p, v.n, SQLITE_STATIC)
		      : sqlite3_bind_text64(stmt(st)->s, i, p, v.n, SQLITE_STATIC, SQLITE_UTF8);

	if (rc != SQLITE_OK)
		stmt(st)->bad = rc;
}

static void lite_bind_null(struct sql_stmt *st, int i)
{
	int rc = sqlite3_bind_null(stmt(st)->s, i);

	if (rc != SQLITE_OK)
		stmt(st)->bad = rc;
}

static int lite_step(struct sql_stmt *st)
{
	struct lite_stmt *s = stmt(st);
	int rc = s->bad ? s->bad : sqlite3_step(s->s);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc != SQLITE_DONE)
		failed(lite(st->db), rc);
	sqlite3_reset(s->s);
	s->bad = 0;
	return rc == SQLITE_DONE ? 0 : -1;
}

static void lite_reset(struct sql_stmt *st)
{
	sqlite3_reset(stmt(st)->s);
	stmt(st)->bad = 0;
}

static int64_t lite_col_int(struct sql_stmt *st, int i)
{
	return sqlite3_column_int64(stmt(st)->s, i);
}

static struct str lite_col_str(struct sql_stmt *st, int i)
{
	const void *p = sqlite3_column_blob(stmt(st)->s, i);

	return str_n(p, (size_t)sqlite3_column_bytes(stmt(st)->s, i));
}

static bool lite_col_null(struct sql_stmt *st, int i)
{
	return sqlite3_column_type(stmt(st)->s, i) == SQLITE_NULL;
}

static int64_t lite_changed(struct sql *db)
{
	return sqlite3_changes64(lite(db)->db);
}

static int64_t lite_inserted(struct sql *db)
{
	return sqlite3_last_insert_rowid(lite(db)->db);
}

static int run(struct lite *l, sqlite3_stmt *s)
{
	int rc = sqlite3_step(s);

	sqlite3_reset(s);
	return rc == SQLITE_DONE ? 0 : failed(l, rc);
}

static int lite_begin(struct sql *db)
{
	return run(lite(db), lite(db)->begin);
}

/* A commit that fails may still be found whole after a power cut: its frames may have reached the
 * disk although the sync said otherwise. */
static int lite_commit(struct sql *db)
{
	db->uncertain = false;
	if (run(lite(db), lite(db)->commit) == 0)
		return 0;
	db->uncertain = db->fault == SQL_IO || db->fault == SQL_FULL;
	return -1;
}

static void lite_rollback(struct sql *db)
{
	/* SQLite may have done so by itself. */
	if (!sqlite3_get_autocommit(lite(db)->db)) {
		sqlite3_step(lite(db)->rollback);
		sqlite3_reset(lite(db)->rollback);
	}
}

static void lite_limit(struct sql *db, dur_t d)
{
	struct lite *l = lite(db);

	l->deadline = clock_mono() + d;
	sqlite3_progress_handler(l->db, d ? LIMIT_OPS : 0, d ? over_limit : NULL, l);
}

static int lite_checkpoint(struct sql *db, bool afresh, uint64_t *log_r, uint64_t *done_r)
{
	struct lite *l = lite(db);
	int log = 0, done = 0, rc;

	if (afresh)
		sqlite3_busy_timeout(l->db, 0);
	rc = sqlite3_wal_checkpoint_v2(l->db, "main",
		afresh ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE, &log, &done);
	if (afresh)
		sqlite3_busy_timeout(l->db, BUSY_MS);

	*log_r = log < 0 ? 0 : (uint64_t)log * (uint64_t)l->page;
	*done_r = done < 0 ? 0 : (uint64_t)done * (uint64_t)l->page;
	if (rc == SQLITE_BUSY) /* somebody else is at it, or reads */
		return afresh;
	return rc == SQLITE_OK ? 0 : failed(l, rc);
}

static uint64_t lite_log_size(struct sql *db)
{
	return lite(db)->frames * (uint64_t)lite(db)->page;
}

/* The new file takes its name only when it is whole and on disk. */
static int publish(struct lite *l, const char *part, const char *path)
{
	char dir[512];
	const char *slash = strrchr(path, '/');
	int fd;

	if (slash == path)
		str_copy(dir, sizeof dir, STR("/"));
	else
		str_copy(dir, sizeof dir, slash ? str_n(path, (size_t)(slash - path)) : STR("."));
	fd = open(part, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		goto fail;
	close(fd);
	fd = -1;
	if (link(part, path) < 0 || unlink(part) < 0)
		goto fail;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		goto fail;
	close(fd);
	return 0;
fail:
	l->sql.fault = errno == ENOSPC ? SQL_FULL : SQL_IO;
	snprintf(l->sql.words, sizeof l->sql.words, "%s: %m", path);
	if (fd >= 0)
		close(fd);
	unlink(part);
	return -1;
}

static int lite_backup(
	struct sql *db, const char *path, void (*progress)(void *, double), void *ctx)
{
	struct lite *l = lite(db);
	sqlite3 *to = NULL;
	sqlite3_backup *b;
	char part[512];
	int rc;

	if (snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part ||
		access(path, F_OK) == 0) {
		l->sql.fault = SQL_IO;
		snprintf(l->sql.words, sizeof l->sql.words, "%s: %s", path,
			access(path, F_OK) == 0 ? "exists already" : "the name is too long");
		return -1;
	}
	unlink(part);
	file_make(part);
	rc = sqlite3_open_v2(
		part, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	/* One snapshot for the whole copy: without it each commit of the writer would start the
	 * copy again. The log grows meanwhile. */
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(
			l->db, "BEGIN; SELECT count(*) FROM sqlite_master", NULL, NULL, NULL);
	if (rc == SQLITE_OK) {
		b = sqlite3_backup_init(to, "main", l->db, "main");
		while (b && (rc = sqlite3_backup_step(b, BACKUP_PAGES)) == SQLITE_OK)
			if (progress && sqlite3_backup_pagecount(b))
				progress(ctx, 1.0 - (double)sqlite3_backup_remaining(b) /
							      sqlite3_backup_pagecount(b));
		rc = b ? sqlite3_backup_finish(b) : sqlite3_errcode(to);
	}
	lite_rollback(db);
	if (rc != SQLITE_OK) {
		l->sql.fault = fault_of(rc);
		snprintf(l->sql.words, sizeof l->sql.words, "%s: %s", path,
			to ? sqlite3_errmsg(to) : sqlite3_errstr(rc));
	}
	sqlite3_close(to);
	if (rc != SQLITE_OK) {
		unlink(part);
		return -1;
	}
	if (publish(l, part, path) < 0)
		return -1;
	if (progress)
		progress(ctx, 1.0);
	return 0;
}

extern const struct sql_driver sql_sqlite;
const struct sql_driver sql_sqlite = {
	.name = "sqlite",
	.open = lite_open,
	.close = lite_close,
	.exec = lite_exec,
	.prepare = lite_prepare,
	.finish = lite_finish,
	.bind_int = lite_bind_int,
	.bind_str = lite_bind_str,
	.bind_null = lite_bind_null,
	.step = lite_step,
	.reset = lite_reset,
	.col_int = lite_col_int,
	.col_str = lite_col_str,
	.col_null = lite_col_null,
	.changed = lite_changed,
	.inserted = lite_inserted,
	.begin = lite_begin,
	.commit = lite_commit,
	.rollback = lite_rollback,
	.limit = lite_limit,
	.backup = lite_backup,
	.checkpoint = lite_checkpoint,
	.log_size = lite_log_size,
	.define = lite_define,
};
