BEGIN TRANSACTION;
CREATE TABLE facts (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "facts" VALUES('boot','481109cdecae47959841da4a101fc1f3');
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
        modification_time INTEGER NOT NULL,
        resumable INTEGER NOT NULL,
        transferred INTEGER NOT NULL,
        completed INTEGER NOT NULL,
        UNIQUE (job, number)
);
INSERT INTO "files" VALUES(1,1,0,'http://127.0.0.1:44617/openbits-test-w1umu0kk/1','/tmp/openbits-test-w1umu0kk/vault2/a','.a.bits-d8d825070be5',65024,10961709,1795638223159876551,307200,307200,716800,'"326a3a6d5456e7ed"','Tue, 14 Nov 2023 22:13:20 GMT',0,1,0,0);
INSERT INTO "files" VALUES(2,2,0,'http://127.0.0.1:44617/openbits-test-w1umu0kk/3','/tmp/openbits-test-w1umu0kk/vault2/t0','.t0.bits-4bde9a63de8f',65024,10961710,1795638223901609785,0,0,0,'"ad923202e0d8ab44"','Tue, 14 Nov 2023 22:13:20 GMT',1700000000,1,1,0);
INSERT INTO "files" VALUES(3,2,1,'http://127.0.0.1:44617/openbits-test-w1umu0kk/4','/tmp/openbits-test-w1umu0kk/vault2/t1','.t1.bits-590cff4f0f6f',65024,10962419,1795638223901609785,5000,5000,5000,'"c5e13c20c12dc35b"','Tue, 14 Nov 2023 22:13:20 GMT',1700000000,1,1,0);
INSERT INTO "files" VALUES(4,3,0,'http://127.0.0.1:44617/openbits-test-w1umu0kk/5','/tmp/openbits-test-w1umu0kk/vault2/e0','.e0.bits-8a4f7cd4f8e8',65024,10963878,1795638224653609811,10,10,10,'"c9d48336e8d742e2"','Tue, 14 Nov 2023 22:13:20 GMT',1700000000,1,1,0);
INSERT INTO "files" VALUES(5,3,1,'http://127.0.0.1:44617/openbits-test-w1umu0kk/6','/tmp/openbits-test-w1umu0kk/vault2/e1','.e1.bits-0a670ccf4390',65024,10963879,1795638224653609811,0,0,-1,NULL,NULL,0,0,0,0);
INSERT INTO "files" VALUES(6,4,0,'http://127.0.0.1:44617/openbits-test-w1umu0kk/7','/tmp/openbits-test-w1umu0kk/vault2/p','.p.bits-b628d10a82d4',0,0,0,0,0,-1,NULL,NULL,0,0,0,0);
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
        notify_flags INTEGER NOT NULL,
        token_flags INTEGER NOT NULL,
        created INTEGER NOT NULL,
        modified INTEGER NOT NULL,
        transfer_completed INTEGER NOT NULL,
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
        credentials BLOB -- sealed, NULL: none
);
INSERT INTO "jobs" VALUES(1,'f304ea44-cef9-474d-a5c0-0c2f52a1a619',61001,0,8192,4294967295,0,0,3,0,'paused','Ein Text über mehrere
Zeilen',600,1209600,3,0,1795638223155713,1795638223895428,0,0,0,0,NULL,-1,0,'','','','',NULL);
INSERT INTO "jobs" VALUES(2,'20f93d7a-4c30-4f90-bb18-ec92e7490c2a',61001,0,8192,4294967295,0,0,6,0,'transferred ☃','',77,88,7,0,1795638223897319,1795638223919726,1795638223919726,0,0,0,NULL,-1,1,'','','FILE:/tmp/krb5cc_test','',X'8EE76275BB6D0BFCBDE3B3C0D6A830715BB0964E45A88A61E151B97BFB3586473E8A52561647FA8F31C4E74BF351C5CEA9E9F5EB3F301B1AF2871972D52E2BC9B0B4BE30BB66BAE9983A62B278B4A73B8928E7E3A9C29DF43179C47700612F4CECCC');
INSERT INTO "jobs" VALUES(3,'7bd752b3-a4a1-4e37-9fee-366a2bbd4512',61001,0,8192,4294967295,0,0,4,0,'failed','',600,1209600,3,0,1795638224645247,1795638224664723,0,1,5,2149122452,'127.0.0.1 answered 404 Not Found',1,0,'','','','',NULL);
INSERT INTO "jobs" VALUES(4,'92d6980b-5d0c-466a-b5db-ef0af8370b7d',61001,0,8192,4294967295,0,3,3,0,'proxies','',600,1209600,3,0,1795638224665673,1795638224672939,0,0,0,0,NULL,-1,2,'http://proxy.invalid:3128','<local> *.example.org','','',NULL);
INSERT INTO "jobs" VALUES(5,'25eacab8-a76e-4555-9c94-0e05981d92cd',61001,0,8192,4294967295,0,2,3,0,'helped','',600,1209600,3,3,1795638224676744,1795638224680671,0,0,0,0,NULL,-1,0,'','','','',NULL);
INSERT INTO "jobs" VALUES(6,'8f8d76b9-2a16-4464-a803-0352b0c82065',0,1,16384,4294967295,0,1,3,0,'of root','',600,1209600,3,0,1795638224688802,1795638224688802,0,0,0,0,NULL,-1,0,'','','','',NULL);
PRAGMA user_version = 1;
COMMIT;
