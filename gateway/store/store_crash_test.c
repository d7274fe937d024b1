/* What the store promises when things go wrong: kill -9, power cuts, failing writes and syncs, a
 * full disk, a file of an older version.
 *
 * A layer over SQLite's file system records every write, truncation and sync of the store's files
 * together with what was acknowledged when. From that, images of the disk are made as a power cut
 * at some point would leave them: writes since a file's last sync are all there, all missing,
 * partly there, the last one torn. Each image must open and hold all that was acknowledged.
 *
 *   store_crash_test [rounds]     rounds of kills and of power cuts, 1 if unsaid
 */
#include "gateway/store/crash_fixture.h"

static unsigned rounds = 1;

/* ---- kill -9 --------------------------------------------------------------------------------- */

static int ack_pipe;
static char spool_path[300];

static void ack_to_pipe(uint64_t id, enum state st)
{
	uint64_t word[2] = { id, st };

	if (write(ack_pipe, word, sizeof word) != sizeof word)
		_exit(3);
}

static void child_run(const char *path)
{
	fx_spool = spool_open(spool_path, NULL);
	fx_begin(path);
	store_set_note_sink(fx.s, sink_nowhere, NULL);
	acked = ack_to_pipe;
	many_bodies = 23;
	traffic(200, 1u << 30);
	_exit(0);
}

static unsigned bodies_named(const char *path)
{
	struct sql_conf c = { .where = path, .role = SQL_READER, .cache = 2 << 20 };
	struct err e = { 0 };
	struct sql *db = sql_open("sqlite", &c, &e);
	int64_t n;

	assert_non_null(db);
	n = sql_number(db, "SELECT count(DISTINCT name) FROM spool", -1);
	sql_close(&db);
	assert_true(n >= 0);
	return (unsigned)n;
}

static bool drop_body(void *ctx, struct str name)
{
	spool_remove(fx_spool, name);
	return true;
}

static void test_kill(void **state)
{
	const char *path = fx_path("kill");
	struct ledger book = { 0 };
	unsigned kills = share_of(5 * rounds);
	struct err e = { 0 };

	snprintf(spool_path, sizeof spool_path, "%s.bodies", path);
	for (unsigned k = 0; k < kills; k++) {
		uint64_t word[2];
		int fd[2];
		pid_t pid;
		size_t before = book.n;

		assert_int_equal(pipe(fd), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			close(fd[0]);
			ack_pipe = fd[1];
			child_run(path);
		}
		close(fd[1]);
		/* the first acknowledgement, then some time */
		if (read(fd[0], word, sizeof word) == sizeof word)
			ledger_put(&book, word[0], (enum state)word[1]);
		for (mono_t end = clock_mono() + (20 + random() % 180) * DUR_MS;
			clock_mono() < end;)
			if (read(fd[0], word, sizeof word) == sizeof word)
				ledger_put(&book, word[0], (enum state)word[1]);
		kill(pid, SIGKILL);
		while (read(fd[0], word, sizeof word) == sizeof word)
			ledger_put(&book, word[0], (enum state)word[1]);
		close(fd[0]);
		waitpid(pid, NULL, 0);
		assert_true(book.n > before);
		/* the last two runs' messages, each time; the store is not closed cleanly after */
		fx_spool = spool_open(spool_path, &e);
		assert_non_null(fx_spool);
		fx_begin(path);
		assert_true(fx.unclean);
		verify(book.id + before, book.st + before, book.n - before);
		assert_int_equal(fx_bodies(), bodies_named(path));
		fx_end();
		spool_close(&fx_spool);
	}
	fx_spool = spool_open(spool_path, &e);
	fx_begin(path);
	assert_false(fx.unclean);
	verify(book.id, book.st, book.n < 20000 ? book.n : 20000);
	assert_true(fx_bodies() > 0);
	fx_end();
	spool_each(fx_spool, drop_body, NULL, &e);
	spool_close(&fx_spool);
	assert_int_equal(rmdir(spool_path), 0);
	ledger_free(&book);
	fx_remove(path);
}

/* ---- power cuts ------------------------------------------------------------------------------ */

static void ack_to_tape(uint64_t id, enum state st)
{
	tape_add((struct entry){ .what = W_ACK, .id = id, .state = st }, NULL);
}

struct image {
	char *p;
	size_t n, cap;
};

