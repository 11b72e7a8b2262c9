// media/entry.ts: the life cycle of a media entry (behaviour §5), and how an entry looks at an instant. Pure.
//
// Promises: everything is computed from the stored entry, `now` and the delays. Nothing happens in the background, so a frozen
// or advanced clock shows the same as waiting. Ids and urls of a publication are made from the id of the entry, so they are the
// same after every restart. What the pages do not say is marked (assumed).
// It does not know a clock, the bytes of the file, or the rules that make a platform fail.

import { createHash } from 'node:crypto';
import type { EntrySpec } from './entry-form.ts';
import type { Platform } from './platforms.ts';

export const ENTRY_STATUSES = ['pending', 'processing', 'completed', 'failed', 'draft', 'scheduled'] as const;
export type EntryStatus = (typeof ENTRY_STATUSES)[number];

export const PLATFORM_STATUSES = ['published', 'failed', 'processing', 'pending', 'idle', 'manual'] as const;
export type PlatformStatus = (typeof PLATFORM_STATUSES)[number];

/** A platform that fails. The answer has no documented field for the reason, so only the admin view shows it. */
export interface PublishFailure {
  readonly platform: Platform;
  readonly reason?: string;
}

export interface Entry {
  readonly id: string;
  readonly namespace: string;
  readonly spec: EntrySpec;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly bytes: number;
  /** The platforms that are `failed`, or will be `failed` when processing ends. At most one failure per platform. */
  readonly failures: readonly PublishFailure[];
}

// These are type aliases because an interface is not assignable to the record of a ledger.
export type EntryCreated = {
  readonly type: 'entry-created';
  readonly at: number;
  readonly id: string;
  readonly namespace: string;
  readonly spec: EntrySpec;
  readonly bytes: number;
  /** Failures that are known from the start. With delays of 0 the entry is settled at once and takes no failure later. */
  readonly failures?: readonly PublishFailure[];
};
export type PublishFailed = {
  readonly type: 'publish-failed';
  readonly at: number;
  readonly platform: Platform;
  readonly reason?: string;
};
export type EntryEvent = EntryCreated | PublishFailed;

export type EntryCommand = { readonly type: 'fail-publish' } & PublishFailure;

/** How long an entry stays `pending`, and then `processing`. */
export interface EntryTiming {
  readonly pendingTimeMs: number;
  readonly processingTimeMs: number;
}

export interface Moment {
  readonly now: number;
  readonly timing: EntryTiming;
}

export interface PlatformView {
  readonly status: PlatformStatus;
  readonly videoId?: string;
  readonly mediaId?: string;
  readonly urn?: string;
  readonly pinId?: string;
  readonly url?: string;
}

/** The `data` of the status answer (§5.2). A platform that was not chosen has no key (assumed). */
export interface EntryView extends Readonly<Partial<Record<Platform, PlatformView>>> {
  readonly id: string;
  /** The `title` field of the request; null when it was not sent (assumed). */
  readonly title: string | null;
  readonly status: EntryStatus;
  readonly platforms: readonly Platform[];
  /** As sent, also for a draft and for an instant in the past. Null when it was not sent (assumed). */
  readonly scheduledAt: string | null;
  readonly createdAt: string;
  /** The time of the last transition. Time alone moves it, without any call (assumed). */
  readonly updatedAt: string;
}

/** The event that carries out the command; null when there is nothing left that could fail. */
export function decide(entry: Entry, command: EntryCommand, { now, timing }: Moment): EntryEvent | null {
  const { platform, reason } = command;
  const chosen = entry.spec.platforms.includes(platform);
  // A published platform stays published, because no real platform goes from published to failed.
  if (!chosen || hasFailed(entry, platform) || isSettled(entry, now, timing)) return null;
  return { type: 'publish-failed', at: now, platform, ...(reason !== undefined && { reason }) };
}

/** @throws Error when the events do not belong to one entry: `entry-created` must be the first event and only the first */
export function evolve(entry: Entry | null, event: EntryEvent): Entry {
  if (event.type === 'entry-created') {
    if (entry !== null) throw new Error(`entry ${entry.id} is created twice in its ledger`);
    const { id, namespace, spec, at, bytes, failures = [] } = event;
    return { id, namespace, spec, createdAt: at, bytes, failures };
  }
  if (entry === null) throw new Error('the ledger of an entry must begin with entry-created');
  if (hasFailed(entry, event.platform)) return entry;
  const { platform, reason } = event;
  return { ...entry, failures: [...entry.failures, { platform, ...(reason !== undefined && { reason }) }] };
}

/** The entry as an answer shows it at `now` (epoch milliseconds). */
export function viewEntry(entry: Entry, now: number, timing: EntryTiming): EntryView {
  const { id, spec, createdAt } = entry;
  const { phase, since } = phaseAt(entry, now, timing);
  const platforms = spec.platforms.map(
    (platform) => [platform, viewPlatform(entry, platform, phase)] as const,
  );
  const parts: Partial<Record<Platform, PlatformView>> = Object.fromEntries(platforms);
  return {
    id,
    title: spec.title ?? null,
    status: phase === 'settled' ? outcomeOf(entry) : phase,
    platforms: spec.platforms,
    scheduledAt: spec.scheduledAt === undefined ? null : isoOf(spec.scheduledAt),
    ...parts,
    createdAt: isoOf(createdAt),
    updatedAt: isoOf(since),
  };
}

