/** Requirements for every page that we write: a content policy that allows only its own scripts, and no way around it. */
import { createHash } from 'node:crypto';
import { parseHTML } from 'linkedom';
import { expect } from 'vitest';

/** Names that would become elements, attributes or scripts if a page did not escape them. */
export const HOSTILE = [
  '"><img src=x onerror=alert(1)>',
  "'><svg onload=alert(2)>",
  '</script><script>alert(3)</script>',
  '</style></title><b>&amp;</b><!--',
] as const;

/** Checks the policy, its hashes, and that no text has become markup. */
export function expectSafePage(text: string): void {
  const { document } = parseHTML(text);
  const policies = Array.from(document.querySelectorAll('meta[http-equiv="Content-Security-Policy"]'));
  expect(policies).toHaveLength(1);
  const policy = new Map(
    policies[0]
      .getAttribute('content')!
      .split('; ')
      .map((directive): [string, string[]] => {
        const [name, ...sources] = directive.split(' ');
        return [name, sources];
      }),
  );
  // Before anything that could load or run.
  expect(text.indexOf('Content-Security-Policy')).toBeLessThan(text.search(/<style|<script|<link|<img/));
  const scripts = [...text.matchAll(/<script([^>]*)>([\s\S]*?)<\/script>/g)];
  expect(Object.fromEntries(policy)).toEqual({
    'default-src': ["'none'"],
    'img-src': ['data:'],
    'style-src': ["'unsafe-inline'"],
    'script-src': scripts.length === 0 ? ["'none'"] : [...new Set(scripts.map(([, , own]) => hashOf(own)))],
    'base-uri': ["'none'"],
    'form-action': ["'none'"],
  });
  for (const [, attributes] of scripts) expect(attributes).toBe('');
  expect(document.querySelectorAll('iframe, object, embed, base, video, audio')).toHaveLength(0);
  for (const element of Array.from(document.querySelectorAll('*')))
    for (const { name, value } of Array.from(element.attributes)) {
      expect(name).not.toMatch(/^on/i);
      if (name === 'src') expect(value).toMatch(/^data:image\//);
      if (name === 'href' || name === 'xlink:href') expect(value).toMatch(/^(#|data:|https?:\/\/)/);
    }
  // The elements of the hostile names.
  for (const [, , own] of scripts) expect(own).not.toMatch(/^alert/);
  expect(document.querySelectorAll('b, img[src=x]')).toHaveLength(0);
}

const hashOf = (script: string): string => `'sha256-${createHash('sha256').update(script).digest('base64')}'`;
