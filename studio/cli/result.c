/* result.c - where the result of a job goes: standard output or a file.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "studio/cli/options.h"
#include "studio/cli/result.h"
#include "studio/cli/table.h"

static bool is_stdout(const char *output)
{
	return strcmp(output, "-") == 0;
}

/* A device or a pipe is written to; only a file is replaced. */
static bool is_special(const char *output)
{
	struct stat st;

	return stat(output, &st) == 0 && !S_ISREG(st.st_mode);
}

static bool cannot(const char *output, const char *why)
{
	fprintf(stderr, "studiod: --output: %s cannot be written: %s\n", output, why);
	return false;
}

bool result_can_be_written(const char *output)
{
	auto_free char *copy = xstrdup(output);
	struct stat st;

	if (!*output)
		return cannot("''", "a file has a name");
	if (is_stdout(output))
		return true;
	if (stat(output, &st) == 0 && S_ISDIR(st.st_mode))
		return cannot(output, "it is a folder; name a file in it");
	if (is_special(output))
		return access(output, W_OK) == 0 || cannot(output, strerror(errno));
	if (output[strlen(output) - 1] == '/')
		return cannot(output, "there is no such folder; name a file");
	return access(dirname(copy), W_OK | X_OK) == 0 || cannot(output, strerror(errno));
}

static int put(FILE *to, const char *data, size_t len, struct err *e)
{
	if (fwrite(data, 1, len, to) == len && fflush(to) == 0)
		return 0;
	return err_sys(e, errno, "writing");
}

static int store(const char *output, const char *data, size_t len, struct err *e)
{
	FILE *to;
	int rc;

	if (is_stdout(output))
		return put(stdout, data, len, e);
	if (!is_special(output))
		return fs_write_atomic(output, data, len, 0644, e);
	to = fopen(output, "wb");
	if (!to)
		return err_sys(e, errno, "%s", output);
	rc = put(to, data, len, e);
	if (fclose(to) != 0 && rc == 0)
		rc = err_sys(e, errno, "%s", output);
	return rc;
}

static int save(struct client *c, const char *id, const char *output)
{
	auto_free char *data = NULL;
	struct err e = ERR_INIT;
	size_t len = 0;
	int rc = client_result(c, id, &data, &len);

	if (rc == 0 && store(output, data ? data : "", len, &e) < 0) {
		fprintf(stderr, "studiod: the result cannot be written: %s\n", e.text);
		rc = EXIT_FAILED;
	}
	if (rc)
		fprintf(stderr,
			"studiod: job %s is done; fetch its result with: studiod jobs %s --output "
			"FILE\n",
			id, id);
	return rc;
}

int result_deliver(struct client *c, const json_t *job, const char *output)
{
	const char *id = text_of(job, "id");

	if (strcmp(text_of(job, "state"), "failed") == 0) {
		auto_free char *why = clean_text(text_of(job, "error"));
		fprintf(stderr, "studiod: job %s failed: %s\n", id, why);
		return EXIT_JOB;
	}
	if (output)
		return save(c, id, output);
	if (strcmp(text_of(job, "resultType"), "json") == 0) {
		json_dumpf(json_object_get(job, "result"), stdout,
			   JSON_INDENT(2) | JSON_ENCODE_ANY);
		putchar('\n');
	} else {
		printf("%s done: %s, %lld bytes, sha256 %s; fetch it with: studiod jobs %s "
		       "--output FILE\n",
		       id, text_of(job, "ext"),
		       (long long)json_integer_value(json_object_get(job, "bytes")),
		       text_of(job, "sha256"), id);
	}
	return EXIT_OK;
}
