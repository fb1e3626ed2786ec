/* log_filter.c - see log_filter.h.
 * SPDX-License-Identifier: MIT */
#include "lib/base/log_filter.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"

static int parse_level(const char *text, enum log_level *level, struct err *e)
{
	if (log_level_parse(text, level))
		return 0;
	return err_set(e, EINVAL, "unknown log level \"%s\"; use debug, info, warn or error", text);
}

static int set_room(struct log_filter *f, const char *name, enum log_level level, struct err *e)
{
	size_t i = 0;
	while (i < f->n && strcmp(f->rooms[i].name, name) != 0)
		i++;
	if (!name[0] || strlen(name) >= LOG_FILTER_NAME)
		return err_set(e, EINVAL, "\"%s\" is not the name of a room in a log filter", name);
	if (i == LOG_FILTER_ROOMS)
		return err_set(e, E2BIG, "more than %d rooms in a log filter", LOG_FILTER_ROOMS);
	memcpy(f->rooms[i].name, name, strlen(name) + 1);
	f->rooms[i].level = level;
	if (i == f->n)
		f->n++;
	return 0;
}

static int parse_entry(struct log_filter *f, char *entry, struct err *e)
{
	enum log_level level;
	char *equals = strchr(entry, '=');
	int rc = parse_level(equals ? equals + 1 : entry, &level, e);
	if (rc < 0)
		return rc;
	if (!equals) {
		f->level = level;
		return 0;
	}
	*equals = '\0';
	return set_room(f, entry, level, e);
}

int log_filter_parse(struct log_filter *f, const char *spec, struct err *e)
{
	struct log_filter out = {.level = LOG_LEVEL_INFO};
	auto_free char *copy = xstrdup(spec);
	char *rest = copy, *entry;
	while ((entry = strsep(&rest, ","))) {
		int rc = parse_entry(&out, entry, e);
		if (rc < 0)
			return rc;
	}
	*f = out;
	return 0;
}

bool log_filter_passes(const struct log_filter *f, const char *category, enum log_level level)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->rooms[i].name, category) == 0)
			return level >= f->rooms[i].level;
	return level >= f->level;
}
