/* See import.h. */
#include "plugins/offers/import.h"
#include "plugins/offers/said.h"

struct import_row {
	uint64_t line;
	struct member_input member;
	/* a suppression */
	struct str address, reason, proof;
	enum media media;
	int row;
	bool refused; /* by the writer; why is in text */
	const char *text;
};
struct import_slice {
	struct arena *arena;
	const struct import_conf *conf;
	struct import_row rows[IMPORT_SLICE];
	unsigned n;
	uint64_t created, changed;
};
struct import_fault {
	uint64_t line;
	char *field, *text;
};
struct import {
	struct import_conf conf;
	struct member_reader how;
	struct import_slice *slice; /* being filled */
	struct csv csv;
	struct json_split split;
	struct buf line; /* NDJSON: what has come of one */
	uint64_t lines;  /* of an array: items that were whole */
	bool line_long, header_known, ended;
	bool broken; /* an array that cannot be read any further */
	struct arena *header;
	struct member_column *columns;
	struct str *names;
	size_t columns_n;
	struct json_faults refused;
	struct import_fault *faults;
	size_t faults_n;
	struct import_counts counts;
};

/* ---- life ---- */

struct import *import_new(const struct import_conf *c)
{
	struct import *im = mem_new(struct import);

	im->conf = *c;
	im->conf.rules = rules_ref(c->rules);
	im->how = (struct member_reader){
		.rules = im->conf.rules, .country = &im->conf.country, .verified = c->verified
	};
	im->header = arena_new();
	csv_init(&im->csv);
	json_split_init(&im->split, JSON_SPLIT_AUTO, IMPORT_ITEM_MOST);
	return im;
}

static void slice_free(struct import_slice **sp)
{
	if (!*sp)
		return;
	arena_free(&(*sp)->arena);
	mem_free(sp);
}

void import_free(struct import **ip)
{
	struct import *im = *ip;

	if (!im)
		return;
	slice_free(&im->slice);
	csv_free(&im->csv);
	json_split_free(&im->split);
	buf_free(&im->line);
	arena_free(&im->header);
	for (size_t i = 0; i < im->faults_n; i++) {
		mem_free(&im->faults[i].field);
		mem_free(&im->faults[i].text);
	}
	mem_free(&im->faults);
	rules_unref(&im->conf.rules);
	mem_free(ip);
}

/* ---- faults ---- */

static void fault(struct import *im, uint64_t line, struct str field, struct str text)
{
	struct import_fault *f;

	if (im->faults_n == IMPORT_FAULTS_MOST)
		return;
	if (!(im->faults_n & (im->faults_n - 1)))
		im->faults = mem_grow(
			im->faults, (im->faults_n ? 2 * im->faults_n : 1) * sizeof *im->faults);
	f = &im->faults[im->faults_n++];
	*f = (struct import_fault){ line, mem_dup(field), mem_dup(text) };
}

/* One that must be listed, too. */
static void fault_room(struct import *im)
{
	struct import_fault *last;

	if (im->faults_n < IMPORT_FAULTS_MOST)
		return;
	last = &im->faults[--im->faults_n];
	mem_free(&last->field);
	mem_free(&last->text);
}

static void refuse(struct import *im, uint64_t line, const struct json_faults *f)
{
	im->counts.rows++;
	im->counts.refused++;
	for (unsigned i = 0; i < f->n; i++) {
		struct str at = str_of(f->v[i].at);

		fault(im, line, at.n ? str_skip(at, 1) : at, str_of(f->v[i].text));
	}
}

static void refuse_text(struct import *im, uint64_t line, const char *why)
{
	im->counts.rows++;
	im->counts.refused++;
	fault(im, line, STR_NONE, str_of(why));
}

/* ---- rows ---- */

static struct import_row *row_new(struct import *im)
{
	if (!im->slice) {
		im->slice = mem_new(struct import_slice);
		im->slice->arena = arena_new();
		im->slice->conf = &im->conf;
	}
	return &im->slice->rows[im->slice->n];
}

static void row_good(struct import *im, struct import_row *r, uint64_t line)
{
	r->line = line;
	im->slice->n++;
	im->counts.rows++;
}

static enum contact_kind block_kind(enum media media)
{
	return media == MEDIA_VIBER || media == MEDIA_SOCIAL ? CONTACT_PHONE
							     : contact_of_media(media);
}

enum { BLOCK_ADDRESS, BLOCK_MEDIA, BLOCK_ROW, BLOCK_REASON, BLOCK_PROOF, BLOCK_COLUMNS };
static const struct {
	const char *word;
	size_t most;
} block_columns[BLOCK_COLUMNS] = { { "address", ADDRESS_PUSH_MAX }, { "media", 16 }, { "row", 40 },
	{ "reason", 100 }, { "proof", 1000 } };

