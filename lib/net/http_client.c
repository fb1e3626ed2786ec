/* http_client.c - one HTTP exchange: JSON or a multipart upload streamed from disk, the reply
 * capped. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/net/client.h"

#define STALL_SECONDS 30L
#define REPLY_MS      60000u

/* Everything of one request that curl reads while it runs. */
struct body {
	char *json;
	struct curl_slist *headers;
	curl_mime *mime;
	struct buf reply;
	bool too_long;
};

struct exchange {
	struct transfer t; /* first */
	struct body body;
	http_done *done;
	void *arg;
	curl_off_t sent;
	uint64_t sent_at; /* when the last bytes of the request went out */
	bool reply_late, cancelled;
};

static size_t on_reply(char *data, size_t size, size_t n, void *arg)
{
	struct body *b = arg;
	if (buf_add(&b->reply, data, size * n))
		return size * n;
	b->too_long = true;
	return 0;
}

static void add_header(struct body *b, const char *line)
{
	b->headers = curl_slist_append(b->headers, line);
}

bool bearer_valid(const struct secret *bearer)
{
	for (const char *p = secret_reveal(bearer); *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	return true;
}

static void add_bearer(struct body *b, const struct secret *bearer)
{
	if (!bearer || !secret_is_set(bearer) || !bearer_valid(bearer))
		return;
	auto_free char *text = xasprintf("Authorization: Bearer %s", secret_reveal(bearer));
	add_header(b, text);
	explicit_bzero(text, strlen(text));
}

static void add_field(curl_mime *mime, const char *name, const char *value)
{
	curl_mimepart *part = curl_mime_addpart(mime);
	curl_mime_name(part, name);
	curl_mime_data(part, value ? value : "", CURL_ZERO_TERMINATED);
}

static void add_multipart(struct body *b, CURL *easy, const struct http_request *r)
{
	b->mime = curl_mime_init(easy);
	add_field(b->mime, "prompt", r->prompt);
	add_field(b->mime, "ext", r->ext);
	curl_mimepart *file = curl_mime_addpart(b->mime);
	curl_mime_name(file, "image");
	curl_mime_filedata(file, r->file_path);
	curl_mime_filename(file, r->file_name);
	curl_mime_type(file, r->content_type);
	curl_easy_setopt(easy, CURLOPT_MIMEPOST, b->mime);
	/* curl sends "Expect: 100-continue" with bodies over 1 MiB, so that a refusal comes before
	 * the file went out for nothing. A studio that does not know it costs this much time. */
	curl_easy_setopt(easy, CURLOPT_EXPECT_100_TIMEOUT_MS, 300L);
}

static void body_init(struct body *b, CURL *easy, const struct http_request *r)
{
	buf_init(&b->reply, r->max_reply ? r->max_reply : 1u << 20);
	add_bearer(b, r->bearer);
	if (r->file_path) {
		add_multipart(b, easy, r);
	} else if (r->json) {
		b->json = xstrdup(r->json);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, b->json);
		add_header(b, "Content-Type: application/json");
		add_header(b, "Expect:");
	}
	if (strcmp(r->method, "GET") != 0 || r->json || r->file_path)
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, r->method);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, b->headers);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_reply);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, b);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 15000L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, STALL_SECONDS);
}

static void body_fini(struct body *b)
{
	for (struct curl_slist *h = b->headers; h; h = h->next)
		explicit_bzero(h->data, strlen(h->data));
	curl_slist_free_all(b->headers);
	curl_mime_free(b->mime);
	free(b->json);
	buf_fini(&b->reply);
}

static unsigned reply_ms(const struct exchange *x)
{
	return x->t.net->reply_ms ? x->t.net->reply_ms : REPLY_MS;
}

/* An answer that drips never stalls: it has a time of its own, from the request's last byte on. */
static int on_progress(void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
		       curl_off_t up)
{
	(void)down_all;
	(void)down;
	(void)up_all;
	struct exchange *x = arg;
	uint64_t now = clock_now(&x->t.net->loop->clock);
	if (up != x->sent) {
		x->sent = up;
		x->sent_at = now;
	}
	x->reply_late = now - x->sent_at > reply_ms(x);
	return x->reply_late;
}

