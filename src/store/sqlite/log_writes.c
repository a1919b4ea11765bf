/*
** SQLite writes each page of a transaction to its write-ahead log by two calls of the system, which
** are a third of what a group of alerts costs. This is SQLite's file system with one difference:
** what goes to the log is held until there is enough of it for one call, or until it has to be there.
**
** It has to be there when the log is synced, read or measured, and when a transaction ends: the head
** of its last page says so. Until then nobody reads those pages but the connection that writes them.
** Where a write fails, the call that waited for it fails, and SQLite rolls back as it always does.
**
** SQLite calls gather_log_writes when it is first used (SQLITE_EXTRA_INIT in .cargo/config.toml). A
** build without that has SQLite's own file system and is slower.
*/
#include <sqlite3.h>
#include <string.h>

/* Bytes that are held at most. More than 0x1ffff at once SQLite's own file system does not write. */
#define ROOM 0x1ffff
/* Of the head of a page in the log: its length, and where the pages of the database stand if the page
** is the last of a transaction, else 0 (https://www.sqlite.org/fileformat2.html#walformat). */
#define HEAD 24
#define LAST 4

/* The log as SQLite sees it; the file itself stands behind it. */
typedef struct {
    sqlite3_file base;
    unsigned char *held; /* ROOM bytes once they are needed */
    int count;           /* how many of them wait */
    sqlite3_int64 at;    /* where in the file they go */
} Log;

#define FILE_OF(log) ((sqlite3_file *)((Log *)(log) + 1))
#define CALL(log, name, ...) FILE_OF(log)->pMethods->name(FILE_OF(log), ##__VA_ARGS__)

static sqlite3_vfs *system_files;
static sqlite3_vfs gathering_files;

static int write_held(Log *log) {
    int count = log->count;
    /* Also where it fails: SQLite writes again what it still wants. */
    log->count = 0;
    return count ? CALL(log, xWrite, log->held, count, log->at) : SQLITE_OK;
}

static int log_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 at) {
    Log *log = (Log *)file;
    int head = count == HEAD;
    int last = head && memcmp((const char *)bytes + LAST, "\0\0\0\0", 4) != 0;
    if (log->count && (at != log->at + log->count || log->count + count > ROOM)) {
        int failed = write_held(log);
        if (failed) return failed;
    }
    /* What is held begins with a head; the last page of a transaction is not held. */
    if (!log->count && (!head || last)) return CALL(log, xWrite, bytes, count, at);
    if (!log->held && !(log->held = sqlite3_malloc(ROOM)))
        return CALL(log, xWrite, bytes, count, at);
    if (!log->count) log->at = at;
    memcpy(log->held + log->count, bytes, count);
    log->count += count;
    return last ? write_held(log) : SQLITE_OK;
}

static int log_close(sqlite3_file *file) {
    Log *log = (Log *)file;
    sqlite3_free(log->held);
    return CALL(log, xClose);
}

/* The others: once what is held is written, the file's own. */
#define AFTER_HELD(name, parameters, ...)                   \
    static int log_##name parameters {                      \
        int failed = write_held((Log *)file);               \
        return failed ? failed : CALL(file, __VA_ARGS__);   \
    }
AFTER_HELD(read, (sqlite3_file *file, void *bytes, int count, sqlite3_int64 at), xRead, bytes, count, at)
AFTER_HELD(truncate, (sqlite3_file *file, sqlite3_int64 size), xTruncate, size)
AFTER_HELD(sync, (sqlite3_file *file, int flags), xSync, flags)
AFTER_HELD(size, (sqlite3_file *file, sqlite3_int64 *size), xFileSize, size)
AFTER_HELD(lock, (sqlite3_file *file, int level), xLock, level)
AFTER_HELD(unlock, (sqlite3_file *file, int level), xUnlock, level)
AFTER_HELD(reserved, (sqlite3_file *file, int *result), xCheckReservedLock, result)
AFTER_HELD(control, (sqlite3_file *file, int what, void *argument), xFileControl, what, argument)

static int log_sector(sqlite3_file *file) { return CALL(file, xSectorSize); }
static int log_traits(sqlite3_file *file) { return CALL(file, xDeviceCharacteristics); }

static const sqlite3_io_methods log_methods = {
    .iVersion = 1,
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_reserved,
    .xFileControl = log_control,
    .xSectorSize = log_sector,
    .xDeviceCharacteristics = log_traits,
};

static int open_file(sqlite3_vfs *files, const char *name, sqlite3_file *file, int flags, int *out) {
    (void)files;
    if (!(flags & SQLITE_OPEN_WAL)) return system_files->xOpen(system_files, name, file, flags, out);
    memset(file, 0, sizeof(Log));
    int failed = system_files->xOpen(system_files, name, FILE_OF(file), flags, out);
    if (FILE_OF(file)->pMethods) file->pMethods = &log_methods;
    return failed;
}

int gather_log_writes(const char *unused) {
    (void)unused;
    system_files = sqlite3_vfs_find(NULL);
    if (!system_files) return SQLITE_ERROR;
    gathering_files = *system_files;
    gathering_files.pNext = NULL;
    gathering_files.zName = "gathering";
    gathering_files.szOsFile += sizeof(Log);
    gathering_files.xOpen = open_file;
    return sqlite3_vfs_register(&gathering_files, 1);
}
