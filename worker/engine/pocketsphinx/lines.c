/* lines.c - see lines.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/pocketsphinx/lines.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/wire/frame.h"

#define MAX_WORD 63

void lines_init(struct lines *l, bool words)
{
	*l = (struct lines){.words = words};
	transcript_init(&l->out);
}

void lines_fini(struct lines *l)
{
	transcript_fini(&l->out);
	free(l->utterance);
}

/* "fall(2)" is another way to say "fall"; "<sil>" and "[NOISE]" are no words. */
static bool clean(const char *token, char out[MAX_WORD + 1])
{
	if (strchr("<[+", *token))
		return false;
	size_t n = strcspn(token, "(");
	if (n > MAX_WORD)
		n = MAX_WORD;
	memcpy(out, token, n);
	out[n] = '\0';
	return n > 0;
}

static void word(struct lines *l, const char *token, double start, double end)
{
	char text[MAX_WORD + 1];
	if (!clean(token, text))
		return;
	if (!l->timed)
		l->start = start;
	l->timed = true;
	l->end = end;
	if (l->words)
		transcript_add_word(&l->out, start, end, text);
}

void lines_end(struct lines *l)
{
	if (!l->utterance)
		return;
	auto_free char *text = xasprintf("%s%s", l->out.text.len ? " " : "", l->utterance);
	transcript_add_segment(&l->out, l->start, l->end, text);
	free(l->utterance);
	l->utterance = NULL;
	l->timed = false;
}

static double number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

/* A line that was cut ends after its last whole word then. */
static json_t *repaired(const char *line)
{
	struct err e = ERR_INIT;
	const char *words = strstr(line, "\"w\":["), *last = NULL;
	for (const char *at = words; at && (at = strstr(at, "},")); at++)
		last = at;
	auto_free char *whole = last ? xasprintf("%.*s}]}", (int)(last - line), line) : NULL;
	return whole ? json_parse(whole, strlen(whole), &e) : NULL;
}

/* {"b":0.1,"d":1.2,"p":0.9,"t":"you are","w":[{"b":0.1,"d":0.2,"p":0.9,"t":"you"},…]} */
static double utterance(struct lines *l, const char *line)
{
	struct err e = ERR_INIT;
	json_t *u = json_parse(line, strlen(line), &e);
	if (!u) {
		u = repaired(line);
		l->cut = true;
	}
	const char *text = json_string_value(json_object_get(u, "t"));
	const json_t *list = json_object_get(u, "w");
	double end = -1;
	if (text && *text) {
		l->utterance = xstrdup(text);
		for (size_t i = 0; i < json_array_size(list); i++) {
			const json_t *w = json_array_get(list, i);
			const char *t = json_string_value(json_object_get(w, "t"));
			if (t)
				word(l, t, number(w, "b"), number(w, "b") + number(w, "d"));
		}
		l->start = number(u, "b");
		end = l->end = l->start + number(u, "d");
		lines_end(l);
	}
	json_decref(u);
	return end;
}

double lines_add(struct lines *l, const char *line)
{
	char token[128], rest;
	double start, end, probability;
	if (*line == '{')
		return utterance(l, line);
	if (sscanf(line, "%127s %lf %lf %lf %c", token, &start, &end, &probability, &rest) == 4) {
		word(l, token, start, end);
		return end;
	}
	lines_end(l);
	if (line[strspn(line, " \t")])
		l->utterance = xstrdup(line);
	return -1;
}
