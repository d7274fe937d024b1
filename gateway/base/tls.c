/* TLS settings made into OpenSSL contexts. See tls.h. What a connection does: tls_link.c. */
#include "gateway/base/tls.h"
#include "gateway/base/mem.h"
#include "gateway/base/stream.h"
#include "gateway/base/tls_link.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>

struct tls_client {
	atomic_int refs;
	SSL_CTX *ctx;
	char *name; /* sent as SNI and checked */
	bool verify, fixed_name;
	char *also; /* DANE */
	struct tls_tlsa *tlsa;
	size_t tlsa_n;
};

struct tls_server {
	atomic_int refs;
	SSL_CTX *ctx;
	char alpn[64]; /* the wire form: length byte, name */
};

/* The reason on top of OpenSSL's queue, and an empty queue. */
static const char *ssl_reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return text ? text : "not usable";
}

/* No prompt on a terminal: a key with a passphrase is a fault of the configuration. */
static int no_passphrase(char *text, int size, int writing, void *arg)
{
	return -1;
}

static int file_check(const char *key, const char *path, struct err *e)
{
	FILE *f = fopen(path, "re");

	if (!f)
		return err_set(e, ERR_CONF, "tls.%s %s: %m", key, path);
	fclose(f);
	return 0;
}

static int ctx_certificate(SSL_CTX *ctx, const struct tls_conf *c, struct err *e)
{
	const char *key = c->key_file ? c->key_file : c->cert_file;

	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	if (file_check("cert_file", c->cert_file, e) < 0 || file_check("key_file", key, e) < 0)
		return -1;
	if (SSL_CTX_use_certificate_chain_file(ctx, c->cert_file) != 1)
		return err_set(e, ERR_CONF, "tls.cert_file %s: %s", c->cert_file, ssl_reason());
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1) {
		if (ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH) {
			ERR_clear_error();
			return err_set(e, ERR_CONF, "tls.key_file %s is not the key of %s", key,
				c->cert_file);
		}
		return err_set(e, ERR_CONF, "tls.key_file %s: %s", key, ssl_reason());
	}
	if (SSL_CTX_check_private_key(ctx) != 1) {
		ERR_clear_error();
		return err_set(
			e, ERR_CONF, "tls.key_file %s is not the key of %s", key, c->cert_file);
	}
	return 0;
}

static int ctx_authorities(SSL_CTX *ctx, const char *ca_file, struct err *e)
{
	if (file_check("ca_file", ca_file, e) < 0)
		return -1;
	if (SSL_CTX_load_verify_file(ctx, ca_file) != 1)
		return err_set(e, ERR_CONF, "tls.ca_file %s: %s", ca_file, ssl_reason());
	return 0;
}

/* What both sides share. */
static SSL_CTX *ctx_new(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	CHECK(ctx);
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	/* Idle connections keep no buffers; several records come in by one read. */
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_ENABLE_PARTIAL_WRITE);
	SSL_CTX_set_read_ahead(ctx, 1);
	/* Connections live long here; tickets would cost each of them memory for nothing. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(ctx, 0);
	return ctx;
}

/* One protocol name in ALPN's form (RFC 7301 §3.1); its length, 0 when there is none. */
static unsigned alpn_wire(const char *name, char wire[64])
{
	size_t n = name ? strlen(name) : 0;

	if (n == 0 || n > 62)
		return 0;
	wire[0] = (char)n;
	str_copy(wire + 1, 63, str_of(name));
	return (unsigned)n + 1;
}

/* ---- clients ---- */

struct tls_client *tls_client_new(const struct tls_conf *c, const char *host, struct err *e)
{
	struct tls_client *t = mem_new(struct tls_client);
	char alpn[64];
	unsigned alpn_n = alpn_wire(c->alpn, alpn);

	t->refs = 1;
	t->ctx = ctx_new(TLS_client_method());
	SSL_CTX_dane_enable(t->ctx); /* for connections that have records */
	t->verify = c->verify;
	t->fixed_name = c->server_name && *c->server_name;
	t->name = mem_dup(str_of(t->fixed_name ? c->server_name : host));
	if (c->ca_file) {
		if (ctx_authorities(t->ctx, c->ca_file, e) < 0)
			goto fail;
	} else if (SSL_CTX_set_default_verify_paths(t->ctx) != 1) {
		err_set(e, ERR_ENV, "tls: the system's store of authorities: %s", ssl_reason());
		goto fail;
	}
	if (c->cert_file && ctx_certificate(t->ctx, c, e) < 0)
		goto fail;
	if (alpn_n)
		CHECK(SSL_CTX_set_alpn_protos(t->ctx, (const void *)alpn, alpn_n) == 0);
	return t;
fail:
	tls_client_free(&t);
	return NULL;
}

struct tls_client *tls_client_named(struct tls_client *c, const char *host)
{
	struct tls_client *t = mem_new(struct tls_client);

	t->refs = 1;
	t->ctx = c->ctx;
	SSL_CTX_up_ref(t->ctx);
	t->verify = c->verify;
	t->fixed_name = c->fixed_name;
	t->name = mem_dup(str_of(c->fixed_name ? c->name : host));
	return t;
}

struct tls_client *tls_client_strict(struct tls_client *c, const char *host)
{
	struct tls_client *t = tls_client_named(c, host);

	t->verify = true;
	return t;
}

