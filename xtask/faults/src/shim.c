/* Stands between a program and the C library (LD_PRELOAD, Linux, 64 bit): has calls on chosen files fail, notes what was
 * written and what was synchronised, and moves the clock.
 *
 * `cargo xtask faults` and the tests of the binary build it. Everything is told by environment variables, each of which may
 * be absent:
 *
 *   SHIM_FILES  calls on files whose path begins so are looked at
 *   SHIM_PLAN   file of one line: GENERATION CALLS FIRST LAST ERRNO END
 *   SHIM_FAILED file to which each call that was made to fail adds a line: CALL NUMBER PATH
 *   SHIM_NOTES  file to which writes and synchronisations add a line: `write PATH OFFSET LENGTH`, `sync PATH`
 *   SHIM_CLOCK  file of one number: so many seconds the wall clock is ahead
 *
 * Of the calls named in CALLS (open, open-rw, read, write, sync, truncate, unlink, map, with commas; or `any`) on files whose path
 * ends with END (`*`: all), the FIRSTth to the LASTth fail with ERRNO. Another GENERATION counts from 1 again. The plan and
 * the clock are read at every call, so that they can change while the program runs; both are to be replaced whole, by
 * renaming. Nothing here calls the functions that it stands in for: the kernel is asked directly.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(long) == 8, "offsets are passed to the kernel in one word");

enum { MOST_FILES = 65536 };

/* The paths of the open files that are looked at. */
static char *paths[MOST_FILES];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long generation = -1;
static long calls_so_far;

static int is_looked_at(const char *path) {
    const char *begin = getenv("SHIM_FILES");
    return begin && path && strncmp(path, begin, strlen(begin)) == 0;
}

static const char *path_of(int file) {
    return file >= 0 && file < MOST_FILES ? paths[file] : NULL;
}

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static int is_listed(const char *calls, const char *call) {
    size_t length = strlen(call);
    if (strcmp(calls, "any") == 0)
        return 1;
    for (const char *at = calls; (at = strstr(at, call)); at += length)
        if ((at == calls || at[-1] == ',') && (at[length] == ',' || at[length] == '\0'))
            return 1;
    return 0;
}

/* Reads the small file that the variable names; 0 when there is none. */
static int read_small(const char *variable, char *text, size_t size) {
    const char *path = getenv(variable);
    if (!path)
        return 0;
    int file = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (file < 0)
        return 0;
    long length = syscall(SYS_read, file, text, size - 1);
    syscall(SYS_close, file);
    if (length <= 0)
        return 0;
    text[length] = '\0';
    return 1;
}

/* Adds a line to the file that the variable names. */
static void tell(const char *variable, const char *format, ...) {
    const char *path = getenv(variable);
    if (!path)
        return;
    char line[PATH_MAX + 64];
    va_list values;
    va_start(values, format);
    int length = vsnprintf(line, sizeof line, format, values);
    va_end(values);
    int file = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0)
        return;
    syscall(SYS_write, file, line, (size_t)length);
    syscall(SYS_close, file);
}

/* Whether this call is to fail; errno says how. What succeeds finds errno as it was. */
static int fails(const char *call, const char *path) {
    char plan[512], calls[128], end[128];
    long of, first, last;
    int error, before = errno;
    if (!path || !read_small("SHIM_PLAN", plan, sizeof plan) ||
        sscanf(plan, "%ld %127s %ld %ld %d %127s", &of, calls, &first, &last, &error, end) != 6) {
        errno = before;
        return 0;
    }
    pthread_mutex_lock(&lock);
    if (of != generation) {
        generation = of;
        calls_so_far = 0;
    }
    int counts = is_listed(calls, call) && (strcmp(end, "*") == 0 || ends_with(path, end));
    long number = counts ? ++calls_so_far : 0;
    pthread_mutex_unlock(&lock);
    if (!counts || number < first || number > last) {
        errno = before;
        return 0;
    }
    tell("SHIM_FAILED", "%s %ld %s\n", call, number, path);
    errno = error;
    return 1;
}

