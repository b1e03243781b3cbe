import {BenchError} from '../../harness/contract/errors.ts';

const IMPORT = /^import \{([\w\s,]+)\} from 'vega-util';$/m;
const EXPORT = /^export \{ (\w+) as expressionInterpreter \};$/m;
/** As vega-util has it; the bundle of Vega does not export it. */
const DISALLOWED = `const DisallowedObjectProperties = new Set([...Object.getOwnPropertyNames(Object.prototype).filter((name) => typeof Object.prototype[name] === 'function'), '__proto__', 'then']);`;

/**
 * The package vega-interpreter is an ES module and has no bundle for a page: its one import is taken from Vega's bundle,
 * its one export put where the page finds it.
 *
 * @throws {BenchError} `INTERNAL` when the package looks otherwise: then this is to be looked at, not guessed.
 */
export function interpreterScript(source: string): string {
  const names = IMPORT.exec(source)?.[1]
    ?.split(',')
    .map((name) => name.trim());
  const own = EXPORT.exec(source)?.[1];
  const known = ['ascending', 'isString', 'DisallowedObjectProperties'];
  if (names === undefined || own === undefined || names.some((name) => !known.includes(name))) {
    throw new BenchError('INTERNAL', 'vega-interpreter has another build than the report knows how to inline');
  }
  const body = source
    .replace(IMPORT, `${DISALLOWED}\nconst {ascending, isString} = vega;`)
    .replace(EXPORT, `globalThis.benchExpressionInterpreter = ${own};`)
    .replace(/^\/\/# sourceMappingURL=.*$/m, '');
  return `(() => {\n${body}\n})();`;
}
