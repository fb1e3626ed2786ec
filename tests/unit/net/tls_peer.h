/* tls_peer.h - certificates made on the spot, and a thread that serves HTTPS and one WebSocket
 * message with them. SPDX-License-Identifier: MIT */
#ifndef TESTS_TLS_PEER_H
#define TESTS_TLS_PEER_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct cert {
	X509 *x509;
	EVP_PKEY *key;
};

static inline void cert_extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
}

/* Valid from `from` to `to` seconds from now; signed by ca, or by itself when ca is NULL. */
static inline struct cert cert_new(const struct cert *ca, const char *name, const char *san,
				   long from, long to)
{
	struct cert c = {X509_new(), EVP_EC_gen("P-256")};
	static long serial = 1;
	X509_set_version(c.x509, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(c.x509), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(c.x509), from);
	X509_gmtime_adj(X509_getm_notAfter(c.x509), to);
	X509_set_pubkey(c.x509, c.key);
	X509_NAME *subject = X509_get_subject_name(c.x509);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
				   0);
	X509_set_issuer_name(c.x509, ca ? X509_get_subject_name(ca->x509) : subject);
	X509 *issuer = ca ? ca->x509 : c.x509;
	if (san)
		cert_extend(c.x509, issuer, NID_subject_alt_name, san);
	else
		cert_extend(c.x509, issuer, NID_basic_constraints, "critical,CA:TRUE");
	X509_sign(c.x509, ca ? ca->key : c.key, EVP_sha256());
	return c;
}

static inline void cert_free(struct cert *c)
{
	X509_free(c->x509);
	EVP_PKEY_free(c->key);
}

static inline void cert_write(const struct cert *c, const char *path)
{
	FILE *f = fopen(path, "w");
	PEM_write_X509(f, c->x509);
	fclose(f);
}

struct tls_peer {
	SSL_CTX *ctx;
	pthread_t thread;
	int listener, port;
	/* Held back: after an upgrade nothing is read until a byte comes out of this pipe; at
	 * `want` bytes it says "all". */
	int gate;
	size_t want;
};

static inline void tls_accept_key(const char *request, char out[64])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	char key[64] = "", text[128];
	const char *at = strstr(request, "Sec-WebSocket-Key: ");
	if (at)
		sscanf(at, "Sec-WebSocket-Key: %63[^\r]", key);
	snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
	EVP_Digest(text, strlen(text), digest, &n, EVP_sha1(), NULL);
	EVP_EncodeBlock((unsigned char *)out, digest, (int)n);
}

/* Reads on, as a peer whose hands were full does. */
static inline void tls_drain(SSL *ssl, struct tls_peer *p)
{
	char in[16384];
	size_t total = 0;
	int n;
	if (p->gate >= 0)
		(void)!read(p->gate, in, 1);
	while ((n = SSL_read(ssl, in, sizeof in)) > 0) {
		total += (size_t)n;
		if (p->gate >= 0 && total >= p->want)
			SSL_write(ssl,
				  "\x81\x03"
				  "all",
				  5);
	}
}

static inline void tls_serve(SSL *ssl, struct tls_peer *p)
{
	char in[8192] = "", out[1024], accept[64];
	size_t len = 0;
	while (!strstr(in, "\r\n\r\n") && len < sizeof in - 1) {
		int n = SSL_read(ssl, in + len, (int)(sizeof in - 1 - len));
		if (n <= 0)
			return;
		len += (size_t)n;
		in[len] = '\0';
	}
	if (strstr(in, "Upgrade: websocket")) {
		tls_accept_key(in, accept);
		snprintf(out, sizeof out,
			 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
			 "Upgrade\r\nSec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: "
			 "studio-worker-v1\r\n\r\n\x81\x06secret",
			 accept);
	} else {
		snprintf(out, sizeof out, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
	}
	SSL_write(ssl, out, (int)strlen(out));
	tls_drain(ssl, p);
}

static inline void *tls_run(void *arg)
{
	struct tls_peer *p = arg;
	int fd;
	while ((fd = accept(p->listener, NULL, NULL)) >= 0) {
		SSL *ssl = SSL_new(p->ctx);
		SSL_set_fd(ssl, fd);
		if (SSL_accept(ssl) == 1)
			tls_serve(ssl, p);
		SSL_free(ssl);
		close(fd);
	}
	return NULL;
}

/* listener is closed by tls_peer_stop(). */
static inline void tls_peer_start(struct tls_peer *p, const struct cert *c, int listener, int port)
{
	*p = (struct tls_peer){.ctx = SSL_CTX_new(TLS_server_method()),
			       .listener = listener,
			       .port = port,
			       .gate = -1};
	SSL_CTX_use_certificate(p->ctx, c->x509);
	SSL_CTX_use_PrivateKey(p->ctx, c->key);
	pthread_create(&p->thread, NULL, tls_run, p);
}

static inline void tls_peer_stop(struct tls_peer *p)
{
	shutdown(p->listener, SHUT_RDWR); /* accept() returns */
	pthread_join(p->thread, NULL);
	close(p->listener);
	SSL_CTX_free(p->ctx);
}

#endif
