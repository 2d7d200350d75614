"""Every way in which a request can fail: one stable code, one HTTP status, one public sentence, one failing step.

The gateway makes RFC 9457 problem bodies from it (type, title, status, code, step, request_id); a worker or the authority names a
code and gives its private detail to the log. Two situations that an admin would handle differently have two codes.
The sentence says what to do, and never holds a path, an account or a token.
"""

from typing import NamedTuple


class Problem(NamedTuple):
    status: int
    step: str  # receive | authenticate | map_identity | authorise | reach_worker | exchange
    sentence: str
    retry_after_s: int = 0
    close: bool = False  # the request's body may not have been read: the connection is of no more use


def _table() -> dict[str, Problem]:
    receive, authenticate, map_identity = "receive", "authenticate", "map_identity"
    authorise, reach_worker, exchange = "authorise", "reach_worker", "exchange"
    return {
        # receive
        "bad_request": Problem(400, receive, "The request is not well-formed HTTP.", close=True),
        "bad_path": Problem(400, receive, "The path is not valid: no NUL, no '.' or '..' segment, no encoded '/'."),
        "bad_destination": Problem(400, receive, "The Destination header must be an absolute URL or path of this service."),
        "bad_header": Problem(400, receive, "A header of the request does not have the form that its specification demands."),
        "header_too_large": Problem(431, receive, "The request's header is too large.", close=True),
        "method_not_allowed": Problem(405, receive, "This method is not offered here."),
        "expectation_failed": Problem(417, receive, "Only 'Expect: 100-continue' can be met.", close=True),
        "encoding_not_implemented": Problem(501, receive, "Only 'Transfer-Encoding: chunked' is understood.", close=True),
        "content_encoding_refused": Problem(415, receive, "Send the file as it is: Content-Encoding is not accepted.", close=True),
        "misdirected": Problem(421, receive, "The request is meant for another server."),
        "macaroons_not_offered": Problem(405, receive, "No macaroons are made here: send the bearer token itself."),
        "tokens_not_issued": Problem(404, receive, "This service issues no tokens: obtain one from an issuer that it trusts."),
        "tape_not_offered": Problem(404, receive, "This service offers no tape REST API."),
        "not_implemented": Problem(501, receive, "This is not implemented."),
        "foreign_destination": Problem(502, receive, "The Destination names another server; copies between servers are not offered."),
        # authenticate
        "token_missing": Problem(401, authenticate, "Send a bearer token: 'Authorization: Bearer ...'."),
        "token_malformed": Problem(401, authenticate, "The bearer token is not a signed JWT that can be read."),
        "token_algorithm": Problem(401, authenticate, "The token is not signed with an algorithm that is accepted here."),
        "token_issuer": Problem(401, authenticate, "The token's issuer is not trusted here."),
        "token_signature": Problem(401, authenticate, "The token's signature does not match its issuer's keys."),
        "token_expired": Problem(401, authenticate, "The token has expired: obtain a new one."),
        "token_not_yet_valid": Problem(401, authenticate, "The token is not valid yet: check the clock of its issuer."),
        "token_audience": Problem(401, authenticate, "The token is not meant for this service: ask for one with this service as audience."),
        "token_revoked": Problem(401, authenticate, "The token is not valid any more: obtain a new one."),
        "token_claims": Problem(401, authenticate, "The token lacks a claim that its profile demands, or has one of the wrong form."),
        "issuer_unavailable": Problem(503, authenticate, "The keys of the token's issuer cannot be fetched at present.", 30),
        "authority_unavailable": Problem(503, authenticate, "Tokens cannot be verified at present.", 2),
        # map_identity
        "not_mapped": Problem(403, map_identity, "Your identity is not linked to an account of this site: ask the site to link it."),
        "not_linked": Problem(403, map_identity, "Your identity is not linked to an account of this site: link it, then try again."),
        "link_suspended": Problem(403, map_identity, "The link of your identity to an account is suspended: ask the site."),
        "account_not_served": Problem(403, map_identity, "Your account is not one that this service may serve."),
        "mapping_unavailable": Problem(503, map_identity, "Who you are here cannot be looked up at present.", 10),
        "memberships_unavailable": Problem(503, map_identity, "Of which groups you are cannot be found out at present.", 10),
        "not_member": Problem(403, map_identity, "This storage area is for members of a community, and you are not named as one."),
        "capability_required": Problem(403, map_identity, "This storage area is open only to tokens whose scopes name what they may do."),
        "banned": Problem(403, map_identity, "The site has closed this service to you: ask the site."),
        "area_issuer": Problem(403, map_identity, "This storage area is not open to your token's issuer."),
        # authorise
        "outside_area": Problem(404, authorise, "There is no storage area at this path."),
        "insufficient_scope": Problem(403, authorise, "The token's scopes do not allow this here."),
        "denied_by_rule": Problem(403, authorise, "The rules of this storage area do not allow this to you here."),
        "read_only": Problem(403, authorise, "This storage area is read-only."),
        "anonymous_read_only": Problem(401, authorise, "Without a token this storage area can only be read."),
        "between_accounts": Problem(403, authorise, "Source and destination belong to different accounts: download and upload instead."),
        # reach_worker
        "not_allowed": Problem(503, reach_worker, "The account may not be reached at present.", 1),
        "account_refused": Problem(403, reach_worker, "Your account is not one that this service may serve."),
        "directory_unavailable": Problem(503, reach_worker, "The site's account directory does not answer.", 10),
        "too_many_workers": Problem(503, reach_worker, "Too many accounts are active at present.", 5),
        "worker_failed": Problem(503, reach_worker, "The process for your account could not be started.", 5),
        "account_stuck": Problem(503, reach_worker, "The storage does not answer for your account.", 30),
        "spawner_unavailable": Problem(503, reach_worker, "No process for your account can be started at present.", 2),
        "worker_busy": Problem(503, reach_worker, "Too many requests of your account are open.", 1),
        # exchange
        "worker_lost": Problem(502, exchange, "The process for your account ended unexpectedly; nothing was stored."),
        "worker_misbehaved": Problem(502, exchange, "The process for your account gave an answer that makes no sense."),
        "worker_silent": Problem(504, exchange, "The storage did not answer in time."),
        "body_too_short": Problem(400, exchange, "The body is shorter than announced; nothing was stored.", close=True),
        "body_too_slow": Problem(408, exchange, "The body stopped coming; nothing was stored.", close=True),
        "digest_mismatch": Problem(400, exchange, "The body does not match the digest that came with it; nothing was stored."),
        "area_root_missing": Problem(403, exchange, "Your storage area does not exist: ask the site to create it."),
        "area_root_refused": Problem(403, exchange, "Your account may not enter this storage area."),
        "not_found": Problem(404, exchange, "There is nothing at this path."),
        "permission_denied": Problem(403, exchange, "The file system does not allow this to your account (Permission denied)."),
        "leaves_area": Problem(403, exchange, "A symbolic link leads out of the storage area."),
        "not_a_file": Problem(403, exchange, "Only files and collections are served."),
        "is_collection": Problem(405, exchange, "This is a collection."),
        "is_file": Problem(409, exchange, "A part of the path is a file, not a collection."),
        "already_exists": Problem(405, exchange, "There is something at this path already."),
        "parent_missing": Problem(409, exchange, "The parent collection does not exist."),
        "collection_not_empty": Problem(409, exchange, "The collection is not empty."),
        "area_root_fixed": Problem(403, exchange, "The root of a storage area cannot be changed."),
        "replace_not_in_scope": Problem(403, exchange, "The token allows to create, and there is a file at this path already."),
        "cannot_replace": Problem(403, exchange, "The file cannot be replaced without changing what others rely on (owner, hard links)."),
        "precondition_failed": Problem(412, exchange, "A condition of the request does not hold."),
        "exists_no_overwrite": Problem(412, exchange, "The destination exists, and the request says not to overwrite."),
        "same_resource": Problem(403, exchange, "Source and destination are the same, or one holds the other."),
        "range_not_satisfiable": Problem(416, exchange, "The file does not have the range that was asked for."),
        "depth_not_allowed": Problem(403, exchange, "Depth must be 0 or 1 here (propfind-finite-depth)."),
        "bad_xml": Problem(400, exchange, "The request's body is not the XML that this method expects."),
        "content_not_accepted": Problem(415, exchange, "This method takes no body of this kind."),
        "no_space": Problem(507, exchange, "The storage is full."),
        "quota_exceeded": Problem(507, exchange, "Your quota is used up."),
        "files_quota_exceeded": Problem(507, exchange, "Your quota of files is used up, whatever their sizes."),
        "group_quota_exceeded": Problem(507, exchange, "The quota of the group that new files belong to here is used up."),
        "group_files_quota_exceeded": Problem(507, exchange, "The group that new files belong to here may have no more files."),
        "project_quota_exceeded": Problem(507, exchange, "The quota of this collection (a project quota) is used up."),
        "allotment_exceeded": Problem(507, exchange, "By the site's account of its storage there is no room for this file."),
        "no_files_left": Problem(507, exchange, "The storage can take no more files, whatever their sizes."),
        "file_too_large": Problem(413, exchange, "The file is larger than the storage can take."),
        "name_too_long": Problem(414, exchange, "A name in the path is too long for the storage."),
        "name_refused": Problem(400, exchange, "The storage does not take this name."),
        "file_changed": Problem(409, exchange, "The file changed while it was being served."),
        "locked": Problem(423, exchange, "The resource is locked: send the lock's token in an If header, or wait until the lock is over."),
        "lock_token_mismatch": Problem(409, exchange, "The resource is not covered by a lock with this token."),
        "lock_of_another": Problem(403, exchange, "The lock belongs to somebody else."),
        "lock_too_wide": Problem(403, exchange, "The collection has too many members to be locked with Depth: infinity."),
        "annotations_full": Problem(507, exchange, "The resource has no room for more locks and properties; the storage is not full."),
        "annotations_not_kept": Problem(501, exchange, "This storage keeps no extended attributes: no locks, no properties (class 1)."),
        "offline": Problem(409, exchange, "The file is on tape only: have it staged, then try again."),
        "content_unavailable": Problem(409, exchange, "The file's content cannot be had at present: ask the site."),
        "residency_unknown": Problem(503, exchange, "Whether the file is on disk or on tape cannot be found out at present.", 30),
        "busy": Problem(423, exchange, "The file is in use and cannot be changed at present."),
        "storage_read_only": Problem(403, exchange, "The storage is mounted read-only."),
        "storage_error": Problem(500, exchange, "The storage reported an error."),
        "internal_error": Problem(500, exchange, "Something unexpected went wrong; the log has more under this request id."),
    }


PROBLEMS: dict[str, Problem] = _table()
