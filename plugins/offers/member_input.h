/* What somebody outside says of a member: read and checked on any thread, applied on the writer.
 *
 * One JSON object (HTTP, events) or one row of a CSV file becomes a struct member_input with
 * everything in its stored form; faults name the field. Applying it finds or makes the member and
 * changes what was given, or, when the whole was given, also takes away what was not.
 */
#ifndef POSTERN_PLUGINS_OFFERS_MEMBER_INPUT_H
#define POSTERN_PLUGINS_OFFERS_MEMBER_INPUT_H

#include "gateway/http/json.h"
#include "plugins/offers/member.h"

enum member_given {
	GIVEN_FIRST_NAME = 1,
	GIVEN_LAST_NAME = 2,
	GIVEN_LANG = 4,
	GIVEN_ZONE = 8,
	GIVEN_BIRTHDAY = 16,
	GIVEN_STATE = 32,
	GIVEN_REGISTERED = 64,
};
enum { INPUT_CONTACTS = 24, INPUT_ALIASES = 16, INPUT_STATUSES = 16, INPUT_CONSENT = 64 };
struct input_contact {
	struct contact contact;
	bool gone; /* without a value: all of that kind */
};
struct input_alias {
	enum alias_kind kind;
	struct str value;
};
struct input_attr {
	size_t n; /* of rules->attributes */
	struct value value;
};
struct input_cell {
	int row, channel; /* -1: all */
	bool granted;
};
struct member_input {
	unsigned given; /* GIVEN_…: also when it was given as empty, to be forgotten */
	struct str ext, first_name, last_name, lang;
	const struct zone *zone; /* NULL: the programme's */
	int birthday;            /* month * 100 + day, 0: none */
	bool born_known;
	int64_t born;
	enum member_state state;
	wall_t registered;
	unsigned contacts_n, aliases_n, statuses_n, attrs_n, consent_n;
	struct input_contact *contacts;
	struct input_alias *aliases;
	struct member_status *statuses; /* empty value: none any more */
	struct input_attr *attrs;
	struct input_cell *consent;
	struct str proof; /* of the consent cells */
};

/* How it is read. Outlives what was read with it. */
struct member_reader {
	const struct rules *rules;
	const struct address_country *country; /* NULL: numbers must be international */
	/* Contacts said to be neither are so: systems that import their own members proved them. */
	bool verified;
	bool lenient; /* of an event: what is not known or is at fault is passed over, and said */
};
/* From {"id": …, "phone": …, "attributes": {…} …}; see postern-http(7). What is read lives in the
 * arena. False with faults; true with lenient. */
bool member_input_read(json_t *o, const struct member_reader *how, struct arena *a,
	struct member_input *in, struct json_faults *f);

/* One column of a CSV file, found by its name in the first line. */
struct member_column {
	int what; /* private */
	int arg, arg2;
	struct str system;
};
/* False and a fault: there is no column of that name (and which may have been meant). */
bool member_column_find(struct str name, const struct member_reader *how, struct arena *a,
	struct member_column *c_r, struct json_faults *f);
/* The faults of one row name the columns ("/phone"). Empty fields say nothing. */
bool member_input_row(const struct member_column *columns, const struct str *names,
	const struct str *fields, size_t n, const struct member_reader *how, struct arena *a,
	struct member_input *in, struct json_faults *f);
/* A value of a declared attribute from text; lists are parted by ';'. */
bool attr_parse(const struct name *attr, struct str text, struct arena *a, struct value *v_r);

/* What was read with the rules `from`, for applying it under `to` (a reload came between):
 * attributes find their places by name. */
struct member_input member_input_under(const struct member_input *in, const struct rules *from,
	const struct rules *to, struct arena *a);

enum member_apply {
	APPLY_GIVEN, /* what was not given stays as it is */
	APPLY_WHOLE, /* PUT: what was not given goes; consent stays */
};
/* m: who it is, or NULL: found by ext and its other names, made when there is nobody (*created_r).
 * 0; 1: it would change a read-only subscription (nothing was changed then); -1. */
int member_apply(struct work *w, const struct member_input *in, enum member_apply how,
	struct str by, struct member *m, struct member **m_r, bool *created_r);

/* Parts of an event that happened then. NULL: nothing. What was said of the member since (said.h)
 * stays. */
int member_take_fields(struct work *w, struct member *m, json_t *fields, wall_t occurred);
int member_take_answers(struct work *w, struct member *m, json_t *answers, wall_t occurred);

/* As GET /v1/members/ID shows it. */
int member_show(struct work *w, struct member *m, struct buf *out);
/* {"Advertisement": {"sms": {"granted": true, …}, …}, …} */
int member_show_consent(struct work *w, struct member *m, struct buf *out);

#endif
