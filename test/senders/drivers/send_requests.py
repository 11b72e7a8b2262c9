# send_requests.py: Python with requests. Modes: `length`; `chunked`: the same form from a generator.
import requests
from runs import run


def parts_of(sending):
    with open(sending["path"], "rb") as file:
        content = file.read()
    # Without a name of its own the library calls it as the part is called.
    file = ("file", content if sending["filename"] is None else (sending["filename"], content))
    fields = [(name, (None, value)) for name, value in sending["fields"]]
    return [file, *fields] if sending["isFileFirst"] else [*fields, file]


def pieces_of(body):
    for at in range(0, len(body), 50_000):
        yield body[at : at + 50_000]


def send(sending):
    request = requests.Request("POST", sending["url"], headers=sending["headers"], files=parts_of(sending))
    prepared = request.prepare()
    if sending["mode"] == "chunked":
        prepared.body = pieces_of(prepared.body)
        del prepared.headers["Content-Length"]
        prepared.headers["Transfer-Encoding"] = "chunked"
    response = requests.Session().send(prepared, timeout=20)
    return {"status": response.status_code, "text": response.text}


run(send)
