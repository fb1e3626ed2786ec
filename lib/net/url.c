/* url.c - see url.h. Parsing is libcurl's.
 * SPDX-License-Identifier: MIT */
#include "lib/net/url.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"

#define API_PREFIX "/graphics/api"
#define URL_MAX	   (64u << 10)

static void cleanup_curlu(CURLU **u)
{
	curl_url_cleanup(*u);
}

static void cleanup_curl_text(char **s)
{
	curl_free(*s);
}
#define auto_curl_text __attribute__((cleanup(cleanup_curl_text)))

static int check_parts(CURLU *u, const char *given, struct err *e)
{
	auto_curl_text char *scheme = NULL;
	auto_curl_text char *user = NULL;
	if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) ||
	    (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
		return err_set(e, EINVAL, "api_base_url must start with http:// or https://");
	if (curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK)
		return err_set(e, EINVAL, "api_base_url must not hold a user name or password");
	(void)given;
	return 0;
}

char *url_api_base(const char *api_base_url, struct err *e)
{
	__attribute__((cleanup(cleanup_curlu))) CURLU *u = curl_url();
	if (!u || curl_url_set(u, CURLUPART_URL, api_base_url, CURLU_NON_SUPPORT_SCHEME)) {
		err_set(e, EINVAL,
			"api_base_url is not a URL; it looks like https://studio.example/");
		return NULL;
	}
	if (check_parts(u, api_base_url, e))
		return NULL;
	curl_url_set(u, CURLUPART_QUERY, NULL, 0);
	curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
	auto_curl_text char *text = NULL;
	if (curl_url_get(u, CURLUPART_URL, &text, 0)) {
		err_set(e, EINVAL,
			"api_base_url is not a URL; it looks like https://studio.example/");
		return NULL;
	}
	size_t n = strlen(text);
	while (n && text[n - 1] == '/')
		n--;
	size_t p = strlen(API_PREFIX);
	bool there = n >= p && memcmp(text + n - p, API_PREFIX, p) == 0;
	return xasprintf("%.*s%s", (int)n, text, there ? "" : API_PREFIX);
}

static bool unreserved(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

static bool add_segment(struct buf *b, const char *s)
{
	/* "." and ".." would change the path even when percent-encoded, but never get here: ids of
	 * peers are escaped whole. */
	bool dots = strcmp(s, ".") == 0 || strcmp(s, "..") == 0;
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (unreserved(c) && !dots ? !buf_add(b, s, 1) : !buf_printf(b, "%%%02X", c))
			return false;
	}
	return true;
}

char *url_path(const char *base, const char *fmt, ...)
{
	struct buf b;
	buf_init(&b, URL_MAX);
	bool ok = buf_add(&b, base, strlen(base));
	va_list ap;
	va_start(ap, fmt);
	for (const char *p = fmt; ok && *p; p++) {
		if (p[0] == '%' && p[1] == 's') {
			ok = add_segment(&b, va_arg(ap, const char *));
			p++;
		} else {
			ok = buf_add(&b, p, 1);
		}
	}
	va_end(ap);
	return buf_steal(&b); /* cut when it is over 64 KiB: the peer answers 404 or 414 */
}

char *url_to_ws(const char *url, struct err *e)
{
	if (strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0)
		return xasprintf("ws%s", url + 4);
	err_set(e, EINVAL, "only http and https addresses can be turned into WebSocket ones");
	return NULL;
}

const char *content_type_of_ext(const char *ext)
{
	static const char *const types[][2] = {
	    {"png", "image/png"},   {"webp", "image/webp"},	{"jpg", "image/jpeg"},
	    {"jpeg", "image/jpeg"}, {"gif", "image/gif"},	{"avif", "image/avif"},
	    {"wav", "audio/wav"},   {"mp3", "audio/mpeg"},	{"ogg", "audio/ogg"},
	    {"opus", "audio/ogg"},  {"flac", "audio/flac"},	{"mp4", "video/mp4"},
	    {"webm", "video/webm"}, {"avi", "video/x-msvideo"}, {"json", "application/json"},
	};
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strcasecmp(ext, types[i][0]) == 0)
			return types[i][1];
	return "application/octet-stream";
}
