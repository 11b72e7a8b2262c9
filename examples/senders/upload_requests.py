# upload_requests.py: Python with requests. Sends FILE in chunks under FILE_ID. Run it again after any failure: it continues where
# the server is.
#   URL=http://127.0.0.1:4310 API_KEY=demo python3 upload_requests.py FILE FILE_ID
import os
import sys

import requests

path, file_id = sys.argv[1:]
chunks_url = os.environ["URL"] + "/media/chunks"
chunk_bytes = int(os.environ.get("CHUNK_BYTES", 8 * 1024 * 1024))  # It must be the same on every run.
session = requests.Session()
session.headers["X-API-Key"] = os.environ["API_KEY"]


def data_of(response):
    if not response.ok:
        sys.exit(f"{response.status_code} {response.text}")
    print(response.text)
    return response.json()["data"]


size = os.path.getsize(path)
total = max(1, -(-size // chunk_bytes))  # An empty file is one empty chunk.
sent = data_of(session.get(chunks_url, params={"fileId": file_id}, timeout=60))["currentSize"]
if sent != size and (sent > size or sent % chunk_bytes):
    sys.exit(f"{file_id} was begun with another file or chunk size")
with open(path, "rb") as file:
    file.seek(sent)
    for index in range(-(-sent // chunk_bytes), total):
        fields = {"chunkIndex": index, "totalChunks": total, "fileId": file_id}
        files = {"file": ("chunk", file.read(chunk_bytes), "application/octet-stream")}
        data_of(session.post(chunks_url, data=fields, files=files, timeout=60))
