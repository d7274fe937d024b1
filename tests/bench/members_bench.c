/* Members by the million, as POST /v1/members takes them: CSV is read on one thread, slices of rows
 * are written by the store's writer, each in a commit that is synced; then the same again (nothing
 * new), then an opt-out list of as many numbers, of which half are members'.
 *
 *   make build/bench/members_bench
 *   build/bench/members_bench FILE [members] [in flight]
 *
 * Phone numbers are in no order, members' ids in that of the file (RANDOM=1: in none).
 */
#include "gateway/base/mem.h"
#include "gateway/store/store.h"
#include "plugins/offers/attrs.h"
#include "plugins/offers/import.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct slice_op {
	struct store_op op;
	struct import_slice *slice;
	struct import *import;
	struct slice_op *next;
};

static struct store *s;
static struct db db;
static struct rules *rules;
static sem_t room, idle;
static unsigned flight = 2;
static bool random_ids;                   /* RANDOM=1: members come in no order */
static struct slice_op *_Atomic finished; /* a stack: the reader counts what came back */
static dur_t longest, writer_time, writer_cpu;

static dur_t cpu_now(void) /* of this thread */
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * DUR_S + t.tv_nsec;
}

static const char conf_text[] = "members = { attributes = { city = \"text\"; children = \"int\"; "
				"tags = \"list of text\"; }; statuses = [ \"tier\" ]; };\n";

static int open_run(struct sql *sql, struct store_op *op)
{
	struct err e = { 0 };

	db_open(&db, sql);
	if (offers_schema(sql, &e) < 0)
		return -1;
	db.attrs = attrs_open(sql, rules->attributes, rules->attributes_n, true, &e);
	return db.attrs ? 0 : -1;
}
static int close_run(struct sql *sql, struct store_op *op)
{
	db_close(&db);
	return 0;
}
static void plain_done(struct store_op *op)
{
	sem_post(&idle);
}
static void call_plain(int (*run)(struct sql *, struct store_op *))
{
	struct store_op *op = store_op_new(OP_CALL, NULL, plain_done);

	op->call.run = run;
	store_do(s, op);
	sem_wait(&idle);
	CHECK(op->fault == STORE_OK && op->call.result >= 0);
	mem_free(&op);
}

