// control/damaged-view.ts: shows a damaged upload or entry beside the undamaged ones. Pure.
import type { AppError, DamagedPlace } from '../core/errors.ts';
import { isOneOf, isShape, isText } from '../core/shape.ts';

/** A damaged upload or entry. `name` is the name of its files. */
export interface Damaged extends DamagedPlace {
  readonly message: string;
}

const isPlace = isShape<DamagedPlace>(
  { kind: isOneOf('uploads', 'media'), namespace: isText, name: isText },
  {},
);

/** @param error an error with the code `upload_damaged` */
export function damagedView({ message, details }: AppError): Damaged {
  if (!isPlace(details)) throw new Error(`nothing says where this damage is: ${message}`);
  const { kind, namespace, name } = details;
  return { kind, namespace, name, message };
}
