/* TLS settings made into contexts: TLS 1.2 and up, certificates checked unless said otherwise.
 * Reference-counted and immutable, usable from every loop. OpenSSL's ssl.h is included by tls.c
 * and tls_link.c only; a connection is a stream (stream.h).
 */
#ifndef POSTERN_BASE_TLS_H
#define POSTERN_BASE_TLS_H

#include "gateway/base/conf.h"
#include "gateway/base/err.h"

struct tls_client;
struct tls_server;

struct tls_conf {
	const char *mode; /* none | may | must | implicit (protocols say which they know) */
	bool verify;
	const char *ca_file, *cert_file, *key_file;
	uint64_t ca_hash, cert_hash, key_hash; /* of what they held when loaded (CONF_FILE) */
	const char *server_name;               /* SNI and the name checked; default: the host */
	bool given;                            /* the group was there */
	const char *alpn; /* set by the protocol: offered, or the only one taken ("h2") */
};

/* ca_file NULL: the system's store. host: the name to check and to send. */
struct tls_client *tls_client_new(const struct tls_conf *c, const char *host, struct err *e);
/* The same settings and store for another name (cheap: one per MX host is fine). */
struct tls_client *tls_client_named(struct tls_client *c, const char *host);
/* The same for another name, and its certificate is checked whatever the settings say. */
struct tls_client *tls_client_strict(struct tls_client *c, const char *host);
/* DANE (RFC 7671, 7672): for that host, known by TLSA records alone, of usage 2 or 3. `also`:
 * another name that certificates under an authority of usage 2 may be for, or NULL. NULL: no record
 * can be used. Records are copied. */
struct tls_tlsa {
	uint8_t usage, selector, matching;
	const void *data;
	size_t n;
};
struct tls_client *tls_client_dane(struct tls_client *c, const char *host, const char *also,
	const struct tls_tlsa *v, size_t n);
struct tls_client *tls_client_ref(struct tls_client *c);
void tls_client_free(struct tls_client **cp);
/* Certificate files are read here; ca_file makes client certificates obligatory. */
struct tls_server *tls_server_new(const struct tls_conf *c, struct err *e);
struct tls_server *tls_server_ref(struct tls_server *s);
void tls_server_free(struct tls_server **sp);
/* The files read again, which may have been renewed in place, for connections from now on. When
 * they are not usable the log says so, and the one in use stays. */
void tls_server_renew(struct tls_server **sp, const struct tls_conf *c, const char *listener);
/* Can such a context be made? For the check of a configuration: a fault at `at` if not, which names
 * the file. */
void tls_check_client(const struct tls_conf *c, const struct conf_where *at, struct conf_faults *f);
void tls_check_server(const struct tls_conf *c, const struct conf_where *at, struct conf_faults *f);
/* `to` with the files of `from`: two settings that differ in their files alone are equal so. */
void tls_conf_take_files(struct tls_conf *to, const struct tls_conf *from);

#endif
