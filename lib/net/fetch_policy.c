/* fetch_policy.c - which hosts an address that a peer named may lead to. Names are judged here
 * before they are resolved, and what they resolve to when the socket is opened.
 * SPDX-License-Identifier: MIT */
#include "lib/net/fetch_policy.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/net/address.h"

static void cleanup_curlu(CURLU **u)
{
	curl_url_cleanup(*u);
}

static void cleanup_curl_text(char **s)
{
	curl_free(*s);
}
#define auto_curl_text __attribute__((cleanup(cleanup_curl_text)))

/* As names are compared: "[::1]", "Example.ORG." → "::1", "example.org". */
static char *plain_host(const char *host, size_t len)
{
	if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	} else if (len > 1 && host[len - 1] == '.') {
		len--;
	}
	char *plain = xstrndup(host, len);
	for (char *p = plain; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return plain;
}

static bool has_part(CURLU *u, CURLUPart part)
{
	auto_curl_text char *text = NULL;
	return curl_url_get(u, part, &text, 0) == CURLUE_OK && text;
}

/* What is wrong with it, NULL when nothing is. */
static const char *take_parts(struct origin *o, CURLU *u)
{
	auto_curl_text char *scheme = NULL;
	auto_curl_text char *host = NULL;
	auto_curl_text char *port = NULL;
	if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) ||
	    (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
		return "an address must start with https:// or http://";
	if (has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD))
		return "an address must not hold a user name or password";
	if (has_part(u, CURLUPART_ZONEID))
		return "an address must not name a network interface";
	if (curl_url_get(u, CURLUPART_HOST, &host, 0) || !host[0] ||
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT))
		return "the address names no host";
	o->https = strcmp(scheme, "https") == 0;
	o->host = plain_host(host, strlen(host));
	o->port = (unsigned)strtoul(port, NULL, 10);
	return NULL;
}

int origin_parse(struct origin *o, const char *url, struct err *e)
{
	__attribute__((cleanup(cleanup_curlu))) CURLU *u = curl_url();
	const char *wrong;
	*o = (struct origin){0};
	if (strlen(url) > FETCH_MAX_URL)
		wrong = "the address is longer than 16 KiB";
	else if (!u || curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME))
		wrong = "that is no address; one looks like https://host.example/file";
	else
		wrong = take_parts(o, u);
	if (!wrong)
		return 0;
	err_set(e, EINVAL, "%s", wrong);
	return -EINVAL;
}

void origin_fini(struct origin *o)
{
	free(o->host);
	*o = (struct origin){0};
}

bool origin_equal(const struct origin *a, const struct origin *b)
{
	return a->https == b->https && a->port == b->port && strcmp(a->host, b->host) == 0;
}

static bool names_loopback(const char *host)
{
	struct address a;
	size_t len = strlen(host), tail = strlen(".localhost");
	if (address_parse(&a, host))
		return address_loopback(&a);
	return strcmp(host, "localhost") == 0 ||
	       (len > tail && strcmp(host + len - tail, ".localhost") == 0);
}

/* "host", "host:port", "[::1]:port" or a bare IPv6 address, which has colons of its own. */
static bool entry_matches(const char *entry, const struct origin *o)
{
	const char *colon = strrchr(entry, ':');
	bool bare6 = colon && entry[0] != '[' && strchr(entry, ':') != colon;
	bool bracket_end = colon && colon[1] && strchr(colon, ']');
	size_t len = colon && !bare6 && !bracket_end ? (size_t)(colon - entry) : strlen(entry);
	auto_free char *host = plain_host(entry, len);
	if (strcmp(host, o->host) != 0)
		return false;
	return !entry[len] || strtoul(entry + len + 1, NULL, 10) == o->port;
}

static bool owner_allows(const struct fetch_policy *p, const struct origin *o)
{
	for (const char *const *h = p->allow_hosts; h && *h; h++)
		if (entry_matches(*h, o))
			return true;
	return false;
}

static bool is_studio(const struct fetch_policy *p, const struct origin *o)
{
	struct origin studio;
	if (!p->studio_origin || origin_parse(&studio, p->studio_origin, NULL))
		return false;
	bool same =
	    origin_equal(&studio, o) || (names_loopback(studio.host) && names_loopback(o->host));
	origin_fini(&studio);
	return same;
}

static int refuse(const struct origin *o, const char *why, struct err *e)
{
	return err_set(e, EACCES,
		       "%s://%.200s:%u is refused: %s; to allow it, add \"%.200s\" to "
		       "allow_hosts in config.toml",
		       o->https ? "https" : "http", o->host, o->port, why, o->host);
}

static int local_only(const struct origin *o, struct err *e)
{
	if (!o->https && strcmp(o->host, "127.0.0.1") == 0)
		return 0;
	return err_set(e, EACCES, "a server of our own is at http://127.0.0.1, not at %.200s",
		       o->host);
}

int policy_origin(const struct fetch_policy *p, const struct origin *o, bool *any_address,
		  struct err *e)
{
	struct address a;
	*any_address = true;
	if (!p)
		return local_only(o, e);
	if (owner_allows(p, o) || is_studio(p, o))
		return 0;
	*any_address = false;
	if (names_loopback(o->host))
		return refuse(o, "it is an address of this machine", e);
	if (address_parse(&a, o->host) && address_not_public(&a)) {
		auto_free char *why = xasprintf("it is %s", address_not_public(&a));
		return refuse(o, why, e);
	}
	return o->https ? 0 : refuse(o, "it is not encrypted (https)", e);
}

int policy_address(const struct origin *o, const struct sockaddr *sa, struct err *e)
{
	struct address a;
	address_of_socket(&a, sa);
	const char *what = address_not_public(&a);
	if (!what)
		return 0;
	auto_free char *why = xasprintf("the name leads to %s", what);
	return refuse(o, why, e);
}

int fetch_policy_check(const struct fetch_policy *p, const char *url, struct err *e)
{
	struct origin o;
	bool any;
	int rc = origin_parse(&o, url, e);
	if (!rc)
		rc = policy_origin(p, &o, &any, e);
	origin_fini(&o);
	return rc;
}

struct fetch_policy *policy_copy(const struct fetch_policy *p)
{
	if (!p)
		return NULL;
	struct fetch_policy *copy = xcalloc(1, sizeof *copy);
	size_t n = 0;
	while (p->allow_hosts && p->allow_hosts[n])
		n++;
	const char **hosts = xcalloc(n + 1, sizeof *hosts);
	for (size_t i = 0; i < n; i++)
		hosts[i] = xstrdup(p->allow_hosts[i]);
	copy->allow_hosts = hosts;
	copy->studio_origin = xstrdup_opt(p->studio_origin);
	return copy;
}

void policy_free(struct fetch_policy *p)
{
	if (!p)
		return;
	for (const char *const *h = p->allow_hosts; *h; h++)
		free((char *)*h);
	free((void *)p->allow_hosts);
	free((char *)p->studio_origin);
	free(p);
}