static void image_put(struct image *m, const struct entry *e, size_t n)
{
	size_t end = (size_t)e->at + (e->what == W_WRITE ? n : 0);

	if (end > m->cap) {
		m->p = mem_grow(m->p, end * 2);
		memset(m->p + m->cap, 0, end * 2 - m->cap);
		m->cap = end * 2;
	}
	if (e->what == W_WRITE) {
		memcpy(m->p + e->at, e->data, n);
		if (end > m->n)
			m->n = end;
	} else {
		if (end < m->n)
			memset(m->p + end, 0, m->n - end);
		m->n = end;
	}
}

static void image_write(const struct image *m, const char *path, const char *tail)
{
	char name[300];
	int fd;

	snprintf(name, sizeof name, "%s%s", path, tail);
	unlink(name);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, m->p, m->n), m->n);
	close(fd);
}

enum cut { CUT_ALL, CUT_NONE, CUT_SOME };

/* The disk as it is after a cut just before entry k; base: what was there before the tape. */
static void cut_at(size_t k, enum cut how, const char *path)
{
	struct image m[2] = { { 0 }, { 0 } };
	size_t synced[2] = { 0, 0 };

	for (size_t i = 0; i < k; i++)
		if (tape.e[i].what == W_SYNC)
			synced[tape.e[i].file] = i;
	for (size_t i = 0; i < k; i++) {
		const struct entry *e = &tape.e[i];
		size_t n = e->n;

		if (e->what != W_WRITE && e->what != W_TRUNCATE)
			continue;
		if (i > synced[e->file]) {
			if (how == CUT_NONE)
				continue;
			if (how == CUT_SOME) {
				long r = random() % 4;

				if (r == 0)
					continue;
				if (r == 1 && n > 512) /* torn between sectors */
					n = (size_t)(random() % (long)(n / 512)) * 512;
			}
		}
		image_put(&m[e->file], e, n);
	}
	image_write(&m[0], path, "");
	if (m[1].n)
		image_write(&m[1], path, "-wal");
	mem_free(&m[0].p);
	mem_free(&m[1].p);
}

static void cut_check(size_t k, enum cut how, const char *path)
{
	struct ledger book = { 0 };

	fx_remove(path);
	cut_at(k, how, path);
	for (size_t i = 0; i < k; i++)
		if (tape.e[i].what == W_ACK)
			ledger_put(&book, tape.e[i].id, tape.e[i].state);
	fx_begin(path);
	verify(book.id, book.st, book.n);
	assert_int_equal(store_restore_check(path, &(struct err){ 0 }), 0);
	fx_end();
	ledger_free(&book);
}

static void test_power_cut(void **state)
{
	const char *path = fx_path("cut-from"), *image = fx_path("cut-image");
	unsigned turns = 0;

	for (unsigned r = 0; r < rounds; r++) {
		layer_on();
		tape.recording = true;
		fx_begin(path);
		store_close(&fx.s);
		fx.conf.log_turn = 256 << 10; /* many checkpoints, and the log starts afresh */
		fx.conf.batch_most = 64;
		fx_open();
		store_set_note_sink(fx.s, sink_nowhere, NULL);
		acked = ack_to_tape;
		traffic(100, 1500);
		fx_end();
		tape.recording = false;
		layer_off();
		for (size_t i = 0; i < tape.n; i++)
			turns += tape.e[i].what == W_WRITE && tape.e[i].file == 1 &&
				 tape.e[i].at == 0;
		for (unsigned i = 0; i < share_of(40); i++) {
			size_t k = 1 + (size_t)random() % tape.n;

			/* an acknowledgement is the sharpest place to cut after */
			for (size_t j = k; i % 2 && j < tape.n; j++)
				if (tape.e[j].what == W_ACK) {
					k = j + 1;
					break;
				}
			cut_check(k, (enum cut)(i % 3), image);
		}
		cut_check(tape.n, CUT_NONE, image);
		tape_clear();
		fx_remove(path);
	}
	assert_true(turns > 2 * rounds); /* the log did start afresh */
	fx_remove(image);
}

/* ---- big bodies, purged and cut ------------------------------------------------------------- */

/* In place of libc's: what is removed from the spool stands on the tape. */
int unlinkat(int fd, const char *path, int flags)
{
	if (strlen(path) == SPOOL_NAME - 2)
		tape_add((struct entry){ .what = W_GONE, .n = SPOOL_NAME - 1 }, path);
	return (int)syscall(SYS_unlinkat, fd, path, flags);
}

static void body_finished(const char *name)
{
	for (int i = 0; i < 3; i++) { /* so many recipients */
		struct store_op *op = fx_accept_op((struct fx_msg){ .spool = name });

		op->accept.state = STATE_SUPPRESSED;
		op->accept.channel = 0;
		fx_free(fx_do(op));
	}
}

