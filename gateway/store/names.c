/* Small stable numbers for the names of accounts, tokens and channels; and numbers that are kept
 * under a name.
 *
 * Read by any thread without a lock: pages of pointers that only grow. New ones are written by
 * the writer, at start and reload, while the caller waits.
 */
#include "gateway/store/intern.h"

enum { NAMES_MOST = NAME_PAGES * NAME_PAGE };

struct asking {
	struct store_op op;
	enum store_name_kind kind;
	const char *name;
	uint32_t number;
	bool answered;
	pthread_mutex_t lock;
	pthread_cond_t done;
};

const char *store_name(struct store *s, enum store_name_kind kind, uint32_t number)
{
	_Atomic(const char *) *page;
	const char *name = NULL;

	if ((unsigned)kind < 1 || (unsigned)kind > 2 || number >= NAMES_MOST)
		return "";
	page = atomic_load_explicit(&s->names[kind - 1][number / NAME_PAGE], memory_order_acquire);
	if (page)
		name = atomic_load_explicit(&page[number % NAME_PAGE], memory_order_acquire);
	return name ? name : "";
}

/* Under s->naming or before the threads start. */
static void name_keep(struct store *s, unsigned kind, uint32_t number, struct str name)
{
	_Atomic(const char *) *page;

	if (kind < 1 || kind > 2 || number >= NAMES_MOST)
		return;
	page = atomic_load_explicit(&s->names[kind - 1][number / NAME_PAGE], memory_order_relaxed);
	if (!page) {
		page = mem_alloc(NAME_PAGE * sizeof *page);
		atomic_store_explicit(
			&s->names[kind - 1][number / NAME_PAGE], page, memory_order_release);
	}
	atomic_store_explicit(&page[number % NAME_PAGE], mem_dup(name), memory_order_release);
	if (s->name_n[kind - 1] < number)
		s->name_n[kind - 1] = number;
}

int names_load(struct store *s)
{
	struct sql_stmt *q = sql_prepare(s->db, "SELECT kind, number, name FROM name");
	int got;

	if (!q)
		return -1;
	while ((got = sql_step(q)) == 1)
		name_keep(s, (unsigned)sql_col(q, 0), (uint32_t)sql_col(q, 1), sql_col_str(q, 2));
	sql_finish(&q);
	return got;
}

void names_free(struct store *s)
{
	for (int k = 0; k < 2; k++)
		for (int p = 0; p < NAME_PAGES; p++) {
			_Atomic(const char *) *page = atomic_load(&s->names[k][p]);

			for (int i = 0; page && i < NAME_PAGE; i++) {
				const char *name = atomic_load(&page[i]);

				mem_free(&name);
			}
			mem_free(&page);
		}
}

static uint32_t name_find(struct store *s, enum store_name_kind kind, const char *name)
{
	for (uint32_t i = 1; i <= s->name_n[kind - 1]; i++)
		if (strcmp(store_name(s, kind, i), name) == 0)
			return i;
	return 0;
}

int number_op(struct store *s, struct store_op *op)
{
	struct asking *a = CONTAINER(op, struct asking, op);
	struct sql_stmt *q = s->q[Q_NAME_INSERT];

	a->number = s->name_n[a->kind - 1] + 1;
	sql_int(q, 1, a->kind);
	sql_int(q, 2, a->number);
	sql_text(q, 3, str_of(a->name));
	return sql_run(q);
}

/* On the writer, after the commit. */
static void number_done(struct store_op *op)
{
	struct asking *a = CONTAINER(op, struct asking, op);

	pthread_mutex_lock(&a->lock);
	a->answered = true;
	pthread_cond_signal(&a->done);
	pthread_mutex_unlock(&a->lock);
}

static void ask_writer(struct store *s, struct asking *a)
{
	a->op.kind = (enum op_kind)OP_NUMBER;
	a->op.done = number_done;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->done, NULL);
	store_do(s, &a->op);
	pthread_mutex_lock(&a->lock);
	while (!a->answered)
		pthread_cond_wait(&a->done, &a->lock);
	pthread_mutex_unlock(&a->lock);
	pthread_cond_destroy(&a->done);
	pthread_mutex_destroy(&a->lock);
}

static const char *trouble_of(enum store_health h)
{
	return h == STORE_FULL ? "the disk is full" : "the store does not work";
}

uint32_t store_number(struct store *s, enum store_name_kind kind, const char *name, struct err *e)
{
	struct asking a = { .kind = kind, .name = name };
	uint32_t number;

	CHECK(kind == STORE_SUBMITTER || kind == STORE_CHANNEL);
	/* one at a time: the next number is the one after the last kept */
	pthread_mutex_lock(&s->naming);
	number = name_find(s, kind, name);
	if (!number && s->name_n[kind - 1] + 1 >= NAMES_MOST) {
		err_set(e, ERR_ENV, "store: too many names; %d are possible", NAMES_MOST - 1);
	} else if (!number) {
		ask_writer(s, &a);
		if (a.op.fault == STORE_OK) {
			number = a.number;
			name_keep(s, kind, number, str_of(name));
		} else {
			err_set(e, ERR_ENV, "store: the name \"%s\" cannot be kept: %s", name,
				trouble_of(a.op.fault));
		}
	}
	pthread_mutex_unlock(&s->naming);
	return number;
}

/* ---- kept numbers ---- */
struct keeping {
	struct store_op op; /* first: it is freed as such */
	int64_t value;
	char name[100];
};

int keep_op(struct store *s, struct store_op *op)
{
	struct keeping *k = CONTAINER(op, struct keeping, op);

	return meta_set(s, k->name, k->value);
}

void store_keep(struct store *s, const char *name, int64_t value)
{
	struct keeping *k = mem_new(struct keeping);

	k->op.kind = (enum op_kind)OP_KEEP;
	k->value = value;
	str_copy(k->name, sizeof k->name, str_of(name));
	store_do(s, &k->op);
}
