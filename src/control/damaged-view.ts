// control/damaged-view.ts: how something that fails its checks is shown beside what is well. Pure.
import type { AppError, DamagedPlace } from '../core/errors.ts';

/** What fails its checks. `name` is that of its files. */
export interface Damaged extends DamagedPlace {
  readonly message: string;
}

/** @param error of the code `upload_damaged` */
export function damagedView({ message, details }: AppError): Damaged {
  const { kind, namespace, name } = details as unknown as DamagedPlace;
  return { kind, namespace, name, message };
}