/* v: its columns. */
static void block_row(struct import *im, struct import_row *r, uint64_t line, const struct str *v,
	struct json_faults *f)
{
	struct str media = v[BLOCK_MEDIA], row = v[BLOCK_ROW], reason = v[BLOCK_REASON];
	enum row known = ROW_SYSTEM;
	const char *why;

	r->media = (enum media)im->conf.media;
	r->row = im->conf.row;
	if (media.n ? !media_parse(media, &r->media) || r->media >= MEDIA_RECEIPT
		    : im->conf.media < 0)
		json_fault(f, "/media", "must be sms, email, push, viber or social");
	else if (!contact_normal(im->slice->arena, block_kind(r->media), v[BLOCK_ADDRESS],
			 &im->conf.country, &r->address, &why))
		json_fault(f, "/address", "%s", why);
	if (row.n && !str_is(row, "*")) {
		if (row_parse(row, &known))
			r->row = (int)known;
		else
			json_fault(f, "/row", "is no row of the subscriptions");
	}
	r->reason = arena_str(im->slice->arena, reason.n ? reason : STR("import"));
	r->proof = arena_str(im->slice->arena, v[BLOCK_PROOF]);
	if (f->n)
		refuse(im, line, f);
	else
		row_good(im, r, line);
}

/* A record without any name would be made anew by each import, and never be found. */
static bool names_somebody(const struct member_input *in, struct json_faults *f)
{
	if (in->ext.n || in->aliases_n)
		return true;
	for (unsigned i = 0; i < in->contacts_n; i++)
		if (!in->contacts[i].gone)
			return true;
	json_fault(f, "", "names nobody: an id, card, device, phone or email");
	return false;
}

static void json_row(struct import *im, uint64_t line, struct str text)
{
	struct json_faults f = { 0 };
	struct import_row *r = row_new(im);
	json_t *v = json_read(text, &f);

	if (!v) {
		refuse(im, line, &f);
	} else if (im->conf.what == IMPORT_MEMBERS) {
		if (member_input_read(v, &im->how, im->slice->arena, &r->member, &f) &&
			names_somebody(&r->member, &f))
			row_good(im, r, line);
		else
			refuse(im, line, &f);
	} else {
		struct json_obj o;
		struct str part[BLOCK_COLUMNS];

		json_obj_open(&o, v, "", &f);
		for (int k = 0; k < BLOCK_COLUMNS; k++) {
			part[k] = STR_NONE;
			json_obj_str(&o, block_columns[k].word,
				k == BLOCK_ADDRESS ? JSON_REQUIRED : 0, block_columns[k].most,
				&part[k]);
		}
		json_obj_close(&o);
		if (f.n)
			refuse(im, line, &f);
		else
			block_row(im, r, line, part, &f);
	}
	json_decref(v);
}

/* ---- CSV ---- */

static bool header_read(struct import *im)
{
	const struct csv *c = &im->csv;

	im->header_known = true;
	im->columns_n = c->n;
	im->columns = arena_alloc(im->header, (c->n + 1) * sizeof *im->columns);
	im->names = arena_alloc(im->header, (c->n + 1) * sizeof *im->names);
	for (size_t i = 0; i < c->n; i++) {
		im->names[i] = arena_str(im->header, str_trim(c->fields[i]));
		for (size_t k = 0; k < i; k++)
			if (str_ieq(im->names[i], im->names[k]))
				json_fault(&im->refused, "", "line 1: column \"%.*s\" comes twice",
					(int)(im->names[i].n < 60 ? im->names[i].n : 60),
					im->names[i].p);
		if (im->conf.what == IMPORT_MEMBERS) {
			member_column_find(
				im->names[i], &im->how, im->header, &im->columns[i], &im->refused);
			continue;
		}
		im->columns[i].what = BLOCK_COLUMNS;
		for (int k = 0; k < BLOCK_COLUMNS; k++)
			if (str_is(im->names[i], block_columns[k].word))
				im->columns[i].what = k;
		if (im->columns[i].what == BLOCK_COLUMNS)
			json_fault(&im->refused, "",
				"line 1: there is no column \"%.*s\" (address, media, row, reason, "
				"proof)",
				(int)(im->names[i].n < 60 ? im->names[i].n : 60), im->names[i].p);
	}
	return im->refused.n == 0;
}

