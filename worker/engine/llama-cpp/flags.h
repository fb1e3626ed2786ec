/* flags.h - which flags this build of llama-server knows, and the command line made of them.
 * An unknown flag makes it exit with 1, and builds differ: what it knows is read from its --help.
 * SPDX-License-Identifier: MIT */
#ifndef LLAMA_CPP_FLAGS_H
#define LLAMA_CPP_FLAGS_H

#include "worker/engine/engine.h"

#define FLAGS_MAX_ARGS 64

struct flags {
	unsigned known; /* a bit a row of the table in flags.c */
};

/* One line of the output of --help. */
void flags_read(struct flags *f, const char *line);
/* -ENOTSUP with what is missing and how to get a newer one. */
int flags_check(const struct flags *f, struct err *e) MUST_CHECK;

struct flags_files { /* paths of the job's files; lora ends with NULL */
	const char *model, *mmproj;
	const char *lora[16];
};
/* Of the source's files, by role; paths is job->files. -EINVAL for what llama-server can't read.
 * paths NULL: the file names stand for the paths, to be checked only. */
int flags_files(const struct source *s, const char *const *paths, struct flags_files *out,
		struct err *e) MUST_CHECK;
/* NULL-terminated, with the placeholders of warm_spec; it points to its arguments. context: a
 * number of tokens. */
void flags_argv(const struct flags *f, const struct flags_files *files, const char *alias,
		const char *context, const char *argv[FLAGS_MAX_ARGS]);

#endif
