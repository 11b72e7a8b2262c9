"""What a schema cannot say, for requests that schemathesis means to be good: which fields go together, what text inside
a text is, which ids there are. Bad requests go out as they were made. Waits of the journal are short."""
import json

import schemathesis

PROFILE = "67b0c0000000000000000001"
WAIT_MS = 50


def is_good(case):
    return case.meta is not None and case.meta.generation.mode.is_positive


def agree(body, names):
    """The platforms as JSON text, one of `file` and `fileId`, and no account or profile that there is not."""
    chosen = [name for name in names if name in str(body.get("platforms", ""))] or names[-1:]
    body["platforms"] = json.dumps(chosen)
    if "profileId" in body:
        body["profileId"] = PROFILE
    if "file" in body:
        body.pop("fileId", None)
    if "scheduledAt" in body:
        body["scheduledAt"] = "2030-01-02T03:04:05Z"
    for name in ("youtube", "instagram", "tiktok", "linkedin", "pinterest"):
        if name in body:
            body[name] = json.dumps({"autoPublish": len(str(body[name])) % 2 == 0, "note": str(body[name])[:20]})
    for name in [name for name in body if name.startswith("selected")]:
        del body[name]


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = case.operation.definition.raw.get("operationId")
    body = case.body
    if not isinstance(body, dict):
        return
    if operation in ("waitForRequests", "waitForRule") and type(body.get("timeoutMs", WAIT_MS)) is int:
        if body.get("timeoutMs", WAIT_MS + 1) > WAIT_MS:
            body["timeoutMs"] = WAIT_MS
    if not is_good(case):
        return
    if operation == "uploadChunk" and "chunkIndex" in body:
        body["chunkIndex"] = body["chunkIndex"] % body["totalChunks"]
    elif operation == "createVideo":
        agree(body, ["youtube", "instagram", "tiktok", "linkedin", "pinterest"])
    elif operation == "createImage":
        agree(body, ["instagram", "tiktok", "linkedin", "pinterest"])
    # It stays a good one: schemathesis would look anew at what was changed here, and take a file's bytes for a violation of
    # `type: string`. There is no public way to say so (the version is pinned).
    case._sync_validated_hashes()
