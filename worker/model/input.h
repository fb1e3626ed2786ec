/* input.h - fetches what a task points to (a picture, a recording) into the job's scratch folder.
 * SPDX-License-Identifier: MIT */
#ifndef MODEL_INPUT_H
#define MODEL_INPUT_H

#include "lib/net/fetch.h"
#include "worker/model/store.h"

#define INPUT_MAX_IMAGE (64u << 20)
#define INPUT_MAX_AUDIO (512u << 20)

struct input;
/* Last event, exactly once, never from inside a call. err NULL: the file is whole. */
typedef void input_done(void *arg, const struct err *err, bool retryable);
/* The address is a stranger's: the rules of store_policy() hold. 30 s without a byte, two retries
 * with backoff (not after a 4xx). A `data:` URL with base64 is decoded instead. Arguments are
 * copied; the folder of `path` exists, and what is at `path` after an error is of no use. */
struct input *input_fetch(struct store *s, const char *url, const char *path, size_t max,
			  input_done *done, void *arg);
/* The same by rules of its own; p outlives it. */
struct input *input_fetch_by(struct store *s, const struct fetch_policy *p, const char *url,
			     const char *path, size_t max, input_done *done, void *arg);
/* Bytes that came so far; *total UINT64_MAX: not known. */
uint64_t input_taken(const struct input *in, uint64_t *total);
void input_cancel(struct input *in); /* no event follows; NULL allowed */

#endif
