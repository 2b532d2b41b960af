"""Opens and writes files in the folder of a run, whose content is untrusted: only regular files, and never through a symbolic link.

The rules are those of cli/src/files/confined_path.ts and cli/src/files/write_file.ts.
"""
import os
import secrets
import stat

TEMPORARY = '.part'
NO_FOLLOW = getattr(os, 'O_NOFOLLOW', 0)
NO_BLOCK = getattr(os, 'O_NONBLOCK', 0)
BINARY = getattr(os, 'O_BINARY', 0)


class UnsafeFileError(Exception):
    """Raised for a symbolic link, a FIFO or another special file in place of a file or folder of the run."""


def read_regular(path):
    """Returns the bytes of a regular file. Raises FileNotFoundError if there is none; refuses a FIFO instead of waiting for it."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise UnsafeFileError(f'{path} is not a regular file (it is a folder, a FIFO or a device); remove it')
    handle = os.open(path, os.O_RDONLY | NO_BLOCK | BINARY)
    with os.fdopen(handle, 'rb') as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise UnsafeFileError(f'{path} is not a regular file; remove it')
        return file.read()


def folder_below(root, name):
    """Creates and returns the parent folder of the file `name` (with forward slashes) below `root`. Refuses symbolic links below `root`."""
    at = root
    os.makedirs(at, exist_ok=True)
    for part in name.split('/')[:-1]:
        at = os.path.join(at, part)
        try:
            os.mkdir(at)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(at).st_mode):
                raise UnsafeFileError(f'{at} is a symbolic link or a file, expected a folder; remove it') from None
    return at


def temporary_for(path):
    """Returns an unpredictable temporary name in the same folder."""
    return os.path.join(os.path.dirname(path), f'{os.path.basename(path)[:40]}.{secrets.token_hex(8)}{TEMPORARY}')


def create_file(path, data):
    """Creates a file and synchronises it to the disk. Fails if the name exists, also as a symbolic link."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOW | BINARY, 0o666)
    with os.fdopen(handle, 'wb') as file:
        file.write(data)
        file.flush()
        os.fsync(handle)


def replace_file(path, data):
    """Replaces a file atomically: writes a temporary file, synchronises and renames it, and synchronises the folder."""
    temporary = temporary_for(path)
    try:
        create_file(temporary, data)
        os.replace(temporary, path)
    except BaseException:
        remove(temporary)
        raise
    push_folder(os.path.dirname(path))


def append_to_file(path, data):
    """Appends bytes to a regular file; if they cannot be written completely, the file is truncated to its old length."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | NO_FOLLOW | NO_BLOCK | BINARY, 0o666)
    except OSError as error:
        if os.path.islink(path):
            raise UnsafeFileError(f'{path} is a symbolic link; remove it') from error
        raise
    with os.fdopen(handle, 'ab') as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise UnsafeFileError(f'{path} is not a regular file; remove it')
        try:
            file.write(data)
            file.flush()
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, found.st_size)
            raise
    if found.st_size == 0:
        push_folder(os.path.dirname(path))


def remove(path):
    try:
        os.remove(path)
    except FileNotFoundError:
        pass


def push_folder(path):
    """Synchronises a folder, so that a renaming survives a power failure. Errors are ignored: not every system can open folders."""
    try:
        handle = os.open(path or '.', os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
