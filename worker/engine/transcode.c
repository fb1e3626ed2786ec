/* transcode.c - see transcode.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/transcode.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/loop/child.h"
#include "lib/loop/output.h"

#define MAX_ARGS   64
#define MAX_PIXELS "67108864" /* of a frame that is read: as PIXELS_MAX */

struct transcode {
	struct child *child;
	struct output output;
	const struct transcode_events *ev;
	void *arg;
	char *path;
	double seconds;
};

enum medium { MEDIUM_SOUND, MEDIUM_VIDEO, MEDIUM_STILL };

struct format {
	const char *ext;
	enum medium medium;
	const char *filter; /* NULL: none */
	const char *args[18];
};

/* Settings: speech and tones need little; video for a browser: 4:2:0, index in front. */
static const struct format formats[] = {
    {"ogg", MEDIUM_SOUND, NULL, {"-c:a", "libvorbis", "-q:a", "4"}},
    {"mp3", MEDIUM_SOUND, NULL, {"-c:a", "libmp3lame", "-q:a", "3"}},
    {"mp4",
     MEDIUM_VIDEO,
     NULL,
     {"-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p", "-movflags",
      "+faststart"}},
    {"webm",
     MEDIUM_VIDEO,
     NULL,
     {"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "6", "-crf", "30", "-b:v", "0",
      "-row-mt", "1", "-pix_fmt", "yuv420p"}},
    {"webp", MEDIUM_VIDEO, NULL, {"-c:v", "libwebp", "-loop", "0", "-q:v", "80"}},
    {"gif",
     MEDIUM_VIDEO,
     "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1",
     {"-loop", "0"}},
    {"png", MEDIUM_STILL, NULL, {"-frames:v", "1", "-c:v", "png", "-f", "image2"}},
};

static const struct format *format_of(const char *ext, enum medium medium)
{
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		if (strcmp(formats[i].ext, ext) == 0 && formats[i].medium == medium)
			return &formats[i];
	}
	return NULL;
}

bool transcode_can(const char *ext, bool video)
{
	return format_of(ext, video ? MEDIUM_VIDEO : MEDIUM_SOUND) != NULL;
}

/* "out_time_us=1234567" is what -progress prints about twice a second. */
static void line(void *arg, int fd, const char *text)
{
	struct transcode *t = arg;
	if (fd != 1) {
		output_line(&t->output, text);
		return;
	}
	int64_t us;
	if (sscanf(text, "out_time_us=%" SCNd64, &us) == 1 && t->seconds > 0 && us >= 0) {
		double f = (double)us / 1e6 / t->seconds;
		t->ev->progress(t->arg, f > 1 ? 1 : f);
	}
}

static int outcome(const struct transcode *t, const struct child_end *end, struct err *e)
{
	uint64_t size;
	if (end->cancelled)
		return err_set(e, ECANCELED, "cancelled");
	if (end->timed_out)
		return err_set(e, ETIMEDOUT, "ffmpeg did not finish in time");
	if (end->signal)
		return err_set(e, EIO, "ffmpeg was ended by signal %d", end->signal);
	if (end->exit_code != 0)
		return err_set(e, EIO, "ffmpeg failed with exit code %d: %s", end->exit_code,
			       end->first_error);
	if (fs_size(t->path, &size, e) < 0)
		return err_wrap(e, "ffmpeg wrote no file");
	return size ? 0 : err_set(e, EIO, "ffmpeg wrote an empty file");
}

static void ended(void *arg, const struct child_end *end)
{
	struct transcode *t = arg;
	struct err e = ERR_INIT;
	int rc = outcome(t, end, &e);
	t->ev->end(t->arg, rc < 0 ? &e : NULL);
	free(t->path);
	free(t);
}

static void add(const char **argv, size_t *n, const char *const *args)
{
	for (; *args && *n < MAX_ARGS - 1; args++)
		argv[(*n)++] = *args;
}

/* What ffmpeg is told of the input. Texts live in `t`. */
struct texts {
	char size[32], rate[32], filter[160], frames[24];
	char *in, *out;
};

