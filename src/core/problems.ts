// core/problems.ts: what is wrong with a value that somebody sent, each place named by its JSON pointer (RFC 6901).
//
// Promises: the list of problems is bounded, however many mistakes there are; unknown fields are named one by one.
// Must not know: what the value describes. A leaf beside errors.ts.
import type { z } from 'zod';
import { AppError, type ErrorCode } from './errors.ts';

type Path = readonly PropertyKey[];
type Issue = z.core.$ZodIssue;

/** A place below the value that was read, and what is wrong with it. */
export interface PlacedProblem {
  readonly path: Path;
  readonly message: string;
}

export interface Problem {
  /** Empty: the whole value. */
  readonly pointer: string;
  readonly message: string;
}

/** A value may have as many mistakes as it has bytes. */
const MAX_PROBLEMS = 20;

/** What zod found. */
export function problemsOf(
  issues: readonly Issue[],
  unknownField = 'there is no such field',
): PlacedProblem[] {
  return issues.slice(0, MAX_PROBLEMS).flatMap((issue) => problemsIn(issue, [], unknownField));
}

function problemsIn(issue: Issue, before: Path, unknownField: string): PlacedProblem[] {
  const path = [...before, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    const keys = issue.keys.slice(0, MAX_PROBLEMS);
    return keys.map((key) => ({ path: [...path, key], message: unknownField }));
  }
  if (issue.code === 'invalid_union') {
    // The alternative that was meant is the one of which something inside is wrong.
    const meant = issue.errors.find((inside) => inside.some((problem) => problem.path.length > 0));
    if (meant !== undefined) return meant.flatMap((problem) => problemsIn(problem, path, unknownField));
  }
  return [{ path, message: issue.message }];
}

/** A refusal that names every place in `details.problems`. @param source what the value came from, such as a file */
export function refusalOf(code: ErrorCode, found: readonly PlacedProblem[], source?: string): AppError {
  const problems: Problem[] = found
    .slice(0, MAX_PROBLEMS)
    .map(({ path, message }) => ({ pointer: pointerTo(path), message }));
  const sentences = problems.map(({ pointer, message }) =>
    pointer === '' ? message : `${pointer}: ${message}`,
  );
  return new AppError(code, `${source === undefined ? '' : `${source}: `}${sentences.join('; ')}`, {
    problems,
  });
}

/** @throws AppError with this code */
export function parseOrRefuse<T>(schema: z.ZodType<T>, value: unknown, code: ErrorCode): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw refusalOf(code, problemsOf(result.error.issues));
}

function pointerTo(path: Path): string {
  return path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
