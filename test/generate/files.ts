import {matrixJsonSchema} from '../../harness/plan/json-schema.ts';
import {prettyJson} from './pretty-json.ts';
import {attributePrompts, cataloguePrompts} from './products.ts';
import {fillReadme} from './readme.ts';
import {intentPrompts, jsonLines} from './workloads.ts';

/** A committed file that code can make again. */
export interface GeneratedFile {
  /** Relative to the repository root. */
  readonly path: string;
  /** @param current What the file holds now, for files of which only a part is made; null when it is missing. */
  make(current: string | null): string | Promise<string>;
}

export const GENERATED_FILES: readonly GeneratedFile[] = [
  {path: 'matrices/matrix.schema.json', make: () => `${prettyJson(matrixJsonSchema())}\n`},
  {path: 'matrices/workloads/intent.jsonl', make: () => jsonLines(intentPrompts({seed: 1, perLanguage: 30}))},
  {path: 'matrices/workloads/attributes.jsonl', make: () => jsonLines(attributePrompts({seed: 1, perLanguage: 30}))},
  {path: 'matrices/workloads/catalogue.jsonl', make: () => jsonLines(cataloguePrompts({seed: 1, perLanguage: 10}))},
  {path: 'README.md', make: fillReadme},
];
