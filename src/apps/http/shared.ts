/** What all connections of one server share. */
import type { FileTree } from './files/file-tree.js';
import { SmallFiles } from './files/small-files.js';
import { HotRequest } from './hot-message.js';
import { RequestParser } from './message/request.js';

export class HttpShared {
  readonly parser = new RequestParser();
  readonly hot = new HotRequest();
  readonly smallFiles = new SmallFiles();
  requests = 0;
  /** Requests that were refused with a status of 400 and above. */
  errors = 0;
  /** Connections that were ended because the peer was too slow. */
  timeouts = 0;
  /** Bytes of content that clients have sent. */
  receivedBytes = 0;

  /** @param files null when the server has no folder of files */
  constructor(readonly files: FileTree | null) {}

  /** Files may have changed. Called every second. */
  refresh(): void {
    if (this.files === null) return;
    this.smallFiles.clear();
    this.hot.length = 0;
  }
}
