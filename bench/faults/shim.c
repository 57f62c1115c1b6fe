/* Stands between a process and its disk (LD_PRELOAD): records what is done to the files below one folder, and makes
 * chosen operations fail. Used by bench/faults/shim.py; compiled when it is needed.
 *
 * Record: every operation is carried out and written to the trace under one lock, so the order of the trace is the
 * order of the operations. A record is a header (see struct header) and up to two byte strings.
 * Fail: operations of the kinds in a mask are counted; from the n-th on, `times` of them fail with an errno. A write
 * that fails leaves half of its bytes behind, as a disk may.
 *
 * Memory-mapped writes are not seen: SQLite maps only its -shm file, which is worthless after a crash.
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
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 'C', WRITE = 'W', TRUNCATE = 'T', SYNC = 'S', SYNC_FAILED = 'F', SYNC_FOLDER = 'D', RENAME = 'R',
       UNLINK = 'U', MKDIR = 'M', RMDIR = 'X', MARK = 'A', LINK = 'L' };
enum { ON_OPEN = 1, ON_WRITE = 2, ON_SYNC = 4, ON_NAME = 8, ON_READ = 16 };
#define FDS 4096

struct header { uint32_t op, len1, len2, unused; uint64_t a, b; };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static int trace = -1;
static uint64_t inode_of[FDS]; /* 0: a file that is none of ours */
static char *folder_of[FDS];   /* of an open folder, its path */
static int mask, first, times, error_number, seen;

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) { fprintf(stderr, "the C library has no %s\n", name); _exit(99); }
    return found;
}

/* --- control, called through ctypes ------------------------------------------------------------------------- */

void em_root(const char *path)
{
    pthread_mutex_lock(&lock);
    snprintf(root, sizeof root, "%s", path);
    pthread_mutex_unlock(&lock);
}

int em_trace(const char *path)
{
    int fd = path[0] ? REAL(open64)(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644) : -1;
    pthread_mutex_lock(&lock);
    if (trace >= 0) REAL(close)(trace);
    trace = fd;
    pthread_mutex_unlock(&lock);
    return fd;
}

void em_arm(int kinds, int n, int count, int number)
{
    pthread_mutex_lock(&lock);
    mask = kinds; first = n; times = count; error_number = number; seen = 0;
    pthread_mutex_unlock(&lock);
}

int em_seen(void) { return seen; }

static void note(int op, uint64_t a, uint64_t b, const void *one, size_t len1, const void *two, size_t len2)
{
    if (trace < 0) return;
    struct header head = { op, len1, len2, 0, a, b };
    struct iovec parts[3] = { { &head, sizeof head }, { (void *)one, len1 }, { (void *)two, len2 } };
    if (REAL(writev)(trace, parts, 3) != (ssize_t)(sizeof head + len1 + len2)) _exit(98);
}

void em_mark(const char *data, int length)
{
    pthread_mutex_lock(&lock);
    note(MARK, 0, 0, data, length, "", 0);
    pthread_mutex_unlock(&lock);
}

/* --- what is ours, and what fails --------------------------------------------------------------------------- */

static int ours(int folder, const char *path, char *full)
{
    if (!root[0] || !path) return 0;
    if (path[0] == '/') snprintf(full, PATH_MAX, "%s", path);
    else {
        char start[PATH_MAX], link[64];
        if (folder == AT_FDCWD) { if (!getcwd(start, sizeof start)) return 0; }
        else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            ssize_t n = readlink(link, start, sizeof start - 1);
            if (n < 0) return 0;
            start[n] = 0;
        }
        if (snprintf(full, PATH_MAX, "%s/%s", start, path) >= PATH_MAX) return 0;
    }
    size_t n = strlen(root);
    return !strncmp(full, root, n) && (full[n] == 0 || full[n] == '/');
}

static int fails(int kind)
{
    if (!(mask & kind)) return 0;
    seen++;
    if (seen < first || seen - first >= times) return 0;
    errno = error_number;
    return 1;
}

static uint64_t known(int fd) { return fd >= 0 && fd < FDS ? inode_of[fd] : 0; }

