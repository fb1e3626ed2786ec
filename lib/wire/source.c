/* source.c - see source.h.
 * SPDX-License-Identifier: MIT */
#include "lib/wire/source.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/wire/fields.h"

#define FILES_MAX      64
#define NAME_BYTES_MAX 255

static const struct field file_rows[] = {
    FIELD_TEXT(source_file, role, "role", true, FIELD_ID_MAX),
    FIELD_TEXT(source_file, url, "url", true, FIELD_URL_MAX),
    FIELD_TEXT(source_file, filename, "filename", true, NAME_BYTES_MAX),
    FIELD_TEXT(source_file, sha256, "sha256", false, 64),
    {"approxBytes", FIELD_U64, false, offsetof(struct source_file, approx_bytes), 0, 0, 0},
};

static const struct field source_rows[] = {
    FIELD_TEXT(source, engine, "engine", true, FIELD_ID_MAX),
    FIELD_TREE(source, cli_defaults, "cliDefaults", FIELD_OBJECT, false),
};

/* The name is joined to a folder of ours: nothing that leads out of it, and nothing hidden. */
static bool plain_name(const char *s)
{
	if (!*s || *s == '.')
		return false;
	for (; *s; s++)
		if (*s == '/' || *s == '\\' || (unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

static bool lower_hex(char *s)
{
	if (strlen(s) != 64)
		return false;
	for (; *s; s++) {
		if (*s >= 'A' && *s <= 'F')
			*s = (char)(*s - 'A' + 'a');
		if (!strchr("0123456789abcdef", *s))
			return false;
	}
	return true;
}

static int decode_file(json_t *json, struct source_file *f, struct err *e)
{
	int rc = fields_read(json, "modelSource.files", file_rows, ARRAY_LEN(file_rows), f, e);
	if (rc)
		return rc;
	if (!plain_name(f->filename))
		return err_set(e, EPROTO, "modelSource.files.filename must be a plain file name");
	if (f->sha256 && !lower_hex(f->sha256))
		return err_set(e, EPROTO, "modelSource.files.sha256 must be 64 hex digits");
	return 0;
}

static int decode_files(json_t *json, struct source *s, struct err *e)
{
	json_t *files;
	int rc = fields_array(json, "modelSource", "files", false, FILES_MAX, &files, e);
	if (rc || !files)
		return rc;
	s->files = xcalloc(json_array_size(files), sizeof *s->files);
	for (size_t i = 0; i < json_array_size(files); i++) {
		s->n_files = i + 1;
		rc = decode_file(json_array_get(files, i), &s->files[i], e);
		if (rc)
			return rc;
	}
	return 0;
}

int source_decode(json_t *json, struct source **out, struct err *e)
{
	struct source *s = xcalloc(1, sizeof *s);
	int rc = fields_read(json, "modelSource", source_rows, ARRAY_LEN(source_rows), s, e);
	if (!rc)
		rc = decode_files(json, s, e);
	if (rc) {
		source_free(s);
		return rc;
	}
	if (!s->cli_defaults)
		s->cli_defaults = json_object();
	s->raw = json_incref(json);
	*out = s;
	return 0;
}

void source_free(struct source *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_files; i++) {
		free(s->files[i].role);
		free(s->files[i].url);
		free(s->files[i].filename);
		free(s->files[i].sha256);
	}
	free(s->files);
	free(s->engine);
	json_decref(s->cli_defaults);
	json_decref(s->raw);
	free(s);
}
