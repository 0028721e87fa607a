/* A power cut for one process: what it did below a folder is undone unless a sync followed.
 *
 * Preloaded into the program under test and the processes it starts, it notes in an undo log what
 * each write replaced and what each new, moved or removed name stood for; and each fdatasync or
 * fsync that succeeded, of a file for its bytes, of a folder for its names. After a kill -9,
 * `tests/power_loss/mod.rs` plays the log back: what no later sync made durable is taken back, so
 * the folder holds exactly what POSIX promises after a power cut, and nothing else.
 *
 *   EVENKEEL_SHIM_DIR  only files below this folder count
 *   EVENKEEL_SHIM_LOG  the undo log; lies outside of that folder, on the same filesystem. Beside it
 *                      is LOG.d, a folder for files that lost their name
 *
 * Records, numbers in native byte order:
 *
 *   1  inode u64, offset u64, length before u64, replaced u32, its bytes     a write or truncation
 *   2  inode u64, token u64                                                  a sync succeeded
 *   3  inode u64, token u64                                                  a sync begins
 *   4  folder's inode u64, what u8, lengths of three texts 3 × u16, texts: path, from, saved
 *      what: c created or linked, d folder made, r renamed, u removed
 *
 * A write is noted before it is made, a name after; a sync covers what was noted before it began.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static ssize_t (*real_pread)(int, void *, size_t, off64_t);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static int (*real_ftruncate)(int, off64_t);
static int (*real_fdatasync)(int);
static int (*real_fsync)(int);
static int (*real_open)(const char *, int, ...);
static int (*real_mkdir)(const char *, mode_t);
static int (*real_rename)(const char *, const char *);
static int (*real_linkat)(int, const char *, int, const char *, int);
static int (*real_unlink)(const char *);
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static const char *dir;
static char keep[PATH_MAX];
static int log_fd = -1;

__attribute__((constructor)) static void start(void) {
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_pread = dlsym(RTLD_NEXT, "pread64");
    real_write = dlsym(RTLD_NEXT, "write");
    real_writev = dlsym(RTLD_NEXT, "writev");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_open = dlsym(RTLD_NEXT, "open64");
    real_mkdir = dlsym(RTLD_NEXT, "mkdir");
    real_rename = dlsym(RTLD_NEXT, "rename");
    real_linkat = dlsym(RTLD_NEXT, "linkat");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    dir = getenv("EVENKEEL_SHIM_DIR");
    const char *log = getenv("EVENKEEL_SHIM_LOG");
    if (!dir || !log) return;
    snprintf(keep, sizeof keep, "%s.d", log);
    real_mkdir(keep, 0700);
    log_fd = real_open(log, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
}

static int below(const char *path) {
    size_t prefix = strlen(dir);
    return strncmp(path, dir, prefix) == 0 && path[prefix] == '/';
}

/* The inode if the descriptor is a regular file or a folder that counts, else 0. */
static uint64_t counted(int fd, struct stat *status, mode_t kind) {
    char link[64], path[PATH_MAX];
    if (log_fd < 0 || fd == log_fd || fstat(fd, status) != 0) return 0;
    if ((status->st_mode & S_IFMT) != kind) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 2);
    if (length <= 0) return 0;
    path[length] = 0;
    /* The folder itself counts among folders: names in it are made durable by its sync. */
    return below(path) || strcmp(path, dir) == 0 ? status->st_ino : 0;
}

static void note(const void *bytes, size_t length) {
    pthread_mutex_lock(&guard);
    if (real_write(log_fd, bytes, length) != (ssize_t)length) abort();
    pthread_mutex_unlock(&guard);
}

/* ---- bytes ---- */

static void remember(int fd, uint64_t inode, uint64_t length, uint64_t offset, size_t count) {
    uint32_t replaced = 0;
    if (offset < length) replaced = length - offset < count ? length - offset : count;
    size_t header = 1 + 8 + 8 + 8 + 4;
    char *record = malloc(header + replaced);
    if (!record) abort();
    record[0] = 1;
    memcpy(record + 1, &inode, 8);
    memcpy(record + 9, &offset, 8);
    memcpy(record + 17, &length, 8);
    /* A descriptor opened for writing only cannot be read; open its file once more. */
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int reader = replaced ? real_open(link, O_RDONLY | O_CLOEXEC) : -1;
    if (replaced && (reader < 0 || real_pread(reader, record + header, replaced, offset) != replaced))
        abort();
    if (reader >= 0) close(reader);
    memcpy(record + 25, &replaced, 4);
    note(record, header + replaced);
    free(record);
}

static void before_write(int fd, off64_t offset, size_t count) {
    struct stat status;
    int saved = errno;
    uint64_t inode = counted(fd, &status, S_IFREG);
    if (inode) {
        if (offset < 0) {
            int append = fcntl(fd, F_GETFL) & O_APPEND;
            offset = append ? status.st_size : lseek64(fd, 0, SEEK_CUR);
        }
        remember(fd, inode, status.st_size, offset, count);
    }
    errno = saved;
}

static void mark(char kind, uint64_t inode, uint64_t token) {
    char record[17] = {kind};
    memcpy(record + 1, &inode, 8);
    memcpy(record + 9, &token, 8);
    note(record, sizeof record);
}

