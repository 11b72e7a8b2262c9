// faults/rules-file.ts: rules from the text of a file, YAML or JSON: a list of rules, or one.
//
// Promises: what is wrong is said with the file's name: the line where it cannot be read, the JSON pointer where it can.
// Must not know: the disk; what a rule is.
import { parse } from 'yaml';
import { refusalOf } from '../core/problems.ts';
import { parseRules, type ParseOptions, type Rule } from './rules.ts';

/**
 * A rule without an id is called by its place: `rule-2` is the second of the file.
 * @throws AppError `invalid_rule`
 */
export function readRulesFile(
  text: string,
  fileName: string,
  options: Omit<ParseOptions, 'fileName'> = {},
): Rule[] {
  return parseRules(dataOf(text, fileName), (at) => `rule-${at + 1}`, { ...options, fileName });
}

/** JSON is YAML, too. */
function dataOf(text: string, fileName: string): unknown {
  try {
    return parse(text, { logLevel: 'error' }) as unknown;
  } catch (error) {
    // The first line says what and where; the others draw it.
    const [message = ''] = (error as Error).message.split('\n');
    const sentence = message.replace(/; please use .*? at/, ' at').replace(/:$/, '');
    throw refusalOf('invalid_rule', [{ path: [], message: sentence }], fileName);
  }
}
