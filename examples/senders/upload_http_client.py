# upload_http_client.py: Python with only its standard library. Sends FILE in chunks under FILE_ID. Run it again after any failure:
# it continues where the server is.
#   URL=http://127.0.0.1:4310 API_KEY=demo python3 upload_http_client.py FILE FILE_ID
import http.client
import json
import os
import sys
import uuid
from urllib.parse import quote, urlsplit

path, file_id = sys.argv[1:]
url = urlsplit(os.environ["URL"])
chunk_bytes = int(os.environ.get("CHUNK_BYTES", 8 * 1024 * 1024))  # It must be the same on every run.
connection = http.client.HTTPConnection(url.netloc, timeout=60)
boundary = uuid.uuid4().hex


def call(method, target, body=None):
    headers = {"X-API-Key": os.environ["API_KEY"]}
    if body is not None:
        headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
    connection.request(method, url.path + target, body, headers)
    response = connection.getresponse()
    text = response.read().decode()
    if response.status >= 300:
        sys.exit(f"{response.status} {text}")
    print(text)
    return json.loads(text)["data"]


def form_of(fields, chunk):
    part = f"--{boundary}\r\nContent-Disposition: form-data; name="
    head = "".join(f'{part}"{name}"\r\n\r\n{value}\r\n' for name, value in fields.items())
    head += f'{part}"file"; filename="chunk"\r\nContent-Type: application/octet-stream\r\n\r\n'
    return head.encode() + chunk + f"\r\n--{boundary}--\r\n".encode()


size = os.path.getsize(path)
total = max(1, -(-size // chunk_bytes))  # An empty file is one empty chunk.
sent = call("GET", "/media/chunks?fileId=" + quote(file_id, safe=""))["currentSize"]
if sent != size and (sent > size or sent % chunk_bytes):
    sys.exit(f"{file_id} was begun with another file or chunk size")
with open(path, "rb") as file:
    file.seek(sent)
    for index in range(-(-sent // chunk_bytes), total):
        fields = {"chunkIndex": index, "totalChunks": total, "fileId": file_id}
        call("POST", "/media/chunks", form_of(fields, file.read(chunk_bytes)))
