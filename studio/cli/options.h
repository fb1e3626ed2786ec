/* options.h - command-line options as a table, with errors that hint at what was meant.
 * SPDX-License-Identifier: MIT */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1,    /* it was tried and did not work */
	EXIT_USAGE = 2,	    /* the command line or the config file is wrong */
	EXIT_NO_STUDIO = 3, /* no studiod is reachable */
	EXIT_JOB = 4,	    /* submit --wait: the job failed */
};

struct option_row {
	const char *name;   /* "--model" */
	const char **value; /* takes a value, which stays in argv */
	bool *flag;	    /* or is there or not */
};

/* Reads options from argv[0] on. Those that are none stay in argv, in order, *argc says how many;
 * with `leading` it stops at the first of them. Accepts "--name value", "--name=value", and "--"
 * before words that begin with a dash. On an error it prints it with a hint and returns false: exit
 * with EXIT_USAGE. `of` is what to ask for help. */
bool options_read(const char *of, const struct option_row *rows, size_t n, bool leading, int *argc,
		  char **argv);

/* The one of `words` that looks most like `word`, NULL when none is near. */
const char *nearest_word(const char *word, const char *const *words, size_t n);

#endif
