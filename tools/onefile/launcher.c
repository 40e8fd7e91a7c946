/* The one-file program: unpacks what is in it, once for each version and host, and runs that.
 *
 * PyInstaller's own single file unpacks everything at every start, `lbproxy status` too, and stays as a second process
 * between the service manager and the master. This one leaves nothing behind but the program itself: it is an exec.
 *
 * The payload is PARTS tars (ustar), each compressed by zstd and unpacked by a process of its own, into a folder named after
 * the digest of all: whole, or not at all (rename(2)). The running program holds a shared flock(2) on that folder, as
 * systemd-tmpfiles(8) asks for. Who unpacks a version removes the folders of others that nobody holds.
 *
 * The start does not wait until the disk has it, which takes longer than all the rest: a process does that beside it, and
 * then makes WHOLE in the folder. Without WHOLE, the folder is good for this boot of the host alone, which BOOT in it
 * names: a crash of the host may have taken what was not written, and the next start unpacks it anew.
 *
 * It is linked statically, so that a host without glibc, or with one that is too old, gets a line that says so.
 * The build defines DIGEST, GLIBC_MINOR (the payload needs glibc 2.GLIBC_MINOR), SIZE (MiB, unpacked), PAYLOAD (a file) and
 * PARTS (the bytes of each part in it, with commas).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#define LOADER "/lib64/ld-linux-x86-64.so.2"
#define UNFINISHED ".unfinished-"
#define DAMAGED 255 /* in the place of an errno */
#define BOOT ".boot"
#define WHOLE ".whole"

__asm__(".section .rodata\n"
        ".balign 16\n"
        "payload: .incbin \"" PAYLOAD "\"\n"
        "payload_end:\n"
        ".previous\n");
extern const unsigned char payload[];
static const size_t parts[] = {PARTS};

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void fail(const char *format, ...)
{
    va_list arguments;
    fputs("lbproxy: error: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *text(const char *format, ...)
{
    char *made;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&made, format, arguments) < 0)
        fail("no memory");
    va_end(arguments);
    return made;
}

/* --- the host's glibc ------------------------------------------------------------------------------------------- */

/* What LOADER says of its version. */
static void read_version(char *said, size_t size)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        fail("no pipe: %s", strerror(errno));
    pid_t child = vfork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl(LOADER, LOADER, "--version", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t count;
    while (length < size - 1 && (count = read(ends[0], said + length, size - 1 - length)) > 0)
        length += count;
    said[length] = '\0';
    close(ends[0]);
    if (child > 0)
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
            ;
}

static void check_glibc(void)
{
    char said[256];
    int minor;
    if (access(LOADER, X_OK) != 0)
        fail("glibc 2.%d or newer is needed, and this host has none: %s: %s", GLIBC_MINOR, LOADER, strerror(errno));
    read_version(said, sizeof said);
    const char *version = strstr(said, " version 2."); /* "ld.so (Debian GLIBC 2.36-9) stable release version 2.36." */
    if (version == NULL || sscanf(version, " version 2.%d", &minor) != 1)
        minor = 0; /* before 2.33 it did not say */
    if (minor < GLIBC_MINOR && minor)
        fail("glibc 2.%d or newer is needed, and this host has 2.%d", GLIBC_MINOR, minor);
    if (minor < GLIBC_MINOR)
        fail("glibc 2.%d or newer is needed, and this host has an older one", GLIBC_MINOR);
}

/* --- unpacking -------------------------------------------------------------------------------------------------- */

struct header { /* ustar, pax(1) */
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6], version[2],
        user[32], group[32], major[8], minor[8], prefix[155], rest[12];
};

struct stream {
    ZSTD_DStream *zstd;
    ZSTD_inBuffer in;
};

/* The next `size` bytes of the tar. */
static bool take(struct stream *stream, void *to, size_t size)
{
    ZSTD_outBuffer out = {to, size, 0};
    while (out.pos < out.size) {
        size_t before = out.pos + stream->in.pos;
        if (ZSTD_isError(ZSTD_decompressStream(stream->zstd, &out, &stream->in)) || out.pos + stream->in.pos == before)
            return false;
    }
    return true;
}

