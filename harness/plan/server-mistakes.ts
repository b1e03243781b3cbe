import type {Cell} from '../contract/cell.ts';
import type {Matrix} from '../contract/matrix.ts';
import {
  isLoopback,
  isPlaceholder,
  type MatrixServer,
  placeholderTexts,
  SERVER_PLACEHOLDERS,
  tellsServer,
  wordsInBraces,
} from '../contract/server.ts';
import type {Mistake} from './matrix-mistakes.ts';
import {didYouMean} from './nearest.ts';

/** What a schema cannot see of servers: strange words in braces, a port that is not passed on, whose machine it is. */
export function serverMistakes({runners}: Matrix): Mistake[] {
  return runners.flatMap((runner, index) => {
    if (typeof runner === 'string' || runner.server === undefined) return [];
    const path = ['runners', index, 'server'];
    return runner.server.command === undefined ? running(runner.server, path) : started(runner.server, path);
  });
}

/** Servers that run already. */
function running({url, device, env}: MatrixServer, path: readonly PropertyKey[]): Mistake[] {
  const mistakes: Mistake[] = [];
  if (env !== undefined) mistakes.push({path: [...path, 'env'], text: 'is for a command: this server runs already'});
  const urls = typeof url === 'object' ? Object.entries(url) : [[null, url ?? ''] as const];
  for (const [format, one] of urls) {
    const place = [...path, 'url', ...(format === null ? [] : [format])];
    const problem = urlProblem(one);
    if (problem !== null) mistakes.push({path: place, text: problem});
    else if (device === undefined && !isLoopback(one)) {
      const text = `${one} is another machine: say which device it has (device: h100); if it is this one, write 127.0.0.1`;
      mistakes.push({path: place, text});
    }
  }
  return mistakes;
}

/** The value is not repeated where it may hold a password. */
function urlProblem(text: string): string | null {
  if (!URL.canParse(text))
    return `${JSON.stringify(text.slice(0, 60))} is no url: give one like http://127.0.0.1:8000/v1`;
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'the url must begin with http:// or https://';
  if (url.username !== '' || url.password !== '') {
    return 'the url must hold no user and no password: api_key_env names the environment variable of the key';
  }
  return url.search === '' && url.hash === '' ? null : 'the url must end with its path, for example /v1: no ? and no #';
}

/** Servers that bench starts. */
function started(server: MatrixServer, path: readonly PropertyKey[]): Mistake[] {
  const known = Object.keys(SERVER_PLACEHOLDERS);
  const mistakes = [...new Set(placeholderTexts(server).flatMap(wordsInBraces))]
    .filter((word) => !isPlaceholder(word))
    .map((word) => ({
      path: [...path, 'command'],
      text: `{${word}} stands for nothing${didYouMean(word, known) || `; there are ${known.join(', ')}`}`,
    }));
  if (!tellsServer(server, 'port')) {
    mistakes.push({path: [...path, 'command'], text: 'must hold {port}: each round has a port of its own'});
  }
  if (server.device !== undefined) {
    mistakes.push({
      path: [...path, 'device'],
      text: 'is for a url: what bench starts runs on the devices of the matrix',
    });
  }
  return mistakes;
}

/** One running server holds one model in one format on one device: cells that claim another would be made up. */
export function ambiguousServers(matrix: Matrix, cells: readonly Cell[]): Mistake[] {
  const claims = new Map<string, {readonly runner: string; readonly what: Map<string, Cell>}>();
  for (const cell of cells) {
    const url = cell.runner.server?.url ?? null;
    if (url === null) continue;
    const claim = claims.get(url) ?? {runner: cell.runner.id, what: new Map<string, Cell>()};
    claim.what.set([cell.model, cell.format, cell.device].join(' '), cell);
    claims.set(url, claim);
  }
  return [...claims].flatMap(([url, {runner, what}]) => {
    if (what.size < 2) return [];
    const index = matrix.runners.findIndex((one) => typeof one !== 'string' && one.name === runner);
    const names = [...what.keys()];
    const shown = names.slice(0, 3).join(', ');
    return [
      {
        path: ['runners', index, 'server', 'url'],
        text: `${url} is one server with one model in one format on one device, but it would be measured as ${shown}${names.length > 3 ? ', …' : ''}: give a url per format ({fp16: …}), name one device (host-gpu), or leave cells out with exclude`,
      },
    ];
  });
}
