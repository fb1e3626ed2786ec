/* says.c - see says.h. SPDX-License-Identifier: MIT */
#include "worker/engine/sd-cpp/says.h"

#include <stdio.h>
#include <string.h>

/* "  |=====>      | 2/4 - 7.84it/s" and "  |#####  | 45/386 - 828.94MB/s", with escape codes
 * behind.
 */
static struct saying bar(const char *line)
{
	struct saying s = {SAYS_NOTHING, 0, 0};
	line += strspn(line, " ");
	if (*line != '|')
		return s;
	const char *end = strchr(line + 1, '|');
	char unit[16] = "";
	double rate;
	if (!end || sscanf(end, "| %d/%d - %lf%15s", &s.step, &s.of, &rate, unit) != 4)
		return s;
	if (s.of <= 0 || s.step < 0 || s.step > s.of)
		return s;
	if (strstr(unit, "B/s"))
		s.what = SAYS_LOADING;
	else if (strncmp(unit, "it/s", 4) == 0 || strncmp(unit, "s/it", 4) == 0)
		s.what = SAYS_STEP;
	return s;
}

struct saying says(const char *line)
{
	static const struct {
		const char *words;
		enum says what;
	} phases[] = {
	    {"get_learned_condition completed", SAYS_READ}, {"sampling completed", SAYS_SAMPLED},
	    {"decode_first_stage completed", SAYS_DECODED}, {"generate_image completed", SAYS_DONE},
	    {"generate_video completed", SAYS_DONE},
	};
	struct saying s = bar(line);
	if (s.what != SAYS_NOTHING || line[0] != '[')
		return s;
	for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
		if (strstr(line, phases[i].words))
			s.what = phases[i].what;
	}
	return s;
}

static bool move(struct standing *s, double fraction, const char *detail)
{
	if (fraction <= s->fraction && strcmp(detail, s->detail) == 0)
		return false;
	if (fraction > s->fraction)
		s->fraction = fraction;
	snprintf(s->detail, sizeof s->detail, "%s", detail);
	return true;
}

/* The shares are those of 20 steps on a GPU: what is before and after is little. */
bool standing_take(struct standing *s, const struct saying *said)
{
	char step[48];
	switch (said->what) {
	case SAYS_LOADING:
		return move(s, s->fraction, "loading weights");
	case SAYS_READ:
		return move(s, 0.05, "prompt understood");
	case SAYS_STEP:
		if (s->sampled)
			return move(s, 0.9 + 0.07 * said->step / said->of, "decoding");
		snprintf(step, sizeof step, "step %d of %d", said->step, said->of);
		return move(s, 0.05 + 0.83 * said->step / said->of, step);
	case SAYS_SAMPLED:
		s->sampled = true;
		return move(s, 0.9, "decoding");
	case SAYS_DECODED:
		return move(s, 0.97, "decoding");
	case SAYS_DONE:
		return move(s, 0.98, "encoding");
	case SAYS_NOTHING:
		break;
	}
	return false;
}
