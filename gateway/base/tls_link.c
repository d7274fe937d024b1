/* One TLS connection: OpenSSL between a stream's buffers and its descriptor. See tls_link.h.
 *
 * The BIO is ours: writing appends to the stream's wire buffer and always succeeds, reading is a
 * recv. What OpenSSL says went wrong is put into words that tell the operator what to do.
 */
#include "gateway/base/tls_link.h"
#include "gateway/base/mem.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

struct tls_link {
	SSL *ssl;
	struct buf *wire;
	int fd, error; /* errno of the last recv */
	bool eof, server, failed;
	struct tls_client *client; /* held: what they point to is in use */
	struct tls_server *serves;
	char *name;     /* that the certificate should be for */
	char *distrust; /* why the certificate was refused, or NULL */
	char cipher[80], alpn[64];
};

const char *net_error_text(int error)
{
	const char *text;

	switch (error) {
	case ECONNREFUSED:
		return "connection refused";
	case ECONNRESET:
		return "connection reset by peer";
	case EPIPE:
		return "connection closed by peer";
	case ETIMEDOUT:
		return "connection timed out";
	case EHOSTUNREACH:
		return "no route to host";
	case ENETUNREACH:
		return "network is unreachable";
	case EADDRNOTAVAIL:
		return "cannot assign requested address";
	}
	text = strerrordesc_np(error);
	return text ? text : "unknown error";
}

/* ---- the BIO ---- */

static int link_bio_write(BIO *b, const char *p, int n)
{
	struct tls_link *l = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	if (n > 0)
		buf_add(l->wire, p, (size_t)n);
	return n;
}

static int link_bio_read(BIO *b, char *p, int n)
{
	struct tls_link *l = BIO_get_data(b);
	ssize_t got;

	BIO_clear_retry_flags(b);
	do
		got = recv(l->fd, p, (size_t)n, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0) {
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			BIO_set_retry_read(b);
		else
			l->error = errno;
	}
	l->eof |= got == 0;
	return (int)got;
}

static long link_bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	struct tls_link *l = BIO_get_data(b);

	switch (cmd) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return l->eof;
	}
	return 0;
}

static BIO_METHOD *bio_method;

static void bio_method_init(void)
{
	int type = BIO_get_new_index();

	CHECK(type != -1);
	bio_method = BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "postern");
	CHECK(bio_method);
	BIO_meth_set_write(bio_method, link_bio_write);
	BIO_meth_set_read(bio_method, link_bio_read);
	BIO_meth_set_ctrl(bio_method, link_bio_ctrl);
}

/* ---- certificates refused, in words ---- */

/* "smsc.example, 192.0.2.1": the first names of a certificate, else its common name. */
static void cert_names(X509 *cert, struct buf *b)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	int shown = 0;
	char text[256];

	for (int i = 0; names && i < sk_GENERAL_NAME_num(names) && shown < 3; i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
		const unsigned char *ip;

		if (g->type != GEN_DNS && g->type != GEN_IPADD)
			continue;
		if (shown++)
			buf_c(b, ", ");
		if (g->type == GEN_DNS) {
			buf_add(b, ASN1_STRING_get0_data(g->d.dNSName),
				(size_t)ASN1_STRING_length(g->d.dNSName));
			continue;
		}
		ip = ASN1_STRING_get0_data(g->d.iPAddress);
		if (ASN1_STRING_length(g->d.iPAddress) == 4)
			buf_printf(b, "%u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
		else
			buf_c(b, "an IPv6 address");
	}
	GENERAL_NAMES_free(names);
	if (shown)
		return;
	if (X509_NAME_get_text_by_NID(
		    X509_get_subject_name(cert), NID_commonName, text, sizeof text) > 0)
		buf_c(b, text);
	else
		buf_c(b, "nobody by name");
}

static void cert_date(const ASN1_TIME *t, struct buf *b)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm) == 1)
		buf_printf(b, " (%04d-%02d-%02d)", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
}

static void distrust_put(struct buf *b, const struct tls_link *l, int code, X509 *cert)
{
	char text[256];

	switch (code) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		buf_c(b, "certificate has expired");
		if (cert)
			cert_date(X509_get0_notAfter(cert), b);
		return;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		buf_c(b, "certificate is not valid yet");
		if (cert)
			cert_date(X509_get0_notBefore(cert), b);
		return;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		buf_c(b, "certificate is for ");
		if (cert)
			cert_names(cert, b);
		buf_printf(b, ", not %s", l->name ? l->name : "");
		return;
	case X509_V_ERR_DANE_NO_MATCH:
		buf_c(b, "certificate is none of those that DANE (TLSA records) names");
		return;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		buf_c(b, "certificate is self-signed and not in ca_file");
		return;
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		buf_c(b, "certificate is from an authority not trusted here");
		if (cert && X509_NAME_get_text_by_NID(X509_get_issuer_name(cert), NID_commonName,
				    text, sizeof text) > 0)
			buf_printf(b, " (%s)", text);
		return;
	}
	buf_printf(b, "certificate: %s", X509_verify_cert_error_string(code));
}

/* Called by OpenSSL for each finding; only here the refused certificate is still at hand. */
static int cert_verified(int ok, X509_STORE_CTX *store)
{
	SSL *ssl;
	struct tls_link *l;
	struct buf b = BUF_INIT;

	if (ok)
		return 1;
	ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	l = SSL_get_app_data(ssl);
	distrust_put(
		&b, l, X509_STORE_CTX_get_error(store), X509_STORE_CTX_get_current_cert(store));
	/* Names come from outside: nothing that could forge a line of the log. */
	for (size_t i = 0; i < b.n; i++)
		if ((unsigned char)b.p[i] < ' ' || b.p[i] == 0x7f)
			b.p[i] = '?';
	mem_free(&l->distrust);
	l->distrust = mem_dup(buf_view(&b));
	buf_free(&b);
	return 0;
}

