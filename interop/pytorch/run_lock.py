"""The lock on the folder of a run. File format and rules are those of cli/src/run/run_lock.ts and cli/src/run/lock_holder.ts, which
explain them.
"""
import atexit
import errno
import hashlib
import json
import os
import random
import secrets
import socket
import stat
import threading
import time
from datetime import datetime, timezone

from safe_files import NO_FOLLOW, UnsafeFileError, create_file, read_regular, remove, temporary_for

LOCK = 'lock.json'
HEARTBEAT_SECONDS = 5
STALE_SECONDS = 60
HALF_WRITTEN_SECONDS = 10
ATTEMPTS = 10
DEEPEST = 3


class RunLockedError(Exception):
    """Raised if another process holds the lock of the run."""


class RunLock:
    """A lock, taken by the constructor. Call `check` before each write and `release` at the end."""

    def __init__(self, folder):
        self.folder, self.path = folder, os.path.join(folder, LOCK)
        self.own = json.dumps(this_holder(), separators=(',', ':')) + '\n'
        self.take()
        self.pid, self.ended = os.getpid(), threading.Event()
        threading.Thread(target=self.beat, daemon=True).start()
        atexit.register(self.release)

    def take(self):
        for attempt in range(ATTEMPTS):
            if attempt > 0:
                time.sleep(0.01 + 0.02 * attempt * random.random())
            if create(self.path, self.own):
                return
            found = look(self.path)
            if found is None:
                continue
            text, changed = found
            if is_in_use(self.path, text, changed):
                if parse_holder(text):
                    raise RunLockedError(locked_message(self.folder, self.path, text, changed))
            elif take_over(self.path, text, self.own):
                return
        raise RunLockedError(f'{self.path}: other processes keep taking and releasing this lock; try again')

    def beat(self):
        """Rewrites the last byte of the lock file every few seconds: its modification time is the heartbeat."""
        try:
            handle = os.open(self.path, os.O_RDWR | NO_FOLLOW)
        except OSError:
            return
        try:
            if os.read(handle, 4096) != self.own.encode():
                return
            while not self.ended.wait(HEARTBEAT_SECONDS):
                try:
                    os.lseek(handle, len(self.own.encode()) - 1, os.SEEK_SET)
                    os.write(handle, b'\n')
                    os.fsync(handle)
                except OSError:
                    pass
        finally:
            os.close(handle)

    def check(self):
        found = look(self.path)
        if found is None or found[0] != self.own:
            holder = found and parse_holder(found[0])
            now = f'process {holder["pid"]} on {holder["host"]} holds it now' if holder else 'it was removed or replaced'
            raise RunLockedError(f'{self.path}: this process no longer holds the lock of the run ({now}); it stops, so that two processes never write the same run')

    def release(self):
        # A process forked from this one does not own the lock.
        if self.ended.is_set() or os.getpid() != self.pid:
            return
        self.ended.set()
        claim = claim_of(self.path, self.own)
        if create(claim, self.own):
            found = look(self.path)
            if found is not None and found[0] == self.own:
                remove(self.path)
            remove(claim)


def this_holder():
    boot, namespace = identity()
    since = datetime.now(timezone.utc).isoformat(timespec='milliseconds').replace('+00:00', 'Z')
    return {
        'pid': os.getpid(),
        'host': socket.gethostname(),
        'since': since,
        'born': born_in(read_text('/proc/self/stat')),
        'boot': boot,
        'pidNamespace': namespace,
        'token': secrets.token_hex(12),
    }


