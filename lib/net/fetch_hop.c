/* fetch_hop.c - one hop of a fetch: libcurl's options for it, what may not leave its origin, and
 * where a redirect leads. SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/net/fetch_internal.h"

#define CONNECT_MS 15000u
/* Loopback and fast links: fewer turns of the loop for the same bytes. Of this, only what is used
 * becomes resident. */
#define BUFFER_BYTES (256L << 10)

void fetch_copy_init(struct fetch_copy *c, const struct fetch_request *r)
{
	bool sends = r->body || r->n_parts;
	*c = (struct fetch_copy){.body_len = r->body_len,
				 .connect_ms = r->connect_ms ? r->connect_ms : CONNECT_MS,
				 .stall_ms = r->stall_ms,
				 .total_ms = r->total_ms,
				 .unshared = r->unshared,
				 .n_parts = r->n_parts};
	c->method = xstrdup(r->method ? r->method : sends ? "POST" : "GET");
	c->policy = policy_copy(r->policy);
	if (r->bearer && bearer_valid(r->bearer))
		secret_copy(&c->bearer, r->bearer);
	for (const char *const *h = r->headers; h && *h; h++)
		c->headers = curl_slist_append(c->headers, *h);
	if (r->body) {
		c->body = xmalloc(r->body_len + 1);
		memcpy(c->body, r->body, r->body_len);
		c->content_type = xstrdup(r->content_type ? r->content_type : "application/json");
	}
	c->parts = xcalloc(r->n_parts + 1, sizeof *c->parts);
	for (size_t i = 0; i < r->n_parts; i++)
		c->parts[i] = (struct fetch_part){
		    .name = xstrdup(r->parts[i].name),
		    .value = xstrdup_opt(r->parts[i].value),
		    .file_path = xstrdup_opt(r->parts[i].file_path),
		    .file_name = xstrdup_opt(r->parts[i].file_name),
		    .content_type = xstrdup_opt(r->parts[i].content_type),
		};
}

void fetch_copy_fini(struct fetch_copy *c)
{
	for (size_t i = 0; i < c->n_parts; i++) {
		free((char *)c->parts[i].name);
		free((char *)c->parts[i].value);
		free((char *)c->parts[i].file_path);
		free((char *)c->parts[i].file_name);
		free((char *)c->parts[i].content_type);
	}
	free(c->parts);
	curl_slist_free_all(c->headers);
	policy_free(c->policy);
	secret_clear(&c->bearer);
	free(c->method);
	free(c->body);
	free(c->content_type);
}

/* ---- where the socket goes ---- */

/* For each address that the name has; another one may still be allowed. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct fetch *f = arg;
	(void)purpose;
	if (!f->any_address && !f->via_proxy && policy_address(&f->here, &a->addr, &f->err)) {
		f->fault = FETCH_REFUSED;
		return CURL_SOCKET_BAD;
	}
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* Also for a kept connection, which some other exchange may have opened by other rules. */
static int check_peer(void *arg, char *peer, char *own, int peer_port, int own_port)
{
	struct fetch *f = arg;
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	const void *sa = &v4;
	(void)own;
	(void)peer_port;
	(void)own_port;
	if (f->fault == FETCH_REFUSED) { /* of another address of the same name */
		f->fault = FETCH_OK;
		err_clear(&f->err);
	}
	if (f->any_address || f->via_proxy)
		return CURL_PREREQFUNC_OK;
	if (inet_pton(AF_INET, peer, &v4.sin_addr) != 1) {
		inet_pton(AF_INET6, peer, &v6.sin6_addr);
		sa = &v6;
	}
	if (!policy_address(&f->here, sa, &f->err))
		return CURL_PREREQFUNC_OK;
	f->fault = FETCH_REFUSED;
	return CURL_PREREQFUNC_ABORT;
}

static void set_way(struct fetch *f)
{
	CURL *easy = f->t.easy;
	auto_free char *proxy = f->req.policy ? proxy_for(&f->here) : xstrdup("");
	f->via_proxy = proxy[0] != '\0';
	curl_easy_setopt(easy, CURLOPT_PROXY, proxy);
	curl_easy_setopt(easy, CURLOPT_NOPROXY, f->via_proxy ? "" : "*");
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, f);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, check_peer);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, f);
	curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, f->t.net->max_age_s);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)f->req.connect_ms);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, (long)f->req.unshared);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, (long)f->req.unshared);
}

/* ---- what is sent ---- */

static bool header_valid(const char *line)
{
	for (const char *p = line; *p; p++)
		if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
			return false;
	return strchr(line, ':') != NULL;
}

/* Names who asks; for the first origin alone. */
static bool header_secret(const char *line)
{
	return strncasecmp(line, "Authorization:", 14) == 0 || strncasecmp(line, "Cookie:", 7) == 0;
}

static void add_header(struct fetch *f, const char *line)
{
	f->headers = curl_slist_append(f->headers, line);
}