static int slice_run(struct sql *sql, struct store_op *op)
{
	struct slice_op *o = (struct slice_op *)(void *)op;
	struct work w = { .db = &db, .rules = rules, .now = clock_wall(), .arena = arena_new() };
	mono_t from = clock_mono();
	static dur_t cpu; /* commits between slices count as well */
	int r = import_apply(&w, o->slice);

	writer_cpu += cpu && cpu_now() > cpu ? cpu_now() - cpu : 0;
	cpu = cpu_now();

	if (r < 0)
		fprintf(stderr, "%s\n", w.e.text);
	arena_free(&w.arena);
	from = clock_mono() - from;
	writer_time += from;
	longest = from > longest ? from : longest;
	return r;
}
static void slice_done(struct store_op *op)
{
	struct slice_op *o = (struct slice_op *)(void *)op;

	o->next = finished;
	while (!__atomic_compare_exchange_n(
		&finished, &o->next, o, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
	sem_post(&room);
}
static void collect(void)
{
	struct slice_op *o = __atomic_exchange_n(&finished, NULL, __ATOMIC_SEQ_CST);

	while (o) {
		struct slice_op *next = o->next;

		import_took(o->import, &o->slice, o->op.fault != STORE_OK || o->op.call.result < 0);
		mem_free(&o);
		o = next;
	}
}
static void post(struct import *im, struct import_slice *slice)
{
	struct slice_op *o;

	if (!slice)
		return;
	sem_wait(&room);
	collect();
	o = mem_new(struct slice_op);
	o->op.kind = OP_CALL;
	o->op.done = slice_done;
	o->op.call.run = slice_run;
	o->slice = slice;
	o->import = im;
	store_do(s, &o->op);
}

static void row_of(struct buf *b, enum import_what what, uint64_t i)
{
	static const char *const zones[] = { "Europe/Riga", "Asia/Tokyo", "America/New_York",
		"UTC" };
	uint64_t h = (i * 0x9e3779b97f4a7c15ull) >> 20; /* numbers in no order */

	if (what == IMPORT_SUPPRESSIONS) {
		buf_printf(b, "+3712%08llu,sms\n",
			(unsigned long long)(i & 1 ? h % 100000000 : i % 100000000));
		return;
	}
	buf_printf(b,
		"M%09llu,77%010llu,+3712%08llu,user%llu@mail.example,First%llu,Last%llu,%d-%02d-%"
		"02d,"
		"%s,lv,%s,%s,%d,a;b,true\n",
		(unsigned long long)(random_ids ? h : i), (unsigned long long)i,
		(unsigned long long)(h % 100000000), (unsigned long long)i,
		(unsigned long long)(i % 5000), (unsigned long long)(i % 70000),
		1940 + (int)(i % 70), 1 + (int)(i % 12), 1 + (int)(i % 28), zones[i % 4],
		i % 10 ? "silver" : "gold", i % 3 ? "Riga" : "Tallinn", (int)(i % 4));
}

static void measure(const char *name, enum import_what what, uint64_t n)
{
	struct import_conf c = { .form = IMPORT_CSV,
		.what = what,
		.rules = rules,
		.verified = true,
		.by = "bench",
		.media = -1,
		.row = -1 };
	struct import *im = import_new(&c);
	struct import_slice *slice;
	struct buf b = BUF_INIT;
	uint64_t bytes = 0, i = 0;
	mono_t from = clock_mono();
	double secs;

	longest = writer_time = writer_cpu = 0;
	buf_c(&b,
		what == IMPORT_MEMBERS
			? "id,card,phone,email,first_name,last_name,birthday,zone,language,status,"
			  "city,children,tags,consent.Advertisement.sms\n"
			: "address,media\n");
	while (i < n || b.n) {
		struct str in;

		while (i < n && b.n < 65536)
			row_of(&b, what, i++);
		in = buf_view(&b);
		bytes += in.n;
		while (in.n) {
			CHECK(import_feed(im, &in, &slice));
			post(im, slice);
		}
		b.n = 0;
	}
	do {
		CHECK(import_end(im, &slice));
		post(im, slice);
	} while (slice);
	for (unsigned k = 0; k < flight; k++)
		sem_wait(&room);
	collect();
	for (unsigned k = 0; k < flight; k++)
		sem_post(&room);
	secs = (double)(clock_mono() - from) / 1e9;
	printf("%-22s %llu rows, %.1f MB: %.1f s, %.0f rows/s; created %llu, changed %llu, refused "
	       "%llu, undone %llu; writer %.1f s, its CPU %.1f s, longest slice %.1f ms\n",
		name, (unsigned long long)import_counts(im).rows, (double)bytes / 1e6, secs,
		(double)n / secs, (unsigned long long)import_counts(im).created,
		(unsigned long long)import_counts(im).changed,
		(unsigned long long)import_counts(im).refused,
		(unsigned long long)import_counts(im).undone, (double)writer_time / 1e9,
		(double)writer_cpu / 1e9, (double)longest / 1e6);
	fflush(stdout);
	import_free(&im);
	buf_free(&b);
}

int main(int argc, char **argv)
{
	struct store_conf c = { .engine = "sqlite",
		.path = argc > 1 ? argv[1] : "/tmp/members_bench.db",
		.cache = 64 << 20,
		.retention = DUR_DAY,
		.dedupe_window = DUR_DAY,
		.orphan_wait = DUR_MIN };
	uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
	struct conf_faults f = { 0 };
	struct err e = { 0 };
	bool unclean;

	if (argc > 3)
		flight = (unsigned)strtoul(argv[3], NULL, 10);
	random_ids = getenv("RANDOM") != NULL;
	unlink(c.path);
	rules = rules_load_text("bench", str_of(conf_text), MEDIA_ANY, &f);
	if (!rules) {
		conf_faults_print(&f, stderr);
		return 1;
	}
	s = store_open(&c, &unclean, &e);
	if (!s) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	sem_init(&room, 0, flight);
	sem_init(&idle, 0, 0);
	call_plain(open_run);
	measure("members, new", IMPORT_MEMBERS, n);
	measure("members, again", IMPORT_MEMBERS, n);
	measure("suppressions", IMPORT_SUPPRESSIONS, n);
	call_plain(close_run);
	store_close(&s);
	rules_unref(&rules);
	return 0;
}
