/* piper.c - engine `piper`: speech by neural voices, each a model of two files, by the program of
 * that name as a child process. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "worker/engine/piper/voice.h"
#include "worker/engine/program.h"
#include "worker/engine/speaker.h"
#include "worker/engine/transcode.h"

#define REMEDY                                                                                     \
	"the program piper is missing; get it from https://github.com/OHF-Voice/piper1-gpl "       \
	"(pipx install piper-tts) or https://github.com/rhasspy/piper and put it into "            \
	"<models_root>/bin or ~/.local/bin"
#define OTHER                                                                                      \
	"the program piper that was found sets up gaming mice; get the one that speaks from "      \
	"https://github.com/OHF-Voice/piper1-gpl (pipx install piper-tts) and put it into "        \
	"<models_root>/bin or ~/.local/bin"
#define MAX_DESCRIPTION (1u << 20) /* of a voice with a thousand speakers: 50 KB */
#define DEADLINE_MS	60000	   /* with loading the voice */
/* Twice as long as saying it takes, at six bytes a word. */
#define DEADLINE_MS_A_BYTE 120

struct piper {
	struct engine base;
	struct engine_env env; /* a copy */
	char *models_root;
	char *program, *ffmpeg; /* NULL: not found */
	char *looked_at;	/* the program `other` is about */
	bool other;		/* the other program of that name */
	char version[64];
};

extern const struct engine_ops piper_engine;

static struct piper *piper_of(struct engine *e)
{
	return container_of(e, struct piper, base);
}

/* Debian's package "piper" is a Python program about mice. The one that speaks is a binary, or a
 * short script that starts a module. Running it to ask takes seconds. */
static bool is_other(const char *path)
{
	char head[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, head, sizeof head - 1);
	close(fd);
	if (n < 2 || memcmp(head, "#!", 2) != 0)
		return false;
	head[n] = '\0';
	return strstr(head, "ratbag") || strstr(head, "gi.require_version");
}

static void look(struct piper *p)
{
	engine_program_refresh(&p->program, "piper", &p->env);
	engine_program_refresh(&p->ffmpeg, "ffmpeg", &p->env);
	if (!p->program || (p->looked_at && strcmp(p->looked_at, p->program) == 0))
		return;
	str_replace(&p->looked_at, p->program);
	p->other = is_other(p->program);
}

static bool ready(const struct piper *p)
{
	return p->program && !p->other;
}

static struct engine *new (const struct engine_env *env)
{
	struct piper *p = xcalloc(1, sizeof *p);
	p->base.ops = &piper_engine;
	p->env = *env;
	p->env.models_root = p->models_root = xstrdup_opt(env->models_root);
	look(p);
	return &p->base;
}

static void free_engine(struct engine *base)
{
	struct piper *p = piper_of(base);
	free(p->program);
	free(p->ffmpeg);
	free(p->looked_at);
	free(p->models_root);
	free(p);
}

static void info(struct engine *base, bool ask, struct engine_info *out)
{
	struct piper *p = piper_of(base);
	look(p);
	*out = (struct engine_info){.path = p->program};
	if (!ready(p)) {
		out->missing = p->program ? OTHER : REMEDY;
		return;
	}
	/* The C++ one says "1.2.0"; the Python one has no such option. */
	if (ask && !p->version[0])
		engine_program_version(p->program, "--version", p->version, sizeof p->version);
	out->version = p->version[0] ? p->version : "tells no version";
	if (!p->ffmpeg)
		out->missing = "ffmpeg, for ogg and mp3; " TRANSCODE_REMEDY;
}

static void advertise(struct engine *base, struct capabilities *c)
{
	struct piper *p = piper_of(base);
	look(p);
	if (ready(p))
		capabilities_add_model(c, KIND_TTS, "piper:*");
}

static int check(struct engine *base, const struct engine_job *job, struct err *err)
{
	struct voice_files files;
	if (speaker_check(&job->task->tts, piper_of(base)->ffmpeg, err) < 0)
		return -err->code;
	return voice_files(job->source, &files, err);
}

/* ---- a run ---- */

