/* Addresses that peers name and heads that servers send: the first line is an address, the rest a
 * head. SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/net/address.h"
#include "lib/net/fetch_head.h"
#include "lib/net/fetch_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is allowed without more is https, and is no address that must not be gone to. */
static void judge(const char *url)
{
	static const struct fetch_policy none = {0};
	const char *hosts[] = {url, "a:1", "[::1]:2", NULL};
	struct fetch_policy odd = {.allow_hosts = hosts, .studio_origin = url};
	struct origin o;
	struct address a;
	struct err e = ERR_INIT;
	if (fetch_policy_check(&odd, url, &e) == 0 && origin_parse(&o, url, &e) == 0)
		origin_fini(&o);
	if (fetch_policy_check(&none, url, &e))
		return;
	if (origin_parse(&o, url, &e))
		abort();
	if (!o.https || !o.host[0] || strcmp(o.host, "localhost") == 0)
		abort();
	if (address_parse(&a, o.host) && (address_not_public(&a) || address_loopback(&a)))
		abort();
	free(proxy_for(&o));
	origin_fini(&o);
}

static void read_head(const char *text, size_t len)
{
	struct head h;
	struct err e = ERR_INIT;
	int rc = 0;
	head_init(&h, 1000000000000);
	while (len && rc >= 0) {
		const char *end = memchr(text, '\n', len);
		size_t line = end ? (size_t)(end - text) + 1 : len;
		rc = head_line(&h, text, line, &e);
		text += line;
		len -= line;
	}
	if (h.f.has_range &&
	    (h.f.range_first > h.f.range_last || h.f.range_last >= h.f.range_total))
		abort();
	if (h.f.etag && strpbrk(h.f.etag, "\r\n"))
		abort(); /* it goes into a header of ours */
	head_fini(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *end = memchr(text, '\n', size);
	size_t line = end ? (size_t)(end - text) : size;
	char *url = xstrndup(text, line);
	judge(url);
	free(url);
	if (line < size)
		read_head(text + line + 1, size - line - 1);
	return 0;
}