def parse_holder(text):
    """Parses a lock file. Returns None for invalid text, such as a partly written lock of a process that died."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or type(value.get('pid')) is not int or value['pid'] < 1 or not isinstance(value.get('host'), str):
        return None
    return {'born': None, 'since': 'an unknown time', **value}


def is_visible(holder):
    """Whether the holder runs in this PID namespace, so that it can be inspected by its process id."""
    boot, namespace = identity()
    if 'boot' not in holder or (holder['boot'] is None and boot is None):
        return holder['host'] == socket.gethostname()
    return boot is not None and namespace is not None and holder['boot'] == boot and holder.get('pidNamespace') == namespace


def is_alive(holder, silent_seconds):
    silent = silent_seconds >= STALE_SECONDS
    if not is_visible(holder):
        return 'boot' not in holder or not silent
    if os.name == 'posix':  # on Windows, signal 0 would end the process
        try:
            os.kill(holder['pid'], 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:
            pass
    now = birth_of(holder['pid'])
    if holder['born'] is not None and now is not None:
        return holder['born'] == now
    return 'boot' not in holder or not silent


def identity():
    boot = read_text('/proc/sys/kernel/random/boot_id')
    try:
        namespace = os.readlink('/proc/self/ns/pid')
    except OSError:
        namespace = None
    return (boot.strip() or None) if boot else None, namespace


def birth_of(pid):
    """Start time of a process. None if unknown, also if /proc shows another namespace."""
    try:
        shown = os.readlink('/proc/self')
    except OSError:
        return None
    return born_in(read_text(f'/proc/{pid}/stat')) if shown == str(os.getpid()) else None


def born_in(text):
    fields = text[text.rindex(')') + 2 :].split(' ') if text and ')' in text else []
    return fields[19] if len(fields) > 19 else None


def read_text(path):
    try:
        with open(path, encoding='utf-8', errors='replace') as file:
            return file.read()
    except OSError:
        return None


def create(path, text):
    """Creates a lock or claim file atomically. Returns False if it exists."""
    temporary = temporary_for(path)
    try:
        create_file(temporary, text.encode())
        os.link(temporary, path)
        return True
    except (FileExistsError, FileNotFoundError):
        found = look(path)
        return found is not None and found[0] == text
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
    except (AttributeError, NotImplementedError):
        pass
    finally:
        remove(temporary)
    try:
        create_file(path, text.encode())
        return True
    except FileExistsError:
        return False


def claim_of(path, text):
    return f'{path}.{hashlib.sha256(text.encode()).hexdigest()[:16]}.part'


def take_over(path, stale, own, depth=0):
    """Replaces a stale lock by the lock of this process. Returns False if another process was faster."""
    claim = claim_of(path, stale)
    if not create(claim, own):
        other = look(claim)
        if other is None or depth == DEEPEST or is_in_use(claim, *other) or not take_over(claim, other[0], own, depth + 1):
            return False
    found = look(path)
    if found is not None and found[0] == stale:
        try:
            os.replace(claim, path)
        except FileNotFoundError:
            pass
    else:
        remove(claim)
    found = look(path)
    return found is not None and found[0] == own


def look(path):
    """Returns the text of a lock and its modification time; None if there is no lock."""
    try:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode):
            raise UnsafeFileError(f'{path} is not a regular file; remove it')
        return read_regular(path).decode('utf-8', 'replace'), found.st_mtime
    except FileNotFoundError:
        return None


def is_in_use(path, text, changed):
    silent = clock_of(path) - changed
    holder = parse_holder(text)
    return is_alive(holder, silent) if holder else silent < HALF_WRITTEN_SECONDS


def clock_of(path):
    """Returns the current time by the clock of the file system of `path`."""
    temporary = temporary_for(path)
    try:
        create_file(temporary, b'')
        return os.stat(temporary).st_mtime
    except OSError:
        return time.time()
    finally:
        remove(temporary)


def locked_message(folder, path, text, changed):
    holder = parse_holder(text)
    elsewhere = f' on {holder["host"]}' if holder['host'] != socket.gethostname() else ''
    says = f'{folder} is being written by process {holder["pid"]}{elsewhere}, since {holder["since"]}. '
    if is_visible(holder):
        return f'{says}Wait for it, or stop it by: kill -INT {holder["pid"]}'
    if 'boot' not in holder:
        return f'{says}Wait for it; if it is certainly no longer running, remove {path}'
    last = max(0, round(clock_of(path) - changed))
    return (
        f'{says}It runs in another container or on another machine; its last heartbeat was {last} s ago. Wait for it; '
        f'after {STALE_SECONDS} s without a heartbeat its lock is taken over. If it is certainly no longer running, remove {path}'
    )
