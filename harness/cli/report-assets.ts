import {readFile} from 'node:fs/promises';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import type {PageAssets} from '../../reports/html-reporter.ts';
import {PACKAGE_ROOT} from './package-root.ts';

const require = createRequire(import.meta.url);

/** What the page of a report is made of, from the installed packages. */
export async function pageAssets(): Promise<PageAssets> {
  const packages = {
    // The packages export their ES modules only; the bundle lies beside it.
    vega: join(dirname(fileURLToPath(import.meta.resolve('vega'))), 'vega.min.js'),
    interpreter: fileURLToPath(import.meta.resolve('vega-interpreter')),
    script: join(PACKAGE_ROOT, 'reports', 'page', 'app.js'),
    style: join(PACKAGE_ROOT, 'reports', 'page', 'page.css'),
  };
  const read = async (path: string): Promise<string> => await readFile(path, 'utf8');
  return {
    vega: await read(packages.vega),
    interpreter: await read(packages.interpreter),
    script: await read(packages.script),
    style: await read(packages.style),
  };
}

/** TrueType files of Inter, so that a PNG needs no fonts of the machine. */
export function fontFiles(): readonly string[] {
  const folder = dirname(require.resolve('@expo-google-fonts/inter/package.json'));
  return [
    '400Regular/Inter_400Regular.ttf',
    '400Regular_Italic/Inter_400Regular_Italic.ttf',
    '600SemiBold/Inter_600SemiBold.ttf',
  ].map((name) => join(folder, name));
}
