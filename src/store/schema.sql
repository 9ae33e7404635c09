-- The state of the manager. One row a job, one row a file. Times: µs since 1970. Enumerations are
-- the numbers of core/state.h. user_version is the version of this schema. A column that came after
-- version 1 has a DEFAULT, which is what a job of an earlier version gets.
CREATE TABLE jobs (
        row INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        owner INTEGER NOT NULL,
        owner_elevated INTEGER NOT NULL,
        owner_integrity INTEGER NOT NULL,
        last_helper INTEGER NOT NULL,
        type INTEGER NOT NULL,
        priority INTEGER NOT NULL,
        state INTEGER NOT NULL,
        pending INTEGER NOT NULL,
        display_name TEXT NOT NULL,
        description TEXT NOT NULL,
        minimum_retry_delay INTEGER NOT NULL,
        no_progress_timeout INTEGER NOT NULL,
        notify_event INTEGER NOT NULL DEFAULT 0,
        notify_interval INTEGER NOT NULL DEFAULT 500,
        command_program TEXT, -- NULL: no notification command line
        command_parameters TEXT,
        command_author INTEGER NOT NULL DEFAULT 0,
        command_kept INTEGER NOT NULL DEFAULT 0,
        command_started INTEGER NOT NULL DEFAULT 0,
        command_runs INTEGER NOT NULL DEFAULT 0,
        command_result INTEGER NOT NULL DEFAULT 2147483647, -- not run yet
        notify_flags INTEGER NOT NULL,
        token_flags INTEGER NOT NULL,
        file_acl_flags INTEGER NOT NULL DEFAULT 0,
        created INTEGER NOT NULL,
        modified INTEGER NOT NULL,
        transfer_completed INTEGER NOT NULL,
        failed INTEGER NOT NULL DEFAULT 0, -- in that state of error since then
        error_count INTEGER NOT NULL,
        fault_context INTEGER NOT NULL,
        fault_code INTEGER NOT NULL,
        fault_detail TEXT,
        fault_file INTEGER NOT NULL,
        proxy_usage INTEGER NOT NULL,
        proxy_list TEXT NOT NULL,
        proxy_bypass TEXT NOT NULL,
        credential_cache TEXT NOT NULL,
        helper_credential_cache TEXT NOT NULL,
        upload_session TEXT NOT NULL DEFAULT '',
        upload_host TEXT NOT NULL DEFAULT '',
        upload_host_fallback INTEGER NOT NULL DEFAULT 4294967295, -- s; that one: never
        upload_host_failed_at INTEGER NOT NULL DEFAULT 0,
        upload_reply_url TEXT NOT NULL DEFAULT '',
        upload_closing INTEGER NOT NULL DEFAULT 0,
        upload_source_known INTEGER NOT NULL DEFAULT 0,
        upload_source_time INTEGER NOT NULL DEFAULT 0, -- ns since 1970
        upload_reply_name TEXT NOT NULL DEFAULT '',
        upload_reply_automatic INTEGER NOT NULL DEFAULT 0,
        upload_cancel_until INTEGER NOT NULL DEFAULT 0, -- of a cancelled upload; 0: not cancelled
        certificate TEXT NOT NULL DEFAULT '',
        certificate_key TEXT NOT NULL DEFAULT '',
        certificate_passphrase BLOB, -- sealed
        security_flags INTEGER NOT NULL DEFAULT 0,
        http_method TEXT NOT NULL DEFAULT '',
        custom_headers BLOB, -- sealed
        proxy_tickets INTEGER NOT NULL DEFAULT 0,
        validated INTEGER NOT NULL DEFAULT 0,
        headers_write_only INTEGER NOT NULL DEFAULT 0,
        credentials BLOB, -- sealed, NULL: none
        maximum_download_time INTEGER NOT NULL DEFAULT 0, -- s, 0: the machine's
        -- points on the clock of the service: see "clock" below
        retry_at INTEGER NOT NULL DEFAULT 0,
        failing_since INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0,
        busy_since INTEGER NOT NULL DEFAULT 0,
        busy INTEGER NOT NULL DEFAULT 0,
        active_at INTEGER NOT NULL DEFAULT 0,
        cost_flags INTEGER NOT NULL DEFAULT 0,
        resumed INTEGER NOT NULL DEFAULT 0,
        dynamic_content INTEGER NOT NULL DEFAULT 0,
        high_performance INTEGER NOT NULL DEFAULT 0,
        on_demand INTEGER NOT NULL DEFAULT 0,
        max_download_size INTEGER NOT NULL DEFAULT -1,
        peer_caching_flags INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE files (
        row INTEGER PRIMARY KEY,
        job INTEGER NOT NULL REFERENCES jobs (row) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        remote_name TEXT NOT NULL,
        local_name TEXT NOT NULL,
        temporary_name TEXT NOT NULL,
        device INTEGER NOT NULL,
        inode INTEGER NOT NULL,
        birth INTEGER NOT NULL, -- of the inode, ns since 1970, 0: unknown
        kept INTEGER NOT NULL,
        written INTEGER NOT NULL, -- counts while the machine is up: see the table below
        total INTEGER NOT NULL,
        etag TEXT,
        last_modified TEXT,
        response_headers TEXT, -- of the last answer
        modification_time INTEGER NOT NULL,
        resumable INTEGER NOT NULL,
        transferred INTEGER NOT NULL,
        completed INTEGER NOT NULL,
        wanted TEXT NOT NULL DEFAULT '', -- ranges "offset+length,…", a length "*" is to the end
        remote_size INTEGER NOT NULL DEFAULT -1,
        scattered INTEGER NOT NULL DEFAULT 0,
        filled TEXT NOT NULL DEFAULT '', -- what is kept of a scattered file
        requested TEXT NOT NULL DEFAULT '',
        validated INTEGER NOT NULL DEFAULT 0,
        UNIQUE (job, number)
);
-- key "boot": the boot of the machine in which files.written was noted. "clock": where the clock of the
-- service was, µs.
CREATE TABLE facts (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
) WITHOUT ROWID;
PRAGMA user_version = 2;
