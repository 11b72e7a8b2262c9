// upload.go: Go with only its standard library. The form is streamed through a pipe, so it is not held in memory, and it has no
// Content-Length (chunked transfer coding). Sends FILE in chunks under FILE_ID. Run it again after any failure: it continues where
// the server is.
//
//	URL=http://127.0.0.1:4310 API_KEY=demo go run upload.go FILE FILE_ID
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"strconv"
)

type answer struct {
	Data struct{ CurrentSize int64 }
}

// call sends the request and returns the answer, or ends the program and prints it.
func call(method, target, contentType string, body io.Reader) answer {
	request := must(http.NewRequest(method, os.Getenv("URL")+target, body))
	request.Header.Set("X-API-Key", os.Getenv("API_KEY"))
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response := must(http.DefaultClient.Do(request))
	defer response.Body.Close()
	text := must(io.ReadAll(response.Body))
	if response.StatusCode >= 300 {
		log.Fatalf("%s %s", response.Status, text)
	}
	fmt.Println(string(text))
	var parsed answer
	check(json.Unmarshal(text, &parsed))
	return parsed
}

// writeForm writes the fields, then the chunk. Its error ends the request.
func writeForm(form *multipart.Writer, fields map[string]string, chunk io.Reader) error {
	for name, value := range fields {
		if err := form.WriteField(name, value); err != nil {
			return err
		}
	}
	part, err := form.CreateFormFile("file", "chunk")
	if err != nil {
		return err
	}
	if _, err := io.Copy(part, chunk); err != nil {
		return err
	}
	return form.Close()
}

func main() {
	log.SetFlags(0)
	path, fileID := os.Args[1], os.Args[2]
	chunkBytes := int64(8 << 20) // It must be the same on every run.
	if given := os.Getenv("CHUNK_BYTES"); given != "" {
		chunkBytes = must(strconv.ParseInt(given, 10, 64))
	}
	file := must(os.Open(path))
	size := must(file.Stat()).Size()
	total := (size + chunkBytes - 1) / chunkBytes
	if total == 0 {
		total = 1 // An empty file is one empty chunk.
	}
	sent := call("GET", "/media/chunks?fileId="+url.QueryEscape(fileID), "", nil).Data.CurrentSize
	if sent != size && (sent > size || sent%chunkBytes != 0) {
		log.Fatalf("%s was begun with another file or chunk size", fileID)
	}
	for index := (sent + chunkBytes - 1) / chunkBytes; index < total; index++ {
		fields := map[string]string{"chunkIndex": fmt.Sprint(index), "totalChunks": fmt.Sprint(total), "fileId": fileID}
		chunk := io.NewSectionReader(file, index*chunkBytes, chunkBytes)
		body, writer := io.Pipe()
		form := multipart.NewWriter(writer)
		go func() { writer.CloseWithError(writeForm(form, fields, chunk)) }()
		call("POST", "/media/chunks", form.FormDataContentType(), body)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}
