// What strace cannot do to a process, by LD_PRELOAD. It knows nothing of paycurl.
//
//   FAULTS_LOG     file that gets a line for each point passed: "recv", "fdatasync paycurl.db-wal"
//   FAULTS_KILL    kill -9 before point N
//   FAULTS_SHORT   point N reads or writes half of what it was asked to
//   FAULTS_FULL    from point N on the disk is full: what writes below FAULTS_HOME gets ENOSPC
//   FAULTS_CLOCK   seconds that the wall clock is ahead
//   FAULTS_SHADOW  folder that gets what would survive a power loss, of the files below FAULTS_HOME:
//                    data/KEY    the bytes of a file when it was last synced
//                    names/KEY   a folder's entries when it was last synced, a line each: "f KEY name", "d KEY name"
//                  What is there at the start counts as synced; without FAULTS_HOME's own names nothing does.
//   FAULTS_DROP    syncs are not mirrored: a disk that lies
//
// A KEY is a file's number and time of birth, as numbers are used again. Files ending in -shm are left out.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static const char *home, *shadow;
static long kill_at, short_at, full_from, clock_ahead;
static bool drop;
static int log_fd = -1;
static atomic_long passed;
static bool ready;

#define REAL(name) \
  static __typeof__(&name) real; \
  if (real == NULL) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static ssize_t real_write(int fd, const void *bytes, size_t size) {
  REAL(write);
  return real(fd, bytes, size);
}

static int real_open(const char *path, int flags, int mode) {
  REAL(open);
  return real(path, flags, mode);
}

static long number(const char *name) {
  const char *text = getenv(name);
  return text == NULL ? 0 : atol(text);
}

// ---- the shadow

static void die(const char *why) {
  dprintf(2, "shim: %s: %s\n", why, strerror(errno));
  _exit(99);
}

static bool key_of(int folder, const char *name, char key[64], mode_t *mode) {
  struct statx status;
  const int flags = AT_SYMLINK_NOFOLLOW | (*name == 0 ? AT_EMPTY_PATH : 0);
  if (statx(folder, name, flags, STATX_INO | STATX_BTIME | STATX_TYPE, &status) != 0) return false;
  snprintf(key, 64, "%llu-%lld-%u", (unsigned long long)status.stx_ino, (long long)status.stx_btime.tv_sec,
           status.stx_btime.tv_nsec);
  *mode = status.stx_mode;
  return true;
}

static bool is_left_out(const char *name) {
  const size_t size = strlen(name);
  return size > 4 && strcmp(name + size - 4, "-shm") == 0;
}

static bool path_of(int fd, char path[PATH_MAX]) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, path, PATH_MAX - 1);
  if (size <= 0) return false;
  path[size] = 0;
  return true;
}

static bool is_below_home(const char *path) {
  const size_t size = home == NULL ? 0 : strlen(home);
  return size > 0 && strncmp(path, home, size) == 0 && (path[size] == 0 || path[size] == '/');
}

static int create(const char *kind, const char *key) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/%s/%s", shadow, kind, key);
  const int fd = real_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) die(path);
  return fd;
}

static void mirror_names(const char *path, const char *key, bool deep);

static void mirror_data(const char *path, const char *key) {
  static char chunk[1 << 16];
  const int from = real_open(path, O_RDONLY | O_CLOEXEC, 0), to = create("data", key);
  ssize_t got = 0;
  REAL(read);
  while (from >= 0 && (got = real(from, chunk, sizeof chunk)) > 0) {
    if (real_write(to, chunk, (size_t)got) != got) die("the shadow");
  }
  if (from >= 0) close(from);
  close(to);
}

static void mirror_names(const char *path, const char *key, bool deep) {
  DIR *entries = opendir(path);
  if (entries == NULL) return;
  const int to = create("names", key);
  for (const struct dirent *entry; (entry = readdir(entries)) != NULL;) {
    const char *name = entry->d_name;
    char below[64], whole[PATH_MAX];
    mode_t mode;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || is_left_out(name)) continue;
    if (!key_of(dirfd(entries), name, below, &mode)) continue;
    dprintf(to, "%c %s %s\n", S_ISDIR(mode) ? 'd' : 'f', below, name);
    if (!deep) continue;
    snprintf(whole, sizeof whole, "%s/%s", path, name);
    S_ISDIR(mode) ? mirror_names(whole, below, true) : mirror_data(whole, below);
  }
  closedir(entries);
  close(to);
}

static void mirror(int fd) {
  char path[PATH_MAX], key[64];
  mode_t mode;
  if (shadow == NULL || drop || !path_of(fd, path) || !is_below_home(path) || is_left_out(path)) return;
  if (!key_of(fd, "", key, &mode)) return;
  S_ISDIR(mode) ? mirror_names(path, key, false) : mirror_data(path, key);
}

