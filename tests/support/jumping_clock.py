"""A clock that jumps, for a process and all that it starts: the wall clock alone, as when somebody sets it.

Not libfaketime, which breaks `clock_nanosleep`, and so Python's `time.sleep`, where the wall clock alone is to jump.
"""

import shutil
import subprocess
from pathlib import Path

COMPILER = shutil.which("cc")
SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long offset(void) {
    char text[32] = {0};
    int before = errno, file = open(getenv("CLOCK_OFFSET"), O_RDONLY);
    if (file >= 0) {
        if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
        close(file);
    }
    errno = before;
    return atoll(text);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += offset();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    int failed = clock_gettime(CLOCK_REALTIME, &precise);
    if (!failed) *now = (struct timeval){precise.tv_sec, precise.tv_nsec / 1000};
    return failed;
}

time_t time(time_t *now) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (now) *now = precise.tv_sec;
    return precise.tv_sec;
}
"""


class JumpingClock:
    """A clock in a folder; it must be there as long as a process has it."""

    def __init__(self, folder: Path) -> None:
        library, source, self._offset = folder / "clock.so", folder / "clock.c", folder / "offset"
        source.write_text(SOURCE, encoding="utf-8")
        assert COMPILER is not None
        subprocess.run([COMPILER, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        self.env = {"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(self._offset)}
        self.jump(0)

    def jump(self, seconds: int) -> None:
        """Be so far from the machine's clock."""
        new = self._offset.with_suffix(".new")
        new.write_text(f"{seconds}\n", encoding="utf-8")
        new.replace(self._offset)
