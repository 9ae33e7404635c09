#include "file/put.h"

#include "basic/fd.h"

#include <unistd.h>

void put_done(Put *put)
{
        free(put->path);
        free(put->temporary_name);
        *put = (Put){ 0 };
}

/* FIL-112: as for a download, with the network identity in the local one's place. */
int put_open(Changed *changed, const CopyPut *q, Put *ret, int *ret_fd, uint64_t *ret_offset)
{
        _cleanup_(put_done) Put put = { .path = strdup(q->path),
                                        .temporary_name = strdup(q->temporary_name),
                                        .flags = q->flags };
        PlaceOpened opened = { -EBADF };
        int r;

        if (!put.path || !put.temporary_name)
                return -ENOMEM;
        r = place_check(q->path);
        if (r >= 0)
                r = place_open(changed,
                               &(PlaceRequest){ q->path,
                                                q->temporary_name,
                                                { q->device, q->inode, q->birth },
                                                q->offset,
                                                q->offset },
                               &opened);
        if (r < 0)
                return r;
        put.mark = opened.mark;
        *ret = put;
        put = (Put){ 0 };
        *ret_fd = opened.fd;
        *ret_offset = opened.fresh || opened.size < q->offset ? 0 : q->offset;
        return 0;
}

/* DUR-101 */
int put_finish(Changed *changed, const Put *put, int target, int source, const struct stat *st)
{
        _cleanup_free_ char *acl = attributes_acl(source);
        int r = attributes_apply(target, &(Attributes){ .flags = put->flags | ATTRIBUTE_TIME,
                                                        .modified = st->st_mtim,
                                                        .owner = st->st_uid,
                                                        .group = st->st_gid,
                                                        .mode = st->st_mode & ATTRIBUTES_MODE,
                                                        .acl = acl ? acl : "" });

        if (r >= 0 && fsync(target) < 0)
                r = -errno;
        if (r >= 0)
                r = place_commit(changed,
                                 &(PlaceRequest){ .local_name = put->path,
                                                  .temporary_name = put->temporary_name,
                                                  .recorded = put->mark },
                                 0);
        return r < 0 ? r : changed_sync(changed);
}
