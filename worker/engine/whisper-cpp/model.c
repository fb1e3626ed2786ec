/* model.c - see model.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/whisper-cpp/model.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/fs/fs.h"

/* The vocabulary tells the kind: English only, then 99 languages, then 100; models that were
 * trained further may have a few words more. */
#define VOCAB_ENGLISH	   51864
#define VOCAB_MULTILINGUAL 51865
#define VOCAB_LARGE_V3	   51866
#define VOCAB_MAX	   60000
#define AUDIO_CTX_MAX	   30000 /* 1500 in all that OpenAI made */

static uint32_t word(const unsigned char *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The name of the file, for people. */
static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

int model_read(struct model *m, const char *path, struct err *e)
{
	unsigned char head[12]; /* magic, n_vocab, n_audio_ctx */
	if (fs_size(path, &m->bytes, e) < 0)
		return -e->code;
	int fd = fs_open_regular(path, e);
	if (fd < 0)
		return -e->code;
	ssize_t n = read(fd, head, sizeof head);
	close(fd);
	if (n < (ssize_t)sizeof head || memcmp(head, "lmgg", 4) != 0)
		return err_set(e, EINVAL,
			       "%.100s is no model of whisper.cpp (ggml-*.bin, see "
			       "https://huggingface.co/ggerganov/whisper.cpp)",
			       base(path));
	uint32_t vocab = word(head + 4), ctx = word(head + 8);
	if (vocab < VOCAB_ENGLISH || vocab > VOCAB_MAX || ctx == 0 || ctx > AUDIO_CTX_MAX)
		return err_set(e, EINVAL,
			       "%.100s is a GGML file, but no whisper model (a vocabulary of %u)",
			       base(path), vocab);
	m->english_only = vocab < VOCAB_MULTILINGUAL;
	m->cantonese = vocab >= VOCAB_LARGE_V3;
	return 0;
}
