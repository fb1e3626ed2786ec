/* names.c - see names.h.
 * SPDX-License-Identifier: MIT */
#include "worker/config/names.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"

bool name_valid(const char *s)
{
	size_t n = strlen(s);
	if (n == 0 || n > NAME_MAX_LEN)
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s > '~' || *s == ',')
			return false;
	return true;
}

void names_free(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

bool names_equal(char *const *a, char *const *b)
{
	size_t i = 0;
	while (a[i] && b[i] && strcmp(a[i], b[i]) == 0)
		i++;
	return !a[i] && !b[i];
}

/* The next piece without the spaces around it; *text moves behind its comma, or to NULL. */
static char *next_piece(const char **text)
{
	const char *s = *text + strspn(*text, " \t");
	size_t n = strcspn(s, ",");
	*text = s[n] ? s + n + 1 : NULL;
	while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		n--;
	return xstrndup(s, n);
}

int names_split(const char *text, char ***out, struct err *e)
{
	char **list = xcalloc(NAMES_MAX + 1, sizeof *list);
	const char *rest = text[strspn(text, " \t")] ? text : NULL;
	size_t n = 0;
	for (; rest && n < NAMES_MAX; n++) {
		list[n] = next_piece(&rest);
		if (!name_valid(list[n])) {
			names_free(list);
			return err_set(e, EINVAL,
				       "each of the names between commas must be " NAME_WANTED);
		}
	}
	if (rest) {
		names_free(list);
		return err_set(e, ERANGE, "at most %d names", NAMES_MAX);
	}
	*out = list;
	return 0;
}
