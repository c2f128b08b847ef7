/** stream-sender.app.ts with layer `ethernet`. */
export const layer = 'ethernet';
export { default } from './stream-sender.app.js';
