import {execFileSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {readdirSync, readFileSync} from 'node:fs';
import {createServer, type ServerResponse} from 'node:http';
import {join} from 'node:path';

/** A package of two modules, `<name>/__init__.py` and `<name>/part.py`. */
export interface Wheel {
  readonly name: string;
  /** With the local part, as `2.14.1+cpu`. */
  readonly version: string;
  /** What `__version__` says, where that is more. */
  readonly says?: string;
  /** Asked for as `===`: no build of the same version with a local part will do. */
  readonly exactly?: true;
}

const MAKE = `
import base64, hashlib, json, os, sys, zipfile
for wheel in json.load(sys.stdin):
    name, version = wheel["name"], wheel["version"]
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"__version__ = {wheel.get('says', version)!r}\\n",
        f"{name}/part.py": "PARTS = [" + ", ".join(str(n) for n in range(20000)) + "]\\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: bench\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text)}\\n"
    files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\\n"
    with zipfile.ZipFile(os.path.join(sys.argv[1], f"{name}-{version}-py3-none-any.whl"), "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
`;

export const wheelFile = ({name, version}: Wheel): string => `${name}-${version}-py3-none-any.whl`;

/** Makes wheels and returns the lines of a requirements file, by file name. */
export function makeWheels(python: string, folder: string, wheels: readonly Wheel[]): ReadonlyMap<string, string> {
  execFileSync(python, ['-c', MAKE, folder], {input: JSON.stringify(wheels)});
  return new Map(
    wheels.map((wheel) => {
      const bytes = readFileSync(join(folder, wheelFile(wheel)));
      const hash = createHash('sha256').update(bytes).digest('hex');
      return [wheelFile(wheel), `${wheel.name}${wheel.exactly ? '===' : '=='}${wheel.version} --hash=sha256:${hash}\n`];
    }),
  );
}

export interface PackageIndex {
  /** Of the index with this name: it lists the wheels that `lists` allows. */
  url(index: string): string;
  /** The wheel that is sent to its middle and no further; null for none. */
  stall: string | null;
  /** How often a wheel was stalled. */
  readonly stalls: number;
  close(): Promise<void>;
}

/** A package index on the loopback over a folder of wheels. */
export async function servePackages(
  folder: string,
  lists: (index: string, file: string) => boolean,
): Promise<PackageIndex> {
  const held: ServerResponse[] = [];
  const server = createServer((request, response) => {
    const [, index = '', kind, name = ''] = decodeURIComponent(request.url ?? '').split('/');
    if (kind === 'simple') {
      const files = readdirSync(folder).filter((file) => file.startsWith(`${name}-`) && lists(index, file));
      // With hashes, as all indexes give them: by them pip knows which of two builds of one version is asked for.
      const links = files.map((file) => {
        const hash = createHash('sha256')
          .update(readFileSync(join(folder, file)))
          .digest('hex');
        return `<a href="/${index}/files/${encodeURIComponent(file)}#sha256=${hash}">${file}</a>`;
      });
      response.writeHead(files.length > 0 ? 200 : 404, {'content-type': 'text/html'}).end(links.join('\n'));
      return;
    }
    const bytes = readFileSync(join(folder, name));
    response.writeHead(200, {'content-type': 'application/octet-stream', 'content-length': bytes.length});
    if (name !== served.stall) {
      response.end(bytes);
      return;
    }
    response.write(bytes.subarray(0, bytes.length / 2));
    held.push(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const served = {
    stall: null as string | null, // Widened: it is set later.
    get stalls() {
      return held.length;
    },
    url: (index: string) => `http://127.0.0.1:${port}/${index}/simple/`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return served;
}
