// core/problems.ts: the mistakes in a value that a client sent. A JSON pointer (RFC 6901) names the place of each.
//
// Promises: the list is bounded, however many mistakes there are; each unknown field is named separately.
import type { z } from 'zod';
import { AppError, type ErrorCode } from './errors.ts';

type Path = readonly PropertyKey[];
type Issue = z.core.$ZodIssue;

/** A place inside the value, and what is wrong there. */
export interface PlacedProblem {
  readonly path: Path;
  readonly message: string;
}

export interface Problem {
  /** Empty for the whole value. */
  readonly pointer: string;
  readonly message: string;
}

/** A value may have as many mistakes as it has bytes, so the list needs a bound. */
const MAX_PROBLEMS = 20;

/** The mistakes that zod found. */
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
    // The alternative that the sender meant is the one with a mistake inside.
    const meant = issue.errors.find((inside) => inside.some((problem) => problem.path.length > 0));
    if (meant !== undefined) return meant.flatMap((problem) => problemsIn(problem, path, unknownField));
  }
  return [{ path, message: issue.message }];
}

/** A refusal that names all places in `details.problems`. @param source where the value came from, such as a file */
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
