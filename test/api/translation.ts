/** README.zh-CN.md beside README.md: the terms of the glossary, and the same headings, code and links. */
import { readFileSync } from 'node:fs';

/** One row of docs/GLOSSARY.md. */
interface Term {
  english: string;
  chinese: string;
  /** Chinese words that stand for the same thing elsewhere and are not used here. */
  avoided: string[];
}

const cells = (line: string) =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());

function glossary(): Term[] {
  const lines = readFileSync('docs/GLOSSARY.md', 'utf8').split('\n');
  const rows = lines.filter((line) => line.startsWith('|')).slice(2);
  return rows.map(cells).map(([english, chinese, , avoided]) => ({ english, chinese, avoided: avoided ? avoided.split(/, */) : [] }));
}

/** Text without code: blocks, and words between backticks. */
const prose = (text: string) => text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');

/** Whether a text uses an English term, in the singular or the plural, at the beginning of a sentence or within. */
const uses = (text: string, term: string) => new RegExp(`\\b${term.replace(/[ -]/g, '[ -]')}(s|es)?\\b`, 'i').test(text);

/** Code blocks without comments and blank space, which may be translated. */
const codeOf = (text: string) =>
  [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)].map(([, , code]) => code.replace(/\s*(\/\/|#).*$/gm, '').trim());
const headingsOf = (text: string) => [...prose(text).matchAll(/^(#+) /gm)].map(([, level]) => level).join(' ');
const linksOf = (text: string) =>
  [...prose(text).matchAll(/\]\(([^)]+)\)/g)]
    .map(([, address]) => address)
    .filter((address) => !address.startsWith('README'))
    .sort();

/** Differences between the two documents; empty if the translation is complete and uses the glossary's terms. */
export function checkTranslation(): string[] {
  const english = readFileSync('README.md', 'utf8');
  const chinese = readFileSync('README.zh-CN.md', 'utf8');
  const terms = glossary();
  const [own, translated] = [prose(english), prose(chinese)];
  const missing = terms.filter((term) => uses(own, term.english) && !translated.includes(term.chinese));
  const avoided = terms.flatMap((term) => term.avoided.filter((word) => translated.includes(word)).map((word) => ({ word, term })));
  const blocks = codeOf(chinese);
  return [
    ...missing.map(({ english, chinese }) => `README.zh-CN.md: README.md says "${english}", the translation lacks ${chinese}`),
    ...avoided.map(({ word, term }) => `README.zh-CN.md: says ${word}, expected ${term.chinese} ("${term.english}")`),
    ...codeOf(english)
      .filter((code, i) => code !== blocks[i])
      .map((code) => `README.zh-CN.md: this block of README.md is missing or differs: ${code.slice(0, 60)}`),
    ...(headingsOf(english) === headingsOf(chinese) ? [] : ['README.zh-CN.md: its headings are not those of README.md']),
    ...(linksOf(english).join() === linksOf(chinese).join() ? [] : ['README.zh-CN.md: its links are not those of README.md']),
  ];
}
