import type {Cell} from '../contract/cell.ts';

/** A file or folder that a cell takes from beside its matrix file. */
export interface FileBeside {
  /** Relative to the folder of the matrix file. */
  readonly path: string;
  /** Of a prompts file, as it was when the plan was made; null: only has to be there. */
  readonly sha256: string | null;
}

/** What a cell cannot do without on a host besides its plan: prompts, `file:` weights, a worker or server of the user's own. */
export function filesBeside({workload, source, runner}: Cell): FileBeside[] {
  const {prompts, promptsSha256} = workload;
  const file = source.startsWith('file:') ? source.slice('file:'.length).replace(/^\/\//, '') : '/';
  const weights = file.startsWith('/') ? null : file;
  const command = [...(runner.command ?? []), ...(runner.server?.command ?? [])];
  const words = command.filter((word) => /^\.{1,2}\//.test(word));
  return [
    ...(prompts === null ? [] : [{path: prompts, sha256: promptsSha256}]),
    ...(weights === null ? [] : [{path: weights, sha256: null}]),
    ...words.map((path) => ({path, sha256: null})),
  ];
}
