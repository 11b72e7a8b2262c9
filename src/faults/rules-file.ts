// faults/rules-file.ts: reads rules from the text of a YAML or JSON file: one rule or a list.
//
// Promises: a problem names the file, and the line if the text cannot be parsed, or else the JSON pointer.
import { parse } from 'yaml';
import { refusalOf } from '../core/problems.ts';
import { parseRules, type ParseOptions, type Rule } from './rules.ts';

/**
 * A rule without an id gets its place as the id: `rule-2` is the second rule of the file.
 * @throws AppError `invalid_rule`
 */
export function readRulesFile(
  text: string,
  fileName: string,
  options: Omit<ParseOptions, 'fileName'> = {},
): Rule[] {
  return parseRules(dataOf(text, fileName), (at) => `rule-${at + 1}`, { ...options, fileName });
}

/** Every JSON text is also YAML. */
function dataOf(text: string, fileName: string): unknown {
  try {
    return parse(text, { logLevel: 'error' }) as unknown;
  } catch (error) {
    // The first line holds the message and the place; the other lines only draw it.
    const [message = ''] = (error as Error).message.split('\n');
    const sentence = message.replace(/; please use .*? at/, ' at').replace(/:$/, '');
    throw refusalOf('invalid_rule', [{ path: [], message: sentence }], fileName);
  }
}
