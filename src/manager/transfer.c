#include "manager/transfer-kind.h"

#include "core/remote-name.h"

int transfer_new(File *file, Worker *local, Worker *net, Store *store, Turn *turn,
                 const TransferListener *listener, void *userdata, Transfer **ret)
{
        TransferParts parts = { file, local, net, store, turn, listener, userdata };

        if (file_is_fetched(file))
                return download_new(&parts, ret);
        return remote_name_is_file(file->remote_name) ? deposit_new(&parts, ret)
                                                      : upload_new(&parts, ret);
}

/* FIL-116 */
uint32_t transfer_attributes(const Job *job)
{
        uint32_t flags = 0;

        flags |= job->file_acl_flags & COPY_FILE_OWNER ? ATTRIBUTE_OWNER : 0;
        flags |= job->file_acl_flags & COPY_FILE_GROUP ? ATTRIBUTE_GROUP : 0;
        flags |= job->file_acl_flags & COPY_FILE_DACL ? ATTRIBUTE_RIGHTS : 0;
        return flags;
}

void transfer_free(Transfer *transfer)
{
        if (!transfer)
                return;
        transfer->file->transfer = NULL;
        transfer->kind->free(transfer);
}

void transfer_stop(Transfer *transfer)
{
        transfer->kind->stop(transfer);
}

void transfer_reconsider(Transfer *transfer)
{
        if (transfer->kind->reconsider)
                transfer->kind->reconsider(transfer);
}

void transfer_accept(Transfer *transfer, uint64_t client, BitsCode code, const char *detail)
{
        if (transfer->client->id == client)
                worker_net_accept(transfer->client, code, detail);
}

File *transfer_file(Transfer *transfer)
{
        return transfer->file;
}

void transfer_on_certificate(void *userdata, const NetCertificate *question)
{
        Transfer *transfer = userdata;

        transfer->listener->on_certificate(transfer->userdata, transfer, transfer->client->id,
                                           question);
}
