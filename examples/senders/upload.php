<?php
// upload.php: PHP 8.1 or newer with its curl extension. Sends FILE in chunks under FILE_ID. Run it again after any failure: it
// continues where the server is.
//   URL=http://127.0.0.1:4310 API_KEY=demo php upload.php FILE FILE_ID
declare(strict_types=1);

[, $path, $fileId] = $argv;
$chunkBytes = (int) (getenv('CHUNK_BYTES') ?: 8 * 1024 * 1024); // It must be the same on every run.

function call(string $target, ?array $form = null): array
{
    $request = curl_init(getenv('URL') . $target);
    curl_setopt_array($request, [
        CURLOPT_HTTPHEADER => ['X-API-Key: ' . getenv('API_KEY')],
        CURLOPT_RETURNTRANSFER => true,
    ]);
    if ($form !== null) {
        curl_setopt($request, CURLOPT_POSTFIELDS, $form); // An array is sent as multipart/form-data.
    }
    $text = curl_exec($request);
    $status = curl_getinfo($request, CURLINFO_RESPONSE_CODE);
    if ($text === false || $status >= 300) {
        fwrite(STDERR, ($text === false ? curl_error($request) : "$status $text") . "\n");
        exit(1);
    }
    echo $text, "\n";
    return json_decode($text, true, flags: JSON_THROW_ON_ERROR)['data'];
}

$size = filesize($path);
$total = max(1, (int) ceil($size / $chunkBytes)); // An empty file is one empty chunk.
$sent = call('/media/chunks?' . http_build_query(['fileId' => $fileId]))['currentSize'];
if ($sent !== $size && ($sent > $size || $sent % $chunkBytes !== 0)) {
    fwrite(STDERR, "$fileId was begun with another file or chunk size\n");
    exit(1);
}
for ($index = (int) ceil($sent / $chunkBytes); $index < $total; $index++) {
    $chunk = file_get_contents($path, offset: $index * $chunkBytes, length: $chunkBytes);
    call('/media/chunks', [
        'chunkIndex' => $index,
        'totalChunks' => $total,
        'fileId' => $fileId,
        'file' => new CURLStringFile($chunk, 'chunk'),
    ]);
}
