// The client that @hey-api/openapi-ts makes. argv: URL KEY FOLDER FILE_ID
import { readFile } from 'node:fs/promises';
import { client } from './hey-api/client.gen.ts';
import {
  createVideo,
  getUploadStatus,
  getVideo,
  listChannels,
  listProfiles,
  uploadChunk,
} from './hey-api/sdk.gen.ts';
import type { VideoForm } from './hey-api/types.gen.ts';

const [baseUrl = '', key = '', folder = '', fileId = ''] = process.argv.slice(2);
client.setConfig({ baseUrl, auth: (scheme) => (scheme.type === 'apiKey' ? key : undefined) });

async function fileOf(name: string): Promise<File> {
  return new File([await readFile(`${folder}/${name}`)], name);
}

const status = async (id = fileId) => getUploadStatus({ query: { fileId: id } });

const send = async (chunkIndex: number, id = fileId) =>
  uploadChunk({ body: { file: await fileOf(`${chunkIndex}.bin`), chunkIndex, totalChunks: 3, fileId: id } });

const make = async (body: VideoForm) => createVideo({ body });

const unknown = await status();
const received = await send(0);
const refused = await send(2);
await send(1);
const complete = await send(2);
const stored = await status();
const asked = { fileId, platforms: '["youtube"]', youtube: '{"title": "Generated"}' };
const finalised = await make(asked);
const again = await make(asked);
const direct = await make({ file: await fileOf('clip.mp4'), platforms: '["tiktok"]', title: 'Direct' });
const id = direct.data?.data.id ?? '';
const seen = await getVideo({ path: { id } });
const missing = await getVideo({ path: { id: 'nope' } });
const channels = await listChannels();
const profiles = await listProfiles();
const large = await status('large');
const tooLarge = await send(0, 'too-large');

const receipt = received.data?.data;
const end = complete.data?.data;
console.log(
  JSON.stringify({
    unknown: { exists: unknown.data?.data.exists, currentSize: unknown.data?.data.currentSize },
    received: receipt !== undefined && 'chunkIndex' in receipt ? receipt.chunkIndex : null,
    refused: {
      status: refused.response?.status,
      error: refused.error?.error,
      expectedChunkIndex: refused.error?.details.expectedChunkIndex,
      currentSize: refused.error?.details.currentSize,
    },
    complete: end !== undefined && 'fileId' in end ? end.fileId : null,
    stored: stored.data?.data.currentSize,
    finalised: {
      id: finalised.data?.data.id,
      message: finalised.data?.message,
      platforms: finalised.data?.data.platforms,
    },
    again: again.data?.data.id,
    direct: id,
    title: seen.data?.data.title,
    missing: { status: missing.response?.status, error: missing.error?.error },
    channels: channels.data?.youtube.map(({ channelId }) => channelId),
    profiles: profiles.data?.map(({ name }) => name),
    large: large.data?.data.currentSize,
    tooLarge: {
      status: tooLarge.response?.status,
      error: tooLarge.error?.error,
      maxBytes: tooLarge.error?.details.maxBytes,
    },
  }),
);
