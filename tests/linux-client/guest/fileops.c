/* System calls that no shell tool makes, for the jobs. Static, so that it runs anywhere in the guest. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static int open_or_die(const char *path, int flags) {
    int fd = open(path, flags, 0644);
    if (fd < 0) die(path);
    return fd;
}

static off_t number(const char *text) { return strtoll(text, NULL, 0); }

/* seek FILE data|hole OFFSET: where the next one begins, or the error's name. */
static int seek(char **arg) {
    int whence = strcmp(arg[1], "data") == 0 ? SEEK_DATA : SEEK_HOLE;
    off_t found = lseek(open_or_die(arg[0], O_RDONLY), number(arg[2]), whence);
    if (found < 0 && errno == ENXIO) puts("ENXIO");
    else if (found < 0) die("lseek");
    else printf("%lld\n", (long long)found);
    return 0;
}

/* copy FROM OFFSET TO OFFSET LENGTH: copy_file_range until done or end of file; prints the bytes copied. */
static int copy(char **arg) {
    int from = open_or_die(arg[0], O_RDONLY), to = open_or_die(arg[2], O_RDWR | O_CREAT);
    off_t in = number(arg[1]), out = number(arg[3]), left = number(arg[4]), done = 0;
    while (left > 0) {
        ssize_t some = copy_file_range(from, &in, to, &out, left, 0);
        if (some < 0) die("copy_file_range");
        if (some == 0) break;
        left -= some;
        done += some;
    }
    if (close(to) != 0) die("close");
    printf("%lld\n", (long long)done);
    return 0;
}

/* clone FROM OFFSET TO OFFSET LENGTH: FICLONERANGE; a length of 0 is "to the end". */
static int clone_range(char **arg) {
    int to = open_or_die(arg[2], O_RDWR | O_CREAT);
    struct file_clone_range range = {
        .src_fd = open_or_die(arg[0], O_RDONLY),
        .src_offset = number(arg[1]),
        .dest_offset = number(arg[3]),
        .src_length = number(arg[4]),
    };
    if (ioctl(to, FICLONERANGE, &range) != 0) die("FICLONERANGE");
    return 0;
}

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* pattern write|verify FILE BYTES SEED: a stream of pseudo-random bytes, whole MiB. */
static int pattern(char **arg) {
    enum { WORDS = 131072, BLOCK = WORDS * 8 };
    static uint64_t expected[WORDS], found[WORDS];
    int writing = strcmp(arg[0], "write") == 0;
    int fd = open_or_die(arg[1], writing ? O_RDWR | O_CREAT | O_TRUNC : O_RDONLY);
    uint64_t state = number(arg[3]) * 2654435761u + 1;
    for (off_t at = 0, end = number(arg[2]); at < end; at += BLOCK) {
        for (int i = 0; i < WORDS; i++) expected[i] = next_random(&state);
        char *bytes = (char *)(writing ? expected : found);
        for (size_t done = 0; done < BLOCK;) {
            ssize_t some = writing ? write(fd, bytes + done, BLOCK - done) : read(fd, bytes + done, BLOCK - done);
            if (some < 0) die(arg[1]);
            if (some == 0) { fprintf(stderr, "end of file at %lld\n", (long long)(at + done)); return 1; }
            done += some;
        }
        for (int i = 0; !writing && i < WORDS; i++)
            if (expected[i] != found[i]) {
                fprintf(stderr, "first difference at byte %lld\n", (long long)at + i * 8);
                return 1;
            }
    }
    if (writing && fsync(fd) != 0) die("fsync");
    if (close(fd) != 0) die("close");
    return 0;
}

/* entries DIRECTORY PREFIX COUNT: that many empty files named PREFIX1, PREFIX2, ... */
static int entries(char **arg) {
    if (chdir(arg[0]) != 0) die(arg[0]);
    char name[256];
    for (long i = 1, last = number(arg[2]); i <= last; i++) {
        snprintf(name, sizeof name, "%s%ld", arg[1], i);
        if (mknod(name, S_IFREG | 0644, 0) != 0) die(name);
    }
    return 0;
}

struct lock_request {
    int fd, whole_file, blocking;
    short type;
    off_t start, length;
};

