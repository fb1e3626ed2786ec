/* refusal.c - offers that a worker refused for a reason of its own, not for one of the moment.
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/utf8.h"
#include "studio/hub/parts.h"

#define WHY_MAX 300

static struct refusal *find(const struct session *s, const char *shape)
{
	for (size_t i = 0; i < REFUSED_MAX; i++) {
		const struct refusal *r = &s->refused[i];
		if (r->shape && strcmp(r->shape, shape) == 0)
			return (struct refusal *)(uintptr_t)r;
	}
	return NULL;
}

void session_refuses(struct session *s, const char *shape, const char *why, uint64_t ms)
{
	struct refusal *r = find(s, shape);
	if (!r) {
		r = &s->refused[s->next_refused];
		s->next_refused = (s->next_refused + 1) % REFUSED_MAX;
	}
	str_replace(&r->shape, shape);
	str_replace(&r->why, why ? why : "no reason given");
	utf8_clean(r->why);
	utf8_cut(r->why, WHY_MAX);
	r->until_ms = clock_now(s->hub->d.clock) + ms;
}

const struct refusal *session_refusal(const struct session *s, const char *shape)
{
	const struct refusal *r = find(s, shape);
	return r && r->until_ms > clock_now(s->hub->d.clock) ? r : NULL;
}

static bool same_models(const struct capabilities *a, const struct capabilities *b)
{
	if (a->kinds != b->kinds || a->models.n != b->models.n)
		return false;
	for (size_t i = 0; i < a->models.n; i++)
		if (strcmp(a->models.items[i], b->models.items[i]) != 0)
			return false;
	return true;
}

void session_refusals_free(struct session *s)
{
	for (size_t i = 0; i < REFUSED_MAX; i++) {
		str_replace(&s->refused[i].shape, NULL);
		str_replace(&s->refused[i].why, NULL);
	}
}

void session_reconsider(struct session *s, const struct capabilities *now)
{
	const struct capabilities *was = s->capabilities;
	bool same = fabs(was->vram_threshold_gb - now->vram_threshold_gb) < 1e-9 &&
		    fabs(was->vram_total_gb - now->vram_total_gb) < 1e-9 && same_models(was, now);
	if (same)
		return;
	session_refusals_free(s);
	for (size_t i = 0; i < SHUN_MAX; i++)
		s->shunned[i].until_ms = 0;
}