static int open_it(int folder, const char *path, int flags, mode_t mode) {
    int is_ours = is_looked_at(path);
    if (is_ours && fails((flags & O_ACCMODE) == O_RDONLY ? "open" : "open-rw", path))
        return -1;
    int file = syscall(SYS_openat, folder, path, flags, mode);
    if (is_ours && file >= 0 && file < MOST_FILES)
        paths[file] = strdup(path);
    return file;
}

#define MODE_OF(mode, flags)                    \
    mode_t mode = 0;                            \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {    \
        va_list values;                         \
        va_start(values, flags);                \
        mode = va_arg(values, int);             \
        va_end(values);                         \
    }

int open(const char *path, int flags, ...) {
    MODE_OF(mode, flags)
    return open_it(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE_OF(mode, flags)
    return open_it(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    MODE_OF(mode, flags)
    return open_it(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
    MODE_OF(mode, flags)
    return open_it(folder, path, flags, mode);
}

int close(int file) {
    if (path_of(file)) {
        free(paths[file]);
        paths[file] = NULL;
    }
    return syscall(SYS_close, file);
}

ssize_t read(int file, void *bytes, size_t length) {
    return fails("read", path_of(file)) ? -1 : syscall(SYS_read, file, bytes, length);
}

static ssize_t pread_it(int file, void *bytes, size_t length, off_t offset) {
    return fails("read", path_of(file)) ? -1 : syscall(SYS_pread64, file, bytes, length, offset);
}

ssize_t pread(int file, void *bytes, size_t length, off_t offset) {
    return pread_it(file, bytes, length, offset);
}

ssize_t pread64(int file, void *bytes, size_t length, off64_t offset) {
    return pread_it(file, bytes, length, offset);
}

/* Noted before it is done: whoever is killed in between has at most written less than is noted. */
ssize_t write(int file, const void *bytes, size_t length) {
    const char *path = path_of(file);
    if (fails("write", path))
        return -1;
    if (path && getenv("SHIM_NOTES"))
        tell("SHIM_NOTES", "write %s %ld %zu\n", path, syscall(SYS_lseek, file, 0, SEEK_CUR), length);
    return syscall(SYS_write, file, bytes, length);
}

static ssize_t pwrite_it(int file, const void *bytes, size_t length, off_t offset) {
    const char *path = path_of(file);
    if (fails("write", path))
        return -1;
    if (path)
        tell("SHIM_NOTES", "write %s %ld %zu\n", path, (long)offset, length);
    return syscall(SYS_pwrite64, file, bytes, length, offset);
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t offset) {
    return pwrite_it(file, bytes, length, offset);
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t offset) {
    return pwrite_it(file, bytes, length, offset);
}

/* Noted after it was done. */
static int sync_it(long number, int file) {
    const char *path = path_of(file);
    if (fails("sync", path))
        return -1;
    int result = syscall(number, file);
    if (path && result == 0)
        tell("SHIM_NOTES", "sync %s\n", path);
    return result;
}

int fsync(int file) {
    return sync_it(SYS_fsync, file);
}

int fdatasync(int file) {
    return sync_it(SYS_fdatasync, file);
}

static int truncate_it(int file, off_t length) {
    return fails("truncate", path_of(file)) ? -1 : syscall(SYS_ftruncate, file, length);
}

int ftruncate(int file, off_t length) {
    return truncate_it(file, length);
}

int ftruncate64(int file, off64_t length) {
    return truncate_it(file, length);
}

int unlink(const char *path) {
    if (is_looked_at(path) && fails("unlink", path))
        return -1;
    return syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

static void *map_it(void *at, size_t length, int protection, int flags, int file, off_t offset) {
    if (fails("map", path_of(file)))
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, at, length, protection, flags, file, offset);
}

void *mmap(void *at, size_t length, int protection, int flags, int file, off_t offset) {
    return map_it(at, length, protection, flags, file, offset);
}

void *mmap64(void *at, size_t length, int protection, int flags, int file, off64_t offset) {
    return map_it(at, length, protection, flags, file, offset);
}

static long seconds_ahead(void) {
    char text[64];
    int before = errno;
    long seconds = read_small("SHIM_CLOCK", text, sizeof text) ? strtol(text, NULL, 10) : 0;
    errno = before;
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        time->tv_sec += seconds_ahead();
    return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return -1;
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *place) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return -1;
    if (place)
        *place = now.tv_sec;
    return now.tv_sec;
}