static void csv_row(struct import *im)
{
	const struct csv *c = &im->csv;
	struct json_faults f = { 0 };
	struct str v[BLOCK_COLUMNS] = { STR_NONE, STR_NONE, STR_NONE, STR_NONE, STR_NONE };
	struct import_row *r;

	if (c->n != im->columns_n) {
		json_fault(&f, "", "has %zu fields, the first line %zu", c->n, im->columns_n);
		refuse(im, c->line, &f);
		return;
	}
	r = row_new(im);
	if (im->conf.what == IMPORT_MEMBERS) {
		if (member_input_row(im->columns, im->names, c->fields, c->n, &im->how,
			    im->slice->arena, &r->member, &f))
			row_good(im, r, c->line);
		else
			refuse(im, c->line, &f);
		return;
	}
	for (size_t i = 0; i < c->n; i++)
		v[im->columns[i].what] = str_trim(c->fields[i]);
	block_row(im, r, c->line, v, &f);
}

/* False: refused as a whole. */
static bool csv_got(struct import *im, enum csv_got got)
{
	if (got == CSV_FAULT && !im->header_known) {
		json_fault(&im->refused, "", "line %llu: %s", (unsigned long long)im->csv.line,
			im->csv.why);
		return false;
	}
	if (got == CSV_FAULT)
		refuse_text(im, im->csv.line, im->csv.why);
	else if (!im->header_known)
		return header_read(im);
	else
		csv_row(im);
	return true;
}

/* ---- bytes ---- */

static bool full(const struct import *im)
{
	return im->slice && im->slice->n == IMPORT_SLICE;
}

static void line_whole(struct import *im, struct str text)
{
	im->lines++;
	if (im->line_long)
		refuse_text(im, im->lines, "is longer than 256 KiB");
	else if (str_trim(text).n)
		json_row(im, im->lines, text);
	im->line.n = 0;
	im->line_long = false;
}

static void feed_lines(struct import *im, struct str *in)
{
	while (in->n && !full(im)) {
		const char *lf = memchr(in->p, '\n', in->n);
		size_t n = lf ? (size_t)(lf - in->p) : in->n;

		if (lf && !im->line.n && n <= IMPORT_ITEM_MOST) {
			line_whole(im, str_n(in->p, n));
		} else {
			if (im->line.n + n > IMPORT_ITEM_MOST)
				im->line_long = true;
			else
				buf_add(&im->line, in->p, n);
			if (lf)
				line_whole(im, buf_view(&im->line));
		}
		*in = str_skip(*in, n + (lf != NULL));
	}
}

static bool json_got(struct import *im, enum json_split_got got, struct str item)
{
	if (got == JSON_SPLIT_FAULT) {
		/* what came before it is taken, in part already; where nothing came: as a whole */
		if (im->split.kind != JSON_SPLIT_ARRAY || !im->lines)
			return false;
		fault_room(im);
		refuse_text(im, im->lines + 1, im->refused.v[0].text);
		im->refused.n = 0;
		im->broken = true;
		return true;
	}
	im->lines++;
	if (got == JSON_SPLIT_LONG)
		refuse_text(im, im->split.items, "is longer than 256 KiB");
	else
		json_row(im, im->split.items, item);
	return true;
}

static bool feed(struct import *im, struct str *in)
{
	enum json_split_got part;
	enum csv_got got;
	struct str item;

	switch (im->conf.form) {
	case IMPORT_CSV:
		while (!full(im) && (got = csv_next(&im->csv, in)) != CSV_MORE)
			if (!csv_got(im, got))
				return false;
		return true;
	case IMPORT_LINES:
		feed_lines(im, in);
		return true;
	case IMPORT_JSON:
		while (!im->broken && !full(im) &&
			(part = json_split_next(&im->split, in, &item, &im->refused)) !=
				JSON_SPLIT_MORE)
			if (!json_got(im, part, item))
				return false;
		if (im->broken)
			*in = str_skip(*in, in->n);
		return true;
	}
	return true;
}

static bool finish(struct import *im)
{
	enum json_split_got part;
	enum csv_got got;
	struct str item;

	switch (im->conf.form) {
	case IMPORT_CSV:
		while (!full(im) && (got = csv_end(&im->csv)) != CSV_END)
			if (!csv_got(im, got))
				return false;
		break;
	case IMPORT_LINES:
		if (im->line.n || im->line_long)
			line_whole(im, buf_view(&im->line));
		break;
	case IMPORT_JSON:
		while (!im->broken && !full(im) &&
			(part = json_split_end(&im->split, &item, &im->refused)) != JSON_SPLIT_END)
			if (!json_got(im, part, item))
				return false;
		break;
	}
	return true;
}