static bool write_all(int file, const char *bytes, size_t size)
{
    while (size) {
        ssize_t count = write(file, bytes, size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return false;
        bytes += count;
        size -= count;
    }
    return true;
}

static bool take_file(struct stream *stream, int folder, const char *name, mode_t mode, size_t size)
{
    static char buffer[1 << 18];
    int file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (file < 0)
        return false;
    bool well = true;
    while (well && size) {
        size_t part = size < sizeof buffer ? size : sizeof buffer;
        size_t padded = (part + 511) / 512 * 512; /* the last block of a file is filled up */
        well = take(stream, buffer, padded) && write_all(file, buffer, part);
        size -= part;
    }
    return close(file) == 0 && well;
}

/* The `size` bytes at `part` into `folder`; false: errno says why, and 0 is a payload that is damaged. */
static bool unpack_part(const unsigned char *part, size_t size, int folder)
{
    struct stream stream = {ZSTD_createDStream(), {part, size, 0}};
    struct header header;
    bool well;
    ZSTD_DCtx_setParameter(stream.zstd, ZSTD_d_windowLogMax, 27);
    errno = 0;
    while ((well = take(&stream, &header, sizeof header)) && header.name[0]) {
        char name[sizeof header.prefix + sizeof header.name + 2], link[sizeof header.link + 1];
        mode_t mode = strtoul(header.mode, NULL, 8);
        if (header.prefix[0])
            snprintf(name, sizeof name, "%.155s/%.100s", header.prefix, header.name);
        else
            snprintf(name, sizeof name, "%.100s", header.name);
        snprintf(link, sizeof link, "%.100s", header.link);
        if (header.type == '5')
            well = mkdirat(folder, name, mode) == 0 || errno == EEXIST;
        else if (header.type == '2')
            well = symlinkat(link, folder, name) == 0;
        else
            well = take_file(&stream, folder, name, mode, strtoull(header.size, NULL, 8));
        if (!well)
            break;
    }
    ZSTD_freeDStream(stream.zstd);
    return well;
}

/* This boot's id, or "" */
static void read_boot(char *id, size_t size)
{
    int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? 0 : read(file, id, size - 1);
    id[length < 0 ? 0 : length] = '\0';
    if (file >= 0)
        close(file);
}

static bool write_file(int folder, const char *name, const char *content)
{
    int file = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    return file >= 0 && write_all(file, content, strlen(content)) & (close(file) == 0);
}

/* Into `folder`, an open one that is empty; false: errno says why. */
static bool unpack_into(int folder)
{
    enum { COUNT = sizeof parts / sizeof *parts };
    const unsigned char *part = payload;
    pid_t children[COUNT];
    char boot[64];
    for (int number = 0; number < COUNT; part += parts[number++])
        if ((children[number] = fork()) == 0)
            _exit(unpack_part(part, parts[number], folder) ? 0 : errno ? errno : DAMAGED);
    int why = 0;
    for (int number = 0; number < COUNT; number++) {
        int status = EAGAIN << 8; /* no child */
        while (children[number] > 0 && waitpid(children[number], &status, 0) < 0 && errno == EINTR)
            ;
        if (status != 0)
            why = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
    }
    read_boot(boot, sizeof boot);
    if (why == 0 && write_file(folder, BOOT, boot))
        return true;
    if (why != 0)
        errno = why == DAMAGED ? 0 : why;
    return false;
}

/* What is in `folder` is what was unpacked: the disk has it, or the host has not crashed since. */
static bool is_whole(int folder)
{
    char now[64], then[64];
    if (faccessat(folder, WHOLE, F_OK, 0) == 0)
        return true;
    int file = openat(folder, BOOT, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    ssize_t length = read(file, then, sizeof then - 1);
    then[length < 0 ? 0 : length] = '\0';
    read_boot(now, sizeof now);
    close(file);
    return *now && strcmp(now, then) == 0;
}

/* A process that is nobody's child, has none of this one's files, and ends when the disk has what is in `folder`. */
static void write_behind(int folder)
{
    pid_t child = fork();
    if (child == 0) {
        if (fork() == 0) {
            dup2(folder, 0);
            for (int file = 1; file < 1024; file++)
                close(file);
            if (syncfs(0) == 0)
                write_file(0, WHOLE, "");
        }
        _exit(0);
    }
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
}

static void remove_tree(int parent, const char *name)
{
    int folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *entries = folder < 0 ? NULL : fdopendir(folder);
    struct dirent *entry;
    while (entries != NULL && (entry = readdir(entries)) != NULL)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") && unlinkat(folder, entry->d_name, 0) != 0)
            remove_tree(folder, entry->d_name);
    if (entries != NULL)
        closedir(entries);
    unlinkat(parent, name, AT_REMOVEDIR);
}

/* This version, if it is in `parent` and may have lost something; one that another start looks at stays. */
static void remove_lost(int parent, const char *unfinished)
{
    struct stat held, named;
    int folder = openat(parent, DIGEST, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return;
    if (!is_whole(folder) && flock(folder, LOCK_EX | LOCK_NB) == 0 && fstat(folder, &held) == 0 &&
        fstatat(parent, DIGEST, &named, AT_SYMLINK_NOFOLLOW) == 0 && held.st_ino == named.st_ino &&
        renameat(parent, DIGEST, parent, unfinished) == 0)
        remove_tree(parent, unfinished);
    close(folder);
}

/* What nobody holds of the other versions in `parent`, and what an unpacking that was killed has left. */
static void remove_others(int parent)
{
    int again = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = again < 0 ? NULL : fdopendir(again);
    struct dirent *entry;
    if (entries == NULL)
        return;
    while ((entry = readdir(entries)) != NULL) {
        bool unfinished = strncmp(entry->d_name, UNFINISHED, strlen(UNFINISHED)) == 0;
        bool version = strlen(entry->d_name) == strlen(DIGEST) && strspn(entry->d_name, "0123456789abcdef") == strlen(DIGEST);
        if ((!unfinished && !version) || strcmp(entry->d_name, DIGEST) == 0)
            continue;
        int folder = openat(parent, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (folder < 0)
            continue;
        if (flock(folder, LOCK_EX | LOCK_NB) == 0)
            remove_tree(parent, entry->d_name);
        close(folder);
    }
    closedir(entries);
}

/* --- where ------------------------------------------------------------------------------------------------------ */

/* Nobody but root and this user can change what is in it. */
static bool is_trusted(int folder)
{
    struct stat found;
    if (fstat(folder, &found) != 0)
        return false;
    if ((found.st_uid == 0 || found.st_uid == geteuid()) && !(found.st_mode & (S_IWGRP | S_IWOTH)))
        return true;
    errno = EPERM;
    return false;
}

static int open_trusted(int parent, const char *name)
{
    int folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder >= 0 && !is_trusted(folder)) {
        close(folder);
        return -1;
    }
    return folder;
}

/* The folder of this version in `place`, held, if it is there; else -1. */
static int find(const char *place)
{
    struct stat held, named;
    int parent = open_trusted(AT_FDCWD, place);
    if (parent < 0)
        return -1;
    int folder = open_trusted(parent, DIGEST);
    /* One that is removed at this moment is locked, or is another one than its name has by then. */
    if (folder >= 0 && (flock(folder, LOCK_SH | LOCK_NB) != 0 || fstat(folder, &held) != 0 ||
                        fstatat(parent, DIGEST, &named, AT_SYMLINK_NOFOLLOW) != 0 || held.st_ino != named.st_ino ||
                        !is_whole(folder))) {
        close(folder);
        folder = -1;
    }
    close(parent);
    return folder;
}

/* Unpacks this version into `place`; false: errno says why. */
static bool make(const char *place)
{
    struct statvfs mounted;
    char *unfinished = text(UNFINISHED "%d", getpid());
    bool made = false;
    if (mkdir(place, 0755) != 0 && errno != EEXIST)
        return false;
    int parent = open_trusted(AT_FDCWD, place);
    if (parent < 0)
        return false;
    if (fstatvfs(parent, &mounted) == 0 && mounted.f_flag & ST_NOEXEC) {
        errno = ENOEXEC;
        close(parent);
        return false;
    }
    remove_others(parent);
    remove_tree(parent, unfinished);
    remove_lost(parent, unfinished);
    if (mkdirat(parent, unfinished, 0755) == 0) {
        int folder = openat(parent, unfinished, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        made = folder >= 0 && flock(folder, LOCK_SH) == 0 && unpack_into(folder);
        if (made && renameat(parent, unfinished, parent, DIGEST) != 0)
            made = errno == EEXIST || errno == ENOTEMPTY; /* another start was faster */
        else if (made)
            write_behind(folder);
        int why = errno;
        remove_tree(parent, unfinished);
        close(folder);
        errno = why;
    }
    int why = errno;
    close(parent);
    errno = why;
    return made;
}

/* The folders that may have it, in order, and NULL. */
static char **places(void)
{
    static char *found[5];
    int count = 0;
    const char *only = getenv("LBPROXY_UNPACK_TO"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (only != NULL && *only) {
        found[0] = text("%s", only);
        return found;
    }
    found[count++] = "/var/cache/lbproxy";
    if (geteuid() != 0 && cache != NULL && *cache == '/')
        found[count++] = text("%s/lbproxy", cache);
    else if (geteuid() != 0 && home != NULL && *home == '/') {
        mkdir(text("%s/.cache", home), 0700);
        found[count++] = text("%s/.cache/lbproxy", home);
    }
    found[count++] = text("/tmp/lbproxy-%u", geteuid());
    return found;
}

/* The folder of this version, held; the path of it is put into `path`. */
static int unpacked(char **path)
{
    char **all = places(), *tried = "";
    for (char **place = all; *place != NULL; place++) {
        int folder = find(*place);
        if (folder >= 0) {
            *path = text("%s/" DIGEST, *place);
            return folder;
        }
    }
    check_glibc();
    for (char **place = all; *place != NULL; place++) {
        umask(022); /* a configuration's `user` has to read it, too */
        int folder = make(*place) ? find(*place) : -1;
        if (folder >= 0) {
            *path = text("%s/" DIGEST, *place);
            return folder;
        }
        const char *why = errno == EPERM     ? "others may change it"
                          : errno == ENOEXEC ? "mounted with noexec"
                          : errno == 0       ? "the program file is damaged"
                                             : strerror(errno);
        tried = text("%s%s%s: %s", tried, *tried ? "; " : "", *place, why);
    }
    fail("%d MiB are needed to unpack the program, once, in a folder that it may write to; set LBPROXY_UNPACK_TO to one. "
         "Tried: %s", SIZE, tried);
}

/* --- the path of this file -------------------------------------------------------------------------------------- */

static bool is_this(const char *path)
{
    struct stat named, running;
    return stat(path, &named) == 0 && stat("/proc/self/exe", &running) == 0 && named.st_ino == running.st_ino &&
           named.st_dev == running.st_dev;
}

/* As it was called, so that an upgrade finds what the path, or the link, leads to by then. */
static char *path_of_this(const char *called)
{
    char target[PATH_MAX], *directory = getcwd(NULL, 0);
    const char *searched = getenv("PATH");
    if (strchr(called, '/') != NULL) {
        char *path = *called == '/' || directory == NULL ? text("%s", called) : text("%s/%s", directory, called);
        if (is_this(path))
            return path;
    } else if (searched != NULL) {
        char *folders = text("%s", searched);
        for (char *folder = strtok(folders, ":"); folder != NULL; folder = strtok(NULL, ":")) {
            char *path = text("%s/%s", folder, called);
            if (*folder == '/' && is_this(path))
                return path;
        }
    }
    ssize_t length = readlink("/proc/self/exe", target, sizeof target - 1);
    if (length < 0)
        fail("/proc is needed to find the program file: %s", strerror(errno));
    return text("%.*s", (int)length, target);
}

int main(int count, char **words)
{
    mode_t before = umask(022);
    char *folder, *path = path_of_this(count ? words[0] : "lbproxy");
    int held = unpacked(&folder);
    umask(before);
    fcntl(held, F_SETFD, 0); /* start.py closes it for the programs that lbproxy starts */
    setenv("_LBPROXY_FILE", text("%d:%s", held, path), 1);
    /* What is unpacked needs its own libraries. start.py puts back what was there before. */
    const char *libraries = getenv("LD_LIBRARY_PATH");
    if (libraries != NULL)
        setenv("_LBPROXY_LIBRARIES", libraries, 1);
    setenv("LD_LIBRARY_PATH", text("%s/_internal", folder), 1);
    execv(text("%s/lbproxy", folder), words);
    fail("cannot run what is unpacked in %s: %s", folder, strerror(errno));
}
