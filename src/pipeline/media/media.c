#include "pipeline/media/media.h"

#include "base/files/file.h"
#include "base/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Looks through the folder: *name is the file to take, "" where there is none. */
static int find(DIR *list, const char *media_id, const char *wanted_ext, char *name, size_t size) {
    size_t id_len = strlen(media_id);
    int best_fits = 0;
    name[0] = 0;
    errno = 0;
    for (struct dirent *entry; (entry = readdir(list)); errno = 0) {
        const char *found = entry->d_name;
        size_t n = strlen(found);
        if (strncmp(found, media_id, id_len) != 0 || n >= size)
            continue;
        const char *ext = found + id_len;
        char clean[CARA_MEDIA_EXT] = "";
        if (*ext && (*ext != '.' || cara_media_ext_clean(ext + 1, clean)))
            continue; /* another id, or a name such as ID.ogg.part */
        int fits = strcmp(clean, wanted_ext) == 0;
        if (name[0] && (fits < best_fits || (fits == best_fits && strcmp(found, name) > 0)))
            continue;
        memcpy(name, found, n + 1);
        best_fits = fits;
    }
    return errno ? -1 : 0;
}

static int folder_fetch(void *ctx, const cara_media_request *request, cara_media_file *out,
                        cara_error *err) {
    const char *path = ctx;
    char wanted[CARA_MEDIA_EXT];
    cara_media_ext_of_mime(request->mime_type, wanted);
    DIR *list = opendir(path);
    if (!list)
        return cara_fail_errno(err, "cannot open the media folder %s", path);
    char name[CARA_MEDIA_ID_MAX + CARA_MEDIA_EXT + 2];
    int rc = CARA_OK, fd = -1;
    struct stat st;
    if (find(list, request->media_id, wanted, name, sizeof name)) {
        rc = cara_fail_errno(err, "cannot read the media folder %s", path);
    } else if (!name[0]) {
        rc = cara_fail(err, CARA_ERR_NOT_FOUND, -1, "no file %s.* in the media folder",
                       request->media_id);
    } else if ((fd = openat(dirfd(list), name, O_RDONLY | O_NONBLOCK | O_CLOEXEC)) < 0 ||
               fstat(fd, &st) != 0) {
        rc = cara_fail_errno(err, "cannot open the media file %s", name);
    } else if (!S_ISREG(st.st_mode)) {
        rc = cara_fail(err, CARA_ERR_IO, -1, "the media file %s is not a regular file", name);
    } else if (st.st_size > (off_t)CARA_LIMIT_MEDIA_BYTES) {
        rc = cara_fail(err, CARA_ERR_AUDIO_LIMIT, -1,
                       "the media file %s has %lld bytes, more than the limit of %zu", name,
                       (long long)st.st_size, CARA_LIMIT_MEDIA_BYTES);
    } else {
        rc = cara_read_fd(fd, name, CARA_LIMIT_MEDIA_BYTES, &out->bytes, &out->n, err);
        if (rc == CARA_ERR_LIMIT) { /* it grew since */
            rc = CARA_ERR_AUDIO_LIMIT;
            if (err)
                err->code = rc;
        }
        const char *dot = strchr(name, '.');
        out->ext[0] = 0;
        out->stored[0] = 0;
        if (dot)
            (void)cara_media_ext_clean(dot + 1, out->ext);
    }
    if (fd >= 0)
        close(fd);
    closedir(list);
    return rc;
}

cara_media cara_media_folder(const char *path) {
    return (cara_media){folder_fetch, (void *)(uintptr_t)path};
}

static int none_fetch(void *ctx, const cara_media_request *request, cara_media_file *out,
                      cara_error *err) {
    return cara_fail(err, CARA_ERR_NOT_FOUND, -1,
                     "%s cannot be fetched: no folder of media was named; give one with --media",
                     request->media_id);
}

cara_media cara_media_none(void) {
    return (cara_media){none_fetch, NULL};
}