static int synced(int fd, int (*sync)(int)) {
    static uint64_t syncs;
    struct stat status;
    uint64_t inode = counted(fd, &status, S_IFREG);
    if (!inode) inode = counted(fd, &status, S_IFDIR);
    if (!inode) return sync(fd);
    uint64_t token = (uint64_t)getpid() << 32 | (__atomic_add_fetch(&syncs, 1, __ATOMIC_SEQ_CST) & UINT32_MAX);
    mark(3, inode, token);
    int result = sync(fd);
    int saved = errno;
    if (result == 0) mark(2, inode, token);
    errno = saved;
    return result;
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    before_write(fd, offset, count);
    return real_pwrite(fd, bytes, count, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    return pwrite64(fd, bytes, count, offset);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    before_write(fd, -1, count);
    return real_write(fd, bytes, count);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    size_t total = 0;
    for (int at = 0; at < count; at++) total += parts[at].iov_len;
    before_write(fd, -1, total);
    return real_writev(fd, parts, count);
}

int ftruncate64(int fd, off64_t length) {
    struct stat status;
    uint64_t inode = counted(fd, &status, S_IFREG);
    if (inode && status.st_size > length)
        remember(fd, inode, status.st_size, length, status.st_size - length);
    else if (inode)
        remember(fd, inode, status.st_size, status.st_size, 0);
    return real_ftruncate(fd, length);
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int fdatasync(int fd) { return synced(fd, real_fdatasync); }

int fsync(int fd) { return synced(fd, real_fsync); }

/* ---- names ---- */

/* The absolute path without links, and its folder's inode; 0 if it does not count. */
static uint64_t named(const char *path, char *full) {
    char copy[PATH_MAX];
    struct stat status;
    if (log_fd < 0 || strlen(path) >= sizeof copy - 1) return 0;
    strcpy(copy, path);
    size_t length = strlen(copy);
    while (length > 1 && copy[length - 1] == '/') copy[--length] = 0;
    char *slash = strrchr(copy, '/');
    const char *base = slash ? slash + 1 : copy, *folder = slash ? copy : ".";
    if (slash == copy) folder = "/";
    char name[NAME_MAX + 1];
    snprintf(name, sizeof name, "%s", base);
    if (slash) *slash = 0;
    if (!realpath(folder, full) || stat(full, &status) != 0) return 0;
    strncat(full, "/", PATH_MAX - strlen(full) - 1);
    strncat(full, name, PATH_MAX - strlen(full) - 1);
    return below(full) ? status.st_ino : 0;
}

static void note_name(char what, uint64_t folder, const char *path, const char *from, const char *saved) {
    const char *texts[3] = {path, from, saved};
    char record[3 * PATH_MAX + 32];
    size_t at = 1 + 8 + 1 + 6;
    record[0] = 4;
    memcpy(record + 1, &folder, 8);
    record[9] = what;
    for (int text = 0; text < 3; text++) {
        uint16_t length = strlen(texts[text]);
        memcpy(record + 10 + 2 * text, &length, 2);
        memcpy(record + at, texts[text], length);
        at += length;
    }
    note(record, at);
}

/* Gives a file that is about to lose its name another one; empty if there is no such file. */
static void save(const char *path, char *saved) {
    static uint64_t files;
    uint64_t number = __atomic_add_fetch(&files, 1, __ATOMIC_SEQ_CST);
    snprintf(saved, PATH_MAX, "%s/%d-%lu", keep, getpid(), (unsigned long)number);
    if (real_linkat(AT_FDCWD, path, AT_FDCWD, saved, 0) != 0) saved[0] = 0;
}

static int opened(const char *path, int flags, mode_t mode) {
    char full[PATH_MAX];
    struct stat status;
    uint64_t folder = flags & (O_CREAT | O_TRUNC) ? named(path, full) : 0;
    int existed = folder && stat(path, &status) == 0;
    if (existed && flags & O_TRUNC && S_ISREG(status.st_mode) && status.st_size > 0) {
        int reader = real_open(path, O_RDONLY | O_CLOEXEC);
        if (reader >= 0) {
            remember(reader, status.st_ino, status.st_size, 0, status.st_size);
            close(reader);
        }
    }
    int fd = real_open(path, flags, mode);
    int saved = errno;
    if (fd >= 0 && folder && !existed) note_name('c', folder, full, "", "");
    errno = saved;
    return fd;
}

int open64(const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
    va_end(list);
    return opened(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
    va_end(list);
    return opened(path, flags, mode);
}

int mkdir(const char *path, mode_t mode) {
    char full[PATH_MAX];
    uint64_t folder = named(path, full);
    int result = real_mkdir(path, mode);
    int saved = errno;
    if (result == 0 && folder) note_name('d', folder, full, "", "");
    errno = saved;
    return result;
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags) {
    char full[PATH_MAX];
    uint64_t folder = to_fd == AT_FDCWD ? named(to, full) : 0;
    int result = real_linkat(from_fd, from, to_fd, to, flags);
    int saved = errno;
    if (result == 0 && folder) note_name('c', folder, full, "", "");
    errno = saved;
    return result;
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlink(const char *path) {
    char full[PATH_MAX], kept[PATH_MAX] = "";
    uint64_t folder = named(path, full);
    if (folder) save(path, kept);
    int result = real_unlink(path);
    int saved = errno;
    if (result == 0 && folder) note_name('u', folder, full, "", kept);
    errno = saved;
    return result;
}

int rename(const char *from, const char *to) {
    char full[PATH_MAX], full_from[PATH_MAX], kept[PATH_MAX] = "";
    uint64_t folder = named(to, full);
    if (folder && !named(from, full_from)) folder = 0;
    if (folder) save(to, kept);
    int result = real_rename(from, to);
    int saved = errno;
    if (result == 0 && folder) note_name('r', folder, full, full_from, kept);
    errno = saved;
    return result;
}
