// The client that openapi-generator makes for Go. argv: URL KEY FOLDER FILE_ID
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	openapi "example.test/x/client"
)

type object = map[string]any

func must[T any](value T, _ *http.Response, err error) T {
	if err != nil {
		var told openapi.GenericOpenAPIError
		errors.As(err, &told)
		panic(fmt.Sprintf("%v %s", err, told.Body()))
	}
	return value
}

// The status and the decoded refusal of a call that must be refused.
func refusal[T any](_ T, answer *http.Response, err error) (int, openapi.Error) {
	var told *openapi.GenericOpenAPIError
	if !errors.As(err, &told) {
		panic(fmt.Sprintf("not refused, or not decoded: %v", err))
	}
	return answer.StatusCode, told.Model().(openapi.Error)
}

func main() {
	url, key, folder, fileId := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	configuration := openapi.NewConfiguration()
	configuration.Servers = openapi.ServerConfigurations{{URL: url}}
	client := openapi.NewAPIClient(configuration)
	ctx := context.WithValue(context.Background(), openapi.ContextAPIKeys,
		map[string]openapi.APIKey{"ApiKey": {Key: key}})
	open := func(name string) *os.File {
		file, err := os.Open(filepath.Join(folder, name))
		if err != nil {
			panic(err)
		}
		return file
	}
	status := func(of string) *openapi.UploadStatus {
		return must(client.ChunkedUploadAPI.GetUploadStatus(ctx).FileId(of).Execute())
	}
	send := func(index int32, to string) (*openapi.UploadChunk200Response, *http.Response, error) {
		return client.ChunkedUploadAPI.UploadChunk(ctx).File(open(fmt.Sprintf("%d.bin", index))).
			ChunkIndex(index).TotalChunks(3).FileId(to).Execute()
	}

	unknown := status(fileId)
	received := must(send(0, fileId))
	refusedStatus, refused := refusal(send(2, fileId))
	must(send(1, fileId))
	complete := must(send(2, fileId))
	stored := status(fileId)
	asked := client.MediaAPI.CreateVideo(ctx).FileId(fileId).Platforms(`["youtube"]`).Youtube(`{"title": "Generated"}`)
	finalised := must(asked.Execute())
	again := must(asked.Execute())
	direct := must(client.MediaAPI.CreateVideo(ctx).File(open("clip.mp4")).Platforms(`["tiktok"]`).Title("Direct").Execute())
	seen := must(client.MediaAPI.GetVideo(ctx, direct.Data.Id).Execute())
	missingStatus, missing := refusal(client.MediaAPI.GetVideo(ctx, "nope").Execute())
	channels := must(client.AccountsAPI.ListChannels(ctx).Execute())
	profiles := must(client.AccountsAPI.ListProfiles(ctx).Execute())
	large := status("large")
	tooLargeStatus, tooLarge := refusal(send(0, "too-large"))

	channelIds, names := []string{}, []string{}
	for _, channel := range channels.Youtube {
		channelIds = append(channelIds, channel.ChannelId)
	}
	for _, profile := range profiles {
		names = append(names, profile.Name)
	}
	told, err := json.Marshal(object{
		"unknown":  object{"exists": unknown.Data.Exists, "currentSize": unknown.Data.CurrentSize},
		"received": received.ChunkReceived.Data.ChunkIndex,
		"refused": object{
			"status":             refusedStatus,
			"error":              refused.Error,
			"expectedChunkIndex": refused.Details.ExpectedChunkIndex,
			"currentSize":        refused.Details.CurrentSize,
		},
		"complete": complete.UploadComplete.Data.FileId,
		"stored":   stored.Data.CurrentSize,
		"finalised": object{
			"id":        finalised.Data.Id,
			"message":   finalised.Message,
			"platforms": finalised.Data.Platforms,
		},
		"again":    again.Data.Id,
		"direct":   direct.Data.Id,
		"title":    seen.Data.Title.Get(),
		"missing":  object{"status": missingStatus, "error": missing.Error},
		"channels": channelIds,
		"profiles": names,
		"large":    large.Data.CurrentSize,
		"tooLarge": object{"status": tooLargeStatus, "error": tooLarge.Error, "maxBytes": tooLarge.Details.MaxBytes},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(string(told))
}
