/* fs.h - files that survive a crash. Everything here blocks: on the loop thread only at start-up or
 * for small files, else inside a struct work.
 * Every step that changes the disk first asks fs_fault, so that tests can fail or kill at any step.
 * SPDX-License-Identifier: MIT */
#ifndef FS_FS_H
#define FS_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/err.h"

/* Test hook, thread-local: called before each changing step ("open", "write", "fsync", "rename",
 * "unlink", "mkdir", "syncdir") with the path. Returns 0 to go on, or the errno the step shall fail
 * with. NULL: none. */
extern __thread int (*fs_fault)(const char *step, const char *path);

/* Reads at most max bytes; a larger file is an error (EFBIG). *data is '\0'-terminated; free() it.
 */
int fs_read(const char *path, size_t max, char **data, size_t *len, struct err *e) MUST_CHECK;
/* Opens a regular file for reading; a link, a FIFO or a device in its place is an error and never
 * blocks. For files that another program wrote. The descriptor is the caller's. */
int fs_open_regular(const char *path, struct err *e) MUST_CHECK;
/* Replaces the file whole or not at all: temporary file beside it, fsync, rename, fsync of the
 * folder. On any error the old file is untouched and the temporary one is gone. */
int fs_write_atomic(const char *path, const void *data, size_t len, mode_t mode,
		    struct err *e) MUST_CHECK;
/* mkdir -p; existing folders keep their mode. */
int fs_mkdirs(const char *path, mode_t mode, struct err *e) MUST_CHECK;
/* One folder that is not there yet, and not synced: for what need not survive a crash. */
int fs_mkdir(const char *path, mode_t mode, struct err *e) MUST_CHECK;
/* Removes a file or a folder with all in it, never following links; a missing one is no error. */
int fs_remove_tree(const char *path, struct err *e);
int fs_rename(const char *from, const char *to,
	      struct err *e) MUST_CHECK; /* and fsync of the target's folder */
int fs_sync_file(const char *path, struct err *e) MUST_CHECK;
int fs_sync_dir(const char *path, struct err *e) MUST_CHECK;
bool fs_exists(const char *path);
int fs_size(const char *path, uint64_t *size, struct err *e) MUST_CHECK;
/* Names in a folder, sorted, without "." and ".."; free with fs_list_free. */
int fs_list(const char *path, char ***names, size_t *n, struct err *e) MUST_CHECK;
void fs_list_free(char **names, size_t n);
/* "dir/name"; free() it. */
char *fs_join(const char *dir, const char *name);
/* ~ and ~/… become the home folder; anything else a copy. free() it. */
char *fs_expand_home(const char *path);

/* An exclusive lock on a file, made when missing (0600), released when the process ends. Returns
 * the descriptor, -EWOULDBLOCK when another process holds it, or another negative errno. */
int fs_lock(const char *path, struct err *e) MUST_CHECK;
/* One that others may share; an exclusive one has to wait for all of them, and they for it. */
int fs_lock_shared(const char *path, struct err *e) MUST_CHECK;
void fs_unlock(int fd);

/* A file written in pieces: to a temporary name, then committed or aborted. Not thread-safe. */
struct fs_writer;
struct fs_writer *fs_writer_open(const char *path, mode_t mode, struct err *e) MUST_CHECK;
int fs_writer_write(struct fs_writer *w, const void *data, size_t len, struct err *e) MUST_CHECK;
/* fsync, rename, fsync of the folder; frees w in any case. hex (may be NULL) gets the SHA-256. */
int fs_writer_commit(struct fs_writer *w, char hex[65], struct err *e) MUST_CHECK;
void fs_writer_abort(struct fs_writer *w); /* NULL allowed */
uint64_t fs_writer_size(const struct fs_writer *w);

#endif
