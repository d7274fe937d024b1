/* Files of a configuration: read whole, parsed each into its own tree, included files found by
 * pattern, then all roots handed to the tables together. See conf.h.
 */
#include "gateway/base/conf_private.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MOST = 16 * 1024 * 1024 };
static const char INCLUDE[] = "include";

struct files {
	struct conf_file **v;
	size_t n;
	struct id {
		dev_t dev;
		ino_t ino;
	} * seen; /* by device and inode: no file counts twice, whatever led to it */
	size_t seen_n;
};

static void files_free(struct files *fs)
{
	for (size_t i = 0; i < fs->n; i++) {
		config_destroy(&fs->v[i]->cfg);
		mem_free(&fs->v[i]);
	}
	mem_free(&fs->v);
	mem_free(&fs->seen);
}

/* ---- one file ----------------------------------------------------------------------------- */

static void fault_syntax(struct conf_load *l, const char *path, struct str text, config_t *cfg)
{
	const char *theirs = config_error_text(cfg);
	unsigned line = config_error_line(cfg) > 0 ? (unsigned)config_error_line(cfg) : 1;
	struct buf why = BUF_INIT;

	if (conf_hint(text, &line, &why))
		conf_fault(l->f, path, line, "syntax error: %s", buf_cstr(&why));
	else if (str_starts(str_of(theirs), STR("duplicate")))
		conf_fault(l->f, path, line, "syntax error: this key is set already in its group");
	else if (str_starts(str_of(theirs), STR("mismatched")))
		conf_fault(l->f, path, line,
			"syntax error: [ ] holds values of one type; a list ( ) may mix them");
	else
		conf_fault(l->f, path, line, "syntax error");
	buf_free(&why);
	l->f->incomplete = true;
}

/* text is NUL-terminated behind its n bytes. */
static void parse(
	struct conf_load *l, struct files *fs, const char *path, struct str text, bool world)
{
	struct buf newer = BUF_INIT;
	struct conf_file *file;
	unsigned line;

	conf_faults_file(l->f, path);
	if (str_index(text, '\0') >= 0) {
		conf_fault(l->f, path, 1, "not a text file: it holds a NUL byte");
		l->f->incomplete = true;
		return;
	}
	/* libconfig would read any file that it names, with the tree of this one. */
	line = conf_find_include(text);
	if (line) {
		conf_fault(l->f, path, line,
			"@include is not read here; the main file says include = [ \"…\" ];");
		l->f->incomplete = true;
		return;
	}
	file = mem_new(struct conf_file);
	config_init(&file->cfg);
	file->path = arena_cstr(l->a, str_of(path));
	file->world_readable = world;
	if (!config_read_string(&file->cfg, text.p)) {
		fault_syntax(l, path, text, &file->cfg);
	} else if (conf_newer(text, &line, &newer)) {
		conf_fault(l->f, path, line, "syntax error: %s", buf_cstr(&newer));
		l->f->incomplete = true;
		buf_free(&newer);
	} else {
		fs->v = mem_grow(fs->v, (fs->n + 1) * sizeof *fs->v);
		fs->v[fs->n++] = file;
		return;
	}
	config_destroy(&file->cfg);
	mem_free(&file);
}

static const char *read_all(int fd, struct buf *b)
{
	ssize_t got;

	do {
		buf_reserve(b, 64 * 1024);
		got = read(fd, b->p + b->n, 64 * 1024);
		if (got > 0)
			b->n += (size_t)got;
	} while ((got > 0 && b->n <= FILE_MOST) || (got < 0 && errno == EINTR));
	return got < 0 ? strerror(errno) : b->n > FILE_MOST ? "longer than 16 MiB" : NULL;
}

static bool seen_before(struct files *fs, const struct stat *st)
{
	for (size_t i = 0; i < fs->seen_n; i++)
		if (fs->seen[i].dev == st->st_dev && fs->seen[i].ino == st->st_ino)
			return true;
	fs->seen = mem_grow(fs->seen, (fs->seen_n + 1) * sizeof *fs->seen);
	fs->seen[fs->seen_n++] = (struct id){ st->st_dev, st->st_ino };
	return false;
}

/* Reads and parses one file; faults say what cannot be read, at `at_line` of `at_file` when an
 * include named it. */
static void read_file(struct conf_load *l, struct files *fs, const char *path, const char *at_file,
	unsigned at_line)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct buf b = BUF_INIT;
	const char *why = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		why = strerror(errno);
	else if (S_ISDIR(st.st_mode))
		why = "a folder, not a file";
	else if (!seen_before(fs, &st))
		why = read_all(fd, &b);
	else
		goto done;
	if (why) {
		conf_fault(l->f, at_file ? at_file : path, at_file ? at_line : 1,
			"cannot read %s: %s", path, why);
		l->f->incomplete = true;
	} else {
		buf_cstr(&b);
		parse(l, fs, path, buf_view(&b), S_ISREG(st.st_mode) && (st.st_mode & S_IROTH));
	}