static void add_bearer(struct fetch *f)
{
	if (!secret_is_set(&f->req.bearer))
		return;
	auto_free char *text = xasprintf("Authorization: Bearer %s", secret_reveal(&f->req.bearer));
	add_header(f, text);
	explicit_bzero(text, strlen(text));
}

static int set_headers(struct fetch *f, struct err *e)
{
	bool home = origin_equal(&f->first, &f->here);
	for (struct curl_slist *h = f->req.headers; h; h = h->next) {
		if (!header_valid(h->data))
			return err_set(e, EINVAL, "a header of the request holds what none may");
		if (home || !header_secret(h->data))
			add_header(f, h->data);
	}
	if (home)
		add_bearer(f);
	if (f->req.content_type) {
		auto_free char *type = xasprintf("Content-Type: %s", f->req.content_type);
		add_header(f, type);
	}
	add_header(f, "Expect:"); /* the body goes out at once */
	curl_easy_setopt(f->t.easy, CURLOPT_HTTPHEADER, f->headers);
	return 0;
}

static void add_part(struct fetch *f, const struct fetch_part *p)
{
	curl_mimepart *part = curl_mime_addpart(f->mime);
	curl_mime_name(part, p->name);
	if (p->file_path) {
		curl_mime_filedata(part, p->file_path);
		curl_mime_filename(part, p->file_name ? p->file_name : "file");
	} else {
		curl_mime_data(part, p->value ? p->value : "", CURL_ZERO_TERMINATED);
	}
	if (p->content_type)
		curl_mime_type(part, p->content_type);
}

static int set_body(struct fetch *f, struct err *e)
{
	CURL *easy = f->t.easy;
	const struct fetch_copy *c = &f->req;
	for (size_t i = 0; i < c->n_parts; i++)
		if (c->parts[i].file_path && access(c->parts[i].file_path, R_OK) < 0)
			return err_sys(e, errno, "cannot send %s", c->parts[i].file_path);
	if (c->n_parts) {
		f->mime = curl_mime_init(easy);
		for (size_t i = 0; i < c->n_parts; i++)
			add_part(f, &c->parts[i]);
		curl_easy_setopt(easy, CURLOPT_MIMEPOST, f->mime);
	} else if (c->body) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, c->body);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->body_len);
	} else if (strcmp(c->method, "HEAD") == 0) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	} else if (strcmp(c->method, "GET") != 0 && strcmp(c->method, "DELETE") != 0) {
		/* Some servers want to read that there is none. */
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
	}
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, c->method);
	return 0;
}

int hop_open(struct fetch *f, struct err *e)
{
	struct origin o;
	int rc = origin_parse(&o, f->url, e);
	if (rc)
		return rc;
	if (!f->redirects)
		rc = origin_parse(&f->first, f->url, e);
	origin_fini(&f->here);
	f->here = o;
	if (rc)
		return rc;
	rc = policy_origin(f->req.policy, &f->here, &f->any_address, e);
	if (rc)
		return rc;
	transfer_init(&f->t, f->t.net, &f->t.net->multi, f->url);
	curl_easy_setopt(f->t.easy, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
	head_init(&f->head, clock_wall(&f->t.net->loop->clock));
	set_way(f);
	rc = set_headers(f, e);
	return rc ? rc : set_body(f, e);
}

void hop_close(struct fetch *f)
{
	transfer_fini(&f->t);
	for (struct curl_slist *h = f->headers; h; h = h->next)
		explicit_bzero(h->data, strlen(h->data));
	curl_slist_free_all(f->headers);
	f->headers = NULL;
	curl_mime_free(f->mime);
	f->mime = NULL;
	head_fini(&f->head);
}

/* ---- redirects ---- */

/* What has a body is never sent again elsewhere, and a server of our own sends nobody away. */
bool hop_leaves(const struct fetch *f)
{
	static const int codes[] = {301, 302, 303, 307, 308};
	if (!f->req.policy || f->req.body || f->req.n_parts || !f->head.location ||
	    (strcmp(f->req.method, "GET") != 0 && strcmp(f->req.method, "HEAD") != 0))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (f->head.f.status == codes[i])
			return true;
	return false;
}

int hop_next(struct fetch *f, struct err *e)
{
	if (++f->redirects > FETCH_MAX_REDIRECTS)
		return err_set(e, ELOOP, "the address redirects more than %d times",
			       FETCH_MAX_REDIRECTS);
	CURLU *u = curl_url();
	char *next = NULL;
	bool ok = u && !curl_url_set(u, CURLUPART_URL, f->url, 0) &&
		  !curl_url_set(u, CURLUPART_URL, f->head.location, CURLU_NON_SUPPORT_SCHEME) &&
		  !curl_url_get(u, CURLUPART_URL, &next, 0);
	if (ok)
		str_replace(&f->url, next);
	curl_free(next);
	curl_url_cleanup(u);
	if (!ok)
		return err_set(e, EINVAL, "the address redirects to what is no address");
	hop_close(f);
	return hop_open(f, e);
}
