/** The metrics of the live page itself. */
import type { Family } from '../metrics/family.js';
import type { ViewerCounts } from './viewers.js';

export function viewerFamilies({ watching, refused, dropped }: ViewerCounts): Family[] {
  const one = (value: number) => [{ labels: {}, value }];
  return [
    { type: 'gauge', name: 'tspmd_page_viewers', help: 'viewers of the live page', samples: one(watching) },
    {
      ...{ type: 'counter', name: 'tspmd_page_viewers_refused' },
      ...{ help: 'viewers turned away, because there were too many', samples: one(refused) },
    },
    {
      ...{ type: 'counter', name: 'tspmd_page_viewers_dropped' },
      ...{ help: 'viewers disconnected, because they did not read', samples: one(dropped) },
    },
  ];
}
