/* name.h - names that a peer chose, made safe to be names of ours: below models_root no peer can
 * name a path outside it, a folder of the owner's programs, or a file of the store's own.
 * SPDX-License-Identifier: MIT */
#ifndef MODEL_NAME_H
#define MODEL_NAME_H

#include "lib/base/err.h"

#define NAME_STORE_DIR ".store"
#define NAME_PART      ".part"
#define NAME_LEDGER    ".part.ledger"
#define NAME_FILE_MAX  230 /* of a file system's 255, so that the endings fit */
#define NAME_KEY_LEN   65

/* The folder of a model. Letters, digits and "_+=,@~-." stand for themselves, every other byte, a
 * leading "." or "~" and all of "bin" (models_root/bin holds programs) become %xx. What gets longer
 * than 150 bytes is cut there and followed by "%%" and the id's SHA-256, which no escaped id
 * holds: no two ids share a folder. NULL (the top of models_root) gives "". free() it. */
char *name_folder(const char *model);
/* 0 for a plain name that is none of ours; -EINVAL with what is wrong. */
int name_check(const char *filename, struct err *e) MUST_CHECK;
/* A file name for what the store remembers of folder/filename: its SHA-256 in hex. */
void name_key(const char *folder, const char *filename, char key[NAME_KEY_LEN]);
/* root/folder/filename + suffix, without the folder when it is "". free() it. */
char *name_path(const char *root, const char *folder, const char *filename, const char *suffix);

#endif
