#!/usr/bin/env bash
# upload.sh: curl. Sends FILE in chunks under FILE_ID. Run it again after any failure: it continues where the server is.
#   URL=http://127.0.0.1:4310 API_KEY=demo bash upload.sh FILE FILE_ID
set -euo pipefail
# The chunk size must be the same on every run. Otherwise the chunks do not fit together.
file=$1 id=$2 chunk=${CHUNK_BYTES:-8388608}

call() {
  local answer
  answer=$(curl -sS --fail-with-body -H "X-API-Key: $API_KEY" "$@") || { echo "$answer" >&2; exit 1; }
  echo "$answer"
}

size=$(wc -c <"$file")
total=$(((size + chunk - 1) / chunk))
((total > 0)) || total=1 # An empty file is one empty chunk.
status=$(call -G "$URL/media/chunks" --data-urlencode "fileId=$id")
echo "$status"
sent=$(grep -o '"currentSize":[0-9]*' <<<"$status" | cut -d: -f2)
((sent == size || (sent < size && sent % chunk == 0))) || { echo "$id was begun with another file or chunk size" >&2; exit 1; }
for ((i = (sent + chunk - 1) / chunk; i < total; i++)); do
  # --form-string: with it curl does not take a fileId that begins with @ or < for the name of a file.
  dd if="$file" bs="$chunk" skip="$i" count=1 status=none |
    call -F 'file=@-;filename=chunk' -F "chunkIndex=$i" -F "totalChunks=$total" --form-string "fileId=$id" "$URL/media/chunks"
done
