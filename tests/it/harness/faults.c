// Loaded before the C library: writes to the database fail as on a disk that is broken, full or
// read-only, while the file that FAULT names says so: an error number, and `sync` or `all`.
// And the folder that KEPT names has what a power cut would leave: each file as it was last synced.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
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

static int path_of(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, size - 1);
    path[length > 0 ? length : 0] = 0;
    return length > 0;
}

static int fault_of(int sync, int fd) {
    char path[4096];
    return getenv("FAULT") && path_of(fd, path, sizeof path) ? fault(sync, path) : 0;
}

static void keep(int fd, const char *folder) {
    char path[4096], kept[4096], new[4096 + 8];
    if (!path_of(fd, path, sizeof path) || !strstr(path, ".db")) return;
    snprintf(kept, sizeof kept, "%s/%s", folder, strrchr(path, '/') + 1);
    snprintf(new, sizeof new, "%s.new", kept);
    int copy = (int)syscall(SYS_openat, AT_FDCWD, new, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    off64_t at = 0;
    while (syscall(SYS_copy_file_range, fd, &at, copy, NULL, 1 << 30, 0) > 0) {}
    syscall(SYS_close, copy);
    syscall(SYS_renameat, AT_FDCWD, new, AT_FDCWD, kept);
}

static int synced(int fd, long call) {
    static pthread_mutex_t one_by_one = PTHREAD_MUTEX_INITIALIZER;
    const char *folder = getenv("KEPT");
    if (!folder) return (int)syscall(call, fd);
    pthread_mutex_lock(&one_by_one);
    int result = (int)syscall(call, fd);
    if (result == 0) keep(fd, folder);
    pthread_mutex_unlock(&one_by_one);
    return result;
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
    return synced(fd, SYS_fsync);
}
int fdatasync(int fd) {
    FAIL(1, fd);
    return synced(fd, SYS_fdatasync);
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