static int read_voice(struct voice *v, const struct engine_job *job,
		      const struct voice_files *files, struct err *err)
{
	auto_free char *text = NULL;
	size_t len;
	const char *name = job->source->files[files->onnx].filename;
	if (fs_read(job->files[files->json], MAX_DESCRIPTION, &text, &len, err) < 0)
		return err_wrap(err, "the description of the voice");
	json_t *json = json_parse(text, len, err);
	int rc = json ? voice_plan(v, &job->task->tts, name, json, err) : -err->code;
	json_decref(json);
	return rc;
}

/* piper wants X.onnx.json beside X.onnx; the store may have found the two in different folders. */
static char *pair(const struct engine_job *job, const struct voice_files *files, struct err *err)
{
	auto_free char *beside = xasprintf("%s.json", job->files[files->onnx]);
	if (strcmp(beside, job->files[files->json]) == 0)
		return xstrdup(job->files[files->onnx]);
	char *onnx = fs_join(job->scratch, "voice.onnx");
	auto_free char *json = fs_join(job->scratch, "voice.onnx.json");
	if (symlink(job->files[files->onnx], onnx) == 0 &&
	    symlink(job->files[files->json], json) == 0)
		return onnx;
	err_sys(err, errno, "linking the two files of the voice in %s", job->scratch);
	free(onnx);
	return NULL;
}

/* These options are all that every piper has, C++ (rhasspy) or Python (piper1-gpl). */
static struct engine_run *speak(struct piper *p, const struct engine_job *job,
				const struct voice *v, const char *onnx,
				const struct engine_events *ev, void *arg, struct err *err)
{
	char speaker[16], scale[32];
	size_t n = 5;
	auto_free char *wav = fs_join(job->scratch, "speech.wav");
	const char *argv[10] = {p->program, "--model", onnx, "--output_file", wav};
	if (v->speaker >= 0) {
		snprintf(speaker, sizeof speaker, "%d", v->speaker);
		argv[n++] = "--speaker";
		argv[n++] = speaker;
	}
	if (v->length_scale > 0) {
		snprintf(scale, sizeof scale, "%.4f", v->length_scale);
		argv[n++] = "--length_scale";
		argv[n++] = scale;
	}
	struct speaker_spec spec = {
	    .program = "piper",
	    .argv = argv,
	    .wav = wav,
	    .ext = job->task->tts.ext,
	    .ffmpeg = p->ffmpeg,
	    .deadline_ms = DEADLINE_MS + DEADLINE_MS_A_BYTE * strlen(job->task->tts.text),
	    .expected_seconds =
		speaker_seconds(job->task->tts.text) * (v->length_scale > 0 ? v->length_scale : 1),
	    .bytes_a_second = v->sample_rate * 2,
	};
	return speaker_start(&p->env, job, &spec, ev, arg, err);
}

static struct engine_run *start(struct engine *base, const struct engine_job *job,
				const struct engine_events *ev, void *arg, bool *retryable,
				struct err *err)
{
	struct piper *p = piper_of(base);
	struct voice_files files;
	struct voice voice = {.speaker = -1};
	*retryable = false;
	if (check(base, job, err) < 0 || voice_files(job->source, &files, err) < 0)
		return NULL;
	if (!ready(p) || !job->files) {
		err_set(err, ENOENT, "%s",
			!p->program ? REMEDY
			: p->other  ? OTHER
				    : "the voice is not there");
		return NULL;
	}
	if (read_voice(&voice, job, &files, err) < 0)
		return NULL;
	*retryable = true;
	auto_free char *onnx = pair(job, &files, err);
	return onnx ? speak(p, job, &voice, onnx, ev, arg, err) : NULL;
}

const struct engine_ops piper_engine = {
    .name = "piper",
    .kinds = KIND_BIT(KIND_TTS),
    .provisioned = KIND_BIT(KIND_TTS),
    .summary = "speech from text by neural voices",
    .new = new,
    .free = free_engine,
    .info = info,
    .advertise = advertise,
    .check = check,
    .start = start,
    .cancel = speaker_cancel,
};
