// contract/operations.ts: the operations of the contract by their operationId, and the subject of each request.

interface OperationSpec {
  /** Reads a body and stores something: it has all phases. The others have `headers` and `response`. */
  readonly isChange: boolean;
  readonly hasUpload: boolean;
  readonly mediaType: 'video' | 'image' | null;
}

/** By their operationId in the contract (test: effects.test.ts). */
export const OPERATIONS = {
  getUploadStatus: { isChange: false, hasUpload: true, mediaType: null },
  uploadChunk: { isChange: true, hasUpload: true, mediaType: null },
  createVideo: { isChange: true, hasUpload: true, mediaType: 'video' },
  createImage: { isChange: true, hasUpload: true, mediaType: 'image' },
  getVideo: { isChange: false, hasUpload: false, mediaType: 'video' },
  getImage: { isChange: false, hasUpload: false, mediaType: 'image' },
  listChannels: { isChange: false, hasUpload: false, mediaType: null },
  listProfiles: { isChange: false, hasUpload: false, mediaType: null },
} as const satisfies Record<string, OperationSpec>;

export type Operation = keyof typeof OPERATIONS;
export const OPERATION_NAMES = Object.keys(OPERATIONS) as Operation[];

/** The upload, chunk or entry of a request, as far as the operation has one. */
export interface Subject {
  readonly fileId?: string | undefined;
  readonly chunkIndex?: number | undefined;
  readonly totalChunks?: number | undefined;
  readonly mediaType?: 'video' | 'image' | undefined;
}
