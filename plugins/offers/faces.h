/* What the plugin shows of members and suppressions: HTTP requests and posternctl's verbs. Rows of
 * offers.c's tables. See postern-http(7).
 */
#ifndef POSTERN_PLUGINS_OFFERS_FACES_H
#define POSTERN_PLUGINS_OFFERS_FACES_H

#include "plugins/offers/import.h"
#include "plugins/offers/offers.h"

/* ---- member_api.c: each is the run() of a route ---- */
void member_get_run(struct plugin_request *r, struct str body);
void member_put_run(struct plugin_request *r, struct str body);
void member_patch_run(struct plugin_request *r, struct str body);
void member_delete_run(struct plugin_request *r, struct str body);
void member_merge_run(struct plugin_request *r, struct str body);
void consent_get_run(struct plugin_request *r, struct str body);
void consent_put_run(struct plugin_request *r, struct str body);
void member_events_run(struct plugin_request *r, struct str body);
void member_messages_run(struct plugin_request *r, struct str body);
void suppressions_get_run(struct plugin_request *r, struct str body);
void suppressions_delete_run(struct plugin_request *r, struct str body);

/* ---- upload.c: bodies of any length ---- */
size_t members_stream(struct plugin_request *r, struct str octets, bool end);
size_t suppressions_stream(struct plugin_request *r, struct str octets, bool end);
void upload_gone(struct plugin_request *r);

#define MEMBER_ROUTES                                                                            \
	{ "POST", "/v1/members", SCOPE_MEMBERS, .stream = members_stream, .gone = upload_gone }, \
		{ "GET", "/v1/members/*", SCOPE_MEMBERS, .run = member_get_run },                \
		{ "PUT", "/v1/members/*", SCOPE_MEMBERS, .run = member_put_run },                \
		{ "PATCH", "/v1/members/*", SCOPE_MEMBERS, .run = member_patch_run },            \
		{ "DELETE", "/v1/members/*", SCOPE_MEMBERS, .run = member_delete_run },          \
		{ "POST", "/v1/members/*/merge", SCOPE_MEMBERS, .run = member_merge_run },       \
		{ "GET", "/v1/members/*/consent", SCOPE_MEMBERS, .run = consent_get_run },       \
		{ "PUT", "/v1/members/*/consent", SCOPE_MEMBERS, .run = consent_put_run },       \
		{ "GET", "/v1/members/*/events", SCOPE_MEMBERS, .run = member_events_run },      \
		{ "GET", "/v1/members/*/messages", SCOPE_MEMBERS, .run = member_messages_run },  \
		{ "GET", "/v1/suppressions", SCOPE_MEMBERS, .run = suppressions_get_run },       \
		{ "DELETE", "/v1/suppressions", SCOPE_MEMBERS, .run = suppressions_delete_run }, \
	{                                                                                        \
		"PUT", "/v1/suppressions", SCOPE_MEMBERS, .stream = suppressions_stream,         \
							  .gone = upload_gone                    \
	}

/* ---- member_verbs.c ---- */
int members_verb(struct plugin_words *w, struct err *e);
int suppressions_verb(struct plugin_words *w, struct err *e);
#define MEMBER_VERBS                                                                               \
	{ "members",                                                                               \
		"members show ID | find TEXT | events ID | messages ID | consent ID [ROW CHANNEL " \
		"on|off]\n"                                                                        \
		"members import FILE | merge FROM INTO | erase ID\n",                              \
		members_verb },                                                                    \
	{                                                                                          \
		"suppressions",                                                                    \
			"suppressions list [ADDRESS] | add MEDIA ADDRESS [ROW]\n"                  \
			"suppressions remove MEDIA ADDRESS [ROW] | import FILE\n",                 \
			suppressions_verb                                                          \
	}

/* ---- what both are made of: member_faces.c ---- */
enum face {
	FACE_SHOW,
	FACE_PUT,
	FACE_PATCH,
	FACE_ERASE,
	FACE_MERGE,
	FACE_CONSENT,
	FACE_CONSENT_PUT,
	FACE_EVENTS,
	FACE_MESSAGES,
	FACE_FIND,
	FACE_BLOCKS,
	FACE_BLOCK,
	FACE_UNBLOCK,
};
/* One question or change, in a unit of work of its own. */
struct face_ask {
	struct unit u; /* first */
	enum face what;
	struct arena *arena; /* of what it asks for; dies with it */
	struct str id, into; /* "77", "card:1234", "phone:+371…", "number:12" */
	struct str by, text; /* text: the address, or what is looked for */
	struct member_input in;
	struct rules *rules; /* that `in` was read with; referenced; NULL none */
	struct address_country country;
	int media, row; /* -1: any */
	int64_t limit;
	bool force, lock;
	/* out */
	unsigned status; /* 200, 201, 403, 404, 409, 422 */
	const char *detail;
	struct buf out; /* JSON; status 200 and 201 */
	void *owner;
};
struct face_ask *face_new(enum face what, const struct rules *rules);
void face_free(struct face_ask **ap);
/* "card:77" and its kin, "number:12" (ours), else the programme's id: 1, 0, -1. */
int face_member(
	struct work *w, const struct address_country *country, struct str id, struct member **m_r);
/* unit's run(): 0, or -1 where nothing is to be changed (status says why) or the store failed. */
int face_run(struct plugin_call *c);

#endif
