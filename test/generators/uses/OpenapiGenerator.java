// The client that openapi-generator makes for Java. argv: URL KEY FOLDER FILE_ID
import java.io.File;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.JSON;
import org.openapitools.client.api.AccountsApi;
import org.openapitools.client.api.ChunkedUploadApi;
import org.openapitools.client.api.MediaApi;
import org.openapitools.client.model.*;

public class OpenapiGenerator {
  interface Call {
    Object run() throws ApiException;
  }

  record Refusal(int status, org.openapitools.client.model.Error body) {}

  static String folder;
  static ChunkedUploadApi uploads;
  static MediaApi media;

  static Refusal refusalOf(Call call) throws Exception {
    try {
      call.run();
    } catch (ApiException refused) {
      return new Refusal(
          refused.getCode(), org.openapitools.client.model.Error.fromJson(refused.getResponseBody()));
    }
    throw new AssertionError("it was not refused");
  }

  static UploadChunk200Response send(int index, String to) throws ApiException {
    return uploads.uploadChunk(new File(folder, index + ".bin"), index, 3, to);
  }

  static VideoCreated make(File file, String fileId, String platforms, String title, String youtube)
      throws ApiException {
    return media.createVideo(
        file, fileId, platforms, null, title, null, null, null, youtube, null, null, null, null, null,
        null, null, null, null, null, null, null, null, null, null, null, null);
  }

  static Map<String, Object> of(Object... pairs) {
    Map<String, Object> made = new TreeMap<>();
    for (int at = 0; at < pairs.length; at += 2) made.put((String) pairs[at], pairs[at + 1]);
    return made;
  }

  public static void main(String[] argv) throws Exception {
    folder = argv[2];
    String key = argv[1];
    String fileId = argv[3];
    ApiClient client = new ApiClient();
    client.setBasePath(argv[0]);
    client.setApiKey(key);
    uploads = new ChunkedUploadApi(client);
    media = new MediaApi(client);
    AccountsApi accounts = new AccountsApi(client);

    UploadStatus unknown = uploads.getUploadStatus(fileId);
    UploadChunk200Response received = send(0, fileId);
    Refusal refused = refusalOf(() -> send(2, fileId));
    send(1, fileId);
    UploadChunk200Response complete = send(2, fileId);
    UploadStatus stored = uploads.getUploadStatus(fileId);
    String settings = "{\"title\": \"Generated\"}";
    VideoCreated finalised = make(null, fileId, "[\"youtube\"]", null, settings);
    VideoCreated again = make(null, fileId, "[\"youtube\"]", null, settings);
    VideoCreated direct = make(new File(folder, "clip.mp4"), null, "[\"tiktok\"]", "Direct", null);
    MediaStatus seen = media.getVideo(direct.getData().getId());
    Refusal missing = refusalOf(() -> media.getVideo("nope"));
    List<String> channels =
        accounts.listChannels().getYoutube().stream().map(YoutubeChannel::getChannelId).toList();
    List<String> profiles = accounts.listProfiles().stream().map(Profile::getName).toList();
    UploadStatus large = uploads.getUploadStatus("large");
    Refusal tooLarge = refusalOf(() -> send(0, "too-large"));

    ErrorDetails gap = refused.body().getDetails();
    System.out.println(
        JSON.getGson()
            .toJson(
                of(
                    "unknown",
                    of(
                        "exists", unknown.getData().getExists(),
                        "currentSize", unknown.getData().getCurrentSize()),
                    "received", received.getChunkReceived().getData().getChunkIndex(),
                    "refused",
                    of(
                        "status", refused.status(),
                        "error", refused.body().getError(),
                        "expectedChunkIndex", gap.getExpectedChunkIndex(),
                        "currentSize", gap.getCurrentSize()),
                    "complete", complete.getUploadComplete().getData().getFileId(),
                    "stored", stored.getData().getCurrentSize(),
                    "finalised",
                    of(
                        "id", finalised.getData().getId(),
                        "message", finalised.getMessage(),
                        "platforms", finalised.getData().getPlatforms()),
                    "again", again.getData().getId(),
                    "direct", direct.getData().getId(),
                    "title", seen.getData().getTitle(),
                    "missing", of("status", missing.status(), "error", missing.body().getError()),
                    "channels", channels,
                    "profiles", profiles,
                    "large", large.getData().getCurrentSize(),
                    "tooLarge",
                    of(
                        "status", tooLarge.status(),
                        "error", tooLarge.body().getError(),
                        "maxBytes", tooLarge.body().getDetails().getMaxBytes()))));
  }
}
