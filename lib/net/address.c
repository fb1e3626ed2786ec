/* address.c - see address.h. The ranges are those of the IANA registries of special-purpose
 * addresses (IPv4: RFC 6890 and later; IPv6: everything outside 2000::/3 besides).
 * SPDX-License-Identifier: MIT */
#include "lib/net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/mem.h"

struct range {
	unsigned char bytes[16];
	unsigned bits;
	const char *what;
};

#define PRIVATE	  "a private address"
#define LINK	  "a link-local address"
#define LOOPBACK  "an address of this machine"
#define MULTICAST "a multicast address"
#define RESERVED  "a reserved address"
#define UNSET	  "an unspecified address"

static const struct range ranges4[] = {
    {{0}, 8, UNSET},
    {{10}, 8, PRIVATE},
    {{100, 64}, 10, PRIVATE},
    {{127}, 8, LOOPBACK},
    {{169, 254}, 16, LINK},
    {{172, 16}, 12, PRIVATE},
    {{192, 0, 0}, 24, RESERVED},
    {{192, 0, 2}, 24, RESERVED},
    {{192, 88, 99}, 24, RESERVED},
    {{192, 168}, 16, PRIVATE},
    {{198, 18}, 15, RESERVED},
    {{198, 51, 100}, 24, RESERVED},
    {{203, 0, 113}, 24, RESERVED},
    {{224}, 4, MULTICAST},
    {{240}, 4, RESERVED},
};
static const struct range ranges6[] = {
    {{[15] = 0}, 128, UNSET},
    {{[15] = 1}, 128, LOOPBACK},
    {{0xfc}, 7, PRIVATE},
    {{0xfe, 0x80}, 10, LINK},
    {{0xfe, 0xc0}, 10, PRIVATE},
    {{0xff}, 8, MULTICAST},
    {{0x20, 0x01, 0x00}, 23, RESERVED}, /* Teredo, ORCHID, … */
    {{0x20, 0x01, 0x0d, 0xb8}, 32, RESERVED},
    {{0x20, 0x02}, 16, RESERVED}, /* 6to4: hides any IPv4 address */
    {{0x3f, 0xff}, 20, RESERVED},
};
static const struct range global6 = {{0x20}, 3, NULL};
static const struct range mapped = {{[10] = 0xff, [11] = 0xff}, 96, NULL};
static const struct range nat64 = {{0x00, 0x64, 0xff, 0x9b}, 96, NULL};

static bool in_range(const unsigned char *bytes, const struct range *r)
{
	unsigned whole = r->bits / 8, rest = r->bits % 8;
	if (memcmp(bytes, r->bytes, whole) != 0)
		return false;
	return !rest || ((bytes[whole] ^ r->bytes[whole]) >> (8 - rest)) == 0;
}

static const char *look_up(const unsigned char *bytes, const struct range *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (in_range(bytes, &ranges[i]))
			return ranges[i].what;
	return NULL;
}

/* The IPv4 address inside, or the address itself. */
static struct address inner(const struct address *a)
{
	if (a->family != AF_INET6 || (!in_range(a->bytes, &mapped) && !in_range(a->bytes, &nat64)))
		return *a;
	struct address v4 = {.family = AF_INET};
	memcpy(v4.bytes, a->bytes + 12, 4);
	return v4;
}

const char *address_not_public(const struct address *a)
{
	struct address in = inner(a);
	if (in.family == AF_INET)
		return look_up(in.bytes, ranges4, ARRAY_LEN(ranges4));
	if (in.family != AF_INET6)
		return "no internet address";
	const char *what = look_up(in.bytes, ranges6, ARRAY_LEN(ranges6));
	return what || in_range(in.bytes, &global6) ? what : RESERVED;
}

bool address_loopback(const struct address *a)
{
	const char *what = address_not_public(a);
	return what && strcmp(what, LOOPBACK) == 0;
}

bool address_parse(struct address *a, const char *text)
{
	char bare[INET6_ADDRSTRLEN + 2];
	size_t len = strlen(text);
	struct in_addr v4;
	*a = (struct address){0};
	if (inet_aton(text, &v4)) {
		a->family = AF_INET;
		memcpy(a->bytes, &v4, sizeof v4);
		return true;
	}
	bool brackets = len > 2 && text[0] == '[' && text[len - 1] == ']';
	if (brackets) {
		text++;
		len -= 2;
	}
	if (len >= sizeof bare)
		return false;
	memcpy(bare, text, len);
	bare[len] = '\0';
	if (inet_pton(AF_INET6, bare, a->bytes) != 1)
		return false;
	a->family = AF_INET6;
	return true;
}

bool address_of_socket(struct address *a, const struct sockaddr *sa)
{
	*a = (struct address){0};
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;
		memcpy(a->bytes, &in->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;
		memcpy(a->bytes, &in6->sin6_addr, 16);
	} else {
		return false;
	}
	a->family = sa->sa_family;
	return true;
}
