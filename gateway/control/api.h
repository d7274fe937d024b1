/* The HTTP API: /v1/messages, callbacks, /metrics, /healthz, /readyz, on gateway/http/server.h, and
 * the webhooks of tokens on gateway/http/client.h. Main and control threads.
 */
#ifndef POSTERN_CONTROL_API_H
#define POSTERN_CONTROL_API_H

#include "gateway/flow/gateway.h"

struct api;

/* Listens where settings say (settings always have an address; loopback by default). Tokens become
 * accounts "http/NAME" of the gateway. NULL and e when the address cannot be had. */
struct api *api_start(struct gateway *g, struct err *e);
/* New settings are in force: tokens and webhooks change; the address needs a restart of the API,
 * which is done here when it differs. */
int api_reload(struct api *a, const struct settings *s, struct err *e);
/* One message as POST /v1/messages takes it, from the operator: waits for the commit. Appends the
 * answer's JSON; -1 and the words of the refusal. Control threads. */
int api_submit_text(struct api *a, struct str json, struct buf *answer, struct err *e);
void api_stop_accepting(struct api *a); /* NULL is allowed */
void api_stop(struct api **ap);         /* after gateway_stop(); NULL is allowed */

#endif
