/* Big bodies as files, one folder, flat. See spool.h. Any thread that may block.
 *
 * A file is written under its name with a dot before it, synced, and renamed: a name without a dot
 * is always whole. The folder is synced before the name is told to anybody, so that who commits a
 * name to the store commits something that is there after a power cut.
 */
#include "gateway/base/spool.h"
#include "gateway/base/fault.h"
#include "gateway/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_OCTETS = 15, NAME_CHARS = 2 * NAME_OCTETS, PIECE = 16 << 10 };
_Static_assert((int)NAME_CHARS < (int)SPOOL_NAME, "a name and its NUL");

struct spool {
	int fd; /* the folder */
	char *dir;
};
struct spool_writer {
	struct spool *s;
	int fd;
	bool failed;
	char name[1 + SPOOL_NAME]; /* with the dot */
	uint64_t written;          /* with what waits here */
	size_t n;
	char piece[PIECE]; /* many small writes are one */
};

static bool name_is(struct str name)
{
	if (name.n != NAME_CHARS)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!(name.p[i] >= '0' && name.p[i] <= '9') &&
			!(name.p[i] >= 'a' && name.p[i] <= 'f'))
			return false;
	return true;
}

static void name_make(char out[SPOOL_NAME])
{
	static const char hex[] = "0123456789abcdef";
	uint8_t r[NAME_OCTETS];

	CHECK(getrandom(r, sizeof r, 0) == sizeof r); /* so few octets are never cut short */
	for (size_t i = 0; i < NAME_OCTETS; i++) {
		out[2 * i] = hex[r[i] >> 4];
		out[2 * i + 1] = hex[r[i] & 15];
	}
	out[NAME_CHARS] = '\0';
}

/* Out of room, of whatever kind: the same call may work later. */
static int fail(const struct spool *s, const char *what, struct err *e)
{
	bool room = errno == ENOSPC || errno == EDQUOT || errno == EMFILE || errno == ENFILE ||
		    errno == ENOMEM;

	return err_set(e, room ? ERR_AGAIN : ERR_ENV, "%s: %s: %m", s->dir, what);
}

/* ---- the folder ---- */
static int sync_parent(const char *dir)
{
	const char *slash = strrchr(dir, '/');
	char *parent = mem_dup(slash == dir ? STR("/")
			       : slash      ? str_n(dir, (size_t)(slash - dir))
					    : STR("."));
	int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = fd < 0 ? -1 : fsync(fd);

	if (fd >= 0)
		close(fd);
	mem_free(&parent);
	return result;
}

/* Each name of the folder; an own descriptor, since reading moves it. */
static int names(struct spool *s, bool (*fn)(void *ctx, struct str name), void *ctx, struct err *e)
{
	int fd = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *f;

	if (!d) {
		fail(s, "reading the folder", e);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	for (errno = 0; (f = readdir(d)); errno = 0)
		if (!fn(ctx, str_of(f->d_name)))
			break;
	if (!f && errno) {
		fail(s, "reading the folder", e);
		closedir(d);
		return -1;
	}
	closedir(d);
	return 0;
}

static bool drop_unfinished(void *ctx, struct str name)
{
	const struct spool *s = ctx;
	char path[1 + SPOOL_NAME];

	if (name.n && name.p[0] == '.' && name_is(str_skip(name, 1))) {
		str_copy(path, sizeof path, name);
		unlinkat(s->fd, path, 0);
	}
	return true;
}

struct spool *spool_open(const char *dir, struct err *e)
{
	struct spool *s = mem_new(struct spool);

	s->dir = mem_dup(str_of(dir));
	s->fd = -1;
	if (mkdir(dir, 0750) != 0 && errno != EEXIST) {
		fail(s, "cannot be made", e);
		goto failed;
	}
	s->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->fd < 0 || sync_parent(dir) != 0) {
		fail(s, "cannot be opened", e);
		goto failed;
	}
	if (faccessat(s->fd, ".", W_OK | X_OK, 0) != 0) {
		fail(s, "must be postern's to write", e);
		goto failed;
	}
	if (names(s, drop_unfinished, s, e) != 0)
		goto failed;
	return s;
failed:
	spool_close(&s);
	return NULL;
}

void spool_close(struct spool **sp)
{
	struct spool *s = *sp;

	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	mem_free(&s->dir);
	mem_free(sp);
}

/* ---- writing ---- */
struct spool_writer *spool_begin(struct spool *s, struct err *e)
{
	struct spool_writer *w = mem_new(struct spool_writer);

