/* rng.h - random numbers and the ids made of them.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* seeded == false: every byte comes from the operating system (getrandom), fit for secrets.
 * seeded == true: xoshiro256**, the same sequence for the same seed; for tests and simulation. */
struct rng {
	bool seeded;
	uint64_t s[4];
};

void rng_init_system(struct rng *r);
void rng_init_seeded(struct rng *r, uint64_t seed);
void rng_bytes(struct rng *r, void *out, size_t n); /* aborts when the system has none */
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n); /* uniform in [0, n); n > 0 */

/* RFC 4122 version 4, lower case. */
void rng_uuid(struct rng *r, char out[37]);
/* n random bytes as 2n lower-case hex digits and '\0'. */
void rng_hex(struct rng *r, char *out, size_t n);
bool uuid_valid(const char *s);

#endif
