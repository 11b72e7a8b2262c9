<?php
// send.php: PHP's curl extension. Modes: `CURLFile` and `CURLStringFile`, with their length; `chunked`: the former, in the
// chunked transfer coding.
declare(strict_types=1);

function send(array $sending): array
{
    ['path' => $path, 'filename' => $filename, 'mode' => $mode] = $sending;
    // Without a name of its own the extension calls it as the file is called.
    $file = ['file' => $mode === 'CURLStringFile'
        ? new CURLStringFile(file_get_contents($path), $filename ?? 'chunk')
        : new CURLFile($path, null, $filename)];
    $fields = array_column($sending['fields'], 1, 0);
    $headers = $mode === 'chunked' ? ['Transfer-Encoding: chunked'] : [];
    foreach ($sending['headers'] as $name => $value) {
        $headers[] = "$name: $value";
    }
    $request = curl_init($sending['url']);
    curl_setopt_array($request, [
        CURLOPT_POSTFIELDS => $sending['isFileFirst'] ? $file + $fields : $fields + $file,
        CURLOPT_HTTPHEADER => $headers,
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_TIMEOUT => 20,
    ]);
    $text = curl_exec($request);
    return [
        'status' => $text === false ? 0 : curl_getinfo($request, CURLINFO_RESPONSE_CODE),
        'text' => $text === false ? curl_error($request) : $text,
    ];
}

$sendings = json_decode(file_get_contents($argv[1]), true, flags: JSON_THROW_ON_ERROR);
echo json_encode(array_map(send(...), $sendings), JSON_THROW_ON_ERROR), "\n";
