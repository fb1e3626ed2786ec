/* audio.c - see audio.h.
 * What the file claims to be decides nothing: ffmpeg may open that one file and no other, and only
 * by demuxers of containers and codecs, not of playlists. SPDX-License-Identifier: MIT */
#include "worker/engine/audio.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/loop/child.h"
#include "lib/loop/output.h"

#define DEADLINE_MS 900000 /* decoding sound takes about a minute an hour on a slow machine */
#define WAV_HEADER  44
#define WAV_RATE_AT 28 /* bytes a second, little-endian */

/* Each holds its sound itself: no hls, dash, concat or image lists, which name other files. */
#define FORMATS                                                                                    \
	"aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,eac3,flac,flv,gsm,latm,loas,matroska,mov,mp3,"    \
	"mpeg,mpegts,nut,ogg,opus,rm,tak,tta,voc,w64,wav,webm,wv"

struct audio {
	struct child *child;
	struct output output;
	const struct audio_events *ev;
	void *arg;
	char *path, *fault; /* fault: the first line that ffmpeg calls an error */
	double pad_s, seconds;
	bool no_sound, unreadable;
};

static void starts(struct audio *a, const char *text)
{
	unsigned h, m;
	double s;
	const char *at = strstr(text, "Duration: ");
	if (at && a->seconds <= 0 && sscanf(at, "Duration: %u:%u:%lf", &h, &m, &s) == 3)
		a->seconds = h * 3600.0 + m * 60.0 + s;
}

static void complains(struct audio *a, const char *text)
{
	if (strstr(text, "matches no streams"))
		a->no_sound = true;
	if (strstr(text, "Invalid data found") || strstr(text, "not on whitelist") ||
	    strstr(text, "Format not on"))
		a->unreadable = true;
	if (!a->fault && (strstr(text, "[error]") || strstr(text, "[fatal]")))
		a->fault = xstrdup(text);
	if (!strstr(text, "Guessed Channel Layout")) /* every WAV of one channel */
		output_line(&a->output, text);
}

static void line(void *arg, int fd, const char *text)
{
	struct audio *a = arg;
	long long us;
	if (fd == 2 && strstr(text, "[info]"))
		starts(a, text);
	else if (fd == 2)
		complains(a, text);
	else if (sscanf(text, "out_time_us=%lld", &us) == 1 && us >= 0 && a->seconds > 0) {
		double f = (double)us / 1e6 / a->seconds;
		a->ev->progress(a->arg, f > 1 ? 1 : f);
	}
}

static int failed(const struct audio *a, const struct child_end *end, struct err *e)
{
	if (a->no_sound)
		return err_set(e, EINVAL, "there is no sound in the input");
	if (a->unreadable)
		return err_set(e, EINVAL,
			       "the input is no recording that ffmpeg can read, or is damaged");
	return err_set(e, EIO, "ffmpeg failed with exit code %d: %s", end->exit_code,
		       a->fault ? a->fault : end->first_error);
}

static int outcome(struct audio *a, const struct child_end *end, struct err *e)
{
	if (end->cancelled)
		return err_set(e, ECANCELED, "cancelled");
	if (end->timed_out)
		return err_set(e, ETIMEDOUT, "ffmpeg did not finish within %d s",
			       DEADLINE_MS / 1000);
	if (end->signal)
		return err_set(e, EIO, "ffmpeg was ended by signal %d", end->signal);
	if (end->exit_code != 0)
		return failed(a, end, e);
	if (audio_wav_seconds(a->path, "ffmpeg", &a->seconds, e) < 0)
		return -e->code;
	a->seconds -= a->pad_s;
	if (a->seconds <= 0)
		return err_set(e, EINVAL, "there is no sound in the input");
	if (a->seconds > AUDIO_MAX_SECONDS)
		return err_set(e, EINVAL,
			       "the recording is longer than %d hours, the limit here; split it",
			       AUDIO_MAX_SECONDS / 3600);
	return 0;
}

static void forget(struct audio *a)
{
	free(a->path);
	free(a->fault);
	free(a);
}

static void ended(void *arg, const struct child_end *end)
{
	struct audio *a = arg;
	struct err e = ERR_INIT;
	int rc = outcome(a, end, &e);
	a->ev->end(a->arg, rc < 0 ? 0 : a->seconds, rc < 0 ? &e : NULL);
	forget(a);
}

struct audio *audio_start(const struct engine_env *env, const struct audio_spec *s,
			  const struct audio_events *ev, void *arg, struct err *err)
{
	static const struct child_events events = {.line = line, .end = ended};
	char pad[48], limit[16];
	snprintf(pad, sizeof pad, "apad=pad_dur=%.3f", s->pad_s);
	snprintf(limit, sizeof limit, "%.0f", AUDIO_MAX_SECONDS + s->pad_s + 1);
	auto_free char *in = xasprintf("file:%s", s->input), *out = xasprintf("file:%s", s->output);
	const char *argv[] = {s->ffmpeg,
			      "-hide_banner",
			      "-nostdin",
			      "-loglevel",
			      "level+info",
			      "-nostats",
			      "-progress",
			      "pipe:1",
			      "-y",
			      "-protocol_whitelist",
			      "file",
			      "-format_whitelist",
			      (FORMATS),
			      "-i",
			      in,
			      "-map",
			      "0:a:0",
			      "-map_metadata",
			      "-1",
			      "-af",
			      s->pad_s > 0 ? pad : "anull",
			      "-ac",
			      "1",
			      "-ar",
			      "16000",
			      "-c:a",
			      "pcm_s16le",
			      "-t",
			      limit,
			      "-bitexact",
			      "-f",
			      "wav",
			      out,
			      NULL};
	struct child_spec spec = {.argv = argv, .deadline_ms = DEADLINE_MS};
	struct audio *a = xcalloc(1, sizeof *a);
	*a = (struct audio){.ev = ev, .arg = arg, .path = xstrdup(s->output), .pad_s = s->pad_s};
	a->output = (struct output){.log = env->log, .job_id = s->job_id, .program = "ffmpeg"};
	a->child = child_start(env->loop, &spec, &events, a, err);
	if (a->child)
		return a;
	forget(a);
	return NULL;
}

void audio_kill(struct audio *a)
{
	child_kill(a->child);
}

static int read_header(const char *path, const char *who, unsigned char head[WAV_HEADER],
		       struct err *e)
{
	int fd = fs_open_regular(path, e);
	if (fd < 0)
		return err_wrap(e, "what %s wrote", who);
	ssize_t n = read(fd, head, WAV_HEADER);
	close(fd);
	if (n < WAV_HEADER || memcmp(head, "RIFF", 4) != 0 || memcmp(head + 8, "WAVE", 4) != 0)
		return err_set(e, EIO, "what %s wrote is not a WAV file", who);
	return 0;
}

int audio_wav_seconds(const char *path, const char *who, double *seconds, struct err *e)
{
	unsigned char head[WAV_HEADER] = {0};
	uint64_t size;
	if (fs_size(path, &size, e) < 0)
		return err_wrap(e, "%s wrote no file", who);
	if (read_header(path, who, head, e) < 0)
		return -e->code;
	const unsigned char *r = head + WAV_RATE_AT;
	uint32_t rate = r[0] | (uint32_t)r[1] << 8 | (uint32_t)r[2] << 16 | (uint32_t)r[3] << 24;
	if (rate == 0)
		return err_set(e, EIO, "what %s wrote is not a WAV file", who);
	if (size <= WAV_HEADER)
		return err_set(e, EIO, "%s wrote no sound", who);
	*seconds = (double)(size - WAV_HEADER) / rate;
	return 0;
}
