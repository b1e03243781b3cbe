import type {IncomingMessage} from 'node:http';
import {BenchError, type BenchErrorCode} from '../../harness/contract/errors.ts';
import {errorWords, parseJson, shortLine} from './server-words.ts';

/** What a system or TLS error means to somebody who wrote a url. */
const LINK_WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there: start the server, or mend the url',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name of the host cannot be resolved now',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ETIMEDOUT: 'no connection within the time of the system',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed',
  HPE_INVALID_CONSTANT: 'what answers there does not speak HTTP',
  EPROTO: 'what answers there does not speak TLS: write http:// instead of https://',
};

const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS/;

/**
 * A connection that failed. It may pass by itself (a server that is started, a network that comes back), so the run can
 * be continued; a certificate that is not trusted does not.
 */
export function linkProblem(url: string, error: unknown): BenchError {
  if (error instanceof BenchError) return error;
  const {origin} = new URL(url);
  const code = codeOf(error);
  if (CERTIFICATE.test(code)) {
    return new BenchError(
      'ENGINE_UNAVAILABLE',
      `${origin}: its certificate is not trusted (${code}): name a file with it in NODE_EXTRA_CA_CERTS`,
      {cause: error},
    );
  }
  const parseError = code.startsWith('HPE_') ? LINK_WORDS['HPE_INVALID_CONSTANT'] : undefined;
  const words = LINK_WORDS[code] ?? parseError ?? (error instanceof Error ? error.message : String(error));
  return new BenchError('NETWORK', `${origin}: ${shortLine(words)}`, {cause: error});
}

function codeOf(error: unknown): string {
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** Statuses that say that the server is only busy, or away behind its proxy. */
const PASSING = new Set([408, 425, 429, 502, 503, 504]);

/** An answer that is none: by its status, with the server's own words. */
export async function httpProblem(
  response: IncomingMessage,
  readBody: (response: IncomingMessage) => Promise<string>,
  secret: string | null,
): Promise<BenchError> {
  const status = response.statusCode ?? 0;
  const text = await readBody(response).catch(() => '');
  const said = shortLine(errorWords(parseJson(text) ?? text), secret);
  return new BenchError(
    codeFor(status),
    `HTTP ${status}: ${meaning(response, status)}${said === '' ? '' : `; it says: ${said}`}`,
    {
      details: {status},
    },
  );
}

function codeFor(status: number): BenchErrorCode {
  if (PASSING.has(status)) return 'NETWORK';
  return status >= 500 ? 'WORKER_CRASHED' : 'UNSUPPORTED';
}

function meaning({headers}: IncomingMessage, status: number): string {
  if (status >= 300 && status < 400) {
    const {location = ''} = headers;
    const target = URL.canParse(location) ? shortLine(new URL(location).origin) : 'another address';
    return `the server sends requests on to ${target}: give that url`;
  }
  if (status === 401 || status === 403) return 'the server wants another key: name its variable with api_key_env';
  if (status === 404) return 'the server has no such model or endpoint';
  if (status === 429) return 'the server limits the rate of requests';
  if (status === 503) return 'the server is overloaded or still loading';
  if (status >= 500) return 'the server failed';
  return 'the server refuses the request';
}
