// control/damaged-view.ts: how something that fails its checks is shown beside what is well. Pure.
import type { AppError, DamagedPlace } from '../core/errors.ts';
import { isOneOf, isShape, isText } from '../core/shape.ts';

/** What fails its checks. `name` is that of its files. */
export interface Damaged extends DamagedPlace {
  readonly message: string;
}

const isPlace = isShape<DamagedPlace>(
  { kind: isOneOf('uploads', 'media'), namespace: isText, name: isText },
  {},
);

/** @param error of the code `upload_damaged` */
export function damagedView({ message, details }: AppError): Damaged {
  if (!isPlace(details)) throw new Error(`nothing says where this damage is: ${message}`);
  const { kind, namespace, name } = details;
  return { kind, namespace, name, message };
}
