/* lines.c - see lines.h.
 * SPDX-License-Identifier: MIT */
#include "worker/host/lines.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"

#define LOOK_AT 256 /* bytes at the start of a line: where engines say what a line is */

enum rank { RANK_NONE, RANK_STDOUT_WORD, RANK_WORD, RANK_MARKED };

/* Words stand alone; marks are what programs put before an error. */
static const char *const marks[] = {"[error]", "error:", "fatal:", "panic:", "ggml_assert"};
static const char *const words[] = {"error",   "failed",  "fatal",  "abort", "aborted",
				    "cannot",  "could",	  "unable", "no",    "invalid",
				    "missing", "corrupt", "out"};
/* A word that says little alone, with what must follow it. */
static const char *const seconds[][2] = {{"could", " not"}, {"no", " such"}, {"out", " of memory"}};

static bool starts(const char *at, const char *with)
{
	return strncasecmp(at, with, strlen(with)) == 0;
}

static bool marked(const char *at)
{
	for (size_t i = 0; i < ARRAY_LEN(marks); i++)
		if (starts(at, marks[i]))
			return true;
	return false;
}

static bool goes_on(const char *word, const char *rest)
{
	for (size_t i = 0; i < ARRAY_LEN(seconds); i++)
		if (strcmp(word, seconds[i][0]) == 0)
			return starts(rest, seconds[i][1]);
	return !isalnum((unsigned char)*rest);
}

static bool worded(const char *at)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (starts(at, words[i]) && goes_on(words[i], at + strlen(words[i])))
			return true;
	return false;
}

/* The letters that any of the above starts with: most places of a line need no closer look. */
static bool may_start(char c)
{
	return c && strchr("[efpgacumnio", tolower((unsigned char)c)) != NULL;
}

/* llama-server, which writes everything to stderr: "0.00.003.112 I srv  load_model: ..."; '\0': not
 * of this form. */
static char level_of(const char *line)
{
	size_t n = strspn(line, "0123456789.");
	bool is = n && line[n] == ' ' && line[n + 1] && line[n + 2] == ' ';
	return is && strchr("DIWE", line[n + 1]) ? line[n + 1] : '\0';
}

static bool informs(const char *line)
{
	char level = level_of(line);
	return level == 'I' || level == 'D' || starts(line, "[info") || starts(line, "[debug");
}

static enum rank rank_of(int fd, const char *line)
{
	enum rank best = RANK_NONE;
	if (informs(line))
		return best;
	if (level_of(line) == 'E')
		return fd == 2 ? RANK_MARKED : RANK_STDOUT_WORD;
	for (size_t i = 0; i < LOOK_AT && line[i]; i++) {
		if (!may_start(line[i]))
			continue;
		if (marked(line + i))
			return fd == 2 ? RANK_MARKED : RANK_STDOUT_WORD;
		if ((i == 0 || !isalnum((unsigned char)line[i - 1])) && worded(line + i))
			best = fd == 2 ? RANK_WORD : RANK_STDOUT_WORD;
	}
	return best;
}

static void look(struct lines_seen *l, int fd, const char *line)
{
	if (l->rank == RANK_MARKED || !line[0])
		return;
	if (fd == 2 && !l->first)
		l->first = xstrdup(line);
	enum rank rank = rank_of(fd, line);
	if ((int)rank <= l->rank)
		return;
	l->rank = (int)rank;
	str_replace(&l->error, line);
}

bool lines_take(struct lines_seen *l, uint64_t now_ms, int fd, const char *line)
{
	look(l, fd, line);
	if (now_ms - l->window_ms >= LINES_WINDOW_MS) {
		l->window_ms = now_ms;
		l->in_window = 0;
	}
	if (l->in_window == LINES_WINDOW)
		return false;
	l->in_window++;
	return true;
}

const char *lines_error(const struct lines_seen *l)
{
	return l->error ? l->error : "";
}

const char *lines_last_words(const struct lines_seen *l)
{
	return l->error || !l->first ? lines_error(l) : l->first;
}

void lines_forget(struct lines_seen *l)
{
	free(l->error);
	free(l->first);
	l->error = l->first = NULL;
	l->rank = RANK_NONE;
}