static void add_input(const char **argv, size_t *n, const struct transcode_spec *s, struct texts *t)
{
	if (s->demuxer)
		/* Nothing but the file itself, whatever the file says. */
		add(argv, n,
		    (const char *const[]){"-protocol_whitelist", "file", "-max_pixels", MAX_PIXELS,
					  "-f", s->demuxer, NULL});
	else if (s->width > 0)
		add(argv, n,
		    (const char *const[]){"-f", "rawvideo", "-pixel_format", "rgb24", "-video_size",
					  t->size, "-framerate", t->rate, NULL});
	add(argv, n, (const char *const[]){"-i", t->in, "-map_metadata", "-1", NULL});
}

static void add_output(const char **argv, size_t *n, const struct transcode_spec *s,
		       const struct format *f, struct texts *t)
{
	char crop[64] = "";
	if (s->crop_width > 0)
		snprintf(crop, sizeof crop, "crop=%d:%d", s->crop_width, s->crop_height);
	snprintf(t->filter, sizeof t->filter, "%s%s%s", crop, crop[0] && f->filter ? "," : "",
		 f->filter ? f->filter : "");
	if (t->filter[0])
		add(argv, n, (const char *const[]){"-filter_complex", t->filter, NULL});
	if (s->frames > 0)
		add(argv, n, (const char *const[]){"-frames:v", t->frames, NULL});
	add(argv, n, f->args);
	add(argv, n, (const char *const[]){t->out, NULL});
}

static enum medium medium_of(const struct transcode_spec *s)
{
	if (s->demuxer)
		return strcmp(s->demuxer, "avi") == 0 ? MEDIUM_VIDEO : MEDIUM_STILL;
	return s->width > 0 ? MEDIUM_VIDEO : MEDIUM_SOUND;
}

static struct child *run(struct transcode *t, const struct engine_env *env,
			 const struct transcode_spec *s, const struct format *f, struct err *err)
{
	static const struct child_events events = {.line = line, .end = ended};
	struct texts texts;
	snprintf(texts.size, sizeof texts.size, "%dx%d", s->width, s->height);
	snprintf(texts.rate, sizeof texts.rate, "%.6g", s->fps);
	snprintf(texts.frames, sizeof texts.frames, "%" PRId64, s->frames);
	/* file: keeps a path from being read as a URL or an option. */
	auto_free char *in = xasprintf("file:%s", s->input), *out = xasprintf("file:%s", s->output);
	texts.in = in;
	texts.out = out;
	const char *argv[MAX_ARGS] = {NULL};
	size_t n = 0;
	add(argv, &n,
	    (const char *const[]){s->ffmpeg, "-hide_banner", "-nostdin", "-loglevel", "warning",
				  "-nostats", "-progress", "pipe:1", "-y", NULL});
	add_input(argv, &n, s, &texts);
	add_output(argv, &n, s, f, &texts);
	struct child_spec spec = {.argv = argv, .deadline_ms = s->deadline_ms};
	return child_start(env->loop, &spec, &events, t, err);
}

struct transcode *transcode_start(const struct engine_env *env, const struct transcode_spec *s,
				  const struct transcode_events *ev, void *arg, struct err *err)
{
	const struct format *f = format_of(s->ext, medium_of(s));
	if (!f) {
		err_set(err, EINVAL, "ffmpeg is not asked for .%s files here", s->ext);
		return NULL;
	}
	struct transcode *t = xcalloc(1, sizeof *t);
	*t = (struct transcode){
	    .ev = ev, .arg = arg, .path = xstrdup(s->output), .seconds = s->seconds};
	t->output = (struct output){.log = env->log, .job_id = s->job_id, .program = "ffmpeg"};
	t->child = run(t, env, s, f, err);
	if (!t->child) {
		free(t->path);
		free(t);
		return NULL;
	}
	return t;
}

void transcode_kill(struct transcode *t)
{
	child_kill(t->child);
}