static struct import_slice *slice_out(struct import *im)
{
	struct import_slice *s = im->slice;

	if (s && !s->n)
		slice_free(&s);
	im->slice = NULL;
	return s;
}

bool import_feed(struct import *im, struct str *in, struct import_slice **slice_r)
{
	*slice_r = NULL;
	if (im->refused.n || !feed(im, in))
		return false;
	if (full(im))
		*slice_r = slice_out(im);
	return true;
}

bool import_end(struct import *im, struct import_slice **slice_r)
{
	*slice_r = NULL;
	if (im->refused.n)
		return false;
	if (!im->ended) {
		if (!finish(im))
			return false;
		im->ended = !full(im);
	}
	*slice_r = slice_out(im);
	return true;
}

/* ---- on the writer ---- */

static int apply_row(struct work *w, struct import_slice *s, struct import_row *r)
{
	struct member_input in;
	struct member *m;
	bool created = false;
	int got;

	if (s->conf->what == IMPORT_SUPPRESSIONS) {
		got = address_listed(w, r->address, r->media, r->row);
		if (got < 0 || address_block(w, r->address, r->media, r->row, r->reason,
				       str_of(s->conf->by), r->proof) < 0)
			return -1;
		s->created += got == 0;
		s->changed += got == 1;
		return 0;
	}
	in = member_input_under(&r->member, s->conf->rules, w->rules, w->arena);
	got = member_apply(w, &in, APPLY_GIVEN, str_of(s->conf->by), NULL, &m, &created);
	if (got < 0 || said_note(w, m, &in, false) < 0)
		return -1;
	if (got) {
		r->refused = true;
		r->text = "a subscription is read-only; the rest was taken";
	}
	if (created)
		s->created++;
	else
		s->changed++;
	return 0;
}

int import_apply(struct work *w, struct import_slice *s)
{
	s->created = s->changed = 0;
	for (unsigned i = 0; i < s->n; i++) {
		s->rows[i].refused = false;
		if (apply_row(w, s, &s->rows[i]) < 0)
			return -1;
	}
	return 0;
}

void import_took(struct import *im, struct import_slice **sp, bool undone)
{
	struct import_slice *s = *sp;

	if (undone) {
		im->counts.undone += s->n;
	} else {
		im->counts.created += s->created;
		im->counts.changed += s->changed;
		for (unsigned i = 0; i < s->n; i++)
			if (s->rows[i].refused)
				fault(im, s->rows[i].line, STR("consent"), str_of(s->rows[i].text));
	}
	slice_free(sp);
}

/* ---- telling ---- */

struct import_counts import_counts(const struct import *im)
{
	return im->counts;
}

const struct json_faults *import_refused(const struct import *im)
{
	return im->refused.n ? &im->refused : NULL;
}

void import_faults(const struct import *im, struct json_faults *f)
{
	char at[128];

	for (size_t i = 0; i < im->faults_n; i++) {
		at[0] = '/';
		str_copy(at + 1, sizeof at - 1, str_of(im->faults[i].field));
		json_fault(f, im->faults[i].field[0] ? at : "", "%s", im->faults[i].text);
	}
}

void import_report(const struct import *im, struct buf *out)
{
	const struct import_counts *c = &im->counts;

	buf_printf(out, "{\"rows\":%llu,\"created\":%llu,\"changed\":%llu,\"refused\":%llu",
		(unsigned long long)c->rows, (unsigned long long)c->created,
		(unsigned long long)c->changed, (unsigned long long)c->refused);
	if (c->undone)
		buf_printf(out, ",\"undone\":%llu", (unsigned long long)c->undone);
	buf_c(out, ",\"faults\":[");
	for (size_t i = 0; i < im->faults_n; i++) {
		buf_printf(out, "%s{\"%s\":%llu,\"field\":", i ? "," : "",
			im->conf.form == IMPORT_JSON ? "item" : "line",
			(unsigned long long)im->faults[i].line);
		buf_json(out, str_of(im->faults[i].field));
		buf_c(out, ",\"text\":");
		buf_json(out, str_of(im->faults[i].text));
		buf_char(out, '}');
	}
	buf_c(out, "]}");
}

void import_report_text(const struct import *im, struct buf *out)
{
	for (size_t i = 0; i < im->faults_n; i++)
		buf_printf(out, "%s %llu: %s%s%s\n", im->conf.form == IMPORT_JSON ? "item" : "line",
			(unsigned long long)im->faults[i].line, im->faults[i].field,
			im->faults[i].field[0] ? ": " : "", im->faults[i].text);
}
