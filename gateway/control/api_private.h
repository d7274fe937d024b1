/* Shared by the parts of the HTTP API (api*.c, webhook.c). */
#ifndef POSTERN_CONTROL_API_PRIVATE_H
#define POSTERN_CONTROL_API_PRIVATE_H

#include "gateway/control/api.h"
#include "gateway/control/strain.h"
#include "gateway/flow/flow.h"
#include "gateway/http/json.h"
#include "gateway/http/server.h"
#include "gateway/model/address.h"

/* A token in force. http_token first: http_bearer() walks an array of these. */
struct api_tokens;
struct api_token {
	struct http_token http;
	const struct token_conf *conf; /* NULL: the open account of a loopback API without tokens */
	struct account *account;
	unsigned scopes;
	struct api_tokens *of;
};
/* All tokens of one set of settings. Lives as long as a request under one of them. */
struct api_tokens {
	_Atomic unsigned refs;
	struct settings *settings;
	size_t n;
	struct api_token v[];
};

enum { UNSUBSCRIBE_RESULTS = 7, UNSUBSCRIBE_BODY = 4096 };
struct api {
	struct gateway *g;
	struct listener *listener; /* of protocol "http"; its loop answers */
	struct http_server *server;
	_Atomic(struct api_tokens *) tokens;
	struct http_route *routes;
	struct plugin_face *faces; /* what plugins serve, an array */
	size_t faces_n;
	struct settings *served; /* that the server was opened with */
	struct stat_cell unsubscribe[UNSUBSCRIBE_RESULTS];
	_Atomic mono_t unsubscribe_next; /* when one more is due */
};

/* The token of a request that has the scope, or NULL and the request is answered (401, 403). To be
 * released. */
const struct api_token *api_authorize(struct http_request *r, unsigned scope);
const struct api_token *api_authorize_at(struct api *a, struct http_request *r, unsigned scope);
/* The first token: for the operator. To be released. */
const struct api_token *api_token_first(struct api *a);
void api_token_hold(const struct api_token *t); /* once more to be released */
void api_token_release(const struct api_token *t);
static inline struct api *api_of(const struct http_request *r)
{
	return http_owner(r);
}

/* ---- api_read.c: JSON into a message ---- */
struct api_input {
	struct message *msg; /* the caller's; NULL after a fault */
	bool dry_run;
	/* Its attachments are in this file, which is not finished: api_spool() does that, and adds
	 * FIELD_SPOOL. FIELD_ATTACHMENTS has them without the long contents. NULL: none. */
	struct strained *big;
	bool big_fault; /* they could not be kept: our fault */
};
/* What the reading of a message depends on besides its bytes. */
struct api_terms {
	struct address_country country;
	bool (*has_channel)(void *ctx, const char *name); /* for push addresses CHANNEL:TOKEN */
	void *ctx;
	struct strain *strain; /* of the stream that it came in; may be NULL */
	uint8_t wants;         /* enum want: what the token's webhook is to be told */
};
struct api_terms api_terms_of(struct gateway *g, const struct api_token *t);
/* Reads one message as POST /v1/messages takes it. False with faults. Any thread. */
bool api_read_message(
	const struct api_terms *t, json_t *v, struct api_input *in_r, struct json_faults *f);
/* Finishes the file of its big attachments; blocks on the disk. False: it cannot be kept now. */
bool api_spool(struct api_input *in, char name_r[SPOOL_NAME]);
/* HTTP status of a refusal, the field it speaks of ("/to") or NULL. */
unsigned api_status_of(enum reason r, const char **field_r);

/* ---- api_submit.c: POST /v1/messages ---- */
void api_submit_begin(struct http_request *r);
size_t api_submit_body(struct http_request *r, struct str bytes);
void api_submit_end(struct http_request *r);
void api_submit_gone(struct http_request *r);
/* protocol.answer of the API's listener. */
void api_submit_answer(struct listener *l, void *token, const struct answer *a);

/* ---- api_query.c: GET and DELETE ---- */
void api_get_message(struct http_request *r);
void api_get_client(struct http_request *r);
void api_search(struct http_request *r);
/* The query of a search; false with all its faults. Its texts live as long as the request. */
bool api_read_filter(
	const struct http_request *r, struct store_filter *f_r, struct json_faults *faults);
void api_cancel(struct http_request *r);

/* ---- api_plugin.c: what plugins serve ---- */
struct plugin_face;
/* Makes the faces of all plugins and appends their routes at *n of routes (which has room). */
unsigned api_plugin_count(struct gateway *g);
void api_plugin_routes(struct api *a, struct http_route *routes, unsigned *n);
void api_plugin_free(struct api *a);

/* ---- api_unsubscribe.c: /u/TOKEN ---- */
void api_unsubscribe_show(struct http_request *r);
void api_unsubscribe_take(struct http_request *r);
void api_unsubscribe_stats(struct api *a, bool on);

/* ---- webhook.c: notes of tokens ---- */
struct webhooks;
void webhook_account_open(struct account *a);
void webhook_notify(struct account *a, struct note *n);
void webhook_account_close(struct account *a);
size_t webhook_account_size(void);
/* Its account's token has these settings from now on (webhook "" : none). The account's loop. */
void webhook_configure(struct account *a, const struct token_conf *t);
/* Ends all requests under way; notes go back. The loop; before it stops. */
void webhook_stop(struct listener *l);

#endif
