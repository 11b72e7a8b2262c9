// The types that openapi-typescript makes, used through openapi-fetch. argv: URL KEY FOLDER FILE_ID
import { readFile } from 'node:fs/promises';
import createClient from 'openapi-fetch';
import type { components, paths } from './openapi-typescript/client.ts';

const [baseUrl = '', key = '', folder = '', fileId = ''] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl, headers: { 'X-API-Key': key } });

/** In the types a binary part is a string, as in the document; on the wire it is these bytes. */
async function fileOf(name: string): Promise<string> {
  return new File([await readFile(`${folder}/${name}`)], name) as unknown as string;
}

function asForm(body: object): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(body))
    form.set(name, value instanceof Blob ? value : String(value));
  return form;
}

const status = async (id = fileId) => client.GET('/media/chunks', { params: { query: { fileId: id } } });

const send = async (chunkIndex: number, id = fileId) =>
  client.POST('/media/chunks', {
    body: { file: await fileOf(`${chunkIndex}.bin`), chunkIndex, totalChunks: 3, fileId: id },
    bodySerializer: asForm,
  });

const make = async (body: components['schemas']['VideoForm']) =>
  client.POST('/media/videos', { body, bodySerializer: asForm });

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
const seen = await client.GET('/media/videos/{id}', { params: { path: { id } } });
const missing = await client.GET('/media/videos/{id}', { params: { path: { id: 'nope' } } });
const channels = await client.GET('/channels');
const profiles = await client.GET('/profiles');
const large = await status('large');
const tooLarge = await send(0, 'too-large');

const receipt = received.data?.data;
const end = complete.data?.data;
console.log(
  JSON.stringify({
    unknown: { exists: unknown.data?.data.exists, currentSize: unknown.data?.data.currentSize },
    received: receipt !== undefined && 'chunkIndex' in receipt ? receipt.chunkIndex : null,
    refused: {
      status: refused.response.status,
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
    missing: { status: missing.response.status, error: missing.error?.error },
    channels: channels.data?.youtube.map(({ channelId }) => channelId),
    profiles: profiles.data?.map(({ name }) => name),
    large: large.data?.data.currentSize,
    tooLarge: {
      status: tooLarge.response.status,
      error: tooLarge.error?.error,
      maxBytes: tooLarge.error?.details.maxBytes,
    },
  }),
);
