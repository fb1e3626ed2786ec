/* args.h - the options of a command as a table, and errors with a hint.
 * SPDX-License-Identifier: MIT */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>

struct arg {
	const char *name;   /* "--reset" */
	bool *flag;	    /* set when given; or */
	const char **value; /* takes one: "--name VALUE" or "--name=VALUE" */
};

/* Takes the options out of argv (argc and argv are what follows the command's name) and leaves the
 * plain words in front;
 * "--" ends the options. False after an error on stderr. */
bool args_parse(const char *command, const struct arg *args, size_t n, int *argc, char **argv);
/* False after an error on stderr when there are more or fewer words. */
bool args_count(const char *command, int argc, char **argv, int want, const char *usage);

/* The word that was probably meant, NULL when none is near. `next` gives the candidates, NULL at
 * the end. */
const char *args_nearest(const char *word, const char *(*next)(const void *list, size_t i),
			 const void *list);

#endif
