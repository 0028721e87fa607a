/* A disk that begins to fail: preloaded into the program under test, it answers EIO to syncs of
 * files and folders whose path holds "/journal" once the file FAULTS_EIO_FILE holds the id of the
 * process, as text. Nothing is made durable then.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(int fd) {
    const char *file = getenv("FAULTS_EIO_FILE");
    int saved = errno, told = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    if (told < 0) {
        errno = saved;
        return 0;
    }
    char text[32] = {0}, link[64], path[PATH_MAX] = {0};
    ssize_t length = read(told, text, sizeof text - 1);
    close(told);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int known = readlink(link, path, sizeof path - 1) > 0;
    errno = saved;
    return length > 0 && atol(text) == getpid() && known && strstr(path, "/journal") != NULL;
}

static int synced(int fd, const char *name) {
    if (fails(fd)) {
        errno = EIO;
        return -1;
    }
    int (*real)(int) = dlsym(RTLD_NEXT, name);
    return real(fd);
}

int fdatasync(int fd) { return synced(fd, "fdatasync"); }

int fsync(int fd) { return synced(fd, "fsync"); }