/* Each body that a row of the image names was whole on disk by then, and not yet removed. */
static void bodies_check_cut(size_t k, enum cut how, const char *path)
{
	struct sql_conf c = { .where = path, .role = SQL_WRITER, .cache = 2 << 20 };
	struct err e = { 0 };
	struct sql *db;
	struct sql_stmt *q;

	fx_remove(path);
	cut_at(k, how, path);
	db = sql_open("sqlite", &c, &e);
	assert_non_null(db);
	if (schema_version(db) < SCHEMA_VERSION) { /* cut while it was made */
		sql_close(&db);
		return;
	}
	q = sql_prepare(db, "SELECT DISTINCT name FROM spool");
	assert_non_null(q);
	while (sql_step(q) == 1) {
		struct str name = sql_col_str(q, 0);
		bool there = false;

		for (size_t i = 0; i < k; i++)
			if (tape.e[i].data && tape.e[i].what >= W_BODY &&
				memcmp(tape.e[i].data, name.p, name.n) == 0)
				there = tape.e[i].what == W_BODY;
		if (!there)
			fail_msg("cut at %zu of %zu: a message names %.*s, which is not there", k,
				tape.n, STR_ARG(name));
	}
	sql_finish(&q);
	sql_close(&db);
}

static void test_body_cut(void **state)
{
	const char *path = fx_path("body-from"), *image = fx_path("body-image");
	struct err e = { 0 };
	unsigned gone = 0;

	snprintf(spool_path, sizeof spool_path, "%s.bodies", path);
	layer_on();
	tape.recording = true;
	fx_spool = spool_open(spool_path, &e);
	fx_begin(path);
	for (int r = 0; r < 4; r++) {
		for (int i = 0; i < 5; i++) {
			char name[SPOOL_NAME];

			fx_body(name);
			tape_add((struct entry){ .what = W_BODY, .n = SPOOL_NAME - 1 }, name);
			body_finished(name);
		}
		clock_shift(31 * DUR_DAY);
		for (int i = 0; i < 800 && fx_bodies(); i++)
			usleep(10000);
		assert_int_equal(fx_bodies(), 0);
	}
	fx_end();
	tape.recording = false;
	layer_off();
	clock_shift(-4 * 31 * DUR_DAY);
	for (size_t i = 0; i < tape.n; i++) {
		bool sharp = tape.e[i].what >= W_ACK;

		gone += tape.e[i].what == W_GONE;
		for (int how = CUT_ALL; sharp && how <= CUT_SOME; how++)
			bodies_check_cut(i + 1, (enum cut)how, image);
	}
	assert_int_equal(gone, 20);
	for (unsigned i = 0; i < share_of(60); i++)
		bodies_check_cut(1 + (size_t)random() % tape.n, (enum cut)(i % 3), image);
	tape_clear();
	spool_close(&fx_spool);
	assert_int_equal(rmdir(spool_path), 0);
	fx_remove(path);
	fx_remove(image);
}

/* ---- failing writes and syncs ---------------------------------------------------------------- */

static struct ledger fault_book;
static uint64_t refused_n;

/* A short life, every step looked at; false: the store could not be opened. */
static bool script(const char *path)
{
	struct store_op *ops[3], *op;
	struct err e = { 0 };
	struct place place[3];
	uint64_t id[3];
	char key[32];

	fx = (struct fixture){ 0 };
	pthread_mutex_init(&fx.lock, NULL);
	pthread_cond_init(&fx.news, NULL);
	fx.conf = (struct store_conf){ .engine = "sqlite", .path = path, .cache = 24 << 20 };
	fx.conf.retention = 30 * DUR_DAY;
	fx.conf.dedupe_window = DUR_DAY;
	fx.conf.orphan_wait = DUR_HOUR;
	fx.s = store_open(&fx.conf, &fx.unclean, &e);
	if (!fx.s) {
		assert_true(strlen(e.text) > 10);
		return false;
	}
	store_set_note_sink(fx.s, fx_sink, NULL);
	for (int i = 0; i < 3; i++)
		ops[i] = fx_accept_op((struct fx_msg){ .wants = WANT_DELIVERED });
	fx_do_all(ops, 3);
	for (int i = 0; i < 3; i++) {
		id[i] = ops[i]->fault == STORE_OK ? ops[i]->accept.id : 0;
		place[i] = ops[i]->accept.place;
		if (id[i])
			ledger_put(&fault_book, id[i], STATE_QUEUED);
		else
			refused_n++;
		if (tape.recording)
			ack_to_tape(id[i], STATE_QUEUED);
		fx_free(ops[i]);
	}
	/* what has happened outside is never refused: its answer waits for the store */
	for (int i = 0; i < 2; i++) {
		clock_shift(2 * DUR_S); /* to the next probe */
		if (!id[i])
			continue;
		snprintf(key, sizeof key, "%llx", (unsigned long long)id[i]);
		op = fx_do(fx_sent_op(id[i], place[i], key));
		assert_int_equal(op->fault, STORE_OK);
		fx_free(op);
		ledger_put(&fault_book, id[i], STATE_SENT);
	}
	clock_shift(2 * DUR_S);
	if (id[0]) {
		snprintf(key, sizeof key, "%llx", (unsigned long long)id[0]);
		op = fx_receipt(key, "", STATE_DELIVERED);
		assert_true(op->receipt.applied);
		fx_free(op);
		ledger_put(&fault_book, id[0], STATE_DELIVERED);
		assert_int_equal(fx.notes, 1);
	}
	fx_end();
	return true;
}