static int set_lock(const struct lock_request *lock, short type) {
    if (lock->whole_file) {
        int how = type == F_UNLCK ? LOCK_UN : type == F_RDLCK ? LOCK_SH : LOCK_EX;
        return flock(lock->fd, how | (lock->blocking ? 0 : LOCK_NB));
    }
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = lock->start, .l_len = lock->length};
    return fcntl(lock->fd, lock->blocking ? F_SETLKW : F_SETLK, &range);
}

static void touch(const char *base, const char *suffix) {
    char path[512];
    snprintf(path, sizeof path, "%s.%s", base, suffix);
    close(open_or_die(path, O_WRONLY | O_CREAT));
}

static int exists(const char *base, const char *suffix) {
    char path[512];
    snprintf(path, sizeof path, "%s.%s", base, suffix);
    return access(path, F_OK) == 0;
}

/* A byte to where the lock begins, down to the server; STATE.wrote says how that went. */
static void write_under(const struct lock_request *lock, const char *state) {
    int done = pwrite(lock->fd, "w", 1, lock->start) == 1 && fsync(lock->fd) == 0;
    const char *outcome = done ? "ok" : strerror(errno);
    char path[512], other[512];
    snprintf(path, sizeof path, "%s.write", state);
    unlink(path);
    snprintf(other, sizeof other, "%s.writing", state);
    int fd = open_or_die(other, O_WRONLY | O_CREAT | O_TRUNC);
    dprintf(fd, "%s\n", outcome);
    close(fd);
    snprintf(path, sizeof path, "%s.wrote", state);
    if (rename(other, path) != 0) die(path);
}

/*
 * lock FILE flock|fcntl read|write START LENGTH try|wait [STATE]
 * Exits 11 when somebody else holds it. With STATE it creates STATE.asked, then STATE.locked when it holds
 * the lock, and keeps it until STATE.release exists; without, it lets go at once. While it holds the lock it
 * writes to the file whenever STATE.write exists, and says in STATE.wrote "ok" or what was wrong.
 */
static int lock(char **arg) {
    struct lock_request lock = {
        .fd = open_or_die(arg[0], O_RDWR | O_CREAT),
        .whole_file = strcmp(arg[1], "flock") == 0,
        .type = strcmp(arg[2], "read") == 0 ? F_RDLCK : F_WRLCK,
        .start = number(arg[3]),
        .length = number(arg[4]),
        .blocking = strcmp(arg[5], "wait") == 0,
    };
    if (arg[6]) touch(arg[6], "asked");
    if (set_lock(&lock, lock.type) != 0) {
        if (errno == EAGAIN || errno == EACCES) return 11;
        die("lock");
    }
    if (arg[6]) {
        touch(arg[6], "locked");
        while (!exists(arg[6], "release")) {
            if (exists(arg[6], "write")) write_under(&lock, arg[6]);
            usleep(10000);
        }
    }
    if (set_lock(&lock, F_UNLCK) != 0) die("unlock");
    return 0;
}

/* getlk FILE read|write START LENGTH: "free", or type, start and length of the lock in the way. */
static int getlk(char **arg) {
    struct flock range = {
        .l_type = strcmp(arg[1], "read") == 0 ? F_RDLCK : F_WRLCK,
        .l_whence = SEEK_SET,
        .l_start = number(arg[2]),
        .l_len = number(arg[3]),
    };
    if (fcntl(open_or_die(arg[0], O_RDWR), F_GETLK, &range) != 0) die("F_GETLK");
    if (range.l_type == F_UNLCK) puts("free");
    else printf("%s %lld %lld\n", range.l_type == F_RDLCK ? "read" : "write", (long long)range.l_start, (long long)range.l_len);
    return 0;
}

/* handle PATH: the file handle, in hexadecimal. */
static int handle(char **arg) {
    union {
        struct file_handle handle;
        char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    } of = {.handle = {.handle_bytes = MAX_HANDLE_SZ}};
    int mount;
    if (name_to_handle_at(AT_FDCWD, arg[0], &of.handle, &mount, 0) != 0) die(arg[0]);
    for (unsigned i = 0; i < of.handle.handle_bytes; i++) printf("%02x", of.handle.f_handle[i]);
    puts("");
    return 0;
}

/* STATE.NAME: how far a worker is. */
static void note(const char *base, const char *name, long number) {
    char path[512], text[32];
    snprintf(path, sizeof path, "%s.%s", base, name);
    int fd = open_or_die(path, O_WRONLY | O_CREAT), length = snprintf(text, sizeof text, "%-20ld\n", number);
    if (pwrite(fd, text, length, 0) != length || close(fd) != 0) die(path);
}

