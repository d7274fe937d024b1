/* TLS settings as a configuration has them: checked when it is loaded, compared and taken over when
 * it is loaded again. Any thread. See tls.h. */
#include "gateway/base/tls.h"
#include "gateway/base/log.h"

static void check_fault(const struct conf_where *at, struct conf_faults *f, const struct err *e)
{
	conf_fault_at(f, at, "tls", "%s", e->text);
}

void tls_check_client(const struct tls_conf *c, const struct conf_where *at, struct conf_faults *f)
{
	struct err e;
	struct tls_client *t = tls_client_new(c, "", &e);

	if (!t)
		check_fault(at, f, &e);
	tls_client_free(&t);
}

void tls_check_server(const struct tls_conf *c, const struct conf_where *at, struct conf_faults *f)
{
	struct err e;
	struct tls_server *t = tls_server_new(c, &e);

	if (!t)
		check_fault(at, f, &e);
	tls_server_free(&t);
}

void tls_conf_take_files(struct tls_conf *to, const struct tls_conf *from)
{
	to->ca_file = from->ca_file;
	to->cert_file = from->cert_file;
	to->key_file = from->key_file;
	to->ca_hash = from->ca_hash;
	to->cert_hash = from->cert_hash;
	to->key_hash = from->key_hash;
}

void tls_server_renew(struct tls_server **sp, const struct tls_conf *c, const char *listener)
{
	struct err e;
	struct tls_server *t = tls_server_new(c, &e);

	if (!t) {
		log_error("certificate not taken over", F_STR("listener", listener), F_ERR(&e),
			F_STR("then", "the one in use stays"));
		return;
	}
	tls_server_free(sp);
	*sp = t;
}
