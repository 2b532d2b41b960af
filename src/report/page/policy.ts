/** The Content-Security-Policy of the pages: they load nothing, send nothing, and run only the scripts that they were written with. */
import { type Html, InlineScript } from './html.js';

/** Returns the policy of a page with these parts. A script may run only if its SHA-256 is in the policy. */
export async function contentSecurityPolicy(...contents: readonly Html[]): Promise<string> {
  const scripts = contents.flatMap(({ parts }) => parts.filter((part) => part instanceof InlineScript));
  const sources = await Promise.all([...new Set(scripts.map(({ text }) => text))].map(hashSource));
  return [
    "default-src 'none'",
    'img-src data:',
    "style-src 'unsafe-inline'",
    `script-src ${sources.length > 0 ? sources.join(' ') : "'none'"}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
}

async function hashSource(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return `'sha256-${btoa(String.fromCharCode(...new Uint8Array(digest)))}'`;
}
