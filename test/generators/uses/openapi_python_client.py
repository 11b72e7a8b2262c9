"""The client that openapi-python-client makes. argv: URL KEY FOLDER FILE_ID"""
import io
import json
import pathlib
import sys

from client import AuthenticatedClient
from client.api.accounts import list_channels, list_profiles
from client.api.chunked_upload import get_upload_status, upload_chunk
from client.api.media import create_video, get_video
from client.models import ChunkForm, VideoForm
from client.types import File

url, key, folder, file_id = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=key)


def file_of(name):
    return File(payload=io.BytesIO(pathlib.Path(folder, name).read_bytes()), file_name=name)


def status(of=file_id):
    return get_upload_status.sync(client=client, file_id=of)


def send(index, to=file_id):
    form = ChunkForm(file=file_of(f"{index}.bin"), chunk_index=index, total_chunks=3, file_id=to)
    return upload_chunk.sync_detailed(client=client, body=form)


def make(**fields):
    return create_video.sync(client=client, body=VideoForm(**fields))


unknown = status()
received = send(0)
refused = send(2)
send(1)
complete = send(2)
stored = status()
asked = dict(file_id=file_id, platforms='["youtube"]', youtube='{"title": "Generated"}')
finalised = make(**asked)
again = make(**asked)
direct = make(file=file_of("clip.mp4"), platforms='["tiktok"]', title="Direct")
seen = get_video.sync(client=client, id=direct.data.id)
missing = get_video.sync_detailed(client=client, id="nope")
large = status("large")
too_large = send(0, "too-large")

print(json.dumps({
    "unknown": {"exists": unknown.data.exists, "currentSize": unknown.data.current_size},
    "received": received.parsed.data.chunk_index,
    "refused": {
        "status": int(refused.status_code),
        "error": refused.parsed.error.value,
        "expectedChunkIndex": refused.parsed.details.expected_chunk_index,
        "currentSize": refused.parsed.details.current_size,
    },
    "complete": complete.parsed.data.file_id,
    "stored": stored.data.current_size,
    "finalised": {
        "id": finalised.data.id,
        "message": finalised.message,
        "platforms": [platform.value for platform in finalised.data.platforms],
    },
    "again": again.data.id,
    "direct": direct.data.id,
    "title": seen.data.title,
    "missing": {"status": int(missing.status_code), "error": missing.parsed.error.value},
    "channels": [channel.channel_id for channel in list_channels.sync(client=client).youtube],
    "profiles": [profile.name for profile in list_profiles.sync(client=client)],
    "large": large.data.current_size,
    "tooLarge": {
        "status": int(too_large.status_code),
        "error": too_large.parsed.error.value,
        "maxBytes": too_large.parsed.details.max_bytes,
    },
}))
