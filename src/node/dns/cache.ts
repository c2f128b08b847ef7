/** Answers that are still valid. The least recently used one makes room for a new one. */
export class AnswerCache<Value> {
  /** In the order of their last use, the oldest first. */
  private readonly entries = new Map<string, { readonly value: Value; readonly expiresAt: number }>();

  /** @param capacity most answers */
  constructor(private readonly capacity: number) {}

  get size(): number {
    return this.entries.size;
  }

  /** @param now in ms */
  get(key: string, now: number): Value | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    this.entries.delete(key);
    if (entry.expiresAt <= now) return undefined;
    this.entries.set(key, entry);
    return entry.value;
  }

  /** @param expiresAt in ms, on the clock of {@link get} */
  set(key: string, value: Value, expiresAt: number): void {
    this.entries.delete(key);
    if (this.entries.size >= this.capacity) this.entries.delete(this.entries.keys().next().value as string);
    this.entries.set(key, { value, expiresAt });
  }

  clear(): void {
    this.entries.clear();
  }
}
