/* options.c - command-line options as a table, with errors that hint at what was meant.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "studio/cli/options.h"

#define WORD_MAX 40

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Levenshtein distance; words longer than WORD_MAX are far from everything. */
static size_t distance(const char *a, const char *b)
{
	size_t row[WORD_MAX + 1], la = strlen(a), lb = strlen(b);

	if (la > WORD_MAX || lb > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t changed = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			row[j] = least(changed, least(row[j], row[j - 1]) + 1);
		}
	}
	return row[lb];
}

const char *nearest_word(const char *word, const char *const *words, size_t n)
{
	const char *best = NULL;
	size_t len = strlen(word + strspn(word, "-"));
	size_t best_distance = len < 4 ? 2 : len < 10 ? 3 : 4; /* the first too far away */

	for (size_t i = 0; i < n; i++) {
		size_t d = distance(word, words[i]);
		if (d < best_distance && d < strlen(words[i])) {
			best = words[i];
			best_distance = d;
		}
	}
	return best;
}

static void unknown(const char *of, const char *word, const struct option_row *rows, size_t n)
{
	const char *names[64], *near;

	for (size_t i = 0; i < n && i < ARRAY_LEN(names); i++)
		names[i] = rows[i].name;
	near = nearest_word(word, names, least(n, ARRAY_LEN(names)));
	fprintf(stderr, "studiod: unknown option %s", word);
	if (near)
		fprintf(stderr, "; did you mean %s?", near);
	fprintf(stderr, "\nTry '%s --help'.\n", of);
}

static const struct option_row *find(const struct option_row *rows, size_t n, const char *word,
				     size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(rows[i].name) == len && strncmp(rows[i].name, word, len) == 0)
			return &rows[i];
	return NULL;
}

static bool complain(const char *of, const char *name, const char *what)
{
	fprintf(stderr, "studiod: option %s %s\nTry '%s --help'.\n", name, what, of);
	return false;
}

/* One option at argv[*i], which may take the next word too. */
static bool read_one(const char *of, const struct option_row *rows, size_t n, int argc, char **argv,
		     int *i)
{
	const char *word = argv[*i], *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : strlen(word);
	const struct option_row *row = find(rows, n, word, len);

	if (!row) {
		auto_free char *name = xstrndup(word, len);
		unknown(of, name, rows, n);
		return false;
	}
	if (row->flag) {
		*row->flag = true;
		return equals ? complain(of, row->name, "takes no value") : true;
	}
	if (equals)
		*row->value = equals + 1;
	else if (*i + 1 < argc)
		*row->value = argv[++*i];
	else
		return complain(of, row->name, "needs a value");
	return true;
}

bool options_read(const char *of, const struct option_row *rows, size_t n, bool leading, int *argc,
		  char **argv)
{
	int kept = 0, i = 0;
	bool only_words = false;

	for (; i < *argc; i++) {
		const char *word = argv[i];
		if (!only_words && strcmp(word, "--") == 0) {
			only_words = true;
		} else if (only_words || word[0] != '-' || !word[1]) {
			if (leading)
				break;
			argv[kept++] = argv[i];
		} else if (!read_one(of, rows, n, *argc, argv, &i)) {
			return false;
		}
	}
	for (; i < *argc; i++)
		argv[kept++] = argv[i];
	*argc = kept;
	return true;
}