/* How often a whole script writes or syncs, and which of them was the last before something was
 * known as kept: without that one it is refused. */
static unsigned calls_of(enum what w, const char *path, unsigned *kept_r)
{
	unsigned n = 0;
	bool known = false;

	*kept_r = 0;

	layer_on();
	tape.recording = true;
	assert_true(script(path));
	tape.recording = false;
	layer_off();
	for (size_t i = 0; i < tape.n; i++) {
		n += tape.e[i].what == w;
		known |= tape.e[i].what == W_ACK;
		*kept_r = known ? *kept_r : n;
	}
	tape_clear();
	fault_book.n = 0;
	fx_remove(path);
	return n;
}

/* The n-th write or sync fails, once, for each n. */
static void faults(const char *what, enum what w)
{
	const char *path = fx_path(what);
	unsigned kept, most = calls_of(w, path, &kept), opened = 0,
		       step = rounds > 1 ? 1 : 300 / share_of(100);
	char spec[40];

	assert_true(most > 10);
	if (step > most / 8) /* a share has some of each part of the script, too */
		step = most / 8 ? most / 8 : 1;
	refused_n = 0;
	for (unsigned n = 1, next; n <= most; n = next) {
		/* each share has those about that one: the keeper may write before it or not */
		bool near = n + 4 > kept && n < kept + 4;

		next = n + (near || n < share_of(40) ? 1 : step);
		if (n + 4 <= kept && next + 4 > kept)
			next = kept - 3;
		fault_book.n = 0;
		snprintf(spec, sizeof spec, "%s:%u", what, n);
		fault_init(spec);
		opened += script(path);
		fault_init("none:1");
		fx_begin(path);
		verify(fault_book.id, fault_book.st, fault_book.n);
		fx_end();
		fx_remove(path);
	}
	fault_init(NULL);
	assert_true(opened > 0);
	assert_true(refused_n > 0);
	ledger_free(&fault_book);
}

static void test_fault_write(void **state)
{
	faults("write", W_WRITE);
}

static void test_fault_sync(void **state)
{
	faults("fsync", W_SYNC);
}

/* ---- a full disk ----------------------------------------------------------------------------- */

static atomic_uint full_done;
static void full_count(struct store_op *op)
{
	atomic_fetch_add(&full_done, 1);
}

static void await_health(enum store_health h)
{
	for (int i = 0; i < 400 && store_health(fx.s) != h; i++)
		usleep(10000);
	assert_int_equal(store_health(fx.s), h);
}

static void full_disk(int code, enum store_health health)
{
	const char *path = fx_path("full");
	struct place place;
	struct store_op *op, *late, *noted;
	struct store_view v;
	struct err e;
	uint64_t id, more;

	layer_on();
	fx_begin(path);
	id = fx_accept((struct fx_msg){ .wants = WANT_DELIVERED }, &place);
	more = fx_accept((struct fx_msg){ 0 }, NULL);
	atomic_store(&tape.fail, code);
	for (int i = 0; i < 3; i++) {
		op = fx_do(fx_accept_op((struct fx_msg){ 0 }));
		assert_int_equal(op->fault, health);
		fx_free(op);
	}
	assert_int_equal(store_health(fx.s), health);
	/* what has happened waits, and questions are answered */
	atomic_store(&full_done, 0);
	late = fx_sent_op(id, place, "late");
	late->done = full_count;
	store_do(fx.s, late);
	noted = fx_receipt_op("late", "", STATE_DELIVERED);
	noted->done = full_count;
	store_do(fx.s, noted);
	usleep(1300000); /* over one probe */
	assert_int_equal(atomic_load(&full_done), 0);
	assert_int_equal(fx_state(id), STATE_QUEUED);
	assert_int_equal(store_number(fx.s, STORE_CHANNEL, "new", &e), 0);
	/* room again: all by itself */
	atomic_store(&tape.fail, 0);
	await_health(STORE_OK);
	for (int i = 0; i < 300 && atomic_load(&full_done) < 2; i++)
		usleep(10000);
	assert_int_equal(atomic_load(&full_done), 2);
	assert_int_equal(fx_state(id), STATE_DELIVERED);
	assert_int_equal(fx.notes, 1);
	fx_free(late);
	fx_free(noted);
	fx_accept((struct fx_msg){ 0 }, NULL);
	assert_true(store_number(fx.s, STORE_CHANNEL, "new", &e) > 0);
	fx_reopen();
	assert_int_equal(fx_state(id), STATE_DELIVERED);
	assert_int_equal(fx_state(more), STATE_QUEUED);
	assert_int_equal(store_find(fx.s, id, true, &v, &e), 1);
	store_view_free(&v);
	fx_end();
	layer_off();
	fx_remove(path);
}

