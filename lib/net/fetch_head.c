/* fetch_head.c - see fetch_head.h. What a server says is taken only where it reads well; framing
 * itself is libcurl's. SPDX-License-Identifier: MIT */
#include "lib/net/fetch_head.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"

/* No server is waited for longer than this, whatever it asks for. */
#define RETRY_MAX_MS (24ull * 3600 * 1000)

void head_init(struct head *h, int64_t wall_ms)
{
	*h = (struct head){.f = {.length = UINT64_MAX, .range_total = UINT64_MAX},
			   .wall_ms = wall_ms};
}

void head_fini(struct head *h)
{
	free(h->etag);
	free(h->last_modified);
	free(h->content_type);
	free(h->location);
	*h = (struct head){0};
}

/* Digits only, no sign, no overflow; *end is behind them. */
static bool number(const char *s, const char **end, uint64_t *n)
{
	*n = 0;
	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		unsigned digit = (unsigned)(*s - '0');
		if (*n > (UINT64_MAX - 1 - digit) / 10) /* UINT64_MAX means "not said" */
			return false;
		*n = *n * 10 + digit;
	}
	*end = s;
	return true;
}

static bool total_parse(const char *s, uint64_t *total)
{
	const char *end;
	if (strcmp(s, "*") == 0)
		return true;
	uint64_t n;
	if (!number(s, &end, &n) || *end)
		return false;
	*total = n;
	return true;
}

bool content_range_parse(const char *value, uint64_t *first, uint64_t *last, uint64_t *total)
{
	*first = *last = 0;
	*total = UINT64_MAX;
	if (strncasecmp(value, "bytes", 5) != 0 || (value[5] != ' ' && value[5] != '\t'))
		return false;
	const char *s = value + 5 + strspn(value + 5, " \t");
	if (strncmp(s, "*/", 2) == 0) {
		if (!total_parse(s + 2, total))
			*total = UINT64_MAX;
		return false;
	}
	uint64_t a, b;
	if (!number(s, &s, &a) || *s != '-' || !number(s + 1, &s, &b) || *s != '/' ||
	    !total_parse(s + 1, total))
		return false;
	if (a > b || b >= *total) {
		*total = UINT64_MAX;
		return false;
	}
	*first = a;
	*last = b;
	return true;
}

static uint64_t retry_after(const char *value, int64_t wall_ms)
{
	const char *end;
	uint64_t n;
	if (number(value, &end, &n) && !*end)
		return n < RETRY_MAX_MS / 1000 ? n * 1000 : RETRY_MAX_MS;
	time_t at = curl_getdate(value, NULL);
	if (at < 0 || at <= wall_ms / 1000)
		return 0;
	uint64_t ms = (uint64_t)(at - wall_ms / 1000) * 1000;
	return ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
}

static void keep(char **to, const char *value, size_t max)
{
	if (strlen(value) <= max)
		str_replace(to, value);
}

static void on_etag(struct head *h, const char *v)
{
	keep(&h->etag, v, HEAD_MAX_VALUE);
	h->f.etag = h->etag;
}

static void on_last_modified(struct head *h, const char *v)
{
	keep(&h->last_modified, v, HEAD_MAX_VALUE);
	h->f.last_modified = h->last_modified;
}

static void on_content_type(struct head *h, const char *v)
{
	keep(&h->content_type, v, HEAD_MAX_VALUE);
	h->f.content_type = h->content_type;
}

static void on_location(struct head *h, const char *v)
{
	keep(&h->location, v, HEAD_MAX_URL);
}

static void on_length(struct head *h, const char *v)
{
	const char *end;
	uint64_t n;
	if (number(v, &end, &n) && !*end)
		h->f.length = n;
}

static void on_encoding(struct head *h, const char *v)
{
	size_t n = strlen(v), m = strlen("chunked"); /* the last one that is named frames it */
	h->chunked = true;
	h->f.framed = n >= m && strcasecmp(v + n - m, "chunked") == 0;
}

static void on_accept_ranges(struct head *h, const char *v)
{
	h->f.accept_ranges = strcasecmp(v, "bytes") == 0;
}

static void on_content_range(struct head *h, const char *v)
{
	h->f.has_range =
	    content_range_parse(v, &h->f.range_first, &h->f.range_last, &h->f.range_total);
}

static void on_retry_after(struct head *h, const char *v)
{
	h->f.retry_after_ms = retry_after(v, h->wall_ms);
}

static const struct {
	const char *name;
	void (*take)(struct head *h, const char *value);
} fields[] = {
    {"etag", on_etag},
    {"last-modified", on_last_modified},
    {"content-type", on_content_type},
    {"location", on_location},
    {"content-length", on_length},
    {"transfer-encoding", on_encoding},
    {"accept-ranges", on_accept_ranges},
    {"content-range", on_content_range},
    {"retry-after", on_retry_after},
};

static bool printable(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20 ? s[i] != '\t' : s[i] == 0x7f)
			return false;
	return true;
}

static void take_field(struct head *h, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);
	if (!colon || !printable(line, len))
		return;
	size_t name = (size_t)(colon - line), at = name + 1;
	while (at < len && (line[at] == ' ' || line[at] == '\t'))
		at++;
	while (len > at && (line[len - 1] == ' ' || line[len - 1] == '\t'))
		len--;
	auto_free char *value = xstrndup(line + at, len - at);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (strlen(fields[i].name) == name && strncasecmp(fields[i].name, line, name) == 0)
			fields[i].take(h, value);
}

/* "HTTP/1.1 206 Partial Content": a new head begins, what came before was a 1xx. */
static int take_status(struct head *h, const char *line, size_t len, struct err *e)
{
	size_t bytes = h->bytes;
	const char *space = memchr(line, ' ', len);
	int64_t wall_ms = h->wall_ms;
	head_fini(h);
	head_init(h, wall_ms);
	h->bytes = bytes;
	if (!space || (size_t)(line + len - space) < 4)
		return err_set(e, EPROTO, "the server's first line is no HTTP");
	for (int i = 1; i <= 3; i++) {
		if (space[i] < '0' || space[i] > '9')
			return err_set(e, EPROTO, "the server's first line is no HTTP");
		h->f.status = h->f.status * 10 + (space[i] - '0');
	}
	return 0;
}

int head_line(struct head *h, const char *line, size_t len, struct err *e)
{
	if (h->whole)
		return 0;
	h->bytes += len;
	if (h->bytes > HEAD_MAX)
		return err_set(e, EMSGSIZE, "the head of the answer is over %u KiB",
			       HEAD_MAX >> 10);
	while (len && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		len--;
	if (len >= 5 && memcmp(line, "HTTP/", 5) == 0)
		return take_status(h, line, len, e);
	if (len) {
		take_field(h, line, len);
		return 0;
	}
	if (h->f.status < 200) /* 100 Continue, 103 Early Hints */
		return 0;
	if (h->chunked)
		h->f.length = UINT64_MAX;
	else
		h->f.framed = h->f.length != UINT64_MAX;
	h->whole = true;
	return 1;
}
