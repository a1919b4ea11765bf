// Loaded before the C library: writes to the database fail as on a disk that is broken, full or
// read-only, while the file that FAULT names says so: an error number, and `sync` or `all`.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fault(int sync, const char *path) {
    const char *name = getenv("FAULT");
    if (!name || !strstr(path, ".db")) return 0;
    int file = (int)syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    char text[32] = {0}, what[8] = {0};
    long length = syscall(SYS_read, file, text, sizeof text - 1);
    syscall(SYS_close, file);
    int error = 0;
    if (length <= 0 || sscanf(text, "%d %7s", &error, what) != 2) return 0;
    return sync || strcmp(what, "all") == 0 ? error : 0;
}

static int fault_of(int sync, int fd) {
    if (!getenv("FAULT")) return 0;
    char link[64], path[4096] = {0};
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1) <= 0) return 0;
    return fault(sync, path);
}

#define FAIL(sync, fd) \
    do { \
        int before = errno, error = fault_of(sync, fd); \
        if (error) { errno = error; return -1; } \
        errno = before; \
    } while (0)

ssize_t write(int fd, const void *bytes, size_t length) {
    FAIL(0, fd);
    return syscall(SYS_write, fd, bytes, length);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    FAIL(0, fd);
    return syscall(SYS_pwrite64, fd, bytes, length, at);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    return pwrite64(fd, bytes, length, at);
}
int ftruncate64(int fd, off64_t length) {
    FAIL(0, fd);
    return (int)syscall(SYS_ftruncate, fd, length);
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }
int fsync(int fd) {
    FAIL(1, fd);
    return (int)syscall(SYS_fsync, fd);
}
int fdatasync(int fd) {
    FAIL(1, fd);
    return (int)syscall(SYS_fdatasync, fd);
}
int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    int error = flags & O_ACCMODE ? fault(0, path) : 0;
    if (error) { errno = error; return -1; }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open64(path, flags, mode);
}
