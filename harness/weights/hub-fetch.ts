import {BenchError} from '../contract/errors.ts';

type Fetch = typeof fetch;

export interface HubAccess {
  /** Without a slash at its end. */
  readonly endpoint: URL;
  /** Null: anonymous. Never part of a message. */
  readonly token: string | null;
}

const MAX_REDIRECTS = 10;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * @param env `HF_ENDPOINT` (default: the public hub) and `HF_TOKEN`, as Hugging Face's own tools read them.
 * @throws {BenchError} USAGE for an endpoint that is no http(s) URL, and for a token with characters that no header takes.
 */
export function hubAccess(env: Readonly<Record<string, string | undefined>>): HubAccess {
  const text = (env['HF_ENDPOINT'] ?? '').trim() || 'https://huggingface.co';
  const endpoint = URL.canParse(text) ? new URL(text) : null;
  if (endpoint === null || !/^https?:$/.test(endpoint.protocol) || endpoint.username !== '' || endpoint.search !== '') {
    throw new BenchError('USAGE', 'HF_ENDPOINT: not an http(s) URL without user name and query');
  }
  endpoint.pathname = endpoint.pathname.replace(/\/+$/, '');
  endpoint.hash = '';
  const token = (env['HF_TOKEN'] ?? '').trim();
  if (!/^[\x21-\x7E]*$/.test(token))
    throw new BenchError('USAGE', 'HF_TOKEN: holds blanks or characters that no token has');
  return {endpoint, token: token === '' ? null : token};
}

/** The endpoint as a prefix of paths: `https://huggingface.co`. */
export const hubUrl = ({endpoint}: HubAccess): string => endpoint.href.replace(/\/+$/, '');

/**
 * A fetch that shows the token to the hub's own origin only. Files are served by other origins, to which the hub
 * redirects; redirects are followed here, one by one, so that this does not depend on what a fetch implementation
 * forwards. A token never travels unencrypted, except to this machine.
 */
export function hubFetch({endpoint, token}: HubAccess, base: Fetch = fetch): Fetch {
  const encrypted =
    endpoint.protocol === 'https:' || /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(endpoint.hostname);
  return async (input, init) => {
    let url = new URL(input instanceof Request ? input.url : String(input));
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const headers = new Headers(init?.headers);
      headers.delete('authorization');
      if (token !== null && encrypted && url.origin === endpoint.origin)
        headers.set('authorization', `Bearer ${token}`);
      const response = await base(url.href, {...init, headers, redirect: 'manual'});
      const location = response.headers.get('location');
      if (!REDIRECTS.has(response.status) || location === null) return response;
      await response.body?.cancel();
      const next = URL.canParse(location, url.href) ? new URL(location, url) : null;
      if (
        next === null ||
        !/^https?:$/.test(next.protocol) ||
        (url.protocol === 'https:' && next.protocol === 'http:')
      ) {
        throw new BenchError('NETWORK', `${url.origin}${url.pathname}: redirects to where no file may be fetched from`);
      }
      url = next;
    }
    throw new BenchError('NETWORK', `${url.origin}: more than ${MAX_REDIRECTS} redirects`);
  };
}

/**
 * The one line for a status that trying again does not change; null for one that it may.
 *
 * @param what `hf:org/repo/file`.
 */
export function refusal(status: number, what: string, {token}: HubAccess): BenchError | null {
  const identity = token === null ? 'no HF_TOKEN is set' : 'with the token in HF_TOKEN';
  if (status === 401) {
    return new BenchError(
      'ACCESS_DENIED',
      `${what}: the hub wants a login (401; ${identity}); it is private or gated, or does not exist`,
    );
  }
  if (status === 403) {
    return new BenchError(
      'ACCESS_DENIED',
      `${what}: the hub refuses access (403; ${identity}); the model is gated or private`,
    );
  }
  if (status === 404 || status === 410) {
    return new BenchError(
      'MODEL_SOURCE_INVALID',
      `${what}: not on the hub (${status}): check repository, file and revision`,
    );
  }
  if (status >= 400 && status < 500 && ![408, 416, 425, 429].includes(status)) {
    return new BenchError('NETWORK', `${what}: the hub answers with status ${status}`);
  }
  return null;
}
