# send_http_client.py: Python's http.client, with forms written by hand: what a test gives as the `head` of the file part and
# as the `contentType` is sent to the letter. Modes: `length`; `chunked`: in pieces that are unlike.
import http.client
from urllib.parse import urlsplit

from runs import run

BOUNDARY = "----hand made"


def head_of(sending):
    if "head" in sending:
        return sending["head"]
    name = sending["filename"]
    return 'Content-Disposition: form-data; name="file"' + ("" if name is None else f'; filename="{name}"')


def body_of(sending):
    with open(sending["path"], "rb") as file:
        content = file.read()
    boundary = sending.get("boundary", BOUNDARY).encode()
    disposition = 'Content-Disposition: form-data; name="%s"'
    fields = [((disposition % name).encode(), value.encode()) for name, value in sending["fields"]]
    file = (head_of(sending).encode(sending.get("charset", "utf-8")), content)
    parts = [file, *fields] if sending["isFileFirst"] else [*fields, file]
    pieces = [b"--%s\r\n%s\r\n\r\n%s\r\n" % (boundary, head, value) for head, value in parts]
    return b"".join(pieces) + b"--%s--\r\n" % boundary


def pieces_of(body):
    size = 1
    while body:
        yield body[:size]
        body = body[size:]
        size = size * 3 % 100_003


def send(sending):
    url = urlsplit(sending["url"])
    content_type = sending.get("contentType", f'multipart/form-data; boundary="{BOUNDARY}"')
    headers = {"Content-Type": content_type, **sending["headers"]}
    body = body_of(sending)
    connection = http.client.HTTPConnection(url.netloc, timeout=20)
    connection.request("POST", url.path, pieces_of(body) if sending["mode"] == "chunked" else body, headers)
    response = connection.getresponse()
    return {"status": response.status, "text": response.read().decode()}


run(send)
