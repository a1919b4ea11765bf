/*
** SQLite writes each page of a transaction to its write-ahead log by two calls of the system, which
** are a third of what a group of alerts costs. This is SQLite's file system with one difference:
** what goes to the log is held until there is enough of it for one call, or until it has to be there.
**
** It has to be there when the log is synced, read, cut or measured, and when a transaction ends: the
** head of its last page says so. Until then nobody reads those pages but the connection that writes
** them. What is held when that lets the lock for writing go was not committed: it is dropped, as from
** then on others write there. Where a write fails, the call that waited for it fails, SQLite undoes
** what it must, and what is held stays until then.
**
** A file is the system's own, at its own address; what is needed besides stands behind it, with a
** copy of its methods of which some are replaced.
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
/* The lock that a connection has while it writes to the log, among those that the database's shared
** memory is for (https://www.sqlite.org/walformat.html#the_wal_index_file_format). */
#define WRITING 0

typedef struct {
    sqlite3_io_methods methods;
    const sqlite3_io_methods *own;
    sqlite3_file *other; /* of a database: its log while that is open; of a log: its database */
    unsigned char *held; /* of a log: ROOM bytes once they are needed */
    int count;           /* how many of them wait */
    sqlite3_int64 at;    /* where in the file they go */
} Behind;

static sqlite3_vfs *system_files;
static sqlite3_vfs gathering_files;

static int offset(void) {
    return (system_files->szOsFile + 7) & ~7;
}

static Behind *behind(sqlite3_file *file) {
    return (Behind *)((char *)file + offset());
}

static int write_held(sqlite3_file *file) {
    Behind *log = behind(file);
    int failed = log->count ? log->own->xWrite(file, log->held, log->count, log->at) : SQLITE_OK;
    if (!failed) log->count = 0;
    return failed;
}

static int log_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 at) {
    Behind *log = behind(file);
    int head = count == HEAD;
    int last = head && memcmp((const char *)bytes + LAST, "\0\0\0\0", 4) != 0;
    if (log->count && (at != log->at + log->count || log->count + count > ROOM)) {
        int failed = write_held(file);
        if (failed) return failed;
    }
    /* What is held begins with a head; the last page of a transaction is not held. */
    if (!log->count && (!head || last)) return log->own->xWrite(file, bytes, count, at);
    if (!log->held && !(log->held = sqlite3_malloc(ROOM)))
        return log->own->xWrite(file, bytes, count, at);
    if (!log->count) log->at = at;
    memcpy(log->held + log->count, bytes, count);
    log->count += count;
    return last ? write_held(file) : SQLITE_OK;
}

static int log_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 at) {
    int failed = write_held(file);
    return failed ? failed : behind(file)->own->xRead(file, bytes, count, at);
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size) {
    int failed = write_held(file);
    return failed ? failed : behind(file)->own->xTruncate(file, size);
}

static int log_sync(sqlite3_file *file, int flags) {
    int failed = write_held(file);
    return failed ? failed : behind(file)->own->xSync(file, flags);
}

static int log_size(sqlite3_file *file, sqlite3_int64 *size) {
    int failed = write_held(file);
    return failed ? failed : behind(file)->own->xFileSize(file, size);
}

static int log_close(sqlite3_file *file) {
    sqlite3_free(behind(file)->held);
    behind(behind(file)->other)->other = NULL;
    return behind(file)->own->xClose(file);
}

static int database_lock(sqlite3_file *file, int first, int count, int flags) {
    int lets_go = (flags & SQLITE_SHM_UNLOCK) && (flags & SQLITE_SHM_EXCLUSIVE) && first == WRITING;
    sqlite3_file *log = behind(file)->other;
    if (lets_go && log) behind(log)->count = 0;
    return behind(file)->own->xShmLock(file, first, count, flags);
}

static void take(sqlite3_file *file) {
    Behind *it = behind(file);
    it->own = file->pMethods;
    it->methods = *file->pMethods;
    file->pMethods = &it->methods;
}

static int open_file(sqlite3_vfs *files, const char *name, sqlite3_file *file, int flags, int *out) {
    (void)files;
    if (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) memset(behind(file), 0, sizeof(Behind));
    int failed = system_files->xOpen(system_files, name, file, flags, out);
    if (failed || !file->pMethods) return failed;
    if (flags & SQLITE_OPEN_MAIN_DB && file->pMethods->iVersion >= 2) {
        take(file);
        behind(file)->methods.xShmLock = database_lock;
    } else if (flags & SQLITE_OPEN_WAL) {
        sqlite3_file *database = sqlite3_database_file_object(name);
        if (!behind(database)->own) return failed;
        take(file);
        Behind *log = behind(file);
        log->methods.xWrite = log_write;
        log->methods.xRead = log_read;
        log->methods.xTruncate = log_truncate;
        log->methods.xSync = log_sync;
        log->methods.xFileSize = log_size;
        log->methods.xClose = log_close;
        log->other = database;
        behind(database)->other = file;
    }
    return failed;
}

int gather_log_writes(const char *unused) {
    (void)unused;
    system_files = sqlite3_vfs_find(NULL);
    if (!system_files) return SQLITE_ERROR;
    gathering_files = *system_files;
    gathering_files.pNext = NULL;
    gathering_files.zName = "gathering";
    gathering_files.szOsFile = offset() + sizeof(Behind);
    gathering_files.xOpen = open_file;
    return sqlite3_vfs_register(&gathering_files, 1);
}