static void limit_reply(struct exchange *x)
{
	x->sent_at = clock_now(&x->t.net->loop->clock);
	curl_easy_setopt(x->t.easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(x->t.easy, CURLOPT_XFERINFODATA, x);
	curl_easy_setopt(x->t.easy, CURLOPT_NOPROGRESS, 0L);
}

static void exchange_free(struct exchange *x)
{
	list_remove(&x->t.net->transfers, &x->t.node);
	transfer_fini(&x->t);
	body_fini(&x->body);
	free(x);
}

static void on_done(struct transfer *t, CURLcode code)
{
	struct exchange *x = container_of(t, struct exchange, t);
	if (x->cancelled) {
		exchange_free(x);
		return;
	}
	struct http_reply reply = {.body = x->body.reply.data ? x->body.reply.data : "",
				   .len = x->body.reply.len};
	long status = 0;
	if (code == CURLE_OK) {
		curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
		reply.status = (int)status;
	} else if (x->body.too_long) {
		err_set(&reply.err, EMSGSIZE, "the answer is longer than %zu bytes",
			x->body.reply.max);
	} else if (x->reply_late) {
		err_set(&reply.err, ETIMEDOUT, "the answer did not end within %u s",
			reply_ms(x) / 1000);
	} else {
		err_set(&reply.err, code == CURLE_OPERATION_TIMEDOUT ? ETIMEDOUT : EIO, "%s",
			transfer_error(t, code));
	}
	x->done(x->arg, &reply);
	exchange_free(x);
}

struct exchange *exchange_start(struct transport *tr, const struct http_request *r, http_done *done,
				void *arg)
{
	struct net *n = container_of(tr, struct net, base);
	struct exchange *x = xcalloc(1, sizeof *x);
	x->done = done;
	x->arg = arg;
	x->t.done = on_done;
	transfer_init(&x->t, n, &n->multi, r->url);
	curl_easy_setopt(x->t.easy, CURLOPT_MAXAGE_CONN, n->max_age_s);
	body_init(&x->body, x->t.easy, r);
	if (!r->timeout_ms)
		limit_reply(x);
	list_push_back(&n->transfers, &x->t.node);
	transfer_start(&x->t);
	return x;
}

static void free_later(void *arg)
{
	exchange_free(arg);
}

void exchange_cancel(struct exchange *x)
{
	if (!x || x->cancelled)
		return;
	x->cancelled = true;
	if (transfer_stop(&x->t))
		exchange_free(x);
	else
		timer_start(&x->t.later, &x->t.net->loop->clock, 0, free_later, x);
}

void exchange_free_all(struct net *n)
{
	list_each_safe (it, &n->transfers)
		exchange_free(
		    container_of(list_entry(it, struct transfer, node), struct exchange, t));
}

int http_simple(const struct http_request *r, const char *unix_path, char **body, size_t *len,
		struct err *e)
{
	CURL *easy = curl_easy_init();
	if (!easy)
		return err_set(e, ENOMEM, "libcurl can't be initialised");
	char error[CURL_ERROR_SIZE];
	struct body b = {0};
	easy_defaults(easy, r->url, NULL, error);
	if (unix_path)
		curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, unix_path);
	body_init(&b, easy, r);
	CURLcode code = curl_easy_perform(easy);
	long status = 0;
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	int rc = (int)status;
	if (code == CURLE_OK) {
		if (len)
			*len = b.reply.len;
		*body = buf_steal(&b.reply);
	} else {
		int why = code == CURLE_COULDNT_CONNECT	     ? ECONNREFUSED
			  : code == CURLE_OPERATION_TIMEDOUT ? ETIMEDOUT
							     : EIO;
		rc = err_set(e, why, "%s", error[0] ? error : curl_easy_strerror(code));
	}
	body_fini(&b);
	curl_easy_cleanup(easy);
	return rc;
}
