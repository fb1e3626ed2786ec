/* socket.c - see socket.h.
 * SPDX-License-Identifier: MIT */
#include "worker/api/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/mem.h"

#define NAME "control.sock"

int socket_place_init(struct socket_place *p, const char *state_dir, struct err *e)
{
	struct sockaddr_un address;
	p->folder_fd = -1;
	p->path = xasprintf("%s/%s", state_dir, NAME);
	if (strlen(p->path) < sizeof address.sun_path)
		return 0;
	free(p->path);
	p->path = NULL;
	p->folder_fd = open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->folder_fd < 0)
		return err_sys(e, errno, "cannot open %s", state_dir);
	p->path = xasprintf("/proc/self/fd/%d/%s", p->folder_fd, NAME);
	return 0;
}

void socket_place_fini(struct socket_place *p)
{
	free(p->path);
	if (p->folder_fd >= 0)
		close(p->folder_fd);
	*p = (struct socket_place){.folder_fd = -1};
}
