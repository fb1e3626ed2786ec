/* name.c - see name.h.
 * SPDX-License-Identifier: MIT */
#include "worker/model/name.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/base/utf8.h"
#include "lib/fs/sha256.h"

#define FOLDER_CUT 150

static bool stands_for_itself(unsigned char c, bool first)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
		return true;
	if (first && (c == '.' || c == '~'))
		return false;
	return c && strchr("_+=,@~-.", c) != NULL;
}

static char *cut(char *escaped, const char *model)
{
	char hex[SHA256_HEX_LEN];
	sha256_hex(model, strlen(model), hex);
	char *out = xasprintf("%.*s%%%%%s", FOLDER_CUT, escaped, hex);
	free(escaped);
	return out;
}

char *name_folder(const char *model)
{
	if (!model)
		return xstrdup("");
	if (strcmp(model, "bin") == 0)
		return xstrdup("%62in");
	size_t n = strlen(model), used = 0;
	char *out = xmalloc(3 * n + 1);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)model[i];
		if (stands_for_itself(c, i == 0))
			out[used++] = (char)c;
		else
			used += (size_t)sprintf(out + used, "%%%02x", c);
	}
	out[used] = '\0';
	return used > FOLDER_CUT ? cut(out, model) : out;
}

static bool plain(const char *s)
{
	for (; *s; s++)
		if (*s == '/' || *s == '\\' || (unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

int name_check(const char *filename, struct err *e)
{
	if (!filename || !filename[0])
		return err_set(e, EINVAL, "a model file has an empty name");
	size_t n = strlen(filename);
	if (n > NAME_FILE_MAX)
		return err_set(e, EINVAL, "the name of a model file has %zu bytes, %d are the most",
			       n, NAME_FILE_MAX);
	if (filename[0] == '.' || !plain(filename) || !utf8_valid(filename, n))
		return err_set(e, EINVAL, "'%s' is no plain file name", filename);
	if (ends_with(filename, NAME_PART) || ends_with(filename, NAME_LEDGER))
		return err_set(e, EINVAL, "'%s' is a name that unfinished downloads have",
			       filename);
	return 0;
}

void name_key(const char *folder, const char *filename, char key[NAME_KEY_LEN])
{
	auto_free char *both = xasprintf("%s/%s", folder, filename);
	sha256_hex(both, strlen(both), key);
}

char *name_path(const char *root, const char *folder, const char *filename, const char *suffix)
{
	return xasprintf("%s/%s%s%s%s", root, folder, folder[0] ? "/" : "", filename, suffix);
}