	w->s = s;
	w->name[0] = '.';
	name_make(w->name + 1);
	w->fd = openat(s->fd, w->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (w->fd >= 0)
		return w;
	fail(s, "a new file", e);
	mem_free(&w);
	return NULL;
}

static int write_all(struct spool_writer *w, const char *p, size_t n, struct err *e)
{
	while (n) {
		ssize_t did = -1;

		if (fault_hit("spool-write"))
			errno = ENOSPC;
		else
			did = write(w->fd, p, n);
		if (did < 0 && errno == EINTR)
			continue;
		if (did < 0) {
			w->failed = true;
			return fail(w->s, "writing", e);
		}
		p += did;
		n -= (size_t)did;
	}
	return 0;
}

static int flush(struct spool_writer *w, struct err *e)
{
	size_t n = w->n;

	w->n = 0;
	return write_all(w, w->piece, n, e);
}

int spool_write(struct spool_writer *w, const void *p, size_t n, struct err *e)
{
	if (w->failed)
		return err_set(e, ERR_AGAIN, "%s: an earlier write failed", w->s->dir);
	w->written += n;
	if (w->n + n > PIECE && flush(w, e) != 0)
		return -1;
	if (n >= PIECE)
		return write_all(w, p, n, e);
	if (n) /* p may be NULL for the end of a body that came just before */
		memcpy(w->piece + w->n, p, n);
	w->n += n;
	return 0;
}

uint64_t spool_written(const struct spool_writer *w)
{
	return w->written;
}

int spool_finish(struct spool_writer **wp, char name_r[SPOOL_NAME], struct err *e)
{
	struct spool_writer *w = *wp;
	const char *name = w->name + 1;

	if (w->failed) {
		err_set(e, ERR_AGAIN, "%s: an earlier write failed", w->s->dir);
		goto failed;
	}
	if (flush(w, e) != 0)
		goto failed;
	if (fault_hit("spool-sync"))
		errno = EIO;
	else
		errno = 0;
	if (errno || fdatasync(w->fd) != 0) {
		fail(w->s, "syncing", e);
		goto failed;
	}
	if (renameat(w->s->fd, w->name, w->s->fd, name) != 0) {
		fail(w->s, "naming a file", e);
		goto failed;
	}
	if (fsync(w->s->fd) != 0) {
		fail(w->s, "syncing the folder", e);
		spool_remove(w->s, str_of(name));
		goto failed;
	}
	close(w->fd);
	memcpy(name_r, name, SPOOL_NAME);
	mem_free(wp);
	return 0;
failed:
	spool_abort(wp);
	return -1;
}

void spool_abort(struct spool_writer **wp)
{
	struct spool_writer *w = *wp;

	if (!w)
		return;
	unlinkat(w->s->fd, w->name, 0);
	close(w->fd);
	mem_free(wp);
}

/* ---- reading, removing ---- */
int spool_read(struct spool *s, struct str name, uint64_t *size_r, struct err *e)
{
	char path[SPOOL_NAME];
	struct stat st;
	int fd;

	if (!name_is(name))
		return err_set(e, ERR_INPUT, "\"%.*s\" is not the name of a spool file",
			name.n > 64 ? 64 : (int)name.n, name.p);
	str_copy(path, sizeof path, name);
	fd = openat(s->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return fail(s, path, e);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		err_set(e, ERR_ENV, "%s/%s: not a file", s->dir, path);
		close(fd);
		return -1;
	}
	*size_r = (uint64_t)st.st_size;
	return fd;
}

int spool_read_at(int fd, uint64_t at, char *p, size_t n, struct err *e)
{
	while (n) {
		ssize_t got = pread(fd, p, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return err_set(e, ERR_ENV, "the spool: %s",
				got ? strerrordesc_np(errno) : "a file is shorter than it was");
		p += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

void spool_remove(struct spool *s, struct str name)
{
	char path[SPOOL_NAME];

	if (!name_is(name))
		return;
	str_copy(path, sizeof path, name);
	unlinkat(s->fd, path, 0);
}

static int copy_data(int from, int to)
{
	char block[1 << 14];
	ssize_t n;

	while ((n = read(from, block, sizeof block)) > 0)
		for (ssize_t at = 0; at < n;) {
			ssize_t did = write(to, block + at, (size_t)(n - at));

			if (did < 0)
				return -1;
			at += did;
		}
	return n < 0 ? -1 : fdatasync(to);
}

static int copy(struct spool *s, const char *path, int dir, struct err *e)
{
	int from = openat(s->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), to = -1, r = -1;

	if (from >= 0)
		to = openat(dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (to >= 0)
		r = copy_data(from, to);
	if (r < 0)
		fail(s, "copying a file", e);
	if (to >= 0)
		close(to);
	if (from >= 0)
		close(from);
	return r;
}

int spool_give(struct spool *s, struct str name, const char *dir, struct err *e)
{
	char path[SPOOL_NAME];
	int fd, r = 0;

	if (!name_is(name))
		return err_set(e, ERR_INPUT, "not the name of a spool file");
	str_copy(path, sizeof path, name);
	if (faccessat(s->fd, path, F_OK, 0) != 0)
		return err_set(e, ERR_INPUT, "%s/%s: %m", s->dir, path);
	if (mkdir(dir, 0750) != 0 && errno != EEXIST)
		return err_set(e, ERR_ENV, "%s: %m", dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, ERR_ENV, "%s: %m", dir);
	if (linkat(s->fd, path, fd, path, 0) != 0 && errno != EEXIST)
		r = copy(s, path, fd, e);
	close(fd);
	return r;
}

int spool_sync(const char *dir, struct err *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -1 : fsync(fd);

	if (r < 0 || sync_parent(dir) != 0)
		r = err_set(e, ERR_ENV, "%s: %m", dir);
	if (fd >= 0)
		close(fd);
	return r;
}

struct each {
	bool (*fn)(void *ctx, struct str name);
	void *ctx;
};

static bool each_name(void *ctx, struct str name)
{
	const struct each *x = ctx;

	return !name_is(name) || x->fn(x->ctx, name);
}

int spool_each(struct spool *s, bool (*fn)(void *ctx, struct str name), void *ctx, struct err *e)
{
	struct each x = { fn, ctx };

	return names(s, each_name, &x, e);
}

/* ---- what a message says of it ---- */
bool spool_ref_parse(struct str value, struct spool_ref *r_r)
{
	struct str rest = value;

	return str_cut(&rest, ':', &r_r->field) && r_r->field.n &&
	       str_cut(&rest, ':', &r_r->name) && name_is(r_r->name) && rest.p &&
	       str_u64(rest, &r_r->size);
}
