/**
 * Opens files in folders whose content is untrusted. Only regular files are opened: reading a FIFO could block for ever, and a device can
 * have side effects. A path that was read from a file must stay inside its folder, also after following symbolic links.
 */
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, realpath } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { FormatError } from 'zfnet';
import { FileError } from './file_error.js';

/** Windows does not define these two flags. */
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;
const NO_BLOCK = constants.O_NONBLOCK ?? 0;

/** Opens a regular file for reading. Follows a symbolic link. */
export async function openRegular(path: string): Promise<FileHandle> {
  return await openChecked(path, await realpath(path));
}

/** Returns the bytes of a regular file. Follows a symbolic link. */
export async function readRegular(path: string): Promise<Uint8Array> {
  return await readAll(await openRegular(path));
}

/**
 * Opens a regular file below a folder for reading, by an untrusted path.
 *
 * @param path relative, with forward slashes
 * @throws FormatError if the path leads out of the folder, by `..` or by a symbolic link, or is not a regular file
 */
export async function openConfined(folder: string, path: string): Promise<FileHandle> {
  checkRelative(folder, path);
  const root = await realpath(folder);
  const target = await realpath(join(root, path));
  if (!target.startsWith(root.endsWith(sep) ? root : root + sep)) throw leadsOut(folder, path);
  return await openChecked(join(folder, path), target);
}

/** Returns the bytes of a regular file below a folder: see `openConfined`. */
export async function readConfined(folder: string, path: string): Promise<Uint8Array> {
  return await readAll(await openConfined(folder, path));
}

/**
 * Creates the parent folder of a file below `root`, and returns the full path of the file. No folder between `root` and the file may be a
 * symbolic link, because the content of the folder is untrusted; `root` itself was chosen by the user and may be one.
 *
 * @param path relative, with forward slashes
 */
export async function placeBelow(root: string, path: string): Promise<string> {
  checkRelative(root, path);
  await checkFolder(root);
  await mkdir(root, { recursive: true });
  let at = root;
  for (const part of dirname(path).split('/')) {
    if (part === '.' || part === '') continue;
    at = join(at, part);
    await mkdir(at).catch(ignoring('EEXIST'));
    if (!(await lstat(at)).isDirectory()) throw new FileError(`${at} is a symbolic link or a file, expected a folder; remove it`);
  }
  return join(at, basename(path));
}

/** Throws `FileError` if a folder inside a run, such as `experiments`, is a symbolic link: a received run is untrusted. */
export async function checkFolder(folder: string): Promise<void> {
  const found = await lstat(folder).catch(ignoring('ENOENT', 'ENOTDIR'));
  if (!found?.isSymbolicLink()) return;
  const inRun = await lstat(join(dirname(folder), 'config.json')).catch(() => null);
  if (inRun) throw new FileError(`${folder} is a symbolic link in the folder of a run; remove it, or name another folder by --out`);
}

/** Returns a handler that ignores errors with one of these codes and throws all others. */
export const ignoring =
  (...codes: string[]) =>
  (error: NodeJS.ErrnoException): undefined => {
    if (!codes.includes(error.code ?? '')) throw error;
  };

function checkRelative(folder: string, path: string): void {
  const parts = path.split(sep === '\\' ? /[/\\]/ : '/');
  if (path === '' || path.startsWith('/') || path.includes('\0') || parts.includes('..') || (sep === '\\' && path.includes(':')))
    throw leadsOut(folder, path);
}

const leadsOut = (folder: string, path: string) =>
  new FormatError(`${folder}: the path ${JSON.stringify(path)} lies outside its folder; expected the path of a file inside it`);

/** Opens `target`, a path without symbolic links. It may be replaced between check and opening, so the open file is checked again. */
async function openChecked(name: string, target: string): Promise<FileHandle> {
  const irregular = () => new FormatError(`${name} is not a regular file (it is a folder, a FIFO or a device)`);
  if (!(await lstat(target)).isFile()) throw irregular();
  const file = await open(target, constants.O_RDONLY | NO_FOLLOW | NO_BLOCK);
  try {
    if (!(await file.stat()).isFile()) throw irregular();
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readAll(file: FileHandle): Promise<Uint8Array> {
  try {
    return await file.readFile();
  } finally {
    await file.close();
  }
}
