/* address.h - inside lib/net: what kind of place an IP address is. Pure.
 * SPDX-License-Identifier: MIT */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

struct address {
	int family; /* AF_INET or AF_INET6; 0: no address */
	unsigned char bytes[16];
};

/* From text as getaddrinfo() would read it: "10.1", "0x7f000001" and "017700000001" are addresses
 * too. IPv6 with or without brackets, without a zone. false: a name. */
bool address_parse(struct address *a, const char *text);
bool address_of_socket(struct address *a, const struct sockaddr *sa);

bool address_loopback(const struct address *a);
/* NULL for an address of the public internet, else what it is: "a private address",
 * "a link-local address", … An IPv4 address inside an IPv6 one (mapped, NAT64) counts as itself. */
const char *address_not_public(const struct address *a);

#endif