/* RFC 7672 §3.1: those of usage 0 and 1 are not for mail. */
static bool tlsa_usable(const struct tls_tlsa *r)
{
	return (r->usage == 2 || r->usage == 3) && r->selector <= 1 && r->matching <= 2 && r->n &&
	       (r->matching != 1 || r->n == 32) && (r->matching != 2 || r->n == 64);
}

struct tls_client *tls_client_dane(struct tls_client *c, const char *host, const char *also,
	const struct tls_tlsa *v, size_t n)
{
	struct tls_client *t = tls_client_strict(c, host);

	t->also = also ? mem_dup(str_of(also)) : NULL;
	t->tlsa = mem_alloc((n + 1) * sizeof *t->tlsa);
	for (size_t i = 0; i < n; i++) {
		struct tls_tlsa *r = &t->tlsa[t->tlsa_n];

		if (!tlsa_usable(&v[i]))
			continue;
		*r = v[i];
		r->data = memcpy(mem_raw(v[i].n), v[i].data, v[i].n);
		t->tlsa_n++;
	}
	if (!t->tlsa_n)
		tls_client_free(&t);
	return t;
}

struct tls_client *tls_client_ref(struct tls_client *c)
{
	atomic_fetch_add(&c->refs, 1);
	return c;
}

void tls_client_free(struct tls_client **cp)
{
	struct tls_client *c = *cp;

	*cp = NULL;
	if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	SSL_CTX_free(c->ctx);
	for (size_t i = 0; i < c->tlsa_n; i++)
		mem_free(&c->tlsa[i].data);
	mem_free(&c->tlsa);
	mem_free(&c->also);
	mem_free(&c->name);
	mem_free(&c);
}

const char *tls_client_name(const struct tls_client *c)
{
	return c->name;
}

/* Sends SNI and checks names itself. A record that OpenSSL cannot read is as good as absent; when
 * that leaves none, nothing will match. */
static void dane_open(struct tls_client *c, SSL *ssl)
{
	CHECK(SSL_dane_enable(ssl, c->name) == 1);
	SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	for (size_t i = 0; i < c->tlsa_n; i++) {
		const struct tls_tlsa *r = &c->tlsa[i];

		SSL_dane_tlsa_add(ssl, r->usage, r->selector, r->matching, r->data, r->n);
	}
	if (c->also)
		SSL_add1_host(ssl, c->also);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	ERR_clear_error();
}

SSL *tls_client_open(struct tls_client *c)
{
	SSL *ssl = SSL_new(c->ctx);
	union addr a;
	bool numeric = addr_parse(str_of(c->name), 0, &a);

	CHECK(ssl);
	SSL_set_connect_state(ssl);
	if (c->tlsa_n) {
		dane_open(c, ssl);
		return ssl;
	}
	/* RFC 6066 §3: no literal addresses in SNI. */
	if (!numeric && *c->name)
		SSL_set_tlsext_host_name(ssl, c->name);
	if (!c->verify)
		return ssl;
	if (numeric)
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), c->name);
	else
		SSL_set1_host(ssl, c->name);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	return ssl;
}

/* ---- servers ---- */

static int alpn_choose(SSL *ssl, const unsigned char **out, unsigned char *out_n,
	const unsigned char *in, unsigned in_n, void *arg)
{
	struct tls_server *s = arg;

	for (unsigned i = 0; i < in_n; i += 1u + in[i]) {
		if (i + 1u + in[i] > in_n)
			break;
		if (in[i] == s->alpn[0] && memcmp(in + i + 1, s->alpn + 1, in[i]) == 0) {
			*out = in + i + 1;
			*out_n = in[i];
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 §3.2: no_application_protocol */
}

struct tls_server *tls_server_new(const struct tls_conf *c, struct err *e)
{
	struct tls_server *t;

	if (!c->cert_file) {
		err_set(e, ERR_CONF, "tls.cert_file is missing: a listener needs a certificate");
		return NULL;
	}
	t = mem_new(struct tls_server);
	t->refs = 1;
	t->ctx = ctx_new(TLS_server_method());
	SSL_CTX_set_options(t->ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
	if (ctx_certificate(t->ctx, c, e) < 0)
		goto fail;
	if (c->ca_file) {
		STACK_OF(X509_NAME) * names;

		if (ctx_authorities(t->ctx, c->ca_file, e) < 0)
			goto fail;
		names = SSL_load_client_CA_file(c->ca_file);
		if (!names) {
			err_set(e, ERR_CONF, "tls.ca_file %s: %s", c->ca_file, ssl_reason());
			goto fail;
		}
		SSL_CTX_set_client_CA_list(t->ctx, names);
		SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	}
	if (alpn_wire(c->alpn, t->alpn))
		SSL_CTX_set_alpn_select_cb(t->ctx, alpn_choose, t);
	return t;
fail:
	tls_server_free(&t);
	return NULL;
}

struct tls_server *tls_server_ref(struct tls_server *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

void tls_server_free(struct tls_server **sp)
{
	struct tls_server *s = *sp;

	*sp = NULL;
	if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	SSL_CTX_free(s->ctx);
	mem_free(&s);
}

SSL *tls_server_open(struct tls_server *s)
{
	SSL *ssl = SSL_new(s->ctx);

	CHECK(ssl);
	SSL_set_accept_state(ssl);
	return ssl;
}