/* ---- errors in words ---- */

static const char *alert_words(int reason)
{
	switch (reason) {
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
		return "the far side wants a client certificate";
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
		return "the far side does not trust our certificate's authority";
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
		return "the far side refused our certificate";
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
		return "the far side says our certificate has expired";
	case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
		return "the far side found nothing in common (handshake failure)";
	case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_VERSION_TOO_LOW:
		return "no TLS version in common (1.2 or later is spoken here)";
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
	case SSL_R_PACKET_LENGTH_TOO_LONG:
		return "the far side does not speak TLS here";
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		return "the far side gave no client certificate";
	case SSL_R_NO_SHARED_CIPHER:
		return "no cipher in common";
	case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
		return "no application protocol in common (ALPN)";
	}
	return NULL;
}

static int link_failed(struct tls_link *l, int ssl_error, struct err *e)
{
	bool early = !SSL_is_init_finished(l->ssl);
	unsigned long code = ERR_peek_error();
	int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
	const char *what = early ? "TLS handshake" : "TLS", *words;

	ERR_clear_error();
	l->failed = true;
	if (l->distrust)
		return err_set(e, ERR_ENV, "%s: %s", what, l->distrust);
	if (l->error)
		return err_set(e, ERR_ENV, "%s%s", early ? "TLS handshake: " : "",
			net_error_text(l->error));
	if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING ||
		(ssl_error == SSL_ERROR_SYSCALL && l->eof))
		return err_set(e, ERR_ENV,
			early ? "TLS handshake: closed by peer"
			      : "closed by peer without TLS close_notify");
	words = alert_words(reason);
	if (!words)
		words = ERR_reason_error_string(code);
	return err_set(e, ERR_ENV, "%s: %s", what, words ? words : "failed");
}

/* ---- the connection ---- */

static struct tls_link *link_new(SSL *ssl, int fd, struct buf *wire)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct tls_link *l = mem_new(struct tls_link);
	BIO *bio;

	pthread_once(&once, bio_method_init);
	l->ssl = ssl;
	l->fd = fd;
	l->wire = wire;
	bio = BIO_new(bio_method);
	CHECK(bio);
	BIO_set_data(bio, l);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_app_data(ssl, l);
	if (SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE)
		SSL_set_verify(ssl, SSL_get_verify_mode(ssl), cert_verified);
	return l;
}

struct tls_link *tls_link_client(struct tls_client *c, int fd, struct buf *wire)
{
	struct tls_link *l = link_new(tls_client_open(c), fd, wire);

	l->client = tls_client_ref(c);
	l->name = mem_dup(str_of(tls_client_name(c)));
	return l;
}

struct tls_link *tls_link_server(struct tls_server *s, int fd, struct buf *wire)
{
	struct tls_link *l = link_new(tls_server_open(s), fd, wire);

	l->server = true;
	l->serves = tls_server_ref(s);
	return l;
}

void tls_link_free(struct tls_link **lp)
{
	struct tls_link *l = *lp;

	if (!l)
		return;
	SSL_free(l->ssl);
	tls_client_free(&l->client);
	tls_server_free(&l->serves);
	mem_free(&l->name);
	mem_free(&l->distrust);
	mem_free(lp);
}

int tls_link_handshake(struct tls_link *l, struct err *e)
{
	int rc, why;

	ERR_clear_error();
	rc = SSL_do_handshake(l->ssl);
	if (rc == 1)
		return 1;
	why = SSL_get_error(l->ssl, rc);
	return why == SSL_ERROR_WANT_READ ? 0 : link_failed(l, why, e);
}

ssize_t tls_link_read(struct tls_link *l, void *p, size_t n, struct err *e)
{
	size_t got;
	int rc, why;

	ERR_clear_error();
	rc = SSL_read_ex(l->ssl, p, n, &got);
	if (rc == 1)
		return (ssize_t)got;
	why = SSL_get_error(l->ssl, rc);
	if (why == SSL_ERROR_WANT_READ)
		return TLS_LATER;
	if (why == SSL_ERROR_ZERO_RETURN)
		return TLS_END;
	link_failed(l, why, e);
	return TLS_FAILED;
}

bool tls_link_pending(struct tls_link *l)
{
	return SSL_has_pending(l->ssl) == 1;
}

int tls_link_write(struct tls_link *l, const void *p, size_t n, struct err *e)
{
	const char *at = p;

	ERR_clear_error();
	while (n) {
		size_t put;
		int rc = SSL_write_ex(l->ssl, at, n, &put);

		if (rc != 1)
			return link_failed(l, SSL_get_error(l->ssl, rc), e);
		at += put;
		n -= put;
	}
	return 0;
}

void tls_link_bye(struct tls_link *l)
{
	if (l->failed || !SSL_is_init_finished(l->ssl))
		return;
	ERR_clear_error();
	SSL_shutdown(l->ssl);
	ERR_clear_error();
}

const char *tls_link_alpn(struct tls_link *l)
{
	const unsigned char *name;
	unsigned n;

	SSL_get0_alpn_selected(l->ssl, &name, &n);
	if (!n || n >= sizeof l->alpn)
		return "";
	str_copy(l->alpn, sizeof l->alpn, str_n(name, n));
	return l->alpn;
}

const char *tls_link_cipher(struct tls_link *l)
{
	if (!SSL_is_init_finished(l->ssl))
		return "";
	snprintf(l->cipher, sizeof l->cipher, "%s %s", SSL_get_version(l->ssl),
		SSL_get_cipher_name(l->ssl));
	return l->cipher;
}
