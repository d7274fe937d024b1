/* What stands in a request of the control socket: one line of JSON,
 *
 *	{"verb":"messages","args":["…"],"options":{"state":"queued","dry-run":true}}
 *
 * The bytes are whatever a member of the socket's group sends. Pure; any thread.
 */
#ifndef POSTERN_CONTROL_READ_H
#define POSTERN_CONTROL_READ_H

#include "gateway/http/json.h"
#include "gateway/store/store.h"

struct control_request {
	json_t *root;
	const char *verb;
	const json_t *args;    /* array; NULL: none */
	const json_t *options; /* object; NULL: none */
};
/* 0, to be freed; or -1 and e. */
int control_request_read(struct control_request *q_r, struct str line, struct err *e);
void control_request_free(struct control_request *q);
/* NULL: there is none, or it is no string. */
const char *control_arg(const struct control_request *q, size_t i);
/* Likewise; "" is an option that is just there (true). */
const char *control_option(const struct control_request *q, const char *name);

/* The options of a search, but `channel` and `submitter`, which are the store's to know. Times may
 * be durations before now. The filter's texts live as long as the request. */
int control_filter_read(
	const struct control_request *q, wall_t now, struct store_filter *f_r, struct err *e);

#endif