done:
	if (b.p)
		explicit_bzero(b.p, b.cap); /* secrets may stand in it */
	buf_free(&b);
	if (fd >= 0)
		close(fd);
}

/* ---- patterns ----------------------------------------------------------------------------- */

/* dir + pattern, with the folder's own wildcards made harmless. */
static const char *full_pattern(struct conf_load *l, const char *pattern)
{
	struct buf b = BUF_INIT;
	const char *full;

	for (const char *p = pattern[0] == '/' ? "" : l->dir; *p; p++)
		buf_printf(&b, "%s%c", strchr("*?[\\", *p) ? "\\" : "", *p);
	full = arena_printf(l->a, "%s%s", b.n ? buf_cstr(&b) : "", pattern);
	buf_free(&b);
	return full;
}

/* The files of one pattern, sorted. A name without wildcards must exist. */
static void read_pattern(struct conf_load *l, struct files *fs, const char *pattern,
	const char *at_file, unsigned at_line)
{
	bool wild = strpbrk(pattern, "*?[") != NULL;
	glob_t found = { 0 };

	if (!wild) {
		const char *dir = pattern[0] == '/' ? "" : l->dir;

		read_file(l, fs, arena_printf(l->a, "%s%s", dir, pattern), at_file, at_line);
		return;
	}
	if (glob(full_pattern(l, pattern), 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			read_file(l, fs, found.gl_pathv[i], at_file, at_line);
	globfree(&found);
}

static void read_includes(struct conf_load *l, struct files *fs)
{
	const struct conf_file *main_file = fs->v[0];
	config_setting_t *s = config_setting_get_member(main_file->cfg.root, INCLUDE);
	bool many = s && (s->type == CONFIG_TYPE_ARRAY || s->type == CONFIG_TYPE_LIST);
	int n = many ? config_setting_length(s) : s ? 1 : 0;

	for (int i = 0; i < n; i++) {
		config_setting_t *one = many ? config_setting_get_elem(s, (unsigned)i) : s;

		if (one->type != CONFIG_TYPE_STRING)
			conf_wrong_type(
				l, one, "", "a path or a list of paths [ \"a\", \"b\" ]", false);
		else
			read_pattern(l, fs, one->value.sval, main_file->path, one->line);
	}
	for (size_t i = 1; i < fs->n; i++) {
		s = config_setting_get_member(fs->v[i]->cfg.root, INCLUDE);
		if (s)
			conf_fault_setting(
				l, s, "", "an included file cannot include further ones");
	}
}

/* ---- all of it ---------------------------------------------------------------------------- */

static struct conf_load begin(const struct conf_item *root, size_t size, struct arena *a,
	const char *dir, struct conf_faults *f)
{
	struct err e = { 0 };

	if (conf_table_check(root, size, &e)) {
		fprintf(stderr, "postern: configuration table: %s\n", e.text);
		CHECK(!"the configuration tables are sound");
	}
	return (struct conf_load){ .a = a, .f = f, .dir = dir };
}

static int finish(struct conf_load *l, struct files *fs, const struct conf_item *root, size_t size,
	const char *name, void **out)
{
	config_setting_t **sets = mem_alloc((fs->n + 1) * sizeof *sets);

	for (size_t i = 0; i < fs->n; i++)
		sets[i] = fs->v[i]->cfg.root;
	*out = arena_alloc(l->a, size);
	conf_fill(l, root, *out, sets, fs->n, name);
	mem_free(&sets);
	files_free(fs);
	return l->f->errors ? -1 : 0;
}

int conf_load(const char *path, const struct conf_item *root, size_t size, struct arena *a,
	void **out, struct conf_faults *f)
{
	const char *slash = strrchr(path, '/');
	const char *dir = slash ? arena_cstr(a, str_n(path, (size_t)(slash + 1 - path))) : "";
	struct conf_load l = begin(root, size, a, dir, f);
	struct files fs = { 0 };

	l.include_key = INCLUDE;
	read_file(&l, &fs, path, NULL, 0);
	if (fs.n)
		read_includes(&l, &fs);
	return finish(&l, &fs, root, size, path, out);
}

int conf_load_globs(const char *dir, const char *const *globs, const struct conf_item *root,
	size_t size, struct arena *a, void **out, struct conf_faults *f)
{
	size_t n = strlen(dir);
	struct conf_load l =
		begin(root, size, a, n && dir[n - 1] != '/' ? arena_printf(a, "%s/", dir) : dir, f);
	struct files fs = { 0 };

	for (; *globs; globs++)
		read_pattern(&l, &fs, *globs, NULL, 0);
	return finish(&l, &fs, root, size, dir, out);
}

int conf_load_text(const char *name, struct str text, const struct conf_item *root, size_t size,
	struct arena *a, void **out, struct conf_faults *f)
{
	struct conf_load l = begin(root, size, a, "", f);
	struct files fs = { 0 };
	char *copy = mem_dup(text);

	parse(&l, &fs, name, str_n(copy, text.n), false);
	mem_free(&copy);
	return finish(&l, &fs, root, size, name, out);
}
