// Loaded before the C library: writes to the database fail as on a disk that is broken, full or
// read-only, while the file that FAULT names says so: an error number, and `sync` or `all`.
// And the folder that KEPT names has what a power cut would leave: of each file what was written before
// a sync that succeeded. As with a real disk, one that fails takes what was written for synced.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

// What was written and not synced yet, the latest first.
struct written {
    dev_t device;
    ino_t file;
    off64_t at;
    size_t length;
    struct written *next;
};
static struct written *unsynced;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void note(int fd, off64_t at, ssize_t length) {
    char path[4096];
    struct stat file;
    if (length <= 0 || !getenv("KEPT") || !path_of(fd, path, sizeof path) || !strstr(path, ".db"))
        return;
    fstat(fd, &file);
    struct written *new = malloc(sizeof *new);
    pthread_mutex_lock(&lock);
    *new = (struct written){file.st_dev, file.st_ino, at, (size_t)length, unsynced};
    unsynced = new;
    pthread_mutex_unlock(&lock);
}

// What was written to a file up to now; for the next sync it is written no more.
static struct written *take(const struct stat *file) {
    struct written *taken = NULL, **place = &unsynced;
    pthread_mutex_lock(&lock);
    while (*place) {
        struct written *one = *place;
        if (one->device != file->st_dev || one->file != file->st_ino) {
            place = &one->next;
            continue;
        }
        *place = one->next;
        one->next = taken;
        taken = one;
    }
    pthread_mutex_unlock(&lock);
    return taken;
}

static void keep(int fd, const struct stat *file, const char *folder, const struct written *taken) {
    char path[4096], kept[4096];
    if (!path_of(fd, path, sizeof path) || !strstr(path, ".db")) return;
    snprintf(kept, sizeof kept, "%s/%s", folder, strrchr(path, '/') + 1);
    int copy = (int)syscall(SYS_openat, AT_FDCWD, kept, O_WRONLY | O_CREAT, 0600);
    for (; taken; taken = taken->next) {
        off64_t from = taken->at, to = taken->at, end = taken->at + (off64_t)taken->length;
        while (to < end && syscall(SYS_copy_file_range, fd, &from, copy, &to, end - to, 0) > 0) {}
    }
    syscall(SYS_ftruncate, copy, file->st_size);
    syscall(SYS_close, copy);
}

static int synced(int fd, long call, int error) {
    static pthread_mutex_t one_by_one = PTHREAD_MUTEX_INITIALIZER;
    const char *folder = getenv("KEPT");
    int result = -1;
    if (folder) {
        struct stat file;
        pthread_mutex_lock(&one_by_one);
        fstat(fd, &file);
        struct written *taken = take(&file);
        if (!error) result = (int)syscall(call, fd);
        if (result == 0) keep(fd, &file, folder, taken);
        pthread_mutex_unlock(&one_by_one);
        while (taken) {
            struct written *next = taken->next;
            free(taken);
            taken = next;
        }
    } else if (!error) {
        result = (int)syscall(call, fd);
    }
    if (error) errno = error;
    return result;
}

#define FAIL(fd) \
    do { \
        int before = errno, error = fault_of(0, fd); \
        if (error) { errno = error; return -1; } \
        errno = before; \
    } while (0)

static ssize_t written(int fd, ssize_t result, off64_t at) {
    int before = errno;
    note(fd, at, result);
    errno = before;
    return result;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    FAIL(fd);
    ssize_t result = syscall(SYS_write, fd, bytes, length);
    return written(fd, result, lseek(fd, 0, SEEK_CUR) - result);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    FAIL(fd);
    return written(fd, syscall(SYS_pwrite64, fd, bytes, length, at), at);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    return pwrite64(fd, bytes, length, at);
}
int ftruncate64(int fd, off64_t length) {
    FAIL(fd);
    return (int)syscall(SYS_ftruncate, fd, length);
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }
int fsync(int fd) { return synced(fd, SYS_fsync, fault_of(1, fd)); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync, fault_of(1, fd)); }
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
