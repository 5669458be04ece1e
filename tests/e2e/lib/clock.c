/* clock.c - preloaded into a node: its wall clock goes wrong by as many seconds as the file FG_CLOCK says (a text, padded with blanks),
 * at every moment anew. Elapsed time is what it is. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long off(void)
{
    static int file = -1;
    char text[32] = { 0 };
    const char *path = getenv("FG_CLOCK");
    if (file < 0 && path)
        file = open(path, O_RDONLY | O_CLOEXEC);
    return file >= 0 && pread(file, text, sizeof text - 1, 0) > 0 ? atol(text) : 0;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    int r = (int)syscall(SYS_clock_gettime, id, t);
    if (r == 0 && id == CLOCK_REALTIME)
        t->tv_sec += off();
    return r;
}
