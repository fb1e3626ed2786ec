/* transcode.h - ffmpeg as a helper of engines: WAV to OGG or MP3, raw frames or an AVI to a video,
 * the first frame of an odd picture to a PNG.
 * SPDX-License-Identifier: MIT */
#ifndef ENGINE_TRANSCODE_H
#define ENGINE_TRANSCODE_H

#include "worker/engine/engine.h"

#define TRANSCODE_REMEDY "install ffmpeg (Debian, Ubuntu: apt install ffmpeg)"

struct transcode;

struct transcode_spec {
	const char *ffmpeg; /* of engine_program_find("ffmpeg") */
	const char *job_id;
	const char *input; /* a WAV file; or, when width is set, RGB frames of 3 bytes a pixel (a
			      FIFO will do); or what demuxer says */
	/* ffmpeg's name of the input's format, so that it does not guess what a stranger's file
	 * is: "avi" becomes a video; "gif", "bmp_pipe" and "mov" (AVIF) become a PNG, ext is "png"
	 * then. NULL: one of the above. */
	const char *demuxer;
	int crop_width, crop_height; /* of an AVI: its middle; 0: all of it */
	int64_t frames;		     /* of an AVI: at most so many; 0: all */
	const char *output;
	const char *ext;   /* of the output, one that transcode_can() */
	int width, height; /* pixels of a frame; 0: sound */
	double fps;
	double seconds; /* length of the result, for the progress; 0: not known */
	uint64_t deadline_ms;
};

struct transcode_events {
	void (*progress)(void *arg, double fraction); /* 0..1 */
	/* Last event, exactly once, never from inside start or kill. err is NULL when the output is
	 * there and not empty; ECANCELED after transcode_kill(). */
	void (*end)(void *arg, const struct err *err);
};

/* Whether it writes files of that extension: ogg, mp3 (sound); mp4, webm, webp, gif (video). */
bool transcode_can(const char *ext, bool video);
/* Texts are copied, but job_id, which stays valid until the end. NULL with err filled when ffmpeg
 * can't be started. */
struct transcode *transcode_start(const struct engine_env *env, const struct transcode_spec *spec,
				  const struct transcode_events *ev, void *arg,
				  struct err *err) MUST_CHECK;
/* ->end still follows. */
void transcode_kill(struct transcode *t);

#endif