enum { RECORD = 64 };

static void make_record(char *record, long number) {
    uint64_t state = number * 2654435761u + 1;
    int length = snprintf(record, RECORD, "%010ld ", number);
    while (length < RECORD - 1) record[length++] = 'a' + next_random(&state) % 26;
    record[length] = '\n';
}

/*
 * records FILE locked|append STATE: writes records, each down to the server before the next, until STATE.release exists; under a lock of
 * the whole file, or at its end. STATE.count says how many are safe.
 */
static int records(char **arg) {
    int locked = strcmp(arg[1], "locked") == 0;
    struct lock_request whole = {.fd = open_or_die(arg[0], O_RDWR | O_CREAT | (locked ? 0 : O_APPEND))};
    char record[RECORD + 1];
    if (locked && set_lock(&whole, F_WRLCK) != 0) die("lock");
    for (long count = 0; !exists(arg[2], "release"); note(arg[2], "count", ++count)) {
        make_record(record, count);
        ssize_t some = locked ? pwrite(whole.fd, record, RECORD, count * RECORD) : write(whole.fd, record, RECORD);
        if (some != RECORD) die("write");
        if (fsync(whole.fd) != 0) die("fsync");
    }
    if (locked && set_lock(&whole, F_UNLCK) != 0) die("unlock");
    if (close(whole.fd) != 0) die("close");
    return 0;
}

/* recorded FILE COUNT: whether it is that many whole records and no more. */
static int recorded(char **arg) {
    long count = number(arg[1]);
    char expected[RECORD + 1], found[RECORD];
    int fd = open_or_die(arg[0], O_RDONLY);
    for (long i = 0; i < count; i++) {
        make_record(expected, i);
        if (read(fd, found, RECORD) != RECORD || memcmp(expected, found, RECORD) != 0) {
            fprintf(stderr, "record %ld of %ld\n", i, count);
            return 1;
        }
    }
    if (read(fd, found, RECORD) != 0) {
        fprintf(stderr, "more than %ld records\n", count);
        return 1;
    }
    return 0;
}

/*
 * Of a call that the server did before it went down and did not answer, the client asks the next instance again, which can only say that it
 * is done already.
 */
static long repeated;

static void must(int result, int done_already, const char *what) {
    if (result == 0) return;
    if (errno != done_already) die(what);
    repeated++;
}

/*
 * names FOLDER STATE: makes, renames and removes files and folders until STATE.release exists. It leaves folder dN and files fM to fN, with M
 * the greater of 0 and N - 4 and each file's number in it, where N is STATE.count.
 */
static int names(char **arg) {
    char old[64], new[64];
    if (chdir(arg[0]) != 0) die(arg[0]);
    for (long i = 0; !exists(arg[1], "release"); i++) {
        int fd = open_or_die("new", O_WRONLY | O_CREAT | O_TRUNC);
        if (dprintf(fd, "%ld\n", i) < 0 || close(fd) != 0) die("new");
        snprintf(new, sizeof new, "f%ld", i);
        must(rename("new", new), ENOENT, "rename");
        snprintf(old, sizeof old, "f%ld", i - 5);
        if (i >= 5) must(unlink(old), ENOENT, "unlink");
        snprintf(new, sizeof new, "d%ld", i);
        must(mkdir(new, 0755), EEXIST, "mkdir");
        snprintf(old, sizeof old, "d%ld", i - 1);
        if (i >= 1) must(rmdir(old), ENOENT, "rmdir");
        note(arg[1], "count", i);
        note(arg[1], "repeated", repeated);
    }
    return 0;
}

static const struct {
    const char *name;
    int arguments;
    int (*run)(char **);
} commands[] = {
    {"seek", 3, seek},       {"copy", 5, copy}, {"clone", 5, clone_range}, {"pattern", 4, pattern},
    {"entries", 3, entries}, {"lock", 6, lock}, {"getlk", 4, getlk},
    {"handle", 1, handle},   {"records", 3, records}, {"recorded", 2, recorded}, {"names", 2, names},
};

int main(int argc, char **argv) {
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0 && argc - 2 >= commands[i].arguments)
            return commands[i].run(argv + 2);
    fprintf(stderr, "usage: see fileops.c\n");
    return 2;
}
