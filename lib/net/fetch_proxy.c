/* fetch_proxy.c - which proxy the environment names for a host. libcurl's own rules, followed here
 * since it does not tell beforehand, and the policy has to know whose address the socket has.
 * SPDX-License-Identifier: MIT */
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/net/address.h"
#include "lib/net/fetch_policy.h"

static const char *variable(const char *lower, const char *upper)
{
	const char *v = getenv(lower);
	if (!v || !*v)
		v = getenv(upper);
	return v && *v ? v : NULL;
}

/* "10.0.0.0/8" or an address. */
static bool in_network(const char *item, const char *host)
{
	struct address net, a;
	auto_free char *text = xstrdup(item);
	char *slash = strchr(text, '/');
	if (slash)
		*slash = '\0';
	if (!address_parse(&net, text) || !address_parse(&a, host) || net.family != a.family)
		return false;
	unsigned long all = net.family == AF_INET ? 32 : 128, bits = all;
	if (slash)
		bits = strtoul(slash + 1, NULL, 10);
	if (bits > all)
		return false;
	for (unsigned long i = 0; i < bits; i++)
		if (((net.bytes[i / 8] ^ a.bytes[i / 8]) >> (7 - i % 8)) & 1)
			return false;
	return true;
}

static bool item_matches(const char *item, const char *host)
{
	if (strcmp(item, "*") == 0 || in_network(item, host))
		return true;
	struct address a;
	if (address_parse(&a, host))
		return false;
	while (*item == '.')
		item++;
	size_t n = strlen(item), len = strlen(host);
	if (n && item[n - 1] == '.')
		n--;
	if (!n || n > len || strncasecmp(host + len - n, item, n) != 0)
		return false;
	return n == len || host[len - n - 1] == '.';
}

static bool exempt(const char *host)
{
	const char *list = variable("no_proxy", "NO_PROXY");
	auto_free char *copy = xstrdup(list ? list : "");
	char *rest = copy, *item;
	while ((item = strsep(&rest, ", \t")))
		if (*item && item_matches(item, host))
			return true;
	return false;
}

char *proxy_for(const struct origin *o)
{
	const char *proxy = o->https ? variable("https_proxy", "HTTPS_PROXY")
				     : variable("http_proxy", "HTTP_PROXY");
	if (!proxy)
		proxy = variable("all_proxy", "ALL_PROXY");
	return xstrdup(proxy && !exempt(o->host) ? proxy : "");
}