/** The next instant after `now` at which the view changes by itself; null when there is none. */
export function nextTransitionAt(entry: Entry, now: number, timing: EntryTiming): number | null {
  const moment = notBefore(entry, now);
  return phasesOf(entry, timing).find(({ since }) => since > moment)?.since ?? null;
}

/** Whether time alone changes nothing any more: the entry is completed, failed or a draft. */
export function isSettled(entry: Entry, now: number, timing: EntryTiming): boolean {
  return nextTransitionAt(entry, now, timing) === null;
}

type Phase = 'draft' | 'scheduled' | 'pending' | 'processing' | 'settled';
interface PhaseSince {
  readonly phase: Phase;
  readonly since: number;
}

/** The phases in order of time. A phase with a delay of 0 begins together with the next one and is never seen. */
function phasesOf(
  { spec, createdAt }: Entry,
  { pendingTimeMs, processingTimeMs }: EntryTiming,
): readonly PhaseSince[] {
  if (spec.isDraft) return [{ phase: 'draft', since: createdAt }];
  const startedAt = Math.max(createdAt, spec.scheduledAt ?? createdAt);
  return [
    ...(startedAt > createdAt ? [{ phase: 'scheduled', since: createdAt } as const] : []),
    { phase: 'pending', since: startedAt },
    { phase: 'processing', since: startedAt + pendingTimeMs },
    { phase: 'settled', since: startedAt + pendingTimeMs + processingTimeMs },
  ];
}

function phaseAt(entry: Entry, now: number, timing: EntryTiming): PhaseSince {
  const moment = notBefore(entry, now);
  // The first phase begins at createdAt. `notBefore` guarantees that `moment` is not earlier.
  return phasesOf(entry, timing).reduce((latest, next) => (next.since <= moment ? next : latest));
}

/** A clock can be set back to before the entry was made. The entry then looks as it did when it was new. */
function notBefore(entry: Entry, now: number): number {
  return Math.max(now, entry.createdAt);
}

function hasFailed(entry: Entry, platform: Platform): boolean {
  return entry.failures.some((failure) => failure.platform === platform);
}

/** The status of the settled entry. It is failed when one platform failed (partial success is undocumented: assumed). */
function outcomeOf(entry: Entry): EntryStatus {
  return entry.spec.platforms.some((platform) => hasFailed(entry, platform)) ? 'failed' : 'completed';
}

/** While the entry is `scheduled`, its platforms are `pending` (assumed). A failure that a rule asked for wins over `manual`. */
function viewPlatform(entry: Entry, platform: Platform, phase: Phase): PlatformView {
  if (phase === 'draft') return { status: 'idle' };
  if (phase === 'scheduled') return { status: 'pending' };
  if (phase !== 'settled') return { status: phase };
  if (hasFailed(entry, platform)) return { status: 'failed' };
  if (entry.spec.settings[platform]?.['autoPublish'] === false) return { status: 'manual' };
  return { status: 'published', ...PUBLICATIONS[platform](entry) };
}

/** The id field of each platform, as the vendor documents it, and urls in the form of that platform. The ids are made up. */
const PUBLICATIONS: Readonly<Record<Platform, (entry: Entry) => Omit<PlatformView, 'status'>>> = {
  youtube: (entry) => {
    const videoId = letters(entry, 'youtube');
    return { videoId, url: `https://www.youtube.com/watch?v=${videoId}` };
  },
  instagram: (entry) => {
    const kind = entry.spec.type === 'video' ? 'reel' : 'p';
    const url = `https://www.instagram.com/${kind}/${letters(entry, 'instagram')}/`;
    return { mediaId: digits(entry, 'instagram', 17), url };
  },
  tiktok: (entry) => {
    const kind = entry.spec.type === 'video' ? 'video' : 'photo';
    const videoId = digits(entry, 'tiktok', 19);
    return { videoId, url: `https://www.tiktok.com/@xenonflare-mock/${kind}/${videoId}` };
  },
  linkedin: (entry) => {
    const urn = `urn:li:share:${digits(entry, 'linkedin', 19)}`;
    return { urn, url: `https://www.linkedin.com/feed/update/${urn}/` };
  },
  pinterest: (entry) => {
    const pinId = digits(entry, 'pinterest', 18);
    return { pinId, url: `https://www.pinterest.com/pin/${pinId}/` };
  },
};

function digest(entry: Entry, platform: Platform): Buffer {
  return createHash('sha256').update(`${platform}:${entry.id}`).digest();
}

/** 11 characters of the URL-safe alphabet, made from the id of the entry. */
function letters(entry: Entry, platform: Platform): string {
  return digest(entry, platform).toString('base64url').slice(0, 11);
}

/** A decimal number of exactly `count` digits. */
function digits(entry: Entry, platform: Platform, count: number): string {
  const number = BigInt(`0x${digest(entry, platform).toString('hex')}`) % 10n ** BigInt(count - 1);
  return `7${number.toString().padStart(count - 1, '0')}`;
}

function isoOf(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
