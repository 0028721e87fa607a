/* A power cut for one process: every write below a folder is undone unless a sync followed it.
 *
 * Preloaded into the program under test, it records in an undo log what each write replaced, and a
 * commit for each fdatasync or fsync that succeeded. After a kill -9, `tests/power_loss/mod.rs`
 * plays back the undo log: writes without a later commit of their file are taken back, so the
 * folder holds exactly what a disk that loses its cache would hold.
 *
 *   EVENKEEL_SHIM_DIR  only files below this folder count
 *   EVENKEEL_SHIM_LOG  the undo log; lies outside of that folder
 *
 * Record: kind u8 (1 write, 2 commit), inode u64; a write goes on with offset u64, file length
 * before u64, length of the replaced bytes u32, the bytes. All in native byte order.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
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
static int (*real_fdatasync)(int);
static int (*real_fsync)(int);
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static const char *dir;
static int log_fd = -1;

__attribute__((constructor)) static void start(void) {
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_pread = dlsym(RTLD_NEXT, "pread64");
    real_write = dlsym(RTLD_NEXT, "write");
    real_writev = dlsym(RTLD_NEXT, "writev");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    dir = getenv("EVENKEEL_SHIM_DIR");
    const char *log = getenv("EVENKEEL_SHIM_LOG");
    if (dir && log) log_fd = open(log, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
}

/* The inode if the descriptor is a regular file that counts, else 0. */
static uint64_t counted(int fd, struct stat *status) {
    char link[64], path[PATH_MAX];
    if (log_fd < 0 || fd == log_fd || fstat(fd, status) != 0 || !S_ISREG(status->st_mode)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    size_t prefix = strlen(dir);
    return strncmp(path, dir, prefix) == 0 && path[prefix] == '/' ? status->st_ino : 0;
}

static void note(const void *bytes, size_t length) {
    if (real_write(log_fd, bytes, length) != (ssize_t)length) abort();
}

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
    int reader = replaced ? open(link, O_RDONLY | O_CLOEXEC) : -1;
    if (replaced && (reader < 0 || real_pread(reader, record + header, replaced, offset) != replaced))
        abort();
    if (reader >= 0) close(reader);
    memcpy(record + 25, &replaced, 4);
    pthread_mutex_lock(&guard);
    note(record, header + replaced);
    pthread_mutex_unlock(&guard);
    free(record);
}

static void before_write(int fd, off64_t offset, size_t count) {
    struct stat status;
    int saved = errno;
    uint64_t inode = counted(fd, &status);
    if (inode) {
        if (offset < 0) {
            int append = fcntl(fd, F_GETFL) & O_APPEND;
            offset = append ? status.st_size : lseek64(fd, 0, SEEK_CUR);
        }
        remember(fd, inode, status.st_size, offset, count);
    }
    errno = saved;
}

static void after_sync(int fd) {
    struct stat status;
    int saved = errno;
    uint64_t inode = counted(fd, &status);
    if (inode) {
        char record[9] = {2};
        memcpy(record + 1, &inode, 8);
        pthread_mutex_lock(&guard);
        note(record, sizeof record);
        pthread_mutex_unlock(&guard);
    }
    errno = saved;
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

int fdatasync(int fd) {
    int result = real_fdatasync(fd);
    if (result == 0) after_sync(fd);
    return result;
}

int fsync(int fd) {
    int result = real_fsync(fd);
    if (result == 0) after_sync(fd);
    return result;
}
