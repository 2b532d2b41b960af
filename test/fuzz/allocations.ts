/**
 * Notes the largest buffer that is asked for. Pages that are never written do not count in a process's resident memory, so that
 * a length field that is believed would go unseen on a machine with memory enough.
 */
let largest = 0;

/** Bytes of the largest buffer since this was last called. */
export function largestAllocation(): number {
  const noted = largest;
  largest = 0;
  return noted;
}

function note(bytes: number): void {
  if (bytes > largest && Number.isFinite(bytes)) largest = bytes;
}

/** Watches the constructors of buffers and typed arrays, and the growth of WebAssembly memories. */
export function watchAllocations(): void {
  const names = ['ArrayBuffer', 'SharedArrayBuffer', 'Uint8Array', 'Int32Array', 'Float32Array', 'Float64Array', 'Uint32Array'] as const;
  for (const name of names) {
    const Original = globalThis[name] as unknown as { new (...args: unknown[]): { byteLength: number }; prototype: object };
    const Watched: typeof Original = new Proxy(Original, {
      construct(Target, args, Caller): { byteLength: number } {
        const made: { byteLength: number } = Reflect.construct(Target, args, Caller === Watched ? Target : Caller);
        if (typeof args[0] === 'number') note(made.byteLength);
        return made;
      },
    });
    Object.defineProperty(Original.prototype, 'constructor', { value: Watched, configurable: true, writable: true });
    Object.defineProperty(globalThis, name, { value: Watched, configurable: true, writable: true });
  }
  const { grow } = WebAssembly.Memory.prototype;
  WebAssembly.Memory.prototype.grow = function (pages) {
    note(pages * 65536);
    return grow.call(this, pages);
  };
}
