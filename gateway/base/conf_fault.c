/* The faults of a configuration, kept until all are known and then told in order. See conf.h. */
#include "gateway/base/conf_private.h"

#include <stdarg.h>
#include <stdlib.h>

void conf_faults_free(struct conf_faults *f)
{
	for (size_t i = 0; i < f->n; i++)
		mem_free(&f->v[i].text);
	for (size_t i = 0; i < f->files_n; i++)
		mem_free(&f->files[i]);
	mem_free(&f->v);
	mem_free(&f->files);
	*f = (struct conf_faults){ 0 };
}

size_t conf_faults_file(struct conf_faults *f, const char *file)
{
	for (size_t i = 0; i < f->files_n; i++)
		if (strcmp(f->files[i], file) == 0)
			return i;
	f->files = mem_grow(f->files, (f->files_n + 1) * sizeof *f->files);
	f->files[f->files_n] = mem_dup(str_of(file));
	return f->files_n++;
}

/* A name from the file may hold any byte; a fault is one line. */
static void make_line(struct buf *b)
{
	for (size_t i = 0; i < b->n; i++)
		if ((unsigned char)b->p[i] < ' ' || b->p[i] == 0x7f)
			b->p[i] = ' ';
}

static void add(struct conf_faults *f, bool warning, const char *file, unsigned line, struct buf *b)
{
	struct conf_fault *one;

	if (f->n == f->cap) {
		f->cap = f->cap ? f->cap * 2 : 16;
		f->v = mem_grow(f->v, f->cap * sizeof *f->v);
	}
	make_line(b);
	one = &f->v[f->n];
	*one = (struct conf_fault){ .file = conf_faults_file(f, file ? file : ""),
		.line = line,
		.seq = (unsigned)f->n,
		.warning = warning,
		.text = mem_dup(buf_view(b)) };
	f->n++;
	if (warning)
		f->warnings++;
	else
		f->errors++;
	buf_free(b);
}

static void add_at(struct conf_faults *f, bool warning, const struct conf_where *at,
	const char *key, const char *fmt, va_list ap) __attribute__((format(printf, 5, 0)));

static void add_at(struct conf_faults *f, bool warning, const struct conf_where *at,
	const char *key, const char *fmt, va_list ap)
{
	const struct conf_mark *m = key ? conf_given(at, key) : NULL;
	struct buf b = BUF_INIT;
	bool labelled = at->label && at->label[0];

	if (key)
		buf_printf(&b, "\"%s\"", key);
	if (labelled)
		buf_printf(&b, "%s%s", key ? " in " : "", at->label);
	if (key || labelled)
		buf_c(&b, ": ");
	buf_vprintf(&b, fmt, ap);
	add(f, warning, m ? m->file : at->file, m ? m->line : at->line, &b);
}

void conf_fault(struct conf_faults *f, const char *file, unsigned line, const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	add(f, false, file, line, &b);
}

void conf_warn(struct conf_faults *f, const char *file, unsigned line, const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	add(f, true, file, line, &b);
}

void conf_fault_at(
	struct conf_faults *f, const struct conf_where *at, const char *key, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_at(f, false, at, key, fmt, ap);
	va_end(ap);
}

void conf_warn_at(
	struct conf_faults *f, const struct conf_where *at, const char *key, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_at(f, true, at, key, fmt, ap);
	va_end(ap);
}

const struct conf_mark *conf_given(const struct conf_where *at, const char *key)
{
	for (size_t i = 0; i < at->marks_n; i++)
		if (strcmp(at->marks[i].key, key) == 0)
			return &at->marks[i];
	return NULL;
}

static int by_place(const void *va, const void *vb)
{
	const struct conf_fault *a = va, *b = vb;

	if (a->file != b->file)
		return a->file < b->file ? -1 : 1;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return (a->seq > b->seq) - (a->seq < b->seq);
}

void conf_faults_text(struct conf_faults *f, struct buf *out)
{
	if (f->n)
		qsort(f->v, f->n, sizeof *f->v, by_place);
	for (size_t i = 0; i < f->n; i++)
		buf_printf(out, "%s:%u: %s%s\n", f->files[f->v[i].file], f->v[i].line,
			f->v[i].warning ? "warning: " : "", f->v[i].text);
}

void conf_faults_print(struct conf_faults *f, FILE *to)
{
	struct buf b = BUF_INIT;

	conf_faults_text(f, &b);
	if (b.n)
		fwrite(b.p, 1, b.n, to);
	buf_free(&b);
}
