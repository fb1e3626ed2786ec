/* args.c - see args.h.
 * SPDX-License-Identifier: MIT */
#include "worker/cli/args.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"

#define MAX_WORD 40

static size_t least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;
	return ab < c ? ab : c;
}

/* Levenshtein's distance; words are short. */
static size_t distance(const char *a, const char *b)
{
	size_t row[MAX_WORD + 1], n = strlen(b);
	if (strlen(a) > MAX_WORD || n > MAX_WORD)
		return MAX_WORD;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t above = row[j];
			row[j] =
			    least(row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[n];
}

const char *args_nearest(const char *word, const char *(*next)(const void *list, size_t i),
			 const void *list)
{
	const char *best = NULL, *candidate;
	size_t limit = strlen(word) / 2 + 1;
	for (size_t i = 0; (candidate = next(list, i)); i++) {
		size_t d = distance(word, candidate);
		bool begins = word[0] && strncmp(candidate, word, strlen(word)) == 0;
		if (begins || d < limit) {
			limit = begins ? 0 : d;
			best = candidate;
		}
	}
	return best;
}

struct arg_list {
	const struct arg *args;
	size_t n;
};

static const char *next_name(const void *list, size_t i)
{
	const struct arg_list *l = list;
	static const char *const global[] = {"--config", "--help"};
	if (i < l->n)
		return l->args[i].name;
	return i - l->n < ARRAY_LEN(global) ? global[i - l->n] : NULL;
}

static bool unknown(const char *command, const struct arg *args, size_t n, const char *word)
{
	struct arg_list list = {args, n};
	auto_free char *name = xstrndup(word, strcspn(word, "="));
	const char *near = args_nearest(name, next_name, &list);
	fprintf(stderr, "studio-worker %s: unknown option %s", command, name);
	if (near)
		fprintf(stderr, "; did you mean %s?\n", near);
	else
		fprintf(stderr, "; see `studio-worker %s --help`\n", command);
	return false;
}

static const struct arg *find(const struct arg *args, size_t n, const char *word, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(args[i].name) == len && strncmp(args[i].name, word, len) == 0)
			return &args[i];
	return NULL;
}

/* One option; *i moves on when its value is the next word. */
static bool take(const char *command, const struct arg *args, size_t n, int argc, char **argv,
		 int *i)
{
	const char *word = argv[*i], *eq = strchr(word, '=');
	const struct arg *a = find(args, n, word, strcspn(word, "="));
	if (!a)
		return unknown(command, args, n, word);
	if (a->flag && eq) {
		fprintf(stderr, "studio-worker %s: %s takes no value\n", command, a->name);
		return false;
	}
	if (a->flag) {
		*a->flag = true;
		return true;
	}
	if (!eq && *i + 1 >= argc) {
		fprintf(stderr, "studio-worker %s: %s needs a value\n", command, a->name);
		return false;
	}
	*a->value = eq ? eq + 1 : argv[++*i];
	return true;
}

bool args_parse(const char *command, const struct arg *args, size_t n, int *argc, char **argv)
{
	int words = 0;
	bool options = true;
	for (int i = 0; i < *argc; i++) {
		if (options && strcmp(argv[i], "--") == 0)
			options = false;
		else if (!options || argv[i][0] != '-' || !argv[i][1])
			argv[words++] = argv[i];
		else if (!take(command, args, n, *argc, argv, &i))
			return false;
	}
	*argc = words;
	return true;
}

bool args_count(const char *command, int argc, char **argv, int want, const char *usage)
{
	if (argc == want)
		return true;
	if (argc > want)
		fprintf(stderr, "studio-worker %s: unexpected argument %s\nusage: %s\n", command,
			argv[want], usage);
	else
		fprintf(stderr, "usage: %s\n", usage);
	return false;
}
