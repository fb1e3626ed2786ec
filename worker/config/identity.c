/* identity.c - see identity.h. The one place that puts the worker's secrets on disk.
 * SPDX-License-Identifier: MIT */
#include "worker/config/identity.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/toml/toml.h"
#include "worker/config/options.h"

#define MAX_BYTES 65536

/* The five fields, named in identity.json as in a production config.toml. */
static const char *const keys[] = {
    "install_id", "worker_id", "registration_request_id", "auth_token", "registration_secret",
};
static const char rejected_key[] = "registration_rejected_reason";

char *identity_path(const struct config *c)
{
	return fs_join(c->dir, "identity.json");
}

uint64_t identity_stamp(const struct config *c)
{
	struct stat st;
	auto_free char *path = identity_path(c);
	if (stat(path, &st) < 0)
		return 0;
	uint64_t h = (uint64_t)st.st_ino * 1000003u ^ (uint64_t)st.st_size;
	return (h * 1000003u ^ (uint64_t)st.st_mtim.tv_sec) * 1000003u ^
	       (uint64_t)st.st_mtim.tv_nsec;
}

void identity_fini(struct identity *id)
{
	free(id->install_id);
	free(id->worker_id);
	free(id->request_id);
	free(id->rejected_reason);
	secret_clear(&id->auth_token);
	secret_clear(&id->registration_secret);
	*id = (struct identity){0};
}

void identity_copy(struct identity *to, const struct identity *from)
{
	to->install_id = xstrdup_opt(from->install_id);
	to->worker_id = xstrdup_opt(from->worker_id);
	to->request_id = xstrdup_opt(from->request_id);
	to->rejected_reason = xstrdup_opt(from->rejected_reason);
	secret_copy(&to->auth_token, &from->auth_token);
	secret_copy(&to->registration_secret, &from->registration_secret);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_secret(const struct secret *a, const struct secret *b)
{
	return secret_is_set(a) == secret_is_set(b) && (!secret_is_set(a) || secret_equal(a, b));
}

bool identity_same(const struct identity *a, const struct identity *b)
{
	return same_text(a->install_id, b->install_id) && same_text(a->worker_id, b->worker_id) &&
	       same_text(a->request_id, b->request_id) &&
	       same_text(a->rejected_reason, b->rejected_reason) &&
	       same_secret(&a->auth_token, &b->auth_token) &&
	       same_secret(&a->registration_secret, &b->registration_secret);
}

/* An empty text means "not set": that is how some people clear a key. */
static char *text_or_null(const char *s)
{
	return s && s[0] ? xstrdup(s) : NULL;
}

static void fill(struct identity *id, const char *(*get)(const void *from, const char *key),
		 const void *from)
{
	id->install_id = text_or_null(get(from, keys[0]));
	id->worker_id = text_or_null(get(from, keys[1]));
	id->request_id = text_or_null(get(from, keys[2]));
	secret_set(&id->auth_token, get(from, keys[3]));
	secret_set(&id->registration_secret, get(from, keys[4]));
	id->rejected_reason = text_or_null(get(from, rejected_key));
}

static const char *get_json(const void *from, const char *key)
{
	return json_string_value(json_object_get((const json_t *)from, key));
}

static const char *get_toml(const void *from, const char *key)
{
	const struct toml_item *it = toml_find(from, key);
	return it && it->type == TOML_STRING ? it->string : NULL;
}

static int from_json(struct identity *id, const char *path, const char *text, size_t len,
		     struct err *e)
{
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(root)) {
		json_decref(root);
		return err_set(e, EINVAL,
			       "%s is broken; `studio-worker register --reset` starts over", path);
	}
	fill(id, get_json, root);
	json_decref(root);
	return 0;
}

/* A production worker's file: config_load() has already said what is wrong with it, if anything. */
static int from_config(struct identity *id, const struct config *c, struct err *e)
{
	auto_free char *text = NULL;
	size_t len = 0;
	struct toml_doc doc;
	unsigned line, column;
	int r = fs_read(c->path, OPTIONS_MAX_BYTES, &text, &len, e);
	if (r == -ENOENT) {
		err_clear(e);
		return 0;
	}
	if (r < 0)
		return r;
	r = toml_parse(text, len, &doc, &line, &column);
	if (r < 0)
		return err_set(e, -r, "%s:%u: not valid TOML", c->path, line);
	fill(id, get_toml, &doc);
	toml_fini(&doc);
	return 0;
}

int identity_load(struct identity *id, const struct config *c, struct err *e)
{
	struct identity fresh = {0};
	auto_free char *path = identity_path(c);
	auto_free char *text = NULL;
	size_t len = 0;
	struct err cause = ERR_INIT;
	int r = fs_read(path, MAX_BYTES, &text, &len, &cause);
	if (r == -ENOENT)
		r = from_config(&fresh, c, e);
	else if (r < 0)
		r = err_set(e, cause.code, "%s", cause.text);
	else
		r = from_json(&fresh, path, text, len, e);
	if (text)
		explicit_bzero(text, len);
	if (r < 0) {
		identity_fini(&fresh);
		return r;
	}
	*id = fresh;
	return 0;
}

static void put(json_t *o, const char *key, const char *value)
{
	if (value && value[0])
		json_object_set_new(o, key, json_string(value));
}

static char *to_json(const struct identity *id)
{
	json_t *o = json_object();
	put(o, keys[0], id->install_id);
	put(o, keys[1], id->worker_id);
	put(o, keys[2], id->request_id);
	put(o, keys[3], secret_reveal(&id->auth_token));
	put(o, keys[4], secret_reveal(&id->registration_secret));
	put(o, rejected_key, id->rejected_reason);
	char *text = json_dumps(o, JSON_INDENT(2));
	json_decref(o);
	return text;
}

int identity_save(const struct identity *id, const struct config *c, struct err *e)
{
	auto_free char *path = identity_path(c);
	int r = fs_mkdirs(c->dir, 0700, e);
	if (r < 0)
		return r;
	auto_free char *text = to_json(id);
	size_t len = strlen(text);
	r = fs_write_atomic(path, text, len, 0600, e);
	explicit_bzero(text, len);
	return r;
}

int identity_import(const struct identity *id, const struct config *c, struct err *e)
{
	const struct identity none = {0};
	if (identity_stamp(c) != 0 || identity_same(id, &none))
		return 0;
	return identity_save(id, c, e);
}

bool identity_exposed(const struct config *c)
{
	struct identity id = {0};
	struct err e = ERR_INIT;
	struct stat st;
	if (stat(c->path, &st) < 0 || !(st.st_mode & (S_IRGRP | S_IROTH)))
		return false;
	bool secrets = from_config(&id, c, &e) == 0 &&
		       (secret_is_set(&id.auth_token) || secret_is_set(&id.registration_secret));
	identity_fini(&id);
	return secrets;
}

/* identity.json first: while it exists, what a production file still holds is not looked at. */
int identity_reset(struct identity *id, struct config *c, struct err *e)
{
	struct identity none = {0};
	int r = identity_save(&none, c, e);
	if (r < 0)
		return r;
	identity_fini(id);
	return config_remove(c, keys, ARRAY_LEN(keys), e);
}
