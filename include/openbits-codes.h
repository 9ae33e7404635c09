/*
 * The codes of OpenBITS that calls answer and jobs fail with, as constants: each is BITS_CODE_ and
 * the name that the bus has for it ("org.openbits.BITS1.Error.TokenRequired"). bits_code_name()
 * gives BITS's own name of a number, bits_code_text() says what it means. Included by openbits.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef OPENBITS_CODES_H
#define OPENBITS_CODES_H

/* LIB-414. High bit clear: a success with something to say. */
#define BITS_CODE_PARTIAL_COMPLETE                          0x00200017u
#define BITS_CODE_UNABLE_TO_DELETE_FILES                    0x0020001Au
#define BITS_CODE_PROXY_CHANGED                             0x0020002Au
#define BITS_CODE_OVERRIDDEN_BY_POLICY                      0x00200055u
#define BITS_CODE_PENDING                                   0x8000000Au
#define BITS_CODE_NOT_IMPLEMENTED                           0x80004001u
#define BITS_CODE_NO_INTERFACE                              0x80004002u
#define BITS_CODE_UNEXPECTED                                0x8000FFFFu
#define BITS_CODE_FAILED_TO_IMPERSONATE                     0x80010123u
#define BITS_CODE_CLASS_NOT_REGISTERED                      0x80040154u
#define BITS_CODE_NO_SUCH_FILE                              0x80070002u
#define BITS_CODE_PATH_NOT_FOUND                            0x80070003u
#define BITS_CODE_TOO_MANY_OPEN_FILES                       0x80070004u
#define BITS_CODE_ACCESS_DENIED                             0x80070005u
#define BITS_CODE_INVALID_HANDLE                            0x80070006u
#define BITS_CODE_OUT_OF_MEMORY                             0x8007000Eu
#define BITS_CODE_WRITE_PROTECTED                           0x80070013u
#define BITS_CODE_WRITE_FAULT                               0x8007001Du
#define BITS_CODE_READ_FAULT                                0x8007001Eu
#define BITS_CODE_INVALID_ARGUMENT                          0x80070057u
#define BITS_CODE_DISK_FULL                                 0x80070070u
#define BITS_CODE_ALREADY_EXISTS                            0x800700B7u
#define BITS_CODE_FILE_TOO_LARGE                            0x800700DFu
#define BITS_CODE_CANNOT_COMPLETE                           0x800703EBu
#define BITS_CODE_PROCESS_ABORTED                           0x8007042Bu
#define BITS_CODE_NOT_LOGGED_ON                             0x800704DDu
#define BITS_CODE_QUOTA_EXCEEDED                            0x8007050Fu
#define BITS_CODE_UNREACHABLE                               0x800706BAu
#define BITS_CODE_BAD_STUB_DATA                             0x800706F7u
#define BITS_CODE_LANGUAGE_NOT_FOUND                        0x80070717u
#define BITS_CODE_NO_REPLY                                  0x8007071Au
#define BITS_CODE_TIMEOUT                                   0x80072EE2u
#define BITS_CODE_NAME_NOT_RESOLVED                         0x80072EE7u
#define BITS_CODE_CANNOT_CONNECT                            0x80072EFDu
#define BITS_CODE_CONNECTION_ERROR                          0x80072EFEu
#define BITS_CODE_CLIENT_CERTIFICATE_NEEDED                 0x80072F0Cu
#define BITS_CODE_REVOCATION_CHECK_FAILED                   0x80072F19u
#define BITS_CODE_INVALID_HTTP_RESPONSE                     0x80072F78u
#define BITS_CODE_CERTIFICATE_REVOKED                       0x80072F8Au
#define BITS_CODE_SECURE_FAILURE                            0x80072F8Fu
#define BITS_CODE_CLIENT_CERTIFICATE_NO_PRIVATE_KEY         0x80072F9Au
#define BITS_CODE_CERTIFICATE_NOT_FOUND                     0x80092004u
#define BITS_CODE_NOT_FOUND                                 0x80200001u
#define BITS_CODE_INVALID_STATE                             0x80200002u
#define BITS_CODE_EMPTY                                     0x80200003u
#define BITS_CODE_FILE_NOT_AVAILABLE                        0x80200004u
#define BITS_CODE_PROTOCOL_NOT_AVAILABLE                    0x80200005u
#define BITS_CODE_DESTINATION_LOCKED                        0x8020000Du
#define BITS_CODE_VOLUME_CHANGED                            0x8020000Eu
#define BITS_CODE_ERROR_INFORMATION_UNAVAILABLE             0x8020000Fu
#define BITS_CODE_NETWORK_DISCONNECTED                      0x80200010u
#define BITS_CODE_MISSING_FILE_SIZE                         0x80200011u
#define BITS_CODE_INSUFFICIENT_HTTP_SUPPORT                 0x80200012u
#define BITS_CODE_INSUFFICIENT_RANGE_SUPPORT                0x80200013u
#define BITS_CODE_REMOTE_NOT_SUPPORTED                      0x80200014u
#define BITS_CODE_NEW_OWNER_DIFF_MAPPING                    0x80200015u
#define BITS_CODE_NEW_OWNER_NO_FILE_ACCESS                  0x80200016u
#define BITS_CODE_PROXY_LIST_TOO_LARGE                      0x80200018u
#define BITS_CODE_PROXY_BYPASS_LIST_TOO_LARGE               0x80200019u
#define BITS_CODE_INVALID_SERVER_RESPONSE                   0x8020001Bu
#define BITS_CODE_TOO_MANY_FILES                            0x8020001Cu
#define BITS_CODE_LOCAL_FILE_CHANGED                        0x8020001Du
#define BITS_CODE_SESSION_NOT_FOUND                         0x8020001Fu
#define BITS_CODE_TOO_LARGE                                 0x80200020u
#define BITS_CODE_STRING_TOO_LONG                           0x80200021u
#define BITS_CODE_CLIENT_SERVER_PROTOCOL_MISMATCH           0x80200022u
#define BITS_CODE_SERVER_EXECUTE_ENABLE                     0x80200023u
#define BITS_CODE_NO_PROGRESS                               0x80200024u
#define BITS_CODE_USERNAME_TOO_LARGE                        0x80200025u
#define BITS_CODE_PASSWORD_TOO_LARGE                        0x80200026u
#define BITS_CODE_INVALID_AUTH_TARGET                       0x80200027u
#define BITS_CODE_INVALID_AUTH_SCHEME                       0x80200028u
#define BITS_CODE_FILE_NOT_FOUND                            0x80200029u
#define BITS_CODE_INVALID_RANGE                             0x8020002Bu
#define BITS_CODE_OVERLAPPING_RANGES                        0x8020002Cu
#define BITS_CODE_CONNECT_FAILURE                           0x8020002Du
#define BITS_CODE_CONNECTION_CLOSED                         0x8020002Eu
#define BITS_CODE_BLOCKED_BY_POLICY                         0x8020003Eu
#define BITS_CODE_INVALID_PROXY_INFO                        0x8020003Fu
#define BITS_CODE_INVALID_CREDENTIALS                       0x80200040u
#define BITS_CODE_INVALID_HASH_ALGORITHM                    0x80200041u
#define BITS_CODE_RECORD_DELETED                            0x80200042u
#define BITS_CODE_COMMIT_IN_PROGRESS                        0x80200043u
#define BITS_CODE_DISCOVERY_IN_PROGRESS                     0x80200044u
#define BITS_CODE_UPNP_ERROR                                0x80200045u
#define BITS_CODE_TEST_OPTION_BLOCKED_DOWNLOAD              0x80200046u
#define BITS_CODE_PEERCACHING_DISABLED                      0x80200047u
#define BITS_CODE_BUSYCACHERECORD                           0x80200048u
#define BITS_CODE_TOO_MANY_JOBS_PER_USER                    0x80200049u
#define BITS_CODE_TOO_MANY_JOBS_PER_MACHINE                 0x80200050u
#define BITS_CODE_TOO_MANY_FILES_IN_JOB                     0x80200051u
#define BITS_CODE_TOO_MANY_RANGES_IN_FILE                   0x80200052u
#define BITS_CODE_VALIDATION_FAILED                         0x80200053u
#define BITS_CODE_MAXDOWNLOAD_TIMEOUT                       0x80200054u
#define BITS_CODE_TOKEN_REQUIRED                            0x80200056u
#define BITS_CODE_UNKNOWN_PROPERTY_ID                       0x80200057u
#define BITS_CODE_READ_ONLY_PROPERTY                        0x80200058u
#define BITS_CODE_BLOCKED_BY_COST_TRANSFER_POLICY           0x80200059u
#define BITS_CODE_PROPERTY_SUPPORTED_FOR_DOWNLOAD_JOBS_ONLY 0x80200060u
#define BITS_CODE_READ_ONLY_PROPERTY_AFTER_ADDFILE          0x80200061u
#define BITS_CODE_READ_ONLY_PROPERTY_AFTER_RESUME           0x80200062u
#define BITS_CODE_MAX_DOWNLOAD_SIZE_INVALID_VALUE           0x80200063u
#define BITS_CODE_MAX_DOWNLOAD_SIZE_LIMIT_REACHED           0x80200064u
#define BITS_CODE_STANDBY_MODE                              0x80200065u
#define BITS_CODE_USE_STORED_CREDENTIALS_NOT_SUPPORTED      0x80200066u
#define BITS_CODE_BLOCKED_BY_BATTERY_POLICY                 0x80200067u
#define BITS_CODE_BLOCKED_BY_BATTERY_SAVER                  0x80200068u
#define BITS_CODE_WATCHDOG_TIMEOUT                          0x80200069u
#define BITS_CODE_APP_PACKAGE_NOT_FOUND                     0x8020006Au
#define BITS_CODE_APP_PACKAGE_SCENARIO_NOT_SUPPORTED        0x8020006Bu
#define BITS_CODE_DATABASE_CORRUPT                          0x8020006Cu
#define BITS_CODE_RANDOM_ACCESS_NOT_SUPPORTED               0x8020006Du
#define BITS_CODE_BLOCKED_BY_BACKGROUND_ACCESS_POLICY       0x8020006Eu
#define BITS_CODE_BLOCKED_BY_GAME_MODE                      0x8020006Fu
#define BITS_CODE_BLOCKED_BY_SYSTEM_POLICY                  0x80200070u
#define BITS_CODE_NOT_SUPPORTED_WITH_CUSTOM_HTTP_METHOD     0x80200071u
#define BITS_CODE_UNSUPPORTED_JOB_CONFIGURATION             0x80200072u
#define BITS_CODE_REMOTE_FILE_CHANGED                       0x80200073u
#define BITS_CODE_SERVER_CERT_VALIDATION_INTERFACE_REQUIRED 0x80200074u
#define BITS_CODE_READ_ONLY_WHEN_JOB_ACTIVE                 0x80200075u

/* A status of an HTTP server. */
#define BITS_CODE_HTTP(status)                              (0x80190000u + (status))

#endif