static int open_ours(int folder, const char *path, const char *full, int flags, mode_t mode)
{
    struct stat status;
    pthread_mutex_lock(&lock);
    int there = !stat(full, &status), fd = -1;
    int changes = (flags & (O_WRONLY | O_RDWR)) || (!there && (flags & O_CREAT));
    if (!(changes && fails(ON_OPEN))) fd = REAL(openat64)(folder, path, flags, mode);
    int kept = errno;
    if (fd >= 0 && fd < FDS && !fstat(fd, &status)) {
        inode_of[fd] = status.st_ino;
        folder_of[fd] = S_ISDIR(status.st_mode) ? strdup(full) : NULL;
        if (!there) note(CREATE, status.st_ino, 0, full, strlen(full), "", 0);
        else if (flags & O_TRUNC) note(TRUNCATE, status.st_ino, 0, "", 0, "", 0);
    }
    pthread_mutex_unlock(&lock);
    errno = kept;
    return fd;
}

#define MODE mode_t mode = 0; if (flags & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); \
    mode = va_arg(more, mode_t); va_end(more); } char full[PATH_MAX]
int open(const char *path, int flags, ...)
{ MODE; return ours(AT_FDCWD, path, full) ? open_ours(AT_FDCWD, path, full, flags, mode) : REAL(open)(path, flags, mode); }
int open64(const char *path, int flags, ...)
{ MODE; return ours(AT_FDCWD, path, full) ? open_ours(AT_FDCWD, path, full, flags, mode) : REAL(open64)(path, flags, mode); }
int openat(int at, const char *path, int flags, ...)
{ MODE; return ours(at, path, full) ? open_ours(at, path, full, flags, mode) : REAL(openat)(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...)
{ MODE; return ours(at, path, full) ? open_ours(at, path, full, flags, mode) : REAL(openat64)(at, path, flags, mode); }

int close(int fd)
{
    if (known(fd)) {
        pthread_mutex_lock(&lock);
        inode_of[fd] = 0;
        folder_of[fd] = NULL; /* a few bytes, in a process of a test */
        pthread_mutex_unlock(&lock);
    }
    return REAL(close)(fd);
}

/* --- content ------------------------------------------------------------------------------------------------ */

static ssize_t write_ours(int fd, const void *data, size_t size, off_t at)
{
    pthread_mutex_lock(&lock);
    int failed = fails(ON_WRITE);
    size_t part = failed ? size / 2 : size;
    ssize_t done = !part ? 0 : at < 0 ? REAL(write)(fd, data, part) : REAL(pwrite64)(fd, data, part, at);
    int kept = failed ? error_number : errno;
    if (done > 0) note(WRITE, known(fd), at < 0 ? lseek(fd, 0, SEEK_CUR) - done : at, data, done, "", 0);
    pthread_mutex_unlock(&lock);
    errno = kept;
    return failed ? -1 : done;
}

ssize_t write(int fd, const void *data, size_t size)
{ return known(fd) ? write_ours(fd, data, size, -1) : REAL(write)(fd, data, size); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{ return known(fd) ? write_ours(fd, data, size, at) : REAL(pwrite)(fd, data, size, at); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{ return known(fd) ? write_ours(fd, data, size, at) : REAL(pwrite64)(fd, data, size, at); }

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    if (!known(fd)) return REAL(writev)(fd, parts, count);
    ssize_t sum = 0;
    for (int i = 0; i < count; i++) {
        ssize_t done = write_ours(fd, parts[i].iov_base, parts[i].iov_len, -1);
        if (done < 0) return sum ? sum : -1;
        sum += done;
    }
    return sum;
}

/* Python's shutil copies by reading and writing when this is refused, which is what the trace can show. */
ssize_t sendfile64(int out, int in, off64_t *at, size_t size)
{
    (void)in; (void)at; (void)size;
    static ssize_t (*theirs)(int, int, off64_t *, size_t);
    if (known(out)) { errno = ENOTSOCK; return -1; }
    if (!theirs) theirs = (ssize_t (*)(int, int, off64_t *, size_t))real("sendfile64");
    return theirs(out, in, at, size);
}
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t size, unsigned flags)
{
    if (known(out)) { errno = EXDEV; return -1; }
    return REAL(copy_file_range)(in, from, out, to, size, flags);
}

static int truncate_ours(int fd, off64_t size)
{
    pthread_mutex_lock(&lock);
    int result = fails(ON_WRITE) ? -1 : REAL(ftruncate64)(fd, size), kept = errno;
    if (!result) note(TRUNCATE, known(fd), size, "", 0, "", 0);
    pthread_mutex_unlock(&lock);
    errno = kept;
    return result;
}
int ftruncate(int fd, off_t size) { return known(fd) ? truncate_ours(fd, size) : REAL(ftruncate)(fd, size); }
int ftruncate64(int fd, off64_t size) { return known(fd) ? truncate_ours(fd, size) : REAL(ftruncate64)(fd, size); }
int fallocate64(int fd, int mode, off64_t at, off64_t size)
{ if (known(fd)) { errno = EOPNOTSUPP; return -1; } return REAL(fallocate64)(fd, mode, at, size); }
int posix_fallocate64(int fd, off64_t at, off64_t size)
{ return known(fd) ? EOPNOTSUPP : REAL(posix_fallocate64)(fd, at, size); }

static int sync_ours(int fd, int (*theirs)(int))
{
    pthread_mutex_lock(&lock);
    int result = fails(ON_SYNC) ? -1 : theirs(fd), kept = errno;
    char *path = folder_of[fd];
    if (path && !result) note(SYNC_FOLDER, 0, 0, path, strlen(path), "", 0);
    else if (!path) note(result ? SYNC_FAILED : SYNC, known(fd), 0, "", 0, "", 0);
    pthread_mutex_unlock(&lock);
    errno = kept;
    return result;
}
int fsync(int fd) { return known(fd) ? sync_ours(fd, REAL(fsync)) : REAL(fsync)(fd); }
int fdatasync(int fd) { return known(fd) ? sync_ours(fd, REAL(fdatasync)) : REAL(fdatasync)(fd); }

static int fails_reading(int fd)
{
    if (!known(fd) || !(mask & ON_READ)) return 0;
    pthread_mutex_lock(&lock);
    int failed = fails(ON_READ), kept = errno;
    pthread_mutex_unlock(&lock);
    errno = kept;
    return failed;
}
ssize_t read(int fd, void *data, size_t size) { return fails_reading(fd) ? -1 : REAL(read)(fd, data, size); }
ssize_t pread64(int fd, void *data, size_t size, off64_t at)
{ return fails_reading(fd) ? -1 : REAL(pread64)(fd, data, size, at); }
ssize_t pread(int fd, void *data, size_t size, off_t at)
{ return fails_reading(fd) ? -1 : REAL(pread)(fd, data, size, at); }

/* --- names -------------------------------------------------------------------------------------------------- */

static int named(int op, const char *one, const char *two, int (*act)(void *), void *with)
{
    pthread_mutex_lock(&lock);
    int result = fails(ON_NAME) ? -1 : act(with), kept = errno;
    if (!result) note(op, 0, 0, one, strlen(one), two, strlen(two));
    pthread_mutex_unlock(&lock);
    errno = kept;
    return result;
}

struct names { int at, to; const char *one, *two; unsigned flags; mode_t mode; };
static int do_rename(void *p) { struct names *n = p; return REAL(renameat2)(n->at, n->one, n->to, n->two, n->flags); }
static int do_link(void *p) { struct names *n = p; return REAL(linkat)(n->at, n->one, n->to, n->two, n->flags); }
static int do_unlink(void *p) { struct names *n = p; return REAL(unlinkat)(n->at, n->one, n->flags); }
static int do_mkdir(void *p) { struct names *n = p; return REAL(mkdirat)(n->at, n->one, n->mode); }

int renameat2(int at, const char *one, int to, const char *two, unsigned flags)
{
    char a[PATH_MAX], b[PATH_MAX];
    struct names n = { at, to, one, two, flags, 0 };
    int mine = ours(at, one, a) + 2 * ours(to, two, b);
    return mine ? named(RENAME, a, b, do_rename, &n) : do_rename(&n);
}
int renameat(int at, const char *one, int to, const char *two) { return renameat2(at, one, to, two, 0); }
int rename(const char *one, const char *two) { return renameat2(AT_FDCWD, one, AT_FDCWD, two, 0); }
int linkat(int at, const char *one, int to, const char *two, int flags)
{
    char a[PATH_MAX], b[PATH_MAX];
    struct names n = { at, to, one, two, flags, 0 };
    int from = ours(at, one, a);
    return ours(to, two, b) && from ? named(LINK, a, b, do_link, &n) : do_link(&n);
}
int link(const char *one, const char *two) { return linkat(AT_FDCWD, one, AT_FDCWD, two, 0); }
int unlinkat(int at, const char *path, int flags)
{
    char a[PATH_MAX];
    struct names n = { at, 0, path, "", flags, 0 };
    return ours(at, path, a) ? named(flags & AT_REMOVEDIR ? RMDIR : UNLINK, a, "", do_unlink, &n) : do_unlink(&n);
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int mkdirat(int at, const char *path, mode_t mode)
{
    char a[PATH_MAX];
    struct names n = { at, 0, path, "", 0, mode };
    return ours(at, path, a) ? named(MKDIR, a, "", do_mkdir, &n) : do_mkdir(&n);
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