static void test_full(void **state)
{
	full_disk(SQLITE_FULL, STORE_FULL);
}

static void test_broken(void **state)
{
	full_disk(SQLITE_IOERR_WRITE, STORE_BROKEN);
}

/* ---- files that are not today's -------------------------------------------------------------- */

static void test_migration(void **state)
{
	const char *path = fx_path("old");
	struct sql_conf c = { .where = path, .role = SQL_WRITER, .cache = 4 << 20 };
	struct err e = { 0 };
	struct sql *db = sql_open("sqlite", &c, &e);
	bool unclean;

	assert_non_null(db);
	assert_int_equal(schema_open_upto(db, 1, &e), 0);
	assert_int_equal(schema_version(db), 1);
	sql_exec(db, "INSERT INTO name(kind, number, name) VALUES(1, 1, 'kept')");
	assert_int_equal(sql_number(db, "SELECT count(*) FROM spool", -1), -1);
	sql_forgive(db);
	assert_int_equal(sql_number(db,
				 "SELECT count(*) FROM sqlite_master"
				 " WHERE name = 'messages'",
				 -1),
		0);
	sql_close(&db);
	fx_begin(path);
	assert_string_equal(store_name(fx.s, STORE_SUBMITTER, 1), "kept");
	fx_accept((struct fx_msg){ 0 }, NULL);
	fx_end();
	db = sql_open("sqlite", &c, &e);
	assert_int_equal(schema_version(db), SCHEMA_VERSION);
	assert_int_equal(
		sql_number(db, "SELECT count(*) FROM messages WHERE state = 'queued'", -1), 1);
	assert_int_equal(sql_number(db, "SELECT count(*) FROM spool", -1), 0);
	/* from the future: refused, with a sentence */
	sql_exec(db, "UPDATE meta SET value = 99 WHERE name = 'version'");
	sql_close(&db);
	assert_null(store_open(&fx.conf, &unclean, &e));
	assert_non_null(strstr(e.text, "99"));
	assert_int_equal(store_restore_check(path, &e), -1);
	fx_remove(path);
}

static void test_not_ours(void **state)
{
	const char *path = fx_path("junk");
	struct store_conf c = { .engine = "sqlite", .path = path };
	struct err e = { 0 };
	bool unclean;
	FILE *f = fopen(path, "w");

	for (int i = 0; i < 5000; i++)
		fputs("no database ", f);
	fclose(f);
	assert_null(store_open(&c, &unclean, &e));
	assert_non_null(strstr(e.text, path));
	assert_int_equal(store_restore_check(path, &e), -1);
	fx_remove(path);
	c.path = "/nonexistent/dir/postern.db";
	assert_null(store_open(&c, &unclean, &e));
	assert_non_null(strstr(e.text, "/nonexistent/dir"));
	c.path = path;
	c.node = 2000;
	assert_null(store_open(&c, &unclean, &e));
	c.node = 0;
	c.engine = "dbase";
	assert_null(store_open(&c, &unclean, &e));
	assert_non_null(strstr(e.text, "dbase"));
}

static void log_nowhere(void *ctx, struct str line) {}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_migration),
		cmocka_unit_test(test_not_ours),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_fault_write),
		cmocka_unit_test(test_fault_sync),
		cmocka_unit_test(test_power_cut),
		cmocka_unit_test(test_body_cut),
		cmocka_unit_test(test_kill),
	};

	if (argc > 1)
		rounds = (unsigned)strtoul(argv[1], NULL, 10);
	srandom((unsigned)clock_wall());
	log_capture(log_nowhere, NULL);
	return cmocka_run_group_tests_name("store_crash", tests, NULL, NULL);
}
