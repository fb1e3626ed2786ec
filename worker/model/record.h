/* record.h - what the store remembers of a file: one small file each in models_root/.store/files/,
 * written whole, so that a daemon and `studio-worker models` can share them without a lock.
 * A record counts only while inode (where it lasts), size and time of the file are those it names:
 * what the owner put in its place since is the owner's. When the file was last wanted is the
 * record's own time. SPDX-License-Identifier: MIT */
#ifndef MODEL_RECORD_H
#define MODEL_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lib/base/err.h"

struct record {
	char *folder, *filename; /* folder "" for the top of models_root */
	char *sha256, *url;	 /* NULL: not known */
	uint64_t bytes, inode;
	int64_t mtime_ns;
	bool downloaded; /* by the store; else the owner's, of which only the hash is remembered */
	int64_t used_ms; /* of the record's own file, not in its text */
};

/* Text to free(). */
char *record_encode(const struct record *r);
/* -EPROTO for what is no record. */
int record_decode(const char *text, size_t len, struct record *r, struct err *e) MUST_CHECK;
void record_fini(struct record *r);

/* All of these block. -ENOENT: there is none. */
int record_load(const char *root, const char *folder, const char *filename, struct record *r,
		struct err *e) MUST_CHECK;
int record_save(const char *root, const struct record *r, struct err *e) MUST_CHECK;
void record_touch(const char *root, const char *folder, const char *filename); /* used now */
void record_remove(const char *root, const char *folder, const char *filename);
/* Every good record; free() the array after record_fini() of each. A missing folder is empty. */
int record_scan(const char *root, struct record **out, size_t *n, struct err *e) MUST_CHECK;
void records_free(struct record *r, size_t n);

/* bytes, inode, mtime_ns of what is at path; inode 0 where the file system numbers anew at each
 * mount. */
void record_stamp(struct record *r, const struct stat *st, const char *path);
bool record_inode_lasts(long fs_type); /* of statfs() */
bool record_fits(const struct record *r, const struct stat *st);
/* But for the inode: size and time are what they were. */
bool record_same_time(const struct record *r, const struct stat *st);
/* Whether the file that r names is still there, and the same. */
bool record_alive(const char *root, const struct record *r);

#endif
