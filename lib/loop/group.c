/* group.c - see group.h.
 * SPDX-License-Identifier: MIT */
#include "lib/loop/group.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* The fields behind the name in /proc/PID/stat; the name may hold anything, also ')'. */
static bool is_living_member(const char *pid, pid_t pgid)
{
	char path[300], text[512], state;
	int group;
	snprintf(path, sizeof path, "/proc/%s/stat", pid);
	FILE *in = fopen(path, "re");
	if (!in)
		return false;
	size_t n = fread(text, 1, sizeof text - 1, in);
	fclose(in);
	text[n] = '\0';
	const char *rest = strrchr(text, ')');
	return rest && sscanf(rest + 1, " %c %*d %d", &state, &group) == 2 && group == pgid &&
	       state != 'Z' && state != 'X';
}

bool group_alive(pid_t pgid)
{
	if (kill(-pgid, 0) < 0 && errno == ESRCH)
		return false;
	DIR *proc = opendir("/proc");
	if (!proc)
		return true;
	bool alive = false;
	const struct dirent *ent;
	while (!alive && (ent = readdir(proc)))
		alive =
		    isdigit((unsigned char)ent->d_name[0]) && is_living_member(ent->d_name, pgid);
	closedir(proc);
	return alive;
}
