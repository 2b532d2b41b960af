/**
 * Files of a folder that may come from a stranger. Only regular files are opened: a FIFO would block for ever, a device may
 * do anything. A path that comes out of a file must stay inside its folder, symbolic links included.
 */
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, realpath } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { FormatError } from 'zfnet';
import { FileError } from './file_error.js';

/** Flags that Windows does not have are left out there. */
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;
const NO_BLOCK = constants.O_NONBLOCK ?? 0;

/** Opens a regular file for reading; a symbolic link to one is followed. */
export async function openRegular(path: string): Promise<FileHandle> {
  return await openChecked(path, await realpath(path));
}

/** The bytes of a regular file; a symbolic link to one is followed. */
export async function readRegular(path: string): Promise<Uint8Array> {
  return await readAll(await openRegular(path));
}

/**
 * Opens a regular file below a folder for reading, by a path that comes from a file.
 *
 * @param path relative, with forward slashes
 * @throws FormatError for a path that leads out of the folder, by `..` or by a symbolic link, and for what is no regular file
 */
export async function openConfined(folder: string, path: string): Promise<FileHandle> {
  checkRelative(folder, path);
  const root = await realpath(folder);
  const target = await realpath(join(root, path));
  if (!target.startsWith(root.endsWith(sep) ? root : root + sep)) throw leadsOut(folder, path);
  return await openChecked(join(folder, path), target);
}

/** The bytes of a regular file below a folder: see `openConfined`. */
export async function readConfined(folder: string, path: string): Promise<Uint8Array> {
  return await readAll(await openConfined(folder, path));
}

/**
 * Makes the folder that a file below `root` is written into, and returns the file's whole path. No folder on the way from `root` may be
 * a symbolic link, which a stranger may have put there; `root` itself was chosen by the user and may be one.
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

/** Refuses a symbolic link in place of a folder inside a run, such as `experiments`: whoever made the run may have put it there. */
export async function checkFolder(folder: string): Promise<void> {
  const found = await lstat(folder).catch(ignoring('ENOENT', 'ENOTDIR'));
  if (!found?.isSymbolicLink()) return;
  const inRun = await lstat(join(dirname(folder), 'config.json')).catch(() => null);
  if (inRun) throw new FileError(`${folder} is a symbolic link in the folder of a run; remove it, or name another folder by --out`);
}

/** Swallows errors with one of the codes. */
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

/** `target` has no symbolic link in it. It may have been exchanged since, so what was opened is looked at again. */
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
