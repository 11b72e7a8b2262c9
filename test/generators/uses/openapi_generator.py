"""The client that openapi-generator makes for Python. argv: URL KEY FOLDER FILE_ID"""
import json
import pathlib
import sys

import openapi_client
from openapi_client import AccountsApi, ApiClient, ApiException, ChunkedUploadApi, Configuration, MediaApi

url, key, folder, file_id = sys.argv[1:]
api = ApiClient(Configuration(host=url, api_key={"ApiKey": key}))
uploads, media, accounts = ChunkedUploadApi(api), MediaApi(api), AccountsApi(api)


def file_of(name):
    return name, pathlib.Path(folder, name).read_bytes()


def send(index, to=file_id):
    return uploads.upload_chunk(file_of(f"{index}.bin"), index, 3, to)


def refusal_of(call, *arguments):
    try:
        call(*arguments)
    except ApiException as refused:
        assert isinstance(refused.data, openapi_client.Error), refused.data
        return refused.status, refused.data
    raise AssertionError("it was not refused")


unknown = uploads.get_upload_status(file_id)
received = send(0)
refused_status, refused = refusal_of(send, 2)
send(1)
complete = send(2)
stored = uploads.get_upload_status(file_id)
asked = dict(file_id=file_id, platforms='["youtube"]', youtube='{"title": "Generated"}')
finalised = media.create_video(**asked)
again = media.create_video(**asked)
direct = media.create_video(file=file_of("clip.mp4"), platforms='["tiktok"]', title="Direct")
seen = media.get_video(direct.data.id)
missing_status, missing = refusal_of(media.get_video, "nope")
large = uploads.get_upload_status("large")
too_large_status, too_large = refusal_of(send, 0, "too-large")

print(json.dumps({
    "unknown": {"exists": unknown.data.exists, "currentSize": unknown.data.current_size},
    "received": received.actual_instance.data.chunk_index,
    "refused": {
        "status": refused_status,
        "error": refused.error.value,
        "expectedChunkIndex": refused.details.expected_chunk_index,
        "currentSize": refused.details.current_size,
    },
    "complete": complete.actual_instance.data.file_id,
    "stored": stored.data.current_size,
    "finalised": {
        "id": finalised.data.id,
        "message": finalised.message,
        "platforms": [platform.value for platform in finalised.data.platforms],
    },
    "again": again.data.id,
    "direct": direct.data.id,
    "title": seen.data.title,
    "missing": {"status": missing_status, "error": missing.error.value},
    "channels": [channel.channel_id for channel in accounts.list_channels().youtube],
    "profiles": [profile.name for profile in accounts.list_profiles()],
    "large": large.data.current_size,
    "tooLarge": {
        "status": too_large_status,
        "error": too_large.error.value,
        "maxBytes": too_large.details.max_bytes,
    },
}))