__attribute__((constructor)) static void begin(void) {
  home = getenv("FAULTS_HOME");
  shadow = getenv("FAULTS_SHADOW");
  kill_at = number("FAULTS_KILL"), short_at = number("FAULTS_SHORT"), full_from = number("FAULTS_FULL");
  clock_ahead = number("FAULTS_CLOCK");
  drop = getenv("FAULTS_DROP") != NULL;
  if (getenv("FAULTS_LOG") != NULL) {
    log_fd = real_open(getenv("FAULTS_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    log_fd = fcntl(log_fd, F_DUPFD_CLOEXEC, 900);  // out of the way
  }
  char key[64];
  mode_t mode;
  if (shadow != NULL) {
    if (!key_of(AT_FDCWD, home, key, &mode)) die(home);
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/root", shadow);
    const int root = real_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    dprintf(root, "%s", key);
    close(root);
    mirror_names(home, key, true);
  }
  ready = true;
}

// ---- the points

/// True when this call is to fail or to be cut short. Kills when it is time.
static bool point(const char *name, int fd, const char *path) {
  if (!ready) return false;
  const int kept = errno;
  char link[PATH_MAX] = "";
  if (path == NULL) path = fd >= 0 && path_of(fd, link) ? link : "";
  const long now = atomic_fetch_add(&passed, 1) + 1;
  if (log_fd >= 0) dprintf(log_fd, "%s %s\n", name, path);
  if (now == kill_at) kill(getpid(), SIGKILL);
  errno = kept;
  if (now == short_at) return true;
  return full_from > 0 && now >= full_from && is_below_home(path);
}

static bool full(void) {
  if (full_from == 0) return false;
  errno = ENOSPC;
  return true;
}

static size_t half(size_t size) { return size > 1 ? size / 2 : size; }

ssize_t read(int fd, void *bytes, size_t size) {
  REAL(read);
  return real(fd, bytes, point("read", fd, NULL) && short_at > 0 ? half(size) : size);
}

ssize_t write(int fd, const void *bytes, size_t size) {
  const bool hit = point("write", fd, NULL);
  if (hit && full()) return -1;
  return real_write(fd, bytes, hit ? half(size) : size);
}

ssize_t pread64(int fd, void *bytes, size_t size, off_t at) {
  REAL(pread64);
  return real(fd, bytes, point("pread64", fd, NULL) && short_at > 0 ? half(size) : size, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t at) {
  REAL(pwrite64);
  const bool hit = point("pwrite64", fd, NULL);
  if (hit && full()) return -1;
  return real(fd, bytes, hit ? half(size) : size, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(writev);
  const bool hit = point("writev", fd, NULL);
  if (hit && full()) return -1;
  return real(fd, parts, hit && count > 1 ? count / 2 : count);
}

ssize_t send(int fd, const void *bytes, size_t size, int flags) {
  REAL(send);
  return real(fd, bytes, point("send", fd, NULL) ? half(size) : size, flags);
}

ssize_t sendto(int fd, const void *bytes, size_t size, int flags, const struct sockaddr *to, socklen_t length) {
  REAL(sendto);
  return real(fd, bytes, point("sendto", fd, NULL) ? half(size) : size, flags, to, length);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  REAL(sendmsg);
  point("sendmsg", fd, NULL);
  return real(fd, message, flags);
}

ssize_t recv(int fd, void *bytes, size_t size, int flags) {
  REAL(recv);
  return real(fd, bytes, point("recv", fd, NULL) ? half(size > 64 ? 64 : size) : size, flags);
}

int connect(int fd, const struct sockaddr *to, socklen_t length) {
  REAL(connect);
  point("connect", fd, NULL);
  return real(fd, to, length);
}

int fsync(int fd) {
  REAL(fsync);
  if (point("fsync", fd, NULL) && full()) return -1;
  const int result = real(fd);
  if (result == 0) mirror(fd);
  return result;
}

int fdatasync(int fd) {
  REAL(fdatasync);
  if (point("fdatasync", fd, NULL) && full()) return -1;
  const int result = real(fd);
  if (result == 0) mirror(fd);
  return result;
}

int ftruncate64(int fd, off_t size) {
  REAL(ftruncate64);
  if (point("ftruncate", fd, NULL) && full()) return -1;
  return real(fd, size);
}

int rename(const char *from, const char *to) {
  REAL(rename);
  point("rename", -1, to);
  return real(from, to);
}

int unlink(const char *path) {
  REAL(unlink);
  point("unlink", -1, path);
  return real(path);
}

int mkdir(const char *path, mode_t mode) {
  REAL(mkdir);
  struct stat status;
  if (point("mkdir", -1, path) && stat(path, &status) != 0 && full()) return -1;
  return real(path, mode);
}

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    va_list more; \
    va_start(more, flags); \
    const int mode = (flags & O_CREAT) != 0 ? va_arg(more, int) : 0; \
    va_end(more); \
    struct stat status; \
    if ((flags & O_CREAT) != 0 && point("open", -1, path) && stat(path, &status) != 0 && full()) return -1; \
    return real_open(path, flags, mode); \
  }
OPEN(open)
OPEN(open64)

__attribute__((destructor)) static void end(void) { point("end", -1, NULL); }

// ---- the clock

int clock_gettime(clockid_t which, struct timespec *now) {
  REAL(clock_gettime);
  const int result = real(which, now);
  if (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE) now->tv_sec += clock_ahead;
  return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  REAL(gettimeofday);
  const int result = real(now, zone);
  now->tv_sec += clock_ahead;
  return result;
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != NULL) *out = now.tv_sec;
  return now.tv_sec;
}
