/* melody.c - a tune that follows a text: a word is a note, its length the number of letters, a stop
 * at commas and full stops. 22,050 Hz, 16 bits, one channel. SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "worker/engine/synthetic/maths.h"
#include "worker/engine/synthetic/run.h"

#define RATE	    22050
#define MAX_SECONDS 600 /* the tune of a longer text ends there */
#define HEADER	    44

struct tune {
	FILE *file;
	struct rng rng;
	double speed;
	int64_t samples;
	const int *scale;
	double root; /* Hz */
	int degree;
};

static const int scales[][7] = {
    {0, 2, 4, 7, 9, 12, 14},  /* major pentatonic */
    {0, 3, 5, 7, 10, 12, 15}, /* minor pentatonic */
    {0, 2, 3, 7, 9, 12, 14},  /* Dorian without the fourth */
    {0, 4, 5, 7, 11, 12, 16}, /* Lydian colours */
};

static double semitones(double hz, int n)
{
	for (; n > 0; n--)
		hz *= 1.0594630943592953;
	return hz;
}

int melody_prepare(struct engine_run *r, struct err *err)
{
	const struct task_tts *t = &r->job->task->tts;
	bool wav = strcmp(t->ext, "wav") == 0;
	if (!wav && !transcode_can(t->ext, false))
		return err_set(err, EINVAL, "sound can be wav, ogg or mp3, not '%.16s'", t->ext);
	if (!wav && !r->engine->ffmpeg)
		return err_set(err, ENOENT,
			       ".%s needs the program ffmpeg; " TRANSCODE_REMEDY " or ask for wav",
			       t->ext);
	if (t->has_speed && !(t->speed >= 0.1 && t->speed <= 10))
		return err_set(err, EINVAL, "a speed of %g is out of range: 0.1 to 10", t->speed);
	run_key("melody", t->text, t->voice, r->key);
	r->ext = xstrdup(t->ext);
	r->file = xasprintf("%s/result.%s", r->job->scratch, t->ext);
	r->input = wav ? NULL : xasprintf("%s/melody.wav", r->job->scratch);
	r->total = (int64_t)strlen(t->text) + 1;
	return 0;
}

static void put32(unsigned char *at, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		at[i] = (unsigned char)(v >> (8 * i));
}

static bool write_header(struct tune *t)
{
	unsigned char h[HEADER] = "RIFF....WAVEfmt ";
	uint32_t bytes = (uint32_t)t->samples * 2;
	put32(h + 4, bytes + HEADER - 8);
	put32(h + 16, 16);
	put32(h + 20, 1 | 1 << 16); /* PCM, one channel */
	put32(h + 24, RATE);
	put32(h + 28, RATE * 2);
	put32(h + 32, 2 | 16 << 16); /* bytes a sample, bits */
	h[36] = 'd', h[37] = 'a', h[38] = 't', h[39] = 'a';
	put32(h + 40, bytes);
	return fseek(t->file, 0, SEEK_SET) == 0 && fwrite(h, 1, sizeof h, t->file) == sizeof h;
}

static bool put_sample(struct tune *t, double v)
{
	int s = (int)(v * 32000);
	t->samples++;
	return putc(s & 255, t->file) != EOF && putc((s >> 8) & 255, t->file) != EOF;
}

/* Soft attack, gentle fall; the pitch slides a little into the note, as a voice does. */
static bool note(struct tune *t, double hz, double seconds)
{
	int64_t n = (int64_t)(seconds * RATE), i;
	double turn = 0, slide = rng_below(&t->rng, 3) ? 0.02 : -0.05;
	for (i = 0; i < n; i++) {
		double k = (double)i / (double)n, at = (double)i / RATE;
		double level = smooth(0, 0.02, at) * (1 - k) * (1 - k * 0.5) * smooth(1, 0.9, k);
		turn += hz * (1 + slide * (1 - smooth(0, 0.3, k))) / RATE;
		double v = 0.60 * sin_turn(turn) + 0.22 * sin_turn(2 * turn) * (1 - k) +
			   0.10 * sin_turn(3 * turn) * (1 - k) + 0.05 * sin_turn(0.5 * turn);
		if (!put_sample(t, v * level * 0.9))
			return false;
	}
	return true;
}

static bool rest(struct tune *t, double seconds)
{
	for (int64_t n = (int64_t)(seconds * RATE); n > 0; n--) {
		if (!put_sample(t, 0))
			return false;
	}
	return true;
}

static bool word(struct tune *t, size_t letters)
{
	int step = (int)rng_below(&t->rng, 5) - 2;
	t->degree += step;
	if (t->degree < 0 || t->degree > 6)
		t->degree -= 2 * step;
	double seconds = (0.10 + 0.035 * (double)(letters > 14 ? 14 : letters)) / t->speed;
	return note(t, semitones(t->root, t->scale[t->degree]), seconds) &&
	       rest(t, 0.03 / t->speed);
}

static bool pause_of(struct tune *t, char c)
{
	return strchr(",;:", c)	  ? rest(t, 0.12 / t->speed)
	       : strchr(".!?", c) ? rest(t, 0.25 / t->speed)
				  : true;
}

static bool space(char c)
{
	return isspace((unsigned char)c) || ispunct((unsigned char)c);
}

static int play(struct engine_run *r, struct tune *t, struct err *err)
{
	const char *text = r->job->task->tts.text, *p = text;
	bool ok = write_header(t) && rest(t, 0.05);
	while (*p && ok && t->samples < (int64_t)RATE * MAX_SECONDS) {
		size_t n = 0;
		if (atomic_load(&r->stop))
			return err_set(err, ECANCELED, "cancelled");
		while (p[n] && !space(p[n]))
			n++;
		ok = n ? word(t, n) : pause_of(t, *p);
		p += n ? n : 1;
		atomic_store(&r->done, p - text);
	}
	ok = ok && rest(t, 0.1) && write_header(t);
	return ok ? 0 : err_sys(err, errno ? errno : EIO, "cannot write the sound");
}

int melody_render(struct engine_run *r, struct err *err)
{
	const struct task_tts *task = &r->job->task->tts;
	struct tune t = {.speed = task->has_speed ? task->speed : 1};
	uint64_t seed = 0;
	for (int i = 0; i < 8; i++)
		seed = seed << 8 | r->key[i];
	rng_init_seeded(&t.rng, seed);
	t.scale = scales[rng_below(&t.rng, ARRAY_LEN(scales))];
	t.root = semitones(196, (int)rng_below(&t.rng, 12)); /* G3 and up */
	t.degree = (int)rng_below(&t.rng, 5);
	const char *path = r->input ? r->input : r->file;
	t.file = fopen(path, "wbe");
	if (!t.file)
		return err_sys(err, errno, "cannot write %s", path);
	int rc = play(r, &t, err);
	if (fclose(t.file) != 0 && rc == 0)
		rc = err_sys(err, errno, "cannot write the sound");
	return rc;
}
