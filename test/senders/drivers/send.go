// send.go: Go's mime/multipart. Modes: `buffered`; `piped`: the chunked transfer coding; `quoted`: a boundary that has to be
// quoted in the Content-Type.
package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
)

type sending struct {
	URL, Path, Mode string
	Headers         map[string]string
	Fields          [][2]string
	Filename        *string
	IsFileFirst     bool
}

type outcome struct {
	Status int    `json:"status"`
	Text   string `json:"text"`
}

func writeFile(form *multipart.Writer, s sending) error {
	content, err := os.ReadFile(s.Path)
	if err != nil {
		return err
	}
	var part io.Writer
	if s.Filename == nil {
		head := textproto.MIMEHeader{"Content-Disposition": {`form-data; name="file"`}}
		part, err = form.CreatePart(head)
	} else {
		part, err = form.CreateFormFile("file", *s.Filename)
	}
	if err != nil {
		return err
	}
	_, err = part.Write(content)
	return err
}

func writeForm(form *multipart.Writer, s sending) error {
	if s.IsFileFirst {
		if err := writeFile(form, s); err != nil {
			return err
		}
	}
	for _, field := range s.Fields {
		if err := form.WriteField(field[0], field[1]); err != nil {
			return err
		}
	}
	if !s.IsFileFirst {
		if err := writeFile(form, s); err != nil {
			return err
		}
	}
	return form.Close()
}

func bodyOf(s sending) (io.Reader, string, error) {
	if s.Mode == "piped" {
		body, writer := io.Pipe()
		form := multipart.NewWriter(writer)
		go func() { writer.CloseWithError(writeForm(form, s)) }()
		return body, form.FormDataContentType(), nil
	}
	body := &bytes.Buffer{}
	form := multipart.NewWriter(body)
	if s.Mode == "quoted" {
		if err := form.SetBoundary("a: b=(c)/?,+ d"); err != nil {
			return nil, "", err
		}
	}
	err := writeForm(form, s)
	return body, form.FormDataContentType(), err
}

func send(s sending) (outcome, error) {
	body, contentType, err := bodyOf(s)
	if err != nil {
		return outcome{}, err
	}
	request, err := http.NewRequest("POST", s.URL, body)
	if err != nil {
		return outcome{}, err
	}
	request.Header.Set("Content-Type", contentType)
	for name, value := range s.Headers {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return outcome{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return outcome{response.StatusCode, string(text)}, err
}

func main() {
	list, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var sendings []sending
	if err := json.Unmarshal(list, &sendings); err != nil {
		log.Fatal(err)
	}
	outcomes := []outcome{}
	for _, s := range sendings {
		one, err := send(s)
		if err != nil {
			one = outcome{0, err.Error()}
		}
		outcomes = append(outcomes, one)
	}
	if err := json.NewEncoder(os.Stdout).Encode(outcomes); err != nil {
		log.Fatal(err)
	}
}
