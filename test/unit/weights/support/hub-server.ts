import {createHash} from 'node:crypto';
import {createServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http';
import {onTestFinished} from 'vitest';

export const COMMIT = '0123456789abcdef0123456789abcdef01234567';

export interface HubBehaviour {
  readonly files: Readonly<Record<string, Buffer>>;
  /** Files listed as LFS (with SHA-256); others get a Git blob id. Default: .gguf and .safetensors. */
  readonly lfs?: (path: string) => boolean;
  /** Bytes served instead of those announced. */
  readonly served?: Readonly<Record<string, Buffer>>;
  /** Answers a request for a file itself; true when it did. */
  file?(request: IncomingMessage, response: ServerResponse, attempt: number): boolean;
  /** Status of every API answer; default 200. */
  readonly apiStatus?: number;
  /** Files are served by a second origin, to which this one redirects. */
  readonly redirect?: boolean;
  readonly etag?: (attempt: number) => string;
}

interface SeenRequest {
  readonly origin: 'hub' | 'storage';
  readonly url: string;
  readonly range: string | null;
  readonly ifRange: string | null;
  readonly authorization: string | null;
}

export interface HubServer {
  readonly url: string;
  /** Every request, in order. */
  readonly seen: SeenRequest[];
  /** Those for the contents of files. */
  fileRequests(): SeenRequest[];
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const gitId = (bytes: Buffer) => createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');

/** A hub on the loopback that speaks as much of the API as pulling a model needs, and misbehaves on request. */
export async function startHub(behaviour: HubBehaviour): Promise<HubServer> {
  const seen: SeenRequest[] = [];
  const isLfs = behaviour.lfs ?? ((path: string) => /\.(?:gguf|safetensors)$/.test(path));
  let attempt = 0;
  const note = (origin: 'hub' | 'storage', {url = '', headers}: IncomingMessage) =>
    seen.push({
      origin,
      url,
      range: headers.range ?? null,
      ifRange: typeof headers['if-range'] === 'string' ? headers['if-range'] : null,
      authorization: headers.authorization ?? null,
    });

  const serveFile = (request: IncomingMessage, response: ServerResponse, path: string) => {
    attempt++;
    if (behaviour.file?.(request, response, attempt) === true) return;
    const bytes = behaviour.served?.[path] ?? behaviour.files[path];
    if (bytes === undefined) return void response.writeHead(404).end();
    const etag = behaviour.etag?.(attempt) ?? `"${sha256(bytes)}"`;
    sendRange(request, response, bytes, etag);
  };

  const storage = await listen((request, response) => {
    note('storage', request);
    serveFile(request, response, decodeURIComponent((request.url ?? '').slice('/blob/'.length)));
  });
  const hub = await listen((request, response) => {
    note('hub', request);
    const url = new URL(request.url ?? '', 'http://hub');
    if (url.pathname.startsWith('/api/')) {
      const status = behaviour.apiStatus ?? 200;
      if (status !== 200) return void json(response, status, {error: 'the server says no'});
      if (url.pathname.includes('/revision/')) {
        return void json(response, 200, {
          _id: '1',
          id: 'org/repo',
          sha: COMMIT,
          lastModified: '2026-01-01T00:00:00.000Z',
        });
      }
      const listed = Object.entries(behaviour.files).map(([path, bytes]) => ({
        type: 'file',
        path,
        size: bytes.length,
        oid: gitId(bytes),
        ...(isLfs(path) ? {lfs: {oid: sha256(bytes), size: bytes.length, pointerSize: 134}} : {}),
      }));
      return void json(response, 200, listed);
    }
    const path = decodeURIComponent(url.pathname.split(`/resolve/${COMMIT}/`)[1] ?? '');
    if (behaviour.redirect !== true) return serveFile(request, response, path);
    response.writeHead(302, {location: `${address(storage)}/blob/${encodeURIComponent(path)}`}).end();
  });
  return {
    url: address(hub),
    seen,
    fileRequests: () => seen.filter(({url}) => url.includes('/resolve/') || url.startsWith('/blob/')),
  };
}

export function sendRange(request: IncomingMessage, response: ServerResponse, bytes: Buffer, etag: string): void {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const ifRange = request.headers['if-range'];
  if (start === 0 || (ifRange !== undefined && ifRange !== etag)) {
    response.writeHead(200, {etag, 'content-length': bytes.length}).end(bytes);
    return;
  }
  const headers = {
    etag,
    'content-length': bytes.length - start,
    'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}`,
  };
  response.writeHead(206, headers).end(bytes.subarray(start));
}

/** Sends the head and the first bytes, then cuts the connection. */
export function sendAndDrop(request: IncomingMessage, response: ServerResponse, bytes: Buffer, count: number): void {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const etag = `"${sha256(bytes)}"`;
  const rest = {etag, 'content-length': bytes.length - start};
  if (start === 0) response.writeHead(200, rest);
  else response.writeHead(206, {...rest, 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}`});
  response.write(bytes.subarray(start, start + count), () => setTimeout(() => request.socket.destroy(), 20));
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, {'content-type': 'application/json'}).end(JSON.stringify(value));
}

async function listen(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<Server> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return server;
}

function address(server: Server): string {
  const found = server.address();
  return typeof found === 'object' && found !== null ? `http://127.0.0.1:${found.port}` : '';
}
